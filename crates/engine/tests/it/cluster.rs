//! What the phases that speak to the cluster do on a machine and in a cluster in memory.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::INIT;
use kubeadm_engine::ports::{Api, ApiError, Clock, Selector, WriteApi};
use kubeadm_engine::resource::{CONFIG_MAPS, DEPLOYMENTS, NODES, Resource, SECRETS};
use kubeadm_engine::run::Context;
use kubeadm_engine::spec::InitSpec;
use kubeadm_pki::{Certificate, CertificateKey};
use kubeadm_release::NEWEST_MINOR;
use kubeadm_testkit::MemoryHost;
use serde_json::{Value, json};

use crate::objects::Case;
use crate::wish;

/// The spec of a recorded case of the newest minor, for a real run.
fn recorded(name: &str) -> InitSpec {
    let name = format!("1.{NEWEST_MINOR}/{name}");
    let case = Case::all(NEWEST_MINOR).into_iter().find(|case| case.name == name).unwrap();
    let mut spec = case.spec().0;
    spec.layout.landing = None;
    spec
}

/// Runs phases one after the other, on a machine and a cluster in memory.
fn run(spec: &InitSpec, host: &MemoryHost, phases: &[&str]) {
    let context = Context {
        access: spec.access.clone(),
        socket: String::new(),
        api_limit: Duration::from_secs(1),
        dry: false,
    };
    let effects = host.effects();
    for phase in phases {
        let only = Selection::Only { path: (*phase).to_owned(), skip: Vec::new() };
        block_on(kubeadm_engine::run::run(INIT, &only, spec, &context, &effects)).unwrap();
    }
}

#[test]
fn the_closing_text_is_as_recorded() {
    let mut compared = 0;
    for case in Case::all(NEWEST_MINOR).iter().filter(|case| case.is_comparable()) {
        let (spec, _) = case.spec();
        let host = MemoryHost::default();
        run(
            &spec,
            &host,
            &["certs/ca", "kubeconfig/admin", "upload-certs", "bootstrap-token", "show-join-command"],
        );
        let said = host.output.said().join("\n");
        let ours = &said[said.find("\nYour Kubernetes control-plane").unwrap()..];
        let recorded = case.text("stdout.txt").replace("<dir>", "/etc/kubernetes");
        let theirs = &recorded[recorded.find("\nYour Kubernetes control-plane").unwrap()..];
        let ca = host.files.text("/etc/kubernetes/pki/ca.crt").unwrap();
        let pin = Certificate::from_pem(ca.as_bytes()).unwrap().pin();
        assert_eq!(ours.replace(&pin, "sha256:<pin>").trim_end(), theirs.trim_end(), "{}", case.name);
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn uploaded_certificates_are_sealed_and_belong_to_a_token() {
    let spec = recorded("flags-ha");
    let host = MemoryHost::default();
    run(&spec, &host, &["certs/ca", "certs/sa", "kubeconfig/admin", "upload-certs"]);
    let secret = host.cluster.object(SECRETS, "kube-system", "kubeadm-certs").unwrap();
    let owner = &secret["metadata"]["ownerReferences"][0];
    let token = host.cluster.object(SECRETS, "kube-system", owner["name"].as_str().unwrap()).unwrap();
    assert_eq!(owner["uid"], token["metadata"]["uid"]);
    let key = CertificateKey::parse(spec.certificate_key.as_deref().unwrap()).unwrap();
    for (name, file) in [("ca.key", "ca.key"), ("sa.pub", "sa.pub")] {
        let sealed = STANDARD.decode(secret["data"][name].as_str().unwrap()).unwrap();
        let content = host.files.text(format!("/etc/kubernetes/pki/{file}")).unwrap();
        assert_eq!(*key.open(&sealed).unwrap(), content.into_bytes());
    }
    // There is none of these files, so there is no value.
    assert_eq!(secret["data"]["front-proxy-ca.key"], Value::Null);
}

#[test]
fn a_control_plane_without_root_owns_its_files() {
    let mut spec = recorded("flags-defaults");
    spec.cluster.feature_gates.insert("RootlessControlPlane".into(), true);
    let host = MemoryHost::default();
    host.files.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", 0o644);
    host.files.put("/etc/group", "root:x:0:\n", 0o644);
    run(&spec, &host, &["certs", "kubeconfig", "etcd", "control-plane"]);
    let owner = |path: &str| {
        let entry = host.files.all()[&PathBuf::from(path)].clone();
        (entry.owner.0, entry.owner.1, entry.mode)
    };
    // etcd is written first and so has the first ids.
    assert_eq!(owner("/etc/kubernetes/pki/etcd/server.key"), (100, 100, 0o600));
    assert_eq!(owner("/etc/kubernetes/pki/apiserver.key"), (101, 101, 0o600));
    assert_eq!(owner("/etc/kubernetes/pki/sa.key"), (0, 104, 0o640));
    assert_eq!(owner("/etc/kubernetes/scheduler.conf"), (103, 103, 0o600));
    let manifest = host.files.text("/etc/kubernetes/manifests/kube-apiserver.yaml").unwrap();
    let pod = kubeadm_yaml::parse_value(&manifest, "manifest").unwrap();
    assert_eq!(pod["spec"]["securityContext"]["runAsUser"], 101);
    assert_eq!(pod["spec"]["securityContext"]["supplementalGroups"], json!([104]));
}

#[test]
fn patches_are_listed_once_and_applied() {
    let mut spec = recorded("flags-defaults");
    spec.patches = Some("/p".into());
    let host = MemoryHost::default();
    host.files.put("/p/kube-scheduler0.yaml", "spec: {priority: 7}", 0o644);
    host.files.put("/p/corednsdeployment+merge.json", "{\"spec\": {\"replicas\": 5}}", 0o644);
    run(&spec, &host, &["control-plane"]);
    let patches: Vec<String> =
        host.output.said().into_iter().filter(|line| line.starts_with("[patches]")).collect();
    assert_eq!(
        patches,
        [
            "[patches] Reading patches from path \"/p\"",
            "[patches] Found the following patch files: [corednsdeployment+merge.json kube-scheduler0.yaml]",
            "[patches] Applied patch of type \"application/strategic-merge-patch+json\" to target \"kube-scheduler\"",
        ]
    );
    let manifest = host.files.text("/etc/kubernetes/manifests/kube-scheduler.yaml").unwrap();
    assert!(manifest.contains("\n  priority: 7\n"), "{manifest}");
    run(&spec, &host, &["addon/coredns"]);
    let deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 5);
    let printed = kubeadm_engine::phases::addon::print_coredns(&spec, host.view().files).unwrap();
    assert!(
        printed.starts_with("---\napiVersion: apps/v1\n") && printed.contains("replicas: 5"),
        "{printed}"
    );
    let kinds = printed.lines().filter(|line| line.starts_with("kind: ")).collect::<Vec<_>>();
    assert_eq!(
        kinds.join(" "),
        "kind: Deployment kind: ConfigMap kind: Service kind: ClusterRole kind: ClusterRoleBinding kind: ServiceAccount"
    );
}

#[test]
fn a_refusal_is_believed_after_a_moment_and_unknown_credentials_at_once() {
    let spec = recorded("flags-defaults");
    let message = "User \"nobody\" cannot create resource \"configmaps\"".to_owned();
    let unauthorized = ApiError::Unauthorized {
        kubeconfig: "/etc/kubernetes/admin.conf".into(),
        message: "Unauthorized".into(),
    };
    for (refusal, least, most) in [
        (ApiError::Forbidden(message), 10, 12),
        (unauthorized, 0, 0),
        (ApiError::Unreachable("connection refused".into()), 60, 62),
    ] {
        let host = MemoryHost::default();
        host.cluster.refuse(CONFIG_MAPS, refusal.clone());
        let context = Context {
            access: spec.access.clone(),
            socket: String::new(),
            api_limit: Duration::from_secs(60),
            dry: false,
        };
        let only = Selection::Only { path: "upload-config/kubeadm".into(), skip: Vec::new() };
        let effects = host.effects();
        let outcome = block_on(kubeadm_engine::run::run(INIT, &only, &spec, &context, &effects));
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("unable to create ConfigMap kube-system/kubeadm-config: {refusal}")),
            "{error}"
        );
        let waited = host.machine.elapsed().as_secs();
        assert!((least..=most).contains(&waited), "{refusal}: {waited} s");
    }
}

/// An API server that comes up after a while, and then refuses everything until it knows the cluster's rights.
struct Waking(MemoryHost);

impl Waking {
    fn answer(&self) -> Result<Value, ApiError> {
        match self.0.machine.elapsed().as_secs() {
            0..40 => Err(ApiError::Unreachable("connection refused".into())),
            40..43 => Err(ApiError::Unauthorized {
                kubeconfig: "admin.conf".into(),
                message: "Unauthorized".into(),
            }),
            43..45 => Err(ApiError::Forbidden("User \"kubernetes-admin\" cannot get resource".into())),
            _ => Ok(json!({ "data": { "ClusterConfiguration": "kind: ClusterConfiguration" } })),
        }
    }
}

#[async_trait]
impl Api for Waking {
    async fn get(&self, _: Resource, _: &str, _: &str) -> Result<Option<Value>, ApiError> {
        self.answer().map(Some)
    }
    async fn list(&self, _: Resource, _: &str, _: &Selector) -> Result<Vec<Value>, ApiError> {
        self.answer().map(|object| vec![object])
    }
    async fn get_path(&self, _: &str) -> Result<String, ApiError> {
        self.answer().map(|_| "ok".into())
    }
}

#[test]
fn a_refusal_is_not_believed_sooner_because_the_server_was_away_before() {
    let api = Waking(MemoryHost::default());
    let limit = Duration::from_secs(60);
    let text = block_on(kubeadm_engine::stored::cluster(&api, &*api.0.machine, limit)).unwrap();
    assert_eq!(text, "kind: ClusterConfiguration");
}

/// A cluster with a CoreDNS of this version that reads this Corefile.
fn cluster_with(corefile: &str, tag: &str) -> MemoryHost {
    let host = MemoryHost::default();
    let map = json!({ "metadata": { "name": "coredns", "namespace": "kube-system" }, "data": { "Corefile": corefile } });
    block_on(host.cluster.create(CONFIG_MAPS, &map)).unwrap();
    let deployment = json!({
        "metadata": { "name": "coredns", "namespace": "kube-system", "labels": { "k8s-app": "kube-dns" } },
        "spec": { "replicas": 3, "template": { "spec": {
            "containers": [{ "name": "coredns", "image": format!("r.example.com/coredns:{tag}") }],
            "volumes": [{ "name": "config-volume", "configMap": { "name": "coredns" } }],
        } } },
    });
    block_on(host.cluster.create(DEPLOYMENTS, &deployment)).unwrap();
    host
}

fn corefile(host: &MemoryHost) -> Value {
    host.cluster.object(CONFIG_MAPS, "kube-system", "coredns").unwrap()["data"].clone()
}

const OWN: &str = ".:53 {\n    kubernetes cluster.local {\n       upstream\n    }\n    forward . 192.0.2.53\n    loop\n    ready\n}\n";

#[test]
fn a_corefile_of_the_user_is_kept() {
    let spec = recorded("flags-defaults");
    let host = cluster_with(OWN, spec.release.images.coredns);
    run(&spec, &host, &["addon/coredns"]);
    assert_eq!(corefile(&host), json!({ "Corefile": OWN }));
    let deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 3);
}

#[test]
fn a_corefile_that_coredns_would_refuse_is_rewritten() {
    let spec = recorded("flags-defaults");
    let host = cluster_with(OWN, "1.6.9");
    run(&spec, &host, &["addon/coredns"]);
    let data = corefile(&host);
    assert_eq!(data["Corefile-backup"], OWN);
    let new = data["Corefile"].as_str().unwrap();
    assert!(!new.contains("upstream") && new.contains("max_concurrent 1000"), "{new}");
    assert!(host.output.said().contains(&"[addons] Migrating CoreDNS Corefile".to_owned()));
    let deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").unwrap();
    let volume = &deployment["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(volume["configMap"]["items"][0]["key"], "Corefile");
}

#[test]
fn a_corefile_that_is_not_understood_keeps_its_coredns() {
    let spec = recorded("flags-defaults");
    let text = ".:53 {\n    import zones\n}\n";
    let host = cluster_with(text, "1.6.9");
    run(&spec, &host, &["addon/coredns"]);
    assert_eq!(corefile(&host), json!({ "Corefile": text }));
    let deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").unwrap();
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "r.example.com/coredns:1.6.9");
    let warned = host.output.warned().join(" ");
    assert!(
        warned.contains("the CoreDNS Configuration was not migrated: line 2 of the Corefile uses a snippet"),
        "{warned}"
    );
}

/// The phase alone, within a second.
fn try_phase(spec: &InitSpec, host: &MemoryHost, phase: &str) -> Result<(), String> {
    let context = Context { api_limit: Duration::from_secs(1), ..spec.context() };
    let only = Selection::Only { path: phase.into(), skip: Vec::new() };
    let outcome = block_on(kubeadm_engine::run::run(INIT, &only, spec, &context, &host.effects()));
    outcome.map_err(|error| error.to_string())
}

#[test]
fn a_node_that_never_registers_is_not_marked_with_success() {
    let (host, spec) = (MemoryHost::default(), wish::init("v1.37.2", ""));
    let error = try_phase(&spec, &host, "mark-control-plane").unwrap_err();
    assert!(error.contains("node \"cp1\" has not registered"), "{error}");
    let unnamed = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp1"}});
    block_on(host.cluster.create(NODES, &unnamed)).unwrap();
    let error = try_phase(&spec, &host, "mark-control-plane").unwrap_err();
    assert!(error.contains("node \"cp1\" has no label kubernetes.io/hostname"), "{error}");
}

#[test]
fn the_kubelet_is_asked_at_the_port_that_a_patch_gave_it() {
    let mut spec = wish::init("v1.37.2", "");
    spec.patches = Some("/p".into());
    let host = MemoryHost::default();
    host.files.put("/p/kubeletconfiguration.yaml", "healthzPort: 10555", 0o644);
    run(&spec, &host, &["certs", "kubeconfig", "etcd", "control-plane", "kubelet-start"]);
    host.machine.set(|state| state.refuse("http://127.0.0.1:10248/healthz"));
    try_phase(&spec, &host, "wait-control-plane").unwrap();
    let asked = "[kubelet-check] Waiting for a healthy kubelet at http://127.0.0.1:10555/healthz.";
    assert!(host.output.said().iter().any(|line| line.starts_with(asked)), "{:?}", host.output.said());

    host.files.put("/var/lib/kubelet/config.yaml", "healthzPort: 70000", 0o644);
    assert_eq!(
        try_phase(&spec, &host, "wait-control-plane").unwrap_err(),
        "error execution phase wait-control-plane: /var/lib/kubelet/config.yaml: healthzPort: expected a whole number from 0 to 65535, found number 70000; \
         correct it, or the patch of kubeletconfiguration that it comes from, and run again"
    );
}

#[test]
fn a_certificate_key_is_shown_only_when_something_was_sealed_with_it() {
    let key = CertificateKey::generate().unwrap().reveal().to_string();
    let mut spec = wish::init("v1.37.2", "controlPlaneEndpoint: api.example.com:6443\n");
    spec.certificate_key = Some(key.clone());
    for upload in [false, true] {
        spec.upload_certs = upload;
        let host = MemoryHost::default();
        run(&spec, &host, &["certs", "kubeconfig", "upload-certs", "bootstrap-token", "show-join-command"]);
        let said = host.output.said().join("\n");
        let text = &said[said.find("\nYour Kubernetes control-plane").unwrap()..];
        assert!(text.contains("--control-plane "), "{text}");
        assert_eq!(text.contains(&key), upload, "{text}");
    }
}
