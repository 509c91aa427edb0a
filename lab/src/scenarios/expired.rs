//! Every certificate of a cluster has expired. One `certs renew` a node brings the cluster back.

use std::time::{Duration, Instant};

use crate::command::{Run, wait_for};
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::Shape;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::variants::NETWORKING;
use crate::{Result, progress};

pub(super) const ONE: Scenario = Scenario {
    name: "certs-expired",
    about: "a control plane whose certificates have all expired is repaired by one certs renew",
    run: |context| expired(context, Duration::from_secs(110), &["late1"]),
    ..Scenario::PLAIN
};

pub(super) const TWO: Scenario = Scenario {
    name: "certs-expired-two",
    about: "the same for two control planes, whose members of etcd no longer accept each other",
    run: |context| expired(context, Duration::from_secs(170), &["late1", "late2"]),
    ..Scenario::PLAIN
};

/// `validity` is long enough to make the cluster, and, as a renewed certificate is valid for as long as the old one was,
/// to repair it.
fn expired(context: &Context<'_>, validity: Duration, names: &[&str]) -> Result<()> {
    let nodes = names.iter().map(|name| context.node(name)).collect::<Result<Vec<_>>>()?;
    let first = &nodes[0];
    let short = format!("{NETWORKING}\ncertificateValidityPeriod: {}s", validity.as_secs());
    context.configure(first, NETWORKING, &short)?;
    let output = context.init(first, &["--upload-certs"])?;
    for node in &nodes[1..] {
        context.join(node, JoinCommands::printed(&output.stdout).control_plane()?, &[])?;
    }
    let shape = Shape::of(nodes.len(), 0);
    context.ready_as(first, shape)?;
    for node in &nodes {
        let now = valid(node)?;
        check("certificates that are valid at first", now.len() == ALL, ALL.to_string(), now.join(", "))?;
    }

    for node in &nodes {
        progress::step(format!("wait for the certificates on {} to expire", node.name));
        wait_for("every certificate to expire", validity, || {
            let still = valid(node).map_err(|e| e.to_string())?;
            if still.is_empty() { Ok(()) } else { Err(still.join(", ")) }
        })?;
    }
    let answer = context.client(first)?.try_run(["get", "nodes"])?;
    check("the API to a client whose certificate has expired", answer.code != 0, "an error", answer.stdout)?;

    let started = Instant::now();
    for node in &nodes {
        renew(context, node)?;
    }
    let kubectl = context.ready_as(first, shape)?;
    progress::detail(format!("all is as before {:.1} s after", started.elapsed().as_secs_f64()));
    // The controller manager and the scheduler have new credentials too.
    let image = format!("--image={}", context.image("pause"));
    kubectl.run(["create", "deployment", "after", &image])?;
    kubectl.run(["taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-"])?;
    wait_for("a deployment made afterwards to be there", Duration::from_secs(60), || {
        let found = kubectl.json(["get", "deployment", "after"]).map_err(|e| e.to_string())?;
        match found["status"]["readyReplicas"].as_u64() {
            Some(1) => Ok(()),
            _ => Err(found["status"].to_string()),
        }
    })?;
    Ok(())
}

/// Prints the names of certificates that are valid; authorities do not count.
const VALID: &str = r"
look() { openssl x509 -checkend 0 -noout > /dev/null 2>&1 && echo $1; }
for f in pki/*.crt pki/etcd/*.crt; do case $f in *ca.crt) ;; *) look $f < $f;; esac; done
for f in admin.conf controller-manager.conf scheduler.conf; do
    sed -n 's/.*client-certificate-data: //p' $f | base64 -d | look $f
done
true";
/// How many they are on a node.
const ALL: usize = 10;

/// Names the certificates of kubeadm on a node that are valid now.
fn valid(node: &Node) -> Result<Vec<String>> {
    let names = Run::new("bash").args(["-uc", VALID]).dir(&node.path("/etc/kubernetes")).read()?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Where the manifests wait while the components end.
const AWAY: &str = "mkdir -p /root/manifests; mv /etc/kubernetes/manifests/*.yaml /root/manifests/
while pgrep '^(etcd|kube-apiserver|kube-controller|kube-scheduler)' > /dev/null; do sleep 0.2; done
mv /root/manifests/*.yaml /etc/kubernetes/manifests/";

fn renew(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step(format!("kubeadm certs renew all on {}", node.name));
    if context.kubeadm.reference {
        context.kubeadm(node, &["certs", "renew", "all"])?;
        // It leaves the restart to the person.
        node.script(AWAY)?;
    } else {
        context.kubeadm(node, &["certs", "renew", "all", "--restart"])?;
    }
    let now = valid(node)?;
    check("certificates that are valid again", now.len() == ALL, ALL.to_string(), now.join(", "))
}
