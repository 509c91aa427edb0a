//! Init again: on a healthy node, and after being killed in the middle. Both end in a working cluster without a reset.

use crate::error::check;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::kill::{self, Point};
use crate::{Result, cluster};

pub(super) const HEALTHY: Scenario = Scenario {
    name: "rerun",
    about: "a second init on a healthy node changes nothing and succeeds; one killed early converges",
    default: true,
    ours_only: true,
    run: |context| {
        healthy(context, &[])?;
        killed(context, &POINTS[1])
    },
    ..Scenario::PLAIN
};

pub(super) const KILLED: Scenario = Scenario {
    name: "rerun-killed",
    about: "an init killed at any of several points converges when run again",
    ours_only: true,
    run: |context| POINTS.iter().try_for_each(|point| killed(context, point)),
    ..Scenario::PLAIN
};

pub(super) const OLD: Scenario = Scenario {
    name: "rerun-v1.13",
    about: "the same for v1.13",
    release: "v1.13.12",
    ours_only: true,
    run: |context| {
        // The kubelet makes the folder of flex volumes, which the controller manager of old mounts where it exists.
        healthy(context, &["/kube-controller-manager.yaml"])?;
        POINTS.iter().try_for_each(|point| killed(context, point))
    },
    ..Scenario::PLAIN
};

const POINTS: &[Point] = &[
    Point { about: "the first certificate is there", script: "test -e /etc/kubernetes/pki/ca.crt" },
    Point { about: "the first manifest is there", script: "ls /etc/kubernetes/manifests/*.yaml" },
    Point { about: "the kubelet has its configuration", script: "test -e /var/lib/kubelet/config.yaml" },
    Point { about: "the API server answers", script: "curl -sko /dev/null https://127.0.0.1:6443/livez" },
    Point {
        about: "kubeadm's configuration is in the cluster",
        script: "kubectl --kubeconfig /etc/kubernetes/super-admin.conf -n kube-system get configmap kubeadm-config || \
                 kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get configmap kubeadm-config",
    },
];

/// Digests of what a second init must leave alone.
fn keys(node: &Node) -> Result<String> {
    node.script("find /etc/kubernetes/pki /etc/kubernetes/*.conf /etc/kubernetes/manifests -type f | sort | xargs sha256sum")
}

/// `grows` are files that mount what the first run made, where it exists.
fn healthy(context: &Context<'_>, grows: &[&str]) -> Result<()> {
    let node = context.node("again")?;
    context.init(&node, &[])?;
    let kubectl = context.ready(&node)?;
    let before = keys(&node)?;
    let uid = kubectl.json(["get", "namespace", "kube-system"])?["metadata"]["uid"].clone();
    let output = context.init(&node, &[])?;
    for line in
        ["Using existing ca certificate authority", "Using existing apiserver certificate and key on disk"]
    {
        check("what a second init says", output.stdout.contains(line), line, output.stdout.clone())?;
    }
    let after = keys(&node)?;
    let changed: Vec<&str> = after
        .lines()
        .filter(|line| !before.contains(line) && !grows.iter().any(|g| line.ends_with(g)))
        .collect();
    check(
        "keys, kubeconfig files and manifests that a second init changes",
        changed.is_empty(),
        "none",
        changed.join("\n"),
    )?;
    let kubectl = context.ready(&node)?;
    let now = kubectl.json(["get", "namespace", "kube-system"])?["metadata"]["uid"].clone();
    check("the cluster is the same one", uid == now, uid.to_string(), now.to_string())?;
    context.remove(&node)
}

fn killed(context: &Context<'_>, point: &Point) -> Result<()> {
    let node = context.node("killed")?;
    kill::at(context, &node, &["kubeadm", "init", "--config", cluster::CONFIG, &context.ignore()], point)?;
    kill::secrets_are_private(&node)?;
    context.init(&node, &[])?;
    kill::nothing_unfinished(&node)?;
    context.ready(&node)?;
    context.remove(&node)
}
