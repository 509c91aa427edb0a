//! The phases of `reset`, and the tree that orders them. cmd/kubeadm/app/cmd/reset.go, 1.37.

use super::leaf;
use crate::phase::Phase;
use crate::plan::{Action, ServiceVerb, Step};
use crate::reset::ResetSpec;

pub mod cleanup_node;
pub mod preflight;
pub mod remove_etcd_member;

/// All phases of `kubeadm reset` in order.
pub static RESET: &[Phase<ResetSpec>] = &[
    Phase {
        aliases: &["pre-flight"],
        ..leaf(
            "preflight",
            "Run reset pre-flight checks",
            &["dry-run", "force", "ignore-preflight-errors"],
            preflight::plan,
        )
    },
    leaf(
        "remove-etcd-member",
        "Remove a local etcd member.",
        &["dry-run", "kubeconfig"],
        remove_etcd_member::plan,
    ),
    Phase {
        aliases: &["cleanupnode"],
        ..leaf(
            "cleanup-node",
            "Run cleanup node.",
            &["cert-dir", "cleanup-tmp-dir", "cri-socket", "dry-run"],
            cleanup_node::plan,
        )
    },
];

/// Stops the kubelet, which would start again what is being removed. Both phases that remove something begin with it.
fn stop_kubelet() -> Step {
    Step::new(Action::Service {
        verb: ServiceVerb::Stop,
        service: "kubelet",
        warning: "[reset] The kubelet service could not be stopped by kubeadm".into(),
        advice: Some("[reset] Please ensure kubelet is stopped manually".into()),
    })
    .saying("[reset] Stopping the kubelet service")
    .would("[dryrun] Would stop the kubelet service")
    .once()
}
