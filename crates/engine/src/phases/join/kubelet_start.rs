//! `kubelet-start` of `join`: the credentials with which the kubelet asks for its certificate, the cluster's authority,
//! and the kubelet's own files.
//!
//! The credentials are always those of discovery, never an administrator's that lie on the node (Q4 of the original).
//! cmd/kubeadm/app/cmd/phases/join/kubelet.go, 1.37.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_pki::Certificate;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::discovery::Discovered;
use crate::join::{JoinSpec, Joined};
use crate::kubelet::has_credentials;
use crate::objects::kubeconfig::cluster_of;
use crate::phases::PhaseError;
use crate::phases::kubelet_start::{self, config_file, env_file};
use crate::phases::wait_control_plane::show;
use crate::plan::{Action, Step};
use crate::ports::{ApiError, NewFile, View};
use crate::preflight::own::BOOTSTRAP_CONF;
use crate::resource::NODES;
use crate::spec::KUBERNETES;
use crate::{static_pods, stored};

/// Why this node cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum KubeletStartError {
    /// Another node has the name.
    #[error(
        "a Node with name {0:?} and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node"
    )]
    NameTaken(String),
    /// The API server does not say whether the name is taken.
    #[error("cannot get Node {name:?}: {source}")]
    Node {
        /// Its name.
        name: String,
        /// The answer.
        source: ApiError,
    },
    /// The authority that is there is another one.
    #[error(
        "{} holds another authority than the cluster's: expected {expected}, found {found}; the kubelet would refuse this cluster's API server. If it is left from another cluster, run `kubeadm reset` or remove it",
        path.display()
    )]
    OtherAuthority {
        /// The file.
        path: PathBuf,
        /// Pin of the cluster's authority.
        expected: String,
        /// Pin of the one that is there, or why there is none.
        found: String,
    },
    /// The node belongs to another cluster.
    #[error(
        "{} already exists and belongs to another cluster ({server}); run `kubeadm reset` to leave that one first",
        path.display()
    )]
    OtherCluster {
        /// `kubelet.conf`.
        path: PathBuf,
        /// The server that it names.
        server: String,
    },
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        let node = &joined.node;
        let again = earlier(spec, joined, view)?;
        let own_server = own_server(spec, joined, view);
        if !again {
            steps.extend(unique(spec, joined, view).await?);
            let path = Path::new(KUBERNETES).join(BOOTSTRAP_CONF);
            let content = bootstrap(joined, own_server.as_deref()).as_bytes().to_vec();
            steps.push(Step::new(Action::WriteFile(NewFile { path, content, mode: 0o600, secret: true })));
        }
        steps.extend(authority(spec, joined, view)?);
        // The taints of a control plane come with its labels.
        let taints = match own_server {
            None => node.init.node_registration.taints.as_deref().unwrap_or_default(),
            Some(_) => &[],
        };
        steps.push(Step::new(Action::Nothing).would("[kubelet-start] Would stop the kubelet"));
        steps.extend(kubelet_start::steps(node, view, taints).await?);
        steps.push(Step::new(Action::Nothing).would("[kubelet-start] Would start the kubelet"));
        let manifests = match spec.join.control_plane {
            Some(_) => &["kube-apiserver", "kube-controller-manager", "kube-scheduler"][..],
            None => &[],
        };
        let shown = manifests.iter().map(|component| node.layout.manifest(component));
        let shown = shown.chain([config_file(), env_file()]).collect();
        steps.push(show(node, spec.join.control_plane.is_some(), shown));
        Ok(steps)
    })
}

/// The API server of this node, if it has one: the kubelet of a control plane asks none else, where the release has it so.
/// A run of this phase alone knows it by its manifest (Q3 of the original).
fn own_server(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Option<String> {
    if spec.join.control_plane.is_some() {
        return Some(joined.node.local_endpoint());
    }
    static_pods::api_server_endpoint(view.files).map(|endpoint| format!("https://{endpoint}"))
}

/// The kubeconfig of the bootstrap.
fn bootstrap(joined: &Joined, own_server: Option<&str>) -> Zeroizing<String> {
    let Discovered { cluster, user } = &joined.discovered;
    let mut cluster = cluster.clone();
    if let Some(server) = own_server.filter(|_| joined.node.kubelet_local()) {
        server.clone_into(&mut cluster.server);
    }
    Discovered { cluster, user: user.clone() }.kubeconfig(&joined.node.cluster.cluster_name)
}

/// Whether this node has joined this cluster before. Another cluster's kubelet is refused.
pub(super) fn earlier(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Result<bool, PhaseError> {
    let path = spec.kubelet_conf();
    if !has_credentials(view.files, &path) {
        return Ok(false);
    }
    if !joined.seen() {
        // Nothing can be said against it.
        return Ok(true);
    }
    let known = cluster_of(view.files, &path)?;
    let theirs = Certificate::all_from_pem(&known.ca).unwrap_or_default();
    if theirs.iter().any(|ca| joined.authorities.contains(ca)) {
        return Ok(true);
    }
    Err(KubeletStartError::OtherCluster { path, server: known.server }.into())
}

/// A Ready node of our name is somebody else: two kubelets would fight over it. One that is not Ready may be an earlier
/// life of this machine.
async fn unique(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Result<Option<Step>, KubeletStartError> {
    let extra = &joined.node.init.node_registration.kubelet_extra_args;
    let overridden = extra.iter().rev().find(|a| a.name == "hostname-override").map(|a| a.value.as_str());
    let name = overridden.unwrap_or(joined.node.node_name());
    let api = view.cluster.reader(&joined.access());
    let limit = spec.patience(spec.join.timeouts.kubernetes_api_call);
    let mut tries = Backoff::start(view.clock);
    let found = loop {
        match api.get(NODES, "", name).await {
            Ok(found) => break found,
            // Tokens may look at nodes since 1.18 only.
            Err(ApiError::Forbidden(reason)) if !joined.node.release.objects.get_nodes => {
                tracing::debug!(reason, "not asked whether the node's name is taken");
                return Ok(None);
            }
            Err(error) if stored::again(&mut tries, Some(&error), limit) => {}
            Err(source) => return Err(KubeletStartError::Node { name: name.into(), source }),
        }
        tries.pause().await;
    };
    let ready = |node: &Value| {
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    match found {
        Some(node) if ready(&node) => Err(KubeletStartError::NameTaken(name.into())),
        Some(node) if spec.join.control_plane.is_none() && is_control_plane(&node, joined) => {
            Ok(Some(Step::warn(format!(
                "[kubelet-start] the Node {name:?} of the cluster is a control-plane node that is not Ready. If this machine \
                 is to be a worker in its place, delete the Node first: it keeps its labels and taints"
            ))))
        }
        _ => Ok(None),
    }
}

fn is_control_plane(node: &Value, joined: &Joined) -> bool {
    let roles = joined.node.release.node.labels.iter().filter(|label| label.starts_with("node-role."));
    roles.into_iter().any(|label| node["metadata"]["labels"].get(label).is_some())
}

/// The cluster's authority where the configuration wants it and where the kubelet's configuration names it.
pub(super) fn authority(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    if joined.authorities.is_empty() {
        return Ok(Vec::new());
    }
    let mut paths = vec![PathBuf::from(&spec.join.ca_cert_path)];
    let named = joined.node.kubelet.value["authentication"]["x509"]["clientCAFile"].as_str();
    paths.extend(named.map(PathBuf::from).filter(|p| *p != paths[0]));
    let mut steps = Vec::new();
    for path in paths {
        let there: Option<Vec<u8>> = view.files.read(&path)?;
        let Some(there) = there else {
            let text: String = joined.authorities.iter().map(Certificate::to_pem).collect();
            let file = NewFile { path, content: text.into_bytes(), mode: 0o644, secret: false };
            steps.push(Step::new(Action::WriteFile(file)));
            continue;
        };
        let pins = |all: &[Certificate]| all.iter().map(Certificate::pin).collect::<Vec<_>>().join(", ");
        let found = match Certificate::all_from_pem(&there) {
            Ok(found) if found.iter().any(|ca| joined.authorities.contains(ca)) => continue,
            Ok(found) => pins(&found),
            Err(error) => error.to_string(),
        };
        let expected = pins(&joined.authorities);
        return Err(KubeletStartError::OtherAuthority { path, expected, found }.into());
    }
    Ok(steps)
}
