//! Keys for tests: ECDSA whatever was asked, because RSA takes most of a test's time otherwise.

use kubeadm_pki::{KeyAlgorithm, KeyError, KeySource, PrivateKey};

/// Makes ECDSA P-256 keys for every request.
#[derive(Debug, Default)]
pub struct FixedKeys;

impl KeySource for FixedKeys {
    fn generate(&self, _: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        PrivateKey::generate(KeyAlgorithm::EcdsaP256)
    }
}
