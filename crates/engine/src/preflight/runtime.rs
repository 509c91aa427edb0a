//! Checks of the container runtime.

use super::Outcome;
use crate::backoff;
use crate::ports::{CgroupDriver, RuntimeError, View};
use crate::spec::InitSpec;

/// cmd/kubeadm/app/preflight/checks.go: ContainerRuntimeCheck.
pub(super) async fn cri(view: View<'_>) -> Outcome {
    let status = match backoff::of_runtime(view.clock, || view.runtime.status()).await {
        Ok(status) => status,
        Err(error @ (RuntimeError::Unreachable { .. } | RuntimeError::Late { .. })) => {
            return Outcome::error(error.to_string());
        }
        Err(error) => return Outcome::error(format!("container runtime is not running: {error}")),
    };
    match status.conditions.iter().find(|c| c.kind == "RuntimeReady" && !c.status) {
        None => Outcome::good(),
        Some(condition) => Outcome::error(format!(
            "container runtime condition {:?} is not true. reason: {}, message: {}",
            condition.kind, condition.reason, condition.message
        )),
    }
}

/// cmd/kubeadm/app/preflight/checks.go: ContainerRuntimeVersionCheck, KEP-4033. Patch releases of 1.35 and 1.36 moved
/// the removal to 1.38 as well, so every release says the same.
pub(super) async fn runtime_config(view: View<'_>) -> Outcome {
    match backoff::of_runtime(view.clock, || view.runtime.cgroup_driver()).await {
        Ok(_) => Outcome::good(),
        Err(RuntimeError::Unimplemented { .. }) => Outcome::warning(
            "You must update your container runtime to a version that supports the CRI method RuntimeConfig. Falling back to using cgroupDriver from kubelet config will be removed in 1.38. For more information, see https://git.k8s.io/enhancements/keps/sig-node/4033-group-driver-detection-over-cri",
        ),
        Err(error @ (RuntimeError::Unreachable { .. } | RuntimeError::Late { .. })) => {
            Outcome::error(error.to_string())
        }
        Err(error) => Outcome::error(format!("could not check if the runtime config is available: {error}")),
    }
}

/// cmd/kubeadm/app/preflight/checks_linux.go: IsDockerSystemdCheck, 1.14 to 1.21.
pub(super) async fn docker_cgroup_driver(view: View<'_>) -> Outcome {
    match backoff::of_runtime(view.clock, || view.runtime.cgroup_driver()).await {
        Ok(CgroupDriver::Systemd) => Outcome::good(),
        Ok(CgroupDriver::Cgroupfs) => Outcome::warning(
            "detected \"cgroupfs\" as the Docker cgroup driver. The recommended driver is \"systemd\". Please follow the guide at https://kubernetes.io/docs/setup/cri/",
        ),
        Err(error) => Outcome::error(error.to_string()),
    }
}

/// Docker, with a kubelet that no longer speaks to it (KEP-2221).
pub(super) fn no_dockershim(spec: &InitSpec) -> Outcome {
    Outcome::error(format!(
        "the kubelet of {} does not speak to Docker: name the socket of a container runtime with --cri-socket (or nodeRegistration.criSocket), such as that of cri-dockerd, unix:///var/run/cri-dockerd.sock",
        spec.version
    ))
}
