//! The machine itself, and what it reaches by network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
pub use kubeadm_config::detect::Interface;

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
