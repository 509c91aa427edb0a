//! `certs` of `join`: this node's own certificates, signed by the authorities that are shared.

use futures::future::BoxFuture;
use kubeadm_pki::inventory::CERTIFICATES;

use super::shared;
use crate::join::JoinSpec;
use crate::phases::join::kubelet_start;
use crate::phases::{PhaseError, certs};
use crate::plan::{Action, Step};
use crate::ports::View;

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        let node = joined.control_plane(view.files)?;
        if !joined.seen() {
            let text = "[dryrun] Would generate the certificates of this node with the cluster's authorities";
            steps.push(Step::new(Action::Nothing).would(text));
            return Ok(steps);
        }
        shared::check(&node, view).map_err(shared::NotShared)?;
        // Certificates of another cluster's authority would be of no use here.
        kubelet_start::authority(spec, joined, view)?;
        steps.extend(certs::plan_folder(&node, view).await?);
        for item in CERTIFICATES.iter().filter(|item| !item.is_ca() && (node.local_etcd() || !item.is_etcd()))
        {
            steps.extend(certs::certificate(&node, view, item.name)?);
        }
        let folder = node.layout.shown(&node.layout.pki).display().to_string();
        steps.push(Step::say(format!("[certs] Valid certificates and keys now exist in {folder:?}")));
        steps.extend(certs::plan_sa(&node, view).await?);
        Ok(steps)
    })
}
