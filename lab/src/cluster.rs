//! A one-node cluster: what `cargo xtask cluster` makes and most scenarios start from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Output, Run};
use crate::error::At as _;
use crate::images::{self, Image};
use crate::kubeadm::Kubeadm;
use crate::kubectl::{Kubectl, Shape};
use crate::node::{self, Node};
use crate::releases::Release;
use crate::{Error, Lab, Result, components, packages, progress};

/// The name of the node that `cargo xtask cluster` makes.
pub const NODE: &str = "cp1";
/// Where a node has kubeadm's configuration.
pub const CONFIG: &str = "/etc/kubeadm/init.yaml";
/// How long an init may take before the lab ends it; kubeadm's own limit is shorter.
const INIT_LIMIT: Duration = Duration::from_secs(300);
/// Mirror pods of 2018 show up a minute after their containers.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// Fails early, with what to do, on a machine on which nothing of this can work.
pub fn check_machine() -> Result<()> {
    let user = Run::new("id").args(["-u"]).read()?;
    if user.trim() != "0" {
        return Err(Error::Unfit(
            "the lab makes mounts, network links and containers: run it as root".into(),
        ));
    }
    if !std::path::Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Unfit("the lab needs Debian or Ubuntu: there is no apt-get here".into()));
    }
    let go = components::go(&Lab::open(), "go").args(["version"]).output();
    if !go.is_ok_and(|o| o.code == 0) {
        return Err(Error::Unfit(
            "the lab builds Kubernetes: install Go 1.26 or later (https://go.dev/dl)".into(),
        ));
    }
    Ok(())
}

/// Obtains all that nodes of a release need and returns its images.
pub fn prepare(lab: &Lab, release: &Release, kubeadm: &Kubeadm) -> Result<Vec<Image>> {
    release.check_host()?;
    packages::install()?;
    components::obtain(lab, release, false)?;
    node::make_rootfs(lab)?;
    images::make(lab, release, kubeadm)
}

/// Starts a node with kubeadm and its configuration in place.
pub fn start_node(
    lab: &Lab,
    name: &str,
    release: &Release,
    kubeadm: &Kubeadm,
    images: &[Image],
) -> Result<Node> {
    let node = Node::up(lab, name, release, images)?;
    node.copy_in(&kubeadm.path, "/usr/bin/kubeadm")?;
    node.write(CONFIG, &release.config_for(&node.name, &node.address))?;
    if kubeadm.reference {
        // The reference of old insists on a crictl; an empty one satisfies it.
        node.write("/usr/bin/crictl", "#!/bin/sh\n")?;
        node.run(["chmod", "+x", "/usr/bin/crictl"])?;
    }
    Ok(node)
}

/// Gives a node the images of another release, as an upgrade finds them in a registry.
pub fn bring_images(lab: &Lab, node: &Node, release: &Release, kubeadm: &Kubeadm) -> Result<()> {
    let have = node.run(["ctr", "-n", "k8s.io", "images", "ls", "-q"])?;
    for image in prepare(lab, release, kubeadm)? {
        if !have.lines().any(|name| name == image.reference) {
            import(lab, node, &image)?;
        }
    }
    Ok(())
}

/// Gives a node one image.
pub fn import(lab: &Lab, node: &Node, image: &Image) -> Result<()> {
    let inside = image.archive.strip_prefix(lab.root()).unwrap_or(&image.archive);
    let inside = Path::new("/lab").join(inside);
    node.run(["ctr", "-n", "k8s.io", "images", "import", &inside.to_string_lossy()]).map(drop)
}

/// Runs `kubeadm init` with the node's configuration and more arguments, whatever its exit status.
pub fn init(node: &Node, release: &Release, kubeadm: &Kubeadm, more: &[&str]) -> Result<Output> {
    let args = ["kubeadm", "init", "--config", CONFIG, &kubeadm.ignore_flag(release)];
    node.try_run(INIT_LIMIT, args.iter().chain(more))
}

/// Copies admin.conf out of the node and makes a client of it.
pub fn client(lab: &Lab, node: &Node, release: &Release) -> Result<Kubectl> {
    let inside = node.path("/etc/kubernetes/admin.conf");
    let outside: PathBuf = lab.node_folder(&node.name).join("admin.conf");
    // Keeps the mode: it is a key.
    std::fs::copy(&inside, &outside).at("copy", &inside)?;
    Ok(Kubectl::new(lab, release, &outside))
}

/// Waits until everything that kubeadm installs runs.
pub fn wait_ready(kubectl: &Kubectl, shape: Shape) -> Result<()> {
    progress::during("wait for the nodes and everything that kubeadm installs to be Ready", || {
        kubectl.wait_ready(shape, READY_LIMIT)
    })
}

/// Makes the cluster of `cargo xtask cluster` and tells how to use it.
pub fn up(lab: &Lab, release: &Release, kubeadm: &Kubeadm) -> Result<()> {
    check_machine()?;
    if let Some(node) = node::find(lab, NODE) {
        progress::step(format!("remove the cluster that runs on node {}", node.name));
    }
    let images = prepare(lab, release, kubeadm)?;
    let node = start_node(lab, NODE, release, kubeadm, &images)?;
    let line = format!("kubeadm init --config {CONFIG} on {} ({})", node.name, node.address);
    let output = progress::during(line, || init(&node, release, kubeadm, &[]))?;
    let log = lab.node_folder(NODE).join("init.log");
    std::fs::write(&log, output.text()).at("write", &log)?;
    let took = output.took.as_secs_f64();
    if let Err(failed) = output.success() {
        progress::detail(format!("the node stays for a look; its init log: {}", log.display()));
        return Err(failed);
    }
    progress::step(format!("init took {took:.1} s; its output: {}", log.display()));
    let kubectl = client(lab, &node, release)?;
    wait_ready(&kubectl, Shape::of(1, 0))?;
    progress::plain(kubectl.run(["get", "nodes", "-o", "wide"])?);
    progress::plain(kubectl.run(["get", "pods", "--all-namespaces", "-o", "wide"])?);
    let config = kubectl.kubeconfig().display();
    progress::plain(format!(
        "A Kubernetes {} cluster runs on node {NODE}. Next:\n\n  \
         export KUBECONFIG={config}\n  {} get pods --all-namespaces\n  \
         cargo xtask cluster shell          a shell on the node\n  \
         cargo xtask cluster down           remove it all\n",
        release.version,
        kubectl.program().display(),
    ));
    Ok(())
}

/// Opens a shell on the cluster's node.
pub fn shell(lab: &Lab) -> Result<()> {
    let node = node::find(lab, NODE)
        .ok_or_else(|| Error::Unfit("no cluster runs: make one with cargo xtask cluster".into()))?;
    node.shell()
}

/// Removes every node of the lab, those that scenarios left too, and the network. What was built stays.
pub fn down(lab: &Lab) -> Result<()> {
    for name in node::list(lab) {
        progress::step(format!("remove node {name}"));
        node::remove(lab, &name)?;
    }
    node::remove_network(lab)?;
    progress::step(format!(
        "nothing runs any more; built components and images stay in {}",
        lab.root().display()
    ));
    Ok(())
}
