//! The objects of kube-dns, which CoreDNS replaced. cmd/kubeadm/app/phases/addons/dns/manifests.go, 1.11 to 1.13.

use serde_json::{Value, json};

use super::AddonError;
use super::dns::{self, LABEL};
use crate::objects::{KUBE_SYSTEM, object};
use crate::resource::DEPLOYMENTS;
use crate::spec::InitSpec;

/// Name of Deployment, service account and the user's own ConfigMap.
pub const NAME: &str = "kube-dns";

/// The Deployment: the server, a cache before it, and what watches both.
pub fn deployment(spec: &InitSpec) -> Result<Value, AddonError> {
    let (loopback, probed) = match dns::address(spec)?.is_ipv6() {
        true => ("::1", "[::1]"),
        false => ("127.0.0.1", "127.0.0.1"),
    };
    let facts = spec.release.addons.kube_dns.as_ref();
    let domain = &spec.cluster.networking.dns_domain;
    let mut cache =
        vec!["-v=2", "-logtostderr", "-configDir=/etc/k8s/dns/dnsmasq-nanny", "-restartDnsmasq=true"]
            .into_iter()
            .chain(["--", "-k", "--cache-size=1000", "--no-negcache"])
            .map(str::to_owned)
            .collect::<Vec<_>>();
    cache.extend(facts.filter(|facts| facts.loop_detect).map(|_| "--dns-loop-detect".to_owned()));
    cache.push("--log-facility=-".into());
    cache.extend(
        [domain, "in-addr.arpa", "ip6.arpa"].map(|zone| format!("--server=/{zone}/{loopback}#10053")),
    );
    let probe = |name: &str, port: u16| {
        format!("--probe={name},{probed}:{port},kubernetes.default.svc.{domain},5,SRV")
    };
    let mount = |path: &str| json!([{ "name": VOLUME, "mountPath": path }]);
    let [server_image, sidecar_image, cache_image] = spec.images().kube_dns();
    let containers = json!([
        {
            "name": "kubedns",
            "image": server_image,
            "imagePullPolicy": "IfNotPresent",
            "args": [format!("--domain={domain}."), "--dns-port=10053", "--config-dir=/kube-dns-config", "--v=2"],
            "env": [{ "name": "PROMETHEUS_PORT", "value": "10055" }],
            "livenessProbe": liveness("/healthcheck/kubedns"),
            "readinessProbe": {
                "httpGet": { "path": "/readiness", "port": 8081, "scheme": "HTTP" },
                "initialDelaySeconds": 3,
                "timeoutSeconds": 5,
            },
            "ports": [
                port("dns-local", 10053, "UDP"), port("dns-tcp-local", 10053, "TCP"), port("metrics", 10055, "TCP"),
            ],
            "resources": { "limits": { "memory": "170Mi" }, "requests": { "cpu": "100m", "memory": "70Mi" } },
            "volumeMounts": mount("/kube-dns-config"),
        },
        {
            "name": "dnsmasq",
            "image": cache_image,
            "imagePullPolicy": "IfNotPresent",
            "args": cache,
            "livenessProbe": liveness("/healthcheck/dnsmasq"),
            "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP")],
            "resources": { "requests": { "cpu": "150m", "memory": "20Mi" } },
            "volumeMounts": mount("/etc/k8s/dns/dnsmasq-nanny"),
        },
        {
            "name": "sidecar",
            "image": sidecar_image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["--v=2", "--logtostderr", probe("kubedns", 10053), probe("dnsmasq", 53)],
            "livenessProbe": liveness("/metrics"),
            "ports": [port("metrics", 10054, "TCP")],
            "resources": { "requests": { "cpu": "10m", "memory": "20Mi" } },
        },
    ]);
    let mut pod = json!({
        "containers": containers,
        "dnsPolicy": "Default",
        "serviceAccountName": NAME,
        "tolerations": [
            { "key": "CriticalAddonsOnly", "operator": "Exists" },
            { "key": "node-role.kubernetes.io/master", "effect": "NoSchedule" },
        ],
        "volumes": [{ "name": VOLUME, "configMap": { "name": NAME, "optional": true } }],
    });
    if facts.is_some_and(|facts| facts.arch_selector) {
        pod["nodeSelector"] = json!({ "beta.kubernetes.io/arch": spec.images().arch });
    }
    let mut deployment = object(DEPLOYMENTS, KUBE_SYSTEM, NAME);
    deployment["metadata"]["labels"] = json!({ "k8s-app": LABEL });
    deployment["spec"] = json!({
        "selector": { "matchLabels": { "k8s-app": LABEL } },
        "strategy": { "rollingUpdate": { "maxSurge": "10%", "maxUnavailable": 0 } },
        "template": { "metadata": { "labels": { "k8s-app": LABEL } }, "spec": pod },
    });
    Ok(deployment)
}

/// The user's own ConfigMap, if there is one.
const VOLUME: &str = "kube-dns-config";

fn port(name: &str, port: u16, protocol: &str) -> Value {
    json!({ "containerPort": port, "name": name, "protocol": protocol })
}

/// The sidecar answers for all of them.
fn liveness(path: &str) -> Value {
    json!({
        "httpGet": { "path": path, "port": 10054, "scheme": "HTTP" },
        "initialDelaySeconds": 60,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": 5,
    })
}
