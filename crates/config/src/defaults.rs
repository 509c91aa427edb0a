//! What is filled in when the user says nothing: constants of the release, and what is found on the host.
//!
//! Values come from the release's table; the only things asked of the host are its name, its address, its runtime
//! and randomness. Sources: `app/apis/kubeadm/v1beta4/defaults.go`, `app/util/config/initconfiguration.go`, v1.37.

use kubeadm_release::Release;
use kubeadm_release::facts::control_plane::{AUDIT_LOG_DIRECTORY, AUDIT_POLICY, AUDITING};
use kubeadm_release::facts::kubelet::{DOCKERS_CONTAINERD, DOCKERSHIM, is_dockershim};
use serde_json::Value;

use crate::address;
use crate::detect::Detect;
use crate::duration::GoDuration;
use crate::error::{ConfigError, Notice};
use crate::token::{BootstrapTokenString, NODE_GROUP, USAGES};
use crate::types::{
    ApiEndpoint, BootstrapToken, ClusterConfiguration, EnvVar, Etcd, InitConfiguration, JoinConfiguration,
    NodeRegistration, ResetConfiguration, Taint, UpgradeConfiguration,
};

/// Where the API server listens.
pub const BIND_PORT: u16 = 6443;
/// Folder of a local etcd's data.
pub const ETCD_DATA_DIR: &str = "/var/lib/etcd";
/// Folder of certificates and keys.
pub const CERTIFICATES_DIR: &str = "/etc/kubernetes/pki";
/// The cluster's CA on a joining node.
pub const CA_CERT_PATH: &str = "/etc/kubernetes/pki/ca.crt";
const PULL_POLICY: &str = "IfNotPresent";

/// Constants of an InitConfiguration.
pub(crate) fn init(x: &mut InitConfiguration) {
    if x.bootstrap_tokens.is_empty() {
        x.bootstrap_tokens.push(BootstrapToken::default());
    }
    x.bootstrap_tokens.iter_mut().for_each(bootstrap_token);
    endpoint(&mut x.local_api_endpoint);
    node_registration(&mut x.node_registration);
}

fn bootstrap_token(x: &mut BootstrapToken) {
    if x.usages.is_empty() {
        x.usages = USAGES.map(String::from).into();
    }
    if x.groups.is_empty() {
        x.groups = vec![NODE_GROUP.into()];
    }
    // Upstream sets a time to live even where the end is given, and then refuses to have both.
    if x.ttl.is_none() && x.expires.is_none() {
        x.ttl = Some(GoDuration::from_hours(24));
    }
}

fn endpoint(x: &mut ApiEndpoint) {
    if x.bind_port == 0 {
        x.bind_port = BIND_PORT.into();
    }
}

fn node_registration(x: &mut NodeRegistration) {
    fill(&mut x.image_pull_policy, PULL_POLICY);
    x.image_pull_serial.get_or_insert(true);
}

/// Constants of a ClusterConfiguration.
pub(crate) fn cluster(x: &mut ClusterConfiguration, release: &Release) {
    fill(&mut x.kubernetes_version, release.config_api.default_version_label);
    fill(&mut x.certificates_dir, CERTIFICATES_DIR);
    fill(&mut x.image_repository, release.images.default_repository);
    fill(&mut x.cluster_name, "kubernetes");
    fill(&mut x.networking.service_subnet, "10.96.0.0/12");
    fill(&mut x.networking.dns_domain, "cluster.local");
    fill(&mut x.encryption_algorithm, "RSA-2048");
    x.certificate_validity_period.get_or_insert(GoDuration::from_hours(365 * 24));
    x.ca_certificate_validity_period.get_or_insert(GoDuration::from_hours(3650 * 24));
    x.api_server.timeout_for_control_plane.get_or_insert(GoDuration::from_minutes(4));
    if release.control_plane.audit_api.is_some() && x.feature_gates.get(AUDITING) == Some(&true) {
        fill(&mut x.audit_policy.path, AUDIT_POLICY);
    }
    fill(&mut x.audit_policy.log_dir, AUDIT_LOG_DIRECTORY);
    x.audit_policy.log_max_age.get_or_insert(2);
    etcd(&mut x.etcd, release);
    for component in [&mut x.api_server.component, &mut x.controller_manager, &mut x.scheduler] {
        component.extra_envs.iter_mut().for_each(env_var);
    }
}

fn etcd(x: &mut Etcd, release: &Release) {
    if x.local.is_none() && x.external.is_none() {
        x.local = Some(Default::default());
    }
    if let Some(local) = &mut x.local {
        fill(&mut local.data_dir, ETCD_DATA_DIR);
        local.extra_envs.iter_mut().for_each(env_var);
    }
    if let Some(external) = &mut x.external
        && release.config_api.http_endpoints
        && external.http_endpoints.is_empty()
    {
        external.http_endpoints = external.endpoints.clone();
    }
}

/// `fieldRef.apiVersion`, the one default that core/v1 has here.
fn env_var(x: &mut EnvVar) {
    if let Some(Value::Object(field)) = x.value_from.as_mut().and_then(|from| from.get_mut("fieldRef")) {
        field.entry("apiVersion").or_insert_with(|| "v1".into());
    }
}

/// Constants of a JoinConfiguration.
pub(crate) fn join(x: &mut JoinConfiguration) {
    fill(&mut x.ca_cert_path, CA_CERT_PATH);
    node_registration(&mut x.node_registration);
    if let Some(control_plane) = &mut x.control_plane {
        endpoint(&mut control_plane.local_api_endpoint);
    }
    let discovery = &mut x.discovery;
    if discovery.tls_bootstrap_token.is_empty()
        && let Some(by_token) = &discovery.bootstrap_token
    {
        discovery.tls_bootstrap_token = by_token.token.clone();
    }
    if let Some(file) = &mut discovery.file
        && let Some(path) = file.kube_config_path.strip_prefix("file://")
    {
        file.kube_config_path = path.to_owned();
    }
}

/// Constants of a ResetConfiguration.
pub(crate) fn reset(x: &mut ResetConfiguration) {
    fill(&mut x.certificates_dir, CERTIFICATES_DIR);
}

/// Constants of an UpgradeConfiguration.
pub(crate) fn upgrade(x: &mut UpgradeConfiguration) {
    let renewals = [&mut x.apply.certificate_renewal, &mut x.node.certificate_renewal];
    let etcds = [&mut x.apply.etcd_upgrade, &mut x.node.etcd_upgrade, &mut x.plan.etcd_upgrade];
    let serials = [&mut x.apply.image_pull_serial, &mut x.node.image_pull_serial];
    for flag in renewals.into_iter().chain(etcds).chain(serials) {
        flag.get_or_insert(true);
    }
    fill(&mut x.apply.image_pull_policy, PULL_POLICY);
    fill(&mut x.node.image_pull_policy, PULL_POLICY);
}

fn fill(text: &mut String, default: &str) {
    if text.is_empty() {
        default.clone_into(text);
    }
}

/// A random token for each element that has none.
pub(crate) fn random_tokens(tokens: &mut [BootstrapToken], host: &mut dyn Detect) -> Result<(), ConfigError> {
    for element in tokens.iter_mut().filter(|element| element.token.is_empty()) {
        element.token =
            BootstrapTokenString::random(|bytes| host.random(bytes)).map_err(ConfigError::Random)?;
    }
    Ok(())
}

/// The node's name: as given or the host's, trimmed and in lower case.
pub(crate) fn node_name(given: &str, host: &mut dyn Detect) -> Result<String, ConfigError> {
    let name = match given {
        "" => host.hostname().map_err(ConfigError::Hostname)?,
        given => given.to_owned(),
    };
    let name = name.trim().to_lowercase();
    if name.is_empty() { Err(ConfigError::NoHostname) } else { Ok(name) }
}

/// The usual taints of a control-plane node, unless the list was given.
pub(crate) fn taints(x: &mut NodeRegistration, release: &Release) {
    let usual = || {
        let taint =
            |key: &&str| Taint { key: (*key).into(), effect: "NoSchedule".into(), ..Taint::default() };
        release.node.taints.iter().map(taint).collect()
    };
    x.taints.get_or_insert_with(usual);
}

/// The container runtime's socket: as given, with a scheme where the release wants one, or as found on the host.
/// Without `detect` the release's default is taken.
pub(crate) fn cri_socket(
    given: &str,
    detect: bool,
    release: &Release,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<String, ConfigError> {
    let sockets = &release.kubelet.sockets;
    if is_dockershim(given) {
        // Releases that know it know its path only.
        return Ok(DOCKERSHIM.to_owned());
    }
    if !given.is_empty() {
        // Upstream prefixes whatever does not begin with "unix", another scheme included.
        if !sockets.url || given.contains("://") {
            return Ok(given.to_owned());
        }
        notices.push(Notice::warning(format!(
            "Usage of CRI endpoints without URL scheme is deprecated and can cause kubelet errors in the future. \
             Automatically prepending scheme \"unix\" to the \"criSocket\" with value {given:?}. Please update your \
             configuration!"
        )));
        return Ok(format!("unix://{given}"));
    }
    let known: &[&str] = if detect { sockets.known } else { &[] };
    let mut found: Vec<&str> = known.iter().copied().filter(|socket| host.runtime_answers(socket)).collect();
    if found.contains(&DOCKERSHIM) {
        found.retain(|socket| *socket != DOCKERS_CONTAINERD);
    }
    match found.as_slice() {
        [] => Ok(sockets.default.to_owned()),
        [one] => Ok((*one).to_owned()),
        many => Err(ConfigError::ManyRuntimes(many.iter().map(|s| (*s).to_owned()).collect())),
    }
}

/// Adds the API server's port to a control-plane endpoint without one.
pub(crate) fn control_plane_endpoint(x: &mut String, bind_port: i32) -> Result<(), ConfigError> {
    if x.is_empty() {
        return Ok(());
    }
    let (host, port) = address::parse_endpoint(x)?;
    if port.is_empty() {
        *x = address::join_host_port(host, bind_port);
    }
    Ok(())
}

/// Names of certificates are compared in lower case by those who check them.
pub(crate) fn lower_case_sans(sans: &mut [String], notices: &mut Vec<Notice>) {
    for san in sans {
        let lower = san.to_lowercase();
        if lower != *san {
            notices.push(Notice::info(1, format!("lowercasing SAN {san:?} to {lower:?}")));
            *san = lower;
        }
    }
}
