//! Runs a Job on the cluster, to see whether it takes work: the check `CreateJob` of an upgrade.
//! cmd/kubeadm/app/phases/upgrade/health.go: createJob, 1.37.

use std::time::Duration;

use kubeadm_config::duration::GoDuration;
use serde_json::{Value, json};

use crate::backoff::{Backoff, retry};
use crate::dryrun::identity;
use crate::ports::{ApiError, Clock, Selector, WriteApi};
use crate::resource::{JOBS, PODS};

/// Creates the Job and waits until it is complete. One that has failed is not waited for, and a try to create it whose
/// answer was lost counts (Q26 of the original). Afterwards the cluster may take it away at once, with its pod.
pub(crate) async fn job(
    job: &Value,
    limit: Duration,
    api: &dyn WriteApi,
    clock: &dyn Clock,
) -> Result<(), String> {
    let (namespace, name) = identity(job);
    match retry(clock, limit, || api.create(JOBS, job), ApiError::is_transient).await {
        Ok(_) | Err(ApiError::AlreadyExists(_)) => {}
        Err(error) => {
            return Err(format!("could not create Job {name:?} in the namespace {namespace:?}: {error}"));
        }
    }
    let mut tries = Backoff::start(clock);
    let outcome = loop {
        let reason = match api.get(JOBS, namespace, name).await {
            Ok(Some(job)) => {
                let condition = |kind: &str| {
                    let all = job["status"]["conditions"].as_array().into_iter().flatten();
                    all.clone().find(|c| c["type"] == kind && c["status"] == "True").cloned()
                };
                if condition("Complete").is_some() {
                    break Ok(());
                }
                if let Some(failed) = condition("Failed") {
                    let why = failed["message"].as_str().unwrap_or("no reason was given").to_owned();
                    break Err(format!("Job {name:?} in the namespace {namespace:?} failed: {why}"));
                }
                "no condition of type Complete".to_owned()
            }
            Ok(None) => "it does not exist".to_owned(),
            Err(error) => error.to_string(),
        };
        if tries.waited() >= limit {
            let limit = GoDuration::from(limit);
            let pod = pod_state(api, namespace, name).await;
            break Err(format!(
                "Job {name:?} in the namespace {namespace:?} did not complete in {limit}: {reason}{pod}"
            ));
        }
        tries.pause().await;
    };
    let forget = json!({"spec": {"ttlSecondsAfterFinished": 0}});
    if let Err(error) = api.patch(JOBS, namespace, name, &forget).await {
        tracing::debug!(name, %error, "the Job stays until its time is over");
    }
    outcome
}

/// What keeps its pod from running, if that can be told.
async fn pod_state(api: &dyn WriteApi, namespace: &str, job: &str) -> String {
    let selector = Selector { labels: Some(format!("job-name={job}")), fields: None };
    let pods = api.list(PODS, namespace, &selector).await.unwrap_or_default();
    let Some(pod) = pods.first() else { return "; it has no Pod: does kube-controller-manager run?".into() };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let status = &pod["status"];
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let unmet = conditions.clone().find(|c| c["status"] == "False" && c["message"].is_string());
    let why =
        [&waiting["message"], &waiting["reason"]].into_iter().find_map(|v| v.as_str().map(str::to_owned));
    let why = why.or_else(|| unmet.and_then(|c| c["message"].as_str()).map(str::to_owned));
    let phase = status["phase"].as_str().unwrap_or("unknown");
    format!("; its Pod {name} is {phase}{}", why.map(|w| format!(": {w}")).unwrap_or_default())
}
