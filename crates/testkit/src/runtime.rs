//! A container runtime in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_engine::ports::{
    CgroupDriver, Container, ContainerState, PodSandbox, Runtime, RuntimeCondition, RuntimeError,
    RuntimeStatus, Runtimes, WriteRuntime,
};
use serde_json::Value;

use crate::machine::started;

/// The socket of [`MemoryRuntime`].
const SOCKET: &str = "unix:///run/memory.sock";

/// What the runtime holds and says.
#[derive(Debug, Clone)]
pub struct RuntimeState {
    /// What it says of itself.
    pub status: Result<RuntimeStatus, RuntimeError>,
    /// Its cgroup driver.
    pub cgroup_driver: Result<CgroupDriver, RuntimeError>,
    /// Images that are present.
    pub images: Vec<String>,
    /// Containers, newest first.
    pub containers: Vec<Container>,
    /// Lines that every container's log has.
    pub log: Vec<String>,
    /// How many pulls fail before one succeeds.
    pub failing_pulls: usize,
    /// The next calls that are not answered in time, such as `Status`.
    pub late: Vec<&'static str>,
    /// Ids of containers that were stopped and of sandboxes that were removed, in order.
    pub stopped: Vec<String>,
    /// Whether a kubelet makes a container anew that was stopped or removed.
    pub revives: bool,
    /// Words of manifests whose containers end as soon as they are made.
    pub broken: Vec<String>,
}

impl Default for RuntimeState {
    fn default() -> Self {
        let ready = RuntimeCondition {
            kind: "RuntimeReady".into(),
            status: true,
            reason: String::new(),
            message: String::new(),
        };
        Self {
            status: Ok(RuntimeStatus { conditions: vec![ready], ..RuntimeStatus::default() }),
            cgroup_driver: Ok(CgroupDriver::Systemd),
            images: Vec::new(),
            containers: Vec::new(),
            log: Vec::new(),
            failing_pulls: 0,
            late: Vec::new(),
            stopped: Vec::new(),
            revives: true,
            broken: Vec::new(),
        }
    }
}

/// A runtime that starts nothing.
#[derive(Debug, Default)]
pub struct MemoryRuntime {
    state: Mutex<RuntimeState>,
    time: Arc<Mutex<Duration>>,
}

impl MemoryRuntime {
    /// Changes what the runtime holds and says.
    pub fn set<T>(&self, change: impl FnOnce(&mut RuntimeState) -> T) -> T {
        change(&mut self.state.lock().expect("no test panics with the lock"))
    }

    /// A runtime at whose socket nobody answers.
    pub fn unreachable() -> RuntimeError {
        RuntimeError::Unreachable { socket: SOCKET.into(), reason: "connection refused".into() }
    }

    /// What every call begins with that may be late.
    fn call(&self, call: &'static str) -> Result<(), RuntimeError> {
        let late = self.set(|state| {
            let at = state.late.iter().position(|late| *late == call);
            at.map(|at| state.late.swap_remove(at))
        });
        let Some(call) = late else { return Ok(()) };
        let limit = Duration::from_secs(2);
        *self.time.lock().expect("no test panics with the lock") += limit;
        Err(RuntimeError::Late { socket: SOCKET.into(), call, limit })
    }

    /// Runs a static pod in place of the one of its name, as a kubelet does. Whether it runs.
    pub(crate) fn run_static_pod(&self, pod: &Value, node: &str) -> bool {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (spec, name) = (&pod["spec"]["containers"][0], word(&pod["metadata"]["name"]));
        let now = self.now();
        self.end_static_pod(&name);
        self.set(|state| {
            let broken = state.broken.iter().any(|word| pod.to_string().contains(word.as_str()));
            let container = Container {
                id: format!("{name}-{}", state.containers.len()),
                name: name.clone(),
                pod: format!("{name}-{node}"),
                namespace: "kube-system".into(),
                image: word(&spec["image"]),
                state: if broken { ContainerState::Exited } else { ContainerState::Running },
                exit_code: broken.then_some(1),
                reason: if broken { "Error".into() } else { String::new() },
                message: String::new(),
                attempt: if broken { 2 } else { 0 },
                created: now,
                finished: broken.then_some(now + Duration::from_secs(1)),
            };
            state.containers.insert(0, container);
            !broken
        })
    }

    /// Ends the containers of a static pod.
    pub(crate) fn end_static_pod(&self, name: &str) {
        let now = self.now();
        self.set(|state| {
            for old in state.containers.iter_mut().filter(|c| c.name == name) {
                old.state = ContainerState::Exited;
                old.finished.get_or_insert(now);
            }
        });
    }

    fn now(&self) -> Timestamp {
        started() + *self.time.lock().expect("no test panics with the lock")
    }

    /// A runtime that holds the same, and passes the time of another machine.
    pub(crate) fn fork(&self, time: Arc<Mutex<Duration>>) -> Self {
        Self { state: Mutex::new(self.set(|state| state.clone())), time }
    }

    /// A runtime whose waits pass the time of a machine.
    pub(crate) fn with_time(time: Arc<Mutex<Duration>>) -> Self {
        Self { time, ..Self::default() }
    }
}

/// One runtime at every socket.
#[derive(Debug, Clone, Default)]
pub struct MemoryRuntimes {
    /// The runtime.
    pub runtime: Arc<MemoryRuntime>,
}

impl Runtimes for MemoryRuntimes {
    fn reader(&self, _: &str) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }
    fn writer(&self, _: &str) -> Arc<dyn WriteRuntime> {
        self.runtime.clone()
    }
    fn answers(&self, _: &str) -> bool {
        self.runtime.set(|state| state.status.is_ok())
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    fn socket(&self) -> &str {
        SOCKET
    }
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        self.call("Status")?;
        self.set(|state| state.status.clone())
    }
    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        self.call("RuntimeConfig")?;
        self.set(|state| state.cgroup_driver.clone())
    }
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        self.call("ImageStatus")?;
        Ok(self.set(|state| state.images.iter().any(|i| i == image)))
    }
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        Ok(self.set(|state| state.containers.clone()))
    }
    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError> {
        self.call("ListPodSandbox")?;
        // Each pod has one sandbox, of its own name.
        let mut pods: Vec<PodSandbox> = Vec::new();
        for Container { pod, namespace, .. } in self.set(|state| state.containers.clone()) {
            let sandbox = PodSandbox { id: pod.clone(), pod, namespace };
            if !pods.contains(&sandbox) {
                pods.push(sandbox);
            }
        }
        Ok(pods)
    }
    async fn log_tail(&self, _: &str, _: usize) -> Result<Vec<String>, RuntimeError> {
        Ok(self.set(|state| state.log.clone()))
    }
    async fn changed(&self, max: Duration) {
        *self.time.lock().expect("no test panics with the lock") += max;
    }
}

#[async_trait]
impl WriteRuntime for MemoryRuntime {
    async fn pull(&self, image: &str) -> Result<(), RuntimeError> {
        self.call("PullImage")?;
        self.set(|state| {
            if state.failing_pulls > 0 {
                state.failing_pulls -= 1;
                let message = "registry stumbles".into();
                return Err(RuntimeError::Failed { call: "PullImage", message });
            }
            state.images.push(image.to_owned());
            Ok(())
        })
    }
    async fn stop_container(&self, id: &str, _: Duration) -> Result<(), RuntimeError> {
        let now = self.now();
        self.set(|state| {
            let Some(container) = state.containers.iter_mut().find(|c| c.id == id) else { return };
            container.state = ContainerState::Exited;
            container.exit_code = Some(0);
            container.finished = Some(now);
            let next = next(container, now);
            if state.revives {
                state.containers.insert(0, next);
            }
            state.stopped.push(id.to_owned());
        });
        Ok(())
    }
    async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        self.call("StopPodSandbox")?;
        let now = self.now();
        self.set(|state| {
            let newest = state.containers.iter().find(|c| c.pod == id).map(|c| next(c, now));
            state.containers.retain(|c| c.pod != id);
            state.containers.extend(newest.filter(|_| state.revives));
            state.stopped.push(id.to_owned());
        });
        Ok(())
    }
}

/// What a kubelet makes in place of a container.
fn next(container: &Container, now: Timestamp) -> Container {
    Container {
        id: format!("{}'", container.id),
        state: ContainerState::Running,
        exit_code: None,
        finished: None,
        attempt: container.attempt + 1,
        created: now,
        ..container.clone()
    }
}
