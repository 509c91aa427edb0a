//! Keys made once for all tests, and authorities and leaves to play with.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jiff::Timestamp;
use kubeadm_pki::{
    CertForm, Certificate, CertificateRequest, KeyAlgorithm, KeyError, KeySource, PrivateKey, Usage,
    Validity, issue, self_signed_ca,
};

/// Hands out the same key again for the same algorithm.
pub(crate) struct SameKeys;

impl KeySource for SameKeys {
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        static MADE: LazyLock<Mutex<HashMap<KeyAlgorithm, PrivateKey>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap();
        if let Some(key) = made.get(&algorithm) {
            return Ok(key.clone());
        }
        let key = PrivateKey::generate(algorithm)?;
        made.insert(algorithm, key.clone());
        Ok(key)
    }
}

pub(crate) const DAY: i64 = 86_400;

/// The form of 1.36 and 1.37.
pub(crate) const NEW: CertForm = CertForm {
    random_ca_serial: true,
    ca_san: true,
    leaf_basic_constraints: true,
    distinct_sans: true,
    back_dated_seconds: Some(300),
};

/// The form of 1.11 to 1.13.
pub(crate) const OLD: CertForm = CertForm {
    random_ca_serial: false,
    ca_san: false,
    leaf_basic_constraints: false,
    distinct_sans: false,
    back_dated_seconds: None,
};

pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub(crate) fn ec_key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap()
}

pub(crate) fn request(common_name: &str, validity: Validity) -> CertificateRequest {
    CertificateRequest {
        common_name: common_name.to_owned(),
        organizations: Vec::new(),
        dns_names: Vec::new(),
        ips: Vec::new(),
        usages: vec![Usage::Server],
        validity,
    }
}

pub(crate) struct Ca {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

impl Ca {
    pub(crate) fn new(common_name: &str) -> Self {
        let key = ec_key();
        let request = request(common_name, NEW.validity(now(), 3650 * DAY, None));
        Self { certificate: self_signed_ca(&request, &key, NEW).unwrap(), key }
    }

    pub(crate) fn issue(&self, request: &CertificateRequest) -> (Certificate, PrivateKey) {
        let key = ec_key();
        let certificate =
            issue(request, &key.public_key().unwrap(), &self.certificate, &self.key, NEW).unwrap();
        (certificate, key)
    }
}
