//! A cluster of 2018 on Docker, to which its kubelets speak themselves.

use std::time::Duration;

use crate::cluster::CONFIG;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::{checks, failures};
use crate::{Result, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "docker-v1.13",
    about: "init, join, failures and reset with Docker by dockershim",
    release: "v1.13.12",
    // The original cannot name a cause, and misses programs that nobody needs.
    ours_only: true,
    run,
    ..Scenario::PLAIN
};

const SOCKET: &str = "--cri-socket=/var/run/dockershim.sock";
/// The flags that the kubelet gets because of Docker, in the file's order.
const FLAGS: &str =
    "--cgroup-driver=cgroupfs --network-plugin=cni --pod-infra-container-image=k8s.gcr.io/pause:3.1";
const ETCD: &str = "networking: {podSubnet: 10.244.0.0/16}\netcd: {local: {imageTag: 9.9.9}}";
const NETWORKING: &str = "networking: {podSubnet: 10.244.0.0/16}";

fn run(context: &Context<'_>) -> Result<()> {
    let node = context.docker_node("docker1")?;
    let right = node.read(CONFIG)?;
    docker_that_is_down(context, &node)?;
    context.configure(&node, NETWORKING, ETCD)?;
    image_that_cannot_be_had(context, &node)?;
    image_that_cannot_run(context, &node)?;
    reset(context, &node, &[])?;

    node.write(CONFIG, &right)?;
    let output = context.init(&node, &[])?;
    told_of_docker(&node)?;
    let kubectl = context.ready(&node)?;
    node_tells_of_docker(&kubectl, &node)?;
    checks::serving_certificate(&node)?;
    checks::common(context, &node, &kubectl, checks::OLD_CSR)?;

    let worker = context.docker_node("docker2")?;
    // Docker is found, though its containerd answers as well.
    context.join(&worker, JoinCommands::printed(&output.stdout).worker()?, &[])?;
    told_of_docker(&worker)?;
    context.ready_as(&node, Shape::of(1, 1))?;
    node_tells_of_docker(&kubectl, &worker)?;
    reset(context, &worker, &[SOCKET])?;
    context.remove(&worker)?;
    reset(context, &node, &[])
}

/// Docker's socket is named, and not that of the kubelet, at which nobody listens before it runs.
fn docker_that_is_down(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("-- a Docker that is down");
    node.run(["systemctl", "stop", "docker.socket", "docker.service"])?;
    let output = context.try_init(node, &[])?;
    let wanted =
        ["[ERROR CRI]", "/var/run/docker.sock", "[ERROR Service-Docker]: docker service is not active"];
    let named = wanted.iter().all(|w| output.stderr.contains(w));
    check("init without a Docker", output.code == 1 && named, wanted.join(", "), output.tail(15))?;
    node.run(["systemctl", "start", "docker.socket", "docker.service"]).map(drop)
}

/// Docker has no such image, and reaches no registry.
fn image_that_cannot_be_had(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("-- an image that cannot be had");
    // Docker would else wait for a name server, fifteen seconds at each try.
    node.script("echo 127.0.0.1 k8s.gcr.io >> /etc/hosts")?;
    let output = context.try_init(node, &[])?;
    let named =
        ["ImagePull", "docker pull", "k8s.gcr.io/etcd:9.9.9"].iter().all(|w| output.stderr.contains(w));
    check("init without an image", output.code == 1 && named, "ImagePull, etcd:9.9.9", output.tail(15))?;
    let args = ["config", "images", "pull", SOCKET, "--kubernetes-version", context.release.version];
    let output = context.try_kubeadm(node, &args)?;
    let named = output.stderr.contains("docker pull") && output.stderr.contains("k8s.gcr.io/");
    check("pulling without a network", output.code == 1 && named, "docker pull, k8s.gcr.io/", output.tail(10))
}

/// The image is there and lacks its program: only Docker knows why the container does not start.
fn image_that_cannot_run(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("-- an image that cannot run");
    node.run(["docker", "tag", "k8s.gcr.io/pause:3.1", "k8s.gcr.io/etcd:9.9.9"])?;
    let took = failures::etcd_that_cannot_run(context, node)?.took;
    check("time until it is found", took < Duration::from_secs(40), "40 s", format!("{took:?}"))
}

/// The kubelet's flags name what Docker needs, and no endpoint.
fn told_of_docker(node: &Node) -> Result<()> {
    let flags = node.read("/var/lib/kubelet/kubeadm-flags.env")?;
    check("the kubelet's flags", flags.contains(FLAGS) && !flags.contains("endpoint"), FLAGS, flags)
}

/// The Node has the runtime that runs, and for later kubeadms of that time its socket.
fn node_tells_of_docker(kubectl: &Kubectl, node: &Node) -> Result<()> {
    let found = kubectl.json(["get", "node", &node.name])?;
    let runtime = found["status"]["nodeInfo"]["containerRuntimeVersion"].to_string();
    check("the node's runtime", runtime.contains("docker://"), "docker://", runtime)?;
    let annotation = &found["metadata"]["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"];
    let wanted = "/var/run/dockershim.sock";
    check("the annotation of the node", *annotation == wanted, wanted, annotation.to_string())
}

/// Reset finds Docker by the kubelet's files, removes the kubelet's containers and leaves Docker alone.
fn reset(context: &Context<'_>, node: &Node, more: &[&str]) -> Result<()> {
    let list = ["docker", "ps", "-aq", "--filter", "name=k8s_"];
    let before = node.run(list)?;
    check("containers before a reset", before.lines().count() >= 2, "some", before)?;
    node.run(["docker", "create", "--name=foreign", "k8s.gcr.io/pause:3.1"])?;
    context.reset(node, more)?;
    let after = node.run(list)?;
    check("containers after a reset", after.trim().is_empty(), "none", after)?;
    node.run(["docker", "rm", "foreign"])?;
    let folders = ["/var/lib/kubelet", "/var/lib/dockershim"];
    let left = node.run(["find"].iter().chain(&folders).chain(&["-mindepth", "1"]))?;
    check("what a reset leaves", left.is_empty(), "empty folders", left)
}
