//! What a cluster keeps of its configuration, fetched: `kubeadm-config`, `kubelet-config` and `kube-proxy`.
//!
//! Read by joining nodes, upgrades and whoever works on a cluster that runs. `kubeadm_config::stored` makes a
//! configuration of it.

use std::time::Duration;

use kubeadm_config::error::{ConfigError, Notice, Severity};
use kubeadm_config::features;
use kubeadm_config::stored::{self, StoredComponent, StoredTexts, keys};
use kubeadm_config::types::InitConfiguration;
use kubeadm_release::facts::config_api::UNVERSIONED_KUBELET_CONFIG_MAP;
use kubeadm_release::{Release, Version};
use serde_json::Value;

use crate::backoff::Backoff;
use crate::objects::KUBE_SYSTEM;
use crate::objects::config_maps::{KUBEADM_CONFIG, is_generated};
use crate::plan::Step;
use crate::ports::{Api, ApiError, Clock};
use crate::resource::CONFIG_MAPS;

/// Why the configuration of the cluster is not known.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A ConfigMap cannot be read.
    #[error("unable to fetch the {name} ConfigMap: failed to get config map: {source}")]
    Get {
        /// Its name.
        name: String,
        /// The answer.
        source: ApiError,
    },
    /// It does not exist.
    #[error(
        "unable to fetch the {name} ConfigMap: it does not exist in namespace {KUBE_SYSTEM}; was the cluster made by kubeadm?"
    )]
    Missing {
        /// Its name.
        name: String,
    },
    /// It lacks its key.
    #[error("unable to fetch the {name} ConfigMap: its key {key:?} is missing")]
    NoKey {
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// It cannot be understood.
    #[error("failed to decode cluster configuration data: {0}")]
    Config(#[from] ConfigError),
}

/// How long a refusal is not believed, nor that something is missing: what a young cluster has, and who may read it, appears
/// one after the other.
const YOUNG: Duration = Duration::from_secs(10);

/// Whether a cluster that may be young is worth asking again, after a try that failed or (`None`) did not find what was
/// asked for.
pub(crate) fn again(tries: &mut Backoff<'_>, failure: Option<&ApiError>, limit: Duration) -> bool {
    let hope = match failure {
        Some(error) if !error.is_refusal() => error.is_transient() && tries.waited() < limit,
        _ => tries.refused() < YOUNG.min(limit),
    };
    if hope {
        tracing::debug!(?failure, "trying again");
    }
    hope
}

/// What is said before the configuration is fetched; `phase` is what the lines begin with.
pub(crate) fn reading(phase: &str) -> [Step; 2] {
    [
        "Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...",
        "Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.",
    ]
    .map(|text| Step::say(format!("[{phase}] {text}")))
}

/// What there is to warn of in a configuration that was fetched.
pub(crate) fn warnings(notices: Vec<Notice>) -> impl Iterator<Item = Step> {
    notices.into_iter().filter(|n| n.severity == Severity::Warning).map(|n| Step::warn(n.text))
}

/// Fetches everything that a node needs, within `limit` for each request.
///
/// kube-proxy's configuration may be missing; the other two must be there.
pub async fn fetch(api: &dyn Api, clock: &dyn Clock, limit: Duration) -> Result<StoredTexts, StoredError> {
    let cluster = cluster(api, clock, limit).await?;
    complete(cluster, api, clock, limit).await
}

/// The same for a worker. Where nodes may not read the cluster's own configuration (v1.11), they need nothing of it but
/// its version: the original's join did not ask for it.
pub async fn fetch_for_worker(
    api: &dyn Api,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<StoredTexts, StoredError> {
    if let Err(ApiError::Forbidden(reason)) = api.get(CONFIG_MAPS, KUBE_SYSTEM, KUBEADM_CONFIG).await
        && let Some(version) = served_version(api).await
        && Release::of(&version).is_ok_and(|r| !r.objects.stored_config.readable_by_nodes())
    {
        tracing::debug!(reason, %version, "going on with the version of the cluster alone");
        return complete(stored::of_version(&version), api, clock, limit).await;
    }
    fetch(api, clock, limit).await
}

async fn complete(
    cluster: String,
    api: &dyn Api,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<StoredTexts, StoredError> {
    // The name of the kubelet's ConfigMap follows from the version that the first one tells.
    let texts = StoredTexts { cluster, ..StoredTexts::default() };
    let known = stored::load(&texts, InitConfiguration::default(), &mut Vec::new())?;
    let gates = &known.config.cluster.feature_gates;
    let gate = features::said(&known.release, gates, UNVERSIONED_KUBELET_CONFIG_MAP);
    let name = known.release.kubelet.config_map_name(&known.version, gate);
    let map =
        get(api, clock, &name, limit).await?.ok_or_else(|| StoredError::Missing { name: name.clone() })?;
    let kubelet = component(&map, "kubelet").ok_or(StoredError::NoKey { name, key: "kubelet" })?;
    // An add-on that a user may have replaced: nothing a node needs of it cannot be told otherwise.
    let kube_proxy = match api.get(CONFIG_MAPS, KUBE_SYSTEM, "kube-proxy").await {
        Ok(Some(map)) => component(&map, "config.conf"),
        Ok(None) => None,
        Err(error) => {
            tracing::debug!(%error, "no configuration of kube-proxy");
            None
        }
    };
    Ok(StoredTexts { kubelet: Some(kubelet), kube_proxy, ..texts })
}

async fn served_version(api: &dyn Api) -> Option<Version> {
    let answer: Value = serde_json::from_str(&api.get_path("/version").await.ok()?).ok()?;
    answer["gitVersion"].as_str()?.parse().ok()
}

/// Fetches the text of the cluster's own configuration alone.
pub async fn cluster(api: &dyn Api, clock: &dyn Clock, limit: Duration) -> Result<String, StoredError> {
    cluster_of(get(api, clock, KUBEADM_CONFIG, limit).await?)
}

/// The text of the cluster's configuration, by one request: for commands that go on without it.
pub async fn cluster_text(api: &dyn Api) -> Result<String, StoredError> {
    let map = api.get(CONFIG_MAPS, KUBE_SYSTEM, KUBEADM_CONFIG).await;
    cluster_of(map.map_err(|source| StoredError::Get { name: KUBEADM_CONFIG.into(), source })?)
}

fn cluster_of(map: Option<Value>) -> Result<String, StoredError> {
    let map = map.ok_or_else(|| StoredError::Missing { name: KUBEADM_CONFIG.into() })?;
    let cluster = keys().iter().find_map(|key| text(&map, key));
    cluster.ok_or_else(|| StoredError::NoKey { name: KUBEADM_CONFIG.into(), key: keys()[0] })
}

fn component(map: &Value, key: &str) -> Option<StoredComponent> {
    Some(StoredComponent { text: text(map, key)?, generated: is_generated(map) })
}

fn text(map: &Value, key: &str) -> Option<String> {
    map["data"][key].as_str().map(str::to_owned)
}

/// Gets a ConfigMap of `kube-system`; tries again while that may help.
async fn get(
    api: &dyn Api,
    clock: &dyn Clock,
    name: &str,
    limit: Duration,
) -> Result<Option<Value>, StoredError> {
    let mut tries = Backoff::start(clock);
    loop {
        match api.get(CONFIG_MAPS, KUBE_SYSTEM, name).await {
            Ok(None) if again(&mut tries, None, limit) => {}
            Err(error) if again(&mut tries, Some(&error), limit) => {}
            Ok(found) => return Ok(found),
            Err(source) => return Err(StoredError::Get { name: name.into(), source }),
        }
        tries.pause().await;
    }
}
