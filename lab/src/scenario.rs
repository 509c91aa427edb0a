//! Scenarios: what a kubeadm must do on real nodes. One file each in [`crate::scenarios`], all listed there.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::{Output, Running};
use crate::error::{At as _, check};
use crate::images::Image;
use crate::kubeadm::Kubeadm;
use crate::kubectl::{Kubectl, Shape};
use crate::node::{self, Node};
use crate::releases::{self, Release};
use crate::{Lab, Result, cluster, docker, evidence, progress};

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
    /// Whether it also runs the original, beside the kubeadm under test.
    pub mixed: bool,
    /// Whether it installs the packages of the kubeadm under test.
    pub packaged: bool,
    /// Runs it.
    pub run: fn(&Context<'_>) -> Result<()>,
}

impl Scenario {
    /// What most scenarios have in common.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        about: "",
        release: "v1.37.2",
        default: false,
        ours_only: false,
        mixed: false,
        packaged: false,
        run: |_| Ok(()),
    };
}

/// The packages of a kubeadm.
#[derive(Debug)]
pub struct Packages {
    /// For Debian and its kin.
    pub deb: PathBuf,
    /// For Fedora and its kin.
    pub rpm: PathBuf,
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
    reference: Option<&'a Kubeadm>,
    packages: Option<&'a Packages>,
    images: Vec<Image>,
    folder: PathBuf,
    nodes: RefCell<Vec<Claim>>,
    runs: RefCell<u32>,
}

/// How long a command of kubeadm may take before the lab ends it; kubeadm's own limits are shorter.
const LIMIT: Duration = Duration::from_secs(400);

impl Context<'_> {
    /// Starts a node with the kubeadm under test; it is removed at the scenario's end.
    pub fn node(&self, name: &str) -> Result<Node> {
        self.node_with(name, self.kubeadm)
    }

    /// Starts a node with some kubeadm; it is removed at the scenario's end.
    pub fn node_with(&self, name: &str, kubeadm: &Kubeadm) -> Result<Node> {
        self.claim(name)?;
        cluster::start_node(self.lab, name, self.release, kubeadm, &self.images)
    }

    /// Starts a node of another release; it is removed at the scenario's end.
    pub fn node_of(&self, name: &str, release: &Release, images: &[Image]) -> Result<Node> {
        self.claim(name)?;
        cluster::start_node(self.lab, name, release, self.kubeadm, images)
    }

    fn claim(&self, name: &str) -> Result<()> {
        if !self.nodes.borrow().iter().any(|claim| claim.name == name) {
            self.nodes.borrow_mut().push(Claim::on(self.lab, name)?);
        }
        Ok(())
    }

    /// Starts a node whose kubelet speaks to Docker, which has the release's images.
    pub fn docker_node(&self, name: &str) -> Result<Node> {
        let node = self.node(name)?;
        docker::install(self.lab, &node, &self.images)?;
        self.configure(&node, "/run/containerd/containerd.sock", "/var/run/dockershim.sock")?;
        Ok(node)
    }

    /// Removes a node before the scenario's end, to spare the machine.
    pub fn remove(&self, node: &Node) -> Result<()> {
        node::remove(self.lab, &node.name)?;
        self.nodes.borrow_mut().retain(|claim| claim.name != node.name);
        Ok(())
    }

    /// Returns the original, which a mixed scenario runs beside the kubeadm under test.
    pub fn reference(&self) -> Result<&Kubeadm> {
        self.reference.ok_or_else(|| crate::Error::Unfit("this scenario is not declared as mixed".into()))
    }

    /// Returns the packages of the kubeadm under test.
    pub fn packages(&self) -> Result<&Packages> {
        self.packages.ok_or_else(|| crate::Error::Unfit("this scenario is not declared as packaged".into()))
    }

    /// Returns the flag that ignores the checks of preflight which a lab node fails for reasons of its own.
    #[must_use]
    pub fn ignore(&self) -> String {
        self.kubeadm.ignore_flag(self.release)
    }

    /// Replaces a text in the node's configuration, which must be there.
    pub fn configure(&self, node: &Node, from: &str, to: &str) -> Result<()> {
        let text = node.read(cluster::CONFIG)?;
        check("the configuration has the place to change", text.contains(from), from, text.clone())?;
        node.write(cluster::CONFIG, &text.replace(from, to))
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
        took(self.try_init(node, more)?)
    }

    /// Starts `kubeadm join` with a printed command and more arguments.
    pub fn start_join(&self, node: &Node, command: &[String], more: &[&str]) -> Result<Running> {
        let words = || command.iter().map(String::as_str).chain(more.iter().copied());
        let kind = if words().any(|w| w == "--control-plane") { "control plane" } else { "worker" };
        progress::step(format!("kubeadm join {} on {} as a {kind}", more.join(" "), node.name));
        node.start(LIMIT, words().chain([self.ignore().as_str()]))
    }

    /// Waits for a started command, whatever its exit status, and keeps its output.
    pub fn try_finish(&self, node: &Node, running: Running) -> Result<Output> {
        let output = running.finish()?;
        self.keep(node, &output)?;
        Ok(output)
    }

    /// Waits for a started command, which must succeed, and keeps its output.
    pub fn finish(&self, node: &Node, running: Running) -> Result<Output> {
        took(self.try_finish(node, running)?)
    }

    /// Runs `kubeadm join` with a printed command, whatever its exit status, and keeps its output.
    pub fn try_join(&self, node: &Node, command: &[String], more: &[&str]) -> Result<Output> {
        self.try_finish(node, self.start_join(node, command, more)?)
    }

    /// Runs `kubeadm join` with a printed command, which must succeed.
    pub fn join(&self, node: &Node, command: &[String], more: &[&str]) -> Result<Output> {
        took(self.try_join(node, command, more)?)
    }

    /// Runs any kubeadm command on a node, whatever its exit status, and keeps its output.
    pub fn try_kubeadm(&self, node: &Node, args: &[&str]) -> Result<Output> {
        let output = node.try_run(LIMIT, ["kubeadm"].iter().chain(args))?;
        self.keep(node, &output)?;
        Ok(output)
    }

    /// Runs any kubeadm command on a node, which must succeed.
    pub fn kubeadm(&self, node: &Node, args: &[&str]) -> Result<Output> {
        self.try_kubeadm(node, args)?.success()
    }

    /// Runs `kubeadm reset` without its question; it must succeed.
    pub fn reset(&self, node: &Node, more: &[&str]) -> Result<Output> {
        progress::step(format!("kubeadm reset {} on {}", more.join(" "), node.name));
        took(self.try_kubeadm(node, &[&["reset", "--force"], more].concat())?)
    }

    /// Gives a node the images of another release, as an upgrade finds them in a registry.
    pub fn bring_images(&self, node: &Node, release: &Release) -> Result<()> {
        cluster::bring_images(self.lab, node, release, self.kubeadm)
    }

    /// Installs another release's kubelet and kubectl, as the package manager would, and starts the kubelet anew.
    pub fn install_kubelet(&self, node: &Node, release: &Release) -> Result<()> {
        progress::step(format!("install the kubelet of {} on {}", release.version, node.name));
        for program in ["kubelet", "kubectl"] {
            let target = format!("/lab/components/{}/bin/{program}", release.version);
            node.run(["ln", "-sfn", &target, &format!("/usr/bin/{program}")])?;
        }
        node.run(["systemctl", "restart", "kubelet"]).map(drop)
    }

    /// Makes a client from outside the cluster with the credentials of `node`.
    pub fn client(&self, node: &Node) -> Result<Kubectl> {
        cluster::client(self.lab, node, self.release)
    }

    /// Waits for the one-node cluster on `node` and returns a client from outside it.
    pub fn ready(&self, node: &Node) -> Result<Kubectl> {
        self.ready_as(node, Shape::of(1, 0))
    }

    /// Waits for the cluster to which `node` belongs and returns a client from outside it.
    pub fn ready_as(&self, node: &Node, shape: Shape) -> Result<Kubectl> {
        let kubectl = self.client(node)?;
        cluster::wait_ready(&kubectl, shape)?;
        Ok(kubectl)
    }

    /// Finds the full name of one of the release's images, such as `etcd`.
    #[must_use]
    pub fn image(&self, name: &str) -> &str {
        let found = self.images.iter().find(|image| image.program() == name);
        found.map(|image| image.reference.as_str()).unwrap_or_default()
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

/// The right to a node's name: two runs at the same time would else remove each other's nodes. It ends with this value,
/// or with the process.
#[derive(Debug)]
struct Claim {
    name: String,
    _lock: File,
}

impl Claim {
    fn on(lab: &Lab, name: &str) -> Result<Self> {
        let nodes = lab.root().join("nodes");
        std::fs::create_dir_all(&nodes).at("make", &nodes)?;
        let path = nodes.join(format!(".{name}.lock"));
        let lock = File::create(&path).at("write", &path)?;
        if lock.try_lock().is_err() {
            progress::step(format!("wait for another run that has a node {name}"));
            lock.lock().at("lock", &path)?;
        }
        Ok(Self { name: name.to_owned(), _lock: lock })
    }
}

fn took(output: Output) -> Result<Output> {
    let output = output.success()?;
    progress::detail(format!("took {:.1} s", output.took.as_secs_f64()));
    Ok(output)
}

/// How a run of scenarios is wanted.
#[derive(Debug)]
pub struct Options<'a> {
    /// The kubeadm under test.
    pub kubeadm: &'a Kubeadm,
    /// The original, for the scenarios that mix.
    pub reference: Option<&'a Kubeadm>,
    /// The packages, for the scenarios that install them.
    pub packages: Option<&'a Packages>,
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
    /// The kubeadm under test, which is the original, does not promise it.
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
        reference: options.reference.filter(|_| scenario.mixed),
        packages: options.packages.filter(|_| scenario.packaged),
        release,
        images: cluster::prepare(lab, release, options.kubeadm)?,
        folder: folder.to_owned(),
        nodes: RefCell::default(),
        runs: RefCell::default(),
    };
    let result = (scenario.run)(&context);
    let mut removed = Ok(());
    for claim in context.nodes.into_inner() {
        let name = &claim.name;
        if let (Err(_), Some(node)) = (&result, node::find(lab, name)) {
            evidence::collect(&node, &folder.join(name));
        }
        if !options.keep {
            removed = removed.and(node::remove(lab, name));
        }
    }
    result.and(removed)
}
