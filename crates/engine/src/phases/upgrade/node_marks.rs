//! What marks control-plane nodes, where the new release marks them otherwise: the labels and taints `master`, which became
//! `control-plane` by and by (KEP-2067), and the label that keeps external load balancers away.
//! cmd/kubeadm/app/phases/upgrade/postupgrade.go: LabelOldControlPlaneNodes, 1.20; LabelControlPlaneNodesWithExcludeFromLB,
//! 1.21; RemoveOldControlPlaneLabel and AddNewControlPlaneTaint, 1.24; RemoveOldControlPlaneTaint, 1.25.

use kubeadm_release::facts::node::NodeFacts;
use serde_json::{Value, json};

use crate::phases::PhaseError;
use crate::plan::{Action, NodeMarks, Step, Unmarks};
use crate::ports::{Api, Selector};
use crate::resource::NODES;

/// What changes from a release to another. What both have stays as it is: users may have taken it away.
struct Changed {
    labels: Vec<&'static str>,
    labels_gone: Vec<&'static str>,
    taints: Vec<&'static str>,
    taints_gone: Vec<&'static str>,
}

impl Changed {
    fn between(before: &NodeFacts, after: &NodeFacts) -> Self {
        let only = |these: &[&'static str], others: &[&'static str]| -> Vec<&'static str> {
            these.iter().filter(|key| !others.contains(key)).copied().collect()
        };
        Self {
            labels: only(&after.labels, &before.labels),
            labels_gone: only(&before.labels, &after.labels),
            taints: only(&after.taints, &before.taints),
            taints_gone: only(&before.taints, &after.taints),
        }
    }

    /// What there is to do for a node. New taints are for those that have one of before: others take pods of users.
    fn of(&self, node: &Value, before: &NodeFacts) -> NodeMarks {
        let has_label = |key: &&&str| !node["metadata"]["labels"][**key].is_null();
        let tainted = |key: &&str| {
            let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
            taints.any(|found| *found == taint(key))
        };
        let kept_off = before.taints.iter().any(&tainted);
        let owned = |keys: Vec<&&str>| keys.into_iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let missing = owned(self.labels.iter().filter(|key| !has_label(key)).collect());
        NodeMarks {
            name: node["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            labels: missing.into_iter().map(|key| (key, String::new())).collect(),
            taints: self
                .taints
                .iter()
                .filter(|key| kept_off && !tainted(key))
                .map(|key| taint(key))
                .collect(),
            without: Unmarks {
                labels: owned(self.labels_gone.iter().filter(has_label).collect()),
                taints: self.taints_gone.iter().filter(|key| tainted(key)).map(|key| taint(key)).collect(),
                ..Unmarks::default()
            },
            ..NodeMarks::default()
        }
    }
}

fn taint(key: &str) -> Value {
    json!({ "key": key, "effect": "NoSchedule" })
}

/// The steps that mark every control-plane node of the cluster as a release does, from what another one did.
///
/// # Errors
/// Nodes that cannot be listed.
pub(super) async fn plan(
    before: &NodeFacts,
    after: &NodeFacts,
    api: &dyn Api,
) -> Result<Vec<Step>, PhaseError> {
    if before == after {
        return Ok(Vec::new());
    }
    let changed = Changed::between(before, after);
    // The oldest label that nodes of before have.
    let label = before.labels[0];
    let selector = Selector { labels: Some(format!("{label}=")), fields: None };
    let nodes = api.list(NODES, "", &selector).await.map_err(|source| PhaseError::Api {
        verb: "list",
        object: format!("nodes labeled with {label:?}"),
        source,
    })?;
    let marks = nodes.iter().map(|node| changed.of(node, before));
    Ok(marks.filter_map(step).collect())
}

/// None where there is nothing to do.
fn step(marks: NodeMarks) -> Option<Step> {
    let keys = |taints: &[Value]| {
        let keys = taints.iter().filter_map(|taint| taint["key"].as_str());
        keys.map(|key| format!("{key}:NoSchedule")).collect::<Vec<_>>()
    };
    let labels: Vec<String> = marks.labels.iter().map(|(key, _)| key.clone()).collect();
    let parts: Vec<String> = [
        ("the labels", labels, "added"),
        ("the taints", keys(&marks.taints), "added"),
        ("the labels", marks.without.labels.clone(), "removed"),
        ("the taints", keys(&marks.without.taints), "removed"),
    ]
    .into_iter()
    .filter(|(_, keys, _)| !keys.is_empty())
    .map(|(what, keys, how)| format!("{what} [{}] are {how}", keys.join(" ")))
    .collect();
    let (name, parts) = (&marks.name, parts.join(", "));
    (!parts.is_empty()).then(|| {
        let would = format!("[dryrun] Would mark the control-plane node {name}: {parts}");
        let text = format!("[upgrade/control-plane] Marking the control-plane node {name}: {parts}");
        Step::new(Action::MarkNode(marks.clone())).saying(text).would(would)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_release::{Release, Version};

    const MASTER: &str = "node-role.kubernetes.io/master";
    const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
    const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

    fn facts(minor: u32) -> NodeFacts {
        Release::of(&Version::new(1, minor, 0)).unwrap().node
    }

    fn marks(minor: u32, labels: &[&str], taints: &[&str]) -> NodeMarks {
        let labels: serde_json::Map<_, _> = labels.iter().map(|key| ((*key).to_owned(), json!(""))).collect();
        let taints: Vec<Value> = taints.iter().map(|key| taint(key)).collect();
        let node = json!({ "metadata": { "name": "n", "labels": labels }, "spec": { "taints": taints } });
        let (before, after) = (facts(minor - 1), facts(minor));
        Changed::between(&before, &after).of(&node, &before)
    }

    #[test]
    fn each_minor_changes_its_own() {
        let found = marks(20, &[MASTER], &[MASTER]);
        assert_eq!(found.labels, [(CONTROL_PLANE.to_owned(), String::new())]);
        assert_eq!((found.taints, found.without), (Vec::new(), Unmarks::default()));
        assert_eq!(marks(21, &[MASTER, CONTROL_PLANE], &[MASTER]).labels[0].0, EXCLUDED);
        let found = marks(24, &[MASTER, CONTROL_PLANE], &[MASTER]);
        assert_eq!(
            (found.without.labels, found.taints),
            (vec![MASTER.to_owned()], vec![taint(CONTROL_PLANE)])
        );
        let found = marks(25, &[CONTROL_PLANE], &[MASTER, CONTROL_PLANE]);
        assert_eq!(found.without.taints, [taint(MASTER)]);
        assert!(step(marks(25, &[CONTROL_PLANE], &[CONTROL_PLANE])).is_none());
    }

    #[test]
    fn what_users_took_away_stays_away() {
        // No taint where pods of users run, and no label again after the minor that brought it.
        assert_eq!(marks(24, &[MASTER, CONTROL_PLANE], &[]).taints, [json!(null); 0]);
        assert!(marks(22, &[MASTER, CONTROL_PLANE], &[MASTER]).labels.is_empty());
        assert!(step(marks(22, &[MASTER, CONTROL_PLANE], &[MASTER])).is_none());
    }
}
