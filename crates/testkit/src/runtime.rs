//! A container runtime in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kubeadm_engine::ports::{
    CgroupDriver, Container, Runtime, RuntimeCondition, RuntimeError, RuntimeStatus, Runtimes, WriteRuntime,
};

/// What the runtime holds.
#[derive(Debug, Default)]
pub struct MemoryRuntime {
    /// Images that are present.
    pub images: Mutex<Vec<String>>,
    /// Containers, newest first.
    pub containers: Mutex<Vec<Container>>,
    /// Lines that every container's log has.
    pub log: Mutex<Vec<String>>,
    /// How many pulls fail before one succeeds.
    pub failing_pulls: Mutex<usize>,
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
        true
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    fn socket(&self) -> &str {
        "unix:///run/memory.sock"
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        let ready = RuntimeCondition {
            kind: "RuntimeReady".into(),
            status: true,
            reason: String::new(),
            message: String::new(),
        };
        Ok(RuntimeStatus { conditions: vec![ready], sandbox_image: None })
    }

    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        Ok(CgroupDriver::Systemd)
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(self.images.lock().expect("no test panics with the lock").iter().any(|i| i == image))
    }

    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        Ok(self.containers.lock().expect("no test panics with the lock").clone())
    }

    async fn log_tail(&self, _: &str, _: usize) -> Result<Vec<String>, RuntimeError> {
        Ok(self.log.lock().expect("no test panics with the lock").clone())
    }

    async fn changed(&self, _: Duration) {}
}

#[async_trait]
impl WriteRuntime for MemoryRuntime {
    async fn pull(&self, image: &str) -> Result<(), RuntimeError> {
        let mut failing = self.failing_pulls.lock().expect("no test panics with the lock");
        if *failing > 0 {
            *failing -= 1;
            return Err(RuntimeError::Failed { call: "PullImage", message: "registry stumbles".into() });
        }
        self.images.lock().expect("no test panics with the lock").push(image.to_owned());
        Ok(())
    }
}
