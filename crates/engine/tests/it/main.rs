//! The integration tests of the engine, as one binary.
#![allow(clippy::disallowed_methods, reason = "tests read their own fixtures")]

mod cluster;
mod diagnose;
mod hops;
mod join;
mod join_control_plane;
mod killed;
mod kubeconfig;
mod manifests;
mod new_minor;
mod objects;
mod outlook;
mod preflight;
mod renewal;
mod reset;
mod self_hosting;
mod upgrade;
mod walk;
mod wish;
mod workflow;
