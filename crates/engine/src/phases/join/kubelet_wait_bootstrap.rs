//! `kubelet-wait-bootstrap`: until the kubelet answers and has a certificate of its own.
//!
//! Needs nothing but this node, so that it runs alone on a worker too (Q1 of the original).
//! cmd/kubeadm/app/cmd/phases/join/kubelet.go, 1.37.

use std::path::Path;

use futures::future::BoxFuture;

use crate::join::JoinSpec;
use crate::phases::PhaseError;
use crate::phases::wait_control_plane::kubelet_health;
use crate::plan::{Action, Step, WaitBootstrap};
use crate::ports::View;
use crate::preflight::own::BOOTSTRAP_CONF;
use crate::spec::KUBERNETES;

/// Plans the phase. The credentials of the bootstrap go only once the kubelet has better ones: until then it may still
/// need them.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let timeouts = &spec.join.timeouts;
        let wait = WaitBootstrap {
            kubelet_health: kubelet_health(&spec.alone, view),
            kubelet_limit: timeouts.kubelet_health_check.to_std(),
            kubelet_conf: spec.kubelet_conf(),
            bootstrap_limit: timeouts.tls_bootstrap.to_std(),
        };
        Ok(vec![
            Step::new(Action::WaitBootstrap(wait))
                .would("[kubelet-wait] Would wait for the kubelet to be bootstrapped"),
            Step::new(Action::RemoveFile(Path::new(KUBERNETES).join(BOOTSTRAP_CONF))),
        ])
    })
}
