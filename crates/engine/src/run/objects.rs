//! Objects of the cluster: how one is created or changed, and how a refusal that will pass is told from one that stays.
//! cmd/kubeadm/app/util/apiclient/idempotency.go.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{ActionError, Executor};
use crate::backoff::{Backoff, retry};
use crate::dryrun::identity;
use crate::objects::KUBE_SYSTEM;
use crate::plan::{Apply, NodeMarks};
use crate::ports::*;
use crate::resource::{CLUSTER_ROLE_BINDINGS, DEPLOYMENTS, NODES, Resource};

impl Executor<'_> {
    pub(super) async fn apply(
        &self,
        how: Apply,
        resource: Resource,
        object: &Value,
    ) -> Result<(), ActionError> {
        let (namespace, name) = identity(object);
        let api = &*self.api;
        let object = &self.with_owners(object).await?;
        let create = || self.retry("create", resource, namespace, name, || api.create(resource, object));
        let update = || self.retry("update", resource, namespace, name, || api.update(resource, object));
        let get = || self.retry("get", resource, namespace, name, || api.get(resource, namespace, name));
        let exists =
            |e: &ActionError| matches!(e, ActionError::Api { source: ApiError::AlreadyExists(_), .. });
        match how {
            Apply::CreateOnly => create().await.map(drop),
            Apply::CreateOrUpdate => match create().await {
                Err(error) if exists(&error) => {
                    // A service keeps its cluster IP and version: an update without them is refused.
                    let current = get().await?;
                    let object = carry_over(resource, object, current.as_ref());
                    self.retry("update", resource, namespace, name, || api.update(resource, &object))
                        .await
                        .map(drop)
                }
                other => other.map(drop),
            },
            Apply::CreateOrMerge => match create().await {
                Err(error) if exists(&error) => self
                    .retry("update", resource, namespace, name, || async {
                        let mut current = api.get(resource, namespace, name).await?.unwrap_or_default();
                        merge_data(&mut current, object);
                        api.update(resource, &current).await
                    })
                    .await
                    .map(drop),
                other => other.map(drop),
            },
            Apply::CreateOrRetain => match get().await? {
                Some(_) => Ok(()),
                None => match create().await {
                    Err(error) if exists(&error) => Ok(()),
                    other => other.map(drop),
                },
            },
            Apply::GetThenCreateOrUpdate => match get().await? {
                Some(_) => update().await.map(drop),
                None => create().await.map(drop),
            },
        }
    }

    /// Fills in the uids of an object's owners. A plan cannot know them: the step before may have made the owner.
    async fn with_owners(&self, object: &Value) -> Result<Value, ActionError> {
        let mut object = object.clone();
        let namespace = identity(&object).0.to_owned();
        for owner in
            object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let Some(resource) = Resource::of(owner).filter(|_| owner["uid"] == "") else { continue };
            let name = owner["name"].as_str().unwrap_or_default().to_owned();
            let get = || self.api.get(resource, &namespace, &name);
            let found = self.retry("get", resource, &namespace, &name, get).await?.unwrap_or_default();
            if let Some(uid) = found["metadata"]["uid"].as_str() {
                owner["uid"] = json!(uid);
            }
        }
        Ok(object)
    }

    /// Repeats a request with growing pauses while that may help, within the limit for one API operation. RBAC and
    /// namespaces of a young cluster appear a moment after its API server answers.
    async fn retry<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        verb: &'static str,
        resource: Resource,
        namespace: &str,
        name: &str,
        request: impl Fn() -> F,
    ) -> Result<T, ActionError> {
        let mut tries = Backoff::start(&*self.fx.clock);
        loop {
            let outcome = request().await;
            let limit = self.context.api_limit;
            let hope = match &outcome {
                Err(ApiError::Forbidden(_)) => tries.refused() < limit.min(RBAC_LIMIT),
                Err(ApiError::NotFound(_)) if verb == "create" => tries.waited() < limit,
                Err(error) => error.is_transient() && tries.waited() < limit,
                Ok(_) => false,
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) if hope => {
                    tracing::debug!(verb, resource = resource.plural, name, %error, "trying again");
                }
                Err(source) => {
                    let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
                    let object = format!("{} {place}{name}", resource.kind);
                    return Err(ActionError::Api { verb, object, source });
                }
            }
            tries.pause().await;
        }
    }

    pub(super) async fn replace_deployment(
        &self,
        old: &'static str,
        new: &'static str,
        limit: Duration,
    ) -> Result<(), ActionError> {
        let api = &*self.api;
        let ready = || async {
            let found = api.get(DEPLOYMENTS, KUBE_SYSTEM, new).await.map_err(|e| e.to_string())?;
            let status = found.map(|found| found["status"].clone()).unwrap_or_default();
            match status["readyReplicas"].as_u64() {
                Some(1..) => Ok(()),
                _ => Err(format!("its status is {status}")),
            }
        };
        retry(&*self.fx.clock, limit, ready, |_| true)
            .await
            .map_err(|reason| ActionError::NotReady { name: new, reason })?;
        self.delete_deployment(old).await
    }

    pub(super) async fn delete_deployment(&self, name: &str) -> Result<(), ActionError> {
        let delete = || self.api.delete(DEPLOYMENTS, KUBE_SYSTEM, name);
        self.retry("delete", DEPLOYMENTS, KUBE_SYSTEM, name, delete).await.map(drop)
    }

    pub(super) async fn mark(&self, marks: &NodeMarks) -> Result<(), ActionError> {
        let NodeMarks { name, labels, annotations, taints, without, config_source } = marks;
        let api = &*self.api;
        // A merge patch takes away what it says is null.
        let marked = |given: &[(String, String)], gone: &[String]| {
            let given = given.iter().map(|(key, value)| (key.clone(), json!(value)));
            given.chain(gone.iter().map(|key| (key.clone(), Value::Null))).collect::<Map<_, _>>()
        };
        let metadata = [
            ("labels", marked(labels, &without.labels)),
            ("annotations", marked(annotations, &without.annotations)),
        ];
        // The kubelet registers the node and labels it with its host name; until then there is nothing to patch.
        // A node that never gets there is an error: upstream reports success (quirk 9).
        self.retry("patch", NODES, "", name, || async {
            let node = api.get(NODES, "", name).await?;
            let node =
                node.ok_or_else(|| ApiError::Unreachable(format!("node {name:?} has not registered")))?;
            if node["metadata"]["labels"]["kubernetes.io/hostname"].is_null() {
                let text = format!("node {name:?} has no label kubernetes.io/hostname yet");
                return Err(ApiError::Unreachable(text));
            }
            let mut patch = json!({});
            for (field, marks) in metadata.iter().filter(|(_, marks)| !marks.is_empty()) {
                patch["metadata"][field] = Value::Object(marks.clone());
            }
            let others = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
            let mut wanted = taints.to_vec();
            wanted.extend(others.into_iter().filter(|t| !taints.contains(t) && !without.taints.contains(t)));
            if !(taints.is_empty() && without.taints.is_empty()) {
                patch["spec"]["taints"] = Value::Array(wanted);
            }
            if let Some(source) = config_source {
                patch["spec"]["configSource"] = source.clone();
            }
            api.patch(NODES, "", name, &patch).await
        })
        .await
        .map(drop)
    }

    /// cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go: EnsureAdminClusterRoleBinding.
    pub(super) async fn bind_admin(&self, binding: &Value, super_admin: &Path) -> Result<(), ActionError> {
        let path = self.context.access.kubeconfig.path();
        let failed = |reason: String| ActionError::BindAdmin { path: path.to_owned(), reason };
        let mut tries = Backoff::start(&*self.fx.clock);
        let breakglass = self.fx.files.exists(super_admin).then(|| {
            self.fx.cluster.writer(&Access { kubeconfig: super_admin.into(), ..self.context.access.clone() })
        });
        let mut as_super = false;
        loop {
            let api = match &breakglass {
                Some(api) if as_super => &**api,
                _ => &*self.api,
            };
            match api.create(CLUSTER_ROLE_BINDINGS, binding).await {
                Ok(_) | Err(ApiError::AlreadyExists(_)) => return Ok(()),
                Err(ApiError::Forbidden(_)) if !as_super && breakglass.is_some() => {
                    as_super = true;
                    continue;
                }
                Err(ApiError::Forbidden(_)) if breakglass.is_none() => {
                    let name = identity(binding).1;
                    let file = super_admin.display();
                    return Err(failed(format!(
                        "the ClusterRoleBinding {name} is missing and {file} does not exist to create it"
                    )));
                }
                Err(error)
                    if tries.waited() >= self.context.api_limit
                        || matches!(error, ApiError::Unauthorized { .. }) =>
                {
                    return Err(failed(format!("unable to create ClusterRoleBinding: {error}")));
                }
                Err(error) => tracing::debug!(%error, "binding the administrators: trying again"),
            }
            tries.pause().await;
        }
    }
}

/// How long a refusal may be that of a cluster whose roles are still being made.
const RBAC_LIMIT: Duration = Duration::from_secs(10);

/// Sets our `data` keys in an object that exists and keeps the others.
fn merge_data(current: &mut Value, ours: &Value) {
    for (key, value) in ours["data"].as_object().into_iter().flatten() {
        current["data"][key] = value.clone();
    }
}

/// Takes over from an existing Service what the API server set and refuses to see changed.
fn carry_over(resource: Resource, object: &Value, current: Option<&Value>) -> Value {
    let mut object = object.clone();
    if let (crate::resource::SERVICES, Some(current)) = (resource, current) {
        object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
    }
    object
}
