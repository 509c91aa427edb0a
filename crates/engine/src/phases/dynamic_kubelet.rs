//! Dynamic kubelet configuration, a feature of 1.8 to 1.21 that kubeadm switched on up to 1.13: a kubelet that follows a
//! ConfigMap. cmd/kubeadm/app/phases/kubelet/dynamic.go, 1.11 to 1.13.

use futures::future::BoxFuture;
use kubeadm_release::{Release, Version};
use serde_json::json;

use super::PhaseError;
use crate::objects::KUBE_SYSTEM;
use crate::phase::Phase;
use crate::plan::{Action, NodeMarks, Step};
use crate::ports::View;
use crate::resource::CONFIG_MAPS;

/// `alpha kubelet config enable-dynamic` as a workflow.
pub static ENABLE: &[Phase<Enable>] =
    &[super::leaf("enable-dynamic", "Have the kubelet of a node follow a ConfigMap", &[], plan)];

/// Whose kubelet is to follow.
#[derive(Debug, Clone)]
pub struct Enable {
    /// Name of the node.
    pub node_name: String,
    /// Version of its kubelet.
    pub version: Version,
    /// Facts of that version.
    pub release: Release,
}

/// The kubelet would be pointed at nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "couldn't get the kubelet configuration ConfigMap: {KUBE_SYSTEM}/{0} does not exist; is --kubelet-version right?"
)]
pub struct NoConfigMapError(String);

fn plan<'a>(spec: &'a Enable, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let name = spec.release.kubelet.config_map_name(&spec.version, None);
        let found = view.api.get(CONFIG_MAPS, KUBE_SYSTEM, &name).await;
        let found = found.map_err(|source| PhaseError::Api {
            verb: "get",
            object: format!("ConfigMap {KUBE_SYSTEM}/{name}"),
            source,
        })?;
        if found.is_none() {
            return Err(NoConfigMapError(name).into());
        }
        Ok(follow(&spec.node_name, &name).to_vec())
    })
}

/// Has the kubelet of a node follow a ConfigMap.
pub(super) fn follow(node: &str, config_map: &str) -> [Step; 2] {
    let source = json!({
        "configMap": { "name": config_map, "namespace": KUBE_SYSTEM, "kubeletConfigKey": "kubelet" },
    });
    let mark = NodeMarks { name: node.to_owned(), config_source: Some(source), ..NodeMarks::default() };
    [
        Step::say(format!(
            "[kubelet] Enabling Dynamic Kubelet Config for Node {node:?}; config sourced from ConfigMap {config_map:?} in namespace {KUBE_SYSTEM}"
        )),
        Step::new(Action::MarkNode(mark)).saying(
            "[kubelet] WARNING: The Dynamic Kubelet Config feature is beta, but off by default. It hasn't been well-tested yet at this stage, use with caution.",
        ),
    ]
}
