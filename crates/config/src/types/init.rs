//! InitConfiguration and the parts it shares with the other kinds.

use std::fmt;

use crate::duration::GoDuration;
use crate::token::BootstrapTokenString;

/// What `init` needs to know beyond the cluster itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitConfiguration {
    /// Tokens for joining nodes.
    pub bootstrap_tokens: Vec<BootstrapToken>,
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// How this node registers.
    pub node_registration: NodeRegistration,
    /// Where this node's API server listens.
    pub local_api_endpoint: ApiEndpoint,
    /// Hex key that encrypts the uploaded certificates; empty when none was given.
    pub certificate_key: SecretText,
    /// Phases to leave out.
    pub skip_phases: Vec<String>,
    /// Folder of patches.
    pub patches: Option<Patches>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// A text that must not appear in logs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretText(pub String);

impl SecretText {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "<redacted>" })
    }
}

/// A token and what it is good for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BootstrapToken {
    /// The token; empty until one is made.
    pub token: BootstrapTokenString,
    /// Why it exists, for people.
    pub description: String,
    /// Time to live; zero is for ever.
    pub ttl: Option<GoDuration>,
    /// End of life, instead of a time to live.
    pub expires: Option<jiff::Timestamp>,
    /// `signing`, `authentication`.
    pub usages: Vec<String>,
    /// Extra groups of its bearer.
    pub groups: Vec<String>,
}

/// How a node registers with the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeRegistration {
    /// Name of the Node object.
    pub name: String,
    /// Endpoint of the container runtime, a `unix://` URL (a bare path in old configurations).
    pub cri_socket: String,
    /// Taints of the Node; absent means the usual ones, an empty list none.
    pub taints: Option<Vec<Taint>>,
    /// Arguments for the kubelet.
    pub kubelet_extra_args: Vec<Arg>,
    /// Preflight checks whose errors become warnings.
    pub ignore_preflight_errors: Vec<String>,
    /// When images are pulled; see [`ImagePullPolicy::parse`].
    pub image_pull_policy: String,
    /// Whether images are pulled one after the other; absent means yes.
    pub image_pull_serial: Option<bool>,
}

/// When images are pulled before a control plane starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePullPolicy {
    /// Even if the image is there.
    Always,
    /// Unless the image is there.
    IfNotPresent,
    /// Never; a missing image is an error.
    Never,
}

impl ImagePullPolicy {
    /// Reads the name; an empty one is `IfNotPresent`, as older files leave it out.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "IfNotPresent" => Some(ImagePullPolicy::IfNotPresent),
            "Always" => Some(ImagePullPolicy::Always),
            "Never" => Some(ImagePullPolicy::Never),
            _ => None,
        }
    }
}

/// A taint of a Node (core/v1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, often empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// Since when, for `NoExecute`.
    pub time_added: Option<jiff::Timestamp>,
}

/// One command-line argument for a component, without its dashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// How it meets a value that kubeadm sets itself.
    pub merge: MergeMethod,
}

impl Arg {
    /// An argument that replaces what kubeadm would set.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Arg { name: name.into(), value: value.into(), merge: MergeMethod::default() }
    }
}

/// How an argument meets one of the same name that kubeadm sets (API v1 only).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MergeMethod {
    /// It takes the other's place.
    #[default]
    Replace,
    /// It is added after the other's values.
    Append,
    /// It is added before the other's values.
    Prepend,
    /// A word that does not exist; validation refuses it.
    Unknown(String),
}

/// An environment variable of a container (core/v1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value, if given here.
    pub value: String,
    /// Where the value comes from instead, as written.
    pub value_from: Option<serde_json::Value>,
}

/// Address and port of an API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiEndpoint {
    /// IP address that others are told; empty until detected.
    pub advertise_address: String,
    /// TCP port; 0 until defaulted.
    pub bind_port: i32,
}

/// Where patches of kubeadm's own files lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches {
    /// The folder; empty for none.
    pub directory: String,
}

/// How long kubeadm waits; `Default` holds upstream's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// API server, controller manager and scheduler becoming healthy.
    pub control_plane_component_health_check: GoDuration,
    /// The kubelet becoming healthy.
    pub kubelet_health_check: GoDuration,
    /// One retried API operation.
    pub kubernetes_api_call: GoDuration,
    /// One retried etcd operation.
    pub etcd_api_call: GoDuration,
    /// A joining kubelet's certificate.
    pub tls_bootstrap: GoDuration,
    /// Finding the cluster to join.
    pub discovery: GoDuration,
    /// Static pods restarting with new manifests.
    pub upgrade_manifests: GoDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            control_plane_component_health_check: GoDuration::from_minutes(4),
            kubelet_health_check: GoDuration::from_minutes(4),
            kubernetes_api_call: GoDuration::from_minutes(1),
            etcd_api_call: GoDuration::from_minutes(2),
            tls_bootstrap: GoDuration::from_minutes(5),
            discovery: GoDuration::from_minutes(5),
            upgrade_manifests: GoDuration::from_minutes(5),
        }
    }
}
