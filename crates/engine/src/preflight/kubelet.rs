//! Checks of the kubelet and of versions.

use kubeadm_release::{Version, skew};

use super::Outcome;
use super::machine::NO_INIT_SYSTEM;
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

/// Asks the kubelet for its version. cmd/kubeadm/app/preflight/utils.go: GetKubeletVersion.
pub(super) async fn installed(view: View<'_>) -> Result<Version, String> {
    let output = view
        .system
        .output("kubelet", &["--version"])
        .await
        .map_err(|e| format!("cannot execute 'kubelet --version': {}", e.reason))?;
    if output.code != Some(0) {
        let code = output.code.map_or("a signal".into(), |c| format!("exit status {c}"));
        return Err(format!("cannot execute 'kubelet --version': {code}: {}", output.stderr.trim()));
    }
    let text = output.stdout.trim();
    text.strip_prefix("Kubernetes ")
        .and_then(|v| v.trim().parse().ok())
        .ok_or_else(|| format!("Unable to parse output from Kubelet: {text:?}"))
}

pub(super) async fn version(spec: &InitSpec, view: View<'_>) -> Outcome {
    match installed(view).await {
        Err(error) => Outcome::error(format!("couldn't get kubelet version: {error}")),
        Ok(kubelet) => match skew::kubelet_allowed(&kubelet, &spec.version) {
            Ok(()) => Outcome::good(),
            Err(error) => Outcome::error(error.to_string()),
        },
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
