//! Whether the members of etcd agree on a leader and enough of them serve. cmd/kubeadm/app/util/etcd/etcd.go:
//! CheckClusterHealth, 1.37.
//!
//! All are asked at once: one that is dead costs its time-out and not, as with the original, two minutes.

use std::time::Duration;

use futures::future::join_all;

use crate::backoff::retry;
use crate::ports::{Etcd, EtcdAccess, EtcdError, Member, View};

/// Why etcd is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum UnhealthyError {
    /// It does not even tell its members.
    #[error("etcd cluster is not healthy: {0}")]
    Members(EtcdError),
    /// Too few members serve.
    #[error("etcd cluster is not healthy: {serving} of its {voters} members serve; {}", failures.join("; "))]
    TooFew {
        /// How many do.
        serving: usize,
        /// How many there are, learners left out.
        voters: usize,
        /// Per member that does not: why.
        failures: Vec<String>,
    },
}

/// How many members have to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// More than half of them.
    Majority,
    /// Each: one of them is about to stop.
    All,
}

/// Waits until as many members serve as are needed, and returns all of them.
///
/// # Errors
/// See [`UnhealthyError`]; what time may cure only after `limit`.
pub async fn wait(
    needed: Needed,
    access: &EtcdAccess,
    view: View<'_>,
    limit: Duration,
) -> Result<Vec<Member>, UnhealthyError> {
    let etcd = view.etcds.reader(access);
    let again = |error: &UnhealthyError| {
        let may = !matches!(error, UnhealthyError::Members(error) if !error.is_transient());
        if may {
            view.progress.progress(&format!("waiting for etcd: {error}"));
        }
        may
    };
    let outcome = retry(view.clock, limit, || look(needed, &*etcd), again).await;
    view.progress.progress("");
    outcome
}

async fn look(needed: Needed, etcd: &dyn Etcd) -> Result<Vec<Member>, UnhealthyError> {
    let members = etcd.members().await.map_err(UnhealthyError::Members)?;
    let voters: Vec<&Member> = members.iter().filter(|m| m.started() && !m.learner).collect();
    let asked = voters.iter().filter_map(|m| m.client_urls.first());
    let asked = asked.map(|url| async move { (url, etcd.status(url).await) });
    let failures: Vec<String> = join_all(asked)
        .await
        .into_iter()
        .filter_map(|(url, status)| match status {
            Err(error) => Some(error.to_string()),
            Ok(status) if !status.errors.is_empty() => Some(format!("{url}: {}", status.errors.join(", "))),
            Ok(_) => None,
        })
        .collect();
    let serving = voters.len() - failures.len();
    let enough = match needed {
        Needed::Majority => serving * 2 > voters.len(),
        Needed::All => serving == voters.len(),
    };
    match enough {
        true => Ok(members),
        false => Err(UnhealthyError::TooFew { serving, voters: voters.len(), failures }),
    }
}
