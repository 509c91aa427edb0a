//! `addon` of an upgrade: by the last control-plane node that is upgraded, so that nothing new meets an API server that
//! does not know it. cmd/kubeadm/app/cmd/phases/upgrade/addons.go, 1.37.

use futures::future::BoxFuture;

use crate::objects::KUBE_SYSTEM;
use crate::phases::{PhaseError, addon};
use crate::plan::Step;
use crate::ports::{Selector, View};
use crate::resource::PODS;
use crate::spec::InitSpec;
use crate::static_pods::tag;
use crate::upgrade::UpgradeSpec;

/// Plans `addon coredns`.
pub fn plan_coredns<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let skipped = |why: &str| skipped("coredns", why);
        if !spec.control_plane {
            return Ok(vec![skipped(NO_CONTROL_PLANE)]);
        }
        let (node, mut steps) = spec.node(view).await?;
        if node.cluster.dns.disabled {
            steps.push(skipped(DISABLED));
        } else if let Some(step) = others_first(spec, node, view).await? {
            steps.push(step);
        } else if !addon::has_coredns(node, view).await? {
            steps.push(skipped("CoreDNS is not installed."));
        } else {
            steps.extend(addon::plan_coredns(node, view).await?);
        }
        Ok(steps)
    })
}

/// Plans `addon kube-proxy`.
pub fn plan_kube_proxy<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let skipped = |why: &str| skipped("kube-proxy", why);
        if !spec.control_plane {
            return Ok(vec![skipped(NO_CONTROL_PLANE)]);
        }
        let (node, mut steps) = spec.node(view).await?;
        if node.cluster.proxy.disabled {
            steps.push(skipped(DISABLED));
        } else if let Some(step) = others_first(spec, node, view).await? {
            steps.push(step);
        } else if !addon::has_kube_proxy(view).await? {
            steps.push(skipped("kube-proxy is not installed."));
        } else {
            steps.extend(addon::plan_kube_proxy(node, view).await?);
        }
        Ok(steps)
    })
}

const NO_CONTROL_PLANE: &str = "Not a control plane node.";
const DISABLED: &str = "The addon is disabled.";

fn skipped(name: &str, why: &str) -> Step {
    Step::say(format!("[upgrade/addon] Skipping the addon/{name} phase. {why}"))
}

/// Tells of control-plane nodes that have not been upgraded. This node has: its mirror pod may only be behind. Versions
/// are compared by tags, so that nodes with mirrors of a registry count as well (Q29 of the original).
async fn others_first(
    spec: &UpgradeSpec,
    node: &InitSpec,
    view: View<'_>,
) -> Result<Option<Step>, PhaseError> {
    let labels = "component=kube-apiserver,tier=control-plane";
    let selector = Selector { labels: Some(labels.into()), fields: None };
    let pods = view.api.list(PODS, KUBE_SYSTEM, &selector).await.map_err(|source| PhaseError::Api {
        verb: "list",
        object: format!("Pods with the labels {labels} in {KUBE_SYSTEM}"),
        source,
    })?;
    let wanted = node.version.image_tag();
    let behind: Vec<&str> = pods
        .iter()
        .filter(|pod| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
            tag(image).is_some_and(|tag| tag != wanted)
        })
        .filter_map(|pod| pod["spec"]["nodeName"].as_str())
        .filter(|name| *name != spec.node_name)
        .collect();
    Ok((!behind.is_empty()).then(|| {
        Step::say(format!(
            "[upgrade/addon] Skipping upgrade of addons because control plane instances [{}] have not been upgraded",
            behind.join(" ")
        ))
        .once()
    }))
}
