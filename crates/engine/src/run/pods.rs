//! Pods of this node: those of the container runtime that go, and static pods that are replaced, restarted or handed over.

use super::{ActionError, Executor};
use crate::backoff;
use crate::plan::{HandOver, ReplaceStaticPods, RestartStaticPod};
use crate::ports::RuntimeError;
use crate::{hand_over, replace, restart};

impl Executor<'_> {
    /// Removes pods, all at once: most of the time goes by while processes are given time to end. A second look finds
    /// what was made meanwhile.
    pub(super) async fn remove_pods(&self, only: Option<(&str, &str)>) -> Result<(), RuntimeError> {
        let mut tries = self.patiently();
        for attempt in 1.. {
            let mut all = backoff::of_runtime(&*self.fx.clock, || self.runtime.pod_sandboxes()).await?;
            all.retain(|pod| only.is_none_or(|(ns, name)| pod.namespace == ns && pod.pod.starts_with(name)));
            if all.is_empty() {
                break;
            }
            self.fx.output.progress(&format!("removing {} pods", all.len()));
            let removals = all.iter().map(|pod| self.runtime.remove_pod_sandbox(&pod.id));
            let failed = futures::future::join_all(removals).await.into_iter().find_map(Result::err);
            self.fx.output.progress("");
            match failed {
                Some(error) if attempt >= REMOVE_TRIES => return Err(error),
                Some(_) => tries.pause().await,
                None => {}
            }
        }
        Ok(())
    }

    pub(super) async fn replace_static_pods(&self, wanted: &ReplaceStaticPods) -> Result<(), ActionError> {
        let tools = replace::Tools {
            files: &*self.fx.files,
            runtime: &*self.runtime,
            view: self.view(),
            output: &*self.fx.output,
        };
        tools.replace(wanted).await
    }

    pub(super) async fn restart_static_pods(&self, pods: &[RestartStaticPod]) -> Result<(), ActionError> {
        restart::static_pods(pods, &*self.runtime, self.view(), &*self.fx.output).await
    }

    pub(super) async fn hand_over(&self, wanted: &HandOver) -> Result<(), ActionError> {
        let (files, output) = (&*self.fx.files, &*self.fx.output);
        Ok(hand_over::run(wanted, files, &*self.runtime, self.view(), output).await?)
    }
}

/// Looks for pods that are to be removed. cmd/kubeadm/app/util/runtime/runtime.go: removePodSandbox tries, 1.37.
const REMOVE_TRIES: u32 = 5;
