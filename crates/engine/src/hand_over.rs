//! Hands a component over from its static pod to the pod of a DaemonSet.
//! cmd/kubeadm/app/phases/selfhosting/selfhosting.go, 1.11 to 1.13.
//!
//! Both want the same port. The new pod is started first and fails until the old one has let go; that it runs at all shows
//! that somebody would take over. Only then the old manifest goes. By then the kubelet would wait longer and longer before
//! it tries the new one again: it forgets that with the sandbox of the pod.

use std::time::Duration;

use kubeadm_config::duration::GoDuration;
use serde_json::Value;

use crate::backoff::{Backoff, retry};
use crate::objects::KUBE_SYSTEM;
use crate::plan::HandOver;
use crate::ports::{
    Container, ContainerState, Output, RuntimeError, Selector, View, WriteFiles, WriteRuntime,
};
use crate::resource::{DAEMON_SETS, PODS};
use crate::{restart, wait};

/// Why a component was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Nobody would take over.
    #[error(
        "no Pod with the label {label:?} runs in the namespace {KUBE_SYSTEM} after {limit}: {reason}; the static Pod {component} was left as it is"
    )]
    NotStarted {
        /// `kube-apiserver`.
        component: String,
        /// `k8s-app=self-hosted-kube-apiserver`.
        label: String,
        /// How long it was waited.
        limit: GoDuration,
        /// The last state.
        reason: String,
    },
    /// The old one stays, or the new one does not answer.
    #[error(
        "{component} was not handed over to its DaemonSet within {limit}: {reason}. Its manifest is no longer in /etc/kubernetes/manifests; \
         `kubeadm init phase control-plane` with the configuration of the cluster writes it again"
    )]
    NotTaken {
        /// `kube-apiserver`.
        component: String,
        /// How long it was waited.
        limit: GoDuration,
        /// What is missing.
        reason: String,
    },
    /// The manifest.
    #[error(transparent)]
    File(#[from] crate::ports::FileError),
}

/// Hands over one component.
pub(crate) async fn run(
    wanted: &HandOver,
    files: &dyn WriteFiles,
    runtime: &dyn WriteRuntime,
    view: View<'_>,
    output: &dyn Output,
) -> Result<(), HandOverError> {
    let begun = view.clock.now();
    let limit = GoDuration::from(wanted.limit);
    until(wanted.limit, view, output, || started(wanted, view)).await.map_err(|reason| {
        HandOverError::NotStarted {
            component: wanted.component.clone(),
            label: format!("k8s-app={}", wanted.set),
            limit,
            reason,
        }
    })?;
    files.remove(&wanted.manifest)?;
    let not_taken = |reason| HandOverError::NotTaken { component: wanted.component.clone(), limit, reason };
    if let Err(error) = replace(wanted, runtime, view).await {
        tracing::debug!(%error, "the kubelet ends the static Pod in its own time");
    }
    until(wanted.limit, view, output, || gone(wanted, view)).await.map_err(not_taken)?;
    output.say(&format!("[apiclient] The old Pod {:?} is now removed (which is desired)", wanted.mirror));
    until(wanted.limit, view, output, || answers(wanted, view)).await.map_err(not_taken)?;
    let took = view.clock.now().duration_since(begun).as_secs_f64();
    output.say(&format!("[self-hosted] self-hosted {} ready after {took:.6} seconds", wanted.component));
    Ok(())
}

/// Looks again and again until something is the case, and tells why it is not.
async fn until<F: Future<Output = Result<(), String>>>(
    limit: Duration,
    view: View<'_>,
    output: &dyn Output,
    look: impl Fn() -> F,
) -> Result<(), String> {
    let again = |reason: &String| {
        output.progress(reason);
        true
    };
    let outcome = retry(view.clock, limit, look, again).await;
    output.progress("");
    outcome
}

/// Ends the old container, and has the kubelet try the new one at once.
async fn replace(wanted: &HandOver, runtime: &dyn WriteRuntime, view: View<'_>) -> Result<(), RuntimeError> {
    let mut tries = Backoff::start(view.clock);
    let containers = loop {
        let containers = runtime.containers().await?;
        let old = containers.iter().find(|c| runs(c, wanted) && c.pod == wanted.mirror);
        let Some(old) = old.filter(|_| tries.waited() < wanted.limit) else { break containers };
        runtime.stop_container(&old.id, restart::grace(&wanted.component)).await?;
        tries.pause().await;
    };
    let new = |pod: &str| pod.starts_with(&format!("{}-", wanted.set));
    if containers.iter().any(|c| runs(c, wanted) && new(&c.pod)) {
        return Ok(());
    }
    for sandbox in runtime.pod_sandboxes().await?.into_iter().filter(|sandbox| new(&sandbox.pod)) {
        runtime.remove_pod_sandbox(&sandbox.id).await?;
    }
    Ok(())
}

fn runs(container: &Container, wanted: &HandOver) -> bool {
    container.name == wanted.component && container.state == ContainerState::Running
}

/// Whether pods of the DaemonSet run, as it is now: one that it is about to replace takes over nothing, and once the
/// controller manager has ended nobody replaces it.
async fn started(wanted: &HandOver, view: View<'_>) -> Result<(), String> {
    let set = view.api.get(DAEMON_SETS, KUBE_SYSTEM, &wanted.set).await.map_err(|e| e.to_string())?;
    let set = set.ok_or("there is no such DaemonSet")?;
    let (status, number) = (&set["status"], |value: &Value| value.as_i64().unwrap_or_default());
    if number(&status["observedGeneration"]) < number(&set["metadata"]["generation"]) {
        return Err("its DaemonSet has not been looked at: does kube-controller-manager run?".into());
    }
    let (updated, wished) =
        (number(&status["updatedNumberScheduled"]), number(&status["desiredNumberScheduled"]));
    if updated < wished {
        return Err(format!("{updated} of {wished} Pods are as the DaemonSet has them now"));
    }
    let selector = Selector { labels: Some(format!("k8s-app={}", wanted.set)), fields: None };
    let mut pods = view.api.list(PODS, KUBE_SYSTEM, &selector).await.map_err(|e| e.to_string())?;
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    if pods.is_empty() {
        return Err("there is no such Pod: does kube-controller-manager run?".into());
    }
    let phase = |pod: &Value| pod["status"]["phase"].as_str().unwrap_or("Unknown").to_owned();
    match pods.iter().find(|pod| phase(pod) != "Running") {
        None => Ok(()),
        Some(pod) => {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            Err(format!("the Pod {name} is {}", phase(pod)))
        }
    }
}

async fn gone(wanted: &HandOver, view: View<'_>) -> Result<(), String> {
    match view.api.get(PODS, KUBE_SYSTEM, &wanted.mirror).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(format!("the static Pod {} is still there", wanted.mirror)),
        Err(error) => Err(format!("the API server does not tell whether {} is gone: {error}", wanted.mirror)),
    }
}

async fn answers(wanted: &HandOver, view: View<'_>) -> Result<(), String> {
    match &wanted.health {
        Some(health) => wait::health(view, health).await,
        None => Ok(()),
    }
}
