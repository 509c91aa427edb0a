//! Certificates, keys and requests from any text: no panic, and what was read is written so that it is read alike.
#![no_main]

use kubeadm_pki::{Certificate, PrivateKey, PublicKey, SigningRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The bare structure first: the fuzzer can't guess base64.
    if let Ok(certificate) = Certificate::from_der(data) {
        let again = Certificate::from_pem(certificate.to_pem().as_bytes()).expect("what was written");
        assert_eq!(again, certificate);
        let _ = (certificate.subject().to_string(), certificate.issuer().to_string(), certificate.pin());
        let _ = certificate.verify(std::slice::from_ref(&certificate), &certificate, certificate.not_before());
    }
    let _ = PublicKey::from_spki(data);
    if let Ok(all) = Certificate::all_from_pem(data) {
        assert!(!all.is_empty());
    }
    if let Ok(key) = PrivateKey::from_pem(data) {
        let text = key.to_pem().expect("a key that was read");
        let again = PrivateKey::from_pem(text.as_bytes()).expect("what was written");
        assert_eq!(again.public_key(), key.public_key());
    }
    let _ = PublicKey::from_pem(data);
    let _ = SigningRequest::from_pem(data);
});
