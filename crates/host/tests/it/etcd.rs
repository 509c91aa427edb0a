//! The etcd client against members that speak gRPC over TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::{BoxStream, iter};
use kubeadm_engine::ports::{EtcdAccess, EtcdError, Etcds, WriteEtcds};
use kubeadm_host::etcd::HostEtcds;
use kubeadm_pki::{
    CertForm, Certificate, CertificateRequest, KeyAlgorithm, PrivateKey, Usage, Validity, issue,
    self_signed_ca,
};
use kubeadm_rpc::etcd;
use kubeadm_rpc::etcd::cluster_server::{Cluster, ClusterServer};
use kubeadm_rpc::etcd::maintenance_server::{Maintenance, MaintenanceServer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status};

// --- authorities ------------------------------------------------------------------------------------------------

/// A certificate authority in a folder of its own.
struct Pki {
    dir: tempfile::TempDir,
    ca: Certificate,
    key: PrivateKey,
}

const FORM: CertForm = CertForm {
    random_ca_serial: true,
    ca_san: true,
    leaf_basic_constraints: true,
    distinct_sans: true,
    back_dated_seconds: Some(300),
};

fn request(name: &str, ips: &[IpAddr]) -> CertificateRequest {
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    CertificateRequest {
        common_name: name.into(),
        organizations: Vec::new(),
        dns_names: Vec::new(),
        ips: ips.to_vec(),
        usages: vec![Usage::Server, Usage::Client],
        validity: Validity { not_before: now - hour, not_after: now + hour },
    }
}

impl Pki {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let ca = self_signed_ca(&request("etcd-ca", &[]), &key, FORM).unwrap();
        let pki = Self { dir: tempfile::tempdir().unwrap(), ca, key };
        std::fs::write(pki.path("ca.crt"), pki.ca.to_pem()).unwrap();
        pki.leaf("client");
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a pair for this host: `NAME.crt` and `NAME.key`.
    fn leaf(&self, name: &str) {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let local = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let public = key.public_key().unwrap();
        let leaf = issue(&request(name, &local), &public, &self.ca, &self.key, FORM).unwrap();
        std::fs::write(self.path(&format!("{name}.crt")), leaf.to_pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.to_pem().unwrap().as_bytes()).unwrap();
    }

    fn access(&self, endpoints: &[&str]) -> EtcdAccess {
        EtcdAccess {
            endpoints: endpoints.iter().map(|&e| e.to_owned()).collect(),
            ca: Some(self.path("ca.crt")),
            certificate: Some(self.path("client.crt")),
            key: Some(self.path("client.key")),
        }
    }

    /// What a member serves with: a certificate of its own, and it wants one of the client.
    fn server(&self) -> ServerConfig {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let local = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let public = key.public_key().unwrap();
        let leaf = issue(&request("server", &local), &public, &self.ca, &self.key, FORM).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.ca.der().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from(leaf.der().to_vec())],
                PrivateKeyDer::from_pem_slice(key.to_pem().unwrap().as_bytes()).unwrap(),
            )
            .unwrap();
        // Go's gRPC servers refuse clients that do not offer it.
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

// --- a member ---------------------------------------------------------------------------------------------------

/// A member that answers what it is told to.
#[derive(Default)]
struct State {
    /// What every call but Status gets.
    refusal: Option<Status>,
    /// Calls, with whether they were to be refused without a leader.
    calls: Vec<(&'static str, bool)>,
    /// The pieces of a snapshot; an error ends it.
    pieces: Vec<Result<Vec<u8>, Status>>,
    db_size: i64,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

type Answer<T> = Result<Response<T>, Status>;

impl Fake {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn answer<Q, A: Default>(&self, call: &'static str, request: &Request<Q>) -> Answer<A> {
        let mut state = self.0.lock().unwrap();
        let led = request.metadata().get("hasleader").is_some_and(|v| v == "true");
        state.calls.push((call, led));
        state.refusal.clone().map_or_else(|| Ok(Response::new(A::default())), Err)
    }
}

fn member(id: u64, name: &str, is_learner: bool) -> etcd::Member {
    let client_urls = if name.is_empty() { vec![] } else { vec![format!("https://10.0.0.{id}:2379")] };
    let peer_urls = vec![format!("https://10.0.0.{id}:2380")];
    etcd::Member { id, name: name.into(), peer_urls, client_urls, is_learner }
}

#[tonic::async_trait]
impl Cluster for Fake {
    async fn member_add(&self, request: Request<etcd::MemberAddRequest>) -> Answer<etcd::MemberAddResponse> {
        let _: Response<()> = self.answer("MemberAdd", &request)?;
        let asked = request.into_inner();
        let new = etcd::Member { peer_urls: asked.peer_urls, ..member(9, "", asked.is_learner) };
        let members = vec![member(1, "cp1", false), new.clone()];
        Ok(Response::new(etcd::MemberAddResponse { member: Some(new), members }))
    }
    async fn member_remove(
        &self,
        request: Request<etcd::MemberRemoveRequest>,
    ) -> Answer<etcd::MemberRemoveResponse> {
        self.answer("MemberRemove", &request)
    }
    async fn member_list(
        &self,
        request: Request<etcd::MemberListRequest>,
    ) -> Answer<etcd::MemberListResponse> {
        assert!(request.get_ref().linearizable);
        let _: Response<()> = self.answer("MemberList", &request)?;
        let members = vec![member(1, "cp1", false), member(2, "", true)];
        Ok(Response::new(etcd::MemberListResponse { members }))
    }
    async fn member_promote(
        &self,
        request: Request<etcd::MemberPromoteRequest>,
    ) -> Answer<etcd::MemberPromoteResponse> {
        self.answer("MemberPromote", &request)
    }
}

#[tonic::async_trait]
impl Maintenance for Fake {
    type SnapshotStream = BoxStream<'static, Result<etcd::SnapshotResponse, Status>>;

    async fn status(&self, _: Request<etcd::StatusRequest>) -> Answer<etcd::StatusResponse> {
        let db_size = self.0.lock().unwrap().db_size;
        Ok(Response::new(etcd::StatusResponse {
            header: Some(etcd::ResponseHeader { cluster_id: 7, member_id: 1 }),
            version: "3.5.9".into(),
            db_size,
            leader: 2,
            raft_index: 12,
            raft_applied_index: 11,
            errors: vec!["NOSPACE".into()],
            is_learner: true,
        }))
    }
    async fn snapshot(&self, request: Request<etcd::SnapshotRequest>) -> Answer<Self::SnapshotStream> {
        let _: Response<()> = self.answer("Snapshot", &request)?;
        let pieces = self.0.lock().unwrap().pieces.clone();
        let response = |blob| etcd::SnapshotResponse { remaining_bytes: 0, blob };
        Ok(Response::new(iter(pieces.into_iter().map(move |p| p.map(response))).boxed()))
    }
    async fn move_leader(
        &self,
        request: Request<etcd::MoveLeaderRequest>,
    ) -> Answer<etcd::MoveLeaderResponse> {
        assert_eq!(request.get_ref().target_id, 3);
        self.answer("MoveLeader", &request)
    }
}

/// A connection that tonic can serve: it knows TLS only by a feature that the product does without.
struct Accepted(TlsStream<TcpStream>);

impl Connected for Accepted {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Starts a member on loopback and returns its endpoint.
async fn start(fake: &Fake, tls: ServerConfig, ip: &str) -> String {
    let listener = TcpListener::bind(SocketAddr::new(ip.parse().unwrap(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    // Clients that hang up are part of the tests.
    let incoming = futures::stream::unfold((listener, acceptor), |(listener, acceptor)| async move {
        loop {
            let (stream, _) = listener.accept().await.ok()?;
            if let Ok(stream) = acceptor.accept(stream).await {
                return Some((Ok::<_, io::Error>(Accepted(stream)), (listener, acceptor)));
            }
        }
    });
    let server = tonic::transport::Server::builder()
        .add_service(ClusterServer::new(fake.clone()))
        .add_service(MaintenanceServer::new(fake.clone()))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    format!("https://{address}")
}

/// The endpoint of a port where nobody listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("https://{}", listener.local_addr().unwrap())
}

/// The one failure of a call, and whether it is for good.
fn only_failure(error: EtcdError) -> (String, bool) {
    let EtcdError::Unavailable(failures) = &error else { panic!("{error}") };
    assert_eq!(failures.len(), 1, "{error}");
    assert_eq!(error.is_transient(), !failures[0].permanent);
    (failures[0].reason.clone(), failures[0].permanent)
}

// --- tests ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn calls_and_answers() {
    let (pki, fake) = (Pki::new(), Fake::default());
    fake.set(|state| state.db_size = 4096);
    for ip in ["127.0.0.1", "::1"] {
        let endpoint = start(&fake, pki.server(), ip).await;
        let client = HostEtcds.writer(&pki.access(&[&endpoint]));
        let members = client.members().await.unwrap();
        assert_eq!((members.len(), members[0].name.as_str(), members[0].learner), (2, "cp1", false));
        assert!(!members[1].started() && members[1].learner);
        assert_eq!(members[0].client_urls, ["https://10.0.0.1:2379"]);

        let status = client.status(&endpoint).await.unwrap();
        assert_eq!((status.member, status.leader, status.db_size), (1, 2, 4096));
        assert_eq!((status.raft_index, status.raft_applied_index), (12, 11));
        assert_eq!((status.version.as_str(), status.errors.concat().as_str()), ("3.5.9", "NOSPACE"));
        assert!(status.learner);

        let (new, all) = client.add_learner("https://10.0.0.9:2380").await.unwrap();
        assert!(new.learner && new.id == 9 && all[1] == new && all.len() == 2);
        assert_eq!(new.peer_urls, ["https://10.0.0.9:2380"]);
        client.promote(9).await.unwrap();
        assert!(client.remove(9).await.unwrap());
        client.move_leader(&endpoint, 3).await.unwrap();
    }
    // A member without a leader is to say so, instead of waiting for one.
    let led = |call| (call, true);
    let changes = ["MemberList", "MemberAdd", "MemberPromote", "MemberRemove"].map(led);
    fake.set(|state| assert_eq!(state.calls[..5], [&changes[..], &[("MoveLeader", false)]].concat()));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (pki, fake) = (Pki::new(), Fake::default());
    let endpoint = start(&fake, pki.server(), "127.0.0.1").await;
    let client = HostEtcds.writer(&pki.access(&[&endpoint]));
    let refused = async |code: Code, text: &str| {
        fake.set(|state| state.refusal = Some(Status::new(code, text)));
        client.promote(1).await.unwrap_err()
    };
    let failed = Code::FailedPrecondition;
    for (code, text, error) in [
        (failed, "etcdserver: too many learner members in cluster", EtcdError::TooManyLearners),
        (failed, "etcdserver: Peer URLs already exists", EtcdError::PeerUrlExists),
        (Code::NotFound, "etcdserver: member not found", EtcdError::MemberNotFound),
        (failed, "etcdserver: can only promote a learner member", EtcdError::NotLearner),
        (
            failed,
            "etcdserver: can only promote a learner member which is in sync with leader",
            EtcdError::NotInSync,
        ),
        (failed, "etcdserver: not leader", EtcdError::NotLeader),
    ] {
        assert_eq!(refused(code, text).await, error);
    }
    for text in [
        "etcdserver: unhealthy cluster",
        "etcdserver: re-configuration failed due to not enough started members",
    ] {
        let error = refused(Code::Unavailable, text).await;
        assert!(error.is_transient(), "{error}");
        assert_eq!(error, EtcdError::Unhealthy(text.into()));
    }
    for text in ["etcdserver: no leader", "etcdserver: request timed out"] {
        let (reason, permanent) = only_failure(refused(Code::Unavailable, text).await);
        assert_eq!((reason.as_str(), permanent), (text, false));
    }
    let error = refused(Code::PermissionDenied, "etcdserver: permission denied").await;
    assert_eq!(error.to_string(), "MemberPromote: etcdserver: permission denied");
    assert!(!error.is_transient());

    fake.set(|state| state.refusal = Some(Status::not_found("etcdserver: member not found")));
    assert!(!client.remove(1).await.unwrap());
}

#[tokio::test]
async fn the_next_endpoint_is_asked() {
    let (pki, fake, learner) = (Pki::new(), Fake::default(), Fake::default());
    learner.set(|state| {
        state.refusal = Some(Status::unavailable("etcdserver: rpc not supported for learner"));
    });
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("https://{}", silent.local_addr().unwrap());
    let (refusing, learning) = (closed(), start(&learner, pki.server(), "127.0.0.1").await);
    let good = start(&fake, pki.server(), "127.0.0.1").await;
    let client = HostEtcds.writer(&pki.access(&[&refusing, &silent_url, &learning, &good]));
    client.members().await.unwrap();
    let asked = |fake: &Fake| fake.0.lock().unwrap().calls.len();
    assert_eq!((asked(&learner), asked(&fake)), (1, 1));
    // Who served is asked first.
    client.members().await.unwrap();
    assert_eq!((asked(&learner), asked(&fake)), (1, 2));

    // If nobody serves, all reasons are told.
    let client = HostEtcds.reader(&pki.access(&[&refusing, &silent_url, &learning]));
    let error = client.members().await.unwrap_err();
    assert!(error.is_transient());
    let expected = format!(
        "etcd does not serve: {refusing}: dial tcp {}: connect: connection refused; \
         {silent_url}: no connection within 2 seconds; \
         {learning}: etcdserver: rpc not supported for learner",
        refusing.trim_start_matches("https://")
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_member_that_went_away_may_come_back() {
    let (pki, fake) = (Pki::new(), Fake::default());
    let endpoint = start(&fake, pki.server(), "127.0.0.1").await;
    let address: SocketAddr = endpoint.trim_start_matches("https://").parse().unwrap();
    let other = closed();
    let client = HostEtcds.reader(&pki.access(&[&other, &endpoint]));
    client.members().await.unwrap();
    assert!(client.status(&other).await.is_err());
    // The same client, once somebody listens at the port that was closed.
    let again: SocketAddr = other.trim_start_matches("https://").parse().unwrap();
    assert_ne!(address, again);
    let listener = TcpListener::bind(again).await.unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(pki.server()));
    let incoming = futures::stream::once(async move {
        let (stream, _) = listener.accept().await?;
        Ok::<_, io::Error>(Accepted(acceptor.accept(stream).await?))
    });
    let service = MaintenanceServer::new(fake);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming.boxed()),
    );
    client.status(&other).await.unwrap();
}

#[tokio::test]
async fn trust_is_mutual() {
    let (pki, stranger, fake) = (Pki::new(), Pki::new(), Fake::default());
    let endpoint = start(&fake, pki.server(), "127.0.0.1").await;
    let good = pki.access(&[&endpoint]);
    let reason = async |access: EtcdAccess| HostEtcds.reader(&access).members().await.unwrap_err();

    let (text, permanent) =
        only_failure(reason(EtcdAccess { ca: stranger.access(&[]).ca, ..good.clone() }).await);
    assert!(permanent && text.starts_with("invalid peer certificate"), "{text}");
    // By a name that its certificate does not have.
    let named = endpoint.replace("127.0.0.1", "localhost");
    let (text, permanent) = only_failure(reason(pki.access(&[&named])).await);
    assert!(permanent && text.starts_with("invalid peer certificate"), "{text}");

    let none = EtcdAccess { certificate: None, key: None, ..good.clone() };
    let (text, permanent) = only_failure(reason(none).await);
    assert!(permanent && text.ends_with("CertificateRequired"), "{text}");
    let other = EtcdAccess { ca: good.ca.clone(), ..stranger.access(&[&endpoint]) };
    let (text, permanent) = only_failure(reason(other).await);
    assert!(permanent && text.contains("received fatal alert"), "{text}");

    let (text, permanent) = only_failure(reason(pki.access(&["10.0.0.1:2379"])).await);
    assert!(permanent && text.contains("not a URL that begins with https://"), "{text}");
    let plain = endpoint.replace("https", "http");
    let (_, permanent) = only_failure(reason(pki.access(&[&plain])).await);
    assert!(!permanent);
    // One that is trusted is enough.
    let client = HostEtcds.reader(&pki.access(&[&named, &endpoint]));
    client.members().await.unwrap();
}

#[tokio::test]
async fn files_that_are_of_no_use() {
    let pki = Pki::new();
    let good = pki.access(&["https://127.0.0.1:1"]);
    let garbage = pki.path("garbage");
    std::fs::write(&garbage, "nothing").unwrap();
    pki.leaf("other");
    let said = async |access: EtcdAccess| {
        let error = HostEtcds.reader(&access).members().await.unwrap_err();
        assert!(!error.is_transient());
        let EtcdError::Access { path, reason } = error else { panic!("{error}") };
        (path, reason)
    };
    let absent = pki.path("absent");
    let access = EtcdAccess { ca: Some(absent.clone()), ..good.clone() };
    assert_eq!(said(access).await, (absent, "no such file or directory".into()));
    let access = EtcdAccess { ca: Some(garbage.clone()), ..good.clone() };
    assert_eq!(said(access).await, (garbage.clone(), "no certificate found".into()));
    let access = EtcdAccess { certificate: Some(garbage.clone()), ..good.clone() };
    assert_eq!(said(access).await, (garbage.clone(), "no certificate found".into()));
    let access = EtcdAccess { key: Some(garbage.clone()), ..good.clone() };
    assert_eq!(said(access).await.0, garbage);
    let access = EtcdAccess { key: Some(pki.path("other.key")), ..good.clone() };
    let (path, reason) = said(access).await;
    assert!(path == pki.path("other.key") && reason.contains("KeyMismatch"), "{reason}");
    let access = EtcdAccess { key: None, ..good.clone() };
    assert_eq!(said(access).await, (pki.path("client.crt"), "its key is not given".into()));
}

#[tokio::test]
async fn snapshots() {
    let (pki, fake) = (Pki::new(), Fake::default());
    let endpoint = start(&fake, pki.server(), "127.0.0.1").await;
    let client = HostEtcds.writer(&pki.access(&[&endpoint]));
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup/etcd.db");
    let left = |to: &Path| std::fs::read_dir(to.parent().unwrap()).unwrap().count();

    // 300 pages of zeros, in pieces as etcd sends them, and their digest.
    let database = vec![0; 300 * 512];
    let digest = sha256(&database);
    let pieces: Vec<_> = database.chunks(32 << 10).map(|c| Ok(c.to_vec())).collect();
    let send = |more: &[Result<Vec<u8>, Status>]| {
        let sent = [&pieces[..], more].concat();
        fake.set(|state| state.pieces = sent);
    };
    send(&[]);
    let error = client.snapshot(&endpoint, &to).await.unwrap_err().to_string();
    assert!(error.contains("153600 bytes came, which is not a whole database"), "{error}");
    send(&[Ok(vec![1; 32])]);
    let error = client.snapshot(&endpoint, &to).await.unwrap_err().to_string();
    assert!(error.contains("does not have the digest"), "{error}");
    send(&[Err(Status::unknown("etcdserver: rpc stopped"))]);
    let error = client.snapshot(&endpoint, &to).await.unwrap_err();
    assert!(error.to_string().ends_with("Snapshot: etcdserver: rpc stopped"), "{error}");
    assert!(matches!(error, EtcdError::Snapshot { .. }));
    assert_eq!(left(&to), 0);

    send(&[Ok(digest.clone())]);
    assert_eq!(client.snapshot(&endpoint, &to).await.unwrap(), 300 * 512 + 32);
    assert_eq!(std::fs::read(&to).unwrap(), [&database[..], &digest].concat());
    assert_eq!(left(&to), 1);

    fake.set(|state| state.db_size = i64::MAX);
    let error = client.snapshot(&endpoint, &to).await.unwrap_err().to_string();
    assert!(error.contains("bytes free"), "{error}");
    assert!(error.starts_with(&format!("cannot save a snapshot of etcd to {}: ", to.display())), "{error}");
    // The one before is still there.
    assert_eq!(left(&to), 1);
}

fn sha256(data: &[u8]) -> Vec<u8> {
    let text = kubeadm_pki::sha256_hex(data);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
