//! Renewed certificates: what stays, what changes, and what openssl says of them.

use std::net::IpAddr;

use kubeadm_pki::{
    Certificate, CertificateRequest, IssueError, KeyAlgorithm, KeyKind, PrivateKey, Usage, issue, renew,
};
use proptest::prelude::*;

use crate::openssl::{openssl, read, write};
use crate::support::{Ca, DAY, NEW, OLD, ec_key, now, request};

const REQUEST: &str = "
[req]
distinguished_name = subject
prompt = no
string_mask = utf8only
[subject]
C = DE
0.O = first
1.O = second
OU = unit
CN = cp1
emailAddress = ops@example.com
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyAgreement
extendedKeyUsage = serverAuth,clientAuth,1.3.6.1.5.5.7.3.17
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
subjectAltName = DNS:cp1,IP:192.0.2.10,URI:spiffe://example.com/cp1,email:ops@example.com,RID:1.2.3
crlDistributionPoints = URI:http://old.example.com/crl
authorityInfoAccess = OCSP;URI:http://old.example.com/ocsp
1.2.3.4 = ASN1:UTF8String:theirs
[ca]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
keyUsage = critical,keyCertSign
";

/// A leaf of another program's making: everything it says stays, whoever signs it now.
#[test]
fn what_a_certificate_says_stays_and_what_its_issuer_said_goes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "c", REQUEST);
    let ec = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!(
            "req -x509 -newkey {ec} -keyout old.key -subj /CN=old -days 9 -config c -extensions ca -out old.crt"
        ),
    );
    openssl(folder, &format!("req -newkey {ec} -keyout leaf.key -config c -out leaf.csr"));
    openssl(
        folder,
        "x509 -req -in leaf.csr -CA old.crt -CAkey old.key -CAcreateserial -days 2 -extfile c -extensions leaf -out leaf.crt",
    );
    let old = Certificate::from_pem(&read(folder, "leaf.crt")).unwrap();
    let (ca, key) = (Ca::new("kubernetes"), ec_key());
    // It has expired long before.
    let at = old.not_after() + jiff::SignedDuration::from_hours(900 * 24);
    let validity = NEW.validity(at, 30 * DAY, None);
    let new = renew(&old, &key.public_key().unwrap(), &ca.certificate, &ca.key, validity).unwrap();
    write(folder, "ca.crt", &ca.certificate.to_pem());
    write(folder, "new.crt", &new.to_pem());
    openssl(
        folder,
        &format!(
            "verify -attime {} -x509_strict -purpose sslserver -verify_ip 192.0.2.10 -CAfile ca.crt new.crt",
            at.as_second()
        ),
    );

    assert_eq!(new.subject(), old.subject());
    assert_eq!((new.not_before(), new.not_after()), (validity.not_before, validity.not_after));
    assert_ne!(new.serial(), old.serial());
    assert_eq!(*new.public_key(), key.public_key().unwrap());
    assert_ne!(new.subject_key_id(), old.subject_key_id());
    assert_eq!(new.authority_key_id(), ca.certificate.subject_key_id());
    let shown = |file: &str, names: &str| openssl(folder, &format!("x509 -in {file} -noout -ext {names}"));
    let kept = "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName";
    assert_eq!(shown("new.crt", kept), shown("leaf.crt", kept));
    assert!(shown("new.crt", kept).contains("spiffe://example.com/cp1"));
    let text = openssl(folder, "x509 -in new.crt -noout -text");
    assert!(text.contains("1.2.3.4:") && !text.contains("old.example.com"), "{text}");
}

#[test]
fn an_authority_is_not_renewed_and_a_wrong_signer_refused() {
    let (ca, other) = (Ca::new("kubernetes"), Ca::new("other"));
    let wanted = request("kube-apiserver", NEW.validity(now(), DAY, None));
    let (leaf, _) = ca.issue(&wanted);
    let public = ec_key().public_key().unwrap();
    let renew = |old: &Certificate, ca: &Certificate, key: &PrivateKey| {
        renew(old, &public, ca, key, wanted.validity).err()
    };
    assert!(matches!(
        renew(&other.certificate, &ca.certificate, &ca.key),
        Some(IssueError::IsAuthority { .. })
    ));
    assert!(matches!(renew(&leaf, &ca.certificate, &other.key), Some(IssueError::KeyMismatch { .. })));
    assert!(matches!(renew(&leaf, &leaf, &ca.key), Some(IssueError::NotAuthority { .. })));
}

#[test]
fn a_key_like_the_old_one_can_be_told() {
    for algorithm in KeyAlgorithm::ALL {
        let key = crate::support::SameKeys;
        let key = kubeadm_pki::KeySource::generate(&key, algorithm).unwrap();
        assert_eq!(key.public_key().unwrap().kind().algorithm(), algorithm);
    }
    assert_eq!(KeyKind::Rsa { bits: 1024 }.algorithm(), KeyAlgorithm::Rsa2048);
    assert_eq!(KeyKind::Rsa { bits: 8192 }.algorithm(), KeyAlgorithm::Rsa4096);
    assert_eq!(KeyKind::EcdsaP521.algorithm(), KeyAlgorithm::EcdsaP384);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Renewing what was issued here gives what issuing it again would, in either form.
    #[test]
    fn a_renewed_certificate_is_as_if_issued_again(
        common_name in "[a-zA-Z0-9:äß_. -]{1,30}",
        organizations in prop::collection::vec("[a-z:*]{1,12}", 0..4),
        dns_names in prop::collection::vec("[a-z]{1,8}(\\.[a-z]{1,5})?", 0..5),
        ips in prop::collection::vec(any::<IpAddr>(), 0..4),
        server in any::<bool>(),
        new_form in any::<bool>(),
    ) {
        let form = if new_form { NEW } else { OLD };
        let ca = Ca::new("kubernetes");
        let wanted = CertificateRequest {
            common_name,
            organizations,
            dns_names,
            ips,
            usages: if server { vec![Usage::Server, Usage::Client] } else { vec![Usage::Client] },
            validity: form.validity(now(), DAY, Some(&ca.certificate)),
        };
        let key = ec_key().public_key().unwrap();
        let first = issue(&wanted, &key, &ca.certificate, &ca.key, form).unwrap();
        let again = renew(&first, &key, &ca.certificate, &ca.key, wanted.validity).unwrap();
        prop_assert_eq!(again.verify(&[], &ca.certificate, now()), Ok(()));
        // Serial number and signature alone differ.
        let facts = |c: &Certificate| {
            let names = (c.dns_names().to_vec(), c.ips().to_vec(), c.usages().to_vec());
            let dates = (c.not_before(), c.not_after());
            (c.subject().clone(), c.issuer().clone(), names, dates, c.key_usage(), c.basic_constraints())
        };
        prop_assert_eq!(facts(&again), facts(&first));
        prop_assert_eq!(first.authority_key_id(), again.authority_key_id());
        prop_assert_ne!(first.serial(), again.serial());
    }
}
