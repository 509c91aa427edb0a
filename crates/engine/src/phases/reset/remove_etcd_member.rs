//! `remove-etcd-member`: the etcd of this node, and its data.
//!
//! Only an etcd that this node's own manifest names is touched: a folder of data that belongs to somebody else stays
//! (Q16 of the original). Its kubelet and its pod are stopped first, so that nothing starts it again on an empty folder
//! (Q17).

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use serde_json::Value;

use super::stop_kubelet;
use crate::objects::KUBE_SYSTEM;
use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::{FileError, Selector, View};
use crate::reset::ResetSpec;
use crate::resource::PODS;
use crate::spec::MANIFESTS;

/// Why this node cannot be taken out of etcd.
#[derive(Debug, thiserror::Error)]
pub enum RemoveEtcdMemberError {
    /// There are others, which must be told.
    #[error(
        "etcd has other members ({}), and this build of kubeadm cannot remove this node's member yet: remove it with `etcdctl member remove` on one of them, then run reset with --skip-phases=remove-etcd-member and empty {}",
        others.join(", "), data.display()
    )]
    OtherMembers {
        /// Pods of the other members.
        others: Vec<String>,
        /// This member's data.
        data: PathBuf,
    },
    /// The manifest.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move { Ok(steps(spec, view).await?) })
}

async fn steps(spec: &ResetSpec, view: View<'_>) -> Result<Vec<Step>, RemoveEtcdMemberError> {
    let path = Path::new(MANIFESTS).join("etcd.yaml");
    let Some(manifest) = view.files.read(&path)? else {
        tracing::debug!(path = %path.display(), "no etcd on this node");
        return Ok(Vec::new());
    };
    let text = String::from_utf8_lossy(&manifest);
    let pod = kubeadm_yaml::parse_value(&text, &path.display().to_string()).unwrap_or_default();
    let Some(data) = data_dir(&pod) else {
        return Ok(vec![
            Step::say("[reset] No etcd config found. Assuming external etcd"),
            Step::say("[reset] Please, manually reset etcd to prevent further issues"),
        ]);
    };
    // Once etcd is gone, nobody can tell any more where the cluster's certificates lie.
    spec.cluster(view).await;
    let mut steps = Vec::new();
    match others(spec, &pod, view).await {
        Ok(others) if others.is_empty() => {}
        Ok(others) => return Err(RemoveEtcdMemberError::OtherMembers { others, data }),
        Err(reason) => steps.push(Step::warn(format!(
            "[reset] The cluster could not be asked for other members of etcd ({reason}). If there are any, remove this \
             node's member with `etcdctl member remove` on one of them"
        ))),
    }
    steps.push(stop_kubelet());
    steps.push(
        Step::new(Action::RemovePods { only: Some((KUBE_SYSTEM, "etcd-")) })
            .or_warn("[reset] Failed to stop etcd"),
    );
    let shown = data.display();
    let empty = Step::new(Action::EmptyDir(data.clone()))
        .would(format!("[dryrun] Would delete contents of the etcd data directory: {shown}"))
        .or_warn(format!("[reset] Failed to delete contents of the etcd data directory {shown}"));
    steps.push(match spec.dry {
        true => empty,
        false => empty.done(format!("[reset] Deleted contents of the etcd data directory: {shown}")),
    });
    Ok(steps)
}

/// Where the manifest keeps the data. cmd/kubeadm/app/cmd/phases/reset/removeetcdmember.go: getEtcdDataDir, 1.37.
fn data_dir(pod: &Value) -> Option<PathBuf> {
    let volumes = pod["spec"]["volumes"].as_array()?;
    let data = volumes.iter().find(|volume| volume["name"] == "etcd-data")?;
    data["hostPath"]["path"].as_str().map(PathBuf::from)
}

/// The pods of other members, by the cluster's own list.
async fn others(spec: &ResetSpec, pod: &Value, view: View<'_>) -> Result<Vec<String>, String> {
    let kubeconfig = spec.access.kubeconfig.path();
    if !view.files.exists(kubeconfig) {
        return Err(format!("{} does not exist", kubeconfig.display()));
    }
    let labels = Some("component=etcd,tier=control-plane".to_owned());
    let selector = Selector { labels, fields: None };
    let pods = view.api.list(PODS, KUBE_SYSTEM, &selector).await.map_err(|e| e.to_string())?;
    let ours = argument(pod, "--name=");
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let own = ours.map(|name| format!("etcd-{name}"));
    Ok(pods.iter().map(name).filter(|name| Some(name) != own.as_ref()).collect())
}

fn argument<'a>(pod: &'a Value, flag: &str) -> Option<&'a str> {
    let command = pod["spec"]["containers"][0]["command"].as_array()?;
    command.iter().filter_map(Value::as_str).find_map(|word| word.strip_prefix(flag))
}
