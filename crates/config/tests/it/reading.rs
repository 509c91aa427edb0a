//! Files that `init` refuses, and files that it takes with a warning.

use kubeadm_config::components;
use kubeadm_config::error::{ConfigError, Notice};
use kubeadm_config::load::{self, InitConfig, Loaded, Source};

use crate::host::{host, options};
use crate::recorded::{cases, releases};

fn load(text: &str, client: &str) -> (Result<Loaded<InitConfig>, ConfigError>, Vec<Notice>) {
    let mut notices = Vec::new();
    let source = Source { text, name: "config.yaml" };
    (load::load_init(source, &options(client), &mut host(), &mut notices), notices)
}

fn refusal(text: &str) -> String {
    load(text, "v1.37.2").0.unwrap_err().to_string()
}

/// Configurations whose faults lie in components, which are validated elsewhere.
const OTHERS: [&str; 1] = ["1.13/init/bad-yaml-kubelet"];
/// APIs that upstream of that release no longer reads, and we do.
const READ_HERE: &str = "/bad-yaml-removed-api";

#[test]
fn files_are_refused_as_recorded() {
    for (minor, client) in releases() {
        for case in cases(&minor, "init", "") {
            let Some(text) = case.text("config.yaml") else { continue };
            let (result, _) = load(&text, &client.to_string());
            if OTHERS.contains(&case.name.as_str()) {
                continue;
            }
            let fails = case.fails() && !case.name.ends_with(READ_HERE);
            assert_eq!(result.is_err(), fails, "{}: {:?}", case.name, result.err().map(|e| e.to_string()));
        }
    }
}

const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n";

#[test]
fn refusals_say_where() {
    let cluster = |rest: &str| {
        format!(
            "{INIT}---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n{rest}"
        )
    };
    assert_eq!(
        refusal(&cluster("networking: 5\n")),
        "json: cannot unmarshal number into Go struct field ClusterConfiguration.networking of type \
         v1beta4.Networking (config.yaml:7:1)"
    );
    assert_eq!(
        refusal(&cluster("etcd: {local: {dataDir: d}}\nclusterName: x\napiServer: {certSANs: ['a b']}\n"))
            .matches("(config.yaml:")
            .count(),
        2
    );
    assert_eq!(
        refusal(&cluster("etcd:\n  local:\n    dataDir: d\n")),
        "etcd.local.dataDir: Invalid value: \"d\": path is not absolute (config.yaml:9:5)"
    );
    assert_eq!(
        refusal(&format!("{INIT}certificateKey: zz\n")),
        "certificateKey: Invalid value: \"<redacted>\": certificate key decoding error: encoding/hex: invalid byte: \
         U+007A 'z' (config.yaml:3:1)"
    );
    assert_eq!(
        refusal("kind: ConfigMap\napiVersion: v1\n"),
        "invalid configuration for GroupVersionKind /v1, Kind=ConfigMap: kind and apiVersion is mandatory information \
         that must be specified (config.yaml:1:1)"
    );
    assert!(
        refusal(&format!("{INIT}--- x\n")).starts_with("config.yaml:3:4: invalid Yaml document separator: x")
    );
    assert!(refusal("apiVersion: [\n").starts_with(
        "could not interpret GroupVersionKind; unmarshal error: error converting YAML to JSON: config.yaml:"
    ));
    assert_eq!(
        refusal(""),
        "no InitConfiguration or ClusterConfiguration kind was found in the configuration file"
    );
    assert_eq!(
        refusal(&format!("{INIT}---\n{INIT}")),
        "invalid configuration: kind \"InitConfiguration\" is specified twice in YAML file (config.yaml:4:1)"
    );
}

#[test]
fn old_and_experimental_apis_have_their_texts() {
    assert_eq!(
        refusal("apiVersion: kubeadm.k8s.io/v1alpha1\nkind: MasterConfiguration\n"),
        "your configuration file uses an old API spec: \"kubeadm.k8s.io/v1alpha1\" (kind: \"MasterConfiguration\"). \
         Please use kubeadm v1.11 instead and run 'kubeadm config migrate --old-config old-config-file --new-config \
         new-config-file', which will write the new, similar spec using a newer API version. (config.yaml:1:1)"
    );
    assert!(
        refusal("apiVersion: kubeadm.k8s.io/v1\nkind: InitConfiguration\n")
            .contains("--allow-experimental-api")
    );
    let mut options = options("v1.37.2");
    options.reading.allow_experimental = true;
    let text = "apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n\
        apiServer: {extraArgs: [{name: a, value: b, mergeMethod: append}, {name: c, value: d, mergeMethod: x}]}\n";
    let source = Source { text, name: "config.yaml" };
    let error = load::load_init(source, &options, &mut host(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "apiServer.extraArgs: Invalid value: \"index 1\": argument has an invalid merge method (config.yaml:4:13)"
    );
}

#[test]
fn what_init_forgives_is_said_with_its_place() {
    let text = format!(
        "{INIT}nodeRegistration: {{name: a, nmae: b}}\ndryRun: false\ndryRun: true\n---\n\
        apiVersion: kubeadm.k8s.io/v1beta4\nkind: Wrong\n---\napiVersion: kubeadm.k8s.io/v1beta3\n\
        kind: ClusterConfiguration\n"
    );
    let (result, notices) = load(&text, "v1.37.2");
    let config = result.unwrap().config;
    assert!(config.init.dry_run, "the last of equal keys counts");
    let texts: Vec<&str> = notices.iter().map(|notice| notice.text.as_str()).collect();
    for expected in [
        "strict decoding error: key \"dryRun\" already set in map (config.yaml:5:1), unknown field \
         \"nodeRegistration.nmae\" (config.yaml:3:29)",
        "unknown configuration schema.GroupVersionKind{Group:\"kubeadm.k8s.io\", Version:\"v1beta4\", Kind:\"Wrong\"} \
         (config.yaml:7:1)",
        "[config] WARNING: Ignored configuration document with GroupVersionKind kubeadm.k8s.io/v1beta4, Kind=Wrong",
        "deprecated API spec: \"kubeadm.k8s.io/v1beta3\" (kind: \"ClusterConfiguration\")",
    ] {
        assert!(texts.iter().any(|text| text.contains(expected)), "{expected}\nnot in {texts:#?}");
    }
}

#[test]
fn the_version_decides_the_defaults() {
    let text = |version: &str| {
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta1\nkind: ClusterConfiguration\nkubernetesVersion: {version}\n"
        )
    };
    let old = load(&text("v1.13.12"), "v1.37.2").0.unwrap();
    assert_eq!(old.config.cluster.image_repository, "k8s.gcr.io");
    assert_eq!(old.config.init.node_registration.cri_socket, "/var/run/dockershim.sock");
    assert_eq!(old.config.init.node_registration.taints.unwrap()[0].key, "node-role.kubernetes.io/master");
    let new = load(&text("v1.37.2"), "v1.37.2").0.unwrap();
    assert_eq!(new.config.cluster.image_repository, "registry.k8s.io");
    assert_eq!(new.config.init.node_registration.cri_socket, "unix:///var/run/containerd/containerd.sock");
    assert_eq!(
        load(&text("v1.38.0"), "v1.37.2").0.unwrap_err().to_string(),
        "Kubernetes 1.38 is not supported by this build of kubeadm; supported are 1.11 to 1.37"
    );
    let (unnamed, notices) = load(INIT, "v1.37.2");
    assert_eq!(unnamed.unwrap().config.cluster.kubernetes_version, "v1.37.2");
    assert_eq!(notices.last().unwrap().text, "falling back to the local client version: v1.37.2");
}

#[test]
fn runtimes_are_found_on_the_host() {
    let mut busy = host();
    busy.runtimes = vec!["unix:///var/run/crio/crio.sock"];
    let source = Source { text: INIT, name: "config.yaml" };
    let loaded = load::load_init(source, &options("v1.37.2"), &mut busy, &mut Vec::new()).unwrap();
    assert_eq!(loaded.config.init.node_registration.cri_socket, "unix:///var/run/crio/crio.sock");
    busy.runtimes.push("unix:///var/run/containerd/containerd.sock");
    let error = load::load_init(source, &options("v1.37.2"), &mut busy, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("found multiple CRI endpoints on the host."), "{error}");
    let mut notices = Vec::new();
    let text = format!("{INIT}nodeRegistration: {{criSocket: /run/x.sock}}\n");
    let source = Source { text: &text, name: "config.yaml" };
    let loaded = load::load_init(source, &options("v1.37.2"), &mut host(), &mut notices).unwrap();
    assert_eq!(loaded.config.init.node_registration.cri_socket, "unix:///run/x.sock");
    assert!(notices.iter().any(|notice| notice.text.contains("without URL scheme is deprecated")));
}

#[test]
fn component_configurations_are_checked_and_completed() {
    let text = |rest: &str| {
        format!("{INIT}---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{rest}")
    };
    let (loaded, notices) = load(&text("maxPods: 42\nmaxPosd: 1\nrotateCertificates: false\n"), "v1.37.2");
    let loaded = loaded.unwrap();
    assert!(
        notices.iter().any(|notice| notice.text.ends_with("unknown field \"maxPosd\" (config.yaml:7:1)"))
    );
    let mut notices = Vec::new();
    let completed = components::complete(&loaded, &mut notices);
    assert_eq!(
        notices,
        [Notice::warning(
            "the value of \"rotateCertificates\" in \"KubeletConfiguration\" is replaced: kubeadm needs true; the \
             provided value is: false (config.yaml:8:1)"
        )]
    );
    assert_eq!(completed.kubelet.value["rotateCertificates"], true);
    assert_eq!(completed.kubelet.value["maxPods"], 42);
    assert_eq!(completed.kubelet.value["clusterDNS"][0], "10.96.0.10");
    assert!(completed.kubelet.user_supplied && !completed.kube_proxy.user_supplied);
    assert_eq!(
        refusal(&text("maxPods: many\n")),
        "KubeletConfiguration.maxPods: expected a number, found string \"many\" (config.yaml:6:1)"
    );
    assert_eq!(
        refusal("apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\n"),
        "unsupported apiVersion \"kubelet.config.k8s.io/v1\", you may have to do manual conversion to \
         \"kubelet.config.k8s.io/v1beta1\" and run kubeadm again (config.yaml:1:1)"
    );
}
