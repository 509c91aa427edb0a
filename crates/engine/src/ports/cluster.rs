//! The API server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::resource::Resource;

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
    /// 401: the server does not know who is asking.
    #[error(
        "the API server does not accept the credentials of {} ({message}): they may be those of another cluster, or may \
         have expired",
        kubeconfig.display()
    )]
    Unauthorized {
        /// The file with the credentials.
        kubeconfig: PathBuf,
        /// The server's message.
        message: String,
    },
    /// 403: the server knows who is asking, who may not do this.
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
    /// No answer: refused, timed out, cut off.
    #[error("{0}")]
    Unreachable(String),
    /// The server's host has no address.
    #[error("{0}")]
    UnknownHost(String),
    /// The two sides do not accept each other's certificates.
    #[error("{0}")]
    Untrusted(String),
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
            Self::Unreachable(_) | Self::UnknownHost(_) | Self::Conflict(_) => true,
            Self::Status { code, .. } => *code == 429 || *code >= 500,
            Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::Unauthorized { .. }
            | Self::Forbidden(_)
            | Self::Invalid(_)
            | Self::Untrusted(_)
            | Self::Kubeconfig { .. } => false,
        }
    }

    /// Whether the server refuses whoever is asking. One that has just begun to listen does so until it knows the cluster's
    /// tokens and rights, so that this is to be believed only after a moment.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Forbidden(_))
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
    /// The kubeconfig.
    pub kubeconfig: KubeconfigSource,
    /// `https://host:port` in place of the server of the file.
    pub server: Option<String>,
}

impl Access {
    /// Through a kubeconfig, at the server that it names.
    pub fn new(kubeconfig: impl Into<KubeconfigSource>) -> Self {
        Self { kubeconfig: kubeconfig.into(), server: None }
    }
}

/// A kubeconfig: a file, or a text that was never written to one.
#[derive(Clone, PartialEq, Eq)]
pub enum KubeconfigSource {
    /// A file. It need not exist before the first request, and is read again when it changes.
    File(PathBuf),
    /// The text itself.
    Text(Arc<Zeroizing<String>>),
}

impl KubeconfigSource {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Text(_) => None,
        }
    }

    /// The file, or words that stand for it in messages.
    pub fn path(&self) -> &Path {
        self.file().unwrap_or(Path::new("(a kubeconfig that is no file)"))
    }

    /// A text.
    pub fn text(text: Zeroizing<String>) -> Self {
        Self::Text(Arc::new(text))
    }
}

impl std::fmt::Debug for KubeconfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("<text>"),
        }
    }
}

impl std::hash::Hash for KubeconfigSource {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::File(path) => path.hash(state),
            Self::Text(text) => text.as_str().hash(state),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for KubeconfigSource {
    fn from(path: P) -> Self {
        Self::File(path.into())
    }
}

/// Opens clients that read. Nothing is read or connected before the first request.
pub trait Cluster: Send + Sync {
    /// A client that only reads.
    fn reader(&self, access: &Access) -> Arc<dyn Api>;
}

/// Opens clients.
pub trait WriteCluster: Cluster {
    /// A client that also writes.
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi>;
}
