//! What kubeadm's page of 2018 says of `init`: every flag of it on one node. docs/reference-2018.md has the whole list.

use crate::error::check;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::network;
use crate::{Result, cluster, progress};

pub(super) const FLAGS: Scenario = Scenario {
    name: "flags-v1.13",
    about: "every flag of init of 2018, without a configuration file",
    release: "v1.13.12",
    ours_only: true,
    run: flags,
    ..Scenario::PLAIN
};

const TOKEN: &str = "page18.0123456789abcdef";
const CERTIFICATES: &str = "/etc/kubernetes/certificates";
const NAME: &str = "a-name-of-its-own";
/// Another address of the node, by which the cluster is to reach it.
const WITHIN: &str = "198.18.77.1";

fn flags(context: &Context<'_>) -> Result<()> {
    let node = context.node("page")?;
    // What a lab node needs and no flag of kubeadm's gives; it stands above what kubeadm writes. The network within is
    // not the one of the default route.
    node.run(["ip", "address", "add", &format!("{WITHIN}/32"), "dev", "host0"])?;
    node.write(
        "/etc/default/kubelet",
        &format!(
            "KUBELET_EXTRA_ARGS=--fail-swap-on=false --cgroup-driver=cgroupfs --eviction-hard=memory.available<10Mi \
             --image-gc-high-threshold=100 --sync-frequency=10s --node-ip={WITHIN}\n"
        ),
    )?;
    let address = format!("--apiserver-advertise-address={}", node.address);
    let directory = format!("--cert-dir={CERTIFICATES}");
    let (name, token) = (format!("--node-name={NAME}"), format!("--token={TOKEN}"));
    let words = [
        "init",
        &address,
        "--apiserver-bind-port=6500",
        "--apiserver-cert-extra-sans=Extra.Example.com,192.0.2.77",
        &directory,
        "--cri-socket=/run/containerd/containerd.sock",
        "--feature-gates=",
        &format!("{},Hostname", context.ignore()),
        "--kubernetes-version=v1.13.12",
        &name,
        "--pod-network-cidr=10.250.0.0/16",
        "--service-cidr=10.111.0.0/16",
        "--service-dns-domain=corp.local",
        "--skip-token-print",
        &token,
        "--token-ttl=0",
    ];
    progress::step("kubeadm init with flags alone");
    let dry = context.kubeadm(&node, &[&words[..], &["--dry-run"]].concat())?;
    check("files of a dry run", !node.has("/etc/kubernetes/admin.conf"), "none", dry.tail(5))?;
    let output = context.kubeadm(&node, &words)?;
    check("the token in the output", !output.stdout.contains(TOKEN), "none", output.tail(10))?;

    let kubectl = context.client(&node)?;
    let server = kubectl.run(["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"])?;
    let wanted = format!("https://{}:6500", node.address);
    check("the server", server == wanted, &wanted, &server)?;
    spare_conntrack(&kubectl)?;
    cluster::wait_ready(&kubectl, Shape::of(1, 0))?;
    of_the_node(&node, &kubectl)?;
    of_the_network(&node, &kubectl)?;
    let tokens = context.kubeadm(&node, &["token", "list"])?.stdout;
    let line = tokens.lines().find(|line| line.contains(TOKEN)).unwrap_or_default();
    check("a token without an end", line.contains("<forever>"), "<forever>", tokens.clone())
}

fn of_the_node(node: &Node, kubectl: &Kubectl) -> Result<()> {
    let found = kubectl.json(["get", "node", NAME])?;
    let label = &found["metadata"]["labels"]["node-role.kubernetes.io/master"];
    check("the label of a master", label.is_string(), "a label", found["metadata"]["labels"].to_string())?;
    let taint = found["spec"]["taints"][0]["key"].as_str().unwrap_or_default().to_owned();
    check("the taint of a master", taint == "node-role.kubernetes.io/master", "master", taint.clone())?;
    let addresses = found["status"]["addresses"].to_string();
    check("the address of the node", addresses.contains(WITHIN), WITHIN, addresses)?;
    let flags = node.read("/var/lib/kubelet/kubeadm-flags.env")?;
    check("the kubelet's name", flags.contains(&format!("--hostname-override={NAME}")), NAME, flags)?;
    let certificate = node.script(&format!("openssl x509 -noout -text -in {CERTIFICATES}/apiserver.crt"))?;
    for name in ["DNS:extra.example.com", "IP Address:192.0.2.77", "IP Address:10.111.0.1"] {
        check("the names of the API server", certificate.contains(name), name, certificate.clone())?;
    }
    check("the default certificates directory", !node.has("/etc/kubernetes/pki/ca.crt"), "none", "a ca.crt")
}

fn of_the_network(node: &Node, kubectl: &Kubectl) -> Result<()> {
    let pods = kubectl.run(["get", "node", NAME, "-o", "jsonpath={.spec.podCIDR}"])?;
    check("the node's share of the pod network", pods.starts_with("10.250."), "10.250.", &pods)?;
    let service = kubectl.run(["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"])?;
    check("the first Service", service == "10.111.0.1", "10.111.0.1", &service)?;
    let dns = ["-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}"];
    let dns = kubectl.run(dns)?;
    check("the DNS Service", dns == "10.111.0.10", "10.111.0.10", &dns)?;
    network::resolves(node, "kubernetes.default.svc.corp.local", &dns, "10.111.0.1")
}

/// A network namespace does not let kube-proxy set how many connections the kernel tracks.
fn spare_conntrack(kubectl: &Kubectl) -> Result<()> {
    let map = kubectl.json(["-n", "kube-system", "get", "configmap", "kube-proxy"])?;
    let text = map["data"]["config.conf"].as_str().unwrap_or_default();
    let spared = text.replace("maxPerCore: 32768", "maxPerCore: 0").replace("min: 131072", "min: 0");
    check("what kube-proxy sets", spared != text, "maxPerCore", text)?;
    let patch = serde_json::json!({ "data": { "config.conf": spared } }).to_string();
    kubectl.run(["-n", "kube-system", "patch", "configmap", "kube-proxy", "-p", &patch])?;
    kubectl.run(["-n", "kube-system", "delete", "pod", "-l", "k8s-app=kube-proxy", "--wait=false"]).map(drop)
}
