//! Why `kubeconfig` cannot make a file, in words that say what to do.

use std::sync::Arc;

use futures::executor::block_on;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::INIT;
use kubeadm_engine::ports::Effects;
use kubeadm_pki::{KeyAlgorithm, KeyError, KeySource, PrivateKey};
use kubeadm_testkit::MemoryHost;

use crate::wish;

/// A source that has run dry.
struct NoKeys;

impl KeySource for NoKeys {
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        Err(KeyError::Generate { algorithm })
    }
}

fn try_phase(effects: &Effects, phase: &str) -> Result<(), String> {
    let spec = wish::init("v1.37.2", "");
    let only = Selection::Only { path: phase.into(), skip: Vec::new() };
    let outcome = block_on(kubeadm_engine::run::run(INIT, &only, &spec, &spec.context(), effects));
    outcome.map_err(|error| error.to_string())
}

#[test]
fn a_missing_authority_its_missing_key_and_a_key_that_cannot_be_made_are_told_apart() {
    let host = MemoryHost::default();
    let failed = |effects: &Effects| {
        let error = try_phase(effects, "kubeconfig/admin").unwrap_err();
        error.strip_prefix("error execution phase kubeconfig/admin: ").unwrap().to_owned()
    };
    let none = failed(&host.effects());
    assert!(
        none.starts_with("the CA files do not exist, please run `kubeadm init phase certs ca`"),
        "{none}"
    );

    try_phase(&host.effects(), "certs/ca").unwrap();
    assert_eq!(
        failed(&Effects { keys: Arc::new(NoKeys), ..host.effects() }),
        "failure while creating kubernetes-admin client certificate: \
         failed to generate a private key of type RSA-2048"
    );

    host.files.take("/etc/kubernetes/pki/ca.key");
    assert_eq!(
        failed(&host.effects()),
        "couldn't create a kubeconfig: the key /etc/kubernetes/pki/ca.key of its authority does not exist; \
         provide it, or provide admin.conf"
    );
}
