//! From flags to the configuration they stand for: what the user wrote on the command line, before anything is
//! filled in. A flag that was not given leaves its field empty, so that the release decides the default.

use kubeadm_config::error::Notice;
use kubeadm_config::flags::init_token;
use kubeadm_config::load::InitConfig;
use kubeadm_config::token::BootstrapTokenString;
use kubeadm_config::types::{
    ApiEndpoint, Arg, BootstrapToken, BootstrapTokenDiscovery, FileDiscovery, JoinConfiguration,
    JoinControlPlane, SecretText,
};
use kubeadm_config::{features, version};
use kubeadm_release::{Reference, Release, Version};

use crate::error::CommandError;
use crate::parse::Call;
use crate::values::Values;

/// The configuration that the flags of `init`, its phases or `config images` describe.
pub(crate) fn init(flags: &Values, notices: &mut Vec<Notice>) -> Result<InitConfig, CommandError> {
    let mut config = InitConfig::default();
    let InitConfig { init, cluster } = &mut config;
    let text = |name: &str, field: &mut String| {
        if flags.given(name) {
            *field = flags.text(name);
        }
    };
    text("apiserver-advertise-address", &mut init.local_api_endpoint.advertise_address);
    text("cri-socket", &mut init.node_registration.cri_socket);
    text("node-name", &mut init.node_registration.name);
    text("certificate-key", &mut init.certificate_key.0);
    text("control-plane-endpoint", &mut cluster.control_plane_endpoint);
    text("kubernetes-version", &mut cluster.kubernetes_version);
    text("cert-dir", &mut cluster.certificates_dir);
    text("image-repository", &mut cluster.image_repository);
    text("pod-network-cidr", &mut cluster.networking.pod_subnet);
    text("service-cidr", &mut cluster.networking.service_subnet);
    text("service-dns-domain", &mut cluster.networking.dns_domain);
    if flags.given("apiserver-bind-port") {
        init.local_api_endpoint.bind_port = flags.int("apiserver-bind-port");
    }
    cluster.api_server.cert_sans = flags.list("apiserver-cert-extra-sans");
    if flags.given("feature-gates") {
        let release = release_of(&cluster.kubernetes_version);
        cluster.feature_gates = features::parse(&flags.text("feature-gates"), &release, notices)?;
    }
    let ttl = flags.given("token-ttl").then(|| flags.duration("token-ttl"));
    init.bootstrap_tokens = vec![init_token(&flags.text("token"), ttl)?];
    cluster.api_server.component.extra_args = extra_args(flags, "apiserver-extra-args")?;
    cluster.controller_manager.extra_args = extra_args(flags, "controller-manager-extra-args")?;
    cluster.scheduler.extra_args = extra_args(flags, "scheduler-extra-args")?;
    init.dry_run = flags.bool("dry-run");
    Ok(config)
}

/// The release whose gates the flag `--feature-gates` names: that of an exact version, else the newest.
fn release_of(text: &str) -> Release {
    match version::parse(text) {
        Ok(Reference::Exact { version, .. }) => Release::of(&version).unwrap_or_else(|_| Release::newest()),
        Ok(Reference::Label { .. }) | Err(_) => Release::newest(),
    }
}

/// `name=value,…`, in order.
fn extra_args(flags: &Values, name: &str) -> Result<Vec<Arg>, CommandError> {
    let pair = |item: String| match item.split_once('=') {
        Some((name, value)) => Ok(Arg::new(name.trim(), value)),
        None => Err(CommandError::new(format!(
            "invalid argument {item:?} for \"--{name}\" flag: malformed pair, expect string=string"
        ))),
    };
    flags.list(name).into_iter().map(pair).collect()
}

/// The token that the flags of `token create` describe.
pub(crate) fn token_to_create(call: &Call<'_>) -> Result<BootstrapToken, CommandError> {
    let token = match call.args.first() {
        Some(text) => text.parse::<BootstrapTokenString>()?,
        None => BootstrapTokenString::random(kubeadm_pki::random)?,
    };
    Ok(BootstrapToken {
        token,
        description: call.flags.text("description"),
        ttl: Some(call.flags.duration("ttl")),
        expires: None,
        usages: call.flags.list("usages"),
        groups: call.flags.list("groups"),
    })
}

/// The configuration that the flags of `join` or its phases describe; `endpoint` is the word after them.
pub(crate) fn join(flags: &Values, endpoint: Option<&str>, control_plane: bool) -> JoinConfiguration {
    let or = |first: String, second: String| if first.is_empty() { second } else { first };
    let mut config = JoinConfiguration::default();
    config.node_registration.name = flags.text("node-name");
    config.node_registration.cri_socket = flags.text("cri-socket");
    config.dry_run = flags.bool("dry-run");
    config.control_plane = control_plane.then(|| {
        let mut local_api_endpoint = ApiEndpoint {
            advertise_address: flags.text("apiserver-advertise-address"),
            ..ApiEndpoint::default()
        };
        if flags.given("apiserver-bind-port") {
            local_api_endpoint.bind_port = flags.int("apiserver-bind-port");
        }
        JoinControlPlane { local_api_endpoint, certificate_key: SecretText(flags.text("certificate-key")) }
    });
    config.discovery.tls_bootstrap_token =
        SecretText(or(flags.text("tls-bootstrap-token"), flags.text("token")));
    let file = flags.text("discovery-file");
    config.discovery.file = (!file.is_empty()).then_some(FileDiscovery { kube_config_path: file });
    config.discovery.bootstrap_token = endpoint.map(|endpoint| BootstrapTokenDiscovery {
        token: SecretText(or(flags.text("discovery-token"), flags.text("token"))),
        api_server_endpoint: endpoint.to_owned(),
        ca_cert_hashes: flags.list("discovery-token-ca-cert-hash"),
        unsafe_skip_ca_verification: flags.bool("discovery-token-unsafe-skip-ca-verification"),
        other_endpoints: Vec::new(),
    });
    config
}

/// The certificate key of the flags or the file, if there is one.
pub(crate) fn certificate_key(key: &SecretText) -> Option<String> {
    (!key.is_empty()).then(|| key.0.clone())
}

/// Version of this kubeadm.
pub(crate) fn own_version() -> Version {
    // The package's version is one of three numbers.
    let number = |text: &str| text.parse().unwrap_or_default();
    Version::new(
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    )
}
