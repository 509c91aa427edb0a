//! ClusterConfiguration.

use kubeadm_release::Release;

use super::Findings;
use super::durations::positive;
use super::network::{cert_sans, networking};
use super::node::extra_args;
use crate::address;
use crate::authorization;
use crate::duration::GoDuration;
use crate::features;
use crate::types::{ClusterConfiguration, EncryptionAlgorithm, Etcd, ExternalEtcd};
use crate::url;

pub(super) fn cluster(x: &ClusterConfiguration, release: &Release, f: &mut Findings) {
    image_repository("dns.imageRepository", &x.dns.image_repository, f);
    networking(&x.networking, x, release, f);
    cert_sans("apiServer.certSANs", &x.api_server.cert_sans, f);
    extra_args("apiServer.extraArgs", &x.api_server.component.extra_args, f);
    authorization_modes(x, release, f);
    extra_args("controllerManager.extraArgs", &x.controller_manager.extra_args, f);
    extra_args("scheduler.extraArgs", &x.scheduler.extra_args, f);
    f.absolute("certificatesDir", &x.certificates_dir);
    feature_gates(x, release, f);
    if !x.control_plane_endpoint.is_empty() && address::parse_endpoint(&x.control_plane_endpoint).is_err() {
        f.invalid("controlPlaneEndpoint", &x.control_plane_endpoint, "endpoint is not valid");
    }
    image_repository("imageRepository", &x.image_repository, f);
    etcd(&x.etcd, f);
    if EncryptionAlgorithm::parse(&x.encryption_algorithm).is_none() {
        let names = EncryptionAlgorithm::NAMES.join(" ");
        let detail =
            format!("Invalid encryption algorithm {:?}. Must be one of [{names}]", x.encryption_algorithm);
        f.invalid("encryptionAlgorithm", &x.encryption_algorithm, detail);
    }
    validity(x, f);
}

/// The API server does not start with a mode that it does not know. Upstream warns that the mode is ignored, and
/// passes it on.
fn authorization_modes(x: &ClusterConfiguration, release: &Release, f: &mut Findings) {
    let Some(given) = authorization::given(&x.api_server.component.extra_args) else { return };
    let unknown: Vec<String> = given
        .split(',')
        .filter(|mode| !authorization::KNOWN.contains(mode))
        .map(|mode| format!("{mode:?}"))
        .collect();
    if !unknown.is_empty() {
        f.invalid(
            "apiServer.extraArgs",
            &given,
            format!(
                "unknown {} {}; the kube-apiserver knows {}",
                authorization::ARGUMENT,
                unknown.join(", "),
                authorization::KNOWN.join(", ")
            ),
        );
        return;
    }
    let used = authorization::modes(release, Some(&given));
    if !authorization::same(&used, &given) {
        f.warn(format!(
            "the kube-apiserver authorization-mode {given:?} is not taken as it is: kubeadm of Kubernetes 1.{} always \
             has {} and knows no others than ABAC and Webhook; using {used:?}",
            release.minor,
            authorization::DEFAULT
        ));
    } else if !authorization::same(&used, authorization::DEFAULT) {
        f.warn(format!(
            "the default kube-apiserver authorization-mode is {:?}; using {used:?}",
            authorization::DEFAULT
        ));
    }
}

/// Upstream takes periods that are over before they begin; long ones are only warned of.
fn validity(x: &ClusterConfiguration, f: &mut Findings) {
    let (usual, usual_ca) = (GoDuration::from_hours(365 * 24), GoDuration::from_hours(3650 * 24));
    let leaf = x.certificate_validity_period.unwrap_or(usual);
    let ca = x.ca_certificate_validity_period.unwrap_or(usual_ca);
    positive("certificateValidityPeriod", leaf, f);
    positive("caCertificateValidityPeriod", ca, f);
    if leaf > usual {
        f.warn(format!(
            "certificateValidityPeriod: the value {leaf} is more than the recommended default for certificate \
             expiration: {usual}"
        ));
    }
    if ca > usual_ca {
        f.warn(format!(
            "caCertificateValidityPeriod: the value {ca} is more than the recommended default for CA certificate \
             expiration: {usual_ca}"
        ));
    }
    if leaf > ca {
        f.warn(format!(
            "certificateValidityPeriod: the value {leaf} is more than the caCertificateValidityPeriod: {ca}"
        ));
    }
}

fn feature_gates(x: &ClusterConfiguration, release: &Release, f: &mut Findings) {
    use kubeadm_release::facts::config_api::Stage;
    for (name, value) in &x.feature_gates {
        let gate = features::find(release, name).filter(|gate| {
            !(release.config_api.deprecated_gates_refused && matches!(gate.stage, Stage::Deprecated(_)))
        });
        if let Some(always) = gate.and_then(|gate| gate.always)
            && always != *value
        {
            f.warn(format!(
                "the feature gate {name}={value} has no effect: this kubeadm does for Kubernetes 1.{} what \
                 {name}={always} asks for",
                release.minor
            ));
        }
        if gate.is_none() {
            let gates: serde_json::Map<_, _> =
                x.feature_gates.iter().map(|(name, flag)| (name.clone(), (*flag).into())).collect();
            let value = Some(serde_json::Value::Object(gates).to_string());
            f.push("featureGates".into(), value, format!("{name} is not a valid feature name."));
        }
    }
}

fn etcd(x: &Etcd, f: &mut Findings) {
    match (&x.local, &x.external) {
        (None, None) => f.invalid("etcd", "", "either .Etcd.Local or .Etcd.External is required"),
        (Some(_), Some(_)) => f.invalid("etcd", "", ".Etcd.Local and .Etcd.External are mutually exclusive"),
        (Some(local), None) => {
            f.absolute("etcd.local.dataDir", &local.data_dir);
            cert_sans("etcd.local.serverCertSANs", &local.server_cert_sans, f);
            cert_sans("etcd.local.peerCertSANs", &local.peer_cert_sans, f);
            image_repository("etcd.local.imageRepository", &local.image_repository, f);
            extra_args("etcd.local.extraArgs", &local.extra_args, f);
        }
        (None, Some(external)) => external_etcd(external, f),
    }
}

fn external_etcd(x: &ExternalEtcd, f: &mut Findings) {
    let (ca, cert, key) = (&x.ca_file, &x.cert_file, &x.key_file);
    if cert.is_empty() != key.is_empty() {
        let detail = "either both or none of .Etcd.External.CertFile and .Etcd.External.KeyFile must be set";
        f.invalid("etcd.external", "", detail);
    } else if !cert.is_empty() && ca.is_empty() {
        let detail =
            "setting .Etcd.External.CertFile and .Etcd.External.KeyFile requires .Etcd.External.CAFile";
        f.invalid("etcd.external", "", detail);
    }
    let https = !(ca.is_empty() && cert.is_empty() && key.is_empty());
    if x.endpoints.is_empty() {
        f.invalid("etcd.external.endpoints", "", "at least one endpoint must be specified");
    }
    urls("etcd.external.endpoints", &x.endpoints, https, f);
    urls("etcd.external.httpEndpoints", &x.http_endpoints, false, f);
    for (path, file) in
        [("etcd.external.caFile", ca), ("etcd.external.certFile", cert), ("etcd.external.keyFile", key)]
    {
        if !file.is_empty() {
            f.absolute(path, file);
        }
    }
}

fn urls(path: &str, urls: &[String], https: bool, f: &mut Findings) {
    for text in urls {
        match url::scheme(text) {
            Err(reason) => f.invalid(path, text, format!("URL parse error: {reason}")),
            Ok(scheme) => {
                if https && scheme != "https" {
                    f.invalid(path, text, "the URL must be using the HTTPS scheme");
                }
                if scheme.is_empty() {
                    f.invalid(path, text, "the URL without scheme is not allowed");
                }
            }
        }
    }
}

fn image_repository(path: &str, text: &str, f: &mut Findings) {
    if !text.is_empty() && !is_image_repository(text) {
        f.invalid(path, text, "invalid image repository format");
    }
}

/// `[HOST[:PORT]/]PATH…` of the image reference grammar (distribution, `reference/regexp.go`).
fn is_image_repository(text: &str) -> bool {
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    (is_registry(first) || is_path_component(first)) && parts.all(is_path_component)
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => {
            if !inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') || inner.is_empty() {
                return false;
            }
            ("ipv6", rest.strip_prefix(':').unwrap_or(if rest.is_empty() { "0" } else { "" }))
        }
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !(label.is_empty() || label.starts_with('-') || label.ends_with('-'))
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_path_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = text;
    loop {
        let word = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let end = rest.find(plain).unwrap_or(rest.len());
        let separator = &rest[..end];
        if !(matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')) {
            return false;
        }
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_follow_the_grammar() {
        for text in ["registry.k8s.io", "r.example.com:5000/k8s/x", "[::1]:5000/a", "a__b/c--d", "localhost"]
        {
            assert!(is_image_repository(text), "{text}");
        }
        for text in ["", "a/", "a//b", "r/K8s", "a b", "https://r", "r:x/a", "a/_b", "[::1", "[::1]x"] {
            assert!(!is_image_repository(text), "{text}");
        }
    }
}
