//! A cluster goes from one minor to the next while people use it; an upgrade that cannot work leaves it as it was.

use std::time::Duration;

use crate::balancer::Balancer;
use crate::command::wait_for;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::load::Load;
use crate::node::{GATEWAY, Node};
use crate::releases::{self, Release};
use crate::scenario::{Context, Scenario};
use crate::scenarios::kill::{self, Point};
use crate::scenarios::mixed::other;
use crate::scenarios::network;
use crate::{Result, cluster, progress};

pub(super) const UNDER_LOAD: Scenario = Scenario {
    name: "upgrade",
    about: "v1.36 to v1.37 of two control planes and a worker while pods and the API are in use",
    release: OLD,
    run: under_load,
    ..Scenario::PLAIN
};

pub(super) const BROKEN: Scenario = Scenario {
    name: "upgrade-broken",
    about: "an upgrade to an image that cannot run is rolled back; the corrected one succeeds",
    release: OLD,
    run: broken,
    ..Scenario::PLAIN
};

pub(super) const EXTERNAL_CA: Scenario = Scenario {
    name: "upgrade-external-ca",
    about: "a cluster whose CA key is elsewhere is upgraded; nothing that it signed is touched",
    release: OLD,
    run: external_ca,
    ..Scenario::PLAIN
};

pub(super) const KILLED: Scenario = Scenario {
    name: "upgrade-killed",
    about: "an upgrade killed again and again, each time further on, ends well when it is let be",
    release: OLD,
    ours_only: true,
    run: killed,
    ..Scenario::PLAIN
};

pub(super) const MIXED: Scenario = Scenario {
    name: "upgrade-mixed",
    about: "ours upgrades a cluster that the original made, and the reverse",
    release: OLD,
    mixed: true,
    run: mixed,
    ..Scenario::PLAIN
};

pub(super) const OF_2018: Scenario = Scenario {
    name: "upgrade-v1.12",
    about: "v1.12 to v1.13, whose etcd also listens at the node's address",
    release: "v1.12.10",
    ours_only: true,
    run: of_2018,
    ..Scenario::PLAIN
};

const OLD: &str = "v1.36.3";
const NEW: &str = "v1.37.2";
/// The pod itself is not touched.
const POD_OUTAGE: Duration = Duration::from_secs(2);
/// Two members of etcd need each other: writes fail until the one that is replaced is back and a leader is elected.
const API_OUTAGE: Duration = Duration::from_secs(15);
/// The original waits for mirror pods and not for the component: it replaces the API server before etcd serves again.
const ORIGINAL_API_OUTAGE: Duration = Duration::from_secs(90);

fn under_load(context: &Context<'_>) -> Result<()> {
    let first = context.node("up1")?;
    let (second, worker) = (context.node("up2")?, context.node("up3")?);
    let balancer = Balancer::start(&format!("{GATEWAY}:6443"))?;
    balancer.add(&first.address, 6443)?;
    balancer.add(&second.address, 6443)?;
    let own = format!("controlPlaneEndpoint: {}:6443", first.address);
    context.configure(&first, &own, &format!("controlPlaneEndpoint: {}", balancer.endpoint()))?;
    let commands = JoinCommands::printed(&context.init(&first, &["--upload-certs"])?.stdout);
    let joining = context.start_join(&second, commands.control_plane()?, &[])?;
    context.join(&worker, commands.worker()?, &[])?;
    context.finish(&second, joining)?;
    let new = releases::find(NEW)?;
    for node in [&first, &second, &worker] {
        context.bring_images(node, new)?;
    }
    let kubectl = context.client(&first)?;
    network::serve(context, &kubectl)?;
    let kubectl = context.ready_as(&first, Shape::of(2, 1))?;
    network::talks(&kubectl, 1)?;

    let pod = Load::on_server(&format!("{}:{}", worker.address, network::NODE_PORT))?;
    let api = Load::on_api(&kubectl, "load")?;
    let plan = context.kubeadm(&first, &["upgrade", "plan", NEW])?;
    check("what the plan offers", plan.stdout.contains("kubeadm upgrade apply v1.37.2"), NEW, plan.stdout)?;
    apply(context, &first)?;
    context.install_kubelet(&first, new)?;
    for node in [&second, &worker] {
        // One node at a time: the new kubelet starts all containers of its node anew.
        cluster::wait_ready(&kubectl, Shape::of(2, 1))?;
        upgrade_node(context, node)?;
        context.install_kubelet(node, new)?;
    }
    upgraded(&kubectl, Shape::of(2, 1))?;
    cluster::wait_ready(&kubectl, Shape::of(2, 1))?;
    let (pod, api) = (pod.finish()?, api.finish()?);
    progress::detail(format!("the pod under load: {pod}\nthe API under load: {api}"));
    check("the longest time without an answer of the pod", pod.outage < POD_OUTAGE, "2 s", pod.to_string())?;
    let limit = if context.kubeadm.reference { ORIGINAL_API_OUTAGE } else { API_OUTAGE };
    check(
        "the longest time without a write to the API",
        api.outage < limit,
        format!("{limit:?}"),
        api.to_string(),
    )?;
    network::talks(&kubectl, 1)
}

/// A cluster of one node, which has the images of another release.
fn upgradable(context: &Context<'_>, name: &str, new: &'static Release) -> Result<(Node, Kubectl)> {
    let node = context.node(name)?;
    context.init(&node, &[])?;
    context.bring_images(&node, new)?;
    let kubectl = context.ready(&node)?;
    Ok((node, kubectl))
}

fn apply(context: &Context<'_>, node: &Node) -> Result<()> {
    apply_version(context, node, NEW)
}

pub(super) fn apply_version(context: &Context<'_>, node: &Node, version: &str) -> Result<()> {
    progress::step(format!("kubeadm upgrade apply {version} on {}", node.name));
    let output = context.kubeadm(node, &["upgrade", "apply", version, "--yes", &context.ignore()])?;
    progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
    Ok(())
}

pub(super) fn upgrade_node(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step(format!("kubeadm upgrade node on {}", node.name));
    let output = context.kubeadm(node, &["upgrade", "node", &context.ignore()])?;
    progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
    Ok(())
}

/// All that kubeadm runs is of the new release, and so are the kubelets.
fn upgraded(kubectl: &Kubectl, shape: Shape) -> Result<()> {
    upgraded_to(kubectl, OLD, NEW, shape)
}

pub(super) fn upgraded_to(kubectl: &Kubectl, old: &str, new: &str, shape: Shape) -> Result<()> {
    progress::step("check that everything is of the new release");
    // kube-proxy is replaced one node after the other, also after kubeadm has ended.
    wait_for("pods of the new release", Duration::from_secs(120), || {
        let path = "jsonpath={range .items[*]}{.metadata.name} {..containers[*].image}{\"\\n\"}{end}";
        let pods =
            kubectl.run(["-n", "kube-system", "get", "pods", "-o", path]).map_err(|e| e.to_string())?;
        let (left, there) = (pods.matches(old).count(), pods.matches(new).count());
        let wanted = 4 * shape.control_planes + shape.workers;
        if left == 0 && there == wanted { Ok(()) } else { Err(format!("{there} of {wanted}:\n{pods}")) }
    })?;
    wait_for("kubelets of the new release", Duration::from_secs(60), || {
        let path = "jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
        let versions = kubectl.run(["get", "nodes", "-o", path]).map_err(|e| e.to_string())?;
        if versions.split(' ').all(|version| version == new) { Ok(()) } else { Err(versions) }
    })?;
    let config = kubectl.run(["-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "yaml"])?;
    check("the version in kubeadm-config", config.contains(new), new, config)
}

/// Each comes after the one before it.
const POINTS: &[Point] = &[
    Point { about: "the snapshot of etcd is there", script: "ls /etc/kubernetes/tmp/*/snapshot.db" },
    Point {
        about: "the controller manager's manifest is new",
        script: "grep -q v1.37.2 /etc/kubernetes/manifests/kube-controller-manager.yaml",
    },
    Point {
        about: "the scheduler's manifest is new",
        script: "grep -q v1.37.2 /etc/kubernetes/manifests/kube-scheduler.yaml",
    },
    Point {
        about: "the stored configuration is new",
        script: "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get configmap kubeadm-config -o yaml | \
                 grep v1.37.2",
    },
];

fn killed(context: &Context<'_>) -> Result<()> {
    let node = context.node("upkill")?;
    context.init(&node, &[])?;
    let new = releases::find(NEW)?;
    context.bring_images(&node, new)?;
    let kubectl = context.ready(&node)?;
    kubectl.run(["create", "configmap", "before"])?;
    for point in POINTS {
        kill::at(context, &node, &["kubeadm", "upgrade", "apply", NEW, "--yes", &context.ignore()], point)?;
        kill::secrets_are_private(&node)?;
    }
    apply(context, &node)?;
    kill::nothing_unfinished(&node)?;
    context.install_kubelet(&node, new)?;
    upgraded(&kubectl, Shape::of(1, 0))?;
    context.ready(&node)?;
    kubectl.run(["get", "configmap", "before"]).map(drop)
}

/// Digests of what is put back. An etcd that came up with its new manifest stays.
fn manifests(node: &Node) -> Result<String> {
    node.script("sha256sum /etc/kubernetes/manifests/kube-*")
}

fn mixed(context: &Context<'_>) -> Result<()> {
    let new = releases::find(NEW)?;
    let original = context.reference()?;
    for (maker, upgrader) in [(original, context.kubeadm), (context.kubeadm, original)] {
        let node = context.node_with("mixup", maker)?;
        // The original gives every release the etcd and CoreDNS of its own.
        context.bring_images(&node, new)?;
        context.init(&node, &[])?;
        let kubectl = context.ready(&node)?;
        other(&node, upgrader)?;
        apply(context, &node)?;
        context.install_kubelet(&node, new)?;
        upgraded(&kubectl, Shape::of(1, 0))?;
        context.ready(&node)?;
        context.remove(&node)?;
    }
    Ok(())
}

/// The API server is the old one.
fn serves(context: &Context<'_>, node: &Node) -> Result<()> {
    let version = context.ready(node)?.json(["version"])?["serverVersion"]["gitVersion"].to_string();
    check("the version that runs", version.contains(OLD), OLD, version)
}

/// A scheduler that ends at once: by then API server and controller manager are new, and go back too. etcd stays.
fn crashes(context: &Context<'_>, node: &Node) -> Result<()> {
    node.script("rm /patches/*")?;
    node.write(
        "/patches/kube-scheduler+json.json",
        r#"[{"op": "add", "path": "/spec/containers/0/command/-", "value": "--no-such-flag"}]"#,
    )?;
    let before = manifests(node)?;
    progress::step("kubeadm upgrade apply with a scheduler that does not know one of its flags");
    let output = context.try_kubeadm(node, &["upgrade", "apply", "--config=/etc/kubeadm/upgrade.yaml"])?;
    progress::detail(format!("failed after {:.1} s", output.took.as_secs_f64()));
    check("exit status of an upgrade that fails", output.code == 1, "1", output.tail(20))?;
    check("the manifests are those of before", manifests(node)? == before, before, manifests(node)?)?;
    for words in [
        "unknown flag: --no-such-flag",
        "as before the upgrade: kube-scheduler, kube-controller-manager, kube-apiserver",
    ] {
        check("what the error says", output.stderr.contains(words), words, output.tail(20))?;
    }
    let limit = Duration::from_secs(90);
    check("time until all is as before", output.took < limit, format!("{limit:?}"), output.tail(20))?;
    serves(context, node)
}

fn of_2018(context: &Context<'_>) -> Result<()> {
    let new = releases::find("v1.13.12")?;
    let (node, kubectl) = upgradable(context, "up12", new)?;
    apply_version(context, &node, new.version)?;
    context.install_kubelet(&node, new)?;
    upgraded_to(&kubectl, context.release.version, new.version, Shape::of(1, 0))?;
    let etcd = node.read("/etc/kubernetes/manifests/etcd.yaml")?;
    let both = format!("--listen-client-urls=https://127.0.0.1:2379,https://{}:2379", node.address);
    check("where etcd listens", etcd.contains(&both), both, etcd)?;
    context.ready(&node).map(drop)
}

fn external_ca(context: &Context<'_>) -> Result<()> {
    let new = releases::find(NEW)?;
    let (node, kubectl) = upgradable(context, "upca", new)?;
    node.script("mv /etc/kubernetes/pki/ca.key /root/")?;
    let signed = || {
        node.script(
            "cd /etc/kubernetes && sha256sum pki/apiserver-kubelet-client.crt pki/apiserver.crt *.conf",
        )
    };
    let before = signed()?;
    apply(context, &node)?;
    let after = signed()?;
    check("what was signed elsewhere", before == after, before, after)?;
    context.install_kubelet(&node, new)?;
    upgraded(&kubectl, Shape::of(1, 0))?;
    check("the key of the authority", !node.has("/etc/kubernetes/pki/ca.key"), "no file", "a file")?;
    context.ready(&node).map(drop)
}

fn broken(context: &Context<'_>) -> Result<()> {
    let new = releases::find(NEW)?;
    let (node, kubectl) = upgradable(context, "broken", new)?;
    let before = manifests(&node)?;
    // An image without the program that it should run.
    let image = "registry.k8s.io/kube-apiserver:v9.9.9";
    node.run(["ctr", "-n", "k8s.io", "images", "tag", context.image("pause"), image])?;
    node.write(
        "/patches/kube-apiserver+strategic.yaml",
        &format!("spec: {{containers: [{{name: kube-apiserver, image: '{image}'}}]}}\n"),
    )?;
    node.write(
        "/etc/kubeadm/upgrade.yaml",
        &format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\napply:\n  kubernetesVersion: {NEW}\n  \
             forceUpgrade: true\n  patches: {{directory: /patches}}\n  ignorePreflightErrors: [{}]\n\
             timeouts: {{upgradeManifests: 1m}}\n",
            context.kubeadm.ignore(context.release)
        ),
    )?;
    progress::step("kubeadm upgrade apply with a patch that names an image that cannot run");
    let output = context.try_kubeadm(&node, &["upgrade", "apply", "--config=/etc/kubeadm/upgrade.yaml"])?;
    progress::detail(format!("failed after {:.1} s", output.took.as_secs_f64()));
    check("exit status of an upgrade that fails", output.code == 1, "1", output.tail(20))?;
    check("the manifests are those of before", manifests(&node)? == before, before, manifests(&node)?)?;
    if !context.kubeadm.reference {
        let limit = Duration::from_secs(90);
        check("time until all is as before", output.took < limit, format!("{limit:?}"), output.tail(20))?;
        for named in ["kube-apiserver", "executable file not found"] {
            check("what the error names", output.stderr.contains(named), named, output.tail(20))?;
        }
    }
    serves(context, &node)?;
    // The original takes a scheduler that ends again and again for one that runs.
    if !context.kubeadm.reference {
        crashes(context, &node)?;
    }
    apply(context, &node)?;
    context.install_kubelet(&node, new)?;
    upgraded(&kubectl, Shape::of(1, 0))?;
    context.ready(&node).map(drop)
}
