//! The spec of an upgrade: what was asked for, and, once the cluster was asked, this node as one of the cluster after it.
//!
//! The cluster keeps its own configuration; of an upgrade only the version is new. The first phase that needs it fetches
//! it, so each phase runs alone. cmd/kubeadm/app/cmd/upgrade/{apply,node}.go and app/util/config/cluster.go, 1.37.

pub mod outlook;
pub mod policy;
pub mod versions;
pub mod walk;
mod wellness;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use kubeadm_config::address::{parse_endpoint, parse_ip, parse_port};
use kubeadm_config::defaults::BIND_PORT;
use kubeadm_config::error::ConfigError;
use kubeadm_config::stored as stored_config;
use kubeadm_config::types::{ApiEndpoint, ImagePullPolicy, InitConfiguration, NodeRegistration, Timeouts};
use kubeadm_release::Version;

use crate::manifests::Component;
use crate::manifests::apiserver::ENDPOINT_ANNOTATION;
use crate::phases::external_ca;
use crate::plan::Step;
use crate::ports::{Access, FileError, Files, View};
use crate::run::Context;
use crate::spec::{Ignored, InitSpec, NodeSettings, manifest};
use crate::static_pods::{self, argument};
use crate::stored::{self, StoredError};

/// What an upgrade was told.
#[derive(Debug, Clone)]
pub struct UpgradeSpec {
    /// The version to go to; `None` is that which the cluster's configuration names already.
    pub target: Option<Version>,
    /// What its lines about the cluster begin with.
    pub prefix: &'static str,
    /// Which versions are allowed.
    pub policy: policy::Policy,
    /// Whether the user is asked before anything changes.
    pub interactive: bool,
    /// Whether certificates are renewed on the way.
    pub renew_certificates: bool,
    /// Whether etcd is upgraded too.
    pub upgrade_etcd: bool,
    /// When images are pulled.
    pub pull_policy: ImagePullPolicy,
    /// Whether they are pulled one after the other.
    pub pull_serial: bool,
    /// Whether the cluster's configuration is printed.
    pub print_config: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How the cluster is asked.
    pub access: Access,
    /// Name of this node.
    pub node_name: String,
    /// Socket of its container runtime.
    pub socket: String,
    /// Whether it is a control-plane node.
    pub control_plane: bool,
    /// Checks whose errors are warnings.
    pub ignored: Ignored,
    /// Directory of patches.
    pub patches: Option<PathBuf>,
    /// The folder of a dry run.
    pub landing: Option<PathBuf>,
    /// `*_proxy` variables for control-plane containers and kube-proxy, sorted by name.
    pub proxy_env: Vec<(String, String)>,
    /// Version of this kubeadm.
    pub kubeadm_version: Version,
    /// What the cluster said when it was first asked.
    pub found: OnceLock<Found>,
}

/// A cluster as an upgrade finds it.
#[derive(Debug, Clone)]
pub struct Found {
    /// This node as one of the cluster after the upgrade.
    node: InitSpec,
    /// The version that the stored configuration named.
    before: Version,
}

/// Why the cluster to upgrade is not known.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Its configuration cannot be fetched.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Its configuration cannot be used.
    #[error("failed to decode cluster configuration data: {0}")]
    Config(#[from] ConfigError),
    /// A file of this node cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest of this node's API server does not tell where it serves.
    #[error(
        "cannot tell where the API server of this node serves: {} has neither the annotation {ENDPOINT_ANNOTATION} nor the \
         flag --advertise-address",
        path.display()
    )]
    NoEndpoint {
        /// The manifest.
        path: PathBuf,
    },
}

impl UpgradeSpec {
    /// What the executor must know.
    pub fn context(&self) -> Context {
        Context {
            access: self.access.clone(),
            socket: self.socket.clone(),
            api_limit: self.timeouts.kubernetes_api_call.to_std(),
            dry: self.landing.is_some(),
        }
    }

    /// The same for another version. The cluster is asked anew.
    #[must_use]
    pub fn towards(&self, target: Version) -> Self {
        Self { target: Some(target), found: OnceLock::new(), ..self.clone() }
    }

    /// This node as one of the cluster after the upgrade, and what there is to say when the cluster was only now asked.
    ///
    /// # Errors
    /// See [`UpgradeError`].
    pub async fn node(&self, view: View<'_>) -> Result<(&InitSpec, Vec<Step>), UpgradeError> {
        if let Some(found) = self.found.get() {
            return Ok((&found.node, Vec::new()));
        }
        let mut steps = stored::reading(self.prefix).to_vec();
        let endpoint = match self.control_plane {
            true => endpoint(view.files)?,
            false => ApiEndpoint::default(),
        };
        // What a dry run does not find is not going to appear.
        let limit = match self.landing {
            Some(_) => Duration::ZERO,
            None => self.timeouts.kubernetes_api_call.to_std(),
        };
        let texts = match self.control_plane {
            true => stored::fetch(view.api, view.clock, limit).await?,
            false => stored::fetch_for_worker(view.api, view.clock, limit).await?,
        };
        let mut notices = Vec::new();
        let mut loaded = stored_config::load(&texts, self.init(endpoint), &mut notices)?;
        let before = loaded.version.clone();
        if let Some(target) = &self.target {
            loaded = stored_config::for_version(loaded, target)?;
        }
        let socket = &mut loaded.config.init.node_registration.cri_socket;
        *socket = loaded.release.kubelet.sockets.written(socket);
        let mut node = InitSpec::of_cluster(loaded, self.settings(), &mut notices);
        if self.control_plane {
            node = external_ca::noted(node, view.files)?;
        }
        steps.extend(stored::warnings(notices));
        if self.print_config {
            steps.push(Step::say(printed(&node)));
        }
        Ok((&self.found.get_or_init(|| Found { node, before }).node, steps))
    }

    /// The version of the cluster before the upgrade, once it was asked.
    pub fn before(&self) -> Option<&Version> {
        self.found.get().map(|found| &found.before)
    }

    /// What `init` would say of this node.
    fn init(&self, local_api_endpoint: ApiEndpoint) -> InitConfiguration {
        InitConfiguration {
            node_registration: NodeRegistration {
                name: self.node_name.clone(),
                cri_socket: self.socket.clone(),
                ..NodeRegistration::default()
            },
            local_api_endpoint,
            timeouts: self.timeouts.clone(),
            dry_run: self.landing.is_some(),
            ..InitConfiguration::default()
        }
    }

    fn settings(&self) -> NodeSettings {
        NodeSettings {
            access: self.access.clone(),
            joins: false,
            landing: self.landing.clone(),
            ignored: self.ignored.clone(),
            patches: self.patches.clone(),
            proxy_env: self.proxy_env.clone(),
            kubeadm_version: self.kubeadm_version.clone(),
        }
    }
}

/// The cluster's configuration as `--print-config` shows it. cmd/kubeadm/app/cmd/upgrade/common.go, 1.37.
fn printed(node: &InitSpec) -> String {
    let object = kubeadm_config::write::cluster(&node.cluster, node.release.config_api.written);
    let text = kubeadm_yaml::to_string(&object);
    let lines = text.lines().map(|line| format!("\n\t{line}"));
    std::iter::once("[upgrade/config] Configuration used:".to_owned()).chain(lines).collect()
}

/// Where the API server of this node serves, by its manifest: the annotation that kubeadm writes since 1.17, or its flags.
/// Upstream reads it from the mirror pod, which is behind while the API server is replaced.
fn endpoint(files: &dyn Files) -> Result<ApiEndpoint, UpgradeError> {
    let path = manifest(Component::ApiServer.name());
    let unknown = || UpgradeError::NoEndpoint { path: path.clone() };
    let pod = static_pods::pod(files, &path).ok_or_else(unknown)?;
    let noted = pod["metadata"]["annotations"][ENDPOINT_ANNOTATION].as_str();
    if let Some((host, port)) = noted.and_then(|e| parse_endpoint(e).ok())
        && let Some(bind_port) = parse_port(port)
    {
        return Ok(ApiEndpoint { advertise_address: host.to_owned(), bind_port: bind_port.into() });
    }
    let address: Option<IpAddr> = argument(&pod, "advertise-address").and_then(parse_ip);
    let port = argument(&pod, "secure-port").and_then(parse_port).unwrap_or(BIND_PORT);
    let address = address.ok_or_else(unknown)?;
    Ok(ApiEndpoint { advertise_address: address.to_string(), bind_port: port.into() })
}
