//! What CoreDNS and kube-dns share: the Service through which all pods ask, whichever answers.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::AddonError;
use crate::objects::{KUBE_SYSTEM, object};
use crate::resource::SERVICES;
use crate::spec::InitSpec;

/// The label all DNS add-ons have had, and the name of their Service.
pub const LABEL: &str = "kube-dns";

/// The Service through which all pods ask.
pub fn service(spec: &InitSpec) -> Result<Value, AddonError> {
    let facts = &spec.release.addons.coredns;
    let port = |name: &str, port: u16, protocol: &str| json!({ "name": name, "port": port, "protocol": protocol, "targetPort": port });
    let mut ports = vec![port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP")];
    if facts.metrics_port {
        ports.push(port("metrics", 9153, "TCP"));
    }
    let mut service = object(SERVICES, KUBE_SYSTEM, LABEL);
    service["metadata"]["labels"] = json!({
        "k8s-app": LABEL,
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": facts.service_name,
    });
    service["metadata"]["annotations"] =
        json!({ "prometheus.io/port": "9153", "prometheus.io/scrape": "true" });
    // Without it the API server refuses to replace a Service.
    service["metadata"]["resourceVersion"] = json!("0");
    service["spec"] =
        json!({ "clusterIP": address(spec)?, "ports": ports, "selector": { "k8s-app": LABEL } });
    Ok(service)
}

/// The tenth address of the first service range. app/constants: GetDNSIP.
pub(super) fn address(spec: &InitSpec) -> Result<IpAddr, AddonError> {
    let subnet = || spec.cluster.networking.service_subnet.clone();
    spec.service_address(10).ok_or_else(|| AddonError::DnsAddress { subnet: subnet() })
}
