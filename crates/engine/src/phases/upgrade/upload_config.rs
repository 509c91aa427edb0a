//! `upload-config` of `upgrade apply`: what `init` stores, of the new version.

use futures::future::BoxFuture;

use crate::phase::Plan;
use crate::phases::{PhaseError, upload_config};
use crate::plan::Step;
use crate::ports::View;
use crate::spec::InitSpec;
use crate::upgrade::UpgradeSpec;

/// Plans `upload-config kubeadm`.
pub fn plan_kubeadm<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(as_init(spec, view, upload_config::plan_kubeadm))
}

/// Plans `upload-config kubelet`.
pub fn plan_kubelet<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(as_init(spec, view, upload_config::plan_kubelet))
}

/// What `init` plans for this node.
async fn as_init(spec: &UpgradeSpec, view: View<'_>, plan: Plan<InitSpec>) -> Result<Vec<Step>, PhaseError> {
    let (node, mut steps) = spec.node(view).await?;
    steps.extend(plan(node, view).await?);
    Ok(steps)
}
