//! The container runtime, over CRI, or Docker itself where the kubelet does CRI for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
pub use kubeadm_release::facts::kubelet::{DOCKERSHIM, is_dockershim};

/// Why a call to the container runtime failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// Nobody listens at the socket, or the connection broke.
    #[error("could not connect to the container runtime at {socket:?}: {reason}")]
    Unreachable {
        /// The CRI socket.
        socket: String,
        /// The system's words.
        reason: String,
    },
    /// Somebody listens at the socket and has not answered in time: the runtime may have just started, or its disk may be
    /// busy.
    #[error(
        "the container runtime at {socket:?} listens, but did not answer {call} within {} seconds: it may be starting or \
         overloaded; see its log, and run kubeadm again",
        limit.as_secs()
    )]
    Late {
        /// The CRI socket.
        socket: String,
        /// The CRI method, or the command of Docker's that does the same.
        call: &'static str,
        /// How long the answer was waited for.
        limit: Duration,
    },
    /// The runtime does not know this call.
    #[error("the container runtime at {socket:?} does not implement {call}")]
    Unimplemented {
        /// The CRI socket.
        socket: String,
        /// The CRI method.
        call: &'static str,
    },
    /// The runtime answered with an error.
    #[error("{call}: {message}")]
    Failed {
        /// The CRI method, or the command of Docker's that does the same.
        call: &'static str,
        /// The runtime's words.
        message: String,
    },
}

impl RuntimeError {
    /// Whether the runtime was only too slow, so that asking again may help.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Late { .. })
    }
}

/// A condition of the runtime, such as `RuntimeReady`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeCondition {
    /// `RuntimeReady` or `NetworkReady`.
    pub kind: String,
    /// Whether it holds.
    pub status: bool,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What the runtime says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeStatus {
    /// Its conditions.
    pub conditions: Vec<RuntimeCondition>,
    /// The pause image of its configuration, where it tells.
    pub sandbox_image: Option<String>,
    /// What Docker is like, if it is Docker.
    pub docker: Option<DockerEngine>,
}

/// What Docker is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerEngine {
    /// Its version.
    pub version: String,
    /// How it keeps layers: `overlay2` …
    pub graph_driver: String,
}

/// The cgroup driver a runtime is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// `systemd`
    Systemd,
    /// `cgroupfs`
    Cgroupfs,
}

impl CgroupDriver {
    /// The name that kubelets know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Cgroupfs => "cgroupfs",
        }
    }
}

/// State of a container as CRI has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, not started.
    Created,
    /// Running.
    Running,
    /// Exited.
    Exited,
    /// Unknown to the runtime.
    Unknown,
}

/// A container of a static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// CRI id.
    pub id: String,
    /// Container name, such as `kube-apiserver`.
    pub name: String,
    /// Pod name.
    pub pod: String,
    /// Pod namespace.
    pub namespace: String,
    /// The image it was made from, as the pod names it.
    pub image: String,
    /// State.
    pub state: ContainerState,
    /// Exit code, when it exited.
    pub exit_code: Option<i32>,
    /// One word such as `Error`, `OOMKilled`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How many times the kubelet has made it before.
    pub attempt: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it ended, if it did.
    pub finished: Option<Timestamp>,
}

/// A pod as the runtime has it: what its containers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSandbox {
    /// CRI id.
    pub id: String,
    /// Pod name.
    pub pod: String,
    /// Pod namespace.
    pub namespace: String,
}

/// Reads the container runtime. Connects on first use.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// The socket this speaks to.
    fn socket(&self) -> &str;
    /// Asks for the runtime's status.
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError>;
    /// The cgroup driver: by the CRI method RuntimeConfig (KEP-4033), or what `docker info` tells.
    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError>;
    /// Whether an image is present.
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError>;
    /// All containers of pods in `kube-system`, newest first.
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError>;
    /// The sandboxes of all pods, running or not.
    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError>;
    /// The last lines of a container's log, oldest first.
    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, RuntimeError>;
    /// Returns when a container changed, or after `max`; never an error: it only shortens a wait.
    async fn changed(&self, max: Duration);
}

/// Changes what the container runtime holds.
#[async_trait]
pub trait WriteRuntime: Runtime {
    /// Pulls an image.
    async fn pull(&self, image: &str) -> Result<(), RuntimeError>;
    /// Asks a container to end, and kills it after `grace`. Absence is success.
    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError>;
    /// Stops a pod and removes it with its containers. Absence is success.
    async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError>;
}

/// Opens clients of container runtimes.
pub trait Runtimes: Send + Sync {
    /// A client that only reads.
    fn reader(&self, socket: &str) -> Arc<dyn Runtime>;
    /// A client that also writes.
    fn writer(&self, socket: &str) -> Arc<dyn WriteRuntime>;
    /// Whether the runtime answers that the socket stands for.
    fn answers(&self, socket: &str) -> bool;
}
