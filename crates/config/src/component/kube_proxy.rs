//! KubeProxyConfiguration: what kubeadm sets.

use kubeadm_release::Release;
use kubeadm_release::facts::component_config;
use kubeadm_release::facts::kubelet::ConfigDefaults;
use kubeadm_yaml as tree;
use serde_json::{Value, json};

use super::{
    FieldWarning, begin, default_text, fill_defaults, impose, recommend, recommendation, write_fields,
};
use crate::address::parse_ip;

const KIND: &str = "KubeProxyConfiguration";
const IPV4_ANY: &str = "0.0.0.0";
const IPV6_ANY: &str = "::";
const KUBECONFIG: &str = "/var/lib/kube-proxy/kubeconfig.conf";

/// What kube-proxy's configuration takes from the cluster's and the node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyInputs<'a> {
    /// The API server's advertise address; its family decides the bind address.
    pub advertise_address: &'a str,
    /// `networking.podSubnet`, possibly empty.
    pub pod_subnet: &'a str,
}

/// Completes what the user wrote to the configuration stored for kube-proxy.
///
/// Source: app/componentconfigs/kubeproxy.go (v1.37), defaults.go and util/config/initconfiguration.go (v1.13).
pub fn default_kube_proxy(
    user: Option<Value>,
    inputs: &ProxyInputs<'_>,
    release: &Release,
) -> (Value, Vec<FieldWarning>) {
    let mut config = component_config::kube_proxy(release);
    let mut document = begin(user, &config);
    let mut warnings = Vec::new();
    match release.kubelet.config_defaults {
        ConfigDefaults::Filled => enforce(&mut document, inputs, &mut warnings),
        ConfigDefaults::Zero => propose(&mut document, inputs, &mut warnings),
    }
    // The advice is worth something only where the release has the mode it recommends.
    if tree::get_str(&document, "mode") == Some("ipvs") && config.fields.iter().any(|f| f.path == "nftables")
    {
        let text = format!(
            "The {KIND:?} field \"mode\" is set to \"ipvs\" which has been deprecated since version v1.35. For newer \
             Linux kernel versions, we recommend using the \"nftables\" mode, which has been GA since v1.33. For older \
             Linux kernel versions, you can use the \"iptables\" mode which is still the default one."
        );
        warnings.push(FieldWarning { path: "mode", text });
    }
    default_text(&mut document, "mode", release.addons.kube_proxy.default_mode);
    if tree::get(&document, "conntrack.max").is_some() {
        // With a maximum for all, nothing is computed per core.
        config.defaults.retain(|(path, _)| !matches!(*path, "conntrack.maxPerCore" | "conntrack.min"));
    }
    fill_defaults(&mut document, &config);
    write_fields(&mut document, &config);
    (document, warnings)
}

/// The old way: the bind address follows the node, and addresses get their ports.
fn enforce(document: &mut Value, inputs: &ProxyInputs<'_>, warnings: &mut Vec<FieldWarning>) {
    default_text(document, "clusterCIDR", inputs.pod_subnet);
    default_text(document, "clientConnection.kubeconfig", KUBECONFIG);
    let bind = json!(any_address(inputs.advertise_address));
    warnings.extend(impose(document, KIND, "bindAddress", bind));
    for (path, port) in [("healthzBindAddress", 10256), ("metricsBindAddress", 10249)] {
        let address = tree::get_str(document, path).filter(|a| !a.is_empty() && !a.contains(':'));
        if let Some(address) = address.map(|a| format!("{a}:{port}")) {
            tree::set(document, path, address);
        }
    }
}

/// The new way: the user's values stand, and other ones than recommended are warned of.
fn propose(document: &mut Value, inputs: &ProxyInputs<'_>, warnings: &mut Vec<FieldWarning>) {
    let bind = tree::get_str(document, "bindAddress").unwrap_or_default().to_owned();
    if bind.is_empty() {
        tree::set(document, "bindAddress", any_address(inputs.advertise_address));
    } else if parse_ip(&bind).is_none() {
        let text = format!("The bindAddress {bind:?} in {KIND:?} is not a valid IP address");
        warnings.push(FieldWarning { path: "bindAddress", text });
    } else if bind != IPV4_ANY && bind != IPV6_ANY {
        warnings.push(recommendation(KIND, "bindAddress", &json!(any_address(&bind)), &json!(bind)));
    }
    if !inputs.pod_subnet.is_empty() {
        warnings.extend(recommend(document, KIND, "clusterCIDR", &json!(inputs.pod_subnet)));
    }
    warnings.extend(recommend(document, KIND, "clientConnection.kubeconfig", &json!(KUBECONFIG)));
}

/// The address that stands for all of the family of the given one.
fn any_address(address: &str) -> &'static str {
    if parse_ip(address).is_some_and(|a| a.is_ipv4()) { IPV4_ANY } else { IPV6_ANY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str) -> Release {
        Release::of(&version.parse().unwrap()).unwrap()
    }

    fn warned(user: Value, version: &str) -> Vec<String> {
        let inputs = ProxyInputs { advertise_address: "192.0.2.10", pod_subnet: "10.244.0.0/16" };
        let warnings = default_kube_proxy(Some(user), &inputs, &release(version)).1;
        warnings.into_iter().map(|warning| warning.text).collect()
    }

    #[test]
    fn other_values_than_recommended_are_warned_of() {
        assert_eq!(
            warned(json!({"bindAddress": "2001:db8::1", "clusterCIDR": "10.0.0.0/8"}), "1.37.2"),
            [
                "The recommended value for \"bindAddress\" in \"KubeProxyConfiguration\" is: ::; \
                 the provided value is: 2001:db8::1",
                "The recommended value for \"clusterCIDR\" in \"KubeProxyConfiguration\" is: 10.244.0.0/16; \
                 the provided value is: 10.0.0.0/8",
            ]
        );
        assert_eq!(
            warned(json!({"bindAddress": "nonsense"}), "1.37.2"),
            ["The bindAddress \"nonsense\" in \"KubeProxyConfiguration\" is not a valid IP address"]
        );
        assert_eq!(warned(json!({"bindAddress": "::"}), "1.37.2"), Vec::<String>::new());
        assert_eq!(warned(json!({"mode": "ipvs"}), "1.37.2").len(), 1);
        assert_eq!(
            warned(json!({"mode": "ipvs", "bindAddress": "nonsense"}), "1.13.12"),
            [
                "the value of \"bindAddress\" in \"KubeProxyConfiguration\" is replaced: kubeadm needs 0.0.0.0; \
              the provided value is: nonsense"
            ]
        );
    }

    #[test]
    fn a_conntrack_maximum_replaces_what_is_computed_per_core() {
        let inputs = ProxyInputs { advertise_address: "192.0.2.10", pod_subnet: "" };
        let user = json!({"conntrack": {"max": 5}, "healthzBindAddress": "192.0.2.10"});
        let (config, _) = default_kube_proxy(Some(user), &inputs, &release("1.13.12"));
        assert_eq!(config["conntrack"]["max"], json!(5));
        assert_eq!(config["conntrack"]["maxPerCore"], Value::Null);
        assert_eq!(config["conntrack"]["min"], Value::Null);
        assert_eq!(config["healthzBindAddress"], json!("192.0.2.10:10256"));
    }
}
