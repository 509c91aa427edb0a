//! ClusterConfiguration: what all nodes of a cluster share, and what is kept in the cluster.

use std::collections::BTreeMap;

use kubeadm_release::facts::config_api::PUBLIC_KEYS_ECDSA;

use super::init::{Arg, EnvVar};
use crate::duration::GoDuration;

/// What holds for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterConfiguration {
    /// Where etcd runs.
    pub etcd: Etcd,
    /// Address ranges and DNS domain.
    pub networking: Networking,
    /// Version of the control plane, or a label until resolved.
    pub kubernetes_version: String,
    /// A stable `host[:port]` in front of all API servers.
    pub control_plane_endpoint: String,
    /// kube-apiserver.
    pub api_server: ApiServer,
    /// kube-controller-manager.
    pub controller_manager: ControlPlaneComponent,
    /// kube-scheduler.
    pub scheduler: ControlPlaneComponent,
    /// The DNS add-on.
    pub dns: Dns,
    /// kube-proxy.
    pub proxy: Proxy,
    /// Folder of certificates and keys.
    pub certificates_dir: String,
    /// Registry prefix of all images.
    pub image_repository: String,
    /// Registry prefix of images of a CI build; empty unless the version is one. Never written.
    pub ci_image_repository: String,
    /// The CI label a version was resolved from, e.g. `ci/v1.37.0-alpha.1+abc`; never written as such.
    pub ci_kubernetes_version: String,
    /// kubeadm's own feature gates.
    pub feature_gates: BTreeMap<String, bool>,
    /// Name of the cluster in kubeconfig files.
    pub cluster_name: String,
    /// Kind of new keys; see [`EncryptionAlgorithm::parse`].
    pub encryption_algorithm: String,
    /// Validity of leaf certificates; absent until defaulted.
    pub certificate_validity_period: Option<GoDuration>,
    /// Validity of certificate authorities; absent until defaulted.
    pub ca_certificate_validity_period: Option<GoDuration>,
    /// One hyperkube image for all components (API v1beta1, v1beta2).
    pub use_hyperkube_image: bool,
    /// The hyperkube image by its full name (API v1alpha2, v1alpha3).
    pub unified_control_plane_image: String,
    /// Audit policy of the gate `Auditing` (API v1alpha2, v1alpha3).
    pub audit_policy: AuditPolicy,
}

impl ClusterConfiguration {
    /// The algorithm of new keys. The gate, where it is set, counts for more than the field (app/apis/kubeadm/types.go
    /// EncryptionAlgorithmType, v1.31).
    pub fn key_algorithm(&self) -> &str {
        match self.feature_gates.get(PUBLIC_KEYS_ECDSA) {
            Some(true) => "ECDSA-P256",
            Some(false) => "RSA-2048",
            None => &self.encryption_algorithm,
        }
    }
}

/// Exactly one of the two, once validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Etcd {
    /// A static pod on each control-plane node.
    pub local: Option<LocalEtcd>,
    /// A cluster somebody else runs.
    pub external: Option<ExternalEtcd>,
}

/// etcd as a static pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalEtcd {
    /// Registry prefix, instead of the cluster's.
    pub image_repository: String,
    /// Tag, instead of the release's.
    pub image_tag: String,
    /// The whole image name (API v1alpha2, v1alpha3), for releases that keep it so.
    pub image: String,
    /// Folder of its data on the host.
    pub data_dir: String,
    /// Arguments.
    pub extra_args: Vec<Arg>,
    /// Environment.
    pub extra_envs: Vec<EnvVar>,
    /// More names of its server certificate.
    pub server_cert_sans: Vec<String>,
    /// More names of its peer certificate.
    pub peer_cert_sans: Vec<String>,
}

/// An etcd cluster run by others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExternalEtcd {
    /// Client URLs.
    pub endpoints: Vec<String>,
    /// URLs of its HTTP gateway, where it differs.
    pub http_endpoints: Vec<String>,
    /// CA of its server certificates.
    pub ca_file: String,
    /// Client certificate.
    pub cert_file: String,
    /// Client key.
    pub key_file: String,
}

/// Address ranges and domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networking {
    /// Ranges of Services, comma separated.
    pub service_subnet: String,
    /// Ranges of Pods, comma separated.
    pub pod_subnet: String,
    /// Domain of Services.
    pub dns_domain: String,
}

/// A control-plane component as a static pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlPlaneComponent {
    /// Arguments.
    pub extra_args: Vec<Arg>,
    /// Host paths to mount.
    pub extra_volumes: Vec<HostPathMount>,
    /// Environment.
    pub extra_envs: Vec<EnvVar>,
}

/// kube-apiserver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiServer {
    /// What it shares with the others.
    pub component: ControlPlaneComponent,
    /// More names of its certificate.
    pub cert_sans: Vec<String>,
    /// How long `init` waits for it (API before v1beta4).
    pub timeout_for_control_plane: Option<GoDuration>,
}

/// A path of the host inside a static pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPathMount {
    /// Name of the volume.
    pub name: String,
    /// Path on the host.
    pub host_path: String,
    /// Path in the container.
    pub mount_path: String,
    /// Without writing.
    pub read_only: bool,
    /// core/v1 HostPathType.
    pub path_type: String,
}

/// The DNS add-on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Which one (API v1beta1, v1beta2; a gate before that, always CoreDNS after).
    pub kind: DnsKind,
    /// Registry prefix, instead of the cluster's.
    pub image_repository: String,
    /// Tag, instead of the release's.
    pub image_tag: String,
    /// Leave the add-on out.
    pub disabled: bool,
}

/// The DNS servers there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsKind {
    /// CoreDNS.
    #[default]
    CoreDns,
    /// kube-dns, up to 1.20.
    KubeDns,
}

/// kube-proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Leave the add-on out.
    pub disabled: bool,
}

/// Auditing as releases up to 1.12 set it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPolicy {
    /// A policy file of the user's; empty for the built-in one.
    pub path: String,
    /// Folder of the logs.
    pub log_dir: String,
    /// Days that logs are kept.
    pub log_max_age: Option<i32>,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionAlgorithm {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA with 2048 bits.
    #[default]
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl EncryptionAlgorithm {
    /// All names, in the order messages list them.
    pub const NAMES: [&str; 5] = ["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"];

    /// Reads the name; an empty one is RSA-2048, as older files leave it out.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ECDSA-P256" => Some(EncryptionAlgorithm::EcdsaP256),
            "ECDSA-P384" => Some(EncryptionAlgorithm::EcdsaP384),
            "" | "RSA-2048" => Some(EncryptionAlgorithm::Rsa2048),
            "RSA-3072" => Some(EncryptionAlgorithm::Rsa3072),
            "RSA-4096" => Some(EncryptionAlgorithm::Rsa4096),
            _ => None,
        }
    }
}
