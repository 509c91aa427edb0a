//! `etcd local`: data directory and static pod manifest of an etcd on this node.

use futures::future::BoxFuture;

use super::PhaseError;
use super::control_plane::static_pod;
use crate::manifests::Component;
use crate::plan::{Action, Step};
use crate::ports::View;
use crate::spec::{InitSpec, MANIFESTS};

/// Plans the phase. With an external etcd there is nothing to do and nothing is said.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let Some(etcd) = spec.cluster.etcd.local.as_ref().filter(|_| spec.local_etcd()) else {
            tracing::debug!("external etcd: no manifest");
            return Ok(Vec::new());
        };
        let would = format!("[etcd] Would ensure that {:?} directory is present", etcd.data_dir);
        let data = Action::CreateDir { path: etcd.data_dir.clone().into(), mode: 0o700 };
        let folder = spec.layout.shown(MANIFESTS.as_ref()).display().to_string();
        let line = format!("[etcd] Creating static Pod manifest for local etcd in {folder:?}");
        let mut steps = vec![
            Step::new(data).would(would),
            Step::new(Action::CreateDir { path: MANIFESTS.into(), mode: 0o700 }),
        ];
        steps.extend(static_pod(spec, view, Component::Etcd, line)?);
        steps.push(Step::new(Action::Nothing).showing([spec.layout.manifest("etcd")]));
        Ok(steps)
    })
}
