//! The services of the init system.

use async_trait::async_trait;

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
    /// It ended with an error, and the init system is going to start it again.
    Failing {
        /// Such as `exit-code, status 1, restarted 3 times`.
        detail: String,
        /// When it ended, in microseconds since boot: another time is another end.
        ended: u64,
    },
    /// It ended with an error, and nothing is going to start it again.
    Failed {
        /// Such as `exit-code, status 1`.
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
