//! `control-plane-join/mark-control-plane`: what init does for the first node, and the wait for this node's components.

use futures::future::BoxFuture;

use crate::join::JoinSpec;
use crate::phases::{PhaseError, mark_control_plane};
use crate::plan::Step;
use crate::ports::View;

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        let node = joined.node.node_name();
        let would = format!("[control-plane-join] Would mark node {node} as a control-plane");
        let marks = mark_control_plane::plan(&joined.node, view).await?;
        steps.extend(marks.into_iter().map(|step| step.would(would.clone())));
        Ok(steps)
    })
}
