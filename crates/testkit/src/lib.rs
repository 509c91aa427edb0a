//! A machine and a cluster in memory, for tests of whole workflows. Never shipped.
//!
//! [`MemoryHost`] implements every port of the engine. It stands only where real nodes cover the same path in the
//! lab; what it adds is speed and the freedom to stop a run at any point.

#![allow(clippy::disallowed_methods)]

mod cluster;
mod files;
mod keys;
mod machine;
mod runtime;

use std::sync::Arc;

use kubeadm_engine::ports::{Effects, Files, View};

pub use cluster::MemoryCluster;
pub use files::{Entry, MemoryFiles};
pub use keys::FixedKeys;
pub use machine::{Machine, Recorder};
pub use runtime::MemoryRuntimes;

/// A machine with nothing on it but what `init` needs, and an empty cluster that answers as soon as it is asked.
#[derive(Clone)]
pub struct MemoryHost {
    /// Files.
    pub files: Arc<MemoryFiles>,
    /// Cluster.
    pub cluster: Arc<MemoryCluster>,
    /// Container runtimes.
    pub runtimes: Arc<MemoryRuntimes>,
    /// Services, system, network and clock.
    pub machine: Arc<Machine>,
    /// What was said.
    pub output: Arc<Recorder>,
    /// Keys.
    pub keys: Arc<FixedKeys>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        let files = Arc::new(MemoryFiles::default());
        for (path, content) in [("/proc/sys/net/ipv4/ip_forward", "1\n"), ("/proc/swaps", "Filename\n")] {
            files.put(path, content, 0o644);
        }
        Self {
            files,
            cluster: Arc::default(),
            runtimes: Arc::default(),
            machine: Arc::default(),
            output: Arc::default(),
            keys: Arc::default(),
        }
    }
}

impl MemoryHost {
    /// The ports.
    pub fn effects(&self) -> Effects {
        Effects {
            files: self.files.clone(),
            cluster: self.cluster.clone(),
            runtimes: self.runtimes.clone(),
            services: self.machine.clone(),
            system: self.machine.clone(),
            net: self.machine.clone(),
            clock: self.machine.clone(),
            keys: self.keys.clone(),
            output: self.output.clone(),
        }
    }

    /// The reading halves.
    pub fn view(&self) -> View<'_> {
        View {
            files: &*self.files as &dyn Files,
            api: &*self.cluster,
            runtime: &*self.runtimes.runtime,
            services: &*self.machine,
            system: &*self.machine,
            net: &*self.machine,
            clock: &*self.machine,
            keys: &*self.keys,
        }
    }
}
