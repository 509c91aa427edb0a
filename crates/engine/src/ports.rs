//! The ports: everything the engine may ask of, or do to, the machine and the cluster.
//!
//! Each port comes in two traits. The reading half (`Files`, `Api`, `Runtime`, …) is what a phase sees through
//! [`View`]; the writing half (`WriteFiles`, `WriteApi`, …) belongs to the executor alone, through [`Effects`].
//! The compiler thereby keeps phases honest: they look but cannot touch. Crate `host` makes the ports real,
//! [`crate::dryrun`] lays an overlay over real ones, and crate `testkit` keeps them in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_pki::KeySource;
use serde_json::Value;

use crate::resource::Resource;

// --- files ----------------------------------------------------------------------------------------------------

/// A file operation that failed: what was tried, on which path, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {reason}", path.display())]
pub struct FileError {
    /// The operation, as a verb: `open`, `write`, `lstat` …
    pub operation: &'static str,
    /// The path it failed on.
    pub path: PathBuf,
    /// The system's words, such as `permission denied`.
    pub reason: String,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link (links are not followed by [`Files::stat`]).
    Link,
    /// A socket, device or pipe.
    Other,
}

/// What is known of a path without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// File, directory, link or other.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
}

/// Reads the file system.
pub trait Files: Send + Sync {
    /// The content of a file, `None` if the path does not exist.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError>;
    /// Facts about a path (not following a final link), `None` if it does not exist.
    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError>;
    /// The names in a directory, sorted; `None` if it does not exist.
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError>;
    /// Whether a path exists at all. A path that cannot be looked at counts as existing.
    fn exists(&self, path: &Path) -> bool {
        !matches!(self.stat(path), Ok(None))
    }
}

/// Owner and group of a file that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A file to be written: it appears at once with this content and mode, or not at all.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Whole content.
    pub content: Vec<u8>,
    /// Final permission bits; the file is never readable with wider ones in between.
    pub mode: u32,
    /// Whether the content must never be printed.
    pub secret: bool,
}

impl std::fmt::Debug for NewFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = if self.secret { "<secret>".into() } else { String::from_utf8_lossy(&self.content) };
        write!(f, "NewFile({}, {:o}, {content})", self.path.display(), self.mode)
    }
}

/// Changes the file system.
pub trait WriteFiles: Files {
    /// Writes a file atomically; missing directories above it are made with 0755.
    fn write(&self, file: &NewFile) -> Result<(), FileError>;
    /// Makes a directory and those above it with `mode`, if missing.
    fn create_dir(&self, path: &Path, mode: u32) -> Result<(), FileError>;
    /// Removes a file, or a directory with all it holds on the same file system. Absence is success.
    fn remove(&self, path: &Path) -> Result<(), FileError>;
    /// Sets owner and permission bits (`mode` where given), for a directory with all below it.
    fn set_owner(&self, path: &Path, owner: Owner, mode: Option<u32>) -> Result<(), FileError>;
}

// --- cluster --------------------------------------------------------------------------------------------------

/// Why a request to the API server failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 409 with reason AlreadyExists.
    #[error("{0}")]
    AlreadyExists(String),
    /// 409 with reason Conflict: somebody else changed the object meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// 401 or 403: the credentials are not accepted, or may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// 422: the object is refused.
    #[error("{0}")]
    Invalid(String),
    /// Any other answer that is not a success.
    #[error("{message} (status {code})")]
    Status {
        /// HTTP status.
        code: u16,
        /// The server's message.
        message: String,
    },
    /// No answer: refused, timed out, TLS failure.
    #[error("{0}")]
    Unreachable(String),
    /// The kubeconfig that should give access cannot be used.
    #[error("failed to load kubeconfig {}: {reason}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ApiError {
    /// Whether trying again may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Conflict(_) => true,
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::Kubeconfig { .. } => false,
        }
    }
}

/// Restricts a list request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Label selector, such as `k8s-app=kube-dns`.
    pub labels: Option<String>,
    /// Field selector, such as `type=bootstrap.kubernetes.io/token`.
    pub fields: Option<String>,
}

impl Selector {
    /// Whether an object has the labels; only `key=value` terms are known here.
    pub fn matches_labels(&self, object: &Value) -> bool {
        self.labels
            .iter()
            .flat_map(|l| l.split(','))
            .filter_map(|term| term.split_once('='))
            .all(|(key, value)| object["metadata"]["labels"][key].as_str() == Some(value))
    }
}

/// Reads objects of the cluster. Connects on first use, so it may be made before its kubeconfig exists.
#[async_trait]
pub trait Api: Send + Sync {
    /// One object, `None` if it does not exist.
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError>;
    /// All objects that match, without the list around them.
    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError>;
    /// The body of `GET path`, such as `/livez`.
    async fn get_path(&self, path: &str) -> Result<String, ApiError>;
}

/// Changes objects of the cluster.
#[async_trait]
pub trait WriteApi: Api {
    /// Creates an object; namespace and name are taken from it.
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError>;
    /// Replaces an object.
    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError>;
    /// Applies a strategic merge patch.
    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError>;
    /// Deletes an object; `false` if it was not there.
    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError>;
}

/// How to reach the API server: a kubeconfig, and a server to use instead of the one it names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// The kubeconfig file.
    pub kubeconfig: PathBuf,
    /// `https://host:port` in place of the server of the file.
    pub server: Option<String>,
}

/// Opens clients. Nothing is read or connected before the first request.
pub trait Cluster: Send + Sync {
    /// A client that only reads.
    fn reader(&self, access: &Access) -> Arc<dyn Api>;
    /// A client that also writes.
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi>;
}

// --- container runtime ----------------------------------------------------------------------------------------

/// Why a call to the container runtime failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// The socket does not answer.
    #[error("could not connect to the container runtime at {socket:?}: {reason}")]
    Unreachable {
        /// The CRI socket.
        socket: String,
        /// The system's words.
        reason: String,
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
        /// The CRI method.
        call: &'static str,
        /// The runtime's words.
        message: String,
    },
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
}

/// The cgroup driver a runtime is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// `systemd`
    Systemd,
    /// `cgroupfs`
    Cgroupfs,
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

/// Reads the container runtime over CRI. Connects on first use.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// The socket this speaks to.
    fn socket(&self) -> &str;
    /// Asks for the runtime's status.
    async fn status(&self) -> Result<RuntimeStatus, RuntimeError>;
    /// The cgroup driver, by the CRI method RuntimeConfig (KEP-4033).
    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError>;
    /// Whether an image is present.
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError>;
    /// All containers of pods in `kube-system`, newest first.
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError>;
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
}

/// Opens clients of container runtimes.
pub trait Runtimes: Send + Sync {
    /// A client that only reads.
    fn reader(&self, socket: &str) -> Arc<dyn Runtime>;
    /// A client that also writes.
    fn writer(&self, socket: &str) -> Arc<dyn WriteRuntime>;
    /// Whether something that speaks CRI answers at the socket.
    fn answers(&self, socket: &str) -> bool;
}

// --- services -------------------------------------------------------------------------------------------------

/// The init systems that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitSystem {
    /// `systemctl` is in PATH.
    Systemd,
    /// `openrc`, `rc-service` and `rc-update` are in PATH.
    OpenRc,
}

/// State of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// The init system does not know it.
    Missing,
    /// It must not be started (`systemctl mask`).
    Masked,
    /// It is stopped, and nothing is going to start it.
    Stopped,
    /// It is starting, or runs.
    Running,
    /// It ended with an error; the init system may start it again.
    Failing {
        /// Such as `exit-code, status 1, restarted 3 times`.
        detail: String,
    },
    /// The init system cannot tell.
    Unknown,
}

/// A verb of the init system that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{command}: {reason}")]
pub struct ServiceError {
    /// The command line.
    pub command: String,
    /// Its output or exit status.
    pub reason: String,
}

/// Asks the init system about services.
#[async_trait]
pub trait Services: Send + Sync {
    /// The init system, or why there is none that is supported.
    fn init_system(&self) -> Result<InitSystem, ServiceError>;
    /// Whether the service is known.
    async fn exists(&self, service: &str) -> bool;
    /// Whether it starts at boot.
    async fn enabled(&self, service: &str) -> bool;
    /// Whether it runs or is about to.
    async fn active(&self, service: &str) -> bool;
    /// Its state in detail.
    async fn state(&self, service: &str) -> ServiceState;
    /// The last lines of its journal since it was last started, oldest first; empty where there is no journal.
    async fn journal(&self, service: &str, lines: usize) -> Vec<String>;
    /// What to run to have it start at boot.
    fn enable_command(&self, service: &str) -> String;
}

/// Starts and stops services.
#[async_trait]
pub trait WriteServices: Services {
    /// Stops a service.
    async fn stop(&self, service: &str) -> Result<(), ServiceError>;
    /// Reads its unit file anew and restarts it.
    async fn restart(&self, service: &str) -> Result<(), ServiceError>;
}

// --- machine and network --------------------------------------------------------------------------------------

/// Facts of `uname`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uname {
    /// `Linux`.
    pub sysname: String,
    /// Kernel release, `6.1.0-13-amd64`.
    pub release: String,
    /// `x86_64`, `aarch64` …
    pub machine: String,
}

/// What a program printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit code, `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A program that could not be run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot run {program:?}: {reason}")]
pub struct CommandError {
    /// The program.
    pub program: String,
    /// The system's words.
    pub reason: String,
}

/// Facts of the machine.
#[async_trait]
pub trait System: Send + Sync {
    /// The kernel's host name.
    fn hostname(&self) -> String;
    /// `uname`.
    fn uname(&self) -> Uname;
    /// Effective user id.
    fn uid(&self) -> u32;
    /// Processors this process may use.
    fn cpus(&self) -> usize;
    /// Memory of the machine in bytes.
    fn memory(&self) -> u64;
    /// The environment as it was at the start of the process.
    fn env(&self) -> &BTreeMap<String, String>;
    /// Where PATH finds a program.
    fn find_program(&self, name: &str) -> Option<PathBuf>;
    /// Runs a program that changes nothing and returns what it said.
    async fn output(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError>;
}

/// Why an address cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it; who, where that can be told.
    #[error("port is in use{}", owner.as_deref().map(|o| format!(" by {o}")).unwrap_or_default())]
    InUse {
        /// Process name and id.
        owner: Option<String>,
    },
    /// The address is not on this host.
    #[error("the address is not on this host")]
    NoSuchAddress,
    /// Privileged port without the privilege.
    #[error("permission denied")]
    Denied,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// An address of a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is a loopback.
    pub loopback: bool,
    /// Whether it is point-to-point.
    pub point_to_point: bool,
    /// Its addresses in the system's order.
    pub addresses: Vec<IpAddr>,
}

/// A GET request outside the API client.
#[derive(Debug, Clone)]
pub struct HttpGet {
    /// `http://` or `https://`.
    pub url: String,
    /// Limit for the whole request.
    pub timeout: Duration,
    /// Whether proxy variables count.
    pub proxy: bool,
    /// How the server is trusted.
    pub trust: HttpTrust,
}

/// How the server of an [`HttpGet`] is trusted.
#[derive(Debug, Clone)]
pub enum HttpTrust {
    /// By the system's roots.
    System,
    /// Not verified: only for health endpoints of components whose certificate is self-signed.
    Unverified,
    /// By a CA, with a client certificate and key (all PEM), as etcd wants it.
    Mutual {
        /// CA certificates.
        ca: Option<Vec<u8>>,
        /// Certificate, then key.
        identity: Option<(Vec<u8>, Vec<u8>)>,
    },
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Body as text.
    pub body: String,
}

/// A request that got no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct HttpError {
    /// Why: refused, timed out, TLS …
    pub reason: String,
    /// Whether the peer refused the connection: nothing listens there yet.
    pub refused: bool,
}

/// Asks the network.
#[async_trait]
pub trait Net: Send + Sync {
    /// All interfaces.
    fn interfaces(&self) -> Vec<Interface>;
    /// Tries to listen on an address and closes it again.
    fn can_listen(&self, address: SocketAddr) -> Result<(), ListenError>;
    /// Addresses of a host name; an error holds the resolver's words.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String>;
    /// Sends a GET.
    async fn get(&self, request: &HttpGet) -> Result<HttpAnswer, HttpError>;
    /// The proxy that the environment names for a URL.
    fn proxy_for(&self, url: &str) -> Option<String>;
}

// --- time and output ------------------------------------------------------------------------------------------

/// Time, and waiting for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// When this process started: all certificates of a run count from here.
    fn started(&self) -> Timestamp;
    /// Time since some fixed moment, never going back.
    fn elapsed(&self) -> Duration;
    /// Returns after `time`. For back-off between tries only.
    async fn pause(&self, time: Duration);
}

/// What the user reads.
pub trait Output: Send + Sync {
    /// A line (or block) on standard output.
    fn say(&self, text: &str);
    /// A warning on standard error, in the log's form.
    fn warn(&self, text: &str);
    /// Text on standard error as it is.
    fn note(&self, text: &str);
    /// What a long wait is waiting for; shown in place on a terminal, not at all in a log.
    fn progress(&self, text: &str);
}

// --- the two sets ---------------------------------------------------------------------------------------------

/// What a phase may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Files.
    pub files: &'a dyn Files,
    /// Objects, as the spec's administrator.
    pub api: &'a dyn Api,
    /// Container runtime of the spec.
    pub runtime: &'a dyn Runtime,
    /// Services.
    pub services: &'a dyn Services,
    /// Machine.
    pub system: &'a dyn System,
    /// Network.
    pub net: &'a dyn Net,
    /// Time.
    pub clock: &'a dyn Clock,
    /// New keys.
    pub keys: &'a dyn KeySource,
}

/// What the executor acts with. Owns one implementation of each port.
#[derive(Clone)]
pub struct Effects {
    /// Files.
    pub files: Arc<dyn WriteFiles>,
    /// Clients of the API server.
    pub cluster: Arc<dyn Cluster>,
    /// Clients of container runtimes.
    pub runtimes: Arc<dyn Runtimes>,
    /// Services.
    pub services: Arc<dyn WriteServices>,
    /// Machine.
    pub system: Arc<dyn System>,
    /// Network.
    pub net: Arc<dyn Net>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// New keys.
    pub keys: Arc<dyn KeySource>,
    /// Output.
    pub output: Arc<dyn Output>,
}
