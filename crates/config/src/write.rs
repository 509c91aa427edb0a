//! Configurations as text: for files, and for what a cluster keeps of them.
//!
//! Every text is what upstream writes, byte for byte: keys sorted, documents joined by `---`.

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::Api;
use kubeadm_release::facts::objects::StoredConfig;
use serde_json::{Map, Value, json};

use crate::api::{self, Embedded, Kind, Master};
use crate::codec;
use crate::defaults;
use crate::load::InitConfig;
use crate::types::{
    ClusterConfiguration, InitConfiguration, JoinConfiguration, NodeRegistration, ResetConfiguration,
    UpgradeConfiguration,
};

/// A ClusterConfiguration as an object.
pub fn cluster(x: &ClusterConfiguration, api: Api) -> Value {
    let mut x = x.clone();
    if !x.ci_kubernetes_version.is_empty() {
        x.kubernetes_version.clone_from(&x.ci_kubernetes_version);
    }
    codec::write(api, Kind::Cluster.name(), &mut x, api::cluster)
}

/// An InitConfiguration as an object.
pub fn init(x: &InitConfiguration, api: Api) -> Value {
    codec::write(api, Kind::Init.name(), &mut x.clone(), api::init)
}

/// A JoinConfiguration (NodeConfiguration in v1alpha2) as an object.
pub fn join(x: &JoinConfiguration, api: Api) -> Value {
    let kind = if matches!(api, Api::V1Alpha1 | Api::V1Alpha2) { Kind::Node } else { Kind::Join };
    codec::write(api, kind.name(), &mut x.clone(), api::join)
}

/// A ResetConfiguration as an object.
pub fn reset(x: &ResetConfiguration, api: Api) -> Value {
    codec::write(api, Kind::Reset.name(), &mut x.clone(), api::reset)
}

/// An UpgradeConfiguration as an object.
pub fn upgrade(x: &UpgradeConfiguration, api: Api) -> Value {
    codec::write(api, Kind::Upgrade.name(), &mut x.clone(), api::upgrade)
}

/// Configurations of components as objects with kind and apiVersion; v1alpha2 embeds them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Components<'a> {
    /// KubeletConfiguration.
    pub kubelet: Option<&'a Value>,
    /// KubeProxyConfiguration.
    pub kube_proxy: Option<&'a Value>,
}

/// The objects of an `init` configuration: two, or one MasterConfiguration in v1alpha2.
pub fn init_and_cluster(x: &InitConfig, api: Api, components: Components<'_>) -> Vec<Value> {
    match api {
        Api::V1Alpha1 | Api::V1Alpha2 => vec![master(x, components)],
        _ => vec![init(&x.init, api), cluster(&x.cluster, api)],
    }
}

fn master(x: &InitConfig, components: Components<'_>) -> Value {
    let embedded = |config: Option<&Value>| Embedded {
        config: config.and_then(Value::as_object).map(|object| {
            let mut object = object.clone();
            object.remove("apiVersion");
            object.remove("kind");
            Value::Object(object)
        }),
    };
    let mut master = Master {
        init: x.init.clone(),
        cluster: x.cluster.clone(),
        kube_proxy: embedded(components.kube_proxy),
        kubelet: embedded(components.kubelet),
    };
    codec::write(Api::V1Alpha2, Kind::Master.name(), &mut master, api::master)
}

/// Objects as one text.
pub fn to_text(objects: &[Value]) -> String {
    objects.iter().map(kubeadm_yaml::to_string).collect::<Vec<_>>().join("---\n")
}

/// The data of the ConfigMap `kubeadm-config`: key and text, in the release's own API and without what concerns one
/// node only.
pub fn stored(x: &InitConfig, release: &Release, components: Components<'_>) -> Vec<(&'static str, String)> {
    let api = release.config_api.written;
    let cluster_text = || (Kind::Cluster.name(), kubeadm_yaml::to_string(&cluster(&x.cluster, api)));
    match release.objects.stored_config {
        StoredConfig::MasterConfiguration => {
            let init = InitConfiguration {
                bootstrap_tokens: Vec::new(),
                node_registration: NodeRegistration::default(),
                ..x.init.clone()
            };
            let object = master(&InitConfig { init, cluster: x.cluster.clone() }, components);
            vec![(Kind::Master.name(), kubeadm_yaml::to_string(&object))]
        }
        StoredConfig::ClusterConfigurationAndStatus => {
            let status = cluster_status(&x.init, api);
            vec![cluster_text(), (Kind::ClusterStatus.name(), kubeadm_yaml::to_string(&status))]
        }
        StoredConfig::ClusterConfiguration => vec![cluster_text()],
    }
}

/// The addresses of the API servers, of which `init` knows one.
fn cluster_status(x: &InitConfiguration, api: Api) -> Value {
    let endpoint = json!({
        "advertiseAddress": x.local_api_endpoint.advertise_address,
        "bindPort": x.local_api_endpoint.bind_port,
    });
    let endpoints: Map<String, Value> = [(x.node_registration.name.clone(), endpoint)].into_iter().collect();
    json!({
        "apiVersion": api.group_version(),
        "kind": Kind::ClusterStatus.name(),
        "apiEndpoints": endpoints,
    })
}

/// Fields of a cluster that its release's API has no words for: the cluster does not keep them, so a later kubeadm
/// will not know of them.
pub fn lost_when_stored(x: &ClusterConfiguration, release: &Release) -> Vec<String> {
    let api = release.config_api.written;
    // Both sides in the API that can say everything, completed alike.
    let full = |mut x: ClusterConfiguration| {
        defaults::cluster(&mut x, release);
        codec::write(Api::V1, Kind::Cluster.name(), &mut x, api::cluster)
    };
    let mut kept = if matches!(api, Api::V1Alpha1 | Api::V1Alpha2) {
        let object =
            master(&InitConfig { cluster: x.clone(), ..InitConfig::default() }, Components::default());
        codec::read(api, Kind::Master.name(), &object, api::master).0.cluster
    } else {
        codec::read(api, Kind::Cluster.name(), &cluster(x, api), api::cluster).0
    };
    // Written as what it was resolved from, on purpose.
    kept.kubernetes_version.clone_from(&x.kubernetes_version);
    let mut lost = Vec::new();
    differences("", &full(x.clone()), &full(kept), &mut lost);
    lost
}

fn differences(path: &str, before: &Value, after: &Value, lost: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&path, value, after.get(key).unwrap_or(&Value::Null), lost);
            }
        }
        _ if before == after => {}
        (Value::Array(before), Value::Array(after)) if same_items(before, after) => {}
        _ => lost.push(path.to_owned()),
    }
}

/// Older APIs sort arguments, which loses nothing.
fn same_items(before: &[Value], after: &[Value]) -> bool {
    before.len() == after.len() && before.iter().all(|item| after.contains(item))
}
