//! Reset leaves a node as it was before kubeadm, says beforehand what it will remove, and does nothing the second time.
//! A node that was reset can be used again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::command::Output;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::Shape;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::{Result, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reset",
    about: "reset removes what it announces and nothing else; init and join work afterwards",
    default: true,
    run,
    ..Scenario::PLAIN
};

/// Somebody else's files, which no reset may touch.
const FOREIGN: &[&str] = &["/etc/kubernetes/audit-policy.yaml", "/root/.kube/config"];
/// Another program's data at the place where etcd's would be, on a node that has no etcd of kubeadm.
const OTHERS_DATA: &str = "/var/lib/etcd/member/of-another-etcd";

fn run(context: &Context<'_>) -> Result<()> {
    let (plane, worker) = (context.node("reset1")?, context.node("reset2")?);
    let output = context.init(&plane, &[])?;
    let commands = JoinCommands::printed(&output.stdout);
    context.join(&worker, commands.worker()?, &[])?;
    let kubectl = context.ready_as(&plane, Shape::of(1, 1))?;

    if !context.kubeadm.reference {
        // The original empties the folder, whoever it belongs to.
        worker.write(OTHERS_DATA, "precious\n")?;
    }
    announced_and_done(context, &worker)?;
    if !context.kubeadm.reference {
        check("another etcd's data on a worker", worker.has(OTHERS_DATA), "untouched", "gone")?;
        worker.script("rm -r /var/lib/etcd/member")?;
    }
    again(context, &worker)?;
    kubectl.run(["delete", "node", &worker.name])?;
    context.join(&worker, commands.worker()?, &[])?;
    context.ready_as(&plane, Shape::of(1, 1))?;
    context.remove(&worker)?;

    announced_and_done(context, &plane)?;
    again(context, &plane)?;
    context.init(&plane, &[])?;
    context.ready(&plane)?;
    Ok(())
}

/// A dry run changes nothing and names what the real run then removes.
fn announced_and_done(context: &Context<'_>, node: &Node) -> Result<()> {
    for path in FOREIGN {
        node.write(path, "not kubeadm's\n")?;
    }
    let settled = look(node, "/etc")?;
    let plan = context.reset(node, &["--dry-run"])?;
    check("what a dry run changes", look(node, "/etc")? == settled, "nothing", "something below /etc")?;
    let kubelet = node.unit_state("kubelet")?;
    check("the kubelet after a dry run", kubelet == "active", "active", kubelet)?;

    let before = files(node)?;
    context.reset(node, &[])?;
    let after = files(node)?;
    for path in FOREIGN {
        check("somebody else's file", node.has(path), *path, "gone")?;
    }
    clean(node)?;
    // The original does not announce all that it removes.
    if !context.kubeadm.reference {
        compare(&announced(&plan), &before, &after)?;
    }
    Ok(())
}

/// What must hold of every node after a reset.
pub(super) fn clean(node: &Node) -> Result<()> {
    let left = node.script(
        "cd /etc/kubernetes; ls -d *.conf manifests/* pki/* /var/lib/kubelet/* /var/lib/etcd/* 2>/dev/null | \
         grep -v /var/lib/etcd/member || true",
    )?;
    check("files of kubeadm after a reset", left.is_empty(), "none", left)?;
    let containers = node.run(["ctr", "-n", "k8s.io", "containers", "ls", "-q"])?;
    check("containers after a reset", containers.trim().is_empty(), "none", containers)?;
    let kubelet = node.unit_state("kubelet")?;
    check("the kubelet after a reset", ["inactive", "failed"].contains(&&*kubelet), "stopped", kubelet)
}

/// A second reset finds nothing to do, and that is no error.
fn again(context: &Context<'_>, node: &Node) -> Result<()> {
    let before = (files(node)?, look(node, "/etc")?);
    context.reset(node, &[])?;
    let after = (files(node)?, look(node, "/etc")?);
    check("what a second reset changes", before == after, "nothing", format!("{:?}", after.0))
}

/// Paths that the dry run says it would remove, or of which it would remove the contents.
fn announced(plan: &Output) -> BTreeSet<PathBuf> {
    let would = |line: &&str| line.contains("Would delete") || line.contains("Would remove");
    let text = plan.text();
    let words = text.lines().filter(would).flat_map(|line| line.split([' ', '[', ']', '"', ',', ':']));
    words.filter(|w| w.starts_with('/')).map(|w| PathBuf::from(w.trim_end_matches('/'))).collect()
}

fn compare(
    announced: &BTreeSet<PathBuf>,
    before: &BTreeSet<PathBuf>,
    after: &BTreeSet<PathBuf>,
) -> Result<()> {
    progress::step(format!("compare what was announced with what is gone: {announced:?}"));
    let silent: Vec<&PathBuf> =
        before.difference(after).filter(|p| !announced.iter().any(|a| p.starts_with(a))).collect();
    check("removed and not announced", silent.is_empty(), "nothing", format!("{silent:?}"))?;
    let kept: Vec<&PathBuf> =
        after.iter().filter(|p| announced.iter().any(|a| p.starts_with(a) && *p != a)).collect();
    check("announced and not removed", kept.is_empty(), "nothing", format!("{kept:?}"))
}

/// Every file of the places where kubeadm works. Folders do not count: some stay empty.
fn files(node: &Node) -> Result<BTreeSet<PathBuf>> {
    let text = node.walk("/etc /root /opt /var/lib/kubelet /var/lib/etcd ! -type d -print")?;
    Ok(text.lines().map(|l| Path::new(l).to_owned()).collect())
}

/// Names, modes and contents of all files below a folder.
fn look(node: &Node, folder: &str) -> Result<String> {
    node.script(&format!(
        "find {folder} -xdev -path /etc/kubernetes/tmp -prune -o -printf '%p %M %u %l\\n' | sort; \
         find {folder} -xdev -path /etc/kubernetes/tmp -prune -o -type f -exec sha256sum {{}} + | sort"
    ))
}
