//! The objects of kube-proxy. cmd/kubeadm/app/phases/addons/proxy, 1.37, and the tables of older releases.

use serde_json::{Map, Value, json};

use crate::objects::{self, KUBE_SYSTEM, config_maps, create_or_update, rbac, service_account};
use crate::plan::Step;
use crate::resource::{CLUSTER_ROLE_BINDINGS, CONFIG_MAPS};
use crate::spec::InitSpec;

/// Name of DaemonSet, ConfigMap and service account.
pub const NAME: &str = "kube-proxy";

/// The ConfigMap with its configuration and its kubeconfig, without a hash.
pub fn config_map(spec: &InitSpec) -> Value {
    let config = kubeadm_yaml::to_string(&spec.kube_proxy.value);
    // In the order people know it, as the template it once was.
    let kubeconfig = format!(
        "apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: {}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token",
        spec.control_plane_endpoint()
    );
    let data = Map::from_iter([
        ("config.conf".to_owned(), config.trim_end_matches('\n').into()),
        ("kubeconfig.conf".to_owned(), kubeconfig.into()),
    ]);
    let mut map = config_maps::config_map(NAME, data);
    map["metadata"]["labels"] = json!({ "app": NAME });
    map
}

/// The ConfigMap as it is applied.
pub fn hashed_config_map(spec: &InitSpec) -> Value {
    let mut map = config_map(spec);
    config_maps::mark_generated(spec, &spec.kube_proxy, &mut map);
    map
}

/// The DaemonSet, with these proxy variables for its pods.
pub fn daemon_set(spec: &InitSpec, proxy_env: &[(String, String)]) -> Value {
    let facts = &spec.release.addons.kube_proxy;
    let mut command = vec!["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"];
    let mut env = Vec::new();
    if facts.hostname_override {
        command.push("--hostname-override=$(NODE_NAME)");
        env.push(
            json!({ "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }),
        );
    }
    if facts.proxy_env {
        env.extend(proxy_env.iter().map(|(name, value)| json!({ "name": name, "value": value })));
    }
    let mut tolerations = vec![json!({ "operator": "Exists" })];
    if facts.tolerates_critical {
        tolerations.insert(0, json!({ "key": "CriticalAddonsOnly", "operator": "Exists" }));
    }
    let mut pod = json!({
        "containers": [{
            "name": NAME,
            "image": spec.images().component(NAME),
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "resources": {},
            "securityContext": { "privileged": true },
            "volumeMounts": [
                { "name": "kube-proxy", "mountPath": "/var/lib/kube-proxy" },
                { "name": "xtables-lock", "mountPath": "/run/xtables.lock" },
                { "name": "lib-modules", "mountPath": "/lib/modules", "readOnly": true },
            ],
        }],
        "hostNetwork": true,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "tolerations": tolerations,
        "volumes": [
            { "name": "kube-proxy", "configMap": { "name": NAME } },
            { "name": "xtables-lock", "hostPath": { "path": "/run/xtables.lock", "type": "FileOrCreate" } },
            { "name": "lib-modules", "hostPath": { "path": "/lib/modules" } },
        ],
    });
    if !env.is_empty() {
        pod["containers"][0]["env"] = Value::Array(env);
    }
    if let Some((label, value)) = facts.node_selector {
        pod["nodeSelector"] = json!({ label: value.unwrap_or(spec.images().arch) });
    }
    let mut template = json!({ "metadata": { "labels": { "k8s-app": NAME } }, "spec": pod });
    if facts.critical_annotation {
        template["metadata"]["annotations"] = json!({ "scheduler.alpha.kubernetes.io/critical-pod": "" });
    }
    objects::daemon_set(NAME, template)
}

/// The service account, and what it may do; in releases that have it, the right of joining nodes to read the
/// ConfigMap.
pub fn access(spec: &InitSpec) -> Vec<Step> {
    let subject = rbac::service_account(NAME);
    let binding = rbac::cluster_role_binding("kubeadm:node-proxier", "system:node-proxier", subject);
    let mut steps = vec![service_account(NAME), create_or_update(CLUSTER_ROLE_BINDINGS, binding)];
    if spec.release.addons.kube_proxy.config_role {
        steps.extend(rbac::let_read(NAME, KUBE_SYSTEM, CONFIG_MAPS, NAME, vec![rbac::joining_nodes()]));
    }
    steps
}
