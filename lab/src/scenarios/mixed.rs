//! Ours and the original on one cluster: each joins what the other made, and each resets it.

use crate::join::JoinCommands;
use crate::kubeadm::Kubeadm;
use crate::kubectl::Shape;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::{etcd, reset};
use crate::{Result, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "the original joins and resets a cluster of ours, and the reverse",
    mixed: true,
    default: true,
    run,
    ..Scenario::PLAIN
};

fn run(context: &Context<'_>) -> Result<()> {
    let original = context.reference()?;
    progress::step(
        "-- the original joins a cluster of ours; ours resets those nodes, the original resets ours",
    );
    one_way(context, context.kubeadm, original)?;
    progress::step(
        "-- ours joins a cluster of the original; the original resets those nodes, ours resets its",
    );
    one_way(context, original, context.kubeadm)
}

/// `maker` makes a cluster, `guest` joins a control plane and a worker to it; each resets what the other did.
fn one_way(context: &Context<'_>, maker: &Kubeadm, guest: &Kubeadm) -> Result<()> {
    let first = context.node_with("mix1", maker)?;
    let (second, worker) = (context.node_with("mix2", guest)?, context.node_with("mix3", guest)?);
    let output = context.init(&first, &["--upload-certs"])?;
    let commands = JoinCommands::printed(&output.stdout);
    let joining = context.start_join(&second, commands.control_plane()?, &[])?;
    context.join(&worker, commands.worker()?, &[])?;
    context.finish(&second, joining)?;
    let kubectl = context.ready_as(&first, Shape::of(2, 1))?;
    let server = format!("--server=https://{}:6443", second.address);
    kubectl.run([&server, "get", "nodes"])?;
    etcd::check_members(&kubectl, &first, &["mix1", "mix2"])?;

    for node in [&worker, &second] {
        other(node, maker)?;
        context.reset(node, &[])?;
        reset::clean(node)?;
        kubectl.run(["delete", "node", &node.name])?;
    }
    context.ready_as(&first, Shape::of(1, 0))?;
    etcd::check_members(&kubectl, &first, &["mix1"])?;
    other(&first, guest)?;
    context.reset(&first, &[])?;
    reset::clean(&first)?;
    [first, second, worker].iter().try_for_each(|node| context.remove(node))
}

/// Puts another kubeadm onto a node.
pub(super) fn other(node: &Node, kubeadm: &Kubeadm) -> Result<()> {
    progress::detail(format!(
        "{} gets {}",
        node.name,
        if kubeadm.reference { "the original" } else { "ours" }
    ));
    node.copy_in(&kubeadm.path, "/usr/bin/kubeadm")
}
