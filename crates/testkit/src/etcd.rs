//! An etcd cluster in memory: members with and without a vote, a quorum, and etcd's rules for changing them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kubeadm_engine::ports::{
    EndpointFailure, Etcd, EtcdAccess, EtcdError, Etcds, Member, MemberStatus, WriteEtcd, WriteEtcds,
};

/// What the cluster is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdState {
    /// Members.
    pub members: Vec<Member>,
    /// Id of the leader.
    pub leader: u64,
    /// Ids of members that do not run.
    pub down: BTreeSet<u64>,
    /// Version of every member.
    pub version: String,
    /// Size of the database.
    pub db_size: u64,
    /// After how many looks at the members an unstarted one starts; `None` leaves that to the test.
    pub starts_after: Option<usize>,
    /// How often a started learner is still behind.
    pub behind: usize,
    /// Errors of the next calls, each with the call it is for, such as `MemberAdd`.
    pub failures: Vec<(&'static str, EtcdError)>,
    /// How many more times an endpoint does not tell its state.
    pub silent: Option<(String, u32)>,
    /// Every change so far: `add PEER-URL`, `promote ID`, `remove ID`, `move-leader ID`, `snapshot PATH`.
    pub changes: Vec<String>,
    next_id: u64,
}

/// A cluster that is shared by all its clients.
#[derive(Debug, Clone)]
pub struct MemoryEtcd {
    state: Arc<Mutex<EtcdState>>,
}

impl Default for MemoryEtcd {
    /// One member, on the node of [`crate::Machine`].
    fn default() -> Self {
        Self::with(&[("cp1", "192.0.2.10")])
    }
}

impl MemoryEtcd {
    /// A cluster of running voters, given by name and address; the first leads. Their ids count from 1.
    pub fn with(voters: &[(&str, &str)]) -> Self {
        let members: Vec<Member> = voters
            .iter()
            .zip(1..)
            .map(|((name, address), id)| Member {
                id,
                name: (*name).to_owned(),
                peer_urls: vec![format!("https://{address}:2380")],
                client_urls: vec![format!("https://{address}:2379")],
                learner: false,
            })
            .collect();
        let next_id = members.len() as u64 + 1;
        let state = EtcdState {
            members,
            leader: 1,
            down: BTreeSet::new(),
            version: "3.5.9".into(),
            db_size: 1 << 20,
            starts_after: Some(2),
            behind: 0,
            failures: Vec::new(),
            silent: None,
            changes: Vec::new(),
            next_id,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A cluster that is like this one and goes its own way.
    pub fn fork(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.set(|state| state.clone()))) }
    }

    /// Changes what the cluster is like.
    pub fn set<T>(&self, change: impl FnOnce(&mut EtcdState) -> T) -> T {
        change(&mut self.state.lock().expect("no test panics with the lock"))
    }

    /// The members, as name (or peer URL, before the start) and whether they vote.
    pub fn voters(&self) -> Vec<(String, bool)> {
        let named = |m: &Member| if m.started() { m.name.clone() } else { m.peer_urls.concat() };
        self.set(|state| state.members.iter().map(|m| (named(m), !m.learner)).collect())
    }
}

impl EtcdState {
    /// Starts a member that was added.
    pub fn start(&mut self, id: u64, name: &str) {
        if let Some(member) = self.members.iter_mut().find(|m| m.id == id) {
            member.name = name.to_owned();
            member.client_urls = member.peer_urls.iter().map(|url| url.replace(":2380", ":2379")).collect();
        }
    }

    /// Starts a member that was announced for a place, if one was.
    pub(crate) fn start_at(&mut self, peer_url: &str, name: &str) {
        let there = |m: &&Member| !m.started() && m.peer_urls.iter().any(|url| url == peer_url);
        if let Some(id) = self.members.iter().find(there).map(|m| m.id) {
            self.start(id, name);
        }
    }

    fn runs(&self, member: &Member) -> bool {
        member.started() && !self.down.contains(&member.id)
    }

    fn has_quorum(&self) -> bool {
        let voters = || self.members.iter().filter(|m| !m.learner);
        voters().filter(|m| self.runs(m)).count() > voters().count() / 2
    }

    /// The first member that serves at one of the endpoints.
    fn serving(&self, endpoints: &[String]) -> Result<&Member, EtcdError> {
        let at = |endpoint: &String| {
            self.members.iter().find(|m| self.runs(m) && m.client_urls.contains(endpoint))
        };
        let failure = |endpoint: &String| EndpointFailure {
            endpoint: endpoint.clone(),
            reason: "connection refused".into(),
            permanent: false,
        };
        let refused = || EtcdError::Unavailable(endpoints.iter().map(failure).collect());
        endpoints.iter().find_map(at).ok_or_else(refused)
    }

    /// What every call that needs the quorum begins with.
    fn call(&mut self, name: &'static str, endpoints: &[String]) -> Result<(), EtcdError> {
        if let Some(at) = self.failures.iter().position(|(call, _)| *call == name) {
            return Err(self.failures.remove(at).1);
        }
        let endpoint = self.serving(endpoints)?.client_urls.concat();
        if self.has_quorum() {
            return Ok(());
        }
        let reason = "etcdserver: no leader".into();
        Err(EtcdError::Unavailable(vec![EndpointFailure { endpoint, reason, permanent: false }]))
    }
}

impl Etcds for MemoryEtcd {
    fn reader(&self, access: &EtcdAccess) -> Arc<dyn Etcd> {
        Arc::new(Client { etcd: self.clone(), endpoints: access.endpoints.clone() })
    }
}

impl WriteEtcds for MemoryEtcd {
    fn writer(&self, access: &EtcdAccess) -> Arc<dyn WriteEtcd> {
        Arc::new(Client { etcd: self.clone(), endpoints: access.endpoints.clone() })
    }
}

struct Client {
    etcd: MemoryEtcd,
    endpoints: Vec<String>,
}

impl Client {
    fn call<T>(
        &self,
        name: &'static str,
        act: impl FnOnce(&mut EtcdState) -> Result<T, EtcdError>,
    ) -> Result<T, EtcdError> {
        self.etcd.set(|state| {
            state.call(name, &self.endpoints)?;
            act(state)
        })
    }
}

#[async_trait]
impl Etcd for Client {
    async fn members(&self) -> Result<Vec<Member>, EtcdError> {
        // Time passes between two looks, whether or not the quorum is there.
        self.etcd.set(|state| {
            let waiting: Vec<u64> = state.members.iter().filter(|m| !m.started()).map(|m| m.id).collect();
            match state.starts_after {
                Some(0) => waiting.iter().for_each(|id| state.start(*id, &format!("member-{id}"))),
                Some(looks) if !waiting.is_empty() => state.starts_after = Some(looks - 1),
                _ => {}
            }
        });
        self.call("MemberList", |state| Ok(state.members.clone()))
    }

    async fn status(&self, endpoint: &str) -> Result<MemberStatus, EtcdError> {
        self.etcd.set(|state| {
            if let Some(at) = state.failures.iter().position(|(call, _)| *call == "Status") {
                return Err(state.failures.remove(at).1);
            }
            if let Some((silent, times)) = &mut state.silent
                && *silent == endpoint
                && *times > 0
            {
                *times -= 1;
                return Err(EtcdError::Unhealthy("no connection within 2 seconds".into()));
            }
            let member = state.serving(&[endpoint.to_owned()])?;
            let led = state.has_quorum();
            Ok(MemberStatus {
                member: member.id,
                version: state.version.clone(),
                db_size: state.db_size,
                leader: if led { state.leader } else { 0 },
                learner: member.learner,
                raft_index: 100,
                raft_applied_index: 100,
                errors: if led { Vec::new() } else { vec!["etcdserver: no leader".into()] },
            })
        })
    }
}

#[async_trait]
impl WriteEtcd for Client {
    async fn add_learner(&self, peer_url: &str) -> Result<(Member, Vec<Member>), EtcdError> {
        self.call("MemberAdd", |state| {
            if state.members.iter().any(|m| m.peer_urls.iter().any(|url| url == peer_url)) {
                return Err(EtcdError::PeerUrlExists);
            }
            if state.members.iter().any(|m| m.learner) {
                return Err(EtcdError::TooManyLearners);
            }
            let member = Member {
                id: state.next_id,
                name: String::new(),
                peer_urls: vec![peer_url.to_owned()],
                client_urls: Vec::new(),
                learner: true,
            };
            state.next_id += 1;
            state.members.push(member.clone());
            state.changes.push(format!("add {peer_url}"));
            Ok((member, state.members.clone()))
        })
    }

    async fn promote(&self, id: u64) -> Result<(), EtcdError> {
        self.call("MemberPromote", |state| {
            let Some(at) = state.members.iter().position(|m| m.id == id) else {
                return Err(EtcdError::MemberNotFound);
            };
            if !state.members[at].learner {
                return Err(EtcdError::NotLearner);
            }
            if !state.runs(&state.members[at]) {
                return Err(EtcdError::NotInSync);
            }
            if state.behind > 0 {
                state.behind -= 1;
                return Err(EtcdError::NotInSync);
            }
            state.members[at].learner = false;
            state.changes.push(format!("promote {id}"));
            Ok(())
        })
    }

    async fn remove(&self, id: u64) -> Result<bool, EtcdError> {
        self.call("MemberRemove", |state| {
            let Some(at) = state.members.iter().position(|m| m.id == id) else { return Ok(false) };
            state.members.remove(at);
            if state.leader == id {
                state.leader = state.members.iter().find(|m| !m.learner && state.runs(m)).map_or(0, |m| m.id);
            }
            state.changes.push(format!("remove {id}"));
            Ok(true)
        })
    }

    async fn move_leader(&self, endpoint: &str, to: u64) -> Result<(), EtcdError> {
        self.call("MoveLeader", |state| {
            if state.serving(&[endpoint.to_owned()])?.id != state.leader {
                return Err(EtcdError::NotLeader);
            }
            state.leader = to;
            state.changes.push(format!("move-leader {to}"));
            Ok(())
        })
    }

    async fn snapshot(&self, endpoint: &str, to: &Path) -> Result<u64, EtcdError> {
        self.call("Snapshot", |state| {
            state.serving(&[endpoint.to_owned()])?;
            state.changes.push(format!("snapshot {}", to.display()));
            Ok(state.db_size + 32)
        })
    }
}

/// Access to a cluster in memory by the addresses of its members.
pub fn etcd_access(addresses: &[&str]) -> EtcdAccess {
    let pki = |name: &str| Some(PathBuf::from("/etc/kubernetes/pki/etcd").join(name));
    EtcdAccess {
        endpoints: addresses.iter().map(|a| format!("https://{a}:2379")).collect(),
        ca: pki("ca.crt"),
        certificate: pki("healthcheck-client.crt"),
        key: pki("healthcheck-client.key"),
    }
}
