//! A member leaves: its leadership goes to another first, and then the others are told.

use std::time::Duration;

use super::{OwnMember, access_at};
use crate::backoff::retry;
use crate::plan::RemoveEtcdMember;
use crate::ports::{EtcdAccess, EtcdError, Member, Output, View, WriteEtcds};

/// What has to be done so that the members that stay no longer count on this node's. `None` where it is not among them
/// (any more), or where no other has a vote: then etcd ends with this node.
pub fn removal(own: &OwnMember, members: Vec<Member>, limit: Duration) -> Option<RemoveEtcdMember> {
    let (mine, others): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|m| m.peer_urls.iter().any(|url| own.peer_urls.contains(url)));
    let voters = others.into_iter().filter(|m| m.started() && !m.learner);
    let endpoints: Vec<String> = voters.flat_map(|m| m.client_urls).collect();
    let member = mine.into_iter().next().filter(|_| !endpoints.is_empty())?;
    Some(RemoveEtcdMember { member, others: access_at(endpoints, &own.certificates), limit })
}

/// Removes a member through the others. It is tried again while that may help: the others may be electing a leader, or
/// one of them may not run for long enough yet to be counted on.
pub(crate) async fn remove(
    removal: &RemoveEtcdMember,
    etcds: &dyn WriteEtcds,
    view: View<'_>,
    output: &dyn Output,
) -> Result<(), EtcdError> {
    hand_over(removal, etcds).await;
    let others = etcds.writer(&removal.others);
    let again = |error: &EtcdError| {
        if error.is_transient() {
            output.progress(&format!("waiting for etcd to let this node's member go: {error}"));
        }
        error.is_transient()
    };
    let outcome = retry(view.clock, removal.limit, || others.remove(removal.member.id), again).await;
    output.progress("");
    outcome.map(drop)
}

/// Has a leader hand over to another voter that runs, so that requests do not wait for an election. Where that fails, the
/// others elect one.
async fn hand_over(removal: &RemoveEtcdMember, etcds: &dyn WriteEtcds) {
    let Some(endpoint) = removal.member.client_urls.first() else { return };
    let access = EtcdAccess { endpoints: vec![endpoint.clone()], ..removal.others.clone() };
    let own = etcds.writer(&access);
    match own.status(endpoint).await {
        Ok(status) if status.leader == removal.member.id => {}
        _ => return,
    }
    for other in &removal.others.endpoints {
        let Ok(status) = own.status(other).await else { continue };
        match own.move_leader(endpoint, status.member).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, to = other, "the leadership was not handed over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, learner: bool) -> Member {
        let url = |port: u16| vec![format!("https://192.0.2.{id}:{port}")];
        Member { id, name: format!("cp{id}"), peer_urls: url(2380), client_urls: url(2379), learner }
    }

    fn removed(others: Vec<Member>) -> Option<RemoveEtcdMember> {
        let own = OwnMember {
            data_dir: None,
            peer_urls: vec!["https://192.0.2.1:2380".into()],
            client_urls: Vec::new(),
            neighbours: Vec::new(),
            initial_cluster: None,
            certificates: "/pki/etcd".into(),
        };
        removal(&own, others, Duration::ZERO)
    }

    #[test]
    fn only_other_voters_are_asked() {
        let unstarted = Member { name: String::new(), client_urls: Vec::new(), ..member(4, false) };
        let removal = removed(vec![member(1, false), member(2, true), member(3, false), unstarted]).unwrap();
        assert_eq!(removal.member.id, 1);
        assert_eq!(removal.others.endpoints, ["https://192.0.2.3:2379"]);
    }

    #[test]
    fn the_last_voter_and_a_stranger_are_not_removed() {
        assert_eq!(removed(vec![member(1, false)]), None);
        assert_eq!(removed(vec![member(1, false), member(2, true)]), None);
        assert_eq!(removed(vec![member(2, false), member(3, false)]), None);
    }
}
