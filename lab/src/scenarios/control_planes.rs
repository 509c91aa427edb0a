//! A cluster as people run it: three control planes behind a balancer and two workers, all joined at once. It survives
//! the sudden end of the control plane that made it, which is then reset and joins again.

use std::time::{Duration, Instant};

use crate::balancer::Balancer;
use crate::command::wait_for;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::{GATEWAY, Node};
use crate::scenario::{Context, Scenario};
use crate::scenarios::{etcd, network};
use crate::{Result, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "three-control-planes",
    about: "three control planes and two workers, joined at once; one dies, is reset and joins again",
    default: true,
    run,
    ..Scenario::PLAIN
};

/// How long the API may be away when the leader of etcd and one of three servers die at once.
const OUTAGE: Duration = Duration::from_secs(60);
/// Leases of schedulers and controller managers run for 15 s; then pods are made and started.
const NEW_LEADERS: Duration = Duration::from_secs(150);

fn run(context: &Context<'_>) -> Result<()> {
    let first = context.node("cp1")?;
    let balancer = Balancer::start(&format!("{GATEWAY}:6443"))?;
    let more = [context.node("cp2")?, context.node("cp3")?];
    let workers = [context.node("w1")?, context.node("w2")?];
    for node in more.iter().chain([&first]) {
        balancer.add(&node.address, 6443)?;
    }
    let own = format!("controlPlaneEndpoint: {}:6443", first.address);
    context.configure(&first, &own, &format!("controlPlaneEndpoint: {}", balancer.endpoint()))?;
    let output = context.init(&first, &["--upload-certs"])?;
    let commands = JoinCommands::printed(&output.stdout);

    let joins: Vec<(&Node, &[String])> = more
        .iter()
        .map(|node| Ok((node, commands.control_plane()?)))
        .chain(workers.iter().map(|node| Ok((node, commands.worker()?))))
        .collect::<Result<_>>()?;
    let started = Instant::now();
    let running = joins.iter().map(|(node, command)| context.start_join(node, command, &[]));
    for ((node, _), running) in joins.iter().zip(running.collect::<Result<Vec<_>>>()?) {
        context.finish(node, running)?;
    }
    progress::step(format!("all four joined after {:.1} s", started.elapsed().as_secs_f64()));

    let kubectl = context.client(&first)?;
    network::serve(context, &kubectl)?;
    let kubectl = context.ready_as(&first, Shape::of(3, 2))?;
    let all = [&first, &more[0], &more[1]];
    each_answers(&kubectl, &all)?;
    etcd::check_members(&kubectl, &more[0], &["cp1", "cp2", "cp3"])?;
    network::talks(&kubectl, 2)?;

    dies(context, &kubectl, &first)?;
    let first = first.boot_again(context.lab)?;
    context.reset(&first, &[])?;
    etcd::check_members(&kubectl, &more[0], &["cp2", "cp3"])?;
    kubectl.run(["delete", "node", &first.name])?;
    context.join(&first, commands.control_plane()?, &[])?;
    let kubectl = context.ready_as(&first, Shape::of(3, 2))?;
    each_answers(&kubectl, &all)?;
    etcd::check_members(&kubectl, &first, &["cp1", "cp2", "cp3"])
}

/// The API answers at the address of each control plane, with data of the whole cluster.
fn each_answers(kubectl: &Kubectl, nodes: &[&Node]) -> Result<()> {
    progress::step("check that the API answers through each control plane");
    for node in nodes {
        let server = format!("--server=https://{}:6443", node.address);
        let found = kubectl.run([&server, "get", "nodes", "-o", "name"])?;
        check(
            &format!("nodes that the API server of {} lists", node.name),
            found.lines().count() == 5,
            "5",
            found,
        )?;
    }
    Ok(())
}

/// The node loses its power: soon the API answers again, and what is asked of it is done.
fn dies(context: &Context<'_>, kubectl: &Kubectl, node: &Node) -> Result<()> {
    progress::step(format!("take the power of {} away", node.name));
    node.kill()?;
    let started = Instant::now();
    kubectl.create_within(OUTAGE, &["configmap", "after"])?;
    progress::detail(format!("the API takes writes again after {:.1} s", started.elapsed().as_secs_f64()));
    let image = format!("--image={}", context.image("pause"));
    kubectl.create_within(OUTAGE, &["deployment", "after", "--replicas=2", &image])?;
    wait_for("a deployment made afterwards to be there", NEW_LEADERS, || {
        let found = kubectl.json(["get", "deployment", "after"]).map_err(|e| e.to_string())?;
        match found["status"]["readyReplicas"].as_u64() {
            Some(2) => Ok(()),
            _ => Err(found["status"].to_string()),
        }
    })?;
    progress::detail(format!("a deployment runs {:.1} s after", started.elapsed().as_secs_f64()));
    Ok(())
}
