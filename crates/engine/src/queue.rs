//! The queue of joining control planes: etcd takes one new member at a time, so nodes that join at once wait for their
//! turn on the cluster instead of running into each other (Q14 of the original).
//!
//! It is a Lease that is there only while somebody has it. One that is not renewed any more, because its owner was killed,
//! is taken over: how old it is is told by our own clock, from when it was seen to change last, so that clocks need not
//! agree. Nobody has to queue (the original does not): etcd itself refuses a second new member.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::backoff::Backoff;
use crate::objects::{KUBE_SYSTEM, object};
use crate::ports::{ApiError, Clock, Output, WriteApi};
use crate::resource::LEASES;

/// Name of the Lease, in `kube-system`.
const NAME: &str = "kubeadm-control-plane-join";
/// How long a Lease is believed in that is not renewed.
const LIFE: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long an API server that does not answer is asked; and a turn that never comes is waited for ten times as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// This node's place in the queue.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Option<Turn>>);

#[derive(Debug, Clone)]
struct Turn {
    holder: String,
    /// By the clock of this process.
    renewed: Duration,
}

impl Queue {
    fn turn(&self) -> Option<Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, turn: Option<Turn>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// Waits for this node's turn. A cluster that does not let it queue is no reason to stop: then etcd decides.
    pub(crate) async fn enter(
        &self,
        holder: &str,
        api: &dyn WriteApi,
        clock: &dyn Clock,
        output: &dyn Output,
    ) {
        if self.turn().is_some() {
            return;
        }
        let mut seen: Option<(Value, Duration)> = None;
        let mut tries = Backoff::start(clock);
        loop {
            match self.take(holder, api, clock, &mut seen).await {
                Ok(None) => break,
                Ok(Some(other)) if tries.waited() < 10 * PATIENCE => {
                    output.progress(&format!("waiting until the control-plane node {other} has joined etcd"));
                }
                Ok(Some(other)) => {
                    output.warn(&format!("not waiting any longer until the node {other} has joined etcd"));
                    break;
                }
                Err(error) if error.is_transient() && tries.waited() < PATIENCE => {
                    tracing::debug!(%error, "trying again");
                }
                Err(error) => {
                    tracing::debug!(%error, "no queue of joining control planes");
                    break;
                }
            }
            tries.pause().await;
        }
        output.progress("");
    }

    /// Takes the Lease if it is free. Returns who else has it.
    async fn take(
        &self,
        holder: &str,
        api: &dyn WriteApi,
        clock: &dyn Clock,
        seen: &mut Option<(Value, Duration)>,
    ) -> Result<Option<String>, ApiError> {
        let now = clock.elapsed();
        let outcome = match api.get(LEASES, KUBE_SYSTEM, NAME).await? {
            None => api.create(LEASES, &lease(holder, clock.now(), None)).await,
            Some(there) => {
                let spec = &there["spec"];
                let other = spec["holderIdentity"].as_str().unwrap_or_default().to_owned();
                let since = match seen {
                    Some((before, since)) if before == spec => *since,
                    _ => now,
                };
                *seen = Some((spec.clone(), since));
                if !other.is_empty() && other != holder && now - since < LIFE {
                    return Ok(Some(other));
                }
                api.update(LEASES, &lease(holder, clock.now(), Some(&there))).await
            }
        };
        match outcome {
            Ok(_) => {
                self.set(Some(Turn { holder: holder.to_owned(), renewed: now }));
                Ok(None)
            }
            // Somebody was faster.
            Err(ApiError::AlreadyExists(_) | ApiError::Conflict(_)) => Ok(Some("that came first".into())),
            Err(error) => Err(error),
        }
    }

    /// Says that this node is still at it, when it is time to.
    pub(crate) async fn renew(&self, api: &dyn WriteApi, clock: &dyn Clock) {
        let Some(turn) = self.turn() else { return };
        if clock.elapsed() - turn.renewed < RENEWAL {
            return;
        }
        if let Ok(Some(there)) = api.get(LEASES, KUBE_SYSTEM, NAME).await
            && there["spec"]["holderIdentity"] == *turn.holder
        {
            let renewed = api.update(LEASES, &lease(&turn.holder, clock.now(), Some(&there))).await;
            tracing::debug!(ok = renewed.is_ok(), "renewed the place in the queue");
        }
        self.set(Some(Turn { renewed: clock.elapsed(), ..turn }));
    }

    /// Lets the next one in.
    pub(crate) async fn leave(&self, api: &dyn WriteApi) {
        let Some(turn) = self.turn() else { return };
        self.set(None);
        match api.get(LEASES, KUBE_SYSTEM, NAME).await {
            Ok(Some(there)) if there["spec"]["holderIdentity"] == *turn.holder => {
                let gone = api.delete(LEASES, KUBE_SYSTEM, NAME).await;
                tracing::debug!(ok = gone.is_ok(), "left the queue");
            }
            _ => tracing::debug!("the place in the queue was another's"),
        }
    }
}

/// The Lease of a holder, in place of one that is there.
fn lease(holder: &str, now: Timestamp, there: Option<&Value>) -> Value {
    let mut lease = there.cloned().unwrap_or_else(|| object(LEASES, KUBE_SYSTEM, NAME));
    let time = format!("{now:.6}");
    let again = lease["spec"]["holderIdentity"] == *holder;
    let acquired = if again { lease["spec"]["acquireTime"].clone() } else { json!(time) };
    lease["spec"] = json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": LIFE.as_secs(),
        "acquireTime": acquired,
        "renewTime": time,
    });
    lease
}
