//! `kubelet-finalize`: once the kubelet has a certificate of its own that it rotates, `kubelet.conf` names that file
//! instead of the certificate it began with.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_pki::kubeconfig::Kubeconfig;

use super::PhaseError;
use super::kubeconfig::kubeconfig_form;
use crate::plan::{Action, ServiceVerb, Step};
use crate::ports::{NewFile, View};
use crate::spec::{InitSpec, KUBELET};

/// Why `kubelet.conf` cannot be changed. Texts: cmd/kubeadm/app/cmd/phases/init/kubeletfinalize.go, 1.37.
#[derive(Debug, thiserror::Error)]
pub enum KubeletFinalizeError {
    /// Not there, or not readable.
    #[error("could not load {}: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The current user of the file cannot be told.
    #[error("the file {} does not contain authentication for user {user:?}", path.display())]
    NoUser {
        /// The file.
        path: PathBuf,
        /// `system:node:NAME`.
        user: String,
    },
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        if !spec.release.kubelet.finalize {
            return Ok(Vec::new());
        }
        let extra = &spec.init.node_registration.kubelet_extra_args;
        let directory = extra
            .iter()
            .rev()
            .find(|a| a.name == "cert-dir")
            .map_or_else(|| Path::new(KUBELET).join("pki"), |a| PathBuf::from(&a.value));
        let pem = directory.join("kubelet-client-current.pem");
        if !view.files.exists(&pem) {
            tracing::debug!(path = %pem.display(), "no rotatable certificate yet");
            return Ok(Vec::new());
        }
        let path = spec.layout.kubeconfig("kubelet.conf");
        let load = |reason: String| KubeletFinalizeError::Load { path: path.clone(), reason };
        let content = view.files.read(&path)?.ok_or_else(|| load("it does not exist".into()))?;
        let text = String::from_utf8_lossy(&content);
        let mut config =
            Kubeconfig::parse(&text, &path.display().to_string()).map_err(|e| load(e.to_string()))?;
        let name = config.current().map(|c| c.user.clone()).unwrap_or_default();
        let Some(user) = config.users.iter_mut().find(|u| u.name == name) else {
            return Err(KubeletFinalizeError::NoUser { path, user: name }.into());
        };
        let pem = Some(pem.display().to_string());
        if user.user.client_certificate == pem && user.user.client_key == pem {
            return Ok(Vec::new());
        }
        user.user.client_certificate_data = None;
        user.user.client_key_data = None;
        user.user.client_certificate = pem.clone();
        user.user.client_key = pem;
        let content = config.to_yaml(kubeconfig_form(spec)).as_bytes().to_vec();
        let file = NewFile { path: path.clone(), content, mode: 0o600, secret: true };
        Ok(vec![
            Step::new(Action::WriteFile(file)).saying(format!(
                "[kubelet-finalize] Updating {:?} to point to a rotatable kubelet client certificate and key",
                path.display().to_string()
            )),
            Step::new(Action::Service {
                verb: ServiceVerb::Restart,
                service: "kubelet",
                warning: "[kubelet-finalize] WARNING: unable to restart the kubelet service".into(),
                advice: Some(
                    "[kubelet-finalize] Please ensure kubelet is reloaded and running manually.".into(),
                ),
            }),
        ])
    })
}
