//! JoinConfiguration.

use super::init::{ApiEndpoint, NodeRegistration, Patches, SecretText, Timeouts};

/// What `join` needs to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinConfiguration {
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// How this node registers.
    pub node_registration: NodeRegistration,
    /// CA certificate on this node.
    pub ca_cert_path: String,
    /// How the cluster is found and trusted.
    pub discovery: Discovery,
    /// Present when the node becomes one of the control plane.
    pub control_plane: Option<JoinControlPlane>,
    /// Phases to leave out.
    pub skip_phases: Vec<String>,
    /// Folder of patches.
    pub patches: Option<Patches>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Name of the cluster (API v1alpha2, v1alpha3).
    pub cluster_name: String,
}

/// What a further control-plane node needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinControlPlane {
    /// Where its API server listens.
    pub local_api_endpoint: ApiEndpoint,
    /// Hex key of the uploaded certificates; empty when none was given.
    pub certificate_key: SecretText,
}

/// Exactly one of token and file, once validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovery {
    /// By token.
    pub bootstrap_token: Option<BootstrapTokenDiscovery>,
    /// By a kubeconfig file.
    pub file: Option<FileDiscovery>,
    /// Token for the kubelet's first certificate; the discovery token when empty.
    pub tls_bootstrap_token: SecretText,
}

/// Discovery by token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BootstrapTokenDiscovery {
    /// The token.
    pub token: SecretText,
    /// `host:port` of an API server.
    pub api_server_endpoint: String,
    /// Further ones, which nobody asks (API v1alpha2, v1alpha3).
    pub other_endpoints: Vec<String>,
    /// Pins of the cluster's CA.
    pub ca_cert_hashes: Vec<String>,
    /// Trust whoever answers.
    pub unsafe_skip_ca_verification: bool,
}

/// Discovery by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDiscovery {
    /// A path, or an https URL.
    pub kube_config_path: String,
}
