//! The static pods of the control plane, as pure functions of the spec and a few facts about the host.
//!
//! A manifest is a JSON tree, so that patches can be laid over it before [`to_yaml`] prints it. What differs between
//! releases comes from the tables of `kubeadm-release`; nothing here compares versions, reads a file or applies a
//! patch.

pub(crate) mod apiserver;
mod args;
mod controller_manager;
pub(crate) mod etcd;
mod pod;
mod scheduler;
pub mod self_hosted;
mod volumes;

use std::collections::BTreeSet;
use std::path::Path;

pub(crate) use args::flags;
use kubeadm_config::types::ControlPlaneComponent;
use kubeadm_release::facts::control_plane::{Served, optional_host_paths};
use serde_json::Value;

use crate::ports::Files;
use crate::spec::InitSpec;

/// A static pod that kubeadm writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// `kube-apiserver`.
    ApiServer,
    /// `kube-controller-manager`.
    ControllerManager,
    /// `kube-scheduler`.
    Scheduler,
    /// `etcd`, where it runs on this node.
    Etcd,
}

impl Component {
    /// Its name: of the pod, the container, the image, the binary and the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Etcd => "etcd",
        }
    }
}

/// The user and groups a component runs as when it does not run as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
    /// Further group ids.
    pub supplemental_groups: Vec<u32>,
}

/// What a manifest depends on besides the spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Which of the paths that are mounted only where they exist do exist.
    pub paths: BTreeSet<&'static str>,
    /// Whom the component runs as; `None` is root.
    pub run_as: Option<Identity>,
    /// Of etcd: the members of the cluster that it joins, `NAME=PEER-URL,…`; `None` where it begins one.
    pub initial_cluster: Option<String>,
}

impl HostFacts {
    /// Looks at the host.
    pub fn look(files: &dyn Files) -> Self {
        let paths = optional_host_paths().filter(|path| files.exists(Path::new(path))).collect();
        Self { paths, ..Self::default() }
    }
}

/// The manifest of a component.
pub fn pod(spec: &InitSpec, host: &HostFacts, component: Component) -> Value {
    match component {
        Component::ApiServer => apiserver::pod(spec, host),
        Component::ControllerManager => controller_manager::pod(spec, host),
        Component::Scheduler => scheduler::pod(spec, host),
        Component::Etcd => etcd::pod(spec, host),
    }
}

/// The port that the API server listens on.
pub fn apiserver_port(spec: &InitSpec) -> u16 {
    args::port(&spec.cluster.api_server.component.extra_args, "secure-port", spec.bind_port())
}

/// The port that a component serves its health at.
pub fn served_port(served: &Served, component: &ControlPlaneComponent) -> u16 {
    args::port(&component.extra_args, served.port_flag, served.port)
}

/// The full name of a component's image.
fn image(spec: &InitSpec, component: Component) -> String {
    match component {
        Component::Etcd => spec.images().etcd().unwrap_or_default(),
        Component::ApiServer | Component::ControllerManager | Component::Scheduler => {
            spec.images().component(component.name())
        }
    }
}

/// A manifest as the text of its file.
pub fn to_yaml(manifest: &Value) -> String {
    kubeadm_yaml::to_string(manifest)
}
