//! A dry run changes nothing on the node but its own temporary folder.

use std::collections::BTreeMap;

use crate::Result;
use crate::error::check;
use crate::node::Node;
use crate::scenario::{Context, Scenario};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "dry-run",
    about: "init --dry-run leaves the node as it was",
    default: true,
    run,
    ..Scenario::PLAIN
};

fn run(context: &Context<'_>) -> Result<()> {
    let node = context.node("dryrun")?;
    // A kubelet that restarts for want of a configuration writes on its own.
    node.run(["systemctl", "stop", "kubelet"])?;
    let before = look(&node)?;
    let units = node.run(["systemctl", "is-enabled", "kubelet"])?;
    context.init(&node, &["--dry-run"])?;
    let after = look(&node)?;
    let changed: Vec<&String> =
        after.iter().filter(|(k, v)| before.get(*k) != Some(v)).map(|(k, _)| k).collect();
    check("files that a dry run adds or changes", changed.is_empty(), "none", format!("{changed:?}"))?;
    let gone: Vec<&String> = before.keys().filter(|k| !after.contains_key(*k)).collect();
    check("files that a dry run removes", gone.is_empty(), "none", format!("{gone:?}"))?;
    check(
        "the kubelet's unit",
        node.run(["systemctl", "is-enabled", "kubelet"])? == units,
        units,
        "changed",
    )?;
    let kubelet = node.unit_state("kubelet")?;
    check("the kubelet after a dry run", kubelet == "inactive", "inactive", kubelet)
}

/// Mode, owner, kind and content of every file that init could touch.
fn look(node: &Node) -> Result<BTreeMap<String, String>> {
    let text = node.script(
        "for d in /etc /var/lib/kubelet /var/lib/etcd /opt /usr/local; do
           find $d -xdev -path /etc/kubernetes/tmp -prune -o ! -path /etc/kubernetes -printf '%p\\t%M %u %g %y %l\\n'
           find $d -xdev -path /etc/kubernetes/tmp -prune -o -type f -exec sha256sum {} + | sed 's/^\\([^ ]*\\)  \\(.*\\)$/\\2 content\\t\\1/'
         done",
    )?;
    Ok(text.lines().filter_map(|l| l.split_once('\t')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}
