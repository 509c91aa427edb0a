//! A join or a reset that is killed, and then run again: it converges, nothing is lost, and no secret lies about.

use crate::Result;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::kill::{self, Point};
use crate::scenarios::{etcd, reset};

pub(super) const WORKER: Scenario = Scenario {
    name: "killed-worker",
    about: "join and reset of a worker, killed at several points, converge when run again",
    ours_only: true,
    run: |context| killed(context, false, WORKER_SAMPLES),
    ..Scenario::PLAIN
};

pub(super) const CONTROL_PLANE: Scenario = Scenario {
    name: "killed-control-plane",
    about: "join and reset of a control plane, killed at several points, converge when run again",
    ours_only: true,
    run: |context| killed(context, true, CONTROL_PLANE_SAMPLES),
    ..Scenario::PLAIN
};

/// When the join is killed, and when the reset after it.
type Sample = (Point, Point);

const BOOTSTRAP: Point = Point {
    about: "the kubelet has its first credentials",
    script: "[ -e /etc/kubernetes/bootstrap-kubelet.conf ]",
};
const CONFIGURATION: Point =
    Point { about: "the kubelet has its configuration", script: "[ -e /var/lib/kubelet/config.yaml ]" };
const CERTIFICATE: Point =
    Point { about: "the kubelet has its certificate", script: "[ -e /etc/kubernetes/kubelet.conf ]" };
const SHARED: Point =
    Point { about: "the shared certificates are there", script: "[ -e /etc/kubernetes/pki/sa.pub ]" };
const MANIFEST: Point = Point {
    about: "the API server's manifest is there",
    script: "[ -e /etc/kubernetes/manifests/kube-apiserver.yaml ]",
};
const MEMBER: Point = Point {
    about: "the new member of etcd has its manifest",
    script: "[ -e /etc/kubernetes/manifests/etcd.yaml ]",
};
const STARTED: Point = Point { about: "the new member of etcd runs", script: "pidof etcd" };

const NO_KUBELET: Point =
    Point { about: "the kubelet is stopped", script: "! systemctl is-active --quiet kubelet" };
const NO_ETCD: Point = Point { about: "etcd is stopped", script: "! pidof etcd" };
const NO_API: Point = Point { about: "the API server is stopped", script: "! pidof kube-apiserver" };
const NO_PROXY: Point = Point { about: "kube-proxy is stopped", script: "! pidof kube-proxy" };

const WORKER_SAMPLES: &[Sample] =
    &[(BOOTSTRAP, NO_KUBELET), (CONFIGURATION, NO_PROXY), (CERTIFICATE, NO_KUBELET)];
const CONTROL_PLANE_SAMPLES: &[Sample] = &[
    (SHARED, NO_KUBELET),
    (MANIFEST, NO_ETCD),
    (CONFIGURATION, NO_API),
    (MEMBER, NO_KUBELET),
    (STARTED, NO_ETCD),
    (CERTIFICATE, NO_API),
];

fn killed(context: &Context<'_>, control_plane: bool, samples: &[Sample]) -> Result<()> {
    let (first, node) = (context.node("kill1")?, context.node("kill2")?);
    let commands = JoinCommands::printed(&context.init(&first, &["--upload-certs"])?.stdout);
    let kubectl = context.ready(&first)?;
    let command = if control_plane { commands.control_plane()? } else { commands.worker()? };
    let ignore = context.ignore();
    let join: Vec<&str> = command.iter().map(String::as_str).chain([ignore.as_str()]).collect();
    let (shape, members) = match control_plane {
        true => (Shape::of(2, 0), &["kill1", "kill2"][..]),
        false => (Shape::of(1, 1), &["kill1"][..]),
    };
    for (in_join, in_reset) in samples {
        kill::at(context, &node, &join, in_join)?;
        kill::secrets_are_private(&node)?;
        context.join(&node, command, &[])?;
        context.ready_as(&first, shape)?;
        etcd::check_members(&kubectl, &first, members)?;
        kill::secrets_are_private(&node)?;
        kill::nothing_unfinished(&node)?;

        kill::at(context, &node, &["kubeadm", "reset", "--force"], in_reset)?;
        kill::secrets_are_private(&node)?;
        context.reset(&node, &[])?;
        reset::clean(&node)?;
        kill::nothing_unfinished(&node)?;
        etcd::check_members(&kubectl, &first, &["kill1"])?;
        forget(&kubectl, &node)?;
    }
    Ok(())
}

/// Removes a node from the cluster with its pods, which would else be listed as Ready for some time.
fn forget(kubectl: &Kubectl, node: &Node) -> Result<()> {
    kubectl.run(["delete", "node", &node.name])?;
    let on_it = format!("--field-selector=spec.nodeName={}", node.name);
    kubectl.run(["-n", "kube-system", "delete", "pods", "--force", "--ignore-not-found", &on_it]).map(drop)
}
