//! `upload-config` of `upgrade apply`: what `init` stores, of the new version.

use futures::future::BoxFuture;

use crate::phase::Plan;
use crate::phases::PhaseError;
use crate::phases::upload_config::{self, CRI_SOCKET};
use crate::plan::{Action, NodeMarks, Step, Unmarks};
use crate::ports::View;
use crate::resource::NODES;
use crate::spec::InitSpec;
use crate::upgrade::UpgradeSpec;

/// Plans `upload-config kubeadm`.
pub fn plan_kubeadm<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(as_init(spec, view, upload_config::plan_kubeadm))
}

/// Plans `upload-config kubelet`. Where a file of the node tells its container runtime, the annotation that did goes.
/// cmd/kubeadm/app/phases/patchnode/patchnode.go: RemoveCRISocketAnnotation, 1.36.
pub fn plan_kubelet<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = as_init(spec, view, upload_config::plan_kubelet).await?;
        let (node, _) = spec.node(view).await?;
        if node.instance_config() && is_annotated(node, view).await? {
            let annotations = vec![CRI_SOCKET.to_owned()];
            steps.push(Step::new(Action::MarkNode(NodeMarks {
                name: node.node_name().to_owned(),
                without: Unmarks { annotations, ..Unmarks::default() },
                ..NodeMarks::default()
            })));
        }
        Ok(steps)
    })
}

async fn is_annotated(node: &InitSpec, view: View<'_>) -> Result<bool, PhaseError> {
    let name = node.node_name();
    let found = view.api.get(NODES, "", name).await;
    let object = || format!("Node {name}");
    let found = found.map_err(|source| PhaseError::Api { verb: "get", object: object(), source })?;
    Ok(found.is_some_and(|node| !node["metadata"]["annotations"][CRI_SOCKET].is_null()))
}

/// What `init` plans for this node.
async fn as_init(spec: &UpgradeSpec, view: View<'_>, plan: Plan<InitSpec>) -> Result<Vec<Step>, PhaseError> {
    let (node, mut steps) = spec.node(view).await?;
    steps.extend(plan(node, view).await?);
    Ok(steps)
}
