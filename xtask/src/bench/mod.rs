//! `cargo xtask bench --reference PATH`: our kubeadm and the original side by side, in turns, in one run.

mod life;
mod measure;
pub(crate) mod minors;

use std::path::Path;
use std::process::Command;

use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::releases::{self, Release};
use kubeadm_lab::{Error, Lab, Result, cluster, node, progress};

use crate::build::repository;
use measure::{Cost, measure};

/// What is measured and how often.
struct Row {
    name: &'static str,
    runs: usize,
    /// Highest share of the original's wall time, processor time and memory, where there is a goal.
    goals: [Option<f64>; 3],
}

/// Commands that run on this machine as they are.
const COMMANDS: &[(Row, &[&str])] = &[
    (Row { name: "version", runs: 21, goals: [Some(0.1), None, Some(0.25)] }, &["version"]),
    (Row { name: "token generate", runs: 21, goals: [Some(0.1), None, Some(0.25)] }, &["token", "generate"]),
    (
        Row { name: "config print init-defaults", runs: 21, goals: [Some(0.1), None, Some(0.25)] },
        &["config", "print", "init-defaults"],
    ),
];
const CERTIFICATES: Row = Row { name: "init phase certs all", runs: 31, goals: [Some(0.8), None, None] };
const DRY_RUN: Row = Row { name: "init --dry-run", runs: 5, goals: [None, Some(0.5), None] };
const INIT: Row = Row { name: "init, images present", runs: 5, goals: [Some(0.75), None, None] };

/// What both programs took.
struct Measured {
    row: &'static Row,
    ours: Vec<Cost>,
    theirs: Vec<Cost>,
}

impl Measured {
    /// Measures both programs in turns, so that whatever else the machine does hits both.
    fn take(row: &'static Row, mut run: impl FnMut(bool) -> Result<Cost>) -> Result<Self> {
        progress::step(format!("measure {} ({} times each)", row.name, row.runs));
        let mut measured = Self::new(row);
        for _ in 0..row.runs {
            measured.add(true, run(true)?);
            measured.add(false, run(false)?);
        }
        Ok(measured)
    }

    fn new(row: &'static Row) -> Self {
        Self { row, ours: Vec::new(), theirs: Vec::new() }
    }

    fn add(&mut self, reference: bool, cost: Cost) {
        let costs = if reference { &mut self.theirs } else { &mut self.ours };
        costs.push(cost);
    }

    /// One line of the table.
    fn line(&self) -> String {
        let wall = |c: &Cost| c.wall.as_secs_f64() * 1e3;
        let cpu = |c: &Cost| c.cpu.as_secs_f64() * 1e3;
        let memory = |c: &Cost| c.memory as f64 / 1024.0;
        let cell = |value: fn(&Cost) -> f64, unit: &str, goal: Option<f64>| {
            let (ours, theirs) = (summary(&self.ours, value), summary(&self.theirs, value));
            let share = ours.1 / theirs.1;
            let verdict = goal.map_or(String::new(), |g| {
                format!(", goal {g:.2}{}", if share <= g { "" } else { " **missed**" })
            });
            format!(
                "{:.1} ({:.1}) / {:.1} ({:.1}) {unit} = {share:.2}{verdict}",
                ours.1, ours.0, theirs.1, theirs.0
            )
        };
        let [a, b, c] = self.row.goals;
        let (wall, cpu) = (cell(wall, "ms", a), cell(cpu, "ms", b));
        format!("| `{}` | {} | {wall} | {cpu} | {} |", self.row.name, self.row.runs, cell(memory, "MiB", c))
    }
}

/// Least and median.
fn summary(costs: &[Cost], value: fn(&Cost) -> f64) -> (f64, f64) {
    let mut values: Vec<f64> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    (values.first().copied().unwrap_or_default(), values.get(values.len() / 2).copied().unwrap_or_default())
}

/// Measures everything and writes BENCHMARKS.md.
pub(crate) fn run(lab: &Lab, ours: &Kubeadm, theirs: &Kubeadm) -> Result<()> {
    if ours.reference {
        return Err(Error::Unfit("--reference names the original kubeadm, --kubeadm ours".into()));
    }
    cluster::check_machine()?;
    let release = &releases::ALL[0];
    let program = |reference: bool| if reference { &theirs.path } else { &ours.path };
    let mut all = Vec::new();
    for (row, args) in COMMANDS {
        all.push(Measured::take(row, |reference| measure(Command::new(program(reference)).args(*args)))?);
    }
    all.push(Measured::take(&CERTIFICATES, |reference| certificates(program(reference), release))?);
    let images = cluster::prepare(lab, release, ours)?;
    let on_node = |reference: bool, more: &[&str]| -> Result<Cost> {
        let kubeadm = if reference { theirs } else { ours };
        let node = cluster::start_node(lab, "bench", release, kubeadm, &images)?;
        let ignore = format!("--ignore-preflight-errors={}", kubeadm.ignore(release));
        let args = ["kubeadm", "init", "--config", cluster::CONFIG, &ignore];
        let cost = measure(&mut node.command(args.iter().chain(more)));
        node::remove(lab, "bench")?;
        cost
    };
    all.push(Measured::take(&DRY_RUN, |reference| on_node(reference, &["--dry-run"]))?);
    all.push(Measured::take(&INIT, |reference| on_node(reference, &[]))?);
    all.extend(life::take(lab, ours, theirs)?);

    let text = report(&all, ours, theirs)?;
    let path = repository().join("BENCHMARKS.md");
    std::fs::write(&path, &text).map_err(|source| Error::Io { action: "write", path, source })?;
    progress::plain(text);
    Ok(())
}

fn certificates(kubeadm: &Path, release: &Release) -> Result<Cost> {
    let folder = tempfile::tempdir().map_err(|source| Error::Io {
        action: "make a folder in",
        path: "/tmp".into(),
        source,
    })?;
    let mut command = Command::new(kubeadm);
    command.args(["init", "phase", "certs", "all", "--apiserver-advertise-address", "192.0.2.10"]);
    command.args(["--kubernetes-version", release.version, "--cert-dir"]).arg(folder.path());
    measure(&mut command)
}

fn report(all: &[Measured], ours: &Kubeadm, theirs: &Kubeadm) -> Result<String> {
    let size = |kubeadm: &Kubeadm| -> Result<f64> {
        let about = kubeadm.path.metadata();
        let about =
            about.map_err(|source| Error::Io { action: "look at", path: kubeadm.path.clone(), source })?;
        Ok(about.len() as f64 / 1e6)
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(1).unwrap_or("unknown").to_owned();
    let lines: Vec<String> = all.iter().map(Measured::line).collect();
    Ok(format!(
        "# Benchmarks\n\n\
         The last run of `cargo xtask bench --reference PATH`, which writes this file. PATH is a kubeadm v1.37.2 in Go;\n\
         `cargo xtask bench --reference build` builds one from its Go module first (a few minutes, once).\n\n\
         Both programs run in turns on the same machine. Each cell reads: ours / the original = share of it; the\n\
         first number is the median, the one in brackets the least. Memory is the most that was resident at a time,\n\
         of the program or of one that it runs (init asks `kubelet --version`, which takes more than ours does), and\n\
         no less than the few MiB of the program that measures. RSA keys are found by chance, so what makes them\n\
         varies. `init`, `join`, `reset` and `upgrade` run on fresh nodes of the lab with all images present and end when\n\
         kubeadm does; of joins at once the time of the last, the work of all and the memory of the largest count.\n\n\
         {processors} processors, load of the last five minutes {load}. \
         Size: {:.1} MB / {:.1} MB.\n\n\
         | command | runs | wall time | processor time | memory |\n|---|---|---|---|---|\n{}\n\n{}",
        size(ours)?,
        size(theirs)?,
        lines.join("\n"),
        minors::section()?,
    ))
}
