//! KubeletConfiguration: what kubeadm sets, and what kubeadm itself needs to know of it.

use kubeadm_release::Release;
use kubeadm_release::facts::component_config;
use kubeadm_release::facts::kubelet::{CgroupDriver, ConfigDefaults};
use kubeadm_yaml as tree;
use serde_json::{Value, json};

use super::{
    FieldProblem, FieldProblemKind, FieldWarning, begin, default_text, describe, fill_defaults, impose,
    is_unset, recommend, recommendation, write_fields,
};
use crate::address::{Cidr, join_host_port};

const KIND: &str = "KubeletConfiguration";
const STATIC_PODS: &str = "/etc/kubernetes/manifests";
const HEALTHZ_ADDRESS: &str = "127.0.0.1";
const HEALTHZ_PORT: u16 = 10248;
/// What a kubelet takes where its configuration does not say. pkg/kubelet/apis/config/v1beta1/defaults.go, v1.11 to v1.37.
const KUBELETS_CGROUP_DRIVER: &str = "cgroupfs";
/// Where systemd-resolved keeps the name servers it uses itself: its own stub cannot be used from within pods.
pub const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// The DNS address where none can be taken from the service range.
const FALLBACK_DNS: &str = "10.96.0.10";

/// What the kubelet's configuration takes from the cluster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeletInputs<'a> {
    /// `networking.serviceSubnet`, one range or two with a comma.
    pub service_subnet: &'a str,
    /// `networking.dnsDomain`.
    pub dns_domain: &'a str,
    /// `certificatesDir`.
    pub certificates_dir: &'a str,
}

/// Completes what the user wrote to the configuration stored for all kubelets.
///
/// Source: app/componentconfigs/kubelet.go (v1.37), defaults.go (v1.13).
pub fn default_kubelet(
    user: Option<Value>,
    inputs: &KubeletInputs<'_>,
    release: &Release,
) -> (Value, Vec<FieldWarning>) {
    let config = component_config::kubelet(release);
    let mut document = begin(user, &config);
    let mut warnings = Vec::new();
    match release.kubelet.config_defaults {
        ConfigDefaults::Filled => enforce(&mut document, inputs, &mut warnings),
        ConfigDefaults::Zero => propose(&mut document, inputs, &mut warnings),
    }
    if release.kubelet.cgroup_driver == CgroupDriver::Systemd {
        default_text(&mut document, "cgroupDriver", "systemd");
    }
    // The update frequency is the older of the two, and stands for both where only it is set.
    let report = config.fields.iter().find(|f| f.path == "nodeStatusReportFrequency");
    let update = config.fields.iter().find(|f| f.path == "nodeStatusUpdateFrequency");
    if let (Some(report), Some(update), false) = (report, update, config.defaults.is_empty())
        && is_unset(&document, report)
        && !is_unset(&document, update)
        && let Some(frequency) = tree::get(&document, update.path).cloned()
    {
        tree::set(&mut document, report.path, frequency);
    }
    fill_defaults(&mut document, &config);
    write_fields(&mut document, &config);
    (document, warnings)
}

/// The old way: what concerns security is set whatever the user wrote. The original gave the CA a fixed place, where no CA is
/// with another `certificatesDir`; its kubelet then does not start.
fn enforce(document: &mut Value, inputs: &KubeletInputs<'_>, warnings: &mut Vec<FieldWarning>) {
    default_text(document, "staticPodPath", STATIC_PODS);
    tree::set_default(document, "clusterDNS", json!([cluster_dns(inputs.service_subnet)]));
    default_text(document, "clusterDomain", inputs.dns_domain);
    let mut need = |path, value| warnings.extend(impose(document, KIND, path, value));
    need("authentication.x509.clientCAFile", json!(client_ca(inputs)));
    need("authentication.anonymous.enabled", json!(false));
    need("authentication.webhook.enabled", json!(true));
    need("authorization.mode", json!("Webhook"));
    need("readOnlyPort", json!(0));
    need("rotateCertificates", json!(true));
    need("healthzBindAddress", json!(HEALTHZ_ADDRESS));
    need("healthzPort", json!(HEALTHZ_PORT));
}

/// The new way: the user's values stand, and other ones than recommended are warned of.
fn propose(document: &mut Value, inputs: &KubeletInputs<'_>, warnings: &mut Vec<FieldWarning>) {
    let dns = json!([cluster_dns(inputs.service_subnet)]);
    let mut want = |path, value: Value| warnings.extend(recommend(document, KIND, path, &value));
    want("staticPodPath", json!(STATIC_PODS));
    want("clusterDNS", dns);
    if !inputs.dns_domain.is_empty() {
        want("clusterDomain", json!(inputs.dns_domain));
    }
    want("authentication.x509.clientCAFile", json!(client_ca(inputs)));
    want("authentication.anonymous.enabled", json!(false));
    want("authorization.mode", json!("Webhook"));
    want("authentication.webhook.enabled", json!(true));
    want("healthzBindAddress", json!(HEALTHZ_ADDRESS));
    want("healthzPort", json!(HEALTHZ_PORT));
    want("readOnlyPort", json!(0));
    // Whether the user set it cannot be seen in the Go type, so upstream decides alone.
    warnings.extend(impose(document, KIND, "rotateCertificates", json!(true)));
}

fn client_ca(inputs: &KubeletInputs<'_>) -> String {
    format!("{}/ca.crt", inputs.certificates_dir.trim_end_matches('/'))
}

/// The tenth address of the first service range.
fn cluster_dns(service_subnet: &str) -> String {
    let first = service_subnet.split(',').next().unwrap_or_default();
    let address = Cidr::parse(first.trim()).and_then(|range| range.nth(10));
    address.map_or_else(|| FALLBACK_DNS.to_owned(), |a| a.to_string())
}

/// Points the kubelet of this node at systemd-resolved's name servers, for a host where that service is active. A file
/// that is given stays, and so does an empty text: it tells the kubelet to do without one.
///
/// Source: app/componentconfigs/kubelet_unix.go mutateResolverConfig, v1.37.
pub fn use_systemd_resolved(document: &mut Value) -> Option<FieldWarning> {
    const PATH: &str = "resolvConf";
    let Some(given) = tree::get(document, PATH) else {
        tree::set(document, PATH, RESOLVED_CONF);
        return None;
    };
    let recommended = json!(RESOLVED_CONF);
    (*given != recommended).then(|| recommendation(KIND, PATH, &recommended, given))
}

/// The container runtime of a node, as far as the kubelet's configuration depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRuntime<'a> {
    /// Docker, with its cgroup driver if it told that.
    Docker(Option<&'a str>),
    /// Any other.
    Other,
}

/// Sets the cgroup driver in releases whose kubelet follows Docker there. Source: app/componentconfigs/kubelet.go
/// Default, v1.19 and v1.21.
pub fn follow_runtime(
    document: &mut Value,
    release: &Release,
    runtime: NodeRuntime<'_>,
) -> Option<FieldWarning> {
    const PATH: &str = "cgroupDriver";
    match (release.kubelet.cgroup_driver, runtime) {
        (CgroupDriver::OfDocker | CgroupDriver::OfDockerOrSystemd, NodeRuntime::Docker(Some(driver))) => {
            let given = tree::get_str(document, PATH).filter(|given| !given.is_empty() && *given != driver);
            let text = given.map(|given| {
                format!(
                    "the value of {PATH:?} in {KIND:?} is replaced: that of Docker is {driver}; the provided value is: {given}"
                )
            });
            tree::set(document, PATH, driver);
            text.map(|text| FieldWarning { path: PATH, text })
        }
        (CgroupDriver::OfDockerOrSystemd, NodeRuntime::Other) => {
            default_text(document, PATH, "systemd");
            None
        }
        _ => None,
    }
}

/// Where a release would choose a cgroup driver for new clusters, running kubelets keep the one that they have, which is that
/// of their container runtime: pods do not start where the two differ. The original kept it in v1.21 and chose anew in v1.22
/// (app/componentconfigs/kubelet.go).
pub(crate) fn keep_cgroup_driver(document: &mut Value, release: &Release) {
    if matches!(release.kubelet.cgroup_driver, CgroupDriver::OfDockerOrSystemd | CgroupDriver::Systemd) {
        default_text(document, "cgroupDriver", KUBELETS_CGROUP_DRIVER);
    }
}

/// The URL at which the kubelet reports its health; `None` where its port is 0, which turns that off.
///
/// # Errors
/// What is wrong with `healthzPort`: patches are not held to the form of its field.
pub fn healthz_url(document: &Value) -> Result<Option<String>, FieldProblem> {
    const PATH: &str = "healthzPort";
    let port = match tree::get(document, PATH) {
        None => HEALTHZ_PORT,
        Some(given) => given.as_u64().and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
            let (expected, found) = ("a whole number from 0 to 65535".to_owned(), describe(given));
            FieldProblem { path: PATH.to_owned(), kind: FieldProblemKind::Form { expected, found } }
        })?,
    };
    let address = tree::get_str(document, "healthzBindAddress").filter(|address| !address.is_empty());
    let host_port = join_host_port(address.unwrap_or(HEALTHZ_ADDRESS), port);
    Ok((port != 0).then(|| format!("http://{host_port}/healthz")))
}

/// Whether the kubelet is to refuse cgroups v1; absent where it decides by itself.
pub fn fail_cgroup_v1(document: &Value) -> Option<bool> {
    tree::get_bool(document, "failCgroupV1")
}

/// Whether the kubelet is to refuse a host with swap; its own default is yes.
pub fn fail_swap_on(document: &Value) -> bool {
    tree::get_bool(document, "failSwapOn").unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: KubeletInputs<'_> = KubeletInputs {
        service_subnet: "10.96.0.0/12",
        dns_domain: "cluster.local",
        certificates_dir: "/etc/kubernetes/pki",
    };

    fn old() -> Release {
        Release::of(&"1.13.12".parse().unwrap()).unwrap()
    }

    fn texts(warnings: Vec<FieldWarning>) -> Vec<String> {
        warnings.into_iter().map(|warning| warning.text).collect()
    }

    #[test]
    fn the_dns_address_is_the_tenth_of_the_first_range() {
        for (range, want) in [
            ("10.96.0.0/12", "10.96.0.10"),
            ("10.196.0.0/12", "10.192.0.10"),
            ("fd00:10:96::/112,10.96.0.0/12", "fd00:10:96::a"),
            ("10.96.0.0/30", FALLBACK_DNS),
            ("nonsense", FALLBACK_DNS),
        ] {
            assert_eq!(cluster_dns(range), want, "{range}");
        }
    }

    #[test]
    fn other_values_than_recommended_are_kept_and_warned_of() {
        let user = json!({
            "staticPodPath": "/srv/pods", "clusterDNS": ["169.254.20.10", "10.96.0.10"], "clusterDomain": "",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}}, "readOnlyPort": 10255,
            "rotateCertificates": false
        });
        let (config, warnings) = default_kubelet(Some(user), &INPUTS, &Release::newest());
        assert_eq!(
            texts(warnings),
            [
                "The recommended value for \"staticPodPath\" in \"KubeletConfiguration\" is: /etc/kubernetes/manifests; \
                 the provided value is: /srv/pods",
                "The recommended value for \"clusterDNS\" in \"KubeletConfiguration\" is: [10.96.0.10]; \
                 the provided value is: [169.254.20.10 10.96.0.10]",
                "The recommended value for \"authentication.anonymous.enabled\" in \"KubeletConfiguration\" is: false; \
                 the provided value is: true",
                "The recommended value for \"authentication.webhook.enabled\" in \"KubeletConfiguration\" is: true; \
                 the provided value is: false",
                "The recommended value for \"readOnlyPort\" in \"KubeletConfiguration\" is: 0; \
                 the provided value is: 10255",
                "the value of \"rotateCertificates\" in \"KubeletConfiguration\" is replaced: kubeadm needs true; \
                 the provided value is: false",
            ]
        );
        assert_eq!(tree::get_str(&config, "staticPodPath"), Some("/srv/pods"));
        assert_eq!(tree::get_str(&config, "clusterDomain"), Some("cluster.local"));
        assert_eq!(tree::get_bool(&config, "rotateCertificates"), Some(true));
    }

    #[test]
    fn old_releases_enforce_what_concerns_security() {
        let user = json!({
            "readOnlyPort": 10255, "authorization": {"mode": "AlwaysAllow"}, "healthzPort": 1,
            "nodeStatusUpdateFrequency": "20s", "evictionHard": {}
        });
        let (config, warnings) = default_kubelet(Some(user), &INPUTS, &old());
        let replaced: Vec<_> = warnings.iter().map(|warning| warning.path).collect();
        assert_eq!(replaced, ["authorization.mode", "readOnlyPort", "healthzPort"]);
        assert!(warnings[2].text.ends_with("kubeadm needs 10248; the provided value is: 1"), "{warnings:?}");
        assert_eq!(tree::get(&config, "readOnlyPort"), None);
        assert_eq!(tree::get_str(&config, "authorization.mode"), Some("Webhook"));
        assert_eq!(healthz_url(&config).unwrap().as_deref(), Some("http://127.0.0.1:10248/healthz"));
        assert_eq!(tree::get_str(&config, "nodeStatusReportFrequency"), Some("20s"));
        assert_eq!(tree::get(&config, "evictionHard"), None);
    }

    #[test]
    fn systemd_resolved_does_not_overrule_the_user() {
        let (mut config, _) = default_kubelet(None, &INPUTS, &Release::newest());
        // The second time it is there already.
        for _ in 0..2 {
            assert_eq!(use_systemd_resolved(&mut config), None);
            assert_eq!(tree::get_str(&config, "resolvConf"), Some("/run/systemd/resolve/resolv.conf"));
        }
        for given in ["/srv/resolv.conf", ""] {
            tree::set(&mut config, "resolvConf", given);
            let told = format!(
                "The recommended value for \"resolvConf\" in \"KubeletConfiguration\" is: \
                 /run/systemd/resolve/resolv.conf; the provided value is: {given}"
            );
            assert_eq!(use_systemd_resolved(&mut config).map(|warning| warning.text), Some(told));
            assert_eq!(tree::get_str(&config, "resolvConf"), Some(given));
        }
    }

    #[test]
    fn the_kubelets_health_is_where_its_configuration_says() {
        for (config, want) in [
            (json!({}), Ok(Some("http://127.0.0.1:10248/healthz"))),
            (
                json!({"healthzPort": null, "healthzBindAddress": ""}),
                Ok(Some("http://127.0.0.1:10248/healthz")),
            ),
            (json!({"healthzPort": 1, "healthzBindAddress": "::1"}), Ok(Some("http://[::1]:1/healthz"))),
            (json!({"healthzPort": 0}), Ok(None)),
            (json!({"healthzPort": 70000}), Err("number 70000")),
            (json!({"healthzPort": -1}), Err("number -1")),
            (json!({"healthzPort": "10248"}), Err("string \"10248\"")),
        ] {
            let want = want.map(|url| url.map(str::to_owned)).map_err(|found| {
                let expected = "a whole number from 0 to 65535".to_owned();
                let kind = FieldProblemKind::Form { expected, found: found.to_owned() };
                FieldProblem { path: "healthzPort".to_owned(), kind }
            });
            assert_eq!(healthz_url(&config), want, "{config}");
        }
    }
}
