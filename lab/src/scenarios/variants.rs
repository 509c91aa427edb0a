//! The many ways to use init, each ending in a cluster that works.

use std::time::Duration;

use crate::cluster::CONFIG;
use crate::command::Run;
use crate::error::check;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::{Result, cluster, progress};

const fn scenario(
    name: &'static str,
    about: &'static str,
    ours_only: bool,
    run: fn(&Context<'_>) -> Result<()>,
) -> Scenario {
    Scenario { name, about, ours_only, run, ..Scenario::PLAIN }
}

pub(super) const PHASES: Scenario = scenario(
    "phases",
    "init phase by phase gives the same cluster, and --skip-phases what it says",
    false,
    phases,
);
pub(super) const ECDSA: Scenario =
    scenario("ecdsa-patches", "ECDSA keys, patches, extra arguments and uploaded certificates", false, ecdsa);
pub(super) const EXTERNAL_CA: Scenario =
    scenario("external-ca", "a cluster whose CA keys are elsewhere, in both forms", false, external_ca);
pub(super) const EXTERNAL_CA_OF_2018: Scenario = Scenario {
    release: "v1.13.12",
    ..scenario(
        "external-ca-v1.13",
        "the same for v1.13, whose own kubeadm always failed at it",
        true,
        external_ca,
    )
};
pub(super) const ROOTLESS: Scenario =
    scenario("rootless", "RootlessControlPlane runs no component as root", false, rootless);
pub(super) const ROOTFS: Scenario =
    scenario("rootfs", "--rootfs keeps all files below a folder", false, rootfs);
pub(super) const PULL: Scenario =
    scenario("images-pull", "config images pull says which image is there or cannot be had", false, pull);

pub(super) const NETWORKING: &str = "networking: {podSubnet: 10.244.0.0/16}";

fn phases(context: &Context<'_>) -> Result<()> {
    let node = context.node("phases")?;
    let config = format!("--config={CONFIG}");
    let ignore = context.ignore();
    let phases: &[&[&str]] = &[
        &["preflight", &config, &ignore],
        &["certs", "ca", &config],
        &["certs", "all", &config],
        &["kubeconfig", "admin", &config],
        &["kubeconfig", "all", &config],
        &["etcd", "local", &config],
        &["control-plane", "apiserver", &config],
        &["control-plane", "all", &config],
        &["kubelet-start", &config],
        &["wait-control-plane"],
        &["upload-config", "all", &config],
        &["mark-control-plane", &config],
        &["bootstrap-token", &config],
        &["kubelet-finalize", "all", &config],
        &["addon", "all", &config],
        &["show-join-command"],
    ];
    for phase in phases {
        // The original's show-join-command cannot run alone.
        if context.kubeadm.reference && phase[0] == "show-join-command" {
            continue;
        }
        progress::detail(phase.join(" "));
        context.kubeadm(&node, &[&["init", "phase"], *phase].concat())?;
    }
    context.ready(&node)?;
    context.remove(&node)?;

    let node = context.node("skips")?;
    context.init(&node, &["--skip-phases=addon/kube-proxy,mark-control-plane,show-join-command"])?;
    let kubectl = cluster::client(context.lab, &node, context.release)?;
    let sets = kubectl.run(["-n", "kube-system", "get", "daemonsets,deployments", "-o", "name"])?;
    check(
        "add-ons of an init that skips one",
        sets.trim() == "deployment.apps/coredns",
        "coredns alone",
        sets,
    )?;
    let taints = kubectl.json(["get", "nodes"])?["items"][0]["spec"]["taints"].to_string();
    check("the node is not marked", !taints.contains("control-plane"), "no such taint", taints)
}

fn ecdsa(context: &Context<'_>) -> Result<()> {
    let node = context.node("ecdsa")?;
    let more = format!(
        "{NETWORKING}\nencryptionAlgorithm: ECDSA-P256\nclusterName: other\napiServer:\n  certSANs: [API.example.test]\n  \
         extraArgs: [{{name: v, value: \"3\"}}]"
    );
    context.configure(&node, NETWORKING, &more)?;
    context.configure(&node, "nodeRegistration: {", "patches: {directory: /patches}\nnodeRegistration: {")?;
    node.write("/patches/kube-scheduler+strategic.yaml", "metadata: {annotations: {patched: strategic}}\n")?;
    node.write(
        "/patches/kube-controller-manager+json.json",
        r#"[{"op": "add", "path": "/metadata/annotations", "value": {"patched": "json"}}]"#,
    )?;
    node.write("/patches/etcd0+merge.yaml", "metadata: {annotations: {patched: merge}}\n")?;
    node.write("/patches/kubeletconfiguration.yaml", "maxPods: 77\n")?;
    let output = context.init(&node, &["--upload-certs"])?;
    check(
        "the certificate key is told",
        output.stdout.contains("--certificate-key"),
        "--certificate-key",
        output.stdout,
    )?;
    let kubectl = context.ready(&node)?;
    for (component, patched) in
        [("kube-scheduler", "strategic"), ("kube-controller-manager", "json"), ("etcd", "merge")]
    {
        let pod = kubectl.json(["-n", "kube-system", "get", "pod", &format!("{component}-{}", node.name)])?;
        let found = pod["metadata"]["annotations"]["patched"].to_string();
        check(&format!("the patch of {component}"), found.contains(patched), patched, found)?;
    }
    let config = node.read("/var/lib/kubelet/config.yaml")?;
    check("the patch of the kubelet's configuration", config.contains("maxPods: 77"), "maxPods: 77", config)?;
    let secret = kubectl.json(["-n", "kube-system", "get", "secret", "kubeadm-certs"])?;
    let count = secret["data"].as_object().map_or(0, serde_json::Map::len);
    check("uploaded certificates", count == 8, "8", count.to_string())?;
    let certificate = text_of(&node, "/etc/kubernetes/pki/apiserver.crt")?;
    for wanted in ["prime256v1", "DNS:api.example.test"] {
        check("the API server's certificate", certificate.contains(wanted), wanted, certificate.clone())?;
    }
    Ok(())
}

/// Reads a certificate of a node as openssl prints it.
pub(super) fn text_of(node: &Node, certificate: &str) -> Result<String> {
    Run::new("openssl").args(["x509", "-noout", "-text", "-in"]).args([node.path(certificate)]).read()
}

fn external_ca(context: &Context<'_>) -> Result<()> {
    for (name, hidden) in [("noca", "ca.key"), ("nofront", "front-proxy-ca.key")] {
        progress::step(format!("-- without {hidden}"));
        let node = context.node(name)?;
        let config = format!("--config={CONFIG}");
        context.kubeadm(&node, &["init", "phase", "certs", "all", &config])?;
        context.kubeadm(&node, &["init", "phase", "kubeconfig", "all", &config])?;
        node.script(&format!("mv /etc/kubernetes/pki/{hidden} /root/"))?;
        let before = node.script("sha256sum /etc/kubernetes/pki/*.crt /etc/kubernetes/*.conf")?;
        context.init(&node, &[])?;
        check(
            "the hidden key stays away",
            !node.has(&format!("/etc/kubernetes/pki/{hidden}")),
            "no file",
            hidden,
        )?;
        // kubelet-finalize rewrites kubelet.conf.
        let but_kubelet =
            |text: &str| text.lines().filter(|l| !l.ends_with("kubelet.conf")).collect::<Vec<_>>().join("\n");
        let after = node.script("sha256sum /etc/kubernetes/pki/*.crt /etc/kubernetes/*.conf")?;
        let (before, after) = (but_kubelet(&before), but_kubelet(&after));
        check("what was signed elsewhere is used", before == after, before, after)?;
        context.ready(&node)?;
        context.remove(&node)?;
    }
    Ok(())
}

fn rootless(context: &Context<'_>) -> Result<()> {
    let node = context.node("rootless")?;
    context.configure(
        &node,
        NETWORKING,
        &format!("{NETWORKING}\nfeatureGates: {{RootlessControlPlane: true}}"),
    )?;
    context.init(&node, &[])?;
    context.ready(&node)?;
    no_component_is_root(&node)
}

/// Each of the four components runs as a user of its own.
pub(super) fn no_component_is_root(node: &Node) -> Result<()> {
    let users = node.script(
        "ps -eo user:32,comm | grep -E ' (etcd|kube-apiserver|kube-controller|kube-scheduler)$' | sort -u",
    )?;
    check(
        "users of the components",
        users.lines().count() == 4 && !users.contains("root"),
        "four, none root",
        users,
    )
}

fn rootfs(context: &Context<'_>) -> Result<()> {
    let node = context.node("rootfs")?;
    node.script("mkdir -p /other/etc /other/tmp; cp /etc/passwd /etc/hosts /etc/resolv.conf /other/etc/")?;
    node.write(&format!("/other{CONFIG}"), &node.read(CONFIG)?)?;
    let config = format!("--config={CONFIG}");
    context.kubeadm(&node, &["init", "phase", "certs", "all", "--rootfs=/other", &config])?;
    check("keys below the folder", node.has("/other/etc/kubernetes/pki/ca.key"), "a key", "none")?;
    check("keys outside it", !node.has("/etc/kubernetes/pki"), "none", "a folder")
}

fn pull(context: &Context<'_>) -> Result<()> {
    let node = context.node("pull")?;
    let config = format!("--config={CONFIG}");
    // No registry can be reached: an image that is not there must be named, with a status of failure.
    let kept = context.image("kube-scheduler").to_owned();
    node.run(["ctr", "-n", "k8s.io", "images", "rm", &kept])?;
    let output = context.try_kubeadm(&node, &["config", "images", "pull", &config])?;
    check("pulling without a network", output.code == 1, "1", output.tail(10))?;
    check(
        "the image is named",
        output.stderr.contains("registry.k8s.io/"),
        "registry.k8s.io/",
        output.stderr,
    )?;
    let init = context.try_init(&node, &[])?;
    let took = init.took < Duration::from_secs(60);
    let named = init.stderr.contains("ImagePull") && init.stderr.contains(&kept);
    check(
        "init without an image",
        init.code == 1 && named && took,
        format!("ImagePull, {kept}"),
        init.tail(15),
    )
}
