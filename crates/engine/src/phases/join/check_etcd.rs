//! `check-etcd`: whether etcd can take one more member, and this node's turn to become it.
//!
//! The turn is waited for before the kubelet starts: an API server whose etcd does not come would be restarted with
//! growing pauses meanwhile.

use futures::future::BoxFuture;

use crate::etcd::health::{self, Needed};
use crate::join::JoinSpec;
use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::View;

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        if !joined.node.local_etcd() {
            steps.push(Step::say("[check-etcd] Skipping etcd check in external mode"));
            return Ok(steps);
        }
        if joined.seen() {
            let access = super::etcd_access(spec, joined, view).await?;
            let limit = spec.patience(spec.join.timeouts.etcd_api_call);
            health::wait(Needed::Majority, &access, view, limit).await?;
        }
        steps.push(
            Step::say("[check-etcd] Checking that the etcd cluster is healthy")
                .would("[dryrun] Would check that the etcd cluster is healthy"),
        );
        steps.push(enter_queue(spec));
        Ok(steps)
    })
}

/// Waits for this node's turn, unless it has it.
pub(super) fn enter_queue(spec: &JoinSpec) -> Step {
    Step::new(Action::EnterQueue { node: spec.join.node_registration.name.clone() }).once()
}
