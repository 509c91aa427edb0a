//! Keys for tests: ECDSA whatever was asked, because RSA takes most of a test's time otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};

use kubeadm_pki::{KeyAlgorithm, KeyError, KeySource, PrivateKey};

/// Makes ECDSA P-256 keys for every request.
#[derive(Debug, Default)]
pub struct FixedKeys(AtomicUsize);

impl FixedKeys {
    /// How many keys were made so far.
    pub fn made(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl KeySource for FixedKeys {
    fn generate(&self, _: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        PrivateKey::generate(KeyAlgorithm::EcdsaP256)
    }
}
