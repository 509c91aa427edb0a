//! Self-hosted control planes of 2018: static pods become DaemonSets, one after the other, and what a reboot leaves.

use std::time::Duration;

use crate::cluster::CONFIG;
use crate::command::wait_for;
use crate::error::check;
use crate::kubectl::{Kubectl, is_ready};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::variants::NETWORKING;
use crate::{Result, progress};

pub(super) const PIVOT: Scenario = Scenario {
    name: "self-hosting-v1.13",
    about: "alpha selfhosting pivot, with certificates on disk and in Secrets; a reboot, and the way back",
    release: "v1.13.12",
    ours_only: true,
    run: pivot,
    ..Scenario::PLAIN
};

pub(super) const GATES: Scenario = Scenario {
    name: "self-hosting-v1.11",
    about: "init with the gates SelfHosting and StoreCertsInSecrets of v1.11",
    release: "v1.11.10",
    ours_only: true,
    run: gates,
    ..Scenario::PLAIN
};

pub(super) const CONVERT: Scenario = Scenario {
    name: "self-hosting-v1.12",
    about: "alpha phase selfhosting convert-from-staticpods of v1.12",
    release: "v1.12.10",
    ours_only: true,
    run: convert,
    ..Scenario::PLAIN
};

const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// A pod that needs a scheduler, and a Service account of a controller manager that works.
const PROBE: &str = "apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  tolerations: [{operator: Exists}]
  containers: [{name: probe, image: 'IMAGE', imagePullPolicy: IfNotPresent}]
";

fn pivot(context: &Context<'_>) -> Result<()> {
    for (name, more) in [("pivot", None), ("pivotsecrets", Some("--store-certs-in-secrets"))] {
        let node = context.node(name)?;
        context.init(&node, &[])?;
        context.ready(&node)?;
        let mut words = vec!["alpha", "selfhosting", "pivot", "--force"];
        words.extend(more);
        turn(context, &node, &words)?;
        let kubectl = self_hosted(context, &node, "before")?;
        if more.is_none() {
            reboot(context, node, &kubectl, &words)?;
        } else {
            context.remove(&node)?;
        }
    }
    Ok(())
}

fn gates(context: &Context<'_>) -> Result<()> {
    for (name, gates) in
        [("gates", "{SelfHosting: true}"), ("gatesecrets", "{SelfHosting: true, StoreCertsInSecrets: true}")]
    {
        let node = context.node(name)?;
        context.configure(&node, NETWORKING, &format!("{NETWORKING}\nfeatureGates: {gates}"))?;
        context.init(&node, &[])?;
        self_hosted(context, &node, "before")?;
        context.remove(&node)?;
    }
    Ok(())
}

fn convert(context: &Context<'_>) -> Result<()> {
    let node = context.node("convert")?;
    context.init(&node, &[])?;
    context.ready(&node)?;
    turn(context, &node, &["alpha", "phase", "selfhosting", "convert-from-staticpods"])?;
    self_hosted(context, &node, "before").map(drop)
}

fn turn(context: &Context<'_>, node: &Node, words: &[&str]) -> Result<()> {
    progress::step(format!("kubeadm {}", words.join(" ")));
    let output = context.kubeadm(node, words)?;
    progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
    Ok(())
}

/// Every component is a DaemonSet, and the cluster works.
fn self_hosted(context: &Context<'_>, node: &Node, probe: &str) -> Result<Kubectl> {
    let kubectl = context.client(node)?;
    progress::step("check that the control plane hosts itself");
    let manifests = node.script("ls /etc/kubernetes/manifests")?;
    check("the static pods that are left", manifests.trim() == "etcd.yaml", "etcd.yaml", manifests)?;
    wait_for("the self-hosted pods to be Ready", Duration::from_secs(240), || {
        for component in COMPONENTS {
            let label = format!("k8s-app=self-hosted-{component}");
            let pods = kubectl.json(["-n", "kube-system", "get", "pods", "-l", &label]);
            let pods = pods.map_err(|e| e.to_string())?;
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            if pods.len() != 1 || !is_ready(&pods[0]) {
                return Err(format!("{component}: {} pods, not one that is Ready", pods.len()));
            }
        }
        Ok(())
    })?;
    kubectl.create(&PROBE.replace("NAME", probe).replace("IMAGE", context.image("pause")))?;
    runs(&kubectl, probe)?;
    Ok(kubectl)
}

fn runs(kubectl: &Kubectl, pod: &str) -> Result<()> {
    wait_for(&format!("the pod {pod} to be Ready"), Duration::from_secs(120), || {
        let found = kubectl.json(["get", "pod", pod]).map_err(|e| e.to_string())?;
        if is_ready(&found) { Ok(()) } else { Err(found["status"]["phase"].to_string()) }
    })
}

/// Nobody tells the kubelet of a node that was switched off what to run but its manifests, and those name etcd alone.
/// Static pods made again take over what etcd has kept, and can hand over again.
fn reboot(context: &Context<'_>, node: Node, kubectl: &Kubectl, words: &[&str]) -> Result<()> {
    progress::step("switch the node off and on");
    node.kill()?;
    let node = node.boot_again(context.lab)?;
    wait_for("etcd and the kubelet to run again", Duration::from_secs(120), || {
        let script = "pgrep -x etcd >/dev/null && curl -sf http://127.0.0.1:10248/healthz";
        node.script(script).map(drop).map_err(|e| e.to_string())
    })?;
    let servers = node.script("pgrep -x kube-apiserver || true")?;
    check("API servers after a reboot", servers.trim().is_empty(), "none", servers)?;
    let unanswered = kubectl.try_run(["get", "nodes", "--request-timeout=5s"])?;
    check("answers of the API after a reboot", unanswered.code != 0, "none", unanswered.stdout)?;

    context.kubeadm(&node, &["init", "phase", "control-plane", "all", &format!("--config={CONFIG}")])?;
    wait_for("the API to answer again", Duration::from_secs(120), || {
        kubectl.run(["get", "--raw", "/healthz"]).map(drop).map_err(|e| e.to_string())
    })?;
    runs(kubectl, "before")?;
    turn(context, &node, words)?;
    self_hosted(context, &node, "after").map(drop)
}
