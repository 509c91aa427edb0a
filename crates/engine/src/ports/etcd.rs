//! etcd: its members, their health, and the few things kubeadm changes there.
//!
//! A client makes no second try of its own, apart from asking the next endpoint where one does not serve; how long
//! something is worth trying is the engine's to decide ([`EtcdError::is_transient`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

/// How members are reached: any of the endpoints, with these files for TLS (none of them: plain HTTP).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EtcdAccess {
    /// `https://10.0.0.1:2379`. They are asked in this order.
    pub endpoints: Vec<String>,
    /// Who signed the members' serving certificates.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id, which people see in hexadecimal ([`Member::hex`]).
    pub id: u64,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; none until it has started for the first time.
    pub client_urls: Vec<String>,
    /// Whether it only follows, without a vote.
    pub learner: bool,
}

impl Member {
    /// Whether it has ever started.
    pub fn started(&self) -> bool {
        !self.name.is_empty()
    }

    /// The id as etcd's own tools print it.
    pub fn hex(&self) -> String {
        format!("{:x}", self.id)
    }
}

/// What a member says of itself and of the cluster as it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberStatus {
    /// Its id.
    pub member: u64,
    /// Version of etcd, `3.5.9`.
    pub version: String,
    /// Size of its database on disk, in bytes.
    pub db_size: u64,
    /// Id of the leader it follows; 0 if it knows none.
    pub leader: u64,
    /// Whether it is a learner.
    pub learner: bool,
    /// The last entry of the log that it knows to be agreed on.
    pub raft_index: u64,
    /// The last entry it has applied; 0 before etcd 3.4.
    pub raft_applied_index: u64,
    /// Alarms and the lack of a leader, in etcd's words. Always empty before etcd 3.4.
    pub errors: Vec<String>,
}

/// Why one endpoint did not serve a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFailure {
    /// The endpoint.
    pub endpoint: String,
    /// The system's words, or etcd's.
    pub reason: String,
    /// Whether time will not cure it: the two sides do not accept each other's certificates, or it is no URL.
    pub permanent: bool,
}

impl fmt::Display for EndpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.reason)
    }
}

fn joined(failures: &[EndpointFailure]) -> String {
    failures.iter().map(EndpointFailure::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a call to etcd failed. etcd's words: api/v3rpc/rpctypes/error.go.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum EtcdError {
    /// No endpoint served the call. One refused the connection, did not answer in time, showed the wrong certificate; or
    /// it answered that it cannot serve at the moment, for want of a leader or because it is a learner.
    #[error("etcd does not serve: {}", joined(.0))]
    Unavailable(Vec<EndpointFailure>),
    /// A file that access needs is missing or of no use.
    #[error("cannot use {} for the connection to etcd: {reason}", path.display())]
    Access {
        /// CA, certificate or key.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// etcd takes one learner at a time, and there is one already.
    #[error("etcd has a learner already and takes one at a time")]
    TooManyLearners,
    /// A member with this peer URL is there.
    #[error("etcd has a member with this peer URL already")]
    PeerUrlExists,
    /// No member has this id.
    #[error("etcd has no member with this id")]
    MemberNotFound,
    /// The member votes already.
    #[error("the etcd member is not a learner")]
    NotLearner,
    /// The learner has not caught up with the leader yet.
    #[error("the etcd learner has not caught up with the leader yet")]
    NotInSync,
    /// The change is refused because too few members run, or one of them does not for long enough yet.
    #[error("etcd does not change its members while some do not run: {0}")]
    Unhealthy(String),
    /// The member that was asked to hand over the leadership does not have it.
    #[error("the etcd member is not the leader")]
    NotLeader,
    /// Any other refusal.
    #[error("{call}: {message}")]
    Refused {
        /// `MemberAdd`, …
        call: &'static str,
        /// etcd's words.
        message: String,
    },
    /// A snapshot that could not be taken, or that is not what etcd sent.
    #[error("cannot save a snapshot of etcd to {}: {reason}", path.display())]
    Snapshot {
        /// The file it should have become.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl EtcdError {
    /// Whether trying again may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(failures) => failures.iter().any(|f| !f.permanent),
            Self::TooManyLearners | Self::NotInSync | Self::Unhealthy(_) | Self::NotLeader => true,
            Self::Access { .. }
            | Self::PeerUrlExists
            | Self::MemberNotFound
            | Self::NotLearner
            | Self::Refused { .. }
            | Self::Snapshot { .. } => false,
        }
    }
}

/// Looks at etcd.
#[async_trait]
pub trait Etcd: Send + Sync {
    /// All members, as the quorum knows them. Before etcd 3.5: as the member asked knows them.
    async fn members(&self) -> Result<Vec<Member>, EtcdError>;
    /// What the member at one endpoint says of itself. It needs no quorum.
    async fn status(&self, endpoint: &str) -> Result<MemberStatus, EtcdError>;
}

/// Changes etcd's members, and takes snapshots.
#[async_trait]
pub trait WriteEtcd: Etcd {
    /// Adds a member without a vote; returns it, and all members with it. etcd before 3.4 knows no learners and adds
    /// a voter: `learner` of the member tells.
    async fn add_learner(&self, peer_url: &str) -> Result<(Member, Vec<Member>), EtcdError>;
    /// Gives a learner its vote.
    async fn promote(&self, id: u64) -> Result<(), EtcdError>;
    /// Removes a member; `false` if it was not there.
    async fn remove(&self, id: u64) -> Result<bool, EtcdError>;
    /// Has the leader, which serves at `endpoint`, hand over to another voter.
    async fn move_leader(&self, endpoint: &str, to: u64) -> Result<(), EtcdError>;
    /// Saves a snapshot of the member at `endpoint`, checked, with mode 0600; a missing directory is made with 0700.
    /// Returns its size.
    async fn snapshot(&self, endpoint: &str, to: &Path) -> Result<u64, EtcdError>;
}

/// Opens clients that only read. Nothing is read or connected before the first call.
pub trait Etcds: Send + Sync {
    /// A client that only reads.
    fn reader(&self, access: &EtcdAccess) -> Arc<dyn Etcd>;
}

/// Opens clients that also write.
pub trait WriteEtcds: Etcds {
    /// A client that also writes.
    fn writer(&self, access: &EtcdAccess) -> Arc<dyn WriteEtcd>;
}
