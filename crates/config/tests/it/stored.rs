//! What `init` keeps in the cluster: the ConfigMap `kubeadm-config` of every recorded run with a file.

use kubeadm_config::load::{self, Source};
use kubeadm_config::types::Arg;
use kubeadm_config::write::{self, Components};
use serde_json::Value;

use crate::host::{host, options};
use crate::recorded::{CLIENTS, Case, cases};

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

#[test]
fn the_cluster_keeps_what_was_recorded() {
    let mut compared = 0;
    for (minor, client) in CLIENTS {
        for case in cases(minor, "init", "") {
            let (Some(text), Some(expected)) = (case.text("config.yaml"), recorded(&case)) else { continue };
            let source = Source { text: &text, name: "config.yaml" };
            let mut loaded = load::load_init(source, &options(client), &mut host(), &mut Vec::new())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let cluster = &mut loaded.config.cluster;
            // What the phases add before they store it.
            let args = &mut cluster.api_server.component.extra_args;
            if expected.to_string().contains("authorization-mode: Node,RBAC") {
                args.push(Arg::new("authorization-mode", "Node,RBAC"));
            }
            if loaded.config.init.skip_phases.iter().any(|phase| phase == "addon/coredns") {
                cluster.dns.disabled = true;
            }
            if expected.to_string().contains("path: /etc/kubernetes/audit/audit.yaml") {
                cluster.audit_policy.path = "/etc/kubernetes/audit/audit.yaml".into();
            }
            if matches!(minor, "1.11" | "1.12") {
                // Their dry run stored the folder it wrote to.
                cluster.certificates_dir = "/etc/kubernetes".into();
            }
            for (key, text) in write::stored(&loaded.config, &loaded.release, Components::default()) {
                assert_eq!(text, expected[key].as_str().unwrap(), "{} {key}", case.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 30, "{compared}");
}
