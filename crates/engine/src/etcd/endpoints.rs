//! Where the members serve clients, as their pods tell. cmd/kubeadm/app/util/etcd/etcd.go: getEtcdEndpoints, 1.37.

use std::time::Duration;

use serde_json::Value;

use crate::backoff::retry;
use crate::manifests::etcd::ENDPOINT_ANNOTATION;
use crate::objects::KUBE_SYSTEM;
use crate::ports::{Api, ApiError, Clock, Selector};
use crate::resource::PODS;
use crate::static_pods::argument;

/// Why no endpoint is known.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// The pods cannot be listed.
    #[error(
        "could not retrieve the list of etcd endpoints: unable to list the pods of etcd in {KUBE_SYSTEM}: {0}"
    )]
    Api(#[from] ApiError),
    /// There are none.
    #[error(
        "could not retrieve the list of etcd endpoints: {KUBE_SYSTEM} has no pod with the labels {LABELS} that tells where \
         it serves; does etcd run on the control-plane nodes, as static pods made by kubeadm?"
    )]
    NoPods,
}

/// The labels of etcd's static pods.
const LABELS: &str = "component=etcd,tier=control-plane";

/// The client URL of every member with a pod, in order of the pods. Pods appear a moment after their member runs, so
/// they are waited for within the limit.
///
/// # Errors
/// See [`EndpointsError`].
pub async fn find(api: &dyn Api, clock: &dyn Clock, limit: Duration) -> Result<Vec<String>, EndpointsError> {
    let selector = Selector { labels: Some(LABELS.to_owned()), fields: None };
    let ask = || async {
        let pods = api.list(PODS, KUBE_SYSTEM, &selector).await?;
        let urls: Vec<String> = pods.iter().filter_map(client_url).collect();
        if urls.is_empty() { Err(EndpointsError::NoPods) } else { Ok(urls) }
    };
    let again = |error: &EndpointsError| match error {
        EndpointsError::Api(error) => error.is_transient(),
        EndpointsError::NoPods => true,
    };
    retry(clock, limit, ask, again).await
}

/// The first URL of a pod's annotation, or of its argument before releases wrote the annotation.
fn client_url(pod: &Value) -> Option<String> {
    let told = pod["metadata"]["annotations"][ENDPOINT_ANNOTATION].as_str();
    let urls = told.or_else(|| argument(pod, "advertise-client-urls"))?;
    let first = urls.split(',').next()?.trim();
    (!first.is_empty()).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_tells_by_its_annotation_or_its_argument() {
        let command = ["etcd", "--advertise-client-urls=https://192.0.2.1:2379,https://192.0.2.2:2379"];
        let mut pod = json!({"spec": {"containers": [{"command": command}]}});
        assert_eq!(client_url(&pod).as_deref(), Some("https://192.0.2.1:2379"));
        pod["metadata"]["annotations"][ENDPOINT_ANNOTATION] = json!("https://192.0.2.9:2379");
        assert_eq!(client_url(&pod).as_deref(), Some("https://192.0.2.9:2379"));
        assert_eq!(client_url(&json!({})), None);
    }
}
