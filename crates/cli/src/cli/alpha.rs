//! Commands of 2018 under the names they had then. Today's lists do not show them; for a cluster of that time they still
//! work. cmd/kubeadm/app/cmd/alpha, 1.11 to 1.20, and app/cmd/phases, 1.11 and 1.12.

use kubeadm_engine::phases;

use super::{Node, Verb};
use crate::flags;

/// `kubeadm alpha`. Much of it became a command of its own under the same name: `certs` in 1.20, `kubeconfig` in 1.21.
pub(super) fn alpha() -> Node {
    let mut phase = phase();
    phase.children.push(kubelet());
    phase.children.extend(steps_of_init());
    let group = Node::group(
        "alpha",
        "Commands of Kubernetes 1.11 to 1.20 under the names of that time",
        vec![super::certs(), super::kubeconfig(), kubelet(), phase, self_hosting(vec![pivot()])],
    );
    Node { hidden: true, ..group }
}

/// The steps of `init` that `alpha phase` had, which are `init phase` since 1.13.
fn steps_of_init() -> Vec<Node> {
    let named = |name| match name {
        "control-plane" => Some("controlplane"),
        "mark-control-plane" => Some("mark-master"),
        "addon" | "certs" | "etcd" | "kubeconfig" => Some(name),
        _ => None,
    };
    let all = super::commands(phases::INIT, "", Verb::InitPhase).into_iter();
    all.filter_map(|node| Some(Node { name: named(node.name)?, ..node })).collect()
}

/// `kubeadm phase`, as kubeadm's page of 2018 has it.
pub(super) fn phase() -> Node {
    let group =
        Node::group("phase", "Single steps of Kubernetes 1.11 and 1.12", vec![self_hosting(vec![convert()])]);
    Node { hidden: true, ..group }
}

/// `config print-default`. cmd/kubeadm/app/cmd/config.go, 1.11 to 1.13.
pub(super) fn print_default() -> Node {
    Node {
        aliases: &["print-defaults"],
        hidden: true,
        flags: vec![&flags::API_OBJECTS],
        ..Node::new("print-default", "Print the default values of configuration objects", Verb::PrintDefault)
    }
    .and(&["kubernetes-version"])
}

/// `config view`. cmd/kubeadm/app/cmd/config.go, 1.11 to 1.21.
pub(super) fn view() -> Node {
    let about = "View the kubeadm configuration that the cluster keeps";
    Node { hidden: true, ..Node::new("view", about, Verb::ConfigView) }
}

fn self_hosting(children: Vec<Node>) -> Node {
    let group = Node::group("selfhosting", "Make a kubeadm cluster self-hosted", children);
    Node { aliases: &["selfhosted", "self-hosting"], ..group }
}

const CAVEATS: &str = "The API server, the controller manager and the scheduler become DaemonSets of the cluster that they \
    serve. etcd stays a static Pod. A cluster with one control plane does not come back by itself after a reboot of its \
    node, and 'kubeadm upgrade' refuses a self-hosted one.\n";

fn pivot() -> Node {
    Node {
        aliases: &["from-staticpods"],
        flags: vec![&flags::STORE_CERTS_IN_SECRETS, &flags::FORCE_PIVOT],
        ..Node::new("pivot", "Convert a static Pod-hosted control plane into a self-hosted one", Verb::Pivot)
    }
    .and(&["cert-dir", "config", "kubeconfig"])
    .details(CAVEATS)
}

fn convert() -> Node {
    Node {
        aliases: &["from-staticpods"],
        ..Node::new(
            "convert-from-staticpods",
            "Convert a static Pod-hosted control plane into a self-hosted one",
            Verb::ConvertFromStaticPods,
        )
    }
    .and(&["cert-dir", "config", "feature-gates", "kubeconfig"])
    .details(CAVEATS)
}

fn kubelet() -> Node {
    let enable = Node::new(
        "enable-dynamic",
        "Have the kubelet of a node follow the ConfigMap of its minor, if it was started with --dynamic-config-dir",
        Verb::EnableDynamicKubelet,
    )
    .and(&["kubeconfig", "node-name"]);
    let enable =
        Node { flags: enable.flags.into_iter().chain([&flags::KUBELET_VERSION]).collect(), ..enable };
    let config = Node::group("config", "Work with the configuration of kubelets", vec![enable]);
    Node::group("kubelet", "Work with kubelets", vec![config])
}
