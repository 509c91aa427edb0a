//! What is known of a cluster's configuration to commands that must work without it: that of a file, that which a
//! cluster keeps if it answers soon, or nothing. It is taken as it is written, so that no minor is refused, and what
//! is not said can be told from what is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{Either, select};
use kubeadm_config::documents::Reading;
use kubeadm_config::load::{InitConfig, Source, init_as_written};
use kubeadm_engine::ports::Access;
use kubeadm_engine::spec::{KUBERNETES, Layout};
use kubeadm_engine::stored::cluster_text;
use kubeadm_pki::KeyAlgorithm;

use crate::error::CommandError;
use crate::session::Session;

/// Where a configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file given with `--config`.
    File,
    /// The cluster.
    Cluster,
    /// Nowhere: nothing is known.
    Nowhere,
}

/// A configuration as far as it is known.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) origin: Origin,
    pub(crate) config: InitConfig,
}

/// How long the cluster may take to answer. Whoever renews certificates often does so because it does not.
const PATIENCE: Duration = Duration::from_secs(5);

impl Known {
    /// Reads the file, if there is one.
    pub(crate) fn of_file(path: &str, session: &Session) -> Result<Option<Self>, CommandError> {
        if path.is_empty() {
            return Ok(None);
        }
        let text = session.read_config(path)?;
        let config = as_written(&text, path, Reading::default(), session)?;
        Ok(Some(Self { origin: Origin::File, config }))
    }

    /// Asks the cluster that a kubeconfig leads to; an error says why there is no answer. `None` if there is no such
    /// file.
    pub(crate) fn of_cluster(
        kubeconfig: &Path,
        session: &Session,
        asking: impl FnOnce(),
    ) -> Option<Result<Self, CommandError>> {
        session.fx.files.exists(kubeconfig).then(|| {
            asking();
            let text = session.block_on(fetch(kubeconfig, session))?;
            // It was accepted when it was stored.
            let reading = Reading { strict: false, allow_experimental: true };
            let config = as_written(&text, "ConfigMap kube-system/kubeadm-config", reading, session)?;
            Ok(Self { origin: Origin::Cluster, config })
        })
    }

    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self { origin: Origin::Nowhere, config: InitConfig::default() }
    }

    /// Where certificates and kubeconfig files are.
    pub(crate) fn layout(&self) -> Layout {
        let pki = match self.config.cluster.certificates_dir.as_str() {
            "" => Path::new(KUBERNETES).join("pki"),
            given => PathBuf::from(given),
        };
        Layout { pki, kubeconfigs: KUBERNETES.into(), landing: None }
    }

    /// The algorithm of new keys, if the configuration says one.
    pub(crate) fn algorithm(&self) -> Result<Option<KeyAlgorithm>, CommandError> {
        match self.config.cluster.key_algorithm() {
            "" => Ok(None),
            name => Ok(Some(name.parse().map_err(|e| CommandError::from(e).prefix("encryptionAlgorithm"))?)),
        }
    }
}

fn as_written(
    text: &str,
    name: &str,
    reading: Reading,
    session: &Session,
) -> Result<InitConfig, CommandError> {
    let mut notices = Vec::new();
    let config = init_as_written(Source { text, name }, reading, &mut notices);
    session.tell(&notices);
    Ok(config?)
}

/// The text of the configuration that the cluster keeps.
async fn fetch(kubeconfig: &Path, session: &Session) -> Result<String, CommandError> {
    let api = session.fx.cluster.reader(&Access::new(kubeconfig));
    let asked = Box::pin(cluster_text(&*api));
    match select(asked, session.fx.clock.pause(PATIENCE)).await {
        Either::Left((answer, _)) => Ok(answer?),
        Either::Right(_) => {
            Err(CommandError::new(format!("no answer within {} seconds", PATIENCE.as_secs())))
        }
    }
}
