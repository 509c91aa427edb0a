//! Checks of the kubelet and of versions.

use kubeadm_release::skew::{self, KubeletSkew};

use super::Outcome;
use super::machine::NO_INIT_SYSTEM;
use crate::kubelet::installed;
use crate::ports::View;
use crate::spec::InitSpec;

pub(super) fn kubernetes_version(spec: &InitSpec) -> Outcome {
    if !skew::newer_than_kubeadm(&spec.version, &spec.kubeadm_version) {
        return Outcome::good();
    }
    Outcome::warning(format!(
        "Kubernetes version is greater than kubeadm version. Please consider to upgrade kubeadm. Kubernetes version: {}. Kubeadm version: {}.x",
        spec.version.bare(),
        spec.kubeadm_version.major_minor()
    ))
}

pub(super) async fn version(spec: &InitSpec, view: View<'_>) -> Outcome {
    match installed(view.system).await {
        Err(error) => Outcome::error(format!("couldn't get kubelet version: {error}")),
        Ok(kubelet) => match skew::kubelet_allowed(&kubelet, &spec.version) {
            Ok(()) => Outcome::good(),
            Err(error) => Outcome::error(error.to_string()),
        },
    }
}

/// Whether the kubelet is new enough for a cluster that it joins. One that is newer is the administrator's choice there.
pub(super) async fn not_too_old(spec: &InitSpec, view: View<'_>) -> Outcome {
    match installed(view.system).await.map(|kubelet| skew::kubelet_allowed(&kubelet, &spec.version)) {
        Err(error) => Outcome::error(format!("couldn't get kubelet version: {error}")),
        Ok(Err(error @ KubeletSkew::TooOld { .. })) => Outcome::error(error.to_string()),
        Ok(_) => Outcome::good(),
    }
}

pub(super) async fn service(view: View<'_>) -> Outcome {
    if view.services.init_system().is_err() {
        return Outcome::warning(NO_INIT_SYSTEM);
    }
    if !view.services.exists("kubelet").await {
        return Outcome::warning("kubelet service does not exist");
    }
    if view.services.enabled("kubelet").await {
        return Outcome::good();
    }
    let command = view.services.enable_command("kubelet");
    Outcome::warning(format!("kubelet service is not enabled, please run '{command}'"))
}
