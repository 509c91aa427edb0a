//! The commands of `kubeadm upgrade`.

use kubeadm_engine::phase::Phase;
use kubeadm_engine::phases;

use super::{Args, Node, STRUCTURED, Verb, commands, list_phases};

/// cmd/kubeadm/app/cmd/upgrade/upgrade.go, 1.37.
pub(super) fn upgrade() -> Node {
    let versioned = |node: Node| Node { usage: "[version]", args: Args::AtMost(1), ..node };
    let workflow = |name, about, verb, tree: &'static [Phase<_>], phase_verb: fn(String) -> Verb| {
        let mut list = format!("The \"{name}\" command executes the following phases:\n\n");
        list_phases(tree, 0, &mut list);
        let text = format!("Use this command to invoke single phase of the \"{name}\" workflow");
        // Help lives as long as the process does.
        let phase = Node::group("phase", Box::leak(text.into_boxed_str()), commands(tree, "", phase_verb));
        Node { children: vec![phase], ..Node::new(name, about, verb) }.details(list)
    };
    let mut apply = versioned(workflow(
        "apply",
        "Upgrade your Kubernetes cluster to the specified version",
        Verb::UpgradeApply,
        phases::upgrade::APPLY,
        Verb::UpgradeApplyPhase,
    ));
    apply.children.iter_mut().for_each(|phase| take_version(&mut phase.children));
    let node = workflow(
        "node",
        "Upgrade commands for a node in the cluster",
        Verb::UpgradeNode,
        phases::upgrade::NODE,
        Verb::UpgradeNodePhase,
    );
    let plan = Node::new(
        "plan",
        "Check which versions are available to upgrade to and validate whether your current cluster is upgradeable.",
        Verb::UpgradePlan,
    );
    let diff = Node::new(
        "diff",
        "Show what differences would be applied to existing static pod manifests. See also: kubeadm upgrade apply --dry-run",
        Verb::UpgradeDiff,
    );
    Node::group(
        "upgrade",
        "Upgrade your cluster smoothly to a newer version with this command",
        vec![
            apply.flags(&[
                "allow-experimental-upgrades",
                "allow-release-candidate-upgrades",
                "certificate-renewal",
                "config",
                "dry-run",
                "etcd-upgrade",
                "force",
                "ignore-preflight-errors",
                "kubeconfig",
                "patches",
                "print-config",
                "skip-phases",
                "through",
                "yes",
            ]),
            versioned(diff).flags(&["config", "context-lines", "kubeconfig"]),
            node.flags(&[
                "certificate-renewal",
                "config",
                "dry-run",
                "etcd-upgrade",
                "ignore-preflight-errors",
                "kubeconfig",
                "patches",
                "skip-phases",
            ]),
            versioned(plan)
                .flags(&[
                    "allow-experimental-upgrades",
                    "allow-release-candidate-upgrades",
                    "config",
                    "etcd-upgrade",
                    "ignore-preflight-errors",
                    "kubeconfig",
                    "print-config",
                    "to",
                ])
                .and(&STRUCTURED),
        ],
    )
}

/// The phases of `upgrade apply` take the version as the whole does.
fn take_version(phases: &mut [Node]) {
    for phase in phases {
        if phase.children.is_empty() {
            (phase.usage, phase.args) = ("[version]", Args::AtMost(1));
        }
        take_version(&mut phase.children);
    }
}
