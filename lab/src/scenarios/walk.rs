//! A cluster goes through several minors, one after the other, and nothing of it is lost.

use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::Shape;
use crate::scenario::{Context, Scenario};
use crate::scenarios::{network, upgrade};
use crate::{Result, cluster, progress, releases};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upgrade-walk",
    about: "v1.34 to v1.37, minor by minor, of a control plane and a worker with one kubeadm",
    release: "v1.34.4",
    ours_only: true,
    run,
    ..Scenario::PLAIN
};

const HOPS: [&str; 3] = ["v1.35.4", "v1.36.3", "v1.37.2"];

fn run(context: &Context<'_>) -> Result<()> {
    let (node, worker) = (context.node("walk1")?, context.node("walk2")?);
    let output = context.init(&node, &[])?;
    context.join(&worker, JoinCommands::printed(&output.stdout).worker()?, &[])?;
    let shape = Shape::of(1, 1);
    let kubectl = context.ready_as(&node, shape)?;
    network::serve(context, &kubectl)?;
    network::talks(&kubectl, 1)?;
    kubectl.run(["create", "configmap", "before", "--from-literal=kept=yes"])?;

    let mut old = context.release;
    for version in HOPS {
        progress::step(format!("-- {} to {version}", old.version));
        let new = releases::find(version)?;
        for node in [&node, &worker] {
            context.bring_images(node, new)?;
        }
        let plan = context.kubeadm(&node, &["upgrade", "plan", version, &context.ignore()])?;
        let offered = format!("kubeadm upgrade apply {version}");
        check("what the plan offers", plan.stdout.contains(&offered), offered, plan.stdout)?;
        upgrade::apply_version(context, &node, version)?;
        context.install_kubelet(&node, new)?;
        cluster::wait_ready(&kubectl, shape)?;
        upgrade::upgrade_node(context, &worker)?;
        context.install_kubelet(&worker, new)?;
        upgrade::upgraded_to(&kubectl, old.version, version, shape)?;
        cluster::wait_ready(&kubectl, shape)?;
        network::talks(&kubectl, 1)?;
        old = new;
    }
    let kept = kubectl.run(["get", "configmap", "before", "-o", "jsonpath={.data.kept}"])?;
    check("an object from before the first upgrade", kept == "yes", "yes", kept)
}
