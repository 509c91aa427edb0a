//! ClusterConfiguration: flat in the alpha versions, grouped by component since v1beta1.

use kubeadm_release::facts::config_api::Api;

use super::parts;
use crate::codec::{Codec, Keep};
use crate::types::{
    ApiServer, AuditPolicy, ClusterConfiguration, Dns, DnsKind, Etcd, ExternalEtcd, LocalEtcd, Networking,
    Proxy,
};

/// The feature gate that chose the DNS add-on before `dns.type` did.
pub(crate) const COREDNS_GATE: &str = "CoreDNS";

pub(crate) fn cluster(x: &mut ClusterConfiguration, c: &mut Codec<'_>) {
    if !c.since(Api::V1Beta1) {
        c.text("controlPlaneEndpoint", &mut x.control_plane_endpoint, Keep::Always);
        flat_cluster(x, c);
        return;
    }
    let keep = c.set_since(Api::V1Beta2);
    c.object("etcd", &mut x.etcd, "Etcd", etcd);
    c.object("networking", &mut x.networking, "Networking", networking);
    c.text("kubernetesVersion", &mut x.kubernetes_version, keep);
    c.text("controlPlaneEndpoint", &mut x.control_plane_endpoint, keep);
    c.object("apiServer", &mut x.api_server, "APIServer", api_server);
    c.object("controllerManager", &mut x.controller_manager, "ControlPlaneComponent", parts::component);
    c.object("scheduler", &mut x.scheduler, "ControlPlaneComponent", parts::component);
    c.object("dns", &mut x.dns, "DNS", dns);
    if c.since(Api::V1Beta4) {
        c.object("proxy", &mut x.proxy, "Proxy", proxy);
    }
    c.text("certificatesDir", &mut x.certificates_dir, keep);
    c.text("imageRepository", &mut x.image_repository, keep);
    if !c.since(Api::V1Beta3) {
        c.flag("useHyperKubeImage", &mut x.use_hyperkube_image, Keep::Set);
    }
    c.flags("featureGates", &mut x.feature_gates);
    c.text("clusterName", &mut x.cluster_name, Keep::Set);
    if c.since(Api::V1Beta4) {
        c.text("encryptionAlgorithm", &mut x.encryption_algorithm, Keep::Set);
        c.optional_duration("certificateValidityPeriod", &mut x.certificate_validity_period);
        c.optional_duration("caCertificateValidityPeriod", &mut x.ca_certificate_validity_period);
    }
}

/// The cluster's fields as v1alpha2 and v1alpha3 lay them out, but for the control-plane endpoint.
pub(super) fn flat_cluster(x: &mut ClusterConfiguration, c: &mut Codec<'_>) {
    c.object("etcd", &mut x.etcd, "Etcd", etcd);
    c.object("networking", &mut x.networking, "Networking", networking);
    c.text("kubernetesVersion", &mut x.kubernetes_version, Keep::Always);
    c.args("apiServerExtraArgs", &mut x.api_server.component.extra_args);
    c.args("controllerManagerExtraArgs", &mut x.controller_manager.extra_args);
    c.args("schedulerExtraArgs", &mut x.scheduler.extra_args);
    let volumes = [
        ("apiServerExtraVolumes", &mut x.api_server.component.extra_volumes),
        ("controllerManagerExtraVolumes", &mut x.controller_manager.extra_volumes),
        ("schedulerExtraVolumes", &mut x.scheduler.extra_volumes),
    ];
    for (name, volumes) in volumes {
        c.list(name, volumes, "HostPathMount", Keep::Set, parts::mount);
    }
    c.texts("apiServerCertSANs", &mut x.api_server.cert_sans, Keep::Set);
    c.text("certificatesDir", &mut x.certificates_dir, Keep::Always);
    c.text("imageRepository", &mut x.image_repository, Keep::Always);
    c.text("unifiedControlPlaneImage", &mut x.unified_control_plane_image, Keep::Always);
    c.object("auditPolicy", &mut x.audit_policy, "AuditPolicyConfiguration", audit_policy);
    let mut gates = x.feature_gates.clone();
    if x.dns.kind == DnsKind::KubeDns {
        gates.entry(COREDNS_GATE.into()).or_insert(false);
    }
    c.flags("featureGates", &mut gates);
    if !c.writing() {
        if gates.get(COREDNS_GATE) == Some(&false) {
            x.dns.kind = DnsKind::KubeDns;
        }
        x.feature_gates = gates;
    }
    c.text("clusterName", &mut x.cluster_name, Keep::Set);
}

fn etcd(x: &mut Etcd, c: &mut Codec<'_>) {
    c.optional_object("local", &mut x.local, "LocalEtcd", local_etcd);
    c.optional_object("external", &mut x.external, "ExternalEtcd", external_etcd);
}

fn local_etcd(x: &mut LocalEtcd, c: &mut Codec<'_>) {
    if c.since(Api::V1Beta1) {
        c.text("imageRepository", &mut x.image_repository, Keep::Set);
        c.text("imageTag", &mut x.image_tag, Keep::Set);
    } else {
        c.text("image", &mut x.image, Keep::Always);
    }
    c.text("dataDir", &mut x.data_dir, Keep::Always);
    c.args("extraArgs", &mut x.extra_args);
    if c.since(Api::V1Beta4) {
        c.list("extraEnvs", &mut x.extra_envs, "EnvVar", Keep::Set, parts::env_var);
    }
    c.texts("serverCertSANs", &mut x.server_cert_sans, Keep::Set);
    c.texts("peerCertSANs", &mut x.peer_cert_sans, Keep::Set);
}

fn external_etcd(x: &mut ExternalEtcd, c: &mut Codec<'_>) {
    c.texts("endpoints", &mut x.endpoints, Keep::Always);
    if c.since(Api::V1Beta4) {
        c.texts("httpEndpoints", &mut x.http_endpoints, Keep::Set);
    }
    c.text("caFile", &mut x.ca_file, Keep::Always);
    c.text("certFile", &mut x.cert_file, Keep::Always);
    c.text("keyFile", &mut x.key_file, Keep::Always);
}

fn networking(x: &mut Networking, c: &mut Codec<'_>) {
    let keep = c.set_since(Api::V1Beta2);
    c.text("serviceSubnet", &mut x.service_subnet, keep);
    c.text("podSubnet", &mut x.pod_subnet, keep);
    c.text("dnsDomain", &mut x.dns_domain, keep);
}

fn api_server(x: &mut ApiServer, c: &mut Codec<'_>) {
    parts::component(&mut x.component, c);
    c.texts("certSANs", &mut x.cert_sans, Keep::Set);
    if !c.since(Api::V1Beta4) {
        c.optional_duration("timeoutForControlPlane", &mut x.timeout_for_control_plane);
    }
}

fn dns(x: &mut Dns, c: &mut Codec<'_>) {
    if !c.since(Api::V1Beta3) {
        let mut kind = match (x.kind, c.writing()) {
            (_, false) => String::new(),
            (DnsKind::CoreDns, true) => "CoreDNS".into(),
            (DnsKind::KubeDns, true) => "kube-dns".into(),
        };
        c.text("type", &mut kind, Keep::Always);
        x.kind = match kind.as_str() {
            "" | "CoreDNS" => DnsKind::CoreDns,
            "kube-dns" => DnsKind::KubeDns,
            _ => {
                c.refuse(
                    "type",
                    format!("unknown DNS add-on {kind:?}, expected \"CoreDNS\" or \"kube-dns\""),
                );
                DnsKind::CoreDns
            }
        };
    }
    c.text("imageRepository", &mut x.image_repository, Keep::Set);
    c.text("imageTag", &mut x.image_tag, Keep::Set);
    if c.since(Api::V1Beta4) {
        c.flag("disabled", &mut x.disabled, Keep::Set);
    }
}

fn proxy(x: &mut Proxy, c: &mut Codec<'_>) {
    c.flag("disabled", &mut x.disabled, Keep::Set);
}

fn audit_policy(x: &mut AuditPolicy, c: &mut Codec<'_>) {
    c.text("path", &mut x.path, Keep::Always);
    c.text("logDir", &mut x.log_dir, Keep::Always);
    c.optional_int32("logMaxAge", &mut x.log_max_age);
}
