//! What the features of 2018 leave that no later release has: DaemonSets of the control plane, audit policies, kubelets
//! that follow a ConfigMap, kube-dns.

use std::path::Path;

use futures::executor::block_on;
use kubeadm_config::types::DnsKind;
use kubeadm_engine::manifests::{self, HostFacts, self_hosted};
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::self_hosting::{Conversion, PIVOT};
use kubeadm_engine::ports::{Effects, Files};
use kubeadm_engine::resource::{DAEMON_SETS, DEPLOYMENTS, NODES, PODS, SECRETS};
use kubeadm_engine::run::{self, RunError};
use kubeadm_testkit::MemoryHost;
use serde_json::{Value, json};

use crate::objects::Case;
use crate::{wish, workflow};

const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// A machine whose kubelet runs what is written, in a cluster that runs DaemonSets.
pub(crate) fn host(version: &str) -> MemoryHost {
    let host = workflow::host(version);
    host.run_kubelet();
    for component in COMPONENTS {
        let name = format!("self-hosted-{component}");
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": format!("{name}-x"), "namespace": "kube-system", "labels": { "k8s-app": name } },
            "status": { "phase": "Running" },
        });
        host.cluster.place(PODS, pod);
    }
    host
}

fn init(host: &MemoryHost, version: &str, more: &str) -> Result<(), RunError> {
    workflow::init_with(&host.effects(), &wish::init(version, more))
}

/// Volumes by name: their order is left to chance in the recordings. What the original forgot is left out.
fn comparable(mut set: Value) -> Value {
    let pod = &mut set["spec"]["template"]["spec"];
    let forgotten = ["apiserver-etcd-client", "etcd-ca"].map(Value::from);
    for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
        if let Some(sources) = volume["projected"]["sources"].as_array_mut() {
            sources.retain(|source| !forgotten.contains(&source["secret"]["name"]));
        } else if let Some(volume) = volume.as_object_mut() {
            volume.remove("projected");
        }
    }
    let by_name = |list: &mut Value| {
        if let Some(list) = list.as_array_mut() {
            list.sort_by_key(|item| item["name"].as_str().map(str::to_owned));
        }
    };
    by_name(&mut pod["volumes"]);
    by_name(&mut pod["containers"][0]["volumeMounts"]);
    set
}

#[test]
fn daemon_sets_are_the_recorded_ones() {
    let mut compared = 0;
    for case in Case::all(11) {
        let secrets = match case.name.as_str() {
            "1.11/gate-selfhosting" => false,
            "1.11/gate-selfhosting-storecertsinsecrets" => true,
            _ => continue,
        };
        let recorded = case.recorded();
        let (spec, _) = case.spec();
        let paths =
            ["/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates"];
        let facts = HostFacts { paths: paths.into(), ..HostFacts::default() };
        for component in self_hosted::COMPONENTS {
            let set =
                self_hosted::daemon_set(component, &manifests::pod(&spec, &facts, component), secrets, true);
            let theirs =
                &recorded[&format!("CREATE daemonsets kube-system/{}", self_hosted::name(component))];
            assert_eq!(
                comparable(crate::objects::normal(set)),
                comparable(theirs[0].clone()),
                "{}",
                case.name
            );
            compared += 1;
        }
        let made: Vec<&str> = self_hosted::CERTIFICATES.iter().map(|s| s.name).collect();
        for name in made.iter().filter(|name| secrets && !["apiserver-etcd-client", "etcd-ca"].contains(name))
        {
            assert_eq!(
                recorded[&format!("CREATE secrets kube-system/{name}")][0]["type"],
                "kubernetes.io/tls"
            );
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn static_pods_hand_over_one_by_one() {
    let host = host("v1.11.10");
    init(&host, "v1.11.10", "featureGates: {SelfHosting: true}\n").unwrap();
    for component in COMPONENTS {
        assert!(!host.files.exists(&Path::new(MANIFESTS).join(format!("{component}.yaml"))));
        assert!(host.cluster.object(PODS, "kube-system", &format!("{component}-cp1")).is_none());
        assert!(
            host.cluster.object(DAEMON_SETS, "kube-system", &format!("self-hosted-{component}")).is_some()
        );
    }
    assert!(host.files.exists(&Path::new(MANIFESTS).join("etcd.yaml")));
    assert!(host.cluster.object(SECRETS, "kube-system", "ca").is_none());
    // Again, as after a reboot: static pods start the cluster, and hand over.
    init(&host, "v1.11.10", "featureGates: {SelfHosting: true}\n").unwrap();
    assert!(!host.files.exists(&Path::new(MANIFESTS).join("kube-apiserver.yaml")));
}

#[test]
fn nothing_is_given_up_before_somebody_takes_over() {
    let host = host("v1.11.10");
    host.cluster.take_away(PODS, "kube-system", "self-hosted-kube-controller-manager-x");
    let RunError::Phase { source, .. } =
        init(&host, "v1.11.10", "featureGates: {SelfHosting: true}\n").unwrap_err()
    else {
        panic!()
    };
    let text = source.to_string();
    assert!(text.contains("the static Pod kube-controller-manager was left as it is"), "{text}");
    assert!(!host.files.exists(&Path::new(MANIFESTS).join("kube-apiserver.yaml")));
    assert!(host.files.exists(&Path::new(MANIFESTS).join("kube-controller-manager.yaml")));
}

/// `alpha selfhosting pivot --store-certs-in-secrets`, where the user agrees.
pub(crate) fn pivot(effects: &Effects) -> Result<(), RunError> {
    let wish = wish::init("v1.13.12", "");
    let spec = Conversion {
        layout: wish.layout.clone(),
        node_name: "cp1".into(),
        secrets: true,
        question: Some("sure? ".into()),
    };
    block_on(run::run(PIVOT, &Selection::Skip(Vec::new()), &spec, &wish.context(), effects))
}

#[test]
fn certificates_may_be_kept_in_secrets() {
    let host = host("v1.13.12");
    init(&host, "v1.13.12", "").unwrap();
    pivot(&host.effects()).unwrap();
    let secret = |name: &str| host.cluster.object(SECRETS, "kube-system", name).unwrap();
    assert_eq!(secret("etcd-ca")["type"], "Opaque");
    assert!(secret("etcd-ca")["data"].get("tls.key").is_none());
    assert_eq!(secret("apiserver-etcd-client")["type"], "kubernetes.io/tls");
    assert!(secret("controller-manager.conf")["data"]["controller-manager.conf"].is_string());
    // Every path that a component is told is in what it mounts.
    for component in self_hosted::COMPONENTS {
        let set = host.cluster.object(DAEMON_SETS, "kube-system", &self_hosted::name(component)).unwrap();
        let pod = &set["spec"]["template"]["spec"];
        let paths = paths(pod);
        assert!(!paths.is_empty());
        for path in paths {
            assert!(mounted(pod, &path), "{} is told {path}", component.name());
        }
    }
}

/// The files below /etc/kubernetes that a command names.
fn paths(pod: &Value) -> Vec<String> {
    let words = pod["containers"][0]["command"].as_array().unwrap().iter().filter_map(Value::as_str);
    let named = words.filter_map(|word| word.split_once('=')).map(|(_, value)| value.to_owned());
    named.filter(|value| value.starts_with("/etc/kubernetes/")).collect()
}

/// Whether a file is in a volume of the pod.
fn mounted(pod: &Value, path: &str) -> bool {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    mounts.iter().any(|mount| {
        let Some(inside) = path.strip_prefix(mount["mountPath"].as_str().unwrap()) else { return false };
        let volume = pod["volumes"].as_array().unwrap().iter().find(|v| v["name"] == mount["name"]).unwrap();
        let inside = inside.trim_start_matches('/');
        match (&volume["projected"]["sources"], &volume["secret"]["secretName"]) {
            (Value::Array(sources), _) => sources
                .iter()
                .flat_map(|source| source["secret"]["items"].as_array().unwrap())
                .any(|item| item["path"] == *inside),
            (_, Value::String(name)) => inside == name,
            _ => true,
        }
    })
}

#[test]
fn an_audit_log_needs_a_policy() {
    let host = host("v1.12.10");
    let policy = Path::new("/etc/kubernetes/audit/audit.yaml");
    init(&host, "v1.12.10", "featureGates: {Auditing: true}\n").unwrap();
    assert!(host.files.text(policy).unwrap().starts_with("apiVersion: audit.k8s.io/v1\nkind: Policy\n"));
    let manifest = || host.files.text(Path::new(MANIFESTS).join("kube-apiserver.yaml")).unwrap();
    assert!(manifest().contains("--audit-log-maxage=2\n"));
    // The default stays as the user may have changed it; a file of the user's own must be there.
    host.files.put(policy, "mine", 0o600);
    init(&host, "v1.12.10", "featureGates: {Auditing: true}\n").unwrap();
    assert_eq!(host.files.text(policy).unwrap(), "mine");
    let mut spec = wish::init("v1.12.10", "featureGates: {Auditing: true}\n");
    spec.cluster.audit_policy.path = "/etc/mine.yaml".into();
    let error = workflow::init_with(&host.effects(), &spec).unwrap_err();
    assert!(error.to_string().contains("/etc/mine.yaml does not exist"), "{error}");
    host.files.put("/etc/mine.yaml", "rules", 0o600);
    workflow::init_with(&host.effects(), &spec).unwrap();
    assert!(manifest().contains("path: /etc/mine.yaml\n"));
}

#[test]
fn a_kubelet_may_follow_a_config_map() {
    let host = host("v1.12.10");
    init(&host, "v1.12.10", "featureGates: {DynamicKubeletConfig: true}\n").unwrap();
    let source = &host.cluster.object(NODES, "", "cp1").unwrap()["spec"]["configSource"]["configMap"];
    assert_eq!(
        *source,
        json!({ "name": "kubelet-config-1.12", "namespace": "kube-system", "kubeletConfigKey": "kubelet" })
    );
    let flags = host.files.text("/var/lib/kubelet/kubeadm-flags.env").unwrap();
    assert!(flags.contains("--dynamic-config-dir=/var/lib/kubelet/dynamic-config"), "{flags}");
}

#[test]
fn kube_dns_is_what_was_asked_for() {
    let host = host("v1.13.12");
    let mut spec = wish::init("v1.13.12", "");
    spec.cluster.dns.kind = DnsKind::KubeDns;
    workflow::init_with(&host.effects(), &spec).unwrap();
    assert!(host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").is_none());
    let deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "kube-dns").unwrap();
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][2]["name"], "sidecar");
}

fn init_with_dns(host: &MemoryHost, kind: DnsKind) {
    let mut spec = wish::init("v1.13.12", "");
    spec.cluster.dns.kind = kind;
    workflow::init_with(&host.effects(), &spec).unwrap();
}

#[test]
fn one_dns_server_takes_the_place_of_the_other() {
    let host = host("v1.13.12");
    let deployment = |name: &str| host.cluster.object(DEPLOYMENTS, "kube-system", name);
    init_with_dns(&host, DnsKind::KubeDns);
    // Nobody answers yet: the old one stays.
    init_with_dns(&host, DnsKind::CoreDns);
    let mut new = deployment("coredns").unwrap();
    assert!(deployment("kube-dns").is_some());
    let warning = host.output.warned().into_iter().find(|text| text.contains("kube-dns"));
    assert!(warning.unwrap().contains("the Deployment kube-dns stays beside coredns"));
    new["status"]["readyReplicas"] = json!(1);
    host.cluster.place(DEPLOYMENTS, new);
    init_with_dns(&host, DnsKind::CoreDns);
    assert!(deployment("coredns").is_some() && deployment("kube-dns").is_none());
}
