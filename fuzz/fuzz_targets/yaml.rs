//! Any text is read or refused, and what was read survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match kubeadm_yaml::parse_documents(text, "input") {
        Ok(documents) => {
            for document in documents {
                let written = kubeadm_yaml::to_string(&document.value);
                let read = kubeadm_yaml::parse_value(&written, "written");
                assert_eq!(read.as_ref(), Ok(&document.value), "{written}");
            }
        }
        Err(error) => assert!(error.to_string().starts_with("input")),
    }
});
