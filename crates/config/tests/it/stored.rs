//! What `init` keeps in the cluster: the ConfigMap `kubeadm-config` of every recorded run.

use kubeadm_config::components;
use kubeadm_config::load::{self, Source};
use kubeadm_config::types::Arg;
use kubeadm_config::write::{self, Components};
use serde_json::Value;

use crate::flags;
use crate::host::{host, options};
use crate::recorded::{Case, cases, releases};

/// The data of the recorded ConfigMap.
fn recorded(case: &Case) -> Option<Value> {
    let text = case.text("objects.yaml")?;
    let documents = kubeadm_yaml::parse_documents(&text, "objects.yaml").unwrap();
    let requests = documents.iter().flat_map(|document| match &document.value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    });
    requests
        .map(|request| request["body"].clone())
        .find(|body| body["kind"] == "ConfigMap" && body["metadata"]["name"] == "kubeadm-config")
        .map(|body| body["data"].clone())
}

/// Runs for the minor before, where upstream still wrote its own API; here the cluster's release decides.
const OLDER: [&str; 4] = ["flags-previous-minor", "flags-v1.10", "flags-v1.11", "flags-v112"];

/// Whether a run was for the minor before.
fn is_older(case: &Case) -> bool {
    OLDER.iter().any(|name| case.name.ends_with(&format!("/{name}")))
}

/// What was kept can be read, and is then kept alike.
#[test]
fn what_was_kept_is_kept_again() {
    let mut compared = 0;
    for (minor, client) in releases() {
        for case in cases(&minor, "init", "") {
            let Some(kept) = recorded(&case) else { continue };
            if case.name.ends_with("bad-version-new") || is_older(&case) {
                continue;
            }
            // In a dry run 1.11 and 1.12 tell of another folder than they mean, and a kubelet's CA is elsewhere.
            let moved = "certificatesDir: /etc/kubernetes\n";
            let key = if minor == "1.11" { "MasterConfiguration" } else { "ClusterConfiguration" };
            let text = kept[key].as_str().unwrap().replace(moved, "certificatesDir: /etc/kubernetes/pki\n");
            let text = text.as_str();
            let source = Source { text, name: key };
            let mut notices = Vec::new();
            let loaded = load::load_init(source, &options(&client.to_string()), &mut host(), &mut notices);
            if case.name.contains("1.12/init/gate-selfhosting") {
                assert!(loaded.is_err(), "1.12 has no self-hosting here");
                continue;
            }
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let completed = components::complete(&loaded, &mut Vec::new());
            let components = Components {
                kubelet: Some(&completed.kubelet.value),
                kube_proxy: Some(&completed.kube_proxy.value),
            };
            let again = write::stored(&loaded.config, &loaded.release, components);
            assert_eq!((again[0].0, again[0].1.as_str()), (key, text), "{}", case.name);
            let lost: Vec<_> = notices.iter().filter(|notice| notice.text.contains("has no field")).collect();
            assert!(lost.is_empty(), "{}: {lost:?}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn what_a_cluster_cannot_keep_is_said() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.13.12\n\
        encryptionAlgorithm: ECDSA-P256\napiServer:\n  extraEnvs: [{name: a, value: b}]\n  extraArgs:\n  \
        - {name: z, value: '1'}\n  - {name: a, value: '2'}\nscheduler:\n  extraArgs:\n  - {name: x, value: '1'}\n  \
        - {name: x, value: '2'}\n";
    let mut notices = Vec::new();
    let source = Source { text, name: "config.yaml" };
    load::load_init(source, &options("v1.37.2"), &mut host(), &mut notices).unwrap();
    let lost: Vec<&str> = notices
        .iter()
        .filter_map(|notice| notice.text.split_once("has no field for ")?.1.split_once(':'))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(lost, ["apiServer.extraEnvs", "encryptionAlgorithm", "scheduler.extraArgs"]);
}

#[test]
fn the_cluster_keeps_what_was_recorded() {
    let mut compared = 0;
    for (minor, client) in releases() {
        for case in cases(&minor, "init", "") {
            let Some(expected) = recorded(&case) else { continue };
            if case.name.ends_with("bad-version-new") || is_older(&case) {
                continue;
            }
            let loaded = match case.text("config.yaml") {
                Some(text) => {
                    let source = Source { text: &text, name: "config.yaml" };
                    load::load_init(source, &options(&client.to_string()), &mut host(), &mut Vec::new())
                }
                None => flags::load(&case, &client.to_string()),
            };
            let mut loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let completed = components::complete(&loaded, &mut Vec::new());
            let components = Components {
                kubelet: Some(&completed.kubelet.value),
                kube_proxy: Some(&completed.kube_proxy.value),
            };
            let cluster = &mut loaded.config.cluster;
            // What the phases add before they store it.
            let args = &mut cluster.api_server.component.extra_args;
            if expected.to_string().contains("authorization-mode: Node,RBAC") {
                args.push(Arg::new("authorization-mode", "Node,RBAC"));
            }
            let mut skipped = loaded.config.init.skip_phases.clone();
            skipped.extend(
                case.flag("--skip-phases").iter().flat_map(|list| list.split(',')).map(str::to_owned),
            );
            cluster.dns.disabled |= skipped.iter().any(|phase| phase == "addon" || phase == "addon/coredns");
            cluster.proxy.disabled |=
                skipped.iter().any(|phase| phase == "addon" || phase == "addon/kube-proxy");
            if expected.to_string().contains("path: /etc/kubernetes/audit/audit.yaml") {
                cluster.audit_policy.path = "/etc/kubernetes/audit/audit.yaml".into();
            }
            if matches!(minor.as_str(), "1.11" | "1.12") {
                // Their dry run stored the folder it wrote to.
                cluster.certificates_dir = "/etc/kubernetes".into();
            }
            for (key, text) in write::stored(&loaded.config, &loaded.release, components) {
                assert_eq!(text, expected[key].as_str().unwrap(), "{} {key}", case.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared}");
}
