//! Configurations made of flags alone.

use kubeadm_config::error::ConfigError;
use kubeadm_config::flags;
use kubeadm_config::load::{self, InitConfig, Loaded};
use kubeadm_config::types::SecretText;
use kubeadm_config::validate;

use crate::host::{host, options};
use crate::recorded::{Case, cases, releases};

/// Loads what the flags of a recorded run say, as `init` takes them.
pub(crate) fn load(case: &Case, client: &str) -> Result<Loaded<InitConfig>, ConfigError> {
    let flag = |name: &str| case.flag(name).unwrap_or_default();
    let list = |name: &str| {
        let text = flag(name);
        text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut config = InitConfig::default();
    let ttl = case.flag("--token-ttl").map(|ttl| ttl.parse().unwrap());
    config.init.bootstrap_tokens = vec![flags::init_token(&flag("--token"), ttl)?];
    config.init.local_api_endpoint.advertise_address = flag("--apiserver-advertise-address");
    if let Some(port) = case.flag("--apiserver-bind-port") {
        config.init.local_api_endpoint.bind_port = port.parse().unwrap();
    }
    config.init.node_registration.cri_socket = flag("--cri-socket");
    config.init.certificate_key = SecretText(flag("--certificate-key"));
    let cluster = &mut config.cluster;
    cluster.api_server.cert_sans = list("--apiserver-cert-extra-sans");
    cluster.kubernetes_version = flag("--kubernetes-version");
    cluster.control_plane_endpoint = flag("--control-plane-endpoint");
    cluster.networking.pod_subnet = flag("--pod-network-cidr");
    cluster.networking.service_subnet = flag("--service-cidr");
    cluster.networking.dns_domain = flag("--service-dns-domain");
    cluster.certificates_dir = flag("--cert-dir");
    cluster.image_repository = flag("--image-repository");
    let mut options = options(client);
    options.node_name = case.flag("--node-name");
    options.feature_gates = flag("--feature-gates");
    let loaded = load::init_from_flags(config, &options, &mut host(), &mut Vec::new())?;
    validate::ignored_preflight_errors(&list("--ignore-preflight-errors"), &[])
        .map_err(ConfigError::Invalid)?;
    Ok(loaded)
}

#[test]
fn flags_are_refused_in_upstreams_words() {
    let mut compared = 0;
    for case in cases("1.37", "init", "bad-") {
        let name = case.name.rsplit('/').next().unwrap();
        if case.text("config.yaml").is_some()
            || matches!(name, "bad-phase" | "bad-version-new" | "bad-version-old")
        {
            continue; // not of configuration, or decided by the releases served
        }
        let stderr = case.must("stderr.txt");
        let recorded = stderr.lines().find_map(|line| line.strip_prefix("error: ")).unwrap();
        let ours = load(&case, "v1.37.2").unwrap_err().to_string();
        // A mistyped key is still most of a key.
        let recorded = recorded.replace("\"zz\"", "\"<redacted>\"");
        assert_eq!(ours, recorded, "{}", case.name);
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn flags_are_refused_as_recorded() {
    for (minor, client) in releases() {
        for case in cases(&minor, "init", "").iter().filter(|case| case.name.contains("/bad-")) {
            if case.text("config.yaml").is_some()
                || case.flag("--config").is_some()
                || case.name.contains("bad-phase")
                // Every minor is a target here, not only the original's own and the one before.
                || ["bad-version-new", "bad-version-old"].iter().any(|name| case.name.ends_with(name))
            {
                continue;
            }
            assert!(load(case, &client.to_string()).is_err(), "{}", case.name);
        }
    }
}
