//! What the crate writes, openssl accepts, and the other way round.

use std::path::Path;
use std::process::Command;

use kubeadm_pki::{
    Certificate, KeyAlgorithm, KeyError, KeyKind, KeySource as _, PrivateKey, PublicKey, SigningRequest,
    Usage, VerifyError, issue, self_signed_ca, signing_request,
};

use crate::support::{Ca, DAY, NEW, OLD, SameKeys, ec_key, now, request};

/// Runs openssl in a folder of its own, which must succeed, and returns what it prints.
pub(crate) fn openssl(folder: &Path, line: &str) -> String {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("these tests need the openssl program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "openssl {line}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

pub(crate) fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn openssl_accepts_every_kind_of_key_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for algorithm in KeyAlgorithm::ALL {
        let key = SameKeys.generate(algorithm).unwrap();
        write(folder, "key", &key.to_pem().unwrap());
        openssl(folder, "pkey -in key -check -noout");
        let public = key.public_key().unwrap();
        assert_eq!(openssl(folder, "pkey -in key -pubout"), public.to_pem(), "{algorithm}");
        for form in [OLD, NEW] {
            let ca_request = request("kubernetes", form.validity(now(), 3650 * DAY, None));
            let ca = self_signed_ca(&ca_request, &key, form).unwrap();
            let mut wanted = request("kube-apiserver", form.validity(now(), 365 * DAY, Some(&ca)));
            wanted.dns_names = vec!["cp1".to_owned()];
            wanted.ips = vec!["192.0.2.10".parse().unwrap(), "fd00::1".parse().unwrap()];
            wanted.organizations = vec!["b".to_owned(), "a".to_owned()];
            let leaf = issue(&wanted, &public, &ca, &key, form).unwrap();
            write(folder, "ca.crt", &ca.to_pem());
            write(folder, "leaf.crt", &leaf.to_pem());
            let at = now().as_second();
            openssl(
                folder,
                &format!("verify -attime {at} -x509_strict -purpose sslserver -verify_ip 192.0.2.10 -CAfile ca.crt leaf.crt")
                    .replace(if form == NEW { "" } else { "-x509_strict " }, ""),
            );
            let subject = openssl(folder, "x509 -in leaf.crt -noout -subject -nameopt RFC2253,-dn_rev");
            assert_eq!(subject.trim(), "subject=O=a+O=b,CN=kube-apiserver");
            assert_eq!(leaf.subject().to_string(), "CN=kube-apiserver,O=a+O=b");
            let digest = openssl(folder, "x509 -in ca.crt -noout -pubkey");
            write(folder, "ca.pub", &digest);
            openssl(folder, "pkey -pubin -in ca.pub -outform DER -out ca.der");
            let digest = openssl(folder, "dgst -sha256 -r ca.der");
            assert_eq!(ca.pin(), format!("sha256:{}", digest.split_whitespace().next().unwrap()));
        }
    }
}

#[test]
fn keys_of_openssl_are_read_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (make, kind) in [
        ("genrsa -traditional -out traditional 2048", KeyKind::Rsa { bits: 2048 }),
        ("ecparam -name prime256v1 -genkey -out traditional", KeyKind::EcdsaP256),
        ("ecparam -name secp384r1 -genkey -out traditional", KeyKind::EcdsaP384),
        ("ecparam -name secp521r1 -genkey -out traditional", KeyKind::EcdsaP521),
    ] {
        openssl(folder, make);
        openssl(folder, "pkcs8 -topk8 -nocrypt -in traditional -out pkcs8");
        openssl(folder, "pkey -in traditional -pubout -out public");
        let public = PublicKey::from_pem(&read(folder, "public")).unwrap();
        assert_eq!(public.kind(), kind);
        for name in ["traditional", "pkcs8"] {
            let key = PrivateKey::from_pem(&read(folder, name)).unwrap();
            assert_eq!(key.public_key().unwrap(), public, "{make} {name}");
            write(folder, "again", &key.to_pem().unwrap());
            openssl(folder, "pkey -in again -check -noout");
            let again = PrivateKey::from_pem(&read(folder, "again")).unwrap();
            assert_eq!(again.public_key().unwrap(), public);
        }
    }
    openssl(folder, "pkcs8 -topk8 -passout pass:x -in traditional -out encrypted");
    assert_eq!(PrivateKey::from_pem(&read(folder, "encrypted")).unwrap_err(), KeyError::Encrypted);
    openssl(folder, "ec -aes256 -passout pass:x -in traditional -out encrypted");
    assert_eq!(PrivateKey::from_pem(&read(folder, "encrypted")).unwrap_err(), KeyError::Encrypted);
    openssl(folder, "genpkey -algorithm ed25519 -out ed25519");
    let label = "PRIVATE KEY".to_owned();
    assert_eq!(
        PrivateKey::from_pem(&read(folder, "ed25519")).unwrap_err(),
        KeyError::UnusablePrivateKey { label }
    );
    assert_eq!(PrivateKey::from_pem(b"").unwrap_err(), KeyError::NoPrivateKey);
}

/// An authority whose subject has two OU values and a string type of its own: the issuer must be that very name.
#[test]
fn a_corporate_authority_signs_leaves_that_verify() {
    let ca = Certificate::from_pem(include_bytes!("../data/two-units-ca.crt")).unwrap();
    let ca_key = PrivateKey::from_pem(include_bytes!("../data/two-units-ca.key")).unwrap();
    assert_eq!(ca.subject().to_string(), "CN=Example Root,OU=Security,OU=Platform,O=Beispiel Größe,C=DE");
    let key = ec_key();
    let wanted = request("kube-apiserver", NEW.validity(ca.not_before(), DAY, None));
    let leaf = issue(&wanted, &key.public_key().unwrap(), &ca, &ca_key, NEW).unwrap();
    assert_eq!(leaf.authority_key_id(), ca.subject_key_id());
    let at = ca.not_before() + jiff::SignedDuration::from_hours(1);
    assert_eq!(leaf.verify(&[], &ca, at), Ok(()));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ca.crt", &ca.to_pem());
    write(folder.path(), "leaf.crt", &leaf.to_pem());
    openssl(folder.path(), &format!("verify -attime {} -CAfile ca.crt leaf.crt", at.as_second()));
}

/// Other methods of signing, as external authorities have them.
#[test]
fn certificates_of_openssl_verify() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (key, options) in [
        ("rsa:2048", "-sha384"),
        ("rsa:2048", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        ("rsa:2048", "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        ("ec -pkeyopt ec_paramgen_curve:P-256", "-sha512"),
        ("ec -pkeyopt ec_paramgen_curve:P-384", "-sha256"),
        ("ec -pkeyopt ec_paramgen_curve:P-521", "-sha512"),
        ("ed25519", ""),
    ] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout ca.key -subj /CN=root -days 2 {options} -out ca.crt"
            ),
        );
        let ca = Certificate::from_pem(&read(folder, "ca.crt")).unwrap();
        assert!(ca.is_ca());
        assert_eq!(ca.check_signature(&ca), Ok(()), "{key} {options}");
        let middle = ca.not_before() + jiff::SignedDuration::from_hours(1);
        assert_eq!(ca.verify(&[], &ca, middle), Ok(()));
    }
    // Go refuses these too.
    for options in ["-sha1", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /CN=root -days 2 {options} -out ca.crt"
            ),
        );
        let ca = Certificate::from_pem(&read(folder, "ca.crt")).unwrap();
        assert!(matches!(ca.check_signature(&ca), Err(VerifyError::UnknownMethod { .. })), "{options}");
    }
}

#[test]
fn chains_of_intermediates_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "ca.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n");
    write(folder, "plain.ext", "basicConstraints=critical,CA:FALSE\n");
    let ec = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 -newkey {ec} -keyout root.key -subj /CN=root -days 9 -out root.crt"));
    let sign = |name: &str, by: &str, ext: &str| {
        openssl(folder, &format!("req -newkey {ec} -keyout {name}.key -subj /CN={name} -out {name}.csr"));
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 5 -extfile {ext} -out {name}.crt"
            ),
        );
        Certificate::from_pem(&read(folder, &format!("{name}.crt"))).unwrap()
    };
    let middle = sign("middle", "root", "ca.ext");
    let lower = sign("lower", "middle", "ca.ext");
    let leaf = sign("leaf", "middle", "plain.ext");
    let deep = sign("deep", "lower", "plain.ext");
    let false_leaf = sign("false", "leaf", "plain.ext");
    let root = Certificate::from_pem(&read(folder, "root.crt")).unwrap();
    let at = leaf.not_before() + jiff::SignedDuration::from_hours(1);
    let stray = Ca::new("middle").certificate;
    assert_eq!(leaf.verify(&[stray, lower.clone(), middle.clone()], &root, at), Ok(()));
    assert!(matches!(leaf.verify(&[], &root, at), Err(VerifyError::WrongAuthority { .. })));
    assert!(matches!(deep.verify(&[lower, middle.clone()], &root, at), Err(VerifyError::PathTooLong { .. })));
    assert!(matches!(
        false_leaf.verify(&[leaf.clone(), middle.clone()], &root, at),
        Err(VerifyError::NotAuthority { .. })
    ));
    let late = leaf.not_after() + jiff::SignedDuration::from_secs(1);
    assert!(matches!(leaf.verify(&[middle], &root, late), Err(VerifyError::Expired { .. })));
}

#[test]
fn signing_requests_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP384] {
        let key = SameKeys.generate(algorithm).unwrap();
        let mut wanted = request("kube-apiserver", NEW.validity(now(), DAY, None));
        for names in [vec![], vec!["cp1".to_owned(), "kubernetes".to_owned()]] {
            wanted.dns_names = names;
            wanted.organizations = vec!["system:masters".to_owned()];
            let text = signing_request(&wanted, &key).unwrap();
            write(folder, "csr", &text);
            let shown = openssl(folder, "req -in csr -noout -verify -subject -nameopt RFC2253");
            assert!(shown.contains("subject=CN=kube-apiserver,O=system:masters"), "{shown}");
            let read = SigningRequest::from_pem(text.as_bytes()).unwrap();
            assert_eq!(read.subject.to_string(), "CN=kube-apiserver,O=system:masters");
            assert_eq!(read.public_key, key.public_key().unwrap());
            assert_eq!(read.dns_names, wanted.dns_names);
        }
    }
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -keyout k -subj /CN=x -addext subjectAltName=DNS:a,IP:192.0.2.1 -out csr",
    );
    let read_back = SigningRequest::from_pem(&read(folder, "csr")).unwrap();
    assert_eq!(read_back.dns_names, ["a"]);
    assert_eq!(read_back.ips, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn usages_are_written_in_order() {
    let ca = Ca::new("etcd-ca");
    let mut wanted = request("cp1", NEW.validity(now(), DAY, None));
    wanted.usages = vec![Usage::Server, Usage::Client];
    assert_eq!(ca.issue(&wanted).0.usages(), [Usage::Server, Usage::Client]);
}
