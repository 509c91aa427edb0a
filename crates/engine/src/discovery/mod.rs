//! Discovery: how a joining node finds the cluster and comes to trust it. cmd/kubeadm/app/discovery, 1.37.
//!
//! What cannot become right by waiting is an error within seconds, each with its own words: a wrong or expired token, a
//! wrong pin, a host that does not exist or is no API server. What may become right is waited for within the limit, and
//! said: a server that does not answer yet, a cluster that is just being made (the original waits for all of these in
//! silence and then names one, Q10).

mod file;
mod token;

use std::path::Path;
use std::time::Duration;

use kubeadm_config::duration::GoDuration;
use kubeadm_config::types::JoinConfiguration;
use kubeadm_pki::jws::JwsError;
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, KubeconfigError, KubeconfigForm, User};
use kubeadm_pki::{Certificate, CertificateError};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::objects::KUBE_PUBLIC;
use crate::objects::config_maps::CLUSTER_INFO;
use crate::ports::{Api, ApiError, FileError, View};
use crate::resource::CONFIG_MAPS;
use crate::spec::ADMIN_CONF;

/// A cluster that was found and is trusted.
#[derive(Debug)]
pub struct Discovered {
    /// Address and authorities.
    pub cluster: Cluster,
    /// Who we are until the kubelet has a certificate of its own.
    pub user: User,
}

impl Discovered {
    /// The authorities' certificates as PEM.
    ///
    /// # Errors
    /// Data that is no certificate.
    pub fn authorities(&self) -> Result<Vec<Certificate>, CertificateError> {
        self.cluster.authorities()
    }

    /// The kubeconfig of `bootstrap-kubelet.conf`.
    pub fn kubeconfig(&self, cluster_name: &str) -> Zeroizing<String> {
        let form = KubeconfigForm { empty_preferences: false, null_lists: false };
        Kubeconfig::new(cluster_name, self.cluster.clone(), BOOTSTRAP_USER, self.user.clone()).to_yaml(form)
    }
}

/// cmd/kubeadm/app/discovery/discovery.go: TokenUser.
const BOOTSTRAP_USER: &str = "tls-bootstrap-token-user";

/// Why a cluster is not found or not trusted.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A pin cannot be read.
    #[error("invalid discovery token CA certificate hash: {0}")]
    Pin(String),
    /// Nothing answered within the limit.
    #[error("the API server at {endpoint} could not be asked within {limit}: {reason}")]
    NoAnswer {
        /// `host:port`.
        endpoint: String,
        /// The limit, as people write it.
        limit: String,
        /// What was seen last.
        reason: String,
    },
    /// The host has no address.
    #[error("the host of {endpoint} is not known: {reason}; check the address of the API server")]
    UnknownHost {
        /// `host:port`.
        endpoint: String,
        /// The resolver's words.
        reason: String,
    },
    /// Something else than an API server answers, or one that does not let strangers read.
    #[error(
        "the server at {endpoint} refuses to tell about its cluster: {reason}; check the address, or use a discovery file (--discovery-file) where anonymous requests are forbidden"
    )]
    Refused {
        /// `host:port`.
        endpoint: String,
        /// The answer.
        reason: String,
    },
    /// The token is not one of the cluster's.
    #[error("token id {id:?} is invalid for this cluster or it has expired{}. Use \"kubeadm token create\" on the control-plane node to create a new valid token", others(*known))]
    UnknownToken {
        /// The id.
        id: String,
        /// How many other tokens the cluster has signed for.
        known: usize,
    },
    /// The secret half of the token is wrong, or somebody pretends to be the cluster.
    #[error(
        "failed to verify JWS signature of received cluster info object, can't trust this API Server: {0}; check the token's second half"
    )]
    Signature(JwsError),
    /// `cluster-info` is not what kubeadm writes.
    #[error("malformed kubeconfig in the cluster-info ConfigMap: {0}")]
    ClusterInfo(String),
    /// None of the authorities is pinned.
    #[error(
        "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys {found:?} are pinned; expected one of {wanted:?}"
    )]
    NotPinned {
        /// Pins of the cluster's authorities.
        found: Vec<String>,
        /// Pins that were given.
        wanted: Vec<String>,
    },
    /// The server that was asked has another certificate than the cluster's authority signs.
    #[error("the API server at {endpoint} does not prove to belong to the cluster: {reason}")]
    Untrusted {
        /// `host:port`.
        endpoint: String,
        /// The words of TLS.
        reason: String,
    },
    /// Asked twice, two answers.
    #[error(
        "the second kubeconfig from the cluster-info ConfigMap (using validated TLS) was different from the first"
    )]
    Changed,
    /// The discovery file.
    #[error("the discovery file {path} cannot be used: {reason}")]
    File {
        /// Path or URL.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file that it names.
    #[error(transparent)]
    Read(#[from] FileError),
    /// Neither the file nor a token says who we are.
    #[error(
        "could not find authentication credentials for the TLS bootstrap process. Please use Token discovery, a discovery file with embedded authentication credentials or a discovery file without authentication credentials but with the TLSBootstrapToken flag"
    )]
    NoCredentials,
    /// Nothing says where the cluster is.
    #[error(
        "File {ADMIN_CONF} does not exists. Please use 'kubeadm join phase control-plane-prepare' subcommands to generate it."
    )]
    NoAdministrator,
}

fn others(known: usize) -> String {
    match known {
        0 => String::new(),
        1 => " (the cluster knows one other)".into(),
        n => format!(" (the cluster knows {n} others)"),
    }
}

/// Finds the cluster of a configuration; what may become right is waited for within the limit.
///
/// # Errors
/// See [`DiscoveryError`].
pub async fn discover(
    join: &JoinConfiguration,
    limit: Duration,
    view: View<'_>,
) -> Result<Discovered, DiscoveryError> {
    let bootstrap = &join.discovery.tls_bootstrap_token;
    let (cluster, own) = match (&join.discovery.bootstrap_token, &join.discovery.file) {
        (Some(by_token), _) => (token::discover(by_token, limit, view).await?, None),
        (None, Some(by_file)) => file::discover(&by_file.kube_config_path, limit, view).await?,
        // Phases of a control plane that come after its files were made know the cluster by those.
        (None, None) if view.files.exists(Path::new(ADMIN_CONF)) => {
            file::discover(ADMIN_CONF, limit, view).await?
        }
        (None, None) => return Err(DiscoveryError::NoAdministrator),
    };
    let user = match (bootstrap.is_empty(), own) {
        (false, _) => User::with_token(&bootstrap.0),
        (true, Some(user)) => user,
        (true, None) => return Err(DiscoveryError::NoCredentials),
    };
    Ok(Discovered { cluster, user })
}

/// The cluster of a kubeconfig text: the unnamed one, else that of the current context.
fn cluster_of(config: &Kubeconfig) -> Option<&Cluster> {
    let unnamed = config.clusters.iter().find(|c| c.name.is_empty()).map(|c| &c.cluster);
    unnamed.or_else(|| config.current_cluster())
}

/// How long what looks final is tried again: a token that was made just now is signed for within a second or two.
const GRACE: Duration = Duration::from_secs(8);

/// What is to be thought of one answer that is not the wanted one.
enum Judgement {
    /// It cannot become better.
    Final(DiscoveryError),
    /// It looks final, but for a moment what becomes right looks the same.
    Grace(DiscoveryError),
    /// It may become better.
    Wait(String),
}

/// Where `cluster-info` is asked for, and for how long.
struct Asked<'a> {
    endpoint: &'a str,
    limit: Duration,
    view: View<'a>,
}

impl Asked<'_> {
    /// Asks until the judge takes an answer, or refuses it for good.
    async fn until<T>(
        &self,
        api: &dyn Api,
        judge: impl Fn(Result<Option<Value>, ApiError>) -> Result<T, Judgement>,
    ) -> Result<T, DiscoveryError> {
        let progress = self.view.progress;
        let mut tries = Backoff::start(self.view.clock);
        let outcome = loop {
            let answer = api.get(CONFIG_MAPS, KUBE_PUBLIC, CLUSTER_INFO).await;
            let waited = tries.waited();
            let reason = match judge(answer) {
                Ok(found) => break Ok(found),
                Err(Judgement::Final(error)) => break Err(error),
                Err(Judgement::Grace(error)) if waited >= GRACE.min(self.limit) => break Err(error),
                Err(Judgement::Grace(error)) => error.to_string(),
                Err(Judgement::Wait(reason)) => reason,
            };
            if waited >= self.limit {
                let limit = GoDuration::from(self.limit).to_string();
                break Err(DiscoveryError::NoAnswer { endpoint: self.endpoint.into(), limit, reason });
            }
            tracing::debug!(endpoint = self.endpoint, reason, "waiting for the cluster");
            progress.progress(&format!("waiting for {} ({} s): {reason}", self.endpoint, waited.as_secs()));
            tries.pause().await;
        };
        progress.progress("");
        outcome
    }

    /// What is to be thought of a request that failed, or what it was refused with.
    fn failure(&self, error: ApiError) -> Result<ApiError, Judgement> {
        let (endpoint, reason) = (self.endpoint.to_owned(), error.to_string());
        Err(match error {
            ApiError::UnknownHost(_) => Judgement::Grace(DiscoveryError::UnknownHost { endpoint, reason }),
            ApiError::Untrusted(_) => Judgement::Final(DiscoveryError::Untrusted { endpoint, reason }),
            error if error.is_transient() => Judgement::Wait(reason),
            refusal => return Ok(refusal),
        })
    }
}

impl From<KubeconfigError> for DiscoveryError {
    fn from(error: KubeconfigError) -> Self {
        Self::ClusterInfo(error.to_string())
    }
}
