//! The machine and the cluster: every port of `kubeadm-engine` made real. What kubeadm knows stays in the engine; here is
//! only how to read a file, ask the kernel, run a program, or send a request.
//!
//! The asynchronous parts want one tokio runtime for the life of the process, current-thread or not, with I/O and
//! time enabled: connections are kept and belong to the runtime that opened them.

// The lint that keeps effects out of other crates has nothing to say in this one.
#![allow(clippy::disallowed_methods)]

mod answer;
pub mod chroot;
pub mod clock;
pub mod cluster;
mod connect;
mod cri;
mod cri_log;
mod dns;
mod docker;
pub mod etcd;
pub mod files;
mod get;
mod interfaces;
pub mod keys;
mod listen;
pub mod net;
pub mod output;
mod pod_logs;
mod proxy;
mod query;
mod resolve;
pub mod runtimes;
pub mod services;
mod snapshot;
pub mod system;
mod tls;
mod trees;

use std::sync::Arc;

use kubeadm_engine::ports::{Effects, Output, System};
use kubeadm_pki::KeySource;

/// What differs between one run and another.
pub struct Options {
    /// Where new keys come from; a [`keys::KeyPool`] in the product.
    pub keys: Arc<dyn KeySource>,
    /// What the user reads; [`output::HostOutput`] unless the caller has its own.
    pub output: Arc<dyn Output>,
}

/// All ports, real. Reads the environment; connects to nothing.
pub fn effects(options: Options) -> Effects {
    let system: Arc<dyn System> = Arc::new(system::HostSystem::from_process());
    Effects {
        files: Arc::new(files::HostFiles),
        cluster: Arc::new(cluster::HostCluster::new(system.env())),
        etcds: Arc::new(etcd::HostEtcds),
        runtimes: Arc::new(runtimes::HostRuntimes::new(system.env())),
        services: Arc::new(services::HostServices::new(Arc::clone(&system))),
        net: Arc::new(net::HostNet::new(system.env())),
        clock: Arc::new(clock::HostClock::start()),
        keys: options.keys,
        output: options.output,
        system,
    }
}
