//! A recorded `init`: its input, read just far enough to make the manifests from it, and the files it wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kubeadm_config::components::ComponentConfig;
use kubeadm_config::types::{
    ApiServer, Arg, AuditPolicy, ClusterConfiguration, ControlPlaneComponent, EnvVar, Etcd, ExternalEtcd,
    HostPathMount, InitConfiguration, LocalEtcd, Networking,
};
use kubeadm_engine::spec::{InitSpec, Layout};
use kubeadm_release::facts::control_plane::{AUDIT_LOG_DIRECTORY, AUDIT_POLICY, AUDITING};
use kubeadm_release::{Release, Version};
use serde_json::Value;

use crate::wish;

/// A recorded case.
pub(crate) struct Case {
    /// `1.37/flags-defaults`.
    pub(crate) name: String,
    folder: PathBuf,
    fields: BTreeMap<String, Value>,
}

impl Case {
    /// The cases of a minor that wrote manifests, for that minor itself.
    pub(crate) fn of_minor(minor: u32) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../fixtures/golden/kubeadm-1.{minor}/init"));
        let mut cases: Vec<Self> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|folder| folder.join("files/etc/kubernetes/manifests").exists())
            .map(|folder| Self::read(minor, folder))
            .filter(|case| case.version().is_ok_and(|version| version.minor == minor))
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn read(minor: u32, folder: PathBuf) -> Self {
        let name = format!("1.{minor}/{}", folder.file_name().unwrap().to_str().unwrap());
        let mut fields = BTreeMap::new();
        let arguments = std::fs::read_to_string(folder.join("args")).unwrap_or_default();
        let mut words = arguments.lines();
        while let Some(flag) = words.next() {
            let (flag, value) = match flag.split_once('=') {
                Some((flag, value)) => (flag, value),
                None if matches!(flag, "--skip-token-print" | "--upload-certs") => (flag, "true"),
                None => (flag, words.next().unwrap_or_default()),
            };
            fields.insert(field_of_flag(flag).to_owned(), Value::from(value));
        }
        let text = std::fs::read_to_string(folder.join("config.yaml")).unwrap_or_default();
        for document in kubeadm_yaml::parse_documents(&text, "config.yaml").unwrap() {
            if document.value["apiVersion"].as_str().is_some_and(|api| api.starts_with("kubeadm.")) {
                for (key, value) in document.value.as_object().unwrap() {
                    fields.insert(key.clone(), value.clone());
                }
            }
        }
        Self { name, folder, fields }
    }

    fn version(&self) -> Result<Version, kubeadm_release::VersionError> {
        self.text(&["kubernetesVersion"]).parse()
    }

    /// The text of a file it wrote, if it wrote it.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join("files").join(path.trim_start_matches('/'))).ok()
    }

    /// The first field of several names that is there.
    fn get(&self, names: &[&str]) -> &Value {
        names.iter().find_map(|name| self.fields.get(*name)).unwrap_or(&Value::Null)
    }

    fn text(&self, names: &[&str]) -> String {
        text(self.get(names))
    }

    /// The spec of the case.
    pub(crate) fn spec(&self) -> InitSpec {
        let version = self.version().unwrap();
        let release = Release::of(&version).unwrap();
        let endpoint = self.get(&["localAPIEndpoint", "apiEndpoint", "api"]);
        let address = text(&endpoint["advertiseAddress"]);
        let mut init = InitConfiguration::default();
        init.node_registration.name = text(&self.get(&["nodeRegistration"])["name"]);
        if init.node_registration.name.is_empty() {
            init.node_registration.name = self.text(&["nodeName"]);
        }
        init.local_api_endpoint.bind_port =
            or(text(&endpoint["bindPort"]), or(self.text(&["bindPort"]), "6443".into())).parse().unwrap();
        if let Some(limit) = self.get(&["timeouts"])["controlPlaneComponentHealthCheck"].as_str() {
            init.timeouts.control_plane_component_health_check = limit.parse().unwrap();
        } else if let Some(limit) = self.get(&["apiServer"])["timeoutForControlPlane"].as_str() {
            init.timeouts.control_plane_component_health_check = limit.parse().unwrap();
        }
        let pki = PathBuf::from("/etc/kubernetes/pki");
        InitSpec {
            cluster: self.cluster(&release),
            advertise_address: or(address, self.text(&["advertiseAddress"])).parse().unwrap(),
            kubelet: ComponentConfig { value: Value::Null, user_supplied: false },
            kube_proxy: ComponentConfig { value: Value::Null, user_supplied: false },
            layout: Layout { pki, kubeconfigs: "/etc/kubernetes".into(), landing: None },
            init,
            ..wish::init(&version.to_string(), "")
        }
    }

    fn cluster(&self, release: &Release) -> ClusterConfiguration {
        let networking = self.get(&["networking"]);
        let network = |key: &str, flag: &str, default: &str| {
            or(text(&networking[key]), or(self.text(&[flag]), default.to_owned()))
        };
        let component = |name: &str| {
            let part = self.get(&[name]);
            let old = if name == "apiServer" { "apiServer".to_owned() } else { name.to_owned() };
            let field = |key: &str, suffix: &str| match &part[key] {
                Value::Null => self.get(&[&format!("{old}{suffix}")]).clone(),
                found => found.clone(),
            };
            ControlPlaneComponent {
                extra_args: arguments(&field("extraArgs", "ExtraArgs")),
                extra_volumes: list(&field("extraVolumes", "ExtraVolumes")).iter().map(volume).collect(),
                extra_envs: list(&part["extraEnvs"]).iter().map(environment).collect(),
            }
        };
        let feature_gates = self.feature_gates();
        let policy = self.get(&["auditPolicy"]);
        let default_policy = match feature_gates.get(AUDITING) {
            Some(true) => AUDIT_POLICY,
            _ => "",
        };
        ClusterConfiguration {
            audit_policy: AuditPolicy {
                path: or(text(&policy["path"]), default_policy.into()),
                log_dir: or(text(&policy["logDir"]), AUDIT_LOG_DIRECTORY.into()),
                log_max_age: Some(policy["logMaxAge"].as_i64().map_or(2, |days| days.try_into().unwrap())),
            },
            feature_gates,
            etcd: etcd(self.get(&["etcd"])),
            networking: Networking {
                service_subnet: network("serviceSubnet", "serviceSubnet", "10.96.0.0/12"),
                pod_subnet: network("podSubnet", "podSubnet", ""),
                dns_domain: network("dnsDomain", "dnsDomain", "cluster.local"),
            },
            api_server: ApiServer { component: component("apiServer"), ..ApiServer::default() },
            controller_manager: component("controllerManager"),
            scheduler: component("scheduler"),
            image_repository: or(
                self.text(&["imageRepository"]),
                release.images.default_repository.to_owned(),
            ),
            cluster_name: or(self.text(&["clusterName"]), "kubernetes".into()),
            use_hyperkube_image: self.get(&["useHyperKubeImage"]).as_bool().unwrap_or_default(),
            unified_control_plane_image: self.text(&["unifiedControlPlaneImage"]),
            ..ClusterConfiguration::default()
        }
    }
}

impl Case {
    fn feature_gates(&self) -> BTreeMap<String, bool> {
        let flag = self.text(&["--feature-gates"]);
        let given = flag.split(',').filter_map(|gate| gate.split_once('='));
        let mut gates: BTreeMap<_, _> = given.map(|(name, on)| (name.to_owned(), on == "true")).collect();
        let of_file = self.get(&["featureGates"]).as_object().into_iter().flatten();
        gates.extend(of_file.map(|(name, on)| (name.clone(), on.as_bool().unwrap())));
        gates
    }
}

fn field_of_flag(flag: &str) -> &str {
    match flag {
        "--kubernetes-version" => "kubernetesVersion",
        "--apiserver-advertise-address" => "advertiseAddress",
        "--apiserver-bind-port" => "bindPort",
        "--node-name" => "nodeName",
        "--pod-network-cidr" => "podSubnet",
        "--service-cidr" => "serviceSubnet",
        "--service-dns-domain" => "dnsDomain",
        "--image-repository" => "imageRepository",
        other => other,
    }
}

fn or(text: String, default: String) -> String {
    if text.is_empty() { default } else { text }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn arguments(value: &Value) -> Vec<Arg> {
    match value {
        Value::Object(map) => map.iter().map(|(name, value)| Arg::new(name, text(value))).collect(),
        other => list(other).iter().map(|arg| Arg::new(text(&arg["name"]), text(&arg["value"]))).collect(),
    }
}

fn volume(value: &Value) -> HostPathMount {
    HostPathMount {
        name: text(&value["name"]),
        host_path: text(&value["hostPath"]),
        mount_path: text(&value["mountPath"]),
        read_only: value["readOnly"].as_bool().unwrap_or(value["writable"].as_bool() == Some(false)),
        path_type: text(&value["pathType"]),
    }
}

fn environment(value: &Value) -> EnvVar {
    EnvVar { name: text(&value["name"]), value: text(&value["value"]), value_from: None }
}

fn etcd(value: &Value) -> Etcd {
    if !value["external"].is_null() {
        let external = &value["external"];
        let endpoints = list(&external["endpoints"]).iter().map(text).collect();
        let file = |key: &str| text(&external[key]);
        let [ca_file, cert_file, key_file] = ["caFile", "certFile", "keyFile"].map(file);
        let external = ExternalEtcd { endpoints, http_endpoints: Vec::new(), ca_file, cert_file, key_file };
        return Etcd { local: None, external: Some(external) };
    }
    let local = &value["local"];
    let local = LocalEtcd {
        image_repository: text(&local["imageRepository"]),
        image_tag: text(&local["imageTag"]),
        image: text(&local["image"]),
        data_dir: or(text(&local["dataDir"]), "/var/lib/etcd".into()),
        extra_args: arguments(&local["extraArgs"]),
        ..LocalEtcd::default()
    };
    Etcd { local: Some(local), external: None }
}
