//! The objects that `init` puts into a cluster equal those of the recordings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use kubeadm_config::components;
use kubeadm_config::detect::{Detect, FetchError, Interface, RoutingTables};
use kubeadm_config::flags::init_token;
use kubeadm_config::load::{self, InitConfig, Loaded, Options, Source};
use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::INIT;
use kubeadm_engine::plan::{Action, Line, NodeMarks, Step};
use kubeadm_engine::ports::CgroupDriver;
use kubeadm_engine::spec::{InitSpec, Layout};
use kubeadm_release::{NEWEST_MINOR, SERVED_MINORS, Version};
use kubeadm_testkit::MemoryHost;
use serde_json::{Value, json};

use crate::wish;

/// The phases that speak to the cluster.
const PHASES: [&str; 9] = [
    "upload-config/kubeadm",
    "upload-config/kubelet",
    "upload-certs",
    "mark-control-plane",
    "bootstrap-token",
    "addon/coredns",
    "addon/kube-proxy",
    "addon",
    "upload-config",
];

/// The machine of the recordings, which had no runtime and no name server.
struct NoHost;

impl Detect for NoHost {
    fn hostname(&mut self) -> Result<String, String> {
        Ok("vm".into())
    }
    fn routes(&mut self) -> RoutingTables {
        RoutingTables::default()
    }
    fn interfaces(&mut self) -> Result<Vec<Interface>, String> {
        Ok(Vec::new())
    }
    fn runtime_answers(&mut self, _: &str) -> bool {
        false
    }
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        buffer.fill(7);
        Ok(())
    }
    fn fetch(&mut self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Unreachable("no such host".into()))
    }
}

/// A recorded `init`.
pub(crate) struct Case {
    pub(crate) name: String,
    folder: PathBuf,
    client: Version,
}

impl Case {
    /// Those of a minor.
    pub(crate) fn all(minor: u32) -> Vec<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join(format!("../../fixtures/golden/kubeadm-1.{minor}"));
        let client: Version =
            std::fs::read_to_string(folder.join("version")).unwrap().trim().parse().unwrap();
        let mut all: Vec<Self> = std::fs::read_dir(folder.join("init"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|folder| Self {
                name: format!("1.{minor}/{}", folder.file_name().unwrap().to_str().unwrap()),
                folder,
                client: client.clone(),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Not bad input, and not a cluster of the minor before: what is made follows from its own release here, and from
    /// kubeadm's in the recording.
    pub(crate) fn is_of_its_minor(&self) -> bool {
        let name = self.short_name();
        let older = ["flags-previous-minor", "flags-v1.10", "flags-v1.11", "flags-v112"];
        !name.starts_with("bad-") && !older.contains(&name)
    }

    /// Nor features whose objects differ.
    pub(crate) fn is_comparable(&self) -> bool {
        let features = ["gate-dynamic", "gate-selfhosting"];
        self.is_of_its_minor() && !features.iter().any(|feature| self.short_name().starts_with(feature))
    }

    fn short_name(&self) -> &str {
        self.name.split_once('/').unwrap().1
    }

    /// The text of a file that it wrote, if it wrote it.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join("files").join(path.trim_start_matches('/'))).ok()
    }

    pub(crate) fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> String {
        let args = self.text("args");
        let words: Vec<&str> = args.lines().collect();
        words.iter().position(|word| *word == name).map_or("", |at| words[at + 1]).to_owned()
    }

    fn load(&self) -> Loaded<InitConfig> {
        let mut options = Options::new(self.client.clone());
        let file = self.text("config.yaml");
        let loaded = if file.is_empty() {
            options.node_name = Some(self.flag("--node-name"));
            options.feature_gates = self.flag("--feature-gates");
            load::init_from_flags(self.wish(), &options, &mut NoHost, &mut Vec::new())
        } else {
            let source = Source { text: &file, name: "config.yaml" };
            load::load_init(source, &options, &mut NoHost, &mut Vec::new())
        };
        loaded.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn wish(&self) -> InitConfig {
        let mut wish = InitConfig::default();
        let ttl = self.flag("--token-ttl").parse().ok();
        wish.init.bootstrap_tokens = vec![init_token(&self.flag("--token"), ttl).unwrap()];
        wish.init.local_api_endpoint.advertise_address = self.flag("--apiserver-advertise-address");
        wish.init.local_api_endpoint.bind_port =
            self.flag("--apiserver-bind-port").parse().unwrap_or_default();
        wish.init.node_registration.cri_socket = self.flag("--cri-socket");
        let cluster = &mut wish.cluster;
        let sans = self.flag("--apiserver-cert-extra-sans");
        cluster.api_server.cert_sans = sans.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        cluster.kubernetes_version = self.flag("--kubernetes-version");
        cluster.control_plane_endpoint = self.flag("--control-plane-endpoint");
        cluster.networking.pod_subnet = self.flag("--pod-network-cidr");
        cluster.networking.service_subnet = self.flag("--service-cidr");
        cluster.networking.dns_domain = self.flag("--service-dns-domain");
        cluster.image_repository = self.flag("--image-repository");
        wish
    }

    /// The spec, and the phases that were left out.
    pub(crate) fn spec(&self) -> (InitSpec, Vec<String>) {
        let loaded = self.load();
        let completed = components::complete(&loaded, &mut Vec::new());
        let Loaded { config: InitConfig { init, mut cluster }, version, .. } = loaded;
        let mut skipped = init.skip_phases.clone();
        skipped.extend(self.flag("--skip-phases").split(',').map(str::to_owned));
        let skips = |phase: &str| skipped.iter().any(|s| s == "addon" || s == phase);
        cluster.dns.disabled |= skips("addon/coredns");
        cluster.proxy.disabled |= skips("addon/kube-proxy");
        let key = self.flag("--certificate-key");
        let args = self.text("args");
        let spec = InitSpec {
            advertise_address: init.local_api_endpoint.advertise_address.parse().unwrap(),
            kubelet: completed.kubelet,
            kube_proxy: completed.kube_proxy,
            layout: Layout {
                pki: cluster.certificates_dir.clone().into(),
                kubeconfigs: "/etc/kubernetes".into(),
                // The recordings are dry runs; their folder is shown as this one.
                landing: Some("/etc/kubernetes".into()),
            },
            upload_certs: args.contains("--upload-certs"),
            certificate_key: Some(key).filter(|k| !k.is_empty()),
            certificate_key_given: true,
            skip_token_print: args.contains("--skip-token-print"),
            init,
            cluster,
            ..wish::init(&version.to_string(), "")
        };
        (spec, skipped)
    }

    /// The steps of all phases that speak to the cluster.
    fn steps(&self) -> Vec<Step> {
        let (spec, skipped) = self.spec();
        self.steps_for(&spec, skipped)
    }

    /// The same for a spec of the test's.
    pub(crate) fn steps_for(&self, spec: &InitSpec, skipped: Vec<String>) -> Vec<Step> {
        let host = MemoryHost::default();
        host.runtimes.runtime.set(|runtime| runtime.cgroup_driver = Ok(CgroupDriver::Cgroupfs));
        host.files.put("/etc/kubernetes/admin.conf", admin_conf(spec), 0o600);
        let mut steps = Vec::new();
        for selected in select(INIT, &Selection::Skip(skipped)).unwrap() {
            if !PHASES.contains(&selected.path.as_str()) || !(selected.phase.applies)(spec) {
                continue;
            }
            if let Some(plan) = selected.phase.plan {
                let planned = block_on(plan(spec, host.view()));
                steps.extend(planned.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
            }
        }
        steps
    }

    /// What the recording wrote: by identity, in order.
    pub(crate) fn recorded(&self) -> BTreeMap<String, Vec<Value>> {
        requests(&self.text("objects.yaml"))
    }
}

/// The writes among recorded requests: by identity, in order.
pub(crate) fn requests(text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut written: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for document in kubeadm_yaml::parse_documents(text, "objects.yaml").unwrap() {
        let request = document.value;
        let verb = request["verb"].as_str().unwrap();
        if matches!(verb, "CREATE" | "UPDATE" | "PATCH" | "DELETE") {
            let body = request["body"].clone();
            let mut key = key(verb, request["resource"].as_str().unwrap(), &body);
            if verb == "PATCH" {
                key = format!("PATCH nodes {}", request["name"].as_str().unwrap());
            }
            written.entry(key).or_default().push(normal(body));
        }
    }
    written
}

const CA: &str = "<ca certificate>";

fn admin_conf(spec: &InitSpec) -> String {
    let server = spec.control_plane_endpoint();
    let ca = STANDARD.encode(CA);
    kubeadm_yaml::to_string(&json!({
        "clusters": [{ "name": "c", "cluster": { "server": server, "certificate-authority-data": ca } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "x",
    }))
}

fn key(verb: &str, resource: &str, body: &Value) -> String {
    let metadata = &body["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    // The token that owns the certificates has a random name.
    let owner =
        body["data"]["description"] == "UHJveHkgZm9yIG1hbmFnaW5nIFRUTCBmb3IgdGhlIGt1YmVhZG0tY2VydHMgc2VjcmV0";
    let name = if owner { "bootstrap-token-<random id>" } else { name };
    format!("{verb} {resource} {}/{name}", metadata["namespace"].as_str().unwrap_or_default())
}

/// What differs between two runs, or between Go's types and what the API takes for equal, is left out.
pub(crate) fn normal(mut body: Value) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("creationTimestamp");
                map.values_mut().for_each(clean);
                map.retain(|key, v| {
                    let empty = *v == json!({}) || *v == json!({ "loadBalancer": {} });
                    !(v.is_null() || key == "status" && empty)
                });
            }
            Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut body);
    if let Some(data) = body["data"].as_object_mut() {
        if data.contains_key("expiration") {
            data["expiration"] = json!("<time>");
        }
        if data.get("description").is_some_and(|d| d.as_str().is_some_and(|d| d.starts_with("UHJveHk"))) {
            body["data"]["token-id"] = json!("<random id>");
            body["data"]["token-secret"] = json!("<random secret>");
            body["metadata"]["name"] = json!("<random name>");
        }
    }
    if let Some(owners) = body["metadata"].get_mut("ownerReferences") {
        owners[0]["name"] = json!("<random name>");
    }
    body
}

/// What the steps write: by identity, in order.
pub(crate) fn written(steps: &[Step]) -> BTreeMap<String, Vec<Value>> {
    let mut written: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for step in steps {
        let (key, body) = match &step.action {
            Action::Apply { resource, object, .. } => {
                let text = object.to_string().replace(&STANDARD.encode(CA), CA);
                (key("CREATE", resource.plural, object), serde_json::from_str(&text).unwrap())
            }
            Action::MarkNode(NodeMarks { name, labels, annotations, taints, config_source, .. }) => {
                let map = |pairs: &[(String, String)]| -> Value {
                    match pairs {
                        [] => Value::Null,
                        pairs => pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect(),
                    }
                };
                let mut patch =
                    json!({ "metadata": { "labels": map(labels), "annotations": map(annotations) } });
                if !taints.is_empty() {
                    patch["spec"]["taints"] = json!(taints);
                }
                if let Some(source) = config_source {
                    patch["spec"]["configSource"] = source.clone();
                }
                (format!("PATCH nodes {name}"), patch)
            }
            _ => continue,
        };
        written.entry(key).or_default().push(normal(body));
    }
    written
}

#[test]
fn equal_the_recordings() {
    for &minor in SERVED_MINORS {
        let mut compared = 0;
        for case in Case::all(minor).iter().filter(|case| case.is_comparable()) {
            let (mut ours, mut theirs) = (written(&case.steps()), case.recorded());
            assert_eq!(
                ours.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>(),
                theirs.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>(),
                "{}",
                case.name
            );
            if minor > 13 {
                // These show the Node before the patch.
                ours.retain(|key, _| !key.starts_with("PATCH"));
                theirs.retain(|key, _| !key.starts_with("PATCH"));
            }
            for (key, mut body) in ours {
                let mut recorded = theirs.remove(&key).unwrap();
                // The order of two patches of a node does not matter.
                for bodies in [&mut body, &mut recorded] {
                    bodies.sort_by_key(Value::to_string);
                }
                assert_eq!(body, recorded, "{} {key}", case.name);
            }
            compared += 1;
        }
        assert!(compared > 2, "1.{minor}: {compared}");
    }
}

#[test]
fn lines_are_those_of_today() {
    let lines = |text: String| -> Vec<String> {
        let phases =
            ["upload-config", "kubelet", "upload-certs", "mark-control-plane", "bootstrap-token", "addons"];
        text.lines()
            .filter(|line| phases.iter().any(|phase| line.starts_with(&format!("[{phase}]"))))
            .map(str::to_owned)
            .collect()
    };
    for case in Case::all(NEWEST_MINOR).iter().filter(|case| case.is_comparable()) {
        let mut said = String::new();
        for step in case.steps() {
            let before = step.lines.iter().map(|line| match line {
                Line::Say(text) | Line::Warn(text) | Line::Note(text) => text.clone(),
            });
            for text in before.chain(step.done) {
                said.push_str(&text);
                said.push('\n');
            }
        }
        assert_eq!(lines(said), lines(case.text("stdout.txt")), "{}", case.name);
    }
}
