//! The ports: everything the engine may ask of, or do to, the machine and the cluster.
//!
//! Each port comes in two traits. The reading half (`Files`, `Api`, `Runtime`, …) is what a phase sees through
//! [`View`]; the writing half (`WriteFiles`, `WriteApi`, …) belongs to the executor alone, through [`Effects`].
//! The compiler thereby keeps phases honest: they look but cannot touch. Crate `host` makes the ports real,
//! [`crate::dryrun`] lays an overlay over real ones, and crate `testkit` keeps them in memory.

mod cluster;
mod etcd;
mod files;
mod machine;
mod runtime;
mod services;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_pki::KeySource;

pub use cluster::*;
pub use etcd::*;
pub use files::*;
pub use machine::*;
pub use runtime::*;
pub use services::*;

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

/// What a long look is waiting for.
pub trait Progress: Send + Sync {
    /// Shown in place on a terminal, not at all in a log; empty when the wait is over.
    fn progress(&self, text: &str);
}

/// What the user reads.
pub trait Output: Progress {
    /// A line (or block) on standard output.
    fn say(&self, text: &str);
    /// A warning on standard error, in the log's form.
    fn warn(&self, text: &str);
    /// Text on standard error as it is.
    fn note(&self, text: &str);
    /// Asks a question on standard output; whether the answer on standard input is yes.
    fn confirm(&self, question: &str) -> bool;
}

/// What a phase may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Files.
    pub files: &'a dyn Files,
    /// Objects, as the spec's administrator.
    pub api: &'a dyn Api,
    /// Objects, as anybody else.
    pub cluster: &'a dyn Cluster,
    /// Clients of etcd.
    pub etcds: &'a dyn Etcds,
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
    /// What is being waited for.
    pub progress: &'a dyn Progress,
}

/// What the executor acts with. Owns one implementation of each port.
#[derive(Clone)]
pub struct Effects {
    /// Files.
    pub files: Arc<dyn WriteFiles>,
    /// Clients of the API server.
    pub cluster: Arc<dyn WriteCluster>,
    /// Clients of etcd.
    pub etcds: Arc<dyn WriteEtcds>,
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
