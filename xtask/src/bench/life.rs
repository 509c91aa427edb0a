//! Nodes that join, leave and are upgraded, each turn on a new cluster of the lab.

use kubeadm_lab::images::Image;
use kubeadm_lab::join::JoinCommands;
use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::kubectl::Shape;
use kubeadm_lab::node::{self, Node};
use kubeadm_lab::releases::{self, Release};
use kubeadm_lab::{Error, Lab, Result, cluster, progress};

use super::measure::{Cost, measure};
use super::{Measured, Row};

const WORKER: Row = Row { name: "join, a worker", runs: 3, goals: [Some(1.0), None, None] };
const CONTROL_PLANE: Row = Row { name: "join, a control plane", runs: 3, goals: [Some(0.5), None, None] };
const RESET: Row = Row { name: "reset, a control plane", runs: 3, goals: [Some(1.0), None, None] };
const TOGETHER: Row =
    Row { name: "join, three control planes at once", runs: 3, goals: [Some(1.0), None, None] };
const UPGRADE: Row =
    Row { name: "upgrade apply, 1.36.3 to 1.37.2", runs: 2, goals: [Some(1.0 / 3.0), None, None] };
const OLD: &str = "v1.36.3";

/// All rows.
pub(super) fn take(lab: &Lab, ours: &Kubeadm, theirs: &Kubeadm) -> Result<Vec<Measured>> {
    let mut rows = [&WORKER, &CONTROL_PLANE, &RESET, &TOGETHER].map(Measured::new);
    let runs = WORKER.runs;
    progress::step(format!("measure join and reset ({runs} times each)"));
    for _ in 0..runs {
        for kubeadm in [theirs, ours] {
            let costs = cluster_turn(lab, kubeadm)?;
            for (row, cost) in rows.iter_mut().zip(costs) {
                row.add(kubeadm.reference, cost);
            }
        }
    }
    let upgrade = Measured::take(&UPGRADE, |reference| upgrade(lab, if reference { theirs } else { ours }))?;
    Ok(rows.into_iter().chain([upgrade]).collect())
}

struct Machines<'a> {
    lab: &'a Lab,
    release: &'a Release,
    kubeadm: &'a Kubeadm,
    images: Vec<Image>,
}

impl Machines<'_> {
    fn up(&self, name: &str) -> Result<Node> {
        cluster::start_node(self.lab, name, self.release, self.kubeadm, &self.images)
    }

    fn measure(&self, node: &Node, words: &[String]) -> Result<Cost> {
        let ignore = self.kubeadm.ignore_flag(self.release);
        measure(&mut node.command(words.iter().chain([&ignore])))
    }
}

/// A worker and a control plane join one after the other, the latter leaves, and then three join at once.
fn cluster_turn(lab: &Lab, kubeadm: &Kubeadm) -> Result<[Cost; 4]> {
    let release = &releases::ALL[0];
    let machines = Machines { lab, release, kubeadm, images: cluster::prepare(lab, release, kubeadm)? };
    let names = ["bench1", "bench2", "bench3", "bench4", "bench5"];
    let nodes = names.iter().map(|name| machines.up(name)).collect::<Result<Vec<_>>>()?;
    let output = cluster::init(&nodes[0], release, kubeadm, &["--upload-certs"])?.success()?;
    let kubectl = cluster::client(lab, &nodes[0], release)?;
    cluster::wait_ready(&kubectl, Shape::of(1, 0))?;
    let commands = JoinCommands::printed(&output.stdout);
    let worker = machines.measure(&nodes[1], commands.worker()?)?;
    let control_plane = machines.measure(&nodes[2], commands.control_plane()?)?;
    cluster::wait_ready(&kubectl, Shape::of(2, 1))?;
    let reset = measure(&mut nodes[2].command(["kubeadm", "reset", "--force"]))?;
    kubectl.run(["delete", "node", names[2]])?;

    let begin = std::time::Instant::now();
    let words = commands.control_plane()?;
    let all = std::thread::scope(|scope| {
        let joins: Vec<_> =
            nodes[2..].iter().map(|node| scope.spawn(|| machines.measure(node, words))).collect();
        joins
            .into_iter()
            .map(|join| join.join().unwrap_or_else(|_| Err(panicked())))
            .collect::<Result<Vec<_>>>()
    })?;
    let together = Cost {
        wall: begin.elapsed(),
        cpu: all.iter().map(|c| c.cpu).sum(),
        memory: all.iter().map(|c| c.memory).max().unwrap_or_default(),
    };
    for name in names {
        node::remove(lab, name)?;
    }
    Ok([worker, control_plane, reset, together])
}

fn panicked() -> Error {
    Error::Unfit("a thread that measured a join panicked".into())
}

/// A control plane goes from one minor to the next.
fn upgrade(lab: &Lab, kubeadm: &Kubeadm) -> Result<Cost> {
    let (old, new) = (releases::find(OLD)?, &releases::ALL[0]);
    let machines = Machines { lab, release: old, kubeadm, images: cluster::prepare(lab, old, kubeadm)? };
    let node = machines.up("bench1")?;
    cluster::init(&node, old, kubeadm, &[])?.success()?;
    cluster::wait_ready(&cluster::client(lab, &node, old)?, Shape::of(1, 0))?;
    cluster::bring_images(lab, &node, new, kubeadm)?;
    let words = ["kubeadm", "upgrade", "apply", new.version, "--yes"].map(str::to_owned);
    let cost = machines.measure(&node, &words);
    node::remove(lab, "bench1")?;
    cost
}
