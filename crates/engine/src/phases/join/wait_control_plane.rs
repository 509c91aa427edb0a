//! `wait-control-plane` of `join`: until the components of this node answer. cmd/kubeadm/app/cmd/phases/join/waitcontrolplane.go,
//! 1.37.

use futures::future::BoxFuture;

use crate::join::JoinSpec;
use crate::phases::{PhaseError, wait_control_plane};
use crate::plan::{Action, Step};
use crate::ports::{Access, View};

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        let node = &joined.node;
        // The endpoint of the control plane may lead to any of the servers: this node's own is meant.
        let access = Access { server: Some(node.local_endpoint()), ..node.access.clone() };
        let wait = wait_control_plane::wait(node, view, &access)?;
        steps.push(Step::new(Action::WaitControlPlane(wait)).silent_when_dry());
        Ok(steps)
    })
}
