//! Features of 2018 that no later release has: audit logs by a gate, kubelets that follow a ConfigMap, kube-dns; and one
//! program that makes the clusters of then and of today.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::{self, CONFIG};
use crate::command::wait_for;
use crate::error::check;
use crate::kubectl::{Kubectl, Shape, is_ready};
use crate::node::Node;
use crate::releases;
use crate::scenario::{Context, Scenario};
use crate::scenarios::network;
use crate::scenarios::variants::NETWORKING;
use crate::{Result, images, progress};

pub(super) const GATES: Scenario = Scenario {
    name: "gates-v1.12",
    about: "Auditing writes its log, and a kubelet follows its ConfigMap (v1.12)",
    release: "v1.12.10",
    ours_only: true,
    run: gates,
    ..Scenario::PLAIN
};

pub(super) const GATES_OF_1_11: Scenario = Scenario {
    name: "gates-v1.11",
    about: "the same for v1.11, with a policy of the user's own",
    release: "v1.11.10",
    ours_only: true,
    run: gates_with_policy,
    ..Scenario::PLAIN
};

pub(super) const KUBE_DNS: Scenario = Scenario {
    name: "kube-dns",
    about: "kube-dns answers for names of Services, behind IPVS where the kernel has it, until CoreDNS takes its place (v1.13)",
    release: "v1.13.12",
    ours_only: true,
    run: kube_dns,
    ..Scenario::PLAIN
};

pub(super) const ONE_BINARY: Scenario = Scenario {
    name: "one-binary",
    about: "the same program makes clusters of v1.11, v1.12, v1.13 and v1.37",
    ours_only: true,
    run: one_binary,
    ..Scenario::PLAIN
};

fn gates(context: &Context<'_>) -> Result<()> {
    let node = context.node("gates")?;
    with_gates(context, &node, "")?;
    let policy = node.read("/etc/kubernetes/audit/audit.yaml")?;
    check("the default policy", policy.contains("level: Metadata"), "level: Metadata", policy)?;
    works(context, &node)
}

fn gates_with_policy(context: &Context<'_>) -> Result<()> {
    let node = context.node("gates11")?;
    node.write(
        "/etc/mine.yaml",
        "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: Request, verbs: [patch, create]}]\n",
    )?;
    with_gates(context, &node, "\nauditPolicy: {path: /etc/mine.yaml, logDir: /var/log/mine, logMaxAge: 3}")?;
    check("the default policy", !node.has("/etc/kubernetes/audit/audit.yaml"), "none", "a file")?;
    works(context, &node)
}

fn with_gates(context: &Context<'_>, node: &Node, more: &str) -> Result<()> {
    let gates = "featureGates: {Auditing: true, DynamicKubeletConfig: true}";
    context.configure(node, NETWORKING, &format!("{NETWORKING}\n{gates}{more}"))?;
    context.init(node, &[]).map(drop)
}

/// There is an audit log, and the kubelet follows its ConfigMap.
fn works(context: &Context<'_>, node: &Node) -> Result<()> {
    let kubectl = context.ready(node)?;
    let log = node
        .script("cat /var/log/kubernetes/audit/audit.log /var/log/mine/audit.log 2>/dev/null | tail -20")?;
    check("the audit log", log.contains("\"kind\":\"Event\""), "events", log)?;

    progress::step("change what the kubelet follows");
    let minor = context.release.minor;
    let map = format!("kubelet-config-1.{minor}");
    let config =
        kubectl.run(["-n", "kube-system", "get", "configmap", &map, "-o", "jsonpath={.data.kubelet}"])?;
    check("what kubelets are told of pods", config.contains("maxPods: 110"), "maxPods: 110", config.clone())?;
    let changed = config.replace("maxPods: 110", "maxPods: 99");
    let patch = serde_json::json!({ "data": { "kubelet": changed } }).to_string();
    kubectl.run(["-n", "kube-system", "patch", "configmap", &map, "-p", &patch])?;
    wait_for("the kubelet to follow", Duration::from_secs(240), || {
        let found = kubectl.json(["get", "node", &node.name]).map_err(|e| e.to_string())?;
        match found["status"]["capacity"]["pods"].as_str() {
            Some("99") => Ok(()),
            other => Err(format!("it still takes {other:?} pods; {}", found["status"]["config"])),
        }
    })?;
    context.ready(node).map(drop)
}

fn kube_dns(context: &Context<'_>) -> Result<()> {
    let node = context.node("kubedns")?;
    images::kube_dns(context.lab, context.release, context.kubeadm)?
        .iter()
        .try_for_each(|image| cluster::import(context.lab, &node, image))?;
    context.configure(&node, NETWORKING, &format!("{NETWORKING}\ndns: {{type: kube-dns}}"))?;
    context.configure(&node, "kind: KubeProxyConfiguration", "kind: KubeProxyConfiguration\nmode: ipvs")?;
    context.init(&node, &[])?;
    let kubectl = context.ready_as(&node, Shape { dns: false, ..Shape::of(1, 0) })?;
    dns_answers(&node, &kubectl, "kubedns")?;
    asked_for_ipvs(&kubectl)?;

    progress::step("CoreDNS in its place");
    context.configure(&node, "type: kube-dns", "type: CoreDNS")?;
    context.kubeadm(&node, &["init", "phase", "addon", "coredns", &format!("--config={CONFIG}")])?;
    dns_answers(&node, &kubectl, "coredns")?;
    let left = kubectl.run(["-n", "kube-system", "get", "deployments", "-o", "name"])?;
    check("the DNS servers", !left.contains("kube-dns"), "coredns alone", left)
}

/// Every pod of the DNS server is ready, has a container of this name, and is reached by its Service.
fn dns_answers(node: &Node, kubectl: &Kubectl, container: &str) -> Result<()> {
    wait_for("the DNS server to be Ready", Duration::from_secs(180), || {
        let pods = kubectl.json(["-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns"]);
        let pods = pods.map_err(|e| e.to_string())?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let is_one = |pod: &Value| is_ready(pod) && pod["spec"]["containers"][0]["name"] == container;
        match pods.iter().find(|pod| !is_one(pod)) {
            Some(pod) => Err(format!("{}: {}", pod["metadata"]["name"], pod["status"]["containerStatuses"])),
            None if pods.is_empty() => Err("there are no pods".into()),
            None => Ok(()),
        }
    })?;
    let wanted = kubectl.run(["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"])?;
    let server = ["-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}"];
    network::resolves(node, "kubernetes.default.svc.cluster.local", &kubectl.run(server)?, &wanted)
}

/// kube-proxy itself takes iptables where the kernel lacks IPVS, and says so.
fn asked_for_ipvs(kubectl: &Kubectl) -> Result<()> {
    let config = kubectl.run(["-n", "kube-system", "get", "configmap", "kube-proxy", "-o", "yaml"])?;
    check("the mode of kube-proxy", config.contains("mode: ipvs"), "mode: ipvs", config)?;
    let log = kubectl.run(["-n", "kube-system", "logs", "-l", "k8s-app=kube-proxy", "--tail=100"])?;
    check("what kube-proxy tells of its mode", log.contains("ipvs"), "ipvs", log)
}

fn one_binary(context: &Context<'_>) -> Result<()> {
    for release in releases::ALL.iter().filter(|r| [11, 12, 13, 37].contains(&r.minor)) {
        progress::step(format!("-- {}", release.version));
        let name = format!("one{}", release.minor);
        let images = cluster::prepare(context.lab, release, context.kubeadm)?;
        let node = context.node_of(&name, release, &images)?;
        cluster::init(&node, release, context.kubeadm, &[])?.success()?;
        let kubectl = cluster::client(context.lab, &node, release)?;
        cluster::wait_ready(&kubectl, Shape::of(1, 0))?;
        let version = kubectl.json(["version"])?["serverVersion"]["gitVersion"].to_string();
        check("the version that runs", version.contains(release.version), release.version, version)?;
        context.remove(&node)?;
    }
    Ok(())
}
