//! What on this machine is our own work of an earlier run for the same node: then it is no obstacle but a beginning.
//!
//! Upstream refuses to run again ("already exists", "port in use"). A static pod counts as ours if it is kubeadm's
//! and made for this very node: the API server with the same advertise address, etcd with the same member name and,
//! where the node joins none, no other members. Everything else stays an error.

use std::path::Path;

use serde_json::Value;

use crate::etcd::join::GIVEN_UP;
use crate::phases::self_hosting::SELF_HOSTING;
use crate::ports::View;
use crate::spec::InitSpec;

/// What a join writes for the kubelet and removes when it is done: where it is, a join was interrupted.
pub const BOOTSTRAP_CONF: &str = "bootstrap-kubelet.conf";

/// Which parts are ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// kube-apiserver.
    pub api_server: bool,
    /// kube-controller-manager.
    pub controller_manager: bool,
    /// kube-scheduler.
    pub scheduler: bool,
    /// etcd.
    pub etcd: bool,
    /// The kubelet: it has the kubeconfig that init wrote for this node.
    pub kubelet: bool,
}

impl Own {
    /// Looks.
    pub fn look(spec: &InitSpec, view: View<'_>) -> Self {
        let words = |component: &str| static_pod(view, &spec.layout.manifest(component), component);
        let has = |words: &[String], flag: &str, value: &str| words.contains(&format!("--{flag}={value}"));
        let address = spec.advertise_address.to_string();
        let api_server = words("kube-apiserver").is_some_and(|w| {
            // A user may have overridden the address: then the one in extraArgs counts.
            let extra = &spec.cluster.api_server.component.extra_args;
            let wanted =
                extra.iter().rev().find(|a| a.name == "advertise-address").map_or(&address, |a| &a.value);
            has(&w, "advertise-address", wanted)
        });
        // Without its pod the data of a member that is being taken back are ours too.
        let given_up = || {
            let data =
                spec.cluster.etcd.local.as_ref().map(|local| Path::new(&local.data_dir).join(GIVEN_UP));
            let mark = data.is_some_and(|mark| view.files.exists(&mark));
            spec.joins && mark && !view.files.exists(&spec.layout.manifest("etcd"))
        };
        let etcd = words("etcd").map_or_else(given_up, |w| {
            let alone =
                w.iter().filter_map(|w| w.strip_prefix("--initial-cluster=")).all(|m| !m.contains(','));
            has(&w, "name", spec.node_name()) && (alone || spec.joins)
        });
        let user = format!("system:node:{}", spec.node_name());
        let kubelet = matches!(view.files.read(&spec.layout.kubeconfig("kubelet.conf")), Ok(Some(content))
            if String::from_utf8_lossy(&content).contains(&user));
        // A component that was handed over to its DaemonSet has no manifest any more.
        let handed_over = |component: &str| {
            spec.gate(SELF_HOSTING) && kubelet && !view.files.exists(&spec.layout.manifest(component))
        };
        let api_server = api_server || handed_over("kube-apiserver");
        // These two say nothing of a node; they are ours where the API server beside them is.
        let beside = |component: &str| api_server && words(component).is_some() || handed_over(component);
        Self {
            api_server,
            controller_manager: beside("kube-controller-manager"),
            scheduler: beside("kube-scheduler"),
            etcd,
            kubelet,
        }
    }

    /// Whether a component is ours.
    pub fn component(&self, name: &str) -> bool {
        match name {
            "kube-apiserver" => self.api_server,
            "kube-controller-manager" => self.controller_manager,
            "kube-scheduler" => self.scheduler,
            "etcd" => self.etcd,
            "kubelet" => self.kubelet,
            _ => false,
        }
    }
}

/// The command of a static pod that kubeadm made for a component.
fn static_pod(view: View<'_>, path: &Path, component: &str) -> Option<Vec<String>> {
    let text = String::from_utf8(view.files.read(path).ok()??).ok()?;
    let pod = kubeadm_yaml::parse_value(&text, &path.display().to_string()).ok()?;
    let labels = &pod["metadata"]["labels"];
    if labels["component"] != component || labels["tier"] != "control-plane" {
        return None;
    }
    let command = pod["spec"]["containers"][0]["command"].as_array()?;
    Some(command.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
