//! Scenarios: what a kubeadm must do on real nodes. One file each in [`crate::scenarios`], all listed there.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::Output;
use crate::error::At as _;
use crate::images::Image;
use crate::kubeadm::Kubeadm;
use crate::kubectl::Kubectl;
use crate::node::{self, Node};
use crate::releases::{self, Release};
use crate::{Lab, Result, cluster, evidence, progress};

/// One scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line about what it proves.
    pub about: &'static str,
    /// The release of its nodes.
    pub release: &'static str,
    /// Whether a plain `cargo xtask test` runs it.
    pub default: bool,
    /// Whether the reference cannot pass it, because ours promises more.
    pub ours_only: bool,
    /// Runs it.
    pub run: fn(&Context<'_>) -> Result<()>,
}

/// What a scenario works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The kubeadm under test.
    pub kubeadm: &'a Kubeadm,
    /// The release of the nodes.
    pub release: &'static Release,
    images: Vec<Image>,
    folder: PathBuf,
    nodes: RefCell<Vec<Node>>,
    runs: RefCell<u32>,
}

impl Context<'_> {
    /// Starts a node; it is removed at the scenario's end.
    pub fn node(&self, name: &str) -> Result<Node> {
        let node = cluster::start_node(self.lab, name, self.release, self.kubeadm, &self.images)?;
        self.nodes.borrow_mut().push(node.clone());
        Ok(node)
    }

    /// Removes a node before the scenario's end, to spare the machine.
    pub fn remove(&self, node: &Node) -> Result<()> {
        self.nodes.borrow_mut().retain(|n| n.name != node.name);
        node::remove(self.lab, &node.name)
    }

    /// Runs `kubeadm init` with the node's configuration, whatever its exit status, and keeps its output.
    pub fn try_init(&self, node: &Node, more: &[&str]) -> Result<Output> {
        progress::step(format!("kubeadm init {} on {}", more.join(" "), node.name));
        let output = cluster::init(node, self.release, self.kubeadm, more)?;
        self.keep(node, &output)?;
        Ok(output)
    }

    /// Runs `kubeadm init`, which must succeed.
    pub fn init(&self, node: &Node, more: &[&str]) -> Result<Output> {
        let output = self.try_init(node, more)?.success()?;
        progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
        Ok(output)
    }

    /// Runs any kubeadm command on a node, whatever its exit status, and keeps its output.
    pub fn try_kubeadm(&self, node: &Node, args: &[&str]) -> Result<Output> {
        let output = node.try_run(Duration::from_secs(300), ["kubeadm"].iter().chain(args))?;
        self.keep(node, &output)?;
        Ok(output)
    }

    /// Runs any kubeadm command on a node, which must succeed.
    pub fn kubeadm(&self, node: &Node, args: &[&str]) -> Result<Output> {
        self.try_kubeadm(node, args)?.success()
    }

    /// Waits for the cluster on `node` and returns a client from outside it.
    pub fn ready(&self, node: &Node) -> Result<Kubectl> {
        let kubectl = cluster::client(self.lab, node, self.release)?;
        cluster::wait_ready(&kubectl)?;
        Ok(kubectl)
    }

    /// Finds the full name of one of the release's images, such as `etcd`.
    #[must_use]
    pub fn image(&self, name: &str) -> &str {
        let is_it = |r: &&str| r.rsplit('/').next().is_some_and(|last| last.starts_with(&format!("{name}:")));
        self.images.iter().map(|i| i.reference.as_str()).find(is_it).unwrap_or_default()
    }

    fn keep(&self, node: &Node, output: &Output) -> Result<()> {
        *self.runs.borrow_mut() += 1;
        std::fs::create_dir_all(&self.folder).at("make", &self.folder)?;
        let file = self.folder.join(format!("{}-kubeadm-{}.txt", node.name, self.runs.borrow()));
        let text = format!(
            "{}\nexit status {} after {:.1} s\n== standard output\n{}== standard error\n{}",
            output.command,
            output.code,
            output.took.as_secs_f64(),
            output.stdout,
            output.stderr
        );
        std::fs::write(&file, text).at("write", &file)
    }
}

/// How a run of scenarios is wanted.
#[derive(Debug)]
pub struct Options<'a> {
    /// The kubeadm under test.
    pub kubeadm: &'a Kubeadm,
    /// Whether nodes stay after the scenario.
    pub keep: bool,
    /// Where outputs and evidence go, a folder a scenario.
    pub folder: &'a Path,
}

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held.
    Passed,
    /// Something did not.
    Failed,
    /// It cannot be run here; the reason was printed.
    Skipped,
}

/// Runs one scenario and cleans up after it.
#[must_use]
pub fn run(lab: &Lab, scenario: &'static Scenario, options: &Options<'_>) -> Verdict {
    let started = Instant::now();
    let name = scenario.name;
    progress::step(format!("== scenario {name}: {}", scenario.about));
    if scenario.ours_only && options.kubeadm.reference {
        progress::detail("skipped: the reference does not promise this");
        return Verdict::Skipped;
    }
    let folder = options.folder.join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let result = attempt(lab, scenario, options, &folder);
    match result {
        Ok(()) => {
            progress::step(format!("== {name} passed in {:.1} s", started.elapsed().as_secs_f64()));
            Verdict::Passed
        }
        Err(error) => {
            progress::step(format!("== {name} FAILED after {:.1} s", started.elapsed().as_secs_f64()));
            progress::detail(error.to_string());
            progress::detail(format!("outputs, journals and manifests: {}", folder.display()));
            if options.keep {
                progress::detail("the nodes stay; to remove them: cargo xtask cluster down");
            }
            Verdict::Failed
        }
    }
}

fn attempt(lab: &Lab, scenario: &Scenario, options: &Options<'_>, folder: &Path) -> Result<()> {
    let release = releases::find(scenario.release)?;
    let context = Context {
        lab,
        kubeadm: options.kubeadm,
        release,
        images: cluster::prepare(lab, release, options.kubeadm)?,
        folder: folder.to_owned(),
        nodes: RefCell::default(),
        runs: RefCell::default(),
    };
    let result = (scenario.run)(&context);
    for node in context.nodes.into_inner() {
        if result.is_err() {
            evidence::collect(&node, &folder.join(&node.name));
        }
        if !options.keep {
            node::remove(lab, &node.name)?;
        }
    }
    result
}
