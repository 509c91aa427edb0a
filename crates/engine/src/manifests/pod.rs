//! The frame that all static pods share: metadata, container, probes, security context.

use kubeadm_config::types::EnvVar;
use kubeadm_release::facts::control_plane::{PodFrame, ProbePaths};
use serde_json::{Map, Value, json};

use super::volumes::Volumes;
use super::{Component, HostFacts, Identity};
use crate::spec::InitSpec;

/// What one component puts into the frame.
pub(super) struct Parts<'a> {
    pub(super) component: Component,
    /// The annotation that tells others where it is reached.
    pub(super) endpoint: Option<(&'static str, String)>,
    pub(super) command: Vec<String>,
    pub(super) image: String,
    pub(super) probes: Probes,
    pub(super) requests: &'a [(&'static str, &'static str)],
    pub(super) env: Vec<Value>,
    pub(super) volumes: Volumes,
}

/// How a component is probed.
pub(super) enum Probes {
    /// By a command in the container; liveness only.
    Exec(Vec<String>),
    /// By HTTP requests.
    Http {
        paths: ProbePaths,
        /// Empty means the address of the pod, which is that of the host.
        host: String,
        port: u16,
        scheme: &'static str,
    },
}

/// The whole manifest.
pub(super) fn assemble(spec: &InitSpec, host: &HostFacts, parts: Parts<'_>) -> Value {
    let frame = &spec.release.control_plane.frame;
    let name = parts.component.name();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": {"component": name, "tier": "control-plane"},
        },
        "spec": {
            "containers": [container(spec, host, &parts)],
            "hostNetwork": true,
            "priorityClassName": frame.priority_class,
            "volumes": parts.volumes.volumes(),
        },
        "status": {},
    });
    if frame.creation_timestamp {
        pod["metadata"]["creationTimestamp"] = Value::Null;
    }
    let annotations = annotations(frame, parts.endpoint);
    if !annotations.is_empty() {
        pod["metadata"]["annotations"] = annotations.into();
    }
    if let Some(priority) = frame.priority {
        pod["spec"]["priority"] = priority.into();
    }
    let context = pod_security(frame, host.run_as.as_ref());
    if !context.is_empty() {
        pod["spec"]["securityContext"] = context.into();
    }
    pod
}

fn annotations(frame: &PodFrame, endpoint: Option<(&'static str, String)>) -> Map<String, Value> {
    let mut annotations = Map::new();
    if frame.critical_annotation {
        annotations.insert("scheduler.alpha.kubernetes.io/critical-pod".into(), "".into());
    }
    if let Some((key, value)) = endpoint.filter(|_| frame.endpoint_annotations) {
        annotations.insert(key.into(), value.into());
    }
    annotations
}

fn container(spec: &InitSpec, host: &HostFacts, parts: &Parts<'_>) -> Value {
    let frame = &spec.release.control_plane.frame;
    let name = parts.component.name();
    let requests: Map<String, Value> =
        parts.requests.iter().map(|(what, amount)| ((*what).to_owned(), (*amount).into())).collect();
    let mut container = json!({
        "name": name,
        "image": parts.image,
        "imagePullPolicy": "IfNotPresent",
        "command": parts.command,
        "resources": if requests.is_empty() { json!({}) } else { json!({"requests": requests}) },
        "volumeMounts": parts.volumes.mounts(),
    });
    if !parts.env.is_empty() {
        container["env"] = parts.env.clone().into();
    }
    for (probe, value) in probes(spec, &parts.probes) {
        container[probe] = value;
    }
    if let (Probes::Http { port, .. }, Some(port_name)) = (&parts.probes, frame.probe_port) {
        container["ports"] = json!([{"name": port_name, "containerPort": port, "protocol": "TCP"}]);
    }
    if host.run_as.is_some() {
        container["securityContext"] = container_security(parts.component);
    }
    container
}

// --- probes ---------------------------------------------------------------------------------------------------

fn probes(spec: &InitSpec, probes: &Probes) -> Vec<(&'static str, Value)> {
    let timing = spec.release.control_plane.frame.timing;
    let delayed = |mut probe: Value, failures: i64| {
        probe["initialDelaySeconds"] = timing.initial_delay.into();
        probe["timeoutSeconds"] = timing.timeout.into();
        probe["failureThreshold"] = failures.into();
        if let Some(period) = timing.period {
            probe["periodSeconds"] = period.into();
        }
        probe
    };
    let failures = i64::from(timing.liveness_failures);
    match probes {
        Probes::Exec(command) => {
            vec![("livenessProbe", delayed(json!({"exec": {"command": command}}), failures))]
        }
        Probes::Http { paths, host, port, scheme } => {
            let port = match spec.release.control_plane.frame.probe_port {
                Some(name) => json!(name),
                None => json!(port),
            };
            let get = |path: &str| {
                let mut get = json!({"path": path, "port": port, "scheme": scheme});
                if !host.is_empty() {
                    get["host"] = host.as_str().into();
                }
                json!({"httpGet": get})
            };
            let mut list = vec![("livenessProbe", delayed(get(paths.live), failures))];
            if let Some(path) = paths.ready {
                let mut probe = get(path);
                probe["periodSeconds"] = 1.into();
                probe["timeoutSeconds"] = timing.timeout.into();
                probe["failureThreshold"] = 3.into();
                list.push(("readinessProbe", probe));
            }
            if let Some(path) = paths.startup {
                list.push(("startupProbe", delayed(get(path), startup_failures(spec, timing.period))));
            }
            list
        }
    }
}

/// How often the startup probe may fail until the time that a component has to become healthy is over.
fn startup_failures(spec: &InitSpec, period: Option<i32>) -> i64 {
    let limit = spec.init.timeouts.control_plane_component_health_check.nanos();
    let period = i64::from(period.unwrap_or(10)) * 1_000_000_000;
    limit.saturating_add(period - 1).div_euclid(period)
}

// --- security -------------------------------------------------------------------------------------------------

fn pod_security(frame: &PodFrame, run_as: Option<&Identity>) -> Map<String, Value> {
    let mut context = Map::new();
    if frame.seccomp {
        context.insert("seccompProfile".into(), json!({"type": "RuntimeDefault"}));
    }
    if let Some(identity) = run_as {
        context.insert("runAsUser".into(), identity.user.into());
        context.insert("runAsGroup".into(), identity.group.into());
        if !identity.supplemental_groups.is_empty() {
            context.insert("supplementalGroups".into(), identity.supplemental_groups.clone().into());
        }
    }
    context
}

/// What a container may do that does not run as root. Only the API server may be asked to listen below port 1024.
fn container_security(component: Component) -> Value {
    match component {
        Component::ApiServer => json!({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}),
        Component::ControllerManager | Component::Scheduler | Component::Etcd => {
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
        }
    }
}

// --- environment ----------------------------------------------------------------------------------------------

/// The proxy variables of kubeadm's own environment with the user's variables over them, by name.
pub(super) fn environment(proxy: &[(String, String)], extra: &[EnvVar]) -> Vec<Value> {
    let proxy = proxy.iter().map(|(name, value)| (name.as_str(), json!({"name": name, "value": value})));
    let extra = extra.iter().map(|variable| {
        let mut value = json!({"name": variable.name});
        if !variable.value.is_empty() {
            value["value"] = variable.value.as_str().into();
        }
        if let Some(source) = &variable.value_from {
            value["valueFrom"] = source.clone();
        }
        (variable.name.as_str(), value)
    });
    let by_name: std::collections::BTreeMap<&str, Value> = proxy.chain(extra).collect();
    by_name.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_variables_win() {
        let proxy =
            [("https_proxy".to_owned(), "http://p".to_owned()), ("NO_PROXY".to_owned(), "x".to_owned())];
        let mine = |name: &str, value: &str, value_from| EnvVar {
            name: name.into(),
            value: value.into(),
            value_from,
        };
        let source = json!({"fieldRef": {"fieldPath": "spec.nodeName"}});
        let extra = [mine("NO_PROXY", "y", None), mine("NODE", "", Some(source.clone()))];
        assert_eq!(
            environment(&proxy, &extra),
            [
                json!({"name": "NODE", "valueFrom": source}),
                json!({"name": "NO_PROXY", "value": "y"}),
                json!({"name": "https_proxy", "value": "http://p"}),
            ]
        );
    }
}
