//! Time.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_engine::ports::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct HostClock {
    started: Timestamp,
    origin: Instant,
}

impl HostClock {
    /// A clock for a run that starts now.
    pub fn start() -> Self {
        Self { started: Timestamp::now(), origin: Instant::now() }
    }
}

#[async_trait]
impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn started(&self) -> Timestamp {
        self.started
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
