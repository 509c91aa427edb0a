//! The spec of `join`: what this node brings along, and, once its cluster is found, the spec of a node of that cluster.
//!
//! The cluster is looked for by the first phase that needs it and remembered; every phase asks in the same way, so each
//! runs alone. cmd/kubeadm/app/cmd/join.go, 1.37.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use kubeadm_config::commands::init_defaults;
use kubeadm_config::duration::GoDuration;
use kubeadm_config::error::{ConfigError, Notice};
use kubeadm_config::load::{InitConfig, Loaded};
use kubeadm_config::stored as stored_config;
use kubeadm_config::types::{InitConfiguration, JoinConfiguration};
use kubeadm_pki::kubeconfig::{Cluster, User};
use kubeadm_pki::{Certificate, CertificateError};
use kubeadm_release::{Release, Version};

use crate::discovery::{self, Discovered, DiscoveryError};
use crate::phases::external_ca;
use crate::plan::Step;
use crate::ports::{Access, FileError, Files, KubeconfigSource, View};
use crate::run::Context;
use crate::spec::{Ignored, InitSpec, KUBERNETES, NodeSettings};
use crate::stored::{self, StoredError};

/// Why the cluster to join is not known.
#[derive(Debug, thiserror::Error)]
pub enum JoinedError {
    /// It was not found, or is not trusted.
    #[error("couldn't validate the identity of the API Server: {0}")]
    Discovery(#[from] DiscoveryError),
    /// Its authority cannot be read.
    #[error("could not get CA certificate from discovery kubeconfig: {0}")]
    Authority(#[from] CertificateError),
    /// Its configuration cannot be fetched.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Its configuration cannot be used.
    #[error("failed to decode cluster configuration data: {0}")]
    Config(#[from] ConfigError),
}

/// What `join` was told, and what it found.
#[derive(Debug)]
pub struct JoinSpec {
    /// The configuration, complete.
    pub join: JoinConfiguration,
    /// This node before its cluster is known, as one of its kubelet's release: what checks of the machine need.
    pub alone: InitSpec,
    settings: Settings,
    joined: OnceLock<Joined>,
}

/// The cluster that was found.
#[derive(Debug)]
pub struct Joined {
    /// Address, authorities and credentials.
    pub discovered: Discovered,
    /// Its authorities; none where a dry run could not ask it.
    pub authorities: Vec<Certificate>,
    /// This node as one of that cluster.
    pub node: InitSpec,
}

impl Joined {
    /// The credentials of the bootstrap.
    pub fn access(&self) -> Access {
        Access::new(KubeconfigSource::text(self.discovered.kubeconfig(&self.node.cluster.cluster_name)))
    }

    /// Whether the cluster answered. A dry run goes on without one, and then knows nothing of its authorities and members.
    pub fn seen(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// This node as a control plane: what is on it by now tells which authorities are external.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn control_plane(&self, files: &dyn Files) -> Result<InitSpec, FileError> {
        external_ca::noted(self.node.clone(), files)
    }
}

/// What does not depend on the cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Checks whose errors are warnings.
    pub ignored: Ignored,
    /// Whether the node becomes one of the control plane.
    pub control_plane: bool,
    /// Directory of patches.
    pub patches: Option<PathBuf>,
    /// The folder of a dry run.
    pub landing: Option<PathBuf>,
    /// `*_proxy` variables for the containers of a control plane.
    pub proxy_env: Vec<(String, String)>,
    /// Version of this kubeadm.
    pub kubeadm_version: Version,
}

impl JoinSpec {
    /// The spec of a loaded configuration.
    pub fn new(join: JoinConfiguration, version: Version, release: Release, settings: Settings) -> Self {
        let mut config = init_defaults(&release, "");
        config.init = init_of(&join);
        let loaded = Loaded { config, version, release, components: Vec::new() };
        // What the defaults have to say is said of the real cluster's, later.
        let alone = node(loaded, &settings, &mut Vec::new());
        Self { join, alone, settings, joined: OnceLock::new() }
    }

    /// What the executor must know.
    pub fn context(&self) -> Context {
        self.alone.context()
    }

    /// The file that the kubelet writes once it has a certificate of its own.
    pub fn kubelet_conf(&self) -> PathBuf {
        Path::new(KUBERNETES).join("kubelet.conf")
    }

    /// Whether this node gets a member of etcd, as far as the cluster is known.
    pub fn adds_etcd_member(&self) -> bool {
        self.join.control_plane.is_some() && self.joined.get().is_none_or(|joined| joined.node.local_etcd())
    }

    /// The cluster, and what there is to say when it was only now found.
    ///
    /// # Errors
    /// See [`JoinedError`].
    pub async fn joined(&self, view: View<'_>) -> Result<(&Joined, Vec<Step>), JoinedError> {
        if let Some(joined) = self.joined.get() {
            return Ok((joined, Vec::new()));
        }
        let mut steps = Vec::new();
        let joined = match self.find(view, &mut steps).await {
            Err(JoinedError::Discovery(error)) if self.settings.landing.is_some() => {
                let unseen = self.unseen(error)?;
                steps.push(Step::warn(format!(
                    "[dryrun] the cluster could not be asked: going on with what {} would have by default",
                    unseen.discovered.cluster.server
                )));
                unseen
            }
            found => found?,
        };
        Ok((self.joined.get_or_init(|| joined), steps))
    }

    /// How long something is waited for. What a dry run does not see now, it will not see later: nothing starts meanwhile.
    pub(crate) fn patience(&self, limit: GoDuration) -> Duration {
        match self.settings.landing {
            Some(_) => Duration::ZERO,
            None => limit.to_std(),
        }
    }

    async fn find(&self, view: View<'_>, steps: &mut Vec<Step>) -> Result<Joined, JoinedError> {
        let limit = self.patience(self.join.timeouts.discovery);
        let discovered = discovery::discover(&self.join, limit, view).await?;
        let authorities = discovered.authorities()?;
        steps.extend(stored::reading("preflight"));
        let kubeconfig = discovered.kubeconfig("kubernetes");
        let api = view.cluster.reader(&Access::new(KubeconfigSource::text(kubeconfig)));
        let limit = self.patience(self.join.timeouts.kubernetes_api_call);
        let texts = match self.settings.control_plane {
            true => stored::fetch(&*api, view.clock, limit).await?,
            false => stored::fetch_for_worker(&*api, view.clock, limit).await?,
        };
        let mut notices = Vec::new();
        let loaded = stored_config::load(&texts, init_of(&self.join), &mut notices)?;
        let node = node(loaded, &self.settings, &mut notices);
        steps.extend(stored::warnings(notices));
        Ok(Joined { discovered, authorities, node })
    }

    /// In place of a cluster that does not answer: one with the defaults, whose authorities nobody told.
    fn unseen(&self, error: DiscoveryError) -> Result<Joined, DiscoveryError> {
        let (DiscoveryError::NoAnswer { endpoint, .. } | DiscoveryError::UnknownHost { endpoint, .. }) =
            error
        else {
            return Err(error);
        };
        let endpoint = endpoint.trim_start_matches("https://");
        let cluster = Cluster { server: format!("https://{endpoint}"), ..Cluster::default() };
        let user = User::with_token(&self.join.discovery.tls_bootstrap_token.0);
        let mut node = self.alone.clone();
        node.cluster.control_plane_endpoint = endpoint.to_owned();
        Ok(Joined { discovered: Discovered { cluster, user }, authorities: Vec::new(), node })
    }
}

/// The part of a join that says what `init` says of a node.
fn init_of(join: &JoinConfiguration) -> InitConfiguration {
    let endpoint = join.control_plane.as_ref().map(|c| c.local_api_endpoint.clone());
    InitConfiguration {
        node_registration: join.node_registration.clone(),
        local_api_endpoint: endpoint.unwrap_or_default(),
        patches: join.patches.clone(),
        timeouts: join.timeouts.clone(),
        dry_run: join.dry_run,
        ..InitConfiguration::default()
    }
}

/// A node of a cluster.
fn node(loaded: Loaded<InitConfig>, settings: &Settings, notices: &mut Vec<Notice>) -> InitSpec {
    let own = |file: &str| Path::new(KUBERNETES).join(file);
    // An administrator's file is made on a control plane, before anything needs it. A dry run makes it in its folder.
    let kubeconfig = match (settings.control_plane, &settings.landing) {
        (false, _) => own("kubelet.conf"),
        (true, None) => own("admin.conf"),
        (true, Some(landing)) => landing.join("admin.conf"),
    };
    let settings = NodeSettings {
        access: Access::new(kubeconfig),
        joins: true,
        landing: settings.landing.clone(),
        ignored: settings.ignored.clone(),
        patches: settings.patches.clone(),
        proxy_env: settings.proxy_env.clone(),
        kubeadm_version: settings.kubeadm_version.clone(),
    };
    InitSpec::of_cluster(loaded, settings, notices)
}
