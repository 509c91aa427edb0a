//! One kubeadm for every minor: it makes a cluster of each, joins a node to it, and says what it knows of it.

use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::checks;
use crate::{Error, Result, progress};

/// The scenario of a release. Those of 1.37 and 1.13 have their own.
pub(super) const fn of(name: &'static str, release: &'static str) -> Scenario {
    Scenario {
        name,
        about: "the one binary makes a cluster of this minor, joins a worker, and plans its upgrade",
        release,
        ours_only: true,
        run,
        ..Scenario::PLAIN
    }
}

/// What people and controllers see of a cluster and what depends on its minor.
struct Names {
    /// The first minor of which this is true.
    since: u32,
    /// Labels of a control plane.
    roles: &'static [&'static str],
    /// Taints of a control plane.
    taints: &'static [&'static str],
    /// The ConfigMap of the kubelet's configuration; MINOR stands for the minor.
    kubelet_config: &'static str,
    /// How a kubelet asks for its certificate.
    csr: &'static str,
}

const MASTER: &str = "node-role.kubernetes.io/master";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// Oldest first.
const NAMES: &[Names] = &[
    Names {
        since: 11,
        roles: &[MASTER],
        taints: &[MASTER],
        kubelet_config: "kubelet-config-1.MINOR",
        csr: checks::OLD_CSR,
    },
    Names {
        since: 20,
        roles: &[CONTROL_PLANE, MASTER],
        taints: &[MASTER],
        kubelet_config: "kubelet-config-1.MINOR",
        csr: checks::NEW_CSR,
    },
    Names {
        since: 24,
        roles: &[CONTROL_PLANE],
        taints: &[CONTROL_PLANE, MASTER],
        kubelet_config: "kubelet-config",
        csr: checks::NEW_CSR,
    },
    Names {
        since: 25,
        roles: &[CONTROL_PLANE],
        taints: &[CONTROL_PLANE],
        kubelet_config: "kubelet-config",
        csr: checks::NEW_CSR,
    },
];

fn names_of(minor: u32) -> Result<&'static Names> {
    let found = NAMES.iter().rev().find(|names| names.since <= minor);
    found.ok_or_else(|| Error::Unfit(format!("no names are known of v1.{minor}")))
}

fn run(context: &Context<'_>) -> Result<()> {
    let minor = context.release.minor;
    let node = context.node(&format!("minor{minor}"))?;
    let worker = context.node(&format!("minor{minor}w"))?;
    let output = context.init(&node, &[])?;
    context.join(&worker, JoinCommands::printed(&output.stdout).worker()?, &[])?;
    let kubectl = context.ready_as(&node, Shape::of(1, 1))?;
    checks::serving_certificate(&node)?;
    checks::common(context, &node, &kubectl, names_of(minor)?.csr)?;
    named(&kubectl, &node, &worker, minor)?;
    expiration(context, &node)?;
    plan(context, &node)
}

/// Labels, taints and the ConfigMap of the kubelet's configuration have the names of the minor.
pub(super) fn named(kubectl: &Kubectl, node: &Node, worker: &Node, minor: u32) -> Result<()> {
    progress::step("check labels, taints and the name of the kubelet's configuration");
    let names = names_of(minor)?;
    let found = kubectl.json(["get", "node", &node.name])?;
    let labels = found["metadata"]["labels"].as_object();
    let labels = labels.into_iter().flat_map(|all| all.keys()).map(String::as_str);
    let mut roles: Vec<&str> = labels.filter(|l| [MASTER, CONTROL_PLANE].contains(l)).collect();
    roles.sort_unstable();
    check(
        "labels of the control plane",
        roles == names.roles,
        format!("{:?}", names.roles),
        format!("{roles:?}"),
    )?;
    let taints = found["spec"]["taints"].as_array();
    let keys = taints.into_iter().flatten().filter_map(|t| t["key"].as_str());
    let mut taints: Vec<&str> = keys.collect();
    taints.sort_unstable();
    check(
        "taints of the control plane",
        taints == names.taints,
        format!("{:?}", names.taints),
        format!("{taints:?}"),
    )?;
    let found = kubectl.json(["get", "node", &worker.name])?;
    let taints = &found["spec"]["taints"];
    check("taints of the worker", taints.is_null(), "none", taints.to_string())?;
    let name = names.kubelet_config.replace("MINOR", &minor.to_string());
    kubectl.run(["-n", "kube-system", "get", "configmap", &name]).map(drop)
}

/// Every certificate and kubeconfig that init made is told of.
fn expiration(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("kubeadm certs check-expiration");
    let said = context.kubeadm(node, &["certs", "check-expiration"])?.stdout;
    let made = node.script(
        "cd /etc/kubernetes; ls *.conf | grep -v '^kubelet.conf$'; \
         find pki -name '*.crt' | grep -v 'ca.crt$' | sed 's/^pki.//; s/.crt$//; s/[/]/-/g'",
    )?;
    for name in made.lines() {
        let told = said.lines().any(|line| line.split_whitespace().next() == Some(name));
        check("what certs check-expiration tells of", told, name, said.clone())?;
    }
    Ok(())
}

/// Nothing outside can be asked: a version that is named is planned for nevertheless.
fn plan(context: &Context<'_>, node: &Node) -> Result<()> {
    let version = next_patch(context.release.version);
    progress::step(format!("kubeadm upgrade plan {version}"));
    let said = context.kubeadm(node, &["upgrade", "plan", &version, &context.ignore()])?.stdout;
    let wanted = format!("kubeadm upgrade apply {version}");
    check("what the plan offers", said.contains(&wanted), wanted, said)
}

fn next_patch(version: &str) -> String {
    let (minor, patch) = version.rsplit_once('.').unwrap_or((version, "0"));
    format!("{minor}.{}", patch.parse::<u32>().unwrap_or(0) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::releases;
    use crate::scenarios::ALL;

    #[test]
    fn every_release_has_a_scenario_that_makes_a_cluster_of_it() {
        for release in releases::ALL {
            let (own, here) = (format!("init-{}", release.label), format!("minor-{}", release.label));
            let found = ALL.iter().find(|s| s.name == own || s.name == here);
            let scenario = found.unwrap_or_else(|| panic!("no scenario {here}"));
            assert_eq!(scenario.release, release.version);
            assert!(names_of(release.minor).is_ok());
        }
    }

    #[test]
    fn patches_follow_each_other() {
        assert_eq!(next_patch("v1.34.4"), "v1.34.5");
        assert_eq!(next_patch("v1.16.15"), "v1.16.16");
    }
}
