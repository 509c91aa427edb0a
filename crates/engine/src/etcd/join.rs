//! A member joins: announced as one without a vote, started by the kubelet from its manifest, and given its vote once it
//! has caught up. cmd/kubeadm/app/phases/etcd/local.go: CreateStackedEtcdStaticPodManifestFile, 1.37.
//!
//! A run that fails takes back what it announced, so that others are not kept from joining; one that was killed, at that
//! too, is continued by the next (Q13 and Q14 of the original).

use std::path::PathBuf;
use std::time::Duration;

use futures::future::{Either, select};

use crate::backoff::{Backoff, retry};
use crate::diagnose::Watch;
use crate::plan::JoinEtcd;
use crate::ports::*;
use crate::queue::Queue;
use crate::restart;
use crate::static_pods;
use crate::wait::WaitError;

/// Why this node is no member of etcd.
#[derive(Debug, thiserror::Error)]
pub enum JoinEtcdError {
    /// etcd refused, or did not answer.
    #[error("unable to {doing}: {source}")]
    Etcd {
        /// What was asked for.
        doing: &'static str,
        /// The answer.
        source: EtcdError,
    },
    /// The data of a member that is none any more: etcd would not start with them.
    #[error(
        "{} holds the data of an etcd that is no member of this cluster (any more): expected an empty directory; run \
         `kubeadm reset` to remove what an earlier life of this node left",
        .0.display()
    )]
    OtherData(PathBuf),
    /// Another node has begun to join and does not end.
    #[error(
        "etcd takes one new member at a time, and the member {id} at {} has been joining all the while: run join again on \
         that machine, or remove it with `etcdctl member remove {id}` on a control-plane node",
        urls.join(", ")
    )]
    Another {
        /// Its id.
        id: String,
        /// Where it would be reached.
        urls: Vec<String>,
    },
    /// It was removed by somebody else.
    #[error("the etcd member of this node was removed while it was joining; run join again")]
    Removed,
    /// An earlier run was killed while it took its member back, and that cannot be finished.
    #[error("unable to take back the etcd member of an earlier run: {0}; run join again once that is cured")]
    NotTakenBack(String),
    /// It does not start.
    #[error(transparent)]
    NotStarted(Box<WaitError>),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What joining needs.
pub(crate) struct Joining<'a> {
    pub etcd: &'a dyn WriteEtcd,
    pub files: &'a dyn WriteFiles,
    pub runtime: &'a dyn WriteRuntime,
    pub view: View<'a>,
    pub output: &'a dyn Output,
    pub queue: &'a Queue,
    pub api: &'a dyn WriteApi,
}

/// How this node's member was found or made.
struct Announced {
    member: Member,
    /// All members, this one included.
    all: Vec<Member>,
    /// Whether it has no data yet: then it can be taken back.
    fresh: bool,
}

/// Makes this node a member.
pub(crate) async fn join(wanted: &JoinEtcd, joining: Joining<'_>) -> Result<(), JoinEtcdError> {
    joining.finish_taking_back(wanted).await?;
    let words = "[etcd] Announced new etcd member joining to the existing etcd cluster";
    let announced = joining.announce(wanted, words).await?;
    let outcome = joining.start(wanted, &announced).await;
    joining.output.progress("");
    if outcome.is_err() && announced.fresh {
        joining.take_back(wanted, &announced.member).await;
    }
    outcome
}

/// Makes it one as far as that goes where no member starts: in a dry run, over its ports.
pub(crate) async fn rehearse(wanted: &JoinEtcd, joining: Joining<'_>) -> Result<(), JoinEtcdError> {
    let words = format!("[etcd] Would add etcd member: {}", wanted.peer_url);
    let announced = joining.announce(wanted, &words).await?;
    joining.write_manifest(wanted, &announced)?;
    joining.output.say("[etcd] Would wait for the new etcd member to join the cluster");
    Ok(())
}

impl Joining<'_> {
    /// The members, and this node's own among them.
    async fn members(&self, wanted: &JoinEtcd) -> Result<(Vec<Member>, Option<Member>), JoinEtcdError> {
        let all = self.tried(wanted, "list the members of etcd", || self.etcd.members()).await?;
        let own = all.iter().find(|m| m.peer_urls.contains(&wanted.peer_url)).cloned();
        Ok((all, own))
    }

    /// Whether an earlier run was killed while it took its member back: then the data are of no use.
    fn given_up(&self, wanted: &JoinEtcd) -> bool {
        self.view.files.exists(&wanted.data_dir.join(GIVEN_UP))
    }

    async fn finish_taking_back(&self, wanted: &JoinEtcd) -> Result<(), JoinEtcdError> {
        if !self.given_up(wanted) {
            return Ok(());
        }
        let (_, own) = self.members(wanted).await?;
        self.output
            .say("[etcd] Taking back the new etcd member of an earlier run, which was interrupted at that");
        self.undo(wanted, own.map(|m| m.id)).await.map_err(JoinEtcdError::NotTakenBack)
    }

    /// Finds this node's member, or adds it, of which the words tell.
    async fn announce(&self, wanted: &JoinEtcd, words: &str) -> Result<Announced, JoinEtcdError> {
        let (all, own) = self.members(wanted).await?;
        let empty =
            self.given_up(wanted) || self.files.list(&wanted.data_dir)?.unwrap_or_default().is_empty();
        match own {
            None if !empty => return Err(JoinEtcdError::OtherData(wanted.data_dir.clone())),
            None => {}
            Some(member) if member.started() && empty => {
                // It voted in an earlier life of this node; without its data it would be believed what it does not know.
                let text = format!(
                    "[etcd] Removing the member {} that an earlier life of this node left",
                    member.hex()
                );
                self.output.say(&text);
                self.tried(wanted, "remove the stale etcd member of this node", || {
                    self.etcd.remove(member.id)
                })
                .await?;
            }
            Some(member) => return Ok(Announced { fresh: !member.started(), member, all }),
        }
        let add = || self.etcd.add_learner(&wanted.peer_url);
        let (member, all) = match self.tried(wanted, "add this node's member to etcd", add).await {
            Err(JoinEtcdError::Etcd { doing, source: EtcdError::TooManyLearners }) => {
                let members = self.etcd.members().await.unwrap_or_default();
                let learner = members.into_iter().find(|m| m.learner);
                let unknown = JoinEtcdError::Etcd { doing, source: EtcdError::TooManyLearners };
                return Err(
                    learner.map_or(unknown, |m| JoinEtcdError::Another { id: m.hex(), urls: m.peer_urls })
                );
            }
            outcome => outcome?,
        };
        self.output.say(words);
        Ok(Announced { member, all, fresh: true })
    }

    fn write_manifest(&self, wanted: &JoinEtcd, announced: &Announced) -> Result<(), FileError> {
        self.output.say("[etcd] Creating static Pod manifest for \"etcd\"");
        self.files.write_changed(&[&manifest(wanted, &announced.all)])
    }

    async fn start(&self, wanted: &JoinEtcd, announced: &Announced) -> Result<(), JoinEtcdError> {
        self.write_manifest(wanted, announced)?;
        let limit = kubeadm_config::duration::GoDuration::from(wanted.limit);
        self.output.say(&format!(
            "[etcd] Waiting for the new etcd member to join the cluster. This can take up to {limit}"
        ));
        let id = announced.member.id;
        if self.started(wanted, id).await?.learner {
            self.settle(wanted).await?;
            let promote = || async {
                match self.etcd.promote(id).await {
                    Err(EtcdError::NotLearner) => Ok(()),
                    outcome => outcome,
                }
            };
            self.tried(wanted, "give this node's etcd member its vote", promote).await?;
        }
        self.tried(wanted, "see this node's etcd member serve", || self.serves(wanted)).await
    }

    /// Waits until the member has started, and tells at once why it cannot.
    async fn started(&self, wanted: &JoinEtcd, id: u64) -> Result<Member, JoinEtcdError> {
        let clock = self.view.clock;
        let pods = static_pods::read(self.view, std::slice::from_ref(&wanted.manifest.path));
        let mut watch = Watch::default();
        let mut tries = Backoff::between(Duration::from_millis(25), Duration::from_millis(200), clock);
        let mut next_look = LOOK;
        loop {
            let last = match self.etcd.members().await {
                Ok(members) => match members.into_iter().find(|m| m.id == id) {
                    Some(member) if member.started() => return Ok(member),
                    Some(_) => "it has not started".to_owned(),
                    None => return Err(JoinEtcdError::Removed),
                },
                Err(error) if error.is_transient() => error.to_string(),
                Err(source) => {
                    return Err(JoinEtcdError::Etcd { doing: "list the members of etcd", source });
                }
            };
            let waited = tries.waited();
            let late = waited >= wanted.limit;
            if late || waited >= next_look {
                let look = watch.look(self.view, &pods, &["etcd"], waited, late).await;
                self.output.progress(&look.progress);
                if late || !look.findings.is_empty() {
                    let failures = vec![format!("the etcd member of this node: {last}")];
                    let socket = self.view.runtime.socket().to_owned();
                    let findings = look.findings;
                    return Err(JoinEtcdError::NotStarted(Box::new(WaitError::ControlPlane {
                        failures,
                        findings,
                        socket,
                    })));
                }
                self.queue.renew(self.api, clock).await;
                next_look = waited + LOOK;
            }
            self.view.runtime.changed(tries.next()).await;
        }
    }

    /// Waits until the new member answers, before anybody counts on it.
    ///
    /// It answers once it has read back its own name. Where that reached it within the first snapshot it never does, and
    /// tries again only after 7 seconds (server/etcdserver/server.go: publishV3, 3.4 to 3.7). Made anew, it has the
    /// snapshot already; as long as it has no vote that disturbs nobody.
    async fn settle(&self, wanted: &JoinEtcd) -> Result<(), JoinEtcdError> {
        let clock = self.view.clock;
        let mut tries = Backoff::between(Duration::from_millis(25), Duration::from_millis(200), clock);
        while tries.waited() < SETTLE {
            let asked = self.etcd.status(&wanted.client_url);
            match select(asked, clock.pause(SETTLE)).await {
                Either::Left((Ok(_), _)) => return Ok(()),
                Either::Left((Err(_), _)) => tries.pause().await,
                Either::Right(_) => break,
            }
        }
        tracing::debug!("the new etcd member does not answer: its container is made anew");
        if let Err(error) = restart::stop("etcd", self.runtime).await {
            tracing::debug!(%error, "it could not be stopped, and is waited for");
        }
        self.tried(wanted, "see this node's etcd member answer", || self.etcd.status(&wanted.client_url))
            .await?;
        Ok(())
    }

    /// Whether this node's own member follows a leader, with a vote.
    async fn serves(&self, wanted: &JoinEtcd) -> Result<(), EtcdError> {
        let status = self.etcd.status(&wanted.client_url).await?;
        if status.learner {
            return Err(EtcdError::NotInSync);
        }
        match (status.leader, status.errors.first()) {
            (0, _) => Err(EtcdError::Unhealthy("it knows no leader".into())),
            (_, Some(error)) => Err(EtcdError::Unhealthy(error.clone())),
            (_, None) => Ok(()),
        }
    }

    /// Asks again while that may help and the limit lasts.
    async fn tried<T, F: Future<Output = Result<T, EtcdError>>>(
        &self,
        wanted: &JoinEtcd,
        doing: &'static str,
        ask: impl Fn() -> F,
    ) -> Result<T, JoinEtcdError> {
        let ask = || async {
            self.queue.renew(self.api, self.view.clock).await;
            ask().await
        };
        let again = |error: &EtcdError| {
            if error.is_transient() {
                self.output.progress(&format!("waiting to {doing}: {error}"));
            }
            error.is_transient()
        };
        let outcome = retry(self.view.clock, wanted.limit, ask, again).await;
        outcome.map_err(|source| JoinEtcdError::Etcd { doing, source })
    }

    /// Leaves etcd as it was before: a member that never votes would keep all others from joining.
    async fn take_back(&self, wanted: &JoinEtcd, member: &Member) {
        let path = wanted.data_dir.join(GIVEN_UP);
        let mark = NewFile { path, content: Vec::new(), mode: 0o600, secret: false };
        if let Err(error) = self.files.write(&mark) {
            tracing::debug!(%error, "a run that is killed now leaves data that the next does not know");
        }
        match self.undo(wanted, Some(member.id)).await {
            Ok(()) => self.output.say("[etcd] Took back the new etcd member, since it could not join"),
            Err(reason) => self.output.warn(&format!(
                "[etcd] the new etcd member {id} could not join and could not be taken back ({reason}): run join again, or \
                 remove it with `etcdctl member remove {id}` on another control-plane node",
                id = member.hex()
            )),
        }
    }

    /// Removes the member, its pod and its data.
    async fn undo(&self, wanted: &JoinEtcd, member: Option<u64>) -> Result<(), String> {
        let words = |error: FileError| error.to_string();
        self.files.remove(&wanted.manifest.path).map_err(words)?;
        if let Some(id) = member {
            self.etcd.remove(id).await.map_err(|e| e.to_string())?;
        }
        self.gone().await?;
        let mut names = self.files.list(&wanted.data_dir).map_err(words)?.unwrap_or_default();
        // The mark goes last.
        names.sort_by_key(|name| name == GIVEN_UP);
        names.iter().try_for_each(|name| self.files.remove(&wanted.data_dir.join(name)).map_err(words))
    }

    /// Waits until no container of etcd runs any more: the kubelet ends it once its manifest is gone.
    async fn gone(&self) -> Result<(), String> {
        let mut tries = Backoff::start(self.view.clock);
        loop {
            let containers = self.view.runtime.containers().await.map_err(|e| e.to_string())?;
            if !containers.iter().any(|c| c.name == "etcd" && c.state == ContainerState::Running) {
                return Ok(());
            }
            if tries.waited() >= GRACE {
                return Err("its container still runs".into());
            }
            tries.pause().await;
        }
    }
}

/// Lies beside the data of a member that is taken back, as long as that lasts: it tells the next run that they are of no
/// use. etcd does not mind a file that it does not know.
pub(crate) const GIVEN_UP: &str = "given-up-by-kubeadm";

/// How often it is looked whether the kubelet and the container are well.
const LOOK: Duration = Duration::from_secs(1);
/// How long a member that has started may take to answer; one that does not wait for itself needs a fifth of it.
const SETTLE: Duration = Duration::from_millis(500);
/// What the kubelet gives a pod to end.
const GRACE: Duration = Duration::from_secs(40);

/// `NAME=PEER-URL,…` of all members, this node's with its name; one that has not started goes by its id.
pub fn initial_cluster(members: &[Member], name: &str, peer_url: &str) -> String {
    let others = members.iter().filter(|m| !m.peer_urls.iter().any(|url| url == peer_url));
    let mut entries: Vec<String> = others
        .flat_map(|m| {
            let name = if m.started() { m.name.clone() } else { m.hex() };
            m.peer_urls.iter().map(move |url| format!("{name}={url}"))
        })
        .collect();
    entries.push(format!("{name}={peer_url}"));
    entries.join(",")
}

/// The manifest as planned, with the members as they are now: another may have joined since it was planned.
fn manifest(wanted: &JoinEtcd, members: &[Member]) -> NewFile {
    let Some(planned) = &wanted.initial_cluster else { return wanted.manifest.clone() };
    let now = initial_cluster(members, &wanted.name, &wanted.peer_url);
    let text = String::from_utf8_lossy(&wanted.manifest.content);
    let flag = |members: &str| format!("--initial-cluster={members}");
    let content = text.replace(&flag(planned), &flag(&now)).into_bytes();
    NewFile { content, ..wanted.manifest.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_by_name_or_id_and_this_node_last() {
        let member = |id: u64, name: &str| Member {
            id,
            name: name.into(),
            peer_urls: vec![format!("https://192.0.2.{id}:2380")],
            client_urls: Vec::new(),
            learner: false,
        };
        let members = [member(12, ""), member(2, "cp2"), member(1, "cp1")];
        assert_eq!(
            initial_cluster(&members, "cp2", "https://192.0.2.2:2380"),
            "c=https://192.0.2.12:2380,cp1=https://192.0.2.1:2380,cp2=https://192.0.2.2:2380"
        );
    }
}
