//! Static pods as their manifests on disk say they are, and which containers were made from them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kubeadm_config::address::join_host_port;
use serde_json::Value;

use crate::manifests;
use crate::plan::ComponentHealth;
use crate::ports::{Container, ContainerState, Files, View};
use crate::spec::manifest;

/// A static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPod {
    /// Name of its one container: `etcd`, `kube-apiserver` …
    pub component: String,
    /// Image of its container.
    pub image: String,
    /// When its manifest was last changed.
    pub written: Timestamp,
}

impl StaticPod {
    /// Whether a container was made from an earlier manifest than the one on disk.
    pub fn outdates(&self, container: &Container) -> bool {
        container.name == self.component && container.created < self.written
    }

    /// Whether a container runs that was made from the manifest on disk.
    pub fn runs(&self, containers: &[Container]) -> bool {
        self.running(containers).is_some_and(|newest| !self.outdates(newest))
    }

    /// Whether what runs is still made from an earlier manifest: the kubelet has not replaced it yet. Where no
    /// container of it is known, nothing can be said against it.
    pub fn awaits_replacement(&self, containers: &[Container]) -> bool {
        self.running(containers).is_some_and(|newest| self.outdates(newest))
    }

    fn running<'a>(&self, containers: &'a [Container]) -> Option<&'a Container> {
        containers.iter().find(|c| c.name == self.component && c.state == ContainerState::Running)
    }
}

/// The tag of an image that is named by one.
pub(crate) fn tag(image: &str) -> Option<&str> {
    let name = image.rsplit('/').next().filter(|name| !name.contains('@'))?;
    name.split_once(':').map(|(_, tag)| tag).filter(|_| !image.starts_with("sha256:"))
}

/// What a static pod is asked to see whether it lives, by the liveness probe of its manifest. The kubelet asks without
/// credentials and trusts any certificate. `None` where there is no probe over HTTP, or no manifest.
pub fn health(view: View<'_>, manifest: &Path) -> Option<ComponentHealth> {
    probed(&pod(view.files, manifest)?, "livenessProbe")
}

/// What a static pod is asked to see whether it serves: by the readiness probe of its manifest, else as it is asked
/// whether it lives.
pub fn readiness(pod: &Value) -> Option<ComponentHealth> {
    probed(pod, "readinessProbe").or_else(|| probed(pod, "livenessProbe"))
}

fn probed(pod: &Value, probe: &str) -> Option<ComponentHealth> {
    let container = &pod["spec"]["containers"][0];
    let probe = &container[probe]["httpGet"];
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let port = match &probe["port"] {
        Value::String(name) => {
            container["ports"].as_array()?.iter().find(|p| p["name"] == **name)?["containerPort"].as_i64()?
        }
        number => number.as_i64()?,
    };
    let host = word(&probe["host"]).filter(|h| !h.is_empty()).unwrap_or_else(|| "127.0.0.1".into());
    let scheme = word(&probe["scheme"]).unwrap_or_else(|| "HTTP".into()).to_lowercase();
    let path = word(&probe["path"]).unwrap_or_else(|| "/".into());
    let url = format!("{scheme}://{}{path}", join_host_port(&host, port));
    Some(ComponentHealth { name: word(&container["name"])?, url, access: None })
}

/// Whether a component of this node runs as a user of its own (RootlessControlPlane).
pub fn rootless(files: &dyn Files) -> bool {
    let user = |name: &str| of(files, name)?["spec"]["securityContext"]["runAsUser"].as_u64();
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
        .into_iter()
        .filter_map(user)
        .any(|uid| uid != 0)
}

/// Where the certificates of this node's API server lie (`certificatesDir`).
pub fn certificates_dir(files: &dyn Files) -> Option<PathBuf> {
    host_path(&of(files, "kube-apiserver")?, "k8s-certs")
}

/// Where this node's API server serves, `host:port`, if it has one.
pub fn api_server_endpoint(files: &dyn Files) -> Option<String> {
    let pod = of(files, "kube-apiserver")?;
    pod["metadata"]["annotations"][manifests::apiserver::ENDPOINT_ANNOTATION].as_str().map(str::to_owned)
}

/// The value of a flag in the command of a pod's container, in the form in which kubeadm writes it.
pub(crate) fn argument<'a>(pod: &'a Value, flag: &str) -> Option<&'a str> {
    let command = pod["spec"]["containers"][0]["command"].as_array()?;
    let mut words = command.iter().rev().filter_map(Value::as_str);
    words.find_map(|word| word.strip_prefix("--")?.strip_prefix(flag)?.strip_prefix('='))
}

/// The path on this node of a volume.
pub(crate) fn host_path(pod: &Value, volume: &str) -> Option<PathBuf> {
    let volumes = pod["spec"]["volumes"].as_array()?;
    let found = volumes.iter().find(|v| v["name"] == volume)?;
    found["hostPath"]["path"].as_str().map(PathBuf::from)
}

fn of(files: &dyn Files, component: &str) -> Option<Value> {
    pod(files, &manifest(component))
}

/// A manifest that is there and can be read.
pub(crate) fn pod(files: &dyn Files, manifest: &Path) -> Option<Value> {
    let text = String::from_utf8(files.read(manifest).ok()??).ok()?;
    kubeadm_yaml::parse_value(&text, &manifest.display().to_string()).ok()
}

/// Reads manifests; etcd comes first. One that cannot be read is left out: its phase has told of it.
pub fn read(view: View<'_>, manifests: &[PathBuf]) -> Vec<StaticPod> {
    let mut found: Vec<StaticPod> = manifests
        .iter()
        .filter_map(|path| {
            let written = view.files.stat(path).ok()??.modified;
            let pod = pod(view.files, path)?;
            let container = &pod["spec"]["containers"][0];
            let word = |v: &Value| v.as_str().map(str::to_owned);
            Some(StaticPod {
                component: word(&container["name"])?,
                image: word(&container["image"])?,
                written,
            })
        })
        .collect();
    found.sort_by_key(|pod| pod.component != "etcd");
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_are_told_apart_by_their_tags_where_they_have_some() {
        assert_eq!(tag("registry.k8s.io/kube-apiserver:v1.37.2"), Some("v1.37.2"));
        assert_eq!(tag("localhost:5000/etcd"), None);
        assert_eq!(tag("r/etcd:3.6@sha256:00"), None);
        assert_eq!(tag("sha256:00ff"), None);
    }

    #[test]
    fn readiness_is_preferred_to_liveness() {
        let probe = |path: &str| json!({"httpGet": {"path": path, "port": "probe-port", "scheme": "HTTPS"}});
        let mut pod = json!({"spec": {"containers": [{
            "name": "kube-apiserver",
            "livenessProbe": probe("/livez"),
            "ports": [{"name": "probe-port", "containerPort": 6443}],
        }]}});
        assert_eq!(readiness(&pod).unwrap().url, "https://127.0.0.1:6443/livez");
        pod["spec"]["containers"][0]["readinessProbe"] = probe("/readyz");
        assert_eq!(readiness(&pod).unwrap().url, "https://127.0.0.1:6443/readyz");
        assert_eq!(readiness(&json!({})), None);
    }
}
