//! The two add-ons: DNS and kube-proxy, as objects.
//!
//! Which of them are applied, and what becomes of a Corefile that is already there, is decided in
//! [`crate::phases::addon`].

pub mod coredns;
pub mod corefile;
pub mod dns;
pub mod kube_dns;
pub mod kube_proxy;

/// Why an add-on cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    /// There is no tenth address.
    #[error("unable to get the DNS address: the service subnet {subnet:?} has no tenth address")]
    DnsAddress {
        /// The subnet as configured.
        subnet: String,
    },
    /// More than one Deployment serves DNS.
    #[error("multiple DNS addon deployments found: {}", names.join(", "))]
    SeveralDeployments {
        /// Their names.
        names: Vec<String>,
    },
    /// The ConfigMap of an older kube-dns cannot be read.
    #[error("failed to parse JSON from 'kube-dns' ConfigMap, key {key:?}: {source}")]
    KubeDnsConfig {
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Objects as one text, each a document, ready for `kubectl apply -f -`.
pub fn manifest(objects: &[serde_json::Value]) -> String {
    objects.iter().map(|object| format!("---\n{}", kubeadm_yaml::to_string(object))).collect()
}
