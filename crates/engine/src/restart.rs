//! Restarts static pods through CRI: the manifest stays where it is, and the kubelet makes the container anew. A run that
//! is killed leaves no component without a manifest.

use std::time::Duration;

use jiff::Timestamp;

use crate::backoff::Backoff;
use crate::plan::RestartStaticPod;
use crate::ports::*;
use crate::run::ActionError;
use crate::wait::{self, Anew};

/// How long a component may take to end: what the kubelet gives pods that say nothing else.
const GRACE: Duration = Duration::from_secs(30);
/// How long the API server may take to end. It answers nothing any more, but waits for those who watch until it is killed;
/// requests under way have this long.
pub(crate) const API_SERVER_GRACE: Duration = Duration::from_secs(5);
/// How long the members of etcd may take to agree on a leader after one of them was restarted; an election takes a
/// second or two.
const ELECTION: Duration = Duration::from_secs(30);

/// Restarts them in order and waits for each.
///
/// Where the certificates of all control-plane nodes have expired, the first etcd that is restarted finds no other that
/// accepts it. What depends on it cannot come up before a majority has new certificates, so it is restarted and not
/// waited for.
pub(crate) async fn static_pods(
    pods: &[RestartStaticPod],
    runtime: &dyn WriteRuntime,
    view: View<'_>,
    output: &dyn Output,
) -> Result<(), ActionError> {
    let mut alone = false;
    for pod in pods {
        output.say(&format!("[renew] Restarting the static Pod {}", pod.component));
        let since = stop_old(pod, runtime, view).await?;
        if alone {
            continue;
        }
        let anew = Anew {
            component: &pod.component,
            manifest: &pod.manifest,
            health: pod.health.as_ref(),
            limit: pod.limit,
            since,
        };
        wait::anew(anew, view, output).await.map_err(|e| ActionError::Wait(Box::new(e)))?;
        if let Some(url) = &pod.quorum {
            alone = !answers_soon(url, view, output).await;
        }
    }
    if alone {
        output.warn(
            "etcd on this node sees no majority of its members, so nothing that needs it was waited for: renew the \
             certificates of the other control-plane nodes too, then the API server comes back by itself",
        );
    }
    Ok(())
}

/// Ends what runs with old files, and returns since when a container has the new ones: one whose certificate had expired
/// may have ended, and have been made anew, since they are there.
async fn stop_old(
    pod: &RestartStaticPod,
    runtime: &dyn WriteRuntime,
    view: View<'_>,
) -> Result<Timestamp, ActionError> {
    let failed = |source| ActionError::Restart { component: pod.component.clone(), source };
    let renewed = pod.reads.iter().filter_map(|path| Some(view.files.stat(path).ok()??.modified)).max();
    let since = view.clock.now();
    let containers = runtime.containers().await.map_err(failed)?;
    let mut running =
        containers.iter().filter(|c| c.name == pod.component && c.state == ContainerState::Running);
    if let Some(renewed) = renewed.filter(|renewed| running.any(|container| container.created > *renewed)) {
        return Ok(renewed);
    }
    stop(&pod.component, runtime).await.map_err(failed)?;
    Ok(since)
}

/// How long a component may take to end.
pub(crate) fn grace(component: &str) -> Duration {
    if component == "kube-apiserver" { API_SERVER_GRACE } else { GRACE }
}

/// Ends what runs, so that the kubelet makes it anew at once. What has ended by itself, such as a component whose
/// certificate has expired, would be made anew only after a pause of up to five minutes: the kubelet forgets that with
/// the pod.
pub(crate) async fn stop(component: &str, runtime: &dyn WriteRuntime) -> Result<(), RuntimeError> {
    let containers = runtime.containers().await?;
    let own: Vec<&Container> = containers.iter().filter(|c| c.name == component).collect();
    let running: Vec<&&Container> = own.iter().filter(|c| c.state == ContainerState::Running).collect();
    for container in &running {
        runtime.stop_container(&container.id, grace(component)).await?;
    }
    if !running.is_empty() {
        return Ok(());
    }
    for sandbox in runtime.pod_sandboxes().await? {
        if own.iter().any(|c| c.pod == sandbox.pod && c.namespace == sandbox.namespace) {
            runtime.remove_pod_sandbox(&sandbox.id).await?;
        }
    }
    Ok(())
}

async fn answers_soon(url: &str, view: View<'_>, output: &dyn Output) -> bool {
    let mut tries = Backoff::start(view.clock);
    loop {
        let good = matches!(wait::get(view, url).await, Ok(200));
        if good || tries.waited() >= ELECTION {
            output.progress("");
            return good;
        }
        output.progress("waiting for the members of etcd to agree on a leader");
        tries.pause().await;
    }
}
