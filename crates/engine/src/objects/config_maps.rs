//! The ConfigMaps that joining nodes and later upgrades read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubeadm_config::authorization;
use kubeadm_config::components::ComponentConfig;
use kubeadm_config::load::InitConfig;
use kubeadm_config::types::Arg;
use kubeadm_config::write::{self, Components};
use kubeadm_release::facts::objects::EmptyKubeconfigLists;
use serde_json::{Map, Value, json};

use super::kubeconfig::ClusterEntry;
use super::{KUBE_PUBLIC, KUBE_SYSTEM, object};
use crate::resource::CONFIG_MAPS;
use crate::spec::InitSpec;

/// Keeps what kubeadm knows of the cluster.
pub const KUBEADM_CONFIG: &str = "kubeadm-config";
/// Tells everybody the cluster's address and CA.
pub const CLUSTER_INFO: &str = "cluster-info";

/// The key with the API servers' addresses, in releases that keep them there.
const STATUS: &str = "ClusterStatus";

/// Says that a component configuration was generated, and what it was: an upgrade may replace it while it is still
/// the same. app/constants: ComponentConfigHashAnnotationKey.
const HASH: &str = "kubeadm.kubernetes.io/component-config.hash";

/// A ConfigMap of `kube-system`.
pub fn config_map(name: &str, data: Map<String, Value>) -> Value {
    let mut map = object(CONFIG_MAPS, KUBE_SYSTEM, name);
    map["data"] = Value::Object(data);
    map
}

/// `kubeadm-config`. `existing` is the one that is there; other nodes' addresses in it are kept.
pub fn kubeadm_config(spec: &InitSpec, existing: Option<&Value>) -> Value {
    let mut config = InitConfig { init: spec.init.clone(), cluster: spec.cluster.clone() };
    if spec.release.objects.dry_run_folder_stored {
        config.cluster.certificates_dir = spec.layout.shown(&spec.layout.pki).display().to_string();
    }
    if spec.release.objects.authorization_modes_stored {
        let args = &mut config.cluster.api_server.component.extra_args;
        let given = args.iter().rfind(|arg| arg.name == authorization::ARGUMENT).map(|arg| arg.value.clone());
        args.retain(|arg| arg.name != authorization::ARGUMENT);
        args.push(Arg::new(authorization::ARGUMENT, authorization::modes(&spec.release, given.as_deref())));
    }
    let components =
        Components { kubelet: Some(&spec.kubelet.value), kube_proxy: Some(&spec.kube_proxy.value) };
    let mut data: Map<String, Value> = write::stored(&config, &spec.release, components)
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    let before = existing.and_then(|map| map["data"][STATUS].as_str());
    if let (Some(before), Some(ours)) = (before, data.get(STATUS).and_then(Value::as_str)) {
        data.insert(STATUS.to_owned(), merged_status(before, ours).into());
    }
    config_map(KUBEADM_CONFIG, data)
}

/// Our ClusterStatus with the endpoints of the other nodes. What cannot be read is replaced, as nothing else would
/// ever mend it.
fn merged_status(before: &str, ours: &str) -> String {
    let read = |text| kubeadm_yaml::parse_value(text, STATUS).unwrap_or_default();
    let (before, mut merged) = (read(before), read(ours));
    if let (Some(theirs), Some(all)) =
        (before["apiEndpoints"].as_object(), merged["apiEndpoints"].as_object_mut())
    {
        for (node, endpoint) in theirs {
            all.entry(node).or_insert_with(|| endpoint.clone());
        }
    }
    kubeadm_yaml::to_string(&merged)
}

/// The configuration for all kubelets: that of the spec with what is found on the node.
pub fn kubelet_config(spec: &InitSpec, config: &Value) -> Value {
    let text = kubeadm_yaml::to_string(config);
    let name = spec.kubelet_config_map();
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
    map["metadata"]["annotations"] = json!({ HASH: hash(map) });
}

/// Whether a component's configuration was generated and is still the same.
pub fn is_generated(map: &Value) -> bool {
    map["metadata"]["annotations"][HASH].as_str().is_some_and(|noted| noted == hash(map))
}

fn hash(map: &Value) -> String {
    // serde_json keeps the keys of a map sorted.
    let all: String = map["data"].as_object().into_iter().flatten().filter_map(|(_, v)| v.as_str()).collect();
    format!("sha256:{}", kubeadm_pki::sha256_hex(all.as_bytes()))
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
        EmptyKubeconfigLists::NullWithPreferences => {
            config["contexts"] = Value::Null;
            config["preferences"] = json!({});
            config["users"] = Value::Null;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_keep_their_endpoints() {
        let before = "apiEndpoints:\n  cp1:\n    bindPort: 1\n  cp2:\n    bindPort: 2\nkind: ClusterStatus\n";
        let ours = "apiEndpoints:\n  cp1:\n    bindPort: 3\nkind: ClusterStatus\n";
        assert_eq!(merged_status(before, ours), before.replace("bindPort: 1", "bindPort: 3"));
        assert_eq!(merged_status("]", ours), ours);
    }
}
