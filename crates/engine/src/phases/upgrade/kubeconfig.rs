//! `kubeconfig` of an upgrade: the kubelet of a control-plane node talks to the API server of its own node, so that it
//! never meets one that is older than itself. cmd/kubeadm/app/phases/upgrade/postupgrade.go: UpdateKubeletKubeconfigServer.

use std::path::PathBuf;

use futures::future::BoxFuture;
use kubeadm_pki::kubeconfig::{Kubeconfig, KubeconfigError};

use crate::phases::PhaseError;
use crate::phases::kubeconfig::kubeconfig_form;
use crate::plan::{Action, ServiceVerb, Step};
use crate::ports::{NewFile, View};
use crate::upgrade::UpgradeSpec;

/// Why the server of `kubelet.conf` cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("could not load {}: {source}", path.display())]
pub struct KubeletServerError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: KubeconfigError,
}

/// Plans the phase, which has nothing to do where kubelets speak to the shared endpoint. A server that is neither that one
/// nor this node's is the user's, and stays.
pub fn plan<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        if !spec.control_plane {
            let text = "[upgrade/kubeconfig] Skipping phase. Not a control plane node.";
            return Ok(vec![Step::say(text)]);
        }
        let (node, mut steps) = spec.node(view).await?;
        let done = "[upgrade/kubeconfig] The kubeconfig files for this node were successfully upgraded!";
        let path = node.layout.kubeconfig("kubelet.conf");
        let content = if node.kubelet_local() { view.files.read(&path)? } else { None };
        let Some(content) = content else {
            steps.push(Step::say(done));
            return Ok(steps);
        };
        let text = String::from_utf8_lossy(&content);
        let mut config = Kubeconfig::parse(&text, &path.display().to_string())
            .map_err(|source| KubeletServerError { path: path.clone(), source })?;
        let (shared, local) = (node.control_plane_endpoint(), node.local_endpoint());
        let name = config.current().map(|c| c.cluster.clone()).unwrap_or_default();
        let cluster = config.clusters.iter_mut().find(|c| c.name == name).map(|c| &mut c.cluster);
        if let Some(cluster) = cluster.filter(|c| c.server == shared && shared != local) {
            cluster.server.clone_from(&local);
            let would = format!(
                "[dryrun] Would change the Server URL from {shared:?} to {local:?} in {} and try to restart kubelet",
                path.display()
            );
            let content = config.to_yaml(kubeconfig_form(node)).as_bytes().to_vec();
            let file = NewFile { path, content, mode: 0o600, secret: true };
            steps.push(Step::new(Action::WriteFile(file)).would(would));
            steps.push(Step::new(Action::Service {
                verb: ServiceVerb::Restart,
                service: "kubelet",
                warning: "[upgrade/kubeconfig] WARNING: unable to restart the kubelet service".into(),
                advice: None,
            }));
        }
        steps.push(Step::say(done));
        Ok(steps)
    })
}
