//! The spec of `reset`: what was said, and what the cluster says if it can be asked.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use kubeadm_config::stored::{self as stored_config, StoredTexts};
use kubeadm_config::types::{ClusterConfiguration, InitConfiguration, ResetConfiguration};

use crate::ports::{Access, ApiError, UnmountFlag, View};
use crate::run::Context;
use crate::spec::Ignored;
use crate::stored::{self, StoredError};

/// How long the cluster is asked for its configuration: it may be gone, and reset has to work all the same.
const PATIENCE: Duration = Duration::from_secs(3);

/// What `reset` is to do.
#[derive(Debug)]
pub struct ResetSpec {
    /// The configuration, complete.
    pub config: ResetConfiguration,
    /// The certificates directory, where it was said.
    pub certificates_dir: Option<PathBuf>,
    /// How to unmount.
    pub unmount_flags: Vec<UnmountFlag>,
    /// How the cluster is asked.
    pub access: Access,
    /// Checks whose errors are warnings.
    pub ignored: Ignored,
    /// Whether nothing is really done.
    pub dry: bool,
    /// What the cluster said when it was first asked.
    pub known: OnceLock<Option<Result<ClusterConfiguration, StoredError>>>,
}

impl ResetSpec {
    /// What the executor must know.
    pub fn context(&self) -> Context {
        Context {
            access: self.access.clone(),
            socket: self.config.cri_socket.clone(),
            api_limit: self.config.timeouts.kubernetes_api_call.to_std(),
            dry: self.dry,
        }
    }

    /// The cluster's configuration, or why it is not known; `None` where there is no kubeconfig to ask with, as on
    /// workers.
    pub async fn cluster(&self, view: View<'_>) -> Option<&Result<ClusterConfiguration, StoredError>> {
        if let Some(known) = self.known.get() {
            return known.as_ref();
        }
        let asked = self.ask(view).await;
        self.known.get_or_init(|| asked).as_ref()
    }

    /// Whether the cluster is there: its configuration is known, or somebody answers who does not tell it.
    pub async fn reachable(&self, view: View<'_>) -> bool {
        match self.cluster(view).await {
            None => false,
            Some(Err(StoredError::Get { source, .. })) => {
                source.is_refusal() || matches!(source, ApiError::Status { .. })
            }
            Some(_) => true,
        }
    }

    async fn ask(&self, view: View<'_>) -> Option<Result<ClusterConfiguration, StoredError>> {
        if !view.files.exists(self.access.kubeconfig.path()) {
            return None;
        }
        let read = async {
            let cluster = stored::cluster(view.api, view.clock, PATIENCE).await?;
            let texts = StoredTexts { cluster, ..StoredTexts::default() };
            let loaded = stored_config::load(&texts, InitConfiguration::default(), &mut Vec::new());
            Ok(loaded?.config.cluster)
        };
        Some(read.await)
    }
}
