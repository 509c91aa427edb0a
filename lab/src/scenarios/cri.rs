//! A cluster of 2018 on a container runtime that speaks CRI v1alpha2 only.

use crate::cluster::CONFIG;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::Shape;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::{checks, failures};
use crate::{Result, containerd, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "cri-v1alpha2-v1.13",
    about: "init, a failure, join and reset with a containerd that does not know CRI v1",
    release: "v1.13.12",
    // The original asks runtimes through crictl, which nodes need not have.
    ours_only: true,
    run,
    ..Scenario::PLAIN
};

fn run(context: &Context<'_>) -> Result<()> {
    let node = context.node("alpha1")?;
    containerd::install(context.lab, &node)?;
    image_that_cannot_run(context, &node)?;
    let output = context.init(&node, &[])?;
    let kubectl = context.ready(&node)?;
    checks::serving_certificate(&node)?;
    checks::common(context, &node, &kubectl, checks::OLD_CSR)?;
    let worker = context.node("alpha2")?;
    containerd::install(context.lab, &worker)?;
    context.join(&worker, JoinCommands::printed(&output.stdout).worker()?, &[])?;
    context.ready_as(&node, Shape::of(1, 1))?;
    reset(context, &worker)?;
    reset(context, &node)
}

/// The cause is asked for by CRI.
fn image_that_cannot_run(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("-- an image that cannot run");
    let right = node.read(CONFIG)?;
    let networking = "networking: {podSubnet: 10.244.0.0/16}";
    context.configure(node, networking, &format!("{networking}\netcd: {{local: {{imageTag: 9.9.9}}}}"))?;
    node.run(["ctr", "-n", "k8s.io", "images", "tag", "k8s.gcr.io/pause:3.1", "k8s.gcr.io/etcd:9.9.9"])?;
    failures::etcd_that_cannot_run(context, node)?;
    reset(context, node)?;
    node.write(CONFIG, &right)
}

/// Reset finds the pods by CRI, and leaves none.
fn reset(context: &Context<'_>, node: &Node) -> Result<()> {
    let list = ["ctr", "-n", "k8s.io", "containers", "ls", "-q"];
    let before = node.run(list)?;
    check("containers before a reset", before.lines().count() >= 2, "some", before)?;
    context.reset(node, &[])?;
    let after = node.run(list)?;
    check("containers after a reset", after.trim().is_empty(), "none", after)
}
