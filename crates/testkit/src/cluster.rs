//! An API server in memory: objects by path, and the few things a real one does by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kubeadm_engine::ports::{Access, Api, ApiError, Cluster, Selector, WriteApi};
use kubeadm_engine::resource::{NODES, Resource};
use serde_json::{Value, json};

/// A cluster. Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryCluster {
    objects: Arc<Mutex<BTreeMap<String, (Resource, Value)>>>,
    /// Every write, as `VERB path`.
    log: Arc<Mutex<Vec<String>>>,
    /// Number of writes after which every further one fails.
    budget: Arc<Mutex<Option<usize>>>,
}

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

    /// Lets only so many further writes succeed.
    pub fn stop_after(&self, writes: Option<usize>) {
        *self.budget.lock().expect("no test panics with the lock") = writes;
    }

    fn wrote(&self, verb: &str, path: &str) -> Result<(), ApiError> {
        let mut budget = self.budget.lock().expect("no test panics with the lock");
        match budget.as_mut() {
            Some(0) => return Err(ApiError::Invalid("killed".into())),
            Some(left) => *left -= 1,
            None => {}
        }
        self.log.lock().expect("no test panics with the lock").push(format!("{verb} {path}"));
        Ok(())
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
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

impl Cluster for MemoryCluster {
    fn reader(&self, _: &Access) -> Arc<dyn Api> {
        Arc::new(self.clone())
    }
    fn writer(&self, _: &Access) -> Arc<dyn WriteApi> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Api for MemoryCluster {
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        Ok(self.object(resource, namespace, name))
    }

    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        let objects = self.objects.lock().expect("no test panics with the lock");
        let here = |o: &Value| namespace.is_empty() || o["metadata"]["namespace"] == namespace;
        Ok(objects
            .values()
            .filter(|(r, o)| *r == resource && here(o) && selector.matches_labels(o))
            .map(|(_, o)| o.clone())
            .collect())
    }

    async fn get_path(&self, _: &str) -> Result<String, ApiError> {
        Ok("ok".into())
    }
}

#[async_trait]
impl WriteApi for MemoryCluster {
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let path = path_of(resource, object);
        if self.objects.lock().expect("no test panics with the lock").contains_key(&path) {
            return Err(ApiError::AlreadyExists(format!("{path} already exists")));
        }
        self.wrote("CREATE", &path)?;
        let mut object = object.clone();
        object["metadata"]["uid"] = json!(format!("uid-{path}"));
        object["metadata"]["resourceVersion"] = json!("1");
        self.put(resource, &path, object.clone());
        Ok(object)
    }

    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let path = path_of(resource, object);
        if !self.objects.lock().expect("no test panics with the lock").contains_key(&path) {
            return Err(ApiError::NotFound(format!("{path} not found")));
        }
        self.wrote("UPDATE", &path)?;
        self.put(resource, &path, object.clone());
        Ok(object.clone())
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        let path = resource.path(namespace, Some(name));
        let mut object = self
            .object(resource, namespace, name)
            .ok_or_else(|| ApiError::NotFound(format!("{path} not found")))?;
        self.wrote("PATCH", &path)?;
        merge(&mut object, patch);
        self.put(resource, &path, object.clone());
        Ok(object)
    }

    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let path = resource.path(namespace, Some(name));
        self.wrote("DELETE", &path)?;
        Ok(self.objects.lock().expect("no test panics with the lock").remove(&path).is_some())
    }
}
