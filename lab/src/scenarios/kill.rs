//! Killing kubeadm at a point, and what must hold whenever it was killed.

use std::time::{Duration, Instant};

use crate::error::check;
use crate::node::Node;
use crate::scenario::Context;
use crate::{Result, progress};

/// When to kill: as soon as this script of the node succeeds.
pub(super) struct Point {
    pub(super) about: &'static str,
    pub(super) script: &'static str,
}

/// How long a command may take to come to the point where it is killed.
const LIMIT: Duration = Duration::from_secs(150);

/// Runs a command of kubeadm and kills it at a point, which must come after its beginning and before its end.
pub(super) fn at(context: &Context<'_>, node: &Node, words: &[&str], point: &Point) -> Result<()> {
    progress::step(format!("-- kill -9 when {}", point.about));
    let holds = format!("{{ {}; }} > /dev/null 2>&1", point.script);
    let before = node.try_run(LIMIT, ["bash", "-c", &holds])?;
    check("the point to kill at is ahead", before.code != 0, "ahead", point.about)?;
    let started = Instant::now();
    let running = node.start(2 * LIMIT, words)?;
    // The process is known beforehand: between the point and the kill is no search.
    let watch = format!(
        "until pid=$(pidof kubeadm); do sleep 0.005; done; until {holds}; do sleep 0.005; done; kill -9 $pid"
    );
    let reached = node.try_run(LIMIT, ["bash", "-c", &watch])?;
    progress::detail(format!("killed after {:.1} s", started.elapsed().as_secs_f64()));
    let left = context.try_finish(node, running)?;
    check("the point to kill at is reached", reached.code == 0, point.about, left.tail(10))?;
    check("a killed command", left.code != 0, "no success", left.stdout)
}

/// No file that others than root may read holds a key or a token.
pub(super) fn secrets_are_private(node: &Node) -> Result<()> {
    let found = node.script(
        "find /etc /root /tmp /run /opt /var/lib/kubelet -xdev -type f -perm /077 \
         -exec grep -lE 'PRIVATE KEY|client-key-data|token: ' {} + || true",
    )?;
    check("readable files with secrets", found.is_empty(), "none", found)
}

/// No file is left that was being written when its writer was killed.
pub(super) fn nothing_unfinished(node: &Node) -> Result<()> {
    let found = node.walk("/etc /root /tmp /var/lib/kubelet /var/lib/etcd -name '*kubeadm-tmp*'")?;
    check("unfinished files", found.is_empty(), "none", found)
}
