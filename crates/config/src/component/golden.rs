//! The recorded configurations of every exact release, rebuilt from what its runs were given.
#![allow(clippy::disallowed_methods, reason = "tests read fixtures")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kubeadm_release::facts::component_config;
use kubeadm_release::{Release, SERVED_MINORS, Version};
use kubeadm_yaml::{get_str, parse_documents, parse_value, remove, set, to_string};
use serde_json::Value;

use super::{
    KubeletInputs, NodeRuntime, ProxyInputs, default_kube_proxy, default_kubelet, follow_runtime, problems,
};
use crate::components::hand_on;

/// The runtime of the recordings, where no other one was named.
const DOCKER: NodeRuntime<'_> = NodeRuntime::Docker(Some("cgroupfs"));

fn fixtures(minor: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/golden/kubeadm-1.{minor}"))
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// One recorded run, as far as it matters here.
struct Run {
    name: String,
    folder: PathBuf,
    /// The documents it was given.
    given: Vec<Value>,
    /// The ConfigMaps it made: name and data.
    config_maps: Vec<(String, Value)>,
}

impl Run {
    fn load(folder: PathBuf) -> Self {
        let given = read(&folder.join("config.yaml")).unwrap_or_default();
        // Some runs were given text that is not YAML, and made nothing.
        let given = parse_documents(&given, "config.yaml").unwrap_or_default();
        let made = read(&folder.join("objects.yaml")).unwrap_or_default();
        let config_maps = parse_documents(&made, "objects.yaml")
            .unwrap()
            .into_iter()
            .filter(|d| get_str(&d.value, "body.kind") == Some("ConfigMap"))
            .filter_map(|d| {
                Some((get_str(&d.value, "body.metadata.name")?.to_owned(), d.value["body"]["data"].clone()))
            })
            .collect();
        Self {
            name: folder.display().to_string(),
            folder,
            given: given.into_iter().map(|d| d.value).collect(),
            config_maps,
        }
    }

    fn config_map(&self, name: &str, key: &str) -> Option<String> {
        let (_, data) = self.config_maps.iter().find(|(n, _)| n.starts_with(name))?;
        Some(data[key].as_str()?.to_owned())
    }

    fn given(&self, kind: &str) -> Option<Value> {
        self.given.iter().find(|d| get_str(d, "kind") == Some(kind)).cloned()
    }

    /// The cluster's configuration as the run stored it.
    fn cluster(&self) -> Option<Value> {
        let (_, data) = self.config_maps.iter().find(|(n, _)| n == "kubeadm-config")?;
        let text = ["ClusterConfiguration", "MasterConfiguration"].iter().find_map(|k| data[*k].as_str())?;
        Some(parse_value(text, "kubeadm-config").unwrap())
    }

    /// kubeadm's own feature gates.
    fn gates(&self) -> BTreeMap<String, bool> {
        let gates = self.cluster().map(|cluster| cluster["featureGates"].clone()).unwrap_or_default();
        serde_json::from_value(gates).unwrap_or_default()
    }

    /// The container runtime of the node.
    fn runtime(&self) -> NodeRuntime<'static> {
        let socket = |d: &Value| get_str(d, "nodeRegistration.criSocket").is_some();
        if self.given.iter().any(socket) { NodeRuntime::Other } else { DOCKER }
    }

    fn advertise_address(&self) -> String {
        let args = read(&self.folder.join("args")).unwrap_or_default().replace('=', "\n");
        let mut args = args.lines().skip_while(|a| *a != "--apiserver-advertise-address");
        let flag = args.nth(1).map(str::to_owned);
        let file = self.given.iter().find_map(|d| {
            get_str(d, "localAPIEndpoint.advertiseAddress")
                .or(get_str(d, "apiEndpoint.advertiseAddress"))
                .or(get_str(d, "api.advertiseAddress"))
        });
        flag.or(file.map(str::to_owned)).unwrap_or_else(|| "192.0.2.10".to_owned())
    }
}

fn runs(minor: u32) -> Vec<Run> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(fixtures(minor).join("init")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().map(Run::load).collect()
}

fn release(minor: u32) -> Release {
    Release::of(&Version::new(1, minor, 0)).unwrap()
}

#[test]
fn kubelet_configurations_are_those_recorded() {
    for &minor in SERVED_MINORS {
        let release = release(minor);
        let mut checked = 0;
        for run in runs(minor) {
            let (Some(cluster), Some(want)) = (run.cluster(), run.config_map("kubelet-config", "kubelet"))
            else {
                continue;
            };
            let inputs = KubeletInputs {
                service_subnet: get_str(&cluster, "networking.serviceSubnet").unwrap(),
                dns_domain: get_str(&cluster, "networking.dnsDomain").unwrap(),
                // In a dry run 1.11 and 1.12 tell of another folder than they mean.
                certificates_dir: match get_str(&cluster, "certificatesDir").unwrap() {
                    "/etc/kubernetes" => "/etc/kubernetes/pki",
                    named => named,
                },
            };
            let user = run.given("KubeletConfiguration");
            assert_eq!(
                user.iter().flat_map(|u| problems(u, &component_config::kubelet(&release))).count(),
                0
            );
            let (mut config, _) = default_kubelet(user, &inputs, &release);
            hand_on(&component_config::kubelet(&release).gates, &run.gates(), &mut config);
            follow_runtime(&mut config, &release, run.runtime());
            assert_eq!(to_string(&config), want, "{}", run.name);
            checked += 1;

            // The node's own file differs in the socket alone.
            let Some(file) = read(&run.folder.join("files/var/lib/kubelet/config.yaml")) else { continue };
            let mut file = parse_value(&file, "config.yaml").unwrap();
            if let Some(socket) = remove(&mut file, "containerRuntimeEndpoint") {
                let named = socket.as_str().unwrap().starts_with("unix://");
                assert_eq!(named, release.kubelet.instance_config, "{}", run.name);
                set(&mut file, "containerRuntimeEndpoint", "");
            }
            set(&mut config, "kind", "KubeletConfiguration");
            assert_eq!(to_string(&config), to_string(&file), "{}", run.name);
        }
        assert!(checked > 4, "1.{minor}: {checked}");
    }
}

#[test]
fn kube_proxy_configurations_are_those_recorded() {
    for &minor in SERVED_MINORS {
        let release = release(minor);
        let mut checked = 0;
        for run in runs(minor) {
            let (Some(cluster), Some(want)) = (run.cluster(), run.config_map("kube-proxy", "config.conf"))
            else {
                continue;
            };
            let address = run.advertise_address();
            let inputs = ProxyInputs {
                advertise_address: &address,
                pod_subnet: get_str(&cluster, "networking.podSubnet").unwrap_or_default(),
            };
            let user = run.given("KubeProxyConfiguration");
            assert_eq!(
                user.iter().flat_map(|u| problems(u, &component_config::kube_proxy(&release))).count(),
                0
            );
            let (mut config, _) = default_kube_proxy(user, &inputs, &release);
            hand_on(&component_config::kube_proxy(&release).gates, &run.gates(), &mut config);
            // A template of 1.11 drops the final line break.
            assert_eq!(to_string(&config).trim_end(), want.trim_end(), "{}", run.name);
            checked += 1;
        }
        assert!(checked > 4, "1.{minor}: {checked}");
    }
}
