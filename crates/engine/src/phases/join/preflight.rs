//! `preflight` of `join`: the machine, then the cluster, then what of an earlier join is there; and for a control plane, the
//! machine once more.

use futures::future::BoxFuture;
use kubeadm_config::address;

use super::control_plane_prepare::shared::{self, NotShared};
use crate::join::{JoinSpec, Joined};
use crate::phases::PhaseError;
use crate::phases::join::kubelet_start::earlier;
use crate::phases::preflight::images;
use crate::plan::Step;
use crate::ports::View;
use crate::preflight::{self, Report};

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let server = spec.join.discovery.bootstrap_token.as_ref().map(|t| t.api_server_endpoint.as_str());
        let server = server.and_then(|endpoint| Some(address::parse_endpoint(endpoint).ok()?.0));
        let checks = preflight::checks::join(&spec.alone, server);
        let found = preflight::run(&checks, &spec.alone, &spec.alone.ignored, view).await;
        let mut steps = preflight::headed(found).map_err(PhaseError::Preflight)?;
        let (joined, said) = spec.joined(view).await?;
        steps.extend(said);
        let found =
            preflight::run(&preflight::checks::joined(), &joined.node, &joined.node.ignored, view).await;
        steps.extend(found.map_err(|report| PhaseError::Preflight(report.below(&steps)))?);
        // What an earlier join of this very cluster left is no obstacle but a beginning.
        if let Err(error) = earlier(spec, joined, view) {
            let check = "FileAvailable--etc-kubernetes-kubelet.conf".to_owned();
            let report = Report { errors: vec![(check, error.to_string())], lines: Vec::new() };
            return Err(PhaseError::Preflight(report.below(&steps)));
        }
        if spec.join.control_plane.is_some() {
            steps = control_plane(spec, joined, view, steps).await?;
        }
        Ok(steps)
    })
}

async fn control_plane(
    spec: &JoinSpec,
    joined: &Joined,
    view: View<'_>,
    mut steps: Vec<Step>,
) -> Result<Vec<Step>, PhaseError> {
    let node = joined.control_plane(view.files)?;
    if node.cluster.control_plane_endpoint.is_empty() {
        let text = "unable to add a new control plane instance to a cluster that doesn't have a stable \
                    controlPlaneEndpoint address";
        return Err(NotShared(vec![text.into()]).into());
    }
    let key = spec.join.control_plane.as_ref().map(|c| c.certificate_key.0.as_str());
    let downloaded = key.is_some_and(|key| !key.is_empty());
    if !downloaded {
        shared::check(&node, view).map_err(NotShared)?;
    }
    let text = "[preflight] Running pre-flight checks before initializing the new control plane instance";
    steps.push(Step::say(text));
    let checks = preflight::checks::join_control_plane(&node, downloaded);
    let found = preflight::run(&checks, &node, &node.ignored, view).await;
    steps.extend(found.map_err(|report| PhaseError::Preflight(report.below(&steps)))?);
    steps.extend(images(&node, view).await);
    Ok(steps)
}
