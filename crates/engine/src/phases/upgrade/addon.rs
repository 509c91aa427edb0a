//! `addon` of an upgrade: by the last control-plane node that is upgraded, so that nothing new meets an API server that
//! does not know it. cmd/kubeadm/app/cmd/phases/upgrade/addons.go, 1.37.

use futures::future::BoxFuture;
use kubeadm_release::facts::config_api::UPGRADE_ADDONS_FIRST;

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
    Box::pin(plan(AddOn::CoreDns, spec, view))
}

/// Plans `addon kube-proxy`.
pub fn plan_kube_proxy<'a>(
    spec: &'a UpgradeSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(plan(AddOn::KubeProxy, spec, view))
}

enum AddOn {
    CoreDns,
    KubeProxy,
}

async fn plan(which: AddOn, spec: &UpgradeSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let (phase, name) = match which {
        AddOn::CoreDns => ("coredns", "CoreDNS"),
        AddOn::KubeProxy => ("kube-proxy", "kube-proxy"),
    };
    let skipped = |why: &str| Step::say(format!("[upgrade/addon] Skipping the addon/{phase} phase. {why}"));
    if !spec.control_plane {
        return Ok(vec![skipped("Not a control plane node.")]);
    }
    let (node, mut steps) = spec.node(view).await?;
    let disabled = match which {
        AddOn::CoreDns => node.cluster.dns.disabled,
        AddOn::KubeProxy => node.cluster.proxy.disabled,
    };
    if disabled {
        steps.push(skipped("The addon is disabled."));
        return Ok(steps);
    }
    if !node.gate(UPGRADE_ADDONS_FIRST)
        && let Some(step) = others_first(spec, node, view).await?
    {
        steps.push(step);
        return Ok(steps);
    }
    let installed = match which {
        AddOn::CoreDns => addon::has_dns(node, view).await?,
        AddOn::KubeProxy => addon::has_kube_proxy(view).await?,
    };
    if !installed {
        steps.push(skipped(&format!("{name} is not installed.")));
        return Ok(steps);
    }
    steps.extend(match which {
        AddOn::CoreDns => addon::plan_coredns(node, view).await?,
        AddOn::KubeProxy => addon::plan_kube_proxy(node, view).await?,
    });
    Ok(steps)
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
