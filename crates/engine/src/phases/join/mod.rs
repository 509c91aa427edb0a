//! The phases of `join`, and the tree that orders them. cmd/kubeadm/app/cmd/join.go, 1.37.

use super::{group, leaf};
use crate::etcd::{self, EndpointsError};
use crate::join::{JoinSpec, Joined};
use crate::phase::Phase;
use crate::ports::{EtcdAccess, View};

pub mod check_etcd;
pub mod control_plane_prepare;
pub mod etcd_join;
pub mod kubelet_start;
pub mod kubelet_wait_bootstrap;
pub mod mark_control_plane;
pub mod preflight;
pub mod wait_control_plane;

use control_plane_prepare::{certs, download_certs, plan_control_plane, plan_kubeconfig};

const PREFLIGHT: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "certificate-key",
    "config",
    "control-plane",
    "cri-socket",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "ignore-preflight-errors",
    "node-name",
    "tls-bootstrap-token",
    "token",
];
const PREPARE: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "certificate-key",
    "config",
    "control-plane",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "node-name",
    "patches",
    "tls-bootstrap-token",
    "token",
];
const DOWNLOAD_CERTS: &[&str] = &[
    "certificate-key",
    "config",
    "control-plane",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "tls-bootstrap-token",
    "token",
];
const CERTS: &[&str] = &[
    "apiserver-advertise-address",
    "config",
    "control-plane",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "node-name",
    "tls-bootstrap-token",
    "token",
];
const KUBELET_START: &[&str] = &[
    "config",
    "cri-socket",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "node-name",
    "patches",
    "tls-bootstrap-token",
    "token",
];
const CONTROL_PLANE: &[&str] =
    &["apiserver-advertise-address", "apiserver-bind-port", "config", "control-plane", "dry-run", "patches"];
/// Flags of what is done once the files of the control plane are there.
const MEMBER: &[&str] =
    &["apiserver-advertise-address", "config", "control-plane", "dry-run", "node-name", "patches"];

/// All phases of `kubeadm join` in order.
pub static JOIN: &[Phase<JoinSpec>] = &[
    leaf("preflight", "Run join pre-flight checks", PREFLIGHT, preflight::plan),
    Phase {
        applies: control_plane,
        ..group(
            "control-plane-prepare",
            "Prepare the machine for serving a control plane",
            None,
            PREPARE_PHASES,
            Some(PREPARE),
        )
    },
    Phase {
        hidden: true,
        ..of_control_plane("check-etcd", "Check cluster health for etcd join", &[], check_etcd::plan)
    },
    leaf(
        "kubelet-start",
        "Write kubelet settings, certificates and (re)start the kubelet",
        KUBELET_START,
        kubelet_start::plan,
    ),
    of_control_plane("etcd-join", "Join etcd for control plane nodes", MEMBER, etcd_join::plan),
    leaf(
        "kubelet-wait-bootstrap",
        "Wait for the kubelet to bootstrap itself",
        &["config", "cri-socket", "dry-run"],
        kubelet_wait_bootstrap::plan,
    ),
    Phase {
        applies: control_plane,
        ..group(
            "control-plane-join",
            "Join a machine as a control plane instance",
            None,
            CONTROL_PLANE_JOIN,
            Some(MEMBER),
        )
    },
    of_control_plane(
        "wait-control-plane",
        "Wait for the control plane to start",
        &[],
        wait_control_plane::plan,
    ),
];

const PREPARE_PHASES: &[Phase<JoinSpec>] = &[
    of_control_plane(
        "download-certs",
        "Download certificates shared among control-plane nodes from the kubeadm-certs Secret",
        DOWNLOAD_CERTS,
        download_certs::plan,
    ),
    of_control_plane(
        "certs",
        "Generate the certificates for the new control plane components",
        CERTS,
        certs::plan,
    ),
    of_control_plane(
        "kubeconfig",
        "Generate the kubeconfig for the new control plane components",
        DOWNLOAD_CERTS,
        plan_kubeconfig,
    ),
    of_control_plane(
        "control-plane",
        "Generate the manifests for the new control plane components",
        CONTROL_PLANE,
        plan_control_plane,
    ),
];

const CONTROL_PLANE_JOIN: &[Phase<JoinSpec>] = &[of_control_plane(
    "mark-control-plane",
    "Mark a node as a control-plane",
    &["config", "control-plane", "dry-run", "node-name"],
    mark_control_plane::plan,
)];

/// A leaf that a worker has no use for.
const fn of_control_plane(
    name: &'static str,
    about: &'static str,
    flags: &'static [&'static str],
    plan: crate::phase::Plan<JoinSpec>,
) -> Phase<JoinSpec> {
    Phase { applies: control_plane, ..leaf(name, about, flags, plan) }
}

/// Whether the node becomes one of the control plane.
fn control_plane(spec: &JoinSpec) -> bool {
    spec.join.control_plane.is_some()
}

/// How the members of etcd are reached, with the certificates that this node has by now.
async fn etcd_access(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Result<EtcdAccess, EndpointsError> {
    let layout = &joined.node.layout;
    let limit = spec.patience(spec.join.timeouts.kubernetes_api_call);
    etcd::access(view.api, view, &layout.shown(&layout.pki), limit).await
}
