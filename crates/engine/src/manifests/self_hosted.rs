//! The control plane as DaemonSets of its own cluster: what becomes of a static pod, and the Secrets that may hold its
//! certificates. cmd/kubeadm/app/phases/selfhosting, 1.11 to 1.13.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Component;
use crate::objects::{self, KUBE_SYSTEM, object};
use crate::resource::SECRETS;

const MASTER: &str = "node-role.kubernetes.io/master";
/// Where a kubeconfig file of a Secret is mounted: a file that is mounted alone would never change.
const KUBECONFIG_DIRECTORY: &str = "/etc/kubernetes/kubeconfig";

/// The components that hand over, in this order. etcd stays a static pod: without it no API server could start.
pub const COMPONENTS: [Component; 3] =
    [Component::ApiServer, Component::ControllerManager, Component::Scheduler];

/// Name of the DaemonSet of a component, and its label `k8s-app`.
pub fn name(component: Component) -> String {
    format!("self-hosted-{}", component.name())
}

/// A Secret with a certificate, or a key without one, and the files of the certificates directory that it holds.
#[derive(Debug, Clone, Copy)]
pub struct CertificateSecret {
    /// Its name.
    pub name: &'static str,
    /// The file of `tls.crt`.
    pub certificate: &'static str,
    /// The file of `tls.key`, where that is needed in a pod.
    pub key: Option<&'static str>,
}

impl CertificateSecret {
    /// Whether it belongs to an etcd of this node.
    pub fn of_local_etcd(&self) -> bool {
        ["apiserver-etcd-client", "etcd-ca"].contains(&self.name)
    }
}

const fn pair(name: &'static str, certificate: &'static str, key: &'static str) -> CertificateSecret {
    CertificateSecret { name, certificate, key: Some(key) }
}

/// All Secrets with certificates, in the order they are made. The original leaves out the last two, and with them an API
/// server that cannot reach the etcd of its node.
pub const CERTIFICATES: [CertificateSecret; 8] = [
    pair("ca", "ca.crt", "ca.key"),
    pair("apiserver", "apiserver.crt", "apiserver.key"),
    pair("apiserver-kubelet-client", "apiserver-kubelet-client.crt", "apiserver-kubelet-client.key"),
    pair("sa", "sa.pub", "sa.key"),
    pair("front-proxy-ca", "front-proxy-ca.crt", "front-proxy-ca.key"),
    pair("front-proxy-client", "front-proxy-client.crt", "front-proxy-client.key"),
    pair("apiserver-etcd-client", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"),
    CertificateSecret { name: "etcd-ca", certificate: "etcd/ca.crt", key: None },
];

/// The Secret of a certificate. `certificate` and `key` are the contents of its files.
pub fn certificate_secret(secret: &CertificateSecret, certificate: &[u8], key: Option<&[u8]>) -> Value {
    let mut made = object(SECRETS, KUBE_SYSTEM, secret.name);
    // The API server refuses the type of a pair without a key.
    made["type"] = json!(if key.is_some() { "kubernetes.io/tls" } else { "Opaque" });
    made["data"] = json!({ "tls.crt": STANDARD.encode(certificate) });
    if let Some(key) = key {
        made["data"]["tls.key"] = json!(STANDARD.encode(key));
    }
    made
}

/// The kubeconfig files that go into Secrets of their own, in the order these are made.
pub const KUBECONFIGS: [&str; 2] = ["scheduler.conf", "controller-manager.conf"];

/// The Secret of a kubeconfig file.
pub fn kubeconfig_secret(file: &str, content: &[u8]) -> Value {
    let mut made = object(SECRETS, KUBE_SYSTEM, file);
    made["type"] = json!("Opaque");
    made["data"] = Value::Object(Map::from_iter([(file.to_owned(), json!(STANDARD.encode(content)))]));
    made
}

/// The DaemonSet that takes the place of a static pod. With `secrets` its certificates come from Secrets.
pub fn daemon_set(component: Component, pod: &Value, secrets: bool, local_etcd: bool) -> Value {
    let name = name(component);
    let mut spec = pod["spec"].clone();
    spec["nodeSelector"][MASTER] = json!("");
    add(&mut spec["tolerations"], json!({ "key": MASTER, "effect": "NoSchedule" }));
    spec["dnsPolicy"] = json!("ClusterFirstWithHostNet");
    if component == Component::ApiServer {
        advertise_its_host(&mut spec["containers"][0]);
    }
    if secrets {
        take_certificates(component, &mut spec, local_etcd);
        take_kubeconfig(component, &mut spec);
    }
    objects::daemon_set(&name, json!({ "metadata": { "labels": { "k8s-app": name } }, "spec": spec }))
}

fn add(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = json!([item]),
    }
}

/// Where an API server is asked whether it lives.
pub(super) fn loopback(ipv6: bool) -> &'static str {
    if ipv6 { "::1" } else { "127.0.0.1" }
}

/// One DaemonSet serves all masters, each at its own address.
fn advertise_its_host(container: &mut Value) {
    let probed = &mut container["livenessProbe"]["httpGet"]["host"];
    if let Some(host) = probed.as_str() {
        *probed = json!(loopback(host.contains(':')));
    }
    let address = json!({ "name": "HOST_IP", "valueFrom": { "fieldRef": { "fieldPath": "status.hostIP" } } });
    add(&mut container["env"], address);
    for word in words(container).filter(|word| word.as_str().is_some_and(|w| w.contains("advertise-address")))
    {
        *word = json!("--advertise-address=$(HOST_IP)");
    }
}

fn words(container: &mut Value) -> impl Iterator<Item = &mut Value> {
    container["command"].as_array_mut().into_iter().flatten()
}

/// The certificates directory becomes a projection of Secrets.
fn take_certificates(component: Component, spec: &mut Value, local_etcd: bool) {
    let sources: Vec<Value> = match component {
        Component::ApiServer => {
            let wanted = CERTIFICATES.iter().filter(|secret| local_etcd || !secret.of_local_etcd());
            // The keys of authorities and the one that signs accounts are none of its business.
            let signs = ["ca", "sa", "front-proxy-ca"];
            wanted.map(|secret| source(secret, true, !signs.contains(&secret.name))).collect()
        }
        Component::ControllerManager => {
            let wanted = [("ca", true, true), ("sa", false, true), ("front-proxy-ca", true, false)];
            let verifies = spec.to_string().contains("--requestheader-client-ca-file");
            wanted
                .into_iter()
                .filter(|(name, ..)| *name != "front-proxy-ca" || verifies)
                .filter_map(|(name, certificate, key)| {
                    let secret = CERTIFICATES.iter().find(|secret| secret.name == name)?;
                    Some(source(secret, certificate, key))
                })
                .collect()
        }
        Component::Scheduler | Component::Etcd => return,
    };
    let projected = json!({ "name": "k8s-certs", "projected": { "sources": sources } });
    replace_volume(spec, "k8s-certs", projected);
}

fn source(secret: &CertificateSecret, certificate: bool, key: bool) -> Value {
    let certificate = certificate.then(|| json!({ "key": "tls.crt", "path": secret.certificate }));
    let key = secret.key.filter(|_| key).map(|file| json!({ "key": "tls.key", "path": file }));
    let items: Vec<Value> = certificate.into_iter().chain(key).collect();
    json!({ "secret": { "name": secret.name, "items": items } })
}

fn replace_volume(spec: &mut Value, name: &str, volume: Value) {
    let volumes = spec["volumes"].as_array_mut().into_iter().flatten();
    for old in volumes.filter(|old| old["name"] == name) {
        *old = volume.clone();
    }
}

/// The kubeconfig file comes from its Secret, and is named where that is mounted.
fn take_kubeconfig(component: Component, spec: &mut Value) {
    let file = match component {
        Component::ControllerManager => "controller-manager.conf",
        Component::Scheduler => "scheduler.conf",
        Component::ApiServer | Component::Etcd => return,
    };
    replace_volume(spec, "kubeconfig", json!({ "name": "kubeconfig", "secret": { "secretName": file } }));
    let container = &mut spec["containers"][0];
    let mounts = container["volumeMounts"].as_array_mut().into_iter().flatten();
    for mount in mounts.filter(|mount| mount["name"] == "kubeconfig") {
        mount["mountPath"] = json!(KUBECONFIG_DIRECTORY);
    }
    let (old, new) = (format!("=/etc/kubernetes/{file}"), format!("={KUBECONFIG_DIRECTORY}/{file}"));
    for word in words(container) {
        if let Some(text) = word.as_str().filter(|text| text.ends_with(&old)) {
            *word = json!(text.replace(&old, &new));
        }
    }
}
