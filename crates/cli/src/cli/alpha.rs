//! Commands of 2018 under the names they had then. Today's lists do not show them; for a cluster of that time they still
//! work. cmd/kubeadm/app/cmd/alpha and app/cmd/phases, 1.11 to 1.13.

use super::{Node, Verb};
use crate::flags;

/// `kubeadm alpha`.
pub(super) fn alpha() -> Node {
    let mut phase = phase();
    phase.children.push(kubelet());
    let group = Node::group(
        "alpha",
        "Commands of Kubernetes 1.11 to 1.13 that have no other name",
        vec![kubelet(), phase, self_hosting(vec![pivot()])],
    );
    Node { hidden: true, ..group }
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
