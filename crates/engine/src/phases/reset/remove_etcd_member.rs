//! `remove-etcd-member`: the etcd of this node, and its data. cmd/kubeadm/app/cmd/phases/reset/removeetcdmember.go, 1.37.
//!
//! Only an etcd that this node's own manifest names is touched: a folder of data that belongs to somebody else stays
//! (Q16 of the original). The order leaves nothing behind whenever it is interrupted: the other members let this one go
//! while its data are complete, so that it cannot come back as another; then its kubelet and its pod are stopped, so that
//! nothing starts it again on an empty folder (Q17); then its data go. Where the others do not let it go, nothing is done;
//! where nobody can be asked, although it was waited for, that is said, and the node is reset all the same.

use std::time::Duration;

use futures::future::BoxFuture;

use super::stop_kubelet;
use crate::backoff::retry;
use crate::etcd::{self, OwnMember};
use crate::objects::KUBE_SYSTEM;
use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::{EtcdError, Member, View};
use crate::reset::ResetSpec;

/// How long somebody is looked for who knows the members where there may be others: they may be electing a leader, or be
/// slow, and would count on this node's member for good if it went without a word.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where nothing speaks of others: etcd is probably gone.
const PATIENCE_ALONE: Duration = Duration::from_secs(5);

/// Plans the phase.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(steps(spec, view))
}

async fn steps(spec: &ResetSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let Some(own) = etcd::own::read(view.files)? else {
        tracing::debug!("no etcd on this node");
        return Ok(Vec::new());
    };
    let Some(data) = own.data_dir.clone() else {
        return Ok(vec![
            Step::say("[reset] No etcd config found. Assuming external etcd"),
            Step::say("[reset] Please, manually reset etcd to prevent further issues"),
        ]);
    };
    // Once etcd is gone, nobody can tell any more where the cluster's certificates lie.
    let reachable = spec.reachable(view).await;
    let mut steps = Vec::new();
    match members(&own, reachable, view).await {
        Ok(members) => {
            let limit = spec.config.timeouts.etcd_api_call.to_std();
            steps.extend(etcd::member::removal(&own, members, limit).map(|removal| {
                Step::new(Action::RemoveEtcdMember(removal))
                    .would("[dryrun] Would remove the etcd member on this node from the etcd cluster")
            }));
        }
        Err(reason) => steps.push(Step::warn(format!(
            "[reset] etcd could not be asked for its members ({reason}). If there are others than this node's, remove \
             this one with `etcdctl member remove` on one of them"
        ))),
    }
    steps.push(stop_kubelet());
    steps.push(
        Step::new(Action::RemovePods { only: Some((KUBE_SYSTEM, "etcd-")) })
            .or_warn("[reset] Failed to stop etcd"),
    );
    let shown = data.display();
    steps.push(
        Step::new(Action::EmptyDir(data.clone()))
            .would(format!("[dryrun] Would delete contents of the etcd data directory: {shown}"))
            .done(format!("[reset] Deleted contents of the etcd data directory: {shown}"))
            .or_warn(format!("[reset] Failed to delete contents of the etcd data directory {shown}")),
    );
    Ok(steps)
}

/// All members: as this node's own knows them, as those that it once joined do, or as those do that the cluster names.
async fn members(own: &OwnMember, reachable: bool, view: View<'_>) -> Result<Vec<Member>, EtcdError> {
    let at = |endpoints| view.etcds.reader(&etcd::access_at(endpoints, &own.certificates));
    let known = at([own.client_urls.clone(), own.neighbours.clone()].concat());
    let ask = || async {
        let failure = match known.members().await {
            Err(error) if reachable => error,
            answer => return answer,
        };
        match etcd::endpoints::find(view.api, view.clock, Duration::ZERO).await {
            Ok(told) => at(told).members().await,
            Err(error) => {
                tracing::debug!(%error, "the cluster does not tell where etcd is");
                Err(failure)
            }
        }
    };
    let others = reachable || !own.neighbours.is_empty();
    let limit = if others { PATIENCE } else { PATIENCE_ALONE };
    let again = |error: &EtcdError| {
        if error.is_transient() {
            view.progress.progress(&format!("waiting for etcd to tell its members: {error}"));
        }
        error.is_transient()
    };
    let outcome = retry(view.clock, limit, ask, again).await;
    view.progress.progress("");
    outcome
}
