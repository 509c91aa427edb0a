//! etcd, over gRPC: each call goes to the endpoints in turn until one serves it.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::HttpsConnector;
use kubeadm_engine::ports::{
    EndpointFailure, Etcd, EtcdAccess, EtcdError, Etcds, Member, MemberStatus, WriteEtcd, WriteEtcds,
};
use kubeadm_rpc::etcd;
use kubeadm_rpc::etcd::cluster_client::ClusterClient;
use kubeadm_rpc::etcd::maintenance_client::MaintenanceClient;
use rustls::ClientConfig;
use tokio::time::error::Elapsed;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::connect::{Dialer, cause, is_distrust, layers};
use crate::files::words;
use crate::snapshot::Snapshot;
use crate::tls;

/// Limit for connecting, the handshake included (upstream's `etcdTimeout`).
const DIAL_LIMIT: Duration = Duration::from_secs(2);
/// Limit of one call, so that an endpoint that keeps silent does not hold up the next.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Limit for one piece of a snapshot.
const PIECE_LIMIT: Duration = Duration::from_secs(30);

/// Has a member without a leader say so at once. api/v3rpc/rpctypes/metadatafields.go.
const REQUIRE_LEADER: (&str, &str) = ("hasleader", "true");

/// Clients of etcd. Each reads its files anew, so that one made after certificates were renewed uses those.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostEtcds;

impl Etcds for HostEtcds {
    fn reader(&self, access: &EtcdAccess) -> Arc<dyn Etcd> {
        Arc::new(Client::new(access))
    }
}

impl WriteEtcds for HostEtcds {
    fn writer(&self, access: &EtcdAccess) -> Arc<dyn WriteEtcd> {
        Arc::new(Client::new(access))
    }
}

struct Client {
    access: EtcdAccess,
    /// The channel of each endpoint that was asked.
    channels: Mutex<HashMap<String, Channel>>,
    /// Which endpoint served last: the next call begins there.
    served: AtomicUsize,
}

impl Client {
    fn new(access: &EtcdAccess) -> Self {
        Self { access: access.clone(), channels: Mutex::default(), served: AtomicUsize::new(0) }
    }

    /// A channel to an endpoint, which connects at its first use and again when the connection broke.
    fn channel(&self, endpoint: &str) -> Result<Channel, EtcdError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(endpoint) {
            return Ok(channel.clone());
        }
        let permanent = |reason: String| unavailable(endpoint, reason, true);
        let target = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|e| permanent(format!("not a URL: {e}")))?
            .connect_timeout(DIAL_LIMIT);
        let trust = match target.uri().scheme_str() {
            Some("https") => self.trust()?,
            Some("http") => tls::unverified().map_err(|e| permanent(words(&e)))?,
            _ => return Err(permanent("not a URL that begins with https:// or http://".into())),
        };
        // Members are peers of this node: no proxy.
        let connector = HttpsConnector::from((Dialer::default(), trust));
        let channel = target.connect_with_connector_lazy(connector);
        channels.insert(endpoint.to_owned(), channel.clone());
        Ok(channel)
    }

    fn trust(&self) -> Result<ClientConfig, EtcdError> {
        let EtcdAccess { ca, certificate, key, .. } = &self.access;
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| EtcdError::Access { path: path.to_owned(), reason: words(&e) })
        };
        let bad = |path: &Path, reason: String| EtcdError::Access { path: path.to_owned(), reason };
        let roots = ca.as_deref().map(read).transpose()?;
        let trusting = tls::mutual(roots.as_deref(), None)
            .map_err(|e| bad(ca.as_deref().unwrap_or(Path::new("")), words(&e)))?;
        let mut config = match (certificate, key) {
            (None, None) => trusting,
            (Some(certificate), Some(key)) => {
                let pair = (read(certificate)?, read(key)?);
                tls::certificates(&pair.0).map_err(|e| bad(certificate, words(&e)))?;
                tls::mutual(roots.as_deref(), Some((&pair.0, &pair.1))).map_err(|e| bad(key, words(&e)))?
            }
            (Some(path), None) => return Err(bad(path, "its key is not given".into())),
            (None, Some(path)) => return Err(bad(path, "its certificate is not given".into())),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// The answer of one endpoint.
    async fn at<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        endpoint: &str,
        call: &'static str,
        limit: Duration,
        ask: impl FnOnce(Channel) -> F,
    ) -> Result<T, EtcdError> {
        let channel = self.channel(endpoint)?;
        let answer = match tokio::time::timeout(limit, ask(channel)).await {
            Ok(answer) => answer.map(Response::into_inner).map_err(|status| failure(endpoint, call, &status)),
            Err(_) => {
                let reason = format!("{call} was not answered within {} seconds", limit.as_secs());
                Err(unavailable(endpoint, reason, false))
            }
        };
        match &answer {
            Ok(_) => tracing::trace!("etcd {call} at {endpoint}"),
            Err(error) => tracing::trace!("etcd {call} at {endpoint}: {error}"),
        }
        answer
    }

    /// The answer of the first endpoint that serves the call.
    async fn anywhere<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        call: &'static str,
        ask: impl Fn(ClusterClient<Channel>) -> F,
    ) -> Result<T, EtcdError> {
        let endpoints = &self.access.endpoints;
        let first = self.served.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for turn in 0..endpoints.len() {
            let index = (first + turn) % endpoints.len();
            match self
                .at(&endpoints[index], call, CALL_LIMIT, |channel| ask(ClusterClient::new(channel)))
                .await
            {
                Err(EtcdError::Unavailable(more)) => failures.extend(more),
                answer => {
                    self.served.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(EtcdError::Unavailable(failures))
    }
}

fn unavailable(endpoint: &str, reason: String, permanent: bool) -> EtcdError {
    EtcdError::Unavailable(vec![EndpointFailure { endpoint: endpoint.to_owned(), reason, permanent }])
}

/// A request that a member without a leader refuses.
fn led<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let (name, value) = REQUIRE_LEADER;
    request.metadata_mut().insert(name, tonic::metadata::MetadataValue::from_static(value));
    request
}

/// What a failed call means. etcd's words: api/v3rpc/rpctypes/error.go.
fn failure(endpoint: &str, call: &'static str, status: &Status) -> EtcdError {
    if let Some(source) = std::error::Error::source(status) {
        let (mut reason, _) = cause(source);
        // The channel keeps no more than a timer's words of it.
        if layers(source).any(|layer| layer.is::<Elapsed>()) {
            reason = format!("no connection within {} seconds", DIAL_LIMIT.as_secs());
        }
        let permanent = is_distrust(source);
        return unavailable(endpoint, reason, permanent);
    }
    let message = status.message();
    match message.strip_prefix("etcdserver: ").unwrap_or(message) {
        "too many learner members in cluster" => EtcdError::TooManyLearners,
        "Peer URLs already exists" | "peerURL exists" => EtcdError::PeerUrlExists,
        "member not found" => EtcdError::MemberNotFound,
        "can only promote a learner member" => EtcdError::NotLearner,
        "can only promote a learner member which is in sync with leader" => EtcdError::NotInSync,
        "re-configuration failed due to not enough started members" | "unhealthy cluster" => {
            EtcdError::Unhealthy(message.to_owned())
        }
        "not leader" => EtcdError::NotLeader,
        "too many requests" => unavailable(endpoint, message.to_owned(), false),
        _ if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) => {
            unavailable(endpoint, message.to_owned(), false)
        }
        _ => EtcdError::Refused { call, message: message.to_owned() },
    }
}

fn member(member: etcd::Member) -> Member {
    let etcd::Member { id, name, peer_urls, client_urls, is_learner } = member;
    Member { id, name, peer_urls, client_urls, learner: is_learner }
}

fn members(members: Vec<etcd::Member>) -> Vec<Member> {
    members.into_iter().map(member).collect()
}

#[async_trait]
impl Etcd for Client {
    async fn members(&self) -> Result<Vec<Member>, EtcdError> {
        let ask = |mut client: ClusterClient<Channel>| async move {
            client.member_list(led(etcd::MemberListRequest { linearizable: true })).await
        };
        Ok(members(self.anywhere("MemberList", ask).await?.members))
    }

    async fn status(&self, endpoint: &str) -> Result<MemberStatus, EtcdError> {
        let ask =
            |channel| async move { MaintenanceClient::new(channel).status(etcd::StatusRequest {}).await };
        let answer = self.at(endpoint, "Status", CALL_LIMIT, ask).await?;
        Ok(MemberStatus {
            member: answer.header.unwrap_or_default().member_id,
            version: answer.version,
            db_size: answer.db_size.try_into().unwrap_or_default(),
            leader: answer.leader,
            learner: answer.is_learner,
            raft_index: answer.raft_index,
            raft_applied_index: answer.raft_applied_index,
            errors: answer.errors,
        })
    }
}

#[async_trait]
impl WriteEtcd for Client {
    async fn add_learner(&self, peer_url: &str) -> Result<(Member, Vec<Member>), EtcdError> {
        let ask = |mut client: ClusterClient<Channel>| async move {
            let request = etcd::MemberAddRequest { peer_urls: vec![peer_url.to_owned()], is_learner: true };
            client.member_add(led(request)).await
        };
        let answer = self.anywhere("MemberAdd", ask).await?;
        Ok((member(answer.member.unwrap_or_default()), members(answer.members)))
    }

    async fn promote(&self, id: u64) -> Result<(), EtcdError> {
        let ask = |mut client: ClusterClient<Channel>| async move {
            client.member_promote(led(etcd::MemberPromoteRequest { id })).await
        };
        self.anywhere("MemberPromote", ask).await.map(drop)
    }

    async fn remove(&self, id: u64) -> Result<bool, EtcdError> {
        let ask = |mut client: ClusterClient<Channel>| async move {
            client.member_remove(led(etcd::MemberRemoveRequest { id })).await
        };
        match self.anywhere("MemberRemove", ask).await {
            Ok(_) => Ok(true),
            Err(EtcdError::MemberNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn move_leader(&self, endpoint: &str, to: u64) -> Result<(), EtcdError> {
        let ask = |channel| async move {
            MaintenanceClient::new(channel).move_leader(etcd::MoveLeaderRequest { target_id: to }).await
        };
        self.at(endpoint, "MoveLeader", CALL_LIMIT, ask).await.map(drop)
    }

    async fn snapshot(&self, endpoint: &str, to: &Path) -> Result<u64, EtcdError> {
        let expected = self.status(endpoint).await?.db_size;
        let failed = |reason: String| EtcdError::Snapshot { path: to.to_owned(), reason };
        let mut file = Snapshot::begin(to, expected).map_err(failed)?;
        let ask =
            |channel| async move { MaintenanceClient::new(channel).snapshot(etcd::SnapshotRequest {}).await };
        let mut stream = self.at(endpoint, "Snapshot", PIECE_LIMIT, ask).await?;
        loop {
            let Ok(piece) = tokio::time::timeout(PIECE_LIMIT, stream.message()).await else {
                let seconds = PIECE_LIMIT.as_secs();
                return Err(failed(format!("{endpoint} sent nothing more for {seconds} seconds")));
            };
            match piece {
                Ok(Some(piece)) => file.add(&piece.blob).map_err(failed)?,
                Ok(None) => return file.finish().map_err(failed),
                Err(status) => return Err(failed(failure(endpoint, "Snapshot", &status).to_string())),
            }
        }
    }
}
