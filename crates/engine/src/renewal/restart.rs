//! The static pods that go on with old certificates, and the plan to restart them.

use std::path::PathBuf;

use kubeadm_config::types::Timeouts;

use super::{Managed, Settings};
use crate::plan::{Action, RestartStaticPod, Step};
use crate::ports::View;
use crate::static_pods;

/// Components in the order of their dependence.
const COMPONENTS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// A static pod of this node and the new certificates that it has not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Name of the pod's container.
    pub component: &'static str,
    /// Names of the certificates.
    pub certificates: Vec<&'static str>,
    /// Their files.
    files: Vec<PathBuf>,
    /// Its manifest.
    manifest: PathBuf,
}

/// Why static pods cannot be restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// Nobody would start them again.
    #[error(
        "cannot restart static Pods: the kubelet does not run and would not start them again; start it (`systemctl start kubelet`), or renew without --restart"
    )]
    NoKubelet,
    /// Nobody could tell whether it is back.
    #[error(
        "cannot restart static Pods: {} names no liveness probe over HTTP that would tell when {component} is back; renew without --restart",
        manifest.display()
    )]
    NoProbe {
        /// Name of its container.
        component: &'static str,
        /// Its manifest.
        manifest: PathBuf,
    },
}

/// The static pods that hold old certificates, in the order to restart them.
pub fn affected(renewed: &[&'static Managed], settings: &Settings, view: View<'_>) -> Vec<Affected> {
    let pods = COMPONENTS.into_iter().map(|component| {
        let held: Vec<_> = renewed.iter().filter(|item| item.held_by() == Some(component)).collect();
        let certificates = held.iter().map(|item| item.name).collect();
        let files = held.iter().map(|item| item.path(&settings.layout)).collect();
        Affected { component, certificates, files, manifest: settings.layout.manifest(component) }
    });
    pods.filter(|pod| !pod.certificates.is_empty() && view.files.exists(&pod.manifest)).collect()
}

/// Plans to restart static pods one after the other.
///
/// # Errors
/// When they would not come back, or nobody could tell.
pub async fn restart(pods: &[Affected], view: View<'_>) -> Result<Step, RestartError> {
    // On a host without a known init system nothing can be said of the kubelet.
    if view.services.init_system().is_ok() && !view.services.active("kubelet").await {
        return Err(RestartError::NoKubelet);
    }
    let limit = Timeouts::default().control_plane_component_health_check.to_std();
    let mut restarted = Vec::new();
    for Affected { component, files, manifest, .. } in pods {
        let health = static_pods::health(view, manifest);
        let is_etcd = *component == "etcd";
        // Old releases probe etcd by a command; the API server, which comes next, speaks for it.
        if health.is_none() && !is_etcd {
            return Err(RestartError::NoProbe { component, manifest: manifest.clone() });
        }
        let quorum = health.as_ref().filter(|_| is_etcd).and_then(|health| asks_for_leader(&health.url));
        let (manifest, component, reads) = (manifest.clone(), (*component).into(), files.clone());
        restarted.push(RestartStaticPod { manifest, component, reads, health, quorum, limit });
    }
    Ok(Step::new(Action::RestartStaticPods(restarted)))
}

/// `/health` of etcd asks for a leader in every release, whatever the probe of the manifest asks.
fn asks_for_leader(probe: &str) -> Option<String> {
    let (scheme, rest) = probe.split_once("://")?;
    let (address, _) = rest.split_once('/')?;
    Some(format!("{scheme}://{address}/health"))
}
