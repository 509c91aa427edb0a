//! The members of a cluster's etcd, as etcd itself lists them.

use serde_json::Value;

use crate::error::check;
use crate::kubectl::Kubectl;
use crate::node::Node;
use crate::{Error, Result};

/// Fails unless these, in order, are the voting members.
pub(super) fn check_members(kubectl: &Kubectl, node: &Node, wanted: &[&str]) -> Result<()> {
    let found = members(kubectl, node)?;
    check("members of etcd", found == wanted, format!("{wanted:?}"), format!("{found:?}"))
}

/// Lists the voting members' names, in order, as the member on `node` knows them. A learner or a member that never
/// started is an error: no command of kubeadm may leave one.
fn members(kubectl: &Kubectl, node: &Node) -> Result<Vec<String>> {
    let pod = format!("etcd-{}", node.name);
    let text = kubectl.run([
        "-n",
        "kube-system",
        "exec",
        &pod,
        "--",
        "etcdctl",
        "--endpoints=127.0.0.1:2379",
        "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
        "--cert=/etc/kubernetes/pki/etcd/server.crt",
        "--key=/etc/kubernetes/pki/etcd/server.key",
        "member",
        "list",
        "--write-out=json",
    ])?;
    let unfit = |what: &str| Error::Unfit(format!("etcd's list of members {what}: {text}"));
    let list: Value = serde_json::from_str(&text).map_err(|_| unfit("is no JSON"))?;
    let mut names = Vec::new();
    for member in list["members"].as_array().into_iter().flatten() {
        let name = member["name"].as_str().unwrap_or_default();
        if name.is_empty() || member["isLearner"] == true {
            return Err(unfit("has one that does not vote"));
        }
        names.push(name.to_owned());
    }
    names.sort();
    Ok(names)
}
