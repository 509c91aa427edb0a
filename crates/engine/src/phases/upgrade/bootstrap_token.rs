//! `bootstrap-token` of `upgrade apply`: what joining nodes and everybody may do, as the new version has it. No token is
//! made. cmd/kubeadm/app/cmd/phases/upgrade/apply/bootstraptoken.go, 1.37.

use futures::future::BoxFuture;

use crate::phases::PhaseError;
use crate::phases::bootstrap_token::{everybody_reads_cluster_info, joining_nodes};
use crate::plan::Step;
use crate::ports::View;
use crate::upgrade::UpgradeSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (node, mut steps) = spec.node(view).await?;
        steps.push(
            Step::say("[upgrade/bootstrap-token] Configuring bootstrap token and cluster-info RBAC rules")
                .would("[dryrun] Would configure bootstrap token and cluster-info RBAC rules"),
        );
        steps.extend(joining_nodes(node));
        steps.extend(everybody_reads_cluster_info());
        Ok(steps)
    })
}
