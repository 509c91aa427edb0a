//! `control-plane-prepare`: the files of a control plane, before anything of it starts.
//!
//! What init does for the first node is done by init's own planners; only what comes first differs, because this node
//! shares the authorities of others and makes none (Q9 of the original).

pub mod certs;
pub mod download_certs;
pub mod shared;

use futures::future::BoxFuture;

use crate::join::JoinSpec;
use crate::phase::Plan;
use crate::phases::{PhaseError, control_plane, kubeconfig};
use crate::plan::{Action, Step};
use crate::ports::View;
use crate::spec::InitSpec;

/// Plans `kubeconfig`.
pub fn plan_kubeconfig<'a>(
    spec: &'a JoinSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        if !joined.seen() {
            let text = "[dryrun] Would generate kubeconfig files with the cluster's authority";
            steps.push(Step::new(Action::Nothing).would(text));
            return Ok(steps);
        }
        steps.push(Step::say("[kubeconfig] Generating kubeconfig files"));
        let plans: [Plan<InitSpec>; 4] = [
            kubeconfig::plan_folder,
            kubeconfig::plan_admin,
            kubeconfig::plan_controller_manager,
            kubeconfig::plan_scheduler,
        ];
        steps.extend(as_init(spec, view, &plans).await?);
        Ok(steps)
    })
}

/// Plans `control-plane`.
pub fn plan_control_plane<'a>(
    spec: &'a JoinSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let plans: [Plan<InitSpec>; 4] = [
            control_plane::plan_folder,
            control_plane::plan_apiserver,
            control_plane::plan_controller_manager,
            control_plane::plan_scheduler,
        ];
        as_init(spec, view, &plans).await
    })
}

/// What `init` plans for this node.
async fn as_init(spec: &JoinSpec, view: View<'_>, plans: &[Plan<InitSpec>]) -> Result<Vec<Step>, PhaseError> {
    let (joined, mut steps) = spec.joined(view).await?;
    let node = joined.control_plane(view.files)?;
    for plan in plans {
        steps.extend(plan(&node, view).await?);
    }
    Ok(steps)
}
