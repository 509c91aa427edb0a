//! `preflight`: the checks, then the images.

use futures::future::BoxFuture;
use kubeadm_config::types::ImagePullPolicy;

use super::PhaseError;
use crate::plan::{Action, PullImages, Step};
use crate::ports::View;
use crate::preflight;
use crate::spec::InitSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let checks = preflight::checks::init(spec);
        let found = preflight::run(&checks, spec, &spec.ignored, view).await;
        let mut steps = preflight::headed(found).map_err(PhaseError::Preflight)?;
        steps.extend(images(spec, view).await);
        Ok(steps)
    })
}

/// Pulls the images of the release, with a warning where the runtime's pause image is another.
pub(super) async fn images(spec: &InitSpec, view: View<'_>) -> Vec<Step> {
    let node = &spec.init.node_registration;
    // A policy that is none of the three is refused by validation.
    let policy = ImagePullPolicy::parse(&node.image_pull_policy).unwrap_or(ImagePullPolicy::IfNotPresent);
    let would = "[preflight] Would pull the required images (like 'kubeadm config images pull')";
    if policy == ImagePullPolicy::Never {
        return vec![Step::new(Action::Nothing).would(would)];
    }
    let images = spec.images().list();
    let mut steps = Vec::new();
    if let Some(warning) = sandbox_image_warning(spec, view).await {
        steps.push(Step::warn(warning).silent_when_dry());
    }
    let pull = PullImages {
        socket: node.cri_socket.clone(),
        images,
        always: policy == ImagePullPolicy::Always,
        serial: node.image_pull_serial.unwrap_or(true),
        ignore_errors: spec.ignored.covers("ImagePull"),
    };
    steps.push(pull_step("preflight", pull, would));
    steps
}

/// Pulls images; `phase` is what its lines begin with. cmd/kubeadm/app/cmd/phases/init/preflight.go, 1.37.
pub(super) fn pull_step(phase: &str, pull: PullImages, would: &str) -> Step {
    [
        "Pulling images required for setting up a Kubernetes cluster",
        "This might take a minute or two, depending on the speed of your internet connection",
        "You can also perform this action beforehand using 'kubeadm config images pull'",
    ]
    .into_iter()
    .fold(Step::new(Action::PullImages(pull)), |step, text| step.saying(format!("[{phase}] {text}")))
    .would(would)
}

/// A runtime that is configured with another pause image pulls that one too. cmd/kubeadm/app/preflight/checks.go.
async fn sandbox_image_warning(spec: &InitSpec, view: View<'_>) -> Option<String> {
    let configured = view.runtime.status().await.ok()?.sandbox_image.filter(|image| !image.is_empty())?;
    let ours = spec.images().pause();
    (configured != ours).then(|| {
        format!(
            "detected that the sandbox image {configured:?} of the container runtime is inconsistent with that used by kubeadm. It is recommended to use {ours:?} as the CRI sandbox image."
        )
    })
}
