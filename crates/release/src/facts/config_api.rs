//! Configuration APIs and feature gates.

use crate::column::{Column, Span};
use crate::listing::{Fact, Facts};

/// A version of `kubeadm.k8s.io`. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `v1alpha1`, `MasterConfiguration`.
    V1Alpha1,
    /// `v1alpha2`, `MasterConfiguration`.
    V1Alpha2,
    /// `v1alpha3`, the first with `ClusterConfiguration`.
    V1Alpha3,
    /// `v1beta1`.
    V1Beta1,
    /// `v1beta2`.
    V1Beta2,
    /// `v1beta3`.
    V1Beta3,
    /// `v1beta4`.
    V1Beta4,
    /// `v1`, experimental.
    V1,
}

impl Api {
    /// All, oldest first.
    const ALL: [Self; 8] = [
        Self::V1Alpha1,
        Self::V1Alpha2,
        Self::V1Alpha3,
        Self::V1Beta1,
        Self::V1Beta2,
        Self::V1Beta3,
        Self::V1Beta4,
        Self::V1,
    ];

    /// The version as documents write it, after the group.
    pub fn version(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "v1alpha1",
            Self::V1Alpha2 => "v1alpha2",
            Self::V1Alpha3 => "v1alpha3",
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
            Self::V1Beta3 => "v1beta3",
            Self::V1Beta4 => "v1beta4",
            Self::V1 => "v1",
        }
    }

    /// Group and version: `kubeadm.k8s.io/v1beta4`.
    pub fn group_version(self) -> String {
        format!("kubeadm.k8s.io/{}", self.version())
    }

    /// The API of a group and version.
    pub fn of_group_version(text: &str) -> Option<Self> {
        let version = text.strip_prefix("kubeadm.k8s.io/")?;
        Self::ALL.into_iter().find(|api| api.version() == version)
    }
}

impl Facts for Api {
    fn fact(&self) -> Fact {
        Fact::Text(self.version())
    }
}

/// How ready a feature gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Stage {
    /// Off by default, may vanish.
    Alpha,
    /// Well tested.
    Beta,
    /// Stable.
    Ga,
    /// Refused or warned of; the text says what replaced it.
    Deprecated(&'static str),
}

/// A feature gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct FeatureGate {
    /// Its name.
    pub name: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// Its value when nobody says.
    pub default: bool,
    /// Whether help texts leave it out.
    pub hidden: bool,
    /// What this program does whatever the gate says, where it does one of the two only.
    pub always: Option<bool>,
}

/// The gate of networks with a range of each family.
pub const IPV6_DUAL_STACK: &str = "IPv6DualStack";
/// The gate of keys of ECDSA, whatever the configuration says of algorithms.
pub const PUBLIC_KEYS_ECDSA: &str = "PublicKeysECDSA";
/// The gate of a kubelet ConfigMap without the minor in its name.
pub const UNVERSIONED_KUBELET_CONFIG_MAP: &str = "UnversionedKubeletConfigMap";
/// The gate of add-ons that are upgraded with the first control-plane node, not with the last.
pub const UPGRADE_ADDONS_FIRST: &str = "UpgradeAddonsBeforeControlPlane";
/// The gate of control-plane kubelets that speak to the API server of their own node.
pub const KUBELET_LOCAL_MODE: &str = "ControlPlaneKubeletLocalMode";
/// The gate of nodes that keep the socket of their runtime in a file, and no longer in an annotation.
pub const NODE_LOCAL_CRI_SOCKET: &str = "NodeLocalCRISocket";

/// When a network may have a range of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum DualStack {
    /// Never.
    No,
    /// With the gate `IPv6DualStack`.
    Gated,
    /// Always.
    Yes,
}

/// Facts of configuration.
#[derive(Debug, Clone, Facts)]
pub struct ConfigApi {
    /// The API written into the cluster and by `config migrate`.
    pub written: Api,
    /// The APIs kubeadm of that minor reads.
    pub read: Vec<Api>,
    /// The version label that stands for "the newest" when the user names none.
    pub default_version_label: &'static str,
    /// Whether a version that cannot be looked up falls back to the client's own.
    pub offline_fallback: bool,
    /// Feature gates.
    pub feature_gates: Vec<FeatureGate>,
    /// Whether a network may have a range of each family.
    pub dual_stack: DualStack,
    /// Whether an external etcd's `httpEndpoints` are stored where they are the same as its `endpoints`.
    pub http_endpoints: bool,
    /// Whether printed defaults name a node `node` and no taints, and not this host with the taints of a master.
    pub prints_placeholders: bool,
    /// Whether `config migrate` also writes component configurations that differ from their defaults.
    pub migrates_components: bool,
    /// Whether deprecated gates are refused on the command line and in files.
    pub deprecated_gates_refused: bool,
}

impl ConfigApi {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            written: WRITTEN.at(minor),
            read: Span::at(READ, minor),
            default_version_label: DEFAULT_VERSION_LABEL.at(minor),
            offline_fallback: OFFLINE_FALLBACK.at(minor),
            feature_gates: Span::at(FEATURE_GATES, minor),
            dual_stack: DUAL_STACK.at(minor),
            http_endpoints: HTTP_ENDPOINTS.at(minor),
            prints_placeholders: PRINTS_PLACEHOLDERS.at(minor),
            migrates_components: MIGRATES_COMPONENTS.at(minor),
            deprecated_gates_refused: DEPRECATED_GATES_REFUSED.at(minor),
        }
    }
}

/// Source: app/util/config/common.go and the scheme of each release.
const WRITTEN: Column<Api> = Column(&[
    (0, Api::V1Alpha1),  // v1.10
    (11, Api::V1Alpha2), // v1.11
    (12, Api::V1Alpha3), // v1.12
    (13, Api::V1Beta1),  // v1.13
    (15, Api::V1Beta2),  // v1.15
    (22, Api::V1Beta3),  // v1.22
    (31, Api::V1Beta4),  // v1.31
]);

/// Source: app/util/config/common.go oldKnownAPIVersions of each release.
const READ: &[Span<Api>] = &[
    Span::until(12, Api::V1Alpha1),
    Span::within(11, 13, Api::V1Alpha2),
    Span::within(12, 14, Api::V1Alpha3),
    Span::within(13, 22, Api::V1Beta1),
    Span::within(15, 27, Api::V1Beta2),
    Span::within(22, 37, Api::V1Beta3),
    Span::since(31, Api::V1Beta4),
];

const DEFAULT_VERSION_LABEL: Column<&str> = Column(&[
    (0, "stable-1.11"), // app/apis/kubeadm/v1alpha2/defaults.go, v1.11
    (12, "stable-1"),   // app/apis/kubeadm/v1alpha3/defaults.go, v1.12
]);

const OFFLINE_FALLBACK: Column<bool> = Column(&[
    (0, false), // app/util/version.go, v1.11
    (12, true), // app/util/version.go, v1.12
]);

const PRINTS_PLACEHOLDERS: Column<bool> = Column(&[
    (0, false), // written by v1.13
    (21, true), // written by v1.21
]);

const MIGRATES_COMPONENTS: Column<bool> = Column(&[
    (0, true),   // app/util/config/cluster.go MarshalClusterConfigurationToBytes, v1.13
    (16, false), // the same, v1.16: written by v1.15, not by v1.16
]);

const fn gate(name: &'static str, stage: Stage, default: bool, hidden: bool) -> FeatureGate {
    FeatureGate { name, stage, default, hidden, always: None }
}

/// A gate that was there while something new came; this program does what became of it.
const fn settled(name: &'static str, stage: Stage, default: bool, always: bool) -> FeatureGate {
    FeatureGate { name, stage, default, hidden: false, always: Some(always) }
}

/// Source: app/features/features.go of each release.
const FEATURE_GATES: &[Span<FeatureGate>] = &[
    Span::until(13, gate("Auditing", Stage::Alpha, false, false)),
    Span::until(13, gate("CoreDNS", Stage::Ga, true, false)),
    Span::within(
        13,
        18, // gone in v1.18
        gate(
            "CoreDNS",
            Stage::Deprecated(
                "featureGates:CoreDNS has been removed in v1.13\n\tUse kubeadm-config to select which DNS addon to install.",
            ),
            true,
            true,
        ),
    ),
    Span::until(12, gate("DynamicKubeletConfig", Stage::Alpha, false, false)),
    Span::within(12, 13, gate("DynamicKubeletConfig", Stage::Beta, false, false)),
    Span::until(12, gate("HighAvailability", Stage::Alpha, false, true)),
    Span::within(
        12,
        13,
        gate(
            "HighAvailability",
            Stage::Deprecated(
                "featureGates:HighAvailability has been removed in v1.12\n\tThis feature has been replaced by the kubeadm join --control-plane workflow.",
            ),
            false,
            true,
        ),
    ),
    Span::until(12, gate("SelfHosting", Stage::Alpha, false, false)),
    Span::within(
        12,
        13,
        gate(
            "SelfHosting",
            Stage::Deprecated("featureGates:SelfHosting has been removed in v1.12"),
            false,
            true,
        ),
    ),
    Span::until(12, gate("StoreCertsInSecrets", Stage::Alpha, false, false)),
    Span::within(
        12,
        13,
        gate(
            "StoreCertsInSecrets",
            Stage::Deprecated("featureGates:StoreCertsInSecrets has been removed in v1.12"),
            false,
            true,
        ),
    ),
    Span::within(16, 21, gate(IPV6_DUAL_STACK, Stage::Alpha, false, false)),
    Span::within(21, 23, gate(IPV6_DUAL_STACK, Stage::Beta, true, false)),
    Span::within(23, 24, settled(IPV6_DUAL_STACK, Stage::Ga, true, true)),
    Span::within(18, 29, gate(PUBLIC_KEYS_ECDSA, Stage::Alpha, false, false)),
    Span::within(
        29,
        30,
        gate(
            PUBLIC_KEYS_ECDSA,
            Stage::Deprecated(
                "The PublicKeysECDSA feature gate is deprecated and will be removed after the feature 'ClusterConfiguration.EncryptionAlgorithm' is added.",
            ),
            false,
            false,
        ),
    ),
    Span::within(
        30,
        37,
        gate(
            PUBLIC_KEYS_ECDSA,
            Stage::Deprecated(
                "The PublicKeysECDSA feature gate is deprecated and will be removed when v1beta3 is removed. v1beta4 supports a new option 'ClusterConfiguration.EncryptionAlgorithm'.",
            ),
            false,
            false,
        ),
    ),
    Span::since(22, gate("RootlessControlPlane", Stage::Alpha, false, false)),
    Span::within(23, 24, gate(UNVERSIONED_KUBELET_CONFIG_MAP, Stage::Alpha, false, false)),
    Span::within(24, 25, gate(UNVERSIONED_KUBELET_CONFIG_MAP, Stage::Beta, true, false)),
    Span::within(25, 26, gate(UNVERSIONED_KUBELET_CONFIG_MAP, Stage::Ga, true, false)),
    Span::within(27, 29, settled("EtcdLearnerMode", Stage::Alpha, false, true)),
    Span::within(29, 32, settled("EtcdLearnerMode", Stage::Beta, true, true)),
    Span::within(32, 33, settled("EtcdLearnerMode", Stage::Ga, true, true)),
    Span::within(
        28,
        31,
        gate(
            UPGRADE_ADDONS_FIRST,
            Stage::Deprecated(
                "The UpgradeAddonsBeforeControlPlane feature gate is deprecated and will be removed in a future release.",
            ),
            false,
            false,
        ),
    ),
    Span::within(30, 33, settled("WaitForAllControlPlaneComponents", Stage::Alpha, false, true)),
    Span::within(33, 34, settled("WaitForAllControlPlaneComponents", Stage::Beta, true, true)),
    Span::within(34, 35, settled("WaitForAllControlPlaneComponents", Stage::Ga, true, true)),
    Span::within(31, 33, gate(KUBELET_LOCAL_MODE, Stage::Alpha, false, false)),
    Span::within(33, 35, gate(KUBELET_LOCAL_MODE, Stage::Beta, true, false)),
    Span::within(35, 36, gate(KUBELET_LOCAL_MODE, Stage::Ga, true, false)),
    Span::within(32, 34, gate(NODE_LOCAL_CRI_SOCKET, Stage::Alpha, false, false)),
    Span::within(34, 36, gate(NODE_LOCAL_CRI_SOCKET, Stage::Beta, true, false)),
    Span::within(36, 37, gate(NODE_LOCAL_CRI_SOCKET, Stage::Ga, true, false)),
];

const DUAL_STACK: Column<DualStack> = Column(&[
    (0, DualStack::No), // app/apis/kubeadm/validation/validation.go ValidateNetworking, v1.15
    (16, DualStack::Gated), // the same, v1.16
    (23, DualStack::Yes), // the same, v1.23: the gate, on by default since v1.21, is no longer asked
]);

const HTTP_ENDPOINTS: Column<bool> = Column(&[
    (0, false), // not written by v1.34
    (35, true), // app/apis/kubeadm/v1beta4/defaults.go, v1.35
]);

const DEPRECATED_GATES_REFUSED: Column<bool> = Column(&[
    (0, true),   // app/features/features.go NewFeatureGate, v1.12 and v1.13
    (28, false), // the same, v1.28: only warned of
]);
