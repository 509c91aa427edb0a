//! Checks of a cluster before it is upgraded. cmd/kubeadm/app/phases/upgrade/health.go, 1.37.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Outcome;
use crate::objects::{KUBE_SYSTEM, object};
use crate::plan::{Action, Step};
use crate::ports::{Api, Files, Selector};
use crate::resource::{JOBS, NODES};
use crate::spec::{InitSpec, manifest};

/// `ControlPlaneNodesReady`: every control-plane node has to be Ready, and this one also where it is not labeled as such.
pub async fn nodes_ready(spec: &InitSpec, api: &dyn Api) -> Outcome {
    // Control-plane nodes have one label of the release at least: an upgrade may be on its way to have them all.
    let mut nodes: Vec<Value> = Vec::new();
    for label in spec.release.node.labels.iter().filter(|label| label.starts_with(ROLE)) {
        let selector = Selector { labels: Some(format!("{label}=")), fields: None };
        match api.list(NODES, "", &selector).await {
            Ok(found) => nodes.extend(found),
            Err(error) => {
                return Outcome::error(format!("could not list nodes labeled with {label:?}: {error}"));
            }
        }
    }
    let name = spec.node_name();
    if !nodes.iter().any(|node| node["metadata"]["name"] == *name) {
        match api.get(NODES, "", name).await {
            // A plan may be made from elsewhere.
            Ok(node) => nodes.extend(node),
            Err(error) => return Outcome::error(format!("could not get the node {name:?}: {error}")),
        }
    }
    if nodes.is_empty() {
        let labels = spec.release.node.labels.join(" ");
        return Outcome::warning(format!(
            "no node has a label of control planes, one of [{labels}]: whether they are Ready is not known"
        ));
    }
    nodes.sort_by_cached_key(|node| node["metadata"]["name"].to_string());
    nodes.dedup_by(|a, b| a["metadata"]["name"] == b["metadata"]["name"]);
    let unready: Vec<&str> =
        nodes.iter().filter(|n| !is_ready(n)).filter_map(|n| n["metadata"]["name"].as_str()).collect();
    if unready.is_empty() {
        return Outcome::good();
    }
    Outcome::error(format!("there are NotReady control-planes in the cluster: [{}]", unready.join(" ")))
}

/// How labels of roles begin. KEP-1143.
const ROLE: &str = "node-role.kubernetes.io/";

/// Whether a Node or a Pod has no condition that says otherwise.
pub(crate) fn is_ready(node: &Value) -> bool {
    let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.all(|c| c["type"] != "Ready" || c["status"] == "True")
}

/// `StaticPodManifest`: this node runs the control plane as static pods.
pub fn manifests(files: &dyn Files) -> Outcome {
    let all = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(manifest);
    let missing: Vec<String> =
        all.iter().filter(|path| !files.exists(path)).map(|path| path.display().to_string()).collect();
    if missing.is_empty() {
        return Outcome::good();
    }
    Outcome::error(format!("manifest files not found: [{}]", missing.join(" ")))
}

/// Limit of the Job. app/phases/upgrade/health.go: createJob.
const JOB_LIMIT: Duration = Duration::from_secs(60);
const JOB: &str = "upgrade-health-check";

/// `CreateJob`: the steps that run a Job, or what is said where no node would take it.
pub async fn job(spec: &InitSpec, ignore_errors: bool, now: Timestamp, api: &dyn Api) -> Step {
    // Whether the API server answers at all is for the attempt itself to tell.
    let nodes = api.list(NODES, "", &Selector::default()).await.unwrap_or_default();
    let taints = &spec.release.node.taints;
    if !nodes.is_empty() && !nodes.iter().any(|node| takes_it(node, taints)) {
        return Step::warn(
            "The preflight check \"CreateJob\" was skipped because there are no schedulable Nodes in the cluster.",
        );
    }
    let job = Box::new(health_job(spec, now));
    Step::new(Action::TryJob { job, limit: JOB_LIMIT, ignore_errors })
}

/// Whether the pod of the Job could run on a node: it tolerates the taints of control planes and no others.
fn takes_it(node: &Value, tolerated: &[&str]) -> bool {
    let taints = node["spec"]["taints"].as_array();
    let kept_off = taints.into_iter().flatten().any(|taint| {
        let hard = taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute";
        let ours = tolerated.iter().any(|key| taint["key"] == *key);
        hard && !(ours && taint["effect"] == "NoSchedule")
    });
    node["spec"]["unschedulable"] != true && !kept_off
}

fn health_job(spec: &InitSpec, now: Timestamp) -> Value {
    let taints = spec.release.node.taints.iter();
    let tolerations: Vec<Value> = taints.map(|key| json!({ "key": key, "effect": "NoSchedule" })).collect();
    let longest = JOB_LIMIT.as_secs() + 5;
    let mut job = object(JOBS, KUBE_SYSTEM, &format!("{JOB}-{}", now.as_millisecond()));
    job["spec"] = json!({
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": longest,
        "activeDeadlineSeconds": longest,
        "template": { "spec": {
            "restartPolicy": "Never",
            "securityContext": { "runAsUser": 999, "runAsGroup": 999, "runAsNonRoot": true },
            "tolerations": tolerations,
            "containers": [{ "name": JOB, "image": spec.images().pause(), "args": ["-v"] }],
        } },
    });
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_the_job_unless_something_keeps_it_off() {
        let taint = |key: &str, effect: &str| json!({"spec": {"taints": [{"key": key, "effect": effect}]}});
        let takes_it = |node: &Value| super::takes_it(node, &["ours"]);
        assert!(takes_it(&json!({})));
        assert!(takes_it(&taint("ours", "NoSchedule")));
        assert!(takes_it(&taint("x", "PreferNoSchedule")));
        assert!(!takes_it(&taint("x", "NoSchedule")));
        assert!(!takes_it(&taint("ours", "NoExecute")));
        assert!(!takes_it(&json!({"spec": {"unschedulable": true}})));
    }

    #[test]
    fn only_a_condition_makes_a_node_unready() {
        let node = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(is_ready(&node("True")) && is_ready(&json!({})));
        assert!(!is_ready(&node("Unknown")));
    }
}
