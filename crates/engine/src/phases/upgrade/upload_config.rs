//! `upload-config` of `upgrade apply`: what `init` stores, of the new version.

use futures::future::BoxFuture;

use crate::phases::{PhaseError, upload_config};
use crate::plan::Step;
use crate::ports::View;
use crate::upgrade::UpgradeSpec;

/// Plans `upload-config kubeadm`.
pub fn plan_kubeadm<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (node, mut steps) = spec.node(view).await?;
        steps.extend(upload_config::plan_kubeadm(node, view).await?);
        Ok(steps)
    })
}

/// Plans `upload-config kubelet`.
pub fn plan_kubelet<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (node, mut steps) = spec.node(view).await?;
        steps.extend(upload_config::plan_kubelet(node, view).await?);
        Ok(steps)
    })
}
