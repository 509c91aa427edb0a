//! The phases of `upgrade apply` and `upgrade node`, and the trees that order them.
//! cmd/kubeadm/app/cmd/upgrade/{apply,node}.go, 1.37.

use super::{group, leaf};
use crate::phase::Phase;
use crate::upgrade::UpgradeSpec;

pub mod addon;
mod administrators;
pub mod bootstrap_token;
pub mod control_plane;
pub mod kubeconfig;
pub mod kubelet_config;
mod node_marks;
pub mod post_upgrade;
pub mod preflight;
pub mod upload_config;

const PLAIN: &[&str] = &["config", "dry-run", "kubeconfig"];
const PATCHED: &[&str] = &["config", "dry-run", "kubeconfig", "patches"];
const CONTROL_PLANE: &[&str] =
    &["certificate-renewal", "config", "dry-run", "etcd-upgrade", "kubeconfig", "patches"];

const KUBECONFIG: Phase<UpgradeSpec> = Phase {
    hidden: true,
    ..leaf("kubeconfig", "Upgrade kubeconfig files for this node", PLAIN, kubeconfig::plan)
};

const KUBELET_CONFIG: Phase<UpgradeSpec> =
    leaf("kubelet-config", "Upgrade the kubelet configuration for this node", PATCHED, kubelet_config::plan);

const ADDON: Phase<UpgradeSpec> = group(
    "addon",
    "Upgrade the default kubeadm addons",
    None,
    &[
        leaf("coredns", "Upgrade the CoreDNS addon", PATCHED, addon::plan_coredns),
        leaf("kube-proxy", "Upgrade the kube-proxy addon", PATCHED, addon::plan_kube_proxy),
    ],
    Some(PATCHED),
);

const POST_UPGRADE: Phase<UpgradeSpec> =
    leaf("post-upgrade", "Run post upgrade tasks", PLAIN, post_upgrade::plan);

/// All phases of `kubeadm upgrade apply` in order.
pub static APPLY: &[Phase<UpgradeSpec>] = &[
    leaf(
        "preflight",
        "Run preflight checks before upgrade",
        &[
            "allow-experimental-upgrades",
            "allow-release-candidate-upgrades",
            "config",
            "dry-run",
            "force",
            "ignore-preflight-errors",
            "kubeconfig",
            "yes",
        ],
        preflight::plan_apply,
    ),
    leaf("control-plane", "Upgrade the control plane", CONTROL_PLANE, control_plane::plan_apply),
    Phase {
        aliases: &["uploadconfig"],
        ..group(
            "upload-config",
            "Upload the kubeadm and kubelet configurations to ConfigMaps",
            None,
            &[
                leaf(
                    "kubeadm",
                    "Upload the kubeadm ClusterConfiguration to a ConfigMap",
                    PLAIN,
                    upload_config::plan_kubeadm,
                ),
                leaf(
                    "kubelet",
                    "Upload the kubelet configuration to a ConfigMap",
                    PLAIN,
                    upload_config::plan_kubelet,
                ),
            ],
            Some(PLAIN),
        )
    },
    KUBECONFIG,
    KUBELET_CONFIG,
    leaf(
        "bootstrap-token",
        "Configures bootstrap token and cluster-info RBAC rules",
        PLAIN,
        bootstrap_token::plan,
    ),
    ADDON,
    POST_UPGRADE,
];

/// All phases of `kubeadm upgrade node` in order.
pub static NODE: &[Phase<UpgradeSpec>] = &[
    leaf(
        "preflight",
        "Run upgrade node pre-flight checks",
        &["config", "ignore-preflight-errors"],
        preflight::plan_node,
    ),
    leaf(
        "control-plane",
        "Upgrade the control plane instance deployed on this node, if any",
        CONTROL_PLANE,
        control_plane::plan_node,
    ),
    KUBECONFIG,
    KUBELET_CONFIG,
    ADDON,
    POST_UPGRADE,
];
