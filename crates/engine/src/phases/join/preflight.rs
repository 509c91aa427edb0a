//! `preflight` of `join`: the machine, then the cluster, then what of an earlier join is there.

use futures::future::BoxFuture;
use kubeadm_config::address;

use crate::join::JoinSpec;
use crate::phases::PhaseError;
use crate::phases::join::kubelet_start::earlier;
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
        // What an earlier join of this very cluster left is no obstacle but a beginning.
        if let Err(error) = earlier(spec, joined, view) {
            let lines = steps.into_iter().flat_map(|s| s.lines).collect();
            let check = "FileAvailable--etc-kubernetes-kubelet.conf".to_owned();
            return Err(PhaseError::Preflight(Report { errors: vec![(check, error.to_string())], lines }));
        }
        Ok(steps)
    })
}
