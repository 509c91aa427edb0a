//! Whether a cluster is well after a hop of a walk, so that the next one may begin.

use kubeadm_release::Version;
use serde_json::Value;

use super::UpgradeSpec;
use super::walk::{API_SERVER, WalkError};
use crate::backoff::Backoff;
use crate::objects::KUBE_SYSTEM;
use crate::ports::{ApiError, Selector, View};
use crate::preflight::upgrade::{is_ready, nodes_ready};
use crate::resource::{DAEMON_SETS, DEPLOYMENTS, PODS, Resource};
use crate::static_pods::tag;

/// Components whose images have the version of the cluster as their tag.
const VERSIONED: [&str; 3] = [API_SERVER, "kube-controller-manager", "kube-scheduler"];

/// What the add-ons run as, whatever somebody called it: workloads by their labels.
const ADD_ONS: [(Resource, &str); 2] =
    [(DEPLOYMENTS, "k8s-app=kube-dns"), (DAEMON_SETS, "k8s-app=kube-proxy")];

/// Waits until a node and its cluster are well at a version.
pub(super) async fn settled(spec: &UpgradeSpec, version: &Version, view: View<'_>) -> Result<(), WalkError> {
    let limit = spec.timeouts.upgrade_manifests;
    let mut tries = Backoff::start(view.clock);
    loop {
        let findings = unwell(spec, version, view).await;
        if findings.is_empty() {
            view.progress.progress("");
            return Ok(());
        }
        if tries.waited() >= limit.to_std() {
            view.progress.progress("");
            return Err(WalkError::Unwell { version: version.clone(), waited: limit.to_string(), findings });
        }
        view.progress.progress(&format!("waiting: {}", findings.join("; ")));
        tries.pause().await;
    }
}

/// What is not well: control-plane nodes that are not Ready, static pods of this node that the cluster does not see ready
/// at the version, and add-ons of which nothing new runs. The next hop's own checks find the rest.
async fn unwell(spec: &UpgradeSpec, version: &Version, view: View<'_>) -> Vec<String> {
    // Known since the first phase of the hop.
    let node = match spec.node(view).await {
        Ok((node, _)) => node,
        Err(error) => return vec![error.to_string()],
    };
    let mut findings = match spec.ignored.covers("ControlPlaneNodesReady") {
        true => Vec::new(),
        false => nodes_ready(node, view.api).await.errors,
    };
    match static_pods(spec, version, view).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(format!("could not list the Pods of the control plane: {error}")),
    }
    for (resource, labels) in ADD_ONS {
        match rollouts(resource, labels, view).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(format!("could not look for {} {labels}: {error}", resource.kind)),
        }
    }
    findings
}

async fn static_pods(spec: &UpgradeSpec, version: &Version, view: View<'_>) -> Result<Vec<String>, ApiError> {
    let selector = Selector { labels: Some("tier=control-plane".into()), fields: None };
    let pods = view.api.list(PODS, KUBE_SYSTEM, &selector).await?;
    let wanted = version.image_tag();
    let mut findings = Vec::new();
    for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"] == *spec.node_name) {
        let component = pod["metadata"]["labels"]["component"].as_str().unwrap_or_default();
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let earlier = tag(image).filter(|tag| VERSIONED.contains(&component) && *tag != wanted);
        let problem = match earlier {
            Some(tag) => format!("is still of {tag}"),
            None if !is_ready(pod) => "is not ready".to_owned(),
            None => continue,
        };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        findings.push(format!("Pod {KUBE_SYSTEM}/{name} {problem}"));
    }
    Ok(findings)
}

/// The workloads with these labels of which no Pod of the current image is ready. One is enough: of a large cluster, or of
/// one with a dead node, the controllers roll out the rest while the walk goes on, and what they replace works with the
/// next minor too.
async fn rollouts(resource: Resource, labels: &str, view: View<'_>) -> Result<Vec<String>, ApiError> {
    let selector = Selector { labels: Some(labels.to_owned()), fields: None };
    let workloads = view.api.list(resource, KUBE_SYSTEM, &selector).await?;
    let workloads: Vec<&Value> = workloads.iter().filter(|workload| !is_idle(workload)).collect();
    if workloads.is_empty() {
        return Ok(Vec::new());
    }
    let pods = view.api.list(PODS, KUBE_SYSTEM, &selector).await?;
    let mut findings = Vec::new();
    for workload in workloads {
        let image = &workload["spec"]["template"]["spec"]["containers"][0]["image"];
        let current = |pod: &&Value| pod["spec"]["containers"][0]["image"] == *image;
        if !is_observed(workload) || !pods.iter().filter(current).any(says_ready) {
            let name = workload["metadata"]["name"].as_str().unwrap_or_default();
            let image = image.as_str().unwrap_or_default();
            let kind = resource.kind;
            findings.push(format!("{kind} {KUBE_SYSTEM}/{name} has no ready Pod of {image} yet"));
        }
    }
    Ok(findings)
}

/// Whether a Pod is known to be ready; one that has just been made says nothing yet.
fn says_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Whether its controller has seen what is wanted now.
fn is_observed(workload: &Value) -> bool {
    let generation = |of: &Value| of.as_u64().unwrap_or_default();
    generation(&workload["status"]["observedGeneration"]) >= generation(&workload["metadata"]["generation"])
}

/// Whether its controller has seen it and wants no Pod.
fn is_idle(workload: &Value) -> bool {
    let status = &workload["status"];
    let wanted = ["replicas", "desiredNumberScheduled"].iter().find_map(|field| status[field].as_u64());
    is_observed(workload) && wanted.unwrap_or_default() == 0
}
