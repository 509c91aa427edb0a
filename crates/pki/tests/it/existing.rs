//! Files that are there already: each defect has its own message.

use kubeadm_pki::{
    CertificateRequest, Existing, ExistingError, Files, PrivateKey, ServiceAccountFiles, Validity, Wanted,
    bounds_warning, is_external_ca,
};

use crate::support::{Ca, DAY, NEW, ec_key, now, request};

fn server(days: i64) -> CertificateRequest {
    let mut wanted = request("kube-apiserver", NEW.validity(now(), days * DAY, None));
    wanted.dns_names = vec!["*.example.com".to_owned(), "cp1".to_owned()];
    wanted.ips = vec!["192.0.2.10".parse().unwrap()];
    wanted
}

fn files<'a>(certificate: Option<&'a str>, key: Option<&'a str>) -> Files<'a> {
    Files {
        base: "apiserver",
        certificate_path: "/pki/apiserver.crt",
        key_path: "/pki/apiserver.key",
        certificate: certificate.map(str::as_bytes),
        key: key.map(str::as_bytes),
    }
}

fn pem(key: &PrivateKey) -> String {
    key.to_pem().unwrap().to_string()
}

fn judge(ca: &Ca, certificate: Option<&str>, key: Option<&str>) -> Result<&'static str, String> {
    let names: Vec<String> = ["cp1", "api.example.com"].map(str::to_owned).into();
    let ips = ["192.0.2.10".parse().unwrap()];
    let wanted = Wanted { ca: &ca.certificate, ca_base: "ca", dns_names: &names, ips: &ips, at: now() };
    match files(certificate, key).leaf(wanted) {
        Ok(Existing::Absent) => Ok("absent"),
        Ok(Existing::KeyOnly(_)) => Ok("key only"),
        Ok(Existing::Complete(_)) => Ok("complete"),
        Err(error) => Err(error.to_string()),
    }
}

/// Two authorities in one file, as while one replaces the other: the one of the key signs.
#[test]
fn the_authority_of_a_bundle_is_that_of_the_key() {
    let (old, new) = (Ca::new("kubernetes"), Ca::new("kubernetes"));
    let bundle = format!("{}{}", old.certificate.to_pem(), new.certificate.to_pem());
    for (key, signer, other) in [(&old.key, &old, &new), (&new.key, &new, &old)] {
        let key = pem(key);
        let Ok(Existing::Complete(found)) = files(Some(&bundle), Some(&key)).authority() else { panic!() };
        assert_eq!(found.certificate, signer.certificate);
        assert_eq!(found.chain, std::slice::from_ref(&other.certificate));
    }
    let stranger = pem(&ec_key());
    let error = files(Some(&bundle), Some(&stranger)).authority().unwrap_err();
    assert!(matches!(error, ExistingError::KeyMismatch { .. }));
}

#[test]
fn leaves() {
    let ca = Ca::new("kubernetes");
    let (leaf, key) = ca.issue(&server(10));
    let (leaf, key) = (leaf.to_pem(), pem(&key));
    assert_eq!(judge(&ca, Some(&leaf), Some(&key)), Ok("complete"));
    assert_eq!(judge(&ca, None, None), Ok("absent"));
    assert_eq!(judge(&ca, None, Some(&key)), Ok("key only"));
    assert_eq!(
        judge(&ca, Some(&leaf), None).unwrap_err(),
        "the certificate /pki/apiserver.crt exists, but its private key /pki/apiserver.key does not: restore the \
         key, or remove the certificate to have both made anew"
    );
    assert_eq!(
        judge(&ca, Some(&leaf), Some(&pem(&ec_key()))).unwrap_err(),
        "the private key /pki/apiserver.key does not belong to the certificate /pki/apiserver.crt: the certificate \
         holds another public key; have both made anew with `kubeadm certs renew`"
    );
    assert_eq!(
        judge(&ca, Some("nothing"), Some(&key)).unwrap_err(),
        "failure loading apiserver certificate: failed to load certificate: couldn't load the certificate file \
         /pki/apiserver.crt: error reading /pki/apiserver.crt: data does not contain any valid RSA or ECDSA certificates"
    );
    assert_eq!(
        judge(&ca, Some(&leaf), Some("nothing")).unwrap_err(),
        "failure loading apiserver key: couldn't load the private key file /pki/apiserver.key: error reading private \
         key file /pki/apiserver.key: data does not contain a valid RSA or ECDSA private key"
    );
    // Another authority of another name, and one of the same name.
    assert_eq!(
        judge(&Ca::new("other"), Some(&leaf), Some(&key)).unwrap_err(),
        "[certs] certificate apiserver not signed by CA certificate ca: x509: certificate signed by unknown authority"
    );
    assert_eq!(
        judge(&Ca::new("kubernetes"), Some(&leaf), Some(&key)).unwrap_err(),
        "[certs] certificate apiserver not signed by CA certificate ca: x509: certificate signed by unknown authority \
         (possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority \
         certificate \"kubernetes\")"
    );
}

#[test]
fn what_must_be_there_is_missed() {
    let ca = Ca::new("kubernetes");
    let wanted = Wanted { ca: &ca.certificate, ca_base: "ca", dns_names: &[], ips: &[], at: now() };
    let (leaf, key) = ca.issue(&server(10));
    let (leaf, key) = (leaf.to_pem(), pem(&key));
    assert!(files(Some(&leaf), Some(&key)).required_leaf(wanted).is_ok());
    for key in [None, Some(key.as_str())] {
        assert_eq!(
            files(None, key).required_leaf(wanted).unwrap_err().to_string(),
            "failure loading certificate for apiserver: couldn't load the certificate file /pki/apiserver.crt: \
             open /pki/apiserver.crt: no such file or directory"
        );
        assert!(matches!(files(None, key).required_authority(), Err(ExistingError::Missing { .. })));
    }
}

#[test]
fn dates_are_called_dates() {
    let ca = Ca::new("kubernetes");
    let mut old = server(10);
    old.validity = Validity {
        not_before: "2025-01-01T00:00:00Z".parse().unwrap(),
        not_after: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let (leaf, key) = ca.issue(&old);
    assert_eq!(
        bounds_warning("apiserver", &leaf, now()).unwrap(),
        "WARNING: could not validate bounds for certificate apiserver: the certificate has expired: \
         NotBefore: 2025-01-01 00:00:00 +0000 UTC, NotAfter: 2026-01-01 00:00:00 +0000 UTC"
    );
    assert_eq!(bounds_warning("apiserver", &ca.certificate, now()), None);
    // The last second still counts.
    assert_eq!(leaf.check_dates("2026-01-01T00:00:00.9Z".parse().unwrap()), Ok(()));
    let (leaf, key) = (leaf.to_pem(), pem(&key));
    assert_eq!(
        judge(&ca, Some(&leaf), Some(&key)).unwrap_err(),
        "[certs] certificate apiserver can't be used: \"CN=kube-apiserver\" has expired: it was valid until \
         2026-01-01T00:00:00Z, now is 2026-11-23T12:00:00Z"
    );
    // Expired, and of another authority: the authority is the greater trouble.
    assert!(
        judge(&Ca::new("other"), Some(&leaf), Some(&key))
            .unwrap_err()
            .contains("not signed by CA certificate ca")
    );
    old.validity = Validity {
        not_before: "2027-01-01T00:00:00Z".parse().unwrap(),
        not_after: "2028-01-01T00:00:00Z".parse().unwrap(),
    };
    let (leaf, key) = ca.issue(&old);
    assert!(
        judge(&ca, Some(&leaf.to_pem()), Some(&pem(&key)))
            .unwrap_err()
            .contains("is not valid yet: it is valid from 2027-01-01T00:00:00Z, now is 2026-11-23T12:00:00Z")
    );
}

#[test]
fn missing_names_are_named() {
    let ca = Ca::new("kubernetes");
    let mut less = server(10);
    less.dns_names.remove(0);
    less.ips.clear();
    let (leaf, key) = ca.issue(&less);
    assert_eq!(
        judge(&ca, Some(&leaf.to_pem()), Some(&pem(&key))).unwrap_err(),
        "certificate apiserver is invalid: x509: certificate is valid for cp1, not api.example.com, 192.0.2.10: remove \
         /pki/apiserver.crt and its key to have them made anew"
    );
}

#[test]
fn authorities() {
    let ca = Ca::new("kubernetes");
    let (certificate, key) = (ca.certificate.to_pem(), pem(&ca.key));
    let Ok(Existing::Complete(whole)) = files(Some(&certificate), Some(&key)).authority() else { panic!() };
    assert!(whole.key.is_some());
    let Ok(Existing::Complete(keyless)) = files(Some(&certificate), None).authority() else { panic!() };
    assert!(keyless.key.is_none());
    assert!(matches!(files(None, None).authority(), Ok(Existing::Absent)));
    assert!(matches!(files(None, Some(&key)).authority(), Ok(Existing::KeyOnly(_))));
    assert!(matches!(
        files(Some(&certificate), Some(&pem(&ec_key()))).authority(),
        Err(ExistingError::KeyMismatch { .. })
    ));
    let (leaf, leaf_key) = ca.issue(&server(10));
    assert_eq!(
        files(Some(&leaf.to_pem()), Some(&pem(&leaf_key))).authority().unwrap_err().to_string(),
        "apiserver certificate is not a certificate authority: /pki/apiserver.crt has the subject \"CN=kube-apiserver\""
    );

    assert!(is_external_ca(Some(certificate.as_bytes()), false));
    assert!(!is_external_ca(Some(certificate.as_bytes()), true));
    assert!(!is_external_ca(Some(leaf.to_pem().as_bytes()), false));
    assert!(!is_external_ca(Some(b"nothing"), false));
    assert!(!is_external_ca(None, false));
}

#[test]
fn service_account_keys() {
    let key = ec_key();
    let (private, public) = (pem(&key), key.public_key().unwrap().to_pem());
    let other = ec_key().public_key().unwrap().to_pem();
    let files = |key: Option<&'static str>, public: Option<&'static str>| ServiceAccountFiles {
        key_path: "/pki/sa.key",
        public_path: "/pki/sa.pub",
        key: key.map(str::as_bytes),
        public: public.map(str::as_bytes),
    };
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let (private, public, other) = (leak(private), leak(public), leak(other));
    assert!(matches!(files(None, None).keys(), Ok(Existing::Absent)));
    assert!(matches!(files(Some(private), Some(public)).keys(), Ok(Existing::Complete(_))));
    assert!(matches!(files(Some(private), None).keys(), Ok(Existing::KeyOnly(_))));
    assert!(matches!(files(None, None).required_keys(), Ok(None)));
    assert!(matches!(files(Some(private), Some(public)).required_keys(), Ok(Some(_))));
    assert_eq!(
        files(Some(private), None).required_keys().unwrap_err().to_string(),
        "the private key /pki/sa.key exists, but its public key /pki/sa.pub does not: write it with \
         `openssl pkey -in /pki/sa.key -pubout -out /pki/sa.pub`"
    );
    assert!(matches!(files(None, Some(public)).keys(), Err(ExistingError::PrivateKeyMissing { .. })));
    assert!(matches!(files(Some(private), Some(other)).keys(), Err(ExistingError::KeyMismatch { .. })));
    assert!(matches!(files(Some(public), None).keys(), Err(ExistingError::Key { .. })));
    assert!(matches!(files(Some(private), Some("x")).keys(), Err(ExistingError::PublicKey { .. })));
}
