//! The dry run: real ports for looking, an overlay for touching.
//!
//! Phases and executor are those of a real run; [`crate::run`] says what the executor does otherwise. What they write goes
//! to a folder of its own and is remembered, so that later reads see it; API writes are printed and kept in memory. The
//! folder holds what would be written, flat as upstream has it: certificates at its top, `etcd/` below, everything else by
//! file name.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubeadm_pki::{KeyAlgorithm, KeyError, KeySource, PrivateKey};
use serde_json::{Value, json};

use crate::objects::tokens;
use crate::ports::*;
use crate::resource::{NODES, Resource, SECRETS};
use crate::spec::Layout;

/// Lays the dry run over real ports. Everything written lands in the folder of `layout`.
pub fn over(real: &Effects, layout: &Layout) -> Effects {
    let files = Arc::new(DryFiles {
        real: real.files.clone(),
        layout: layout.clone(),
        written: Mutex::default(),
        removed: Mutex::default(),
    });
    Effects {
        files,
        cluster: Arc::new(DryCluster {
            real: real.cluster.clone(),
            real_files: real.files.clone(),
            output: real.output.clone(),
            objects: Arc::default(),
            silent: Arc::default(),
        }),
        etcds: Arc::new(DryEtcds(real.etcds.clone())),
        services: Arc::new(DryServices(real.services.clone())),
        runtimes: Arc::new(DryRuntimes(real.runtimes.clone())),
        keys: Arc::new(DryKeys { real: real.keys.clone(), made: Mutex::default() }),
        output: Arc::new(DryOutput(real.output.clone())),
        ..real.clone()
    }
}

// --- output ---------------------------------------------------------------------------------------------------

struct DryOutput(Arc<dyn Output>);

impl Progress for DryOutput {
    fn progress(&self, text: &str) {
        self.0.progress(text);
    }
}

impl Output for DryOutput {
    fn say(&self, text: &str) {
        self.0.say(text);
    }
    fn warn(&self, text: &str) {
        self.0.warn(text);
    }
    fn note(&self, text: &str) {
        self.0.note(text);
    }
    /// Nothing is done that anybody would have to agree to.
    fn confirm(&self, _: &str) -> bool {
        true
    }
}

// --- keys -----------------------------------------------------------------------------------------------------

/// One key of a kind for everything that needs one. What a dry run writes is for looking at, and making sixteen RSA keys
/// would be nine tenths of its work.
struct DryKeys {
    real: Arc<dyn KeySource>,
    made: Mutex<Vec<(KeyAlgorithm, PrivateKey)>>,
}

impl KeySource for DryKeys {
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        let mut made = lock(&self.made);
        if let Some((_, key)) = made.iter().find(|(of, _)| *of == algorithm) {
            return Ok(key.clone());
        }
        let key = self.real.generate(algorithm)?;
        made.push((algorithm, key.clone()));
        Ok(key)
    }
}

// --- files ----------------------------------------------------------------------------------------------------

struct DryFiles {
    real: Arc<dyn WriteFiles>,
    layout: Layout,
    /// By the path it would have: where it lies now.
    written: Mutex<BTreeMap<PathBuf, PathBuf>>,
    removed: Mutex<BTreeSet<PathBuf>>,
}

impl DryFiles {
    /// Where a path is to be looked for, `None` if the plan removed it.
    fn now(&self, path: &Path) -> Option<PathBuf> {
        if let Some(at) = lock(&self.written).get(path) {
            return Some(at.clone());
        }
        (!lock(&self.removed).iter().any(|gone| path.starts_with(gone))).then(|| path.to_owned())
    }
}

impl Files for DryFiles {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.now(path).map_or(Ok(None), |p| self.real.read(&p))
    }
    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
        self.now(path).map_or(Ok(None), |p| self.real.stat(&p))
    }
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError> {
        let mut names: BTreeSet<String> =
            self.now(dir).map_or(Ok(None), |p| self.real.list(&p))?.into_iter().flatten().collect();
        let written = lock(&self.written);
        names.extend(
            written.keys().filter_map(|p| {
                Some(p.strip_prefix(dir).ok()?.iter().next()?.to_string_lossy().into_owned())
            }),
        );
        let known = self.real.exists(dir) || !names.is_empty();
        Ok(known.then(|| names.into_iter().collect()))
    }
}

impl WriteFiles for DryFiles {
    fn write_all(&self, files: &[NewFile]) -> Result<(), FileError> {
        // A workflow that only removes has no folder: the one file that it shortens is not worth one.
        if self.layout.landing.is_none() {
            return Ok(());
        }
        let landed = files.iter().map(|f| NewFile { path: self.layout.shown(&f.path), ..f.clone() });
        let landed: Vec<NewFile> = landed.collect();
        self.real.write_all(&landed)?;
        let places = files.iter().zip(landed).map(|(file, at)| (file.path.clone(), at.path));
        lock(&self.written).extend(places);
        Ok(())
    }
    fn reappear(&self, _: &Path) -> Result<(), FileError> {
        Ok(())
    }
    /// The file itself stays, and in the folder its copy would lie where the new one is to be.
    fn back_up(&self, _: &Path, _: &Path) -> Result<(), FileError> {
        Ok(())
    }
    fn create_dir(&self, _: &Path, _: u32) -> Result<(), FileError> {
        Ok(())
    }
    fn remove(&self, path: &Path) -> Result<(), FileError> {
        lock(&self.written).retain(|p, _| !p.starts_with(path));
        lock(&self.removed).insert(path.to_owned());
        Ok(())
    }
    fn unmount(&self, _: &Path, _: &[UnmountFlag]) -> Result<(), FileError> {
        Ok(())
    }
    fn set_owner(&self, _: &Path, _: Owner, _: Option<u32>) -> Result<(), FileError> {
        Ok(())
    }
}

// --- services and runtime -------------------------------------------------------------------------------------

struct DryServices(Arc<dyn WriteServices>);

#[async_trait]
impl Services for DryServices {
    fn init_system(&self) -> Result<InitSystem, ServiceError> {
        self.0.init_system()
    }
    async fn exists(&self, service: &str) -> bool {
        self.0.exists(service).await
    }
    async fn enabled(&self, service: &str) -> bool {
        self.0.enabled(service).await
    }
    async fn active(&self, service: &str) -> bool {
        self.0.active(service).await
    }
    async fn state(&self, service: &str) -> ServiceState {
        self.0.state(service).await
    }
    async fn journal(&self, service: &str, lines: usize) -> Vec<String> {
        self.0.journal(service, lines).await
    }
    fn enable_command(&self, service: &str) -> String {
        self.0.enable_command(service)
    }
}

#[async_trait]
impl WriteServices for DryServices {
    async fn stop(&self, _: &str) -> Result<(), ServiceError> {
        Ok(())
    }
    async fn restart(&self, _: &str) -> Result<(), ServiceError> {
        Ok(())
    }
}

struct DryRuntimes(Arc<dyn Runtimes>);

impl Runtimes for DryRuntimes {
    fn reader(&self, socket: &str) -> Arc<dyn Runtime> {
        self.0.reader(socket)
    }
    fn writer(&self, socket: &str) -> Arc<dyn WriteRuntime> {
        Arc::new(DryRuntime(self.0.reader(socket)))
    }
    fn answers(&self, socket: &str) -> bool {
        self.0.answers(socket)
    }
}

struct DryRuntime(Arc<dyn Runtime>);

#[async_trait]
impl Runtime for DryRuntime {
    fn socket(&self) -> &str {
        self.0.socket()
    }
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        self.0.status().await
    }
    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        self.0.cgroup_driver().await
    }
    /// A real run would have pulled it by the time that anybody asks; and a dry run needs no runtime.
    async fn image_present(&self, _: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        self.0.containers().await
    }
    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError> {
        self.0.pod_sandboxes().await
    }
    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, RuntimeError> {
        self.0.log_tail(id, lines).await
    }
    async fn changed(&self, max: Duration) {
        self.0.changed(max).await;
    }
}

#[async_trait]
impl WriteRuntime for DryRuntime {
    async fn pull(&self, _: &str) -> Result<(), RuntimeError> {
        Ok(())
    }
    async fn stop_container(&self, _: &str, _: Duration) -> Result<(), RuntimeError> {
        Ok(())
    }
    async fn remove_pod_sandbox(&self, _: &str) -> Result<(), RuntimeError> {
        Ok(())
    }
}

// --- etcd -----------------------------------------------------------------------------------------------------

struct DryEtcds(Arc<dyn WriteEtcds>);

impl Etcds for DryEtcds {
    fn reader(&self, access: &EtcdAccess) -> Arc<dyn Etcd> {
        self.0.reader(access)
    }
}

impl WriteEtcds for DryEtcds {
    fn writer(&self, access: &EtcdAccess) -> Arc<dyn WriteEtcd> {
        Arc::new(DryEtcd { real: self.0.reader(access), added: Mutex::default(), removed: Mutex::default() })
    }
}

struct DryEtcd {
    real: Arc<dyn Etcd>,
    /// Members as they will be once they have started. Nothing starts in a dry run, but later steps need one.
    added: Mutex<Vec<Member>>,
    removed: Mutex<BTreeSet<u64>>,
}

#[async_trait]
impl Etcd for DryEtcd {
    async fn members(&self) -> Result<Vec<Member>, EtcdError> {
        let mut members = self.real.members().await?;
        members.retain(|m| !lock(&self.removed).contains(&m.id));
        members.extend(lock(&self.added).iter().cloned());
        Ok(members)
    }
    async fn status(&self, endpoint: &str) -> Result<MemberStatus, EtcdError> {
        self.real.status(endpoint).await
    }
}

#[async_trait]
impl WriteEtcd for DryEtcd {
    async fn add_learner(&self, peer_url: &str) -> Result<(Member, Vec<Member>), EtcdError> {
        let mut members = self.members().await?;
        // etcd's own ids are never 0.
        let added = Member {
            id: 0,
            name: String::new(),
            peer_urls: vec![peer_url.to_owned()],
            client_urls: Vec::new(),
            learner: true,
        };
        members.push(added.clone());
        lock(&self.added).push(Member { name: peer_url.to_owned(), learner: false, ..added.clone() });
        Ok((added, members))
    }
    async fn promote(&self, _: u64) -> Result<(), EtcdError> {
        Ok(())
    }
    async fn remove(&self, id: u64) -> Result<bool, EtcdError> {
        let there = self.members().await?.iter().any(|m| m.id == id);
        lock(&self.added).retain(|m| m.id != id);
        lock(&self.removed).insert(id);
        Ok(there)
    }
    async fn move_leader(&self, _: &str, _: u64) -> Result<(), EtcdError> {
        Ok(())
    }
    async fn snapshot(&self, endpoint: &str, _: &Path) -> Result<u64, EtcdError> {
        Ok(self.real.status(endpoint).await?.db_size)
    }
}

// --- cluster --------------------------------------------------------------------------------------------------

type Key = (Resource, String, String);
/// Objects written by the plan; `None` marks one it deleted.
type Objects = Arc<Mutex<BTreeMap<String, (Key, Option<Value>)>>>;

struct DryCluster {
    real: Arc<dyn WriteCluster>,
    real_files: Arc<dyn WriteFiles>,
    output: Arc<dyn Output>,
    objects: Objects,
    silent: Silent,
}

/// Ways of access that lead to no answer. They are not tried again: each try may last until its time-out, and there
/// is nothing in a dry run that would change the outcome.
type Silent = Arc<Mutex<HashSet<Access>>>;

impl DryCluster {
    fn client(&self, access: &Access) -> DryApi {
        DryApi {
            real: self.real.reader(access),
            files: self.real_files.clone(),
            access: access.clone(),
            output: self.output.clone(),
            objects: self.objects.clone(),
            silent: self.silent.clone(),
        }
    }
}

impl Cluster for DryCluster {
    fn reader(&self, access: &Access) -> Arc<dyn Api> {
        Arc::new(self.client(access))
    }
}

impl WriteCluster for DryCluster {
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi> {
        Arc::new(self.client(access))
    }
}

struct DryApi {
    real: Arc<dyn Api>,
    files: Arc<dyn WriteFiles>,
    access: Access,
    output: Arc<dyn Output>,
    objects: Objects,
    silent: Silent,
}

impl DryApi {
    /// The cluster, unless there is none that answers. A kubeconfig that only the plan has written leads to none.
    fn real(&self) -> Option<&dyn Api> {
        let there = self.access.kubeconfig.file().is_none_or(|file| self.files.exists(file));
        (there && !lock(&self.silent).contains(&self.access)).then_some(&*self.real)
    }

    /// What the cluster answered. Without an answer it counts as empty, and that is said; but a stranger that answers in
    /// its place is an error, as it is in a real run.
    fn answered<T>(&self, answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
        let error = match answer {
            Ok(found) => return Ok(Some(found)),
            Err(ApiError::NotFound(_)) => return Ok(None),
            Err(error @ ApiError::Untrusted(_)) => return Err(error),
            Err(error) => error,
        };
        let hopeless = matches!(
            error,
            ApiError::Unreachable(_)
                | ApiError::UnknownHost(_)
                | ApiError::Unauthorized { .. }
                | ApiError::Kubeconfig { .. }
        );
        if !hopeless {
            self.output.warn(&format!("[dryrun] going on as if the object did not exist: {error}"));
        } else if lock(&self.silent).insert(self.access.clone()) {
            self.output.warn(&format!("[dryrun] going on as if the cluster were empty: {error}"));
        }
        Ok(None)
    }

    async fn real_object(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ApiError> {
        let Some(real) = self.real() else { return Ok(None) };
        Ok(self.answered(real.get(resource, namespace, name).await)?.flatten())
    }

    fn told(&self, verb: &str, resource: Resource, named: Option<(&str, &str)>, object: Option<&Value>) {
        let group = if resource.group.is_empty() { "core" } else { resource.group };
        let mut text = format!(
            "[dryrun] Would perform action {verb} on resource {:?} in API group \"{group}/{}\"",
            resource.plural, resource.version
        );
        if let Some((namespace, name)) = named {
            text += &format!("\n[dryrun] Resource name {name:?}, namespace {namespace:?}");
        }
        if let Some(object) = object {
            let object = readable(resource, object);
            text += &format!("\n[dryrun] Attached object:\n{}", kubeadm_yaml::to_string(&object));
        }
        self.output.say(&text);
    }

    fn missing(&self, verb: &str) {
        self.output.say(&format!(
            "[dryrun] Real object does not exist. Attempting to {verb} from followup reactors or from the fake client tracker"
        ));
    }

    fn put(&self, resource: Resource, namespace: &str, name: &str, object: Option<Value>) {
        let key = (resource, namespace.to_owned(), name.to_owned());
        lock(&self.objects).insert(resource.path(namespace, Some(name)), (key, object));
    }

    fn kept(&self, resource: Resource, namespace: &str, name: &str) -> Option<Option<Value>> {
        lock(&self.objects).get(&resource.path(namespace, Some(name))).map(|(_, o)| o.clone())
    }
}

/// An object as the reader may see it: Secrets without their values. Those of bootstrap tokens stay: they are what the user
/// gave or is told anyway.
fn readable(resource: Resource, object: &Value) -> Cow<'_, Value> {
    if resource != SECRETS || object["type"] == tokens::SECRET_TYPE {
        return Cow::Borrowed(object);
    }
    let mut blank = object.clone();
    for value in blank["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
        *value = Value::Null;
    }
    Cow::Owned(blank)
}

/// A node as it will have registered itself. There is no kubelet in a dry run, but later steps need one.
fn registered_node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
    })
}

#[async_trait]
impl Api for DryApi {
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        self.told("GET", resource, Some((namespace, name)), None);
        if let Some(kept) = self.kept(resource, namespace, name) {
            return Ok(kept);
        }
        if let Some(found) = self.real_object(resource, namespace, name).await? {
            return Ok(Some(found));
        }
        if resource == NODES {
            return Ok(Some(registered_node(name)));
        }
        self.missing("GET");
        Ok(None)
    }

    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        self.told("LIST", resource, None, None);
        let mut found = match self.real() {
            Some(real) => self.answered(real.list(resource, namespace, selector).await)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let name_of = |o: &Value| o["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        for (key, object) in lock(&self.objects).values() {
            if key.0 == resource && (namespace.is_empty() || key.1 == namespace) {
                found.retain(|o| name_of(o) != key.2);
                found.extend(object.clone().filter(|o| selector.matches_labels(o)));
            }
        }
        if found.is_empty() {
            self.missing("LIST");
        }
        Ok(found)
    }

    async fn get_path(&self, path: &str) -> Result<String, ApiError> {
        // Health is not asked for: what the plan starts does not run.
        match self.real() {
            Some(real) if path == "/version" => real.get_path(path).await,
            _ => Ok("ok".into()),
        }
    }
}

#[async_trait]
impl WriteApi for DryApi {
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let (namespace, name) = identity(object);
        let there = match self.kept(resource, namespace, name) {
            Some(kept) => kept.is_some(),
            None => self.real_object(resource, namespace, name).await?.is_some(),
        };
        if there {
            let text = format!("{} {name:?} already exists", resource.plural);
            return Err(ApiError::AlreadyExists(text));
        }
        self.told("CREATE", resource, None, Some(object));
        self.put(resource, namespace, name, Some(object.clone()));
        Ok(object.clone())
    }

    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let (namespace, name) = identity(object);
        self.told("UPDATE", resource, None, Some(object));
        self.put(resource, namespace, name, Some(object.clone()));
        Ok(object.clone())
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        self.told("PATCH", resource, Some((namespace, name)), Some(patch));
        Ok(patch.clone())
    }

    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError> {
        self.told("DELETE", resource, Some((namespace, name)), None);
        self.put(resource, namespace, name, None);
        Ok(true)
    }
}

/// Namespace and name of an object.
pub(crate) fn identity(object: &Value) -> (&str, &str) {
    let metadata = &object["metadata"];
    (metadata["namespace"].as_str().unwrap_or_default(), metadata["name"].as_str().unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
