//! The phases of `join` for a worker, and the tree that orders them. cmd/kubeadm/app/cmd/join.go, 1.37.

use super::leaf;
use crate::join::JoinSpec;
use crate::phase::Phase;

pub mod kubelet_start;
pub mod kubelet_wait_bootstrap;
pub mod preflight;

/// Those of `preflight` include what only a control plane has: it is refused by the command.
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

/// All phases of `kubeadm join` in order.
pub static JOIN: &[Phase<JoinSpec>] = &[
    leaf("preflight", "Run join pre-flight checks", PREFLIGHT, preflight::plan),
    leaf(
        "kubelet-start",
        "Write kubelet settings, certificates and (re)start the kubelet",
        &[
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
        ],
        kubelet_start::plan,
    ),
    leaf(
        "kubelet-wait-bootstrap",
        "Wait for the kubelet to bootstrap itself",
        &["config", "cri-socket", "dry-run"],
        kubelet_wait_bootstrap::plan,
    ),
];
