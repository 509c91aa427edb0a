//! The objects of CoreDNS. cmd/kubeadm/app/phases/addons/dns, 1.37, and the tables of older releases.

use kubeadm_release::facts::addons::DnsProbes;
use serde_json::{Map, Value, json};

use super::dns::LABEL;
use crate::objects::{KUBE_SYSTEM, config_maps, create_or_update, object, rbac, service_account};
use crate::plan::Step;
use crate::resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, DEPLOYMENTS};
use crate::spec::InitSpec;

/// Name of Deployment, ConfigMap and service account.
pub const NAME: &str = "coredns";
/// Replicas where none are there yet.
pub const REPLICAS: u64 = 2;

const ROLE: &str = "system:coredns";

/// The ConfigMap.
pub fn config_map(corefile: &str) -> Value {
    config_maps::config_map(NAME, Map::from_iter([("Corefile".to_owned(), corefile.into())]))
}

/// The Deployment.
pub fn deployment(spec: &InitSpec, replicas: u64) -> Value {
    let facts = &spec.release.addons.coredns;
    let port = |name: &str, port: u16, protocol: &str| json!({ "containerPort": port, "name": name, "protocol": protocol });
    let mut ports = vec![port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")];
    let (live, ready) = match facts.probes {
        DnsProbes::Liveness => (json!(8080), None),
        DnsProbes::SamePort => (json!(8080), Some(("/health", json!(8080)))),
        DnsProbes::Both => (json!(8080), Some(("/ready", json!(8181)))),
        DnsProbes::BothNamed => {
            ports.push(port("liveness-probe", 8080, "TCP"));
            ports.push(port("readiness-probe", 8181, "TCP"));
            (json!("liveness-probe"), Some(("/ready", json!("readiness-probe"))))
        }
    };
    let mut container = json!({
        "name": NAME,
        "image": spec.images().coredns(),
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": ports,
        "livenessProbe": {
            "httpGet": { "path": "/health", "port": live, "scheme": "HTTP" },
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 5,
        },
        "resources": { "limits": { "memory": "170Mi" }, "requests": { "cpu": "100m", "memory": "70Mi" } },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "add": ["NET_BIND_SERVICE"], "drop": [facts.drop_all] },
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [{ "mountPath": "/etc/coredns", "name": "config-volume", "readOnly": true }],
    });
    if let Some((path, port)) = ready {
        container["readinessProbe"] = json!({ "httpGet": { "path": path, "port": port, "scheme": "HTTP" } });
    }
    let mut volumes = vec![volume("Corefile")];
    if facts.tmp_volume {
        if let Some(mounts) = container["volumeMounts"].as_array_mut() {
            mounts.push(json!({ "mountPath": "/tmp", "name": "tmp" }));
        }
        volumes.insert(0, json!({ "name": "tmp", "emptyDir": {} }));
    }
    let critical = json!({ "key": "CriticalAddonsOnly", "operator": "Exists" });
    let taints = facts.tolerations.iter().map(|t| json!({ "key": t.0, "effect": "NoSchedule" }));
    let mut pod = json!({
        "containers": [container],
        "dnsPolicy": "Default",
        "serviceAccountName": NAME,
        "tolerations": std::iter::once(critical).chain(taints).collect::<Vec<_>>(),
        "volumes": volumes,
    });
    if let Some(class) = facts.priority_class {
        pod["priorityClassName"] = json!(class);
    }
    if let Some(label) = facts.node_selector {
        pod["nodeSelector"] = json!({ label: "linux" });
    }
    if facts.anti_affinity {
        let term = json!({
            "labelSelector": { "matchExpressions": [{ "key": "k8s-app", "operator": "In", "values": [LABEL] }] },
            "topologyKey": "kubernetes.io/hostname",
        });
        pod["affinity"]["podAntiAffinity"] = json!({
            "preferredDuringSchedulingIgnoredDuringExecution": [{ "podAffinityTerm": term, "weight": 100 }],
        });
    }
    let mut deployment = object(DEPLOYMENTS, KUBE_SYSTEM, NAME);
    deployment["metadata"]["labels"] = json!({ "k8s-app": LABEL });
    deployment["spec"] = json!({
        "replicas": replicas,
        "selector": { "matchLabels": { "k8s-app": LABEL } },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1 } },
        "template": { "metadata": { "labels": { "k8s-app": LABEL } }, "spec": pod },
    });
    deployment
}

/// The volume that holds the Corefile kept under a key of the ConfigMap.
pub fn volume(key: &str) -> Value {
    json!({
        "name": "config-volume",
        "configMap": { "name": NAME, "items": [{ "key": key, "path": "Corefile" }] },
    })
}

/// What CoreDNS may read.
pub fn access(spec: &InitSpec) -> [Step; 3] {
    let facts = &spec.release.addons.coredns;
    let mut rules: Vec<(&str, &[&str], &[&str])> =
        vec![("", &["endpoints", "services", "pods", "namespaces"], &["list", "watch"])];
    if facts.reads_nodes {
        rules.push(("", &["nodes"], &["get"]));
    }
    if facts.reads_endpoint_slices {
        rules.push(("discovery.k8s.io", &["endpointslices"], &["list", "watch"]));
    }
    let binding = rbac::cluster_role_binding(ROLE, ROLE, rbac::service_account(NAME));
    [
        create_or_update(CLUSTER_ROLES, rbac::cluster_role(ROLE, &rules)),
        create_or_update(CLUSTER_ROLE_BINDINGS, binding),
        service_account(NAME),
    ]
}
