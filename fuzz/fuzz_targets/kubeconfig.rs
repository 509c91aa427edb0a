//! kubeconfig files from any text: no panic, and what was read is written so that it is read alike.
#![no_main]

use kubeadm_pki::kubeconfig::{Expected, Kubeconfig, KubeconfigForm, validate_existing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = Kubeconfig::parse(text, "text") {
        for empty_preferences in [false, true] {
            let written = config.to_yaml(KubeconfigForm { empty_preferences, null_lists: !empty_preferences });
            let again = Kubeconfig::parse(&written, "written").expect("what was written");
            assert_eq!(
                again.to_yaml(KubeconfigForm { empty_preferences, null_lists: true }),
                config.to_yaml(KubeconfigForm { empty_preferences, null_lists: true })
            );
        }
    }
    let expected = Expected { authorities: &[], server: "https://192.0.2.10:6443" };
    let judged = validate_existing("/k/admin.conf", text, expected, |_| Err("none".to_owned()));
    assert!(judged.is_err(), "nobody is trusted");
});
