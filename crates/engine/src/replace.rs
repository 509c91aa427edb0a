//! Replaces static pods by others with new manifests, on this node and through nothing but its files and its container
//! runtime: the API server may be what is replaced. Success is a container that was made from the new manifest and
//! answers; what does not come up is put back, and that is waited for too (Q23, Q24 of the original).
//!
//! etcd goes together with the API server that stands on it. Before the kubelet starts a new static pod it deletes the
//! mirror of the old one, and an API server that has lost its etcd lets that request hang for its full minute; one that
//! is down refuses it at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::diagnose;
use crate::plan::{ReplaceStaticPods, StaticPodManifest};
use crate::ports::*;
use crate::restart;
use crate::run::ActionError;
use crate::wait::{self, Anew};

/// A static pod that did not come up with its new manifest.
#[derive(Debug, thiserror::Error)]
#[error(
    "couldn't upgrade control plane. kubeadm has tried to recover everything into the earlier state. Errors faced: \
     {component} does not run with its new manifest: {cause}{}",
    self.afterwards()
)]
pub struct ReplaceError {
    /// Name of its container.
    pub component: String,
    /// Why.
    pub cause: Box<ActionError>,
    /// What runs again as before.
    pub restored: Vec<String>,
    /// What could not be put back, and what needs it.
    pub lost: Vec<(String, ActionError)>,
    /// Where the manifests of before are kept.
    pub backups: PathBuf,
    /// Where a snapshot of etcd is.
    pub snapshot: Option<PathBuf>,
}

impl ReplaceError {
    fn afterwards(&self) -> String {
        let mut text = String::new();
        if !self.restored.is_empty() {
            text += &format!("\nas before the upgrade: {}", self.restored.join(", "));
        }
        for (component, error) in &self.lost {
            text += &format!("\nnot as before, {component}: {error}");
        }
        if !self.lost.is_empty() {
            text += &format!("\nthe manifests of before are kept in {}", self.backups.display());
            let snapshot = self.snapshot.as_ref().map(|s| s.display().to_string());
            text += &snapshot.map_or(String::new(), |path| {
                format!("\na snapshot of etcd from before is kept in {path}; it is not restored by kubeadm")
            });
        }
        text
    }
}

/// How often, and for how long after its predecessor has ended, the kubelet is made to look again at a new pod.
///
/// A static pod whose predecessor still ends when it is first seen has to wait, and the kubelet looks at it again after 10
/// to 15 seconds (pkg/kubelet/pod_workers.go: allowPodStart, backOffPeriod, v1.22 and later). One that goes and comes
/// back is started by the next housekeeping, at most two seconds later.
const REMINDERS: u32 = 4;
const REMINDER: Duration = Duration::from_secs(3);
/// The first one, since the end of a container is not yet the end of its pod.
const FIRST_REMINDER: Duration = Duration::from_millis(300);

/// The pauses between looks.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is looked whether the kubelet runs at all.
const SERVICE_LOOK: Duration = Duration::from_secs(2);
/// How long a component may take to end before what it needs is ended too.
const END: Duration = Duration::from_secs(40);

/// What it takes to replace a pod.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) files: &'a dyn WriteFiles,
    pub(crate) runtime: &'a dyn WriteRuntime,
    pub(crate) view: View<'a>,
    pub(crate) output: &'a dyn Output,
}

/// A pod whose manifest was written, or that was stopped.
struct Begun {
    since: Timestamp,
    /// The sandboxes of before.
    before: BTreeSet<String>,
}

impl Tools<'_> {
    /// Replaces pods; what does not come up is put back.
    pub(crate) async fn replace(&self, replace: &ReplaceStaticPods) -> Result<(), ActionError> {
        let Err((failed, cause)) = self.bring(&replace.new, replace.limit).await else { return Ok(()) };
        let component = replace.new[failed].component.clone();
        self.output.warn(&format!(
            "{component} does not run with its new manifest; what was replaced is put back, and then the cause is told"
        ));
        let stays =
            |old: &StaticPodManifest| replace.new[..failed].iter().any(|new| new.component == old.component);
        let mut undo: Vec<StaticPodManifest> =
            replace.undo.iter().filter(|old| !stays(old)).cloned().collect();
        let together = undo.iter().take_while(|old| replace.new.iter().any(|n| n.component == old.component));
        let others = undo.split_off(together.count());
        let groups = std::iter::once(undo).chain(others.into_iter().map(|pod| vec![pod]));
        let (mut restored, mut lost) = (Vec::new(), Vec::new());
        for group in groups.filter(|group| !group.is_empty()) {
            let names: Vec<String> = group.iter().map(|pod| pod.component.clone()).collect();
            let text = format!("[upgrade/staticpods] Putting back the manifest of {}", names.join(" and "));
            self.output.say(&text);
            match self.bring(&group, replace.limit).await {
                Ok(()) => restored.extend(names),
                Err((failed, error)) => {
                    restored.extend(names[..failed].iter().cloned());
                    lost.push((names[failed..].join(", "), error));
                }
            }
        }
        Err(ActionError::Replace(Box::new(ReplaceError {
            component,
            cause: Box::new(cause),
            restored,
            lost,
            backups: replace.backups.clone(),
            snapshot: replace.snapshot.clone(),
        })))
    }

    /// Has pods run by these manifests: ends the last one first, and waits for the first one first. An error comes with the
    /// number of the pod.
    async fn bring(&self, pods: &[StaticPodManifest], limit: Duration) -> Result<(), (usize, ActionError)> {
        let mut begun: Vec<Option<Begun>> = Vec::new();
        for (n, pod) in pods.iter().enumerate().rev() {
            let own = self.begin(pod, n > 0).await.map_err(|e| (n, e))?;
            if let Some(begun) = &own {
                self.ended(&pod.component, begun.since).await;
            }
            begun.insert(0, own);
        }
        for (n, (pod, begun)) in pods.iter().zip(begun).enumerate() {
            let start = self.view.clock.elapsed();
            if let Some(begun) = &begun {
                self.started(pod, begun, limit).await;
            }
            let anew = Anew {
                component: &pod.component,
                manifest: &pod.file.path,
                health: pod.health.as_ref(),
                limit: Duration::from_secs(limit.saturating_sub(self.view.clock.elapsed() - start).as_secs()),
                since: begun.map_or(Timestamp::UNIX_EPOCH, |begun| begun.since),
            };
            let waited = wait::anew(anew, self.view, self.output).await;
            waited.map_err(|e| (n, ActionError::Wait(Box::new(e))))?;
        }
        Ok(())
    }

    /// Writes a manifest, if it is another one; one that is the same is restarted where it has to be.
    async fn begin(&self, pod: &StaticPodManifest, restart: bool) -> Result<Option<Begun>, ActionError> {
        let begun = Begun { since: self.view.clock.now(), before: self.sandboxes(&pod.component).await };
        if self.files.read(&pod.file.path)?.as_ref() != Some(&pod.file.content) {
            self.files.write(&pod.file)?;
            return Ok(Some(begun));
        }
        if !restart {
            return Ok(None);
        }
        let component = &pod.component;
        restart::stop(component, self.runtime)
            .await
            .map_err(|source| ActionError::Restart { component: component.clone(), source })?;
        Ok(Some(begun))
    }

    /// Returns once no container of before runs any more, or the kubelet had time enough to end it.
    async fn ended(&self, component: &str, since: Timestamp) {
        let start = self.view.clock.elapsed();
        loop {
            let took = self.view.clock.elapsed() - start;
            let containers = self.view.runtime.containers().await.unwrap_or_default();
            let old = |c: &&Container| c.name == component && c.created < since;
            let Some(running) = containers.iter().filter(old).find(|c| c.state == ContainerState::Running)
            else {
                break;
            };
            if took >= END {
                break;
            }
            self.output.progress(&format!("waiting for {component} to end"));
            if component == "kube-apiserver" && took >= restart::API_SERVER_GRACE {
                let stopped = self.runtime.stop_container(&running.id, Duration::ZERO).await;
                tracing::debug!(?stopped, "the API server was not waited for any longer");
            }
            self.view.runtime.changed(LOOK).await;
        }
        self.output.progress("");
    }

    /// Returns once the kubelet has begun with the new pod, or when it is time to ask why it does not.
    async fn started(&self, pod: &StaticPodManifest, begun: &Begun, limit: Duration) {
        let view = self.view;
        let start = view.clock.elapsed();
        let (mut reminders, mut next) = (0, None);
        let mut watch = diagnose::Watch::default();
        let mut look = start + SERVICE_LOOK;
        loop {
            let containers = view.runtime.containers().await.unwrap_or_default();
            let seen = containers.iter().any(|c| c.name == pod.component && c.created >= begun.since)
                || self.sandboxes(&pod.component).await.iter().any(|id| !begun.before.contains(id));
            let now = view.clock.elapsed();
            let given_up = reminders == REMINDERS && next.is_some_and(|next| now >= next);
            let mut over = seen || given_up || now - start >= limit;
            if !over && now >= look {
                over = !watch.kubelet(view, now - start, false).await.is_empty();
                look = now + SERVICE_LOOK;
            }
            if over {
                self.output.progress("");
                return;
            }
            if *next.get_or_insert(now + FIRST_REMINDER) <= now {
                self.output.progress(&format!("waiting for the kubelet to start {}", pod.component));
                // Where the file system cannot do it, the kubelet looks again by itself.
                if let Err(error) = self.files.reappear(&pod.file.path) {
                    tracing::debug!(%error, "the kubelet is not reminded");
                }
                reminders += 1;
                next = Some(now + REMINDER);
            }
            view.runtime.changed(LOOK).await;
        }
    }

    /// The ids of the component's sandboxes.
    async fn sandboxes(&self, component: &str) -> BTreeSet<String> {
        let prefix = format!("{component}-");
        let all = self.view.runtime.pod_sandboxes().await.unwrap_or_default();
        let own = all.into_iter().filter(|s| s.namespace == "kube-system" && s.pod.starts_with(&prefix));
        own.map(|s| s.id).collect()
    }
}
