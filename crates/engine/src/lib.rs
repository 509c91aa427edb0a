//! kubeadm's knowledge, without a single effect: from a resolved [`spec::InitSpec`] and a read-only [`ports::View`]
//! each phase plans steps; [`run`] carries them out through the ports.
//!
//! Nothing in this crate opens a file, a socket or a process, prints, or reads the environment or the clock.

pub mod accounts;
pub mod addons;
mod backoff;
pub mod csr;
pub mod diagnose;
pub mod discovery;
pub mod dryrun;
pub mod etcd;
pub mod example;
pub mod hand_over;
pub mod join;
pub mod kubelet;
pub mod manifests;
pub mod mounts;
pub mod objects;
pub mod patches;
pub mod phase;
pub mod phases;
pub mod plan;
pub mod ports;
pub mod preflight;
mod queue;
pub mod renewal;
mod replace;
pub mod reset;
pub mod resource;
mod restart;
pub mod rootless;
pub mod run;
pub mod spec;
pub mod static_pods;
pub mod stored;
mod trial;
pub mod upgrade;
pub mod wait;
