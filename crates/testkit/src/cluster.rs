//! An API server in memory: objects by path, and the few things a real one does by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kubeadm_engine::ports::{Access, Api, ApiError, Cluster, Selector, WriteApi, WriteCluster};
use kubeadm_engine::resource::{JOBS, NODES, Resource};
use serde_json::{Value, json};

/// A cluster. Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryCluster {
    objects: Arc<Mutex<BTreeMap<String, (Resource, Value)>>>,
    /// Every write, as `VERB path`.
    log: Arc<Mutex<Vec<String>>>,
    /// The kubeconfig of administrators who may do nothing before their group is bound.
    unbound: Arc<Mutex<Option<PathBuf>>>,
    /// What requests for objects of a kind are refused with, and how many more of them.
    refusal: Arc<Mutex<Option<(Resource, ApiError, usize)>>>,
    /// The path of an object that nobody may read.
    hidden: Arc<Mutex<Option<String>>>,
    /// The version that the API server tells.
    version: Arc<Mutex<String>>,
    /// What health endpoints answer.
    health: Arc<Mutex<Option<ApiError>>>,
    /// The kubeconfig of this client; empty for the tests' own.
    kubeconfig: PathBuf,
}

/// What gives administrators their rights.
const BINDING: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm:cluster-admins";

impl MemoryCluster {
    /// An object.
    pub fn object(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        let path = resource.path(namespace, Some(name));
        self.objects.lock().expect("no test panics with the lock").get(&path).map(|(_, o)| o.clone())
    }

    /// Every object by path.
    pub fn objects(&self) -> BTreeMap<String, Value> {
        let objects = self.objects.lock().expect("no test panics with the lock");
        objects.iter().map(|(path, (_, o))| (path.clone(), o.clone())).collect()
    }

    /// Every write so far.
    pub fn writes(&self) -> Vec<String> {
        self.log.lock().expect("no test panics with the lock").clone()
    }

    /// Registers a node, as its kubelet does.
    pub fn register(&self, name: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {},
        });
        let mut objects = self.objects.lock().expect("no test panics with the lock");
        objects.insert(NODES.path("", Some(name)), (NODES, node));
    }

    /// Puts an object there that is not the program's work.
    pub fn place(&self, resource: Resource, object: Value) {
        self.put(resource, &path_of(resource, &object), object);
    }

    /// Takes an object away, as somebody else does.
    pub fn take_away(&self, resource: Resource, namespace: &str, name: &str) {
        let path = resource.path(namespace, Some(name));
        self.objects.lock().expect("no test panics with the lock").remove(&path);
    }

    /// A cluster with the same objects, which answers every request.
    pub fn fork(&self) -> Self {
        let objects = self.objects.lock().expect("no test panics with the lock").clone();
        Self { objects: Arc::new(Mutex::new(objects)), ..Self::default() }
    }

    /// Refuses every request made with a kubeconfig until the binding of the administrators' group exists.
    pub fn require_binding(&self, kubeconfig: &str) {
        *self.unbound.lock().expect("no test panics with the lock") = Some(kubeconfig.into());
    }

    /// Has every request for objects of a kind refused.
    pub fn refuse(&self, resource: Resource, error: ApiError) {
        self.refuse_times(resource, error, usize::MAX);
    }

    /// Has the next requests for objects of a kind refused.
    pub fn refuse_times(&self, resource: Resource, error: ApiError, times: usize) {
        *self.refusal.lock().expect("no test panics with the lock") = Some((resource, error, times));
    }

    /// Has every request for one object refused.
    pub fn hide(&self, resource: Resource, namespace: &str, name: &str) {
        let path = resource.path(namespace, Some(name));
        *self.hidden.lock().expect("no test panics with the lock") = Some(path);
    }

    /// Has the API server tell a version.
    pub fn serve_version(&self, version: &str) {
        *self.version.lock().expect("no test panics with the lock") = version.to_owned();
    }

    /// Has health endpoints fail, or answer again.
    pub fn set_health(&self, error: Option<ApiError>) {
        *self.health.lock().expect("no test panics with the lock") = error;
    }

    fn client(&self, access: &Access) -> Arc<Self> {
        let kubeconfig = access.kubeconfig.file().map(Into::into).unwrap_or_default();
        Arc::new(Self { kubeconfig, ..self.clone() })
    }

    fn allowed(&self, resource: Resource) -> Result<(), ApiError> {
        if let Some((refused, error, times)) =
            &mut *self.refusal.lock().expect("no test panics with the lock")
            && *refused == resource
            && *times > 0
        {
            *times -= 1;
            return Err(error.clone());
        }
        let unbound = self.unbound.lock().expect("no test panics with the lock").clone();
        let bound = self.objects.lock().expect("no test panics with the lock").contains_key(BINDING);
        match unbound {
            Some(kubeconfig) if kubeconfig == self.kubeconfig && !bound => {
                Err(ApiError::Forbidden("User \"kubernetes-admin\" cannot do that".into()))
            }
            _ => Ok(()),
        }
    }

    fn wrote(&self, verb: &str, path: &str) {
        self.log.lock().expect("no test panics with the lock").push(format!("{verb} {path}"));
    }

    fn put(&self, resource: Resource, path: &str, object: Value) {
        let mut objects = self.objects.lock().expect("no test panics with the lock");
        objects.insert(path.to_owned(), (resource, object));
    }
}

fn path_of(resource: Resource, object: &Value) -> String {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    resource.path(namespace, metadata["name"].as_str())
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                match value {
                    Value::Null => drop(into.remove(key)),
                    value => merge(into.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

impl Cluster for MemoryCluster {
    fn reader(&self, access: &Access) -> Arc<dyn Api> {
        self.client(access)
    }
}

impl WriteCluster for MemoryCluster {
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi> {
        self.client(access)
    }
}

#[async_trait]
impl Api for MemoryCluster {
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        self.allowed(resource)?;
        let path = resource.path(namespace, Some(name));
        if self.hidden.lock().expect("no test panics with the lock").as_ref() == Some(&path) {
            return Err(ApiError::Forbidden(format!("{path} is not for you")));
        }
        Ok(self.object(resource, namespace, name))
    }

    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        self.allowed(resource)?;
        let objects = self.objects.lock().expect("no test panics with the lock");
        let here = |o: &Value| namespace.is_empty() || o["metadata"]["namespace"] == namespace;
        Ok(objects
            .values()
            .filter(|(r, o)| *r == resource && here(o) && selector.matches_labels(o))
            .map(|(_, o)| o.clone())
            .collect())
    }

    async fn get_path(&self, path: &str) -> Result<String, ApiError> {
        if path == "/version" {
            let version = self.version.lock().expect("no test panics with the lock").clone();
            return Ok(json!({"gitVersion": version}).to_string());
        }
        let failing = self.health.lock().expect("no test panics with the lock").clone();
        failing.map_or(Ok("ok".into()), Err)
    }
}

#[async_trait]
impl WriteApi for MemoryCluster {
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        self.allowed(resource)?;
        let path = path_of(resource, object);
        if self.objects.lock().expect("no test panics with the lock").contains_key(&path) {
            return Err(ApiError::AlreadyExists(format!("{path} already exists")));
        }
        self.wrote("CREATE", &path);
        let mut object = object.clone();
        object["metadata"]["uid"] = json!(format!("uid-{path}"));
        object["metadata"]["resourceVersion"] = json!("1");
        if resource == JOBS {
            object["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        }
        self.put(resource, &path, object.clone());
        Ok(object)
    }

    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        self.allowed(resource)?;
        let path = path_of(resource, object);
        let current = self.objects.lock().expect("no test panics with the lock").get(&path).cloned();
        let Some((_, current)) = current else {
            return Err(ApiError::NotFound(format!("{path} not found")));
        };
        self.wrote("UPDATE", &path);
        let mut object = object.clone();
        object["metadata"]["uid"] = current["metadata"]["uid"].clone();
        object["metadata"]["resourceVersion"] = json!("2");
        // The server's own field, where a test has placed it.
        if let Some(generation) = current["metadata"].get("generation") {
            object["metadata"]["generation"] = generation.clone();
        }
        // An update is of what is wanted; what is the case stays.
        if let Some(status) = current.get("status") {
            object["status"] = status.clone();
        }
        self.put(resource, &path, object.clone());
        Ok(object)
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        self.allowed(resource)?;
        let path = resource.path(namespace, Some(name));
        let mut object = self
            .object(resource, namespace, name)
            .ok_or_else(|| ApiError::NotFound(format!("{path} not found")))?;
        self.wrote("PATCH", &path);
        merge(&mut object, patch);
        self.put(resource, &path, object.clone());
        Ok(object)
    }

    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError> {
        self.allowed(resource)?;
        let path = resource.path(namespace, Some(name));
        self.wrote("DELETE", &path);
        Ok(self.objects.lock().expect("no test panics with the lock").remove(&path).is_some())
    }
}
