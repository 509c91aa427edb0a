//! `control-plane`: the static pod manifests of API server, controller manager and scheduler, and what all static
//! pods have in common on the way to a file: patches, and ownership when they run without root.

use futures::future::BoxFuture;

use super::{PhaseError, audit};
use crate::manifests::{self, Component, HostFacts};
use crate::patches::{Patches, Target};
use crate::plan::{Action, Step};
use crate::ports::{NewFile, View};
use crate::rootless;
use crate::spec::{InitSpec, MANIFESTS};

/// The group's own work.
pub fn plan_folder<'a>(spec: &'a InitSpec, _: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let folder = spec.layout.shown(MANIFESTS.as_ref()).display().to_string();
        Ok(vec![Step::say(format!("[control-plane] Using manifest folder {folder:?}"))])
    })
}

/// Plans kube-apiserver.
pub fn plan_apiserver<'a>(
    spec: &'a InitSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = audit::plan(spec, view)?;
        steps.extend(component(spec, view, Component::ApiServer).await?);
        Ok(steps)
    })
}

/// Plans kube-controller-manager.
pub fn plan_controller_manager<'a>(
    spec: &'a InitSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(component(spec, view, Component::ControllerManager))
}

/// Plans kube-scheduler.
pub fn plan_scheduler<'a>(
    spec: &'a InitSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(component(spec, view, Component::Scheduler))
}

async fn component(spec: &InitSpec, view: View<'_>, component: Component) -> Result<Vec<Step>, PhaseError> {
    let name = component.name();
    let mut steps = vec![Step::new(Action::CreateDir { path: MANIFESTS.into(), mode: 0o700 })];
    steps.extend(static_pod(
        spec,
        view,
        component,
        format!("[control-plane] Creating static Pod manifest for {name:?}"),
    )?);
    Ok(steps)
}

/// The steps that bring a static pod to disk, `line` first.
pub(super) fn static_pod(
    spec: &InitSpec,
    view: View<'_>,
    component: Component,
    line: String,
) -> Result<Vec<Step>, PhaseError> {
    let (mut steps, file) = manifest(spec, view, component, HostFacts::look(view.files))?;
    steps.insert(0, Step::say(line));
    steps.push(Step::new(Action::WriteFile(file)));
    Ok(steps)
}

/// The manifest of a static pod, and the steps that come before it is written.
pub(super) fn manifest(
    spec: &InitSpec,
    view: View<'_>,
    component: Component,
    mut host: HostFacts,
) -> Result<(Vec<Step>, NewFile), PhaseError> {
    let mut steps = Vec::new();
    if spec.rootless() {
        let rootless = rootless::plan(spec, view.files, component)?;
        host.run_as = Some(rootless.identity);
        steps.extend(rootless.steps);
    }
    let pod = manifests::pod(spec, &host, component);
    let patches = Patches::load(spec.patches.as_deref(), view.files)?;
    let patched = patches.apply(Target::Pod(component), pod)?;
    steps.extend(patched.steps);
    let content = manifests::to_yaml(&patched.value).into_bytes();
    let file = NewFile { path: spec.layout.manifest(component.name()), content, mode: 0o600, secret: false };
    Ok((steps, file))
}
