//! The ConfigMaps that joining nodes and later upgrades read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubeadm_release::facts::objects::EmptyKubeconfigLists;
use serde_json::{Map, Value, json};

use super::kubeconfig::ClusterEntry;
use super::{KUBE_PUBLIC, KUBE_SYSTEM, object};
use crate::resource::CONFIG_MAPS;
use crate::spec::{ComponentConfig, InitSpec};

/// Keeps what kubeadm knows of the cluster.
pub const KUBEADM_CONFIG: &str = "kubeadm-config";
/// Tells everybody the cluster's address and CA.
pub const CLUSTER_INFO: &str = "cluster-info";

/// Says that a component configuration was generated, and what it was: an upgrade may replace it while it is still
/// the same. app/constants: ComponentConfigHashAnnotationKey.
const HASH: &str = "kubeadm.kubernetes.io/component-config.hash";

/// A ConfigMap of `kube-system`.
pub fn config_map(name: &str, data: Map<String, Value>) -> Value {
    let mut map = object(CONFIG_MAPS, KUBE_SYSTEM, name);
    map["data"] = Value::Object(data);
    map
}

/// The configuration for all kubelets.
pub fn kubelet_config(spec: &InitSpec) -> Value {
    let text = kubeadm_yaml::to_string(&spec.kubelet.value);
    let name = spec.release.kubelet.config_map_name(&spec.version);
    let mut map = config_map(&name, Map::from_iter([("kubelet".to_owned(), text.into())]));
    mark_generated(spec, &spec.kubelet, &mut map);
    map
}

/// Adds the hash, unless the user gave the configuration or the release knows no hash.
/// app/componentconfigs/checksums.go: the values of all keys, in the order of the keys.
pub fn mark_generated(spec: &InitSpec, config: &ComponentConfig, map: &mut Value) {
    if config.user_supplied || !spec.release.kubelet.config_hash {
        return;
    }
    // serde_json keeps the keys of a map sorted.
    let all: String = map["data"].as_object().into_iter().flatten().filter_map(|(_, v)| v.as_str()).collect();
    map["metadata"]["annotations"] = json!({ HASH: format!("sha256:{}", kubeadm_pki::sha256_hex(all.as_bytes())) });
}

/// `cluster-info`: a kubeconfig with the cluster alone, under an empty name.
/// app/phases/bootstraptoken/clusterinfo/clusterinfo.go.
pub fn cluster_info(spec: &InitSpec, cluster: &ClusterEntry) -> Value {
    let mut config = json!({
        "apiVersion": "v1",
        "clusters": [{
            "cluster": {
                "certificate-authority-data": STANDARD.encode(&cluster.ca),
                "server": cluster.server,
            },
            "name": "",
        }],
        "current-context": "",
        "kind": "Config",
    });
    match spec.release.objects.cluster_info_lists {
        EmptyKubeconfigLists::Empty => {
            config["contexts"] = json!([]);
            config["preferences"] = json!({});
            config["users"] = json!([]);
        }
        EmptyKubeconfigLists::Null => {
            config["contexts"] = Value::Null;
            config["users"] = Value::Null;
        }
    }
    let mut map = object(CONFIG_MAPS, KUBE_PUBLIC, CLUSTER_INFO);
    map["data"] = json!({ "kubeconfig": kubeadm_yaml::to_string(&config) });
    map
}
