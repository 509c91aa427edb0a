//! JoinConfiguration.

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::Api;

use super::durations::timeouts;
use super::{Findings, node};
use crate::address;
use crate::token::BootstrapTokenString;
use crate::types::{BootstrapTokenDiscovery, Discovery, JoinConfiguration, SecretText};
use crate::url;

const UNSAFE: &str = "using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification \
    as true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue";

/// JoinConfiguration of a file in that API. `is_file` says whether a path exists; discovery files are only looked at,
/// never read.
pub(crate) fn join(
    x: &JoinConfiguration,
    api: Option<Api>,
    release: &Release,
    needs_discovery: bool,
    is_file: &dyn Fn(&str) -> bool,
) -> Findings {
    let mut f = Findings::default();
    if needs_discovery {
        discovery(&x.discovery, is_file, &mut f);
    }
    node::registration(&x.node_registration, release, &mut f);
    if let Some(control_plane) = &x.control_plane {
        node::endpoint("controlPlane.localAPIEndpoint", &control_plane.local_api_endpoint, &mut f);
        node::certificate_key("controlPlane.certificateKey", &control_plane.certificate_key, &mut f);
    }
    if !(x.ca_cert_path.starts_with('/') && x.ca_cert_path.ends_with(".crt")) {
        f.invalid("caCertPath", &x.ca_cert_path, "the ca certificate path must be an absolute path");
    }
    timeouts(&x.timeouts, api, &mut f);
    if let Some(BootstrapTokenDiscovery { api_server_endpoint: used, other_endpoints, .. }) =
        &x.discovery.bootstrap_token
        && !other_endpoints.is_empty()
    {
        f.warn(format!(
            "discoveryTokenAPIServers: of several servers only the first is asked, {used}; not used: {}",
            other_endpoints.join(", ")
        ));
    }
    f
}

fn discovery(x: &Discovery, is_file: &dyn Fn(&str) -> bool, f: &mut Findings) {
    match (&x.bootstrap_token, &x.file) {
        (None, None) => f.invalid("discovery", "", "bootstrapToken or file must be set"),
        (Some(_), Some(_)) => f.invalid("discovery", "", "bootstrapToken and file cannot both be set"),
        (Some(by_token), None) => {
            self::by_token(by_token, f);
            token("discovery.tlsBootstrapToken", &x.tls_bootstrap_token, f);
        }
        (None, Some(file)) => {
            by_file(&file.kube_config_path, is_file, f);
            if !x.tls_bootstrap_token.is_empty() {
                token("discovery.tlsBootstrapToken", &x.tls_bootstrap_token, f);
            }
        }
    }
}

fn by_token(x: &BootstrapTokenDiscovery, f: &mut Findings) {
    if x.api_server_endpoint.is_empty() {
        f.required("discovery.bootstrapToken", "APIServerEndpoint is not set");
    }
    if x.ca_cert_hashes.is_empty() && !x.unsafe_skip_ca_verification {
        f.invalid("discovery.bootstrapToken.caCertHashes", "", UNSAFE);
    }
    token("discovery.bootstrapToken.token", &x.token, f);
    if !x.api_server_endpoint.is_empty()
        && let Err(reason) = address::split_host_port(&x.api_server_endpoint)
    {
        f.invalid("discovery.bootstrapToken.apiServerEndpoint", &x.api_server_endpoint, reason);
    }
}

fn token(path: &str, text: &SecretText, f: &mut Findings) {
    if text.0.parse::<BootstrapTokenString>().is_err() {
        f.invalid(path, "<redacted>", "the bootstrap token is invalid");
    }
}

fn by_file(path: &str, is_file: &dyn Fn(&str) -> bool, f: &mut Findings) {
    let field = "discovery.file.kubeConfigPath";
    match url::scheme(path) {
        Ok("https") => {}
        Ok("") if is_file(path) => {}
        Ok("") | Err(_) => f.invalid(field, path, "not a valid HTTPS URL or a file on disk"),
        Ok(_) => f.invalid(field, path, "if a URL is used, the scheme must be https"),
    }
}
