//! `mark-control-plane`: labels and taints of this node. cmd/kubeadm/app/phases/markcontrolplane, 1.37.

use futures::future::BoxFuture;
use kubeadm_config::types::Taint;
use serde_json::{Value, json};

use super::PhaseError;
use crate::objects::rbac::bind_admin_step;
use crate::plan::{Action, NodeMarks, Step};
use crate::ports::View;
use crate::spec::InitSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, _: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let node = spec.node_name();
        let labels = &spec.release.node.labels;
        let taints = spec.init.node_registration.taints.as_deref().unwrap_or_default();
        let mut step = Step::new(Action::MarkNode(NodeMarks {
            name: node.to_owned(),
            labels: labels.iter().map(|label| ((*label).to_owned(), String::new())).collect(),
            taints: taints.iter().map(object).collect(),
            ..NodeMarks::default()
        }))
        .saying(format!(
            "[mark-control-plane] Marking the node {node} as control-plane by adding the labels: [{}]",
            labels.join(" ")
        ));
        if !taints.is_empty() {
            let shown: Vec<String> = taints.iter().map(text).collect();
            step = step.saying(format!(
                "[mark-control-plane] Marking the node {node} as control-plane by adding the taints [{}]",
                shown.join(" ")
            ));
        }
        Ok(bind_admin_step(spec).into_iter().chain([step]).collect())
    })
}

fn object(taint: &Taint) -> Value {
    let mut object = json!({ "key": taint.key, "effect": taint.effect });
    if !taint.value.is_empty() {
        object["value"] = json!(taint.value);
    }
    if let Some(time) = taint.time_added {
        object["timeAdded"] = json!(time.to_string());
    }
    object
}

/// `key=value:Effect`, as core/v1 Taint prints itself.
pub(super) fn text(taint: &Taint) -> String {
    match (taint.value.as_str(), taint.effect.as_str()) {
        ("", "") => taint.key.clone(),
        (value, "") => format!("{}={value}:", taint.key),
        ("", effect) => format!("{}:{effect}", taint.key),
        (value, effect) => format!("{}={value}:{effect}", taint.key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_shown_as_kubectl_takes_them() {
        let taint = |value: &str, effect: &str| Taint {
            key: "k".into(),
            value: value.into(),
            effect: effect.into(),
            time_added: None,
        };
        assert_eq!(text(&taint("v", "NoExecute")), "k=v:NoExecute");
        assert_eq!(text(&taint("", "NoSchedule")), "k:NoSchedule");
        assert_eq!(object(&taint("", "NoSchedule")), json!({ "key": "k", "effect": "NoSchedule" }));
    }
}
