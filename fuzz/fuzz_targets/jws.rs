//! Signatures from any text: no panic, and only the right one proves the content.
#![no_main]

use kubeadm_pki::jws;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (content, id, signature) = input;
    let secret = "0123456789abcdef";
    let right = jws::sign(content, id, secret);
    assert_eq!(jws::verify(content, &right, id, secret), Ok(()));
    assert!(jws::verify(content, signature, id, secret).is_err());
});
