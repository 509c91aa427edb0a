//! JoinConfiguration: flat in the alpha versions, with a `discovery` block since v1beta1.

use kubeadm_release::facts::config_api::Api;

use super::parts;
use crate::codec::{Codec, Keep};
use crate::duration::GoDuration;
use crate::types::{
    BootstrapTokenDiscovery, Discovery, FileDiscovery, JoinConfiguration, JoinControlPlane, SecretText,
};

pub(crate) fn join(x: &mut JoinConfiguration, c: &mut Codec<'_>) {
    c.object(
        "nodeRegistration",
        &mut x.node_registration,
        "NodeRegistrationOptions",
        parts::node_registration,
    );
    let keep = c.set_since(Api::V1Beta2);
    c.text("caCertPath", &mut x.ca_cert_path, keep);
    if !c.since(Api::V1Beta1) {
        flat_join(x, c);
        return;
    }
    let mut block = (std::mem::take(&mut x.discovery), x.timeouts.discovery);
    c.object("discovery", &mut block, "Discovery", discovery);
    (x.discovery, x.timeouts.discovery) = block;
    c.optional_object("controlPlane", &mut x.control_plane, "JoinControlPlane", control_plane);
    if c.since(Api::V1Beta3) {
        c.texts("skipPhases", &mut x.skip_phases, Keep::Set);
        c.optional_object("patches", &mut x.patches, "Patches", parts::patches);
    }
    if c.since(Api::V1Beta4) {
        c.flag("dryRun", &mut x.dry_run, Keep::Set);
        c.object("timeouts", &mut x.timeouts, "Timeouts", parts::timeouts);
    }
}

fn discovery((x, timeout): &mut (Discovery, GoDuration), c: &mut Codec<'_>) {
    c.optional_object("bootstrapToken", &mut x.bootstrap_token, "BootstrapTokenDiscovery", by_token);
    c.optional_object("file", &mut x.file, "FileDiscovery", by_file);
    c.text("tlsBootstrapToken", &mut x.tls_bootstrap_token.0, Keep::Set);
    if !c.since(Api::V1Beta4) {
        c.duration("timeout", timeout);
    }
}

fn by_token(x: &mut BootstrapTokenDiscovery, c: &mut Codec<'_>) {
    c.text("token", &mut x.token.0, Keep::Always);
    c.text("apiServerEndpoint", &mut x.api_server_endpoint, Keep::Set);
    c.texts("caCertHashes", &mut x.ca_cert_hashes, Keep::Set);
    let keep = c.set_since(Api::V1Beta2);
    c.flag("unsafeSkipCAVerification", &mut x.unsafe_skip_ca_verification, keep);
}

fn by_file(x: &mut FileDiscovery, c: &mut Codec<'_>) {
    c.text("kubeConfigPath", &mut x.kube_config_path, Keep::Always);
}

fn control_plane(x: &mut JoinControlPlane, c: &mut Codec<'_>) {
    c.object("localAPIEndpoint", &mut x.local_api_endpoint, "APIEndpoint", parts::endpoint);
    if c.since(Api::V1Beta2) {
        c.text("certificateKey", &mut x.certificate_key.0, Keep::Set);
    }
}

/// The fields of v1alpha2 (NodeConfiguration) and v1alpha3.
fn flat_join(x: &mut JoinConfiguration, c: &mut Codec<'_>) {
    let mut by_token = x.discovery.bootstrap_token.clone().unwrap_or_default();
    let mut file = x.discovery.file.clone().unwrap_or_default().kube_config_path;
    let mut servers: Vec<String> =
        Some(by_token.api_server_endpoint.clone()).filter(|server| !server.is_empty()).into_iter().collect();
    servers.extend(by_token.other_endpoints.clone());
    let mut shared = by_token.token.0.clone();
    let mut tls = x.discovery.tls_bootstrap_token.0.clone();
    c.text("discoveryFile", &mut file, Keep::Always);
    c.text("discoveryToken", &mut by_token.token.0, Keep::Set);
    c.texts("discoveryTokenAPIServers", &mut servers, Keep::Set);
    c.duration("discoveryTimeout", &mut x.timeouts.discovery);
    c.text("tlsBootstrapToken", &mut tls, Keep::Always);
    c.text("token", &mut shared, Keep::Always);
    c.text("clusterName", &mut x.cluster_name, Keep::Set);
    c.texts("discoveryTokenCACertHashes", &mut by_token.ca_cert_hashes, Keep::Set);
    c.flag("discoveryTokenUnsafeSkipCAVerification", &mut by_token.unsafe_skip_ca_verification, Keep::Always);
    let mut is_control_plane = x.control_plane.is_some();
    c.flag("controlPlane", &mut is_control_plane, Keep::Set);
    let mut endpoint = x.control_plane.clone().unwrap_or_default().local_api_endpoint;
    if c.since(Api::V1Alpha3) {
        c.object("apiEndpoint", &mut endpoint, "APIEndpoint", parts::endpoint);
    } else {
        c.text("advertiseAddress", &mut endpoint.advertise_address, Keep::Set);
        c.int32("bindPort", &mut endpoint.bind_port, Keep::Set);
    }
    let mut gates = Default::default();
    c.flags("featureGates", &mut gates);
    if c.writing() {
        return;
    }
    if !gates.is_empty() {
        c.refuse("featureGates", "featureGates has been removed from JoinConfiguration".into());
    }
    // `token` fills in for both others (upstream: SetDefaults_JoinConfiguration).
    if tls.is_empty() {
        tls = shared.clone();
    }
    if by_token.token.0.is_empty() && file.is_empty() {
        by_token.token = SecretText(shared);
    }
    let mut servers = servers.into_iter();
    by_token.api_server_endpoint = servers.next().unwrap_or_default();
    by_token.other_endpoints = servers.collect();
    x.discovery = Discovery {
        tls_bootstrap_token: SecretText(tls),
        bootstrap_token: Some(by_token).filter(|by_token| file.is_empty() || !by_token.token.is_empty()),
        file: Some(FileDiscovery { kube_config_path: file }).filter(|file| !file.kube_config_path.is_empty()),
    };
    x.control_plane = is_control_plane
        .then(|| JoinControlPlane { local_api_endpoint: endpoint, certificate_key: SecretText::default() });
}
