//! A process that is killed: after a number of effects it does not get to the next one, nor to anything else.
//!
//! What a run does is counted here, whatever it does it to: files, objects, members of etcd, containers and services. The
//! kill unwinds the run's stack, which runs none of its code: an error would have it clean up, as `kill -9` does not.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kubeadm_engine::ports::*;
use kubeadm_engine::resource::Resource;
use serde_json::Value;

/// Runs something with effects that end after so many. Its result, or `None` if it was killed.
///
/// What takes several steps takes several effects: two files that are written together, a directory that is removed with
/// all it holds.
pub fn killed_after<T>(effects: usize, ports: &Effects, run: impl FnOnce(&Effects) -> T) -> Option<T> {
    let life = Life(Arc::new(AtomicUsize::new(effects)));
    let ports = Effects {
        files: life.of(&ports.files),
        cluster: life.of(&ports.cluster),
        etcds: life.of(&ports.etcds),
        runtimes: life.of(&ports.runtimes),
        services: life.of(&ports.services),
        ..ports.clone()
    };
    match catch_unwind(AssertUnwindSafe(|| run(&ports))) {
        Ok(outcome) => Some(outcome),
        Err(cause) if cause.is::<Killed>() => None,
        Err(cause) => resume_unwind(cause),
    }
}

/// What a killed run unwinds with.
struct Killed;

/// How many effects are left.
#[derive(Clone)]
struct Life(Arc<AtomicUsize>);

impl Life {
    fn of<T: ?Sized>(&self, port: &Arc<T>) -> Arc<Mortal<T>> {
        Arc::new(Mortal { port: Arc::clone(port), life: self.clone() })
    }

    /// Ends the run if its time has come.
    fn spend(&self) {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            // Unlike a panic this says nothing.
            resume_unwind(Box::new(Killed));
        }
    }
}

/// A port of a process that is going to be killed.
struct Mortal<T: ?Sized> {
    port: Arc<T>,
    life: Life,
}

impl<T: ?Sized> Mortal<T> {
    /// The port, for one more effect.
    fn change(&self) -> &T {
        self.life.spend();
        &self.port
    }
}

// --- files ----------------------------------------------------------------------------------------------------

impl Files for Mortal<dyn WriteFiles> {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.port.read(path)
    }
    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
        self.port.stat(path)
    }
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError> {
        self.port.list(dir)
    }
}

impl Mortal<dyn WriteFiles> {
    /// Does something to all that a directory holds.
    fn inside(&self, dir: &Path, act: impl Fn(&Path) -> Result<(), FileError>) -> Result<(), FileError> {
        self.list(dir)?.unwrap_or_default().iter().try_for_each(|name| act(&dir.join(name)))
    }
}

impl WriteFiles for Mortal<dyn WriteFiles> {
    fn write_all(&self, files: &[NewFile]) -> Result<(), FileError> {
        files.iter().try_for_each(|file| self.change().write(file))
    }
    fn reappear(&self, path: &Path) -> Result<(), FileError> {
        self.change().reappear(path)
    }
    fn create_dir(&self, path: &Path, mode: u32) -> Result<(), FileError> {
        if self.exists(path) {
            self.port.create_dir(path, mode)
        } else {
            self.change().create_dir(path, mode)
        }
    }
    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.inside(path, |inner| self.remove(inner))?;
        self.change().remove(path)
    }
    fn unmount(&self, path: &Path, flags: &[UnmountFlag]) -> Result<(), FileError> {
        self.change().unmount(path, flags)
    }
    fn set_owner(&self, path: &Path, owner: Owner, mode: Option<u32>) -> Result<(), FileError> {
        self.inside(path, |inner| self.set_owner(inner, owner, None))?;
        self.change().set_owner(path, owner, mode)
    }
}

// --- objects --------------------------------------------------------------------------------------------------

impl Cluster for Mortal<dyn WriteCluster> {
    fn reader(&self, access: &Access) -> Arc<dyn Api> {
        self.port.reader(access)
    }
}

impl WriteCluster for Mortal<dyn WriteCluster> {
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi> {
        self.life.of(&self.port.writer(access))
    }
}

#[async_trait]
impl Api for Mortal<dyn WriteApi> {
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        self.port.get(resource, namespace, name).await
    }
    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        self.port.list(resource, namespace, selector).await
    }
    async fn get_path(&self, path: &str) -> Result<String, ApiError> {
        self.port.get_path(path).await
    }
}

#[async_trait]
impl WriteApi for Mortal<dyn WriteApi> {
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        self.change().create(resource, object).await
    }
    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        self.change().update(resource, object).await
    }
    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        self.change().patch(resource, namespace, name, patch).await
    }
    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError> {
        self.change().delete(resource, namespace, name).await
    }
}

// --- etcd -----------------------------------------------------------------------------------------------------

impl Etcds for Mortal<dyn WriteEtcds> {
    fn reader(&self, access: &EtcdAccess) -> Arc<dyn Etcd> {
        self.port.reader(access)
    }
}

impl WriteEtcds for Mortal<dyn WriteEtcds> {
    fn writer(&self, access: &EtcdAccess) -> Arc<dyn WriteEtcd> {
        self.life.of(&self.port.writer(access))
    }
}

#[async_trait]
impl Etcd for Mortal<dyn WriteEtcd> {
    async fn members(&self) -> Result<Vec<Member>, EtcdError> {
        self.port.members().await
    }
    async fn status(&self, endpoint: &str) -> Result<MemberStatus, EtcdError> {
        self.port.status(endpoint).await
    }
}

#[async_trait]
impl WriteEtcd for Mortal<dyn WriteEtcd> {
    async fn add_learner(&self, peer_url: &str) -> Result<(Member, Vec<Member>), EtcdError> {
        self.change().add_learner(peer_url).await
    }
    async fn promote(&self, id: u64) -> Result<(), EtcdError> {
        self.change().promote(id).await
    }
    async fn remove(&self, id: u64) -> Result<bool, EtcdError> {
        self.change().remove(id).await
    }
    async fn move_leader(&self, endpoint: &str, to: u64) -> Result<(), EtcdError> {
        self.change().move_leader(endpoint, to).await
    }
    async fn snapshot(&self, endpoint: &str, to: &Path) -> Result<u64, EtcdError> {
        self.change().snapshot(endpoint, to).await
    }
}

// --- containers -----------------------------------------------------------------------------------------------

impl Runtimes for Mortal<dyn Runtimes> {
    fn reader(&self, socket: &str) -> Arc<dyn Runtime> {
        self.port.reader(socket)
    }
    fn writer(&self, socket: &str) -> Arc<dyn WriteRuntime> {
        self.life.of(&self.port.writer(socket))
    }
    fn answers(&self, socket: &str) -> bool {
        self.port.answers(socket)
    }
}

#[async_trait]
impl Runtime for Mortal<dyn WriteRuntime> {
    fn socket(&self) -> &str {
        self.port.socket()
    }
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        self.port.status().await
    }
    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        self.port.cgroup_driver().await
    }
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        self.port.image_present(image).await
    }
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        self.port.containers().await
    }
    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError> {
        self.port.pod_sandboxes().await
    }
    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, RuntimeError> {
        self.port.log_tail(id, lines).await
    }
    async fn changed(&self, max: Duration) {
        self.port.changed(max).await;
    }
}

#[async_trait]
impl WriteRuntime for Mortal<dyn WriteRuntime> {
    async fn pull(&self, image: &str) -> Result<(), RuntimeError> {
        self.change().pull(image).await
    }
    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        self.change().stop_container(id, grace).await
    }
    async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        self.change().remove_pod_sandbox(id).await
    }
}

// --- services -------------------------------------------------------------------------------------------------

#[async_trait]
impl Services for Mortal<dyn WriteServices> {
    fn init_system(&self) -> Result<InitSystem, ServiceError> {
        self.port.init_system()
    }
    async fn exists(&self, service: &str) -> bool {
        self.port.exists(service).await
    }
    async fn enabled(&self, service: &str) -> bool {
        self.port.enabled(service).await
    }
    async fn active(&self, service: &str) -> bool {
        self.port.active(service).await
    }
    async fn state(&self, service: &str) -> ServiceState {
        self.port.state(service).await
    }
    async fn journal(&self, service: &str, lines: usize) -> Vec<String> {
        self.port.journal(service, lines).await
    }
    fn enable_command(&self, service: &str) -> String {
        self.port.enable_command(service)
    }
}

#[async_trait]
impl WriteServices for Mortal<dyn WriteServices> {
    async fn stop(&self, service: &str) -> Result<(), ServiceError> {
        self.change().stop(service).await
    }
    async fn restart(&self, service: &str) -> Result<(), ServiceError> {
        self.change().restart(service).await
    }
}
