//! A cluster goes through several minors, and nothing of it is lost: hop by hop with its kubelets, and by one command.

use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::{minors, network, upgrade};
use crate::{Result, cluster, progress, releases};

pub(super) const HOP_BY_HOP: Scenario = Scenario {
    name: "upgrade-walk",
    about: "v1.34 to v1.37, minor by minor, of a control plane and a worker with one kubeadm",
    run: hop_by_hop,
    ..FROM_1_34
};

pub(super) const THROUGH: Scenario = Scenario {
    name: "upgrade-through",
    about: "v1.34 to v1.37 by one upgrade apply --through; kubelets follow at its end",
    run: through,
    ..FROM_1_34
};

pub(super) const PAST_MASTER: Scenario = Scenario {
    name: "upgrade-v1.23",
    about: "v1.23 to v1.25 by one command that is given again when kubelets have followed; nothing is called master then",
    release: "v1.23.17",
    ours_only: true,
    run: past_master,
    ..Scenario::PLAIN
};

const FROM_1_34: Scenario = Scenario { release: "v1.34.4", ours_only: true, ..Scenario::PLAIN };
const HOPS: [&str; 3] = ["v1.35.4", "v1.36.3", "v1.37.2"];
const SHAPE: Shape = Shape::of(1, 1);

/// A control plane and a worker of v1.34, in use.
struct Start {
    node: Node,
    worker: Node,
    kubectl: Kubectl,
}

impl Start {
    fn new(context: &Context<'_>, name: &str) -> Result<Self> {
        let (node, worker) = (context.node(&format!("{name}1"))?, context.node(&format!("{name}2"))?);
        let output = context.init(&node, &[])?;
        context.join(&worker, JoinCommands::printed(&output.stdout).worker()?, &[])?;
        let kubectl = context.ready_as(&node, SHAPE)?;
        network::serve(context, &kubectl)?;
        network::talks(&kubectl, 1)?;
        kubectl.run(["create", "configmap", "before", "--from-literal=kept=yes"])?;
        Ok(Self { node, worker, kubectl })
    }

    fn bring_images(&self, context: &Context<'_>, version: &str) -> Result<()> {
        let release = releases::find(version)?;
        context.bring_images(&self.node, release)?;
        context.bring_images(&self.worker, release)
    }

    /// Gives the nodes the kubelets of a control plane that was upgraded, and looks whether all is of the new release.
    fn follow(&self, context: &Context<'_>, old: &str, version: &str) -> Result<()> {
        let release = releases::find(version)?;
        context.install_kubelet(&self.node, release)?;
        cluster::wait_ready(&self.kubectl, SHAPE)?;
        upgrade::upgrade_node(context, &self.worker)?;
        context.install_kubelet(&self.worker, release)?;
        upgrade::upgraded_to(&self.kubectl, old, version, SHAPE)?;
        cluster::wait_ready(&self.kubectl, SHAPE)?;
        network::talks(&self.kubectl, 1)?;
        let kept = self.kubectl.run(["get", "configmap", "before", "-o", "jsonpath={.data.kept}"])?;
        check("an object from before the upgrade", kept == "yes", "yes", kept)
    }
}

fn hop_by_hop(context: &Context<'_>) -> Result<()> {
    let start = Start::new(context, "walk")?;
    let mut old = context.release.version;
    for version in HOPS {
        progress::step(format!("-- {old} to {version}"));
        start.bring_images(context, version)?;
        let plan = context.kubeadm(&start.node, &["upgrade", "plan", version, &context.ignore()])?;
        let offered = format!("kubeadm upgrade apply {version}");
        check("what the plan offers", plan.stdout.contains(&offered), offered, plan.stdout)?;
        upgrade::apply_version(context, &start.node, version)?;
        start.follow(context, old, version)?;
        old = version;
    }
    Ok(())
}

fn through(context: &Context<'_>) -> Result<()> {
    let start = Start::new(context, "through")?;
    HOPS.iter().try_for_each(|version| start.bring_images(context, version))?;
    let (old, new) = (context.release.version, HOPS[HOPS.len() - 1]);
    let way = HOPS.join(",");
    let plan = context.kubeadm(&start.node, &["upgrade", "plan", "--to", &way, &context.ignore()])?;
    for version in HOPS {
        check("the way that is planned", plan.stdout.contains(version), version, plan.stdout.clone())?;
    }
    progress::step(format!("kubeadm upgrade apply --through {way} on {}", start.node.name));
    let output =
        context.kubeadm(&start.node, &["upgrade", "apply", "--through", &way, "--yes", &context.ignore()])?;
    progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
    start.follow(context, old, new)
}

/// A kubelet may be one minor older than a control plane of these: the walk goes as far as that allows, and says what has to
/// be done before it goes on.
fn past_master(context: &Context<'_>) -> Result<()> {
    // The last patch of v1.25 of which every module is served.
    const HOPS: [(&str, u32); 2] = [("v1.24.17", 24), ("v1.25.6", 25)];
    let start = Start::new(context, "master")?;
    HOPS.iter().try_for_each(|(version, _)| start.bring_images(context, version))?;
    let way = HOPS.map(|(version, _)| version).join(",");
    let mut old = context.release.version;
    for (at, (version, minor)) in HOPS.iter().enumerate() {
        progress::step(format!("kubeadm upgrade apply --through {way} on {}", start.node.name));
        let words = ["upgrade", "apply", "--through", &way, "--yes", &context.ignore()];
        let output = context.try_kubeadm(&start.node, &words)?;
        progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
        match HOPS.get(at + 1) {
            Some((next, _)) => {
                let told = format!(
                    "the cluster was upgraded to {version}, and {next} has to wait: the kubelets of nodes ["
                );
                let stopped = output.code == 1 && output.stderr.contains(&told);
                check("where the walk stops for kubelets", stopped, told, output.tail(20))?;
            }
            None => check("exit status of the last walk", output.code == 0, "0", output.tail(20))?,
        }
        minors::named(&start.kubectl, &start.node, &start.worker, *minor)?;
        start.follow(context, old, version)?;
        old = version;
    }
    Ok(())
}
