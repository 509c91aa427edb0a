//! Real clusters on one machine: components built from Go modules, images made of them, nodes in systemd-nspawn,
//! and the scenarios that run a kubeadm on such nodes.
//!
//! The lab acts on the machine directly and as root; it shares no code with the product, so that a mistake in one
//! cannot hide in the other. Everything it keeps lies below one folder, [`Lab::root`], and can be removed with it.
#![allow(clippy::disallowed_methods)]

pub mod archive;
pub mod balancer;
pub mod cluster;
pub mod command;
pub mod companions;
pub mod components;
mod containerd;
mod docker;
pub mod error;
pub mod evidence;
mod gomod;
mod gopath;
pub mod images;
pub mod join;
pub mod kubeadm;
pub mod kubectl;
pub mod load;
mod neighbours;
pub mod node;
mod openapi;
pub mod packages;
pub mod progress;
pub mod releases;
pub mod scenario;
pub mod scenarios;
mod template;

pub use error::{Error, Result};

use std::path::{Path, PathBuf};

/// Where the lab keeps its state: one folder for components, images, the node's root file system and the nodes.
#[derive(Debug, Clone)]
pub struct Lab {
    root: PathBuf,
}

impl Lab {
    /// Opens the folder that the environment variable `KUBEADM_LAB` names, else `/var/lib/kubeadm-lab`.
    #[must_use]
    pub fn open() -> Self {
        let root = std::env::var_os("KUBEADM_LAB").unwrap_or_else(|| "/var/lib/kubeadm-lab".into());
        Self { root: root.into() }
    }

    /// Returns the lab's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder in which the programs of `set` (a version, or what [`companions`] names) are built.
    #[must_use]
    pub fn components(&self, set: &str) -> PathBuf {
        self.root.join("components").join(set)
    }

    /// Returns the path of one built program.
    #[must_use]
    pub fn program(&self, set: &str, name: &str) -> PathBuf {
        self.components(set).join("bin").join(name)
    }

    /// Returns the folder of a release's image archives.
    #[must_use]
    pub fn images(&self, version: &str) -> PathBuf {
        self.root.join("images").join(version)
    }

    /// Returns the nodes' shared root file system.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        self.root.join("rootfs")
    }

    /// Returns the folder of one node.
    #[must_use]
    pub fn node_folder(&self, name: &str) -> PathBuf {
        self.root.join("nodes").join(name)
    }
}
