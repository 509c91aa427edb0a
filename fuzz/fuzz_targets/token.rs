//! Bootstrap tokens and certificate keys from any text: no panic, and what was read is written alike.
#![no_main]

use kubeadm_config::token::BootstrapTokenString;
use kubeadm_pki::CertificateKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(token) = text.parse::<BootstrapTokenString>() {
        assert_eq!(token.to_string(), text);
    }
    if let Ok(key) = CertificateKey::parse(text) {
        assert_eq!(key.reveal().as_str(), text.to_ascii_lowercase());
    }
});
