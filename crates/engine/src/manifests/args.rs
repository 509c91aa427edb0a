//! Command lines: the default flags of a release with their values, and how the user's arguments meet them.

use kubeadm_config::address::join_host_port;
use kubeadm_config::authorization;
use std::net::IpAddr;

use kubeadm_config::types::{Arg, MergeMethod};
use kubeadm_release::facts::control_plane::{AUDITING, ArgumentOrder, AuthorizationModes, Flag, Value};
use kubeadm_release::facts::etcd::ETCD_3_6;
use kubeadm_release::skew;

use super::Component;
use crate::etcd::CLIENT_PORT;
use crate::spec::{InitSpec, KUBERNETES};

/// The default flags of a release with their values.
pub(super) fn defaults(spec: &InitSpec, flags: &[Flag], loopback: &str) -> Vec<(String, String)> {
    let resolved = |flag: &Flag| Some((flag.name.to_owned(), resolve(spec, flag.value, loopback)?));
    flags.iter().filter_map(resolved).collect()
}

/// The command of a component: its name, then its arguments.
pub(super) fn command(
    spec: &InitSpec,
    component: Component,
    defaults: Vec<(String, String)>,
    extra: &[Arg],
) -> Vec<String> {
    let mut command = vec![component.name().to_owned()];
    command.extend(flags(defaults, extra, spec.release.control_plane.frame.arguments));
    command
}

/// `--name=value` of each argument, once the user's are laid over the defaults.
pub(crate) fn flags(defaults: Vec<(String, String)>, extra: &[Arg], order: ArgumentOrder) -> Vec<String> {
    let merged = merge(defaults, extra, order);
    merged.into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

/// The value of the last argument of a name, the one that counts.
pub(super) fn last<'a>(args: &'a [Arg], name: &str) -> Option<&'a str> {
    args.iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
}

/// The port that a component listens on. Upstream asks at the usual one whatever the arguments say (quirk 26), and so
/// the kubelet restarts a component of another port for ever.
pub(super) fn port(args: &[Arg], flag: &str, usual: u16) -> u16 {
    last(args, flag).and_then(|text| text.parse().ok()).filter(|port| *port != 0).unwrap_or(usual)
}

/// The user's arguments of the API server, with the authorization modes among them where the release puts them there.
pub(super) fn apiserver_extra(spec: &InitSpec) -> Vec<Arg> {
    let given = &spec.cluster.api_server.component.extra_args;
    match spec.release.control_plane.authorization {
        AuthorizationModes::UsersOrDefault => given.clone(),
        AuthorizationModes::Merged => {
            let modes = authorization::modes(&spec.release, last(given, authorization::ARGUMENT));
            let mut args: Vec<Arg> =
                given.iter().filter(|a| a.name != authorization::ARGUMENT).cloned().collect();
            args.push(Arg::new(authorization::ARGUMENT, modes));
            args
        }
    }
}

/// Lays the user's arguments over the defaults.
///
/// An argument replaces the default of its name; one that is to be appended or prepended is glued to the default in
/// its place, and vanishes where there is no default. Of several with one name, the last decides how.
fn merge(mut defaults: Vec<(String, String)>, extra: &[Arg], order: ArgumentOrder) -> Vec<(String, String)> {
    defaults.retain_mut(|(name, value)| match extra.iter().rev().find(|arg| arg.name == *name) {
        None => true,
        Some(Arg { merge: MergeMethod::Append, value: text, .. }) => {
            value.push_str(text);
            true
        }
        Some(Arg { merge: MergeMethod::Prepend, value: text, .. }) => {
            value.insert_str(0, text);
            true
        }
        Some(_) => false,
    });
    defaults.sort();
    let mut overrides: Vec<(String, String)> = extra
        .iter()
        .filter(|arg| !matches!(arg.merge, MergeMethod::Append | MergeMethod::Prepend))
        .map(|arg| (arg.name.clone(), arg.value.clone()))
        .collect();
    match order {
        ArgumentOrder::OverridesFirst => {
            overrides.sort_by(|a, b| a.0.cmp(&b.0));
            overrides.extend(defaults);
            overrides
        }
        ArgumentOrder::Sorted => {
            defaults.extend(overrides);
            defaults.sort_by(|a, b| a.0.cmp(&b.0));
            defaults
        }
        ArgumentOrder::DefaultsFirst => {
            defaults.extend(overrides);
            defaults
        }
    }
}

/// The value of a default flag; `None` where the flag is left out.
fn resolve(spec: &InitSpec, value: Value, loopback: &str) -> Option<String> {
    let cluster = &spec.cluster;
    let pki = |file: &str| spec.layout.pki_file(file).display().to_string();
    let advertise = |port| format!("https://{}", join_host_port(&spec.advertise_address.to_string(), port));
    let local = |port| format!("https://{}", join_host_port(loopback, port));
    let pods = || Some(&cluster.networking.pod_subnet).filter(|subnet| !subnet.is_empty());
    let etcd_3_6 = || skew::etcd_tag_reaches(spec.images().etcd_tag(), ETCD_3_6);
    let external = cluster.etcd.external.as_ref();
    let external_pair = external.filter(|etcd| !etcd.cert_file.is_empty() && !etcd.key_file.is_empty());
    let text = match value {
        Value::Text(text) => text.to_owned(),
        Value::Pki(file) => pki(file),
        Value::Kubeconfig(file) => format!("{KUBERNETES}/{file}"),
        Value::AdvertiseAddress => spec.advertise_address.to_string(),
        Value::BindPort => spec.bind_port().to_string(),
        Value::ServiceSubnet => cluster.networking.service_subnet.clone(),
        Value::ClusterName => cluster.cluster_name.clone(),
        Value::ServiceAccountIssuer => {
            format!("https://kubernetes.default.svc.{}", cluster.networking.dns_domain)
        }
        Value::SigningPki(_) if spec.external_ca => String::new(),
        Value::SigningPki(file) => pki(file),
        Value::WithPodSubnet(text) => pods().map(|_| text.to_owned())?,
        Value::PodSubnet => pods()?.clone(),
        Value::ServiceSubnetWithPodSubnet => pods().map(|_| cluster.networking.service_subnet.clone())?,
        Value::NodeCidrMaskSize => node_mask(pods()?).to_string(),
        Value::NodeCidrMaskSizeWithout(gate) => node_mask(pods().filter(|_| !spec.gate(gate))?).to_string(),
        Value::NodeCidrMaskSizeOf { gate, ipv6 } => {
            let of_family = |range: &&str| range.contains(':') == ipv6;
            let ranges = pods().filter(|_| spec.gate(gate))?;
            node_mask(ranges.split(',').find(of_family)?).to_string()
        }
        Value::GateAsSet(gate) => format!("{gate}={}", cluster.feature_gates.get(gate)?),
        Value::AuthorizationMode => authorization_default(spec)?,
        Value::EtcdCa => match external {
            Some(etcd) => Some(etcd.ca_file.clone()).filter(|file| !file.is_empty())?,
            None => pki("etcd/ca.crt"),
        },
        Value::EtcdCert if external.is_some() => external_pair?.cert_file.clone(),
        Value::EtcdCert => pki("apiserver-etcd-client.crt"),
        Value::EtcdKey if external.is_some() => external_pair?.key_file.clone(),
        Value::EtcdKey => pki("apiserver-etcd-client.key"),
        Value::EtcdServers => etcd_servers(spec, local(CLIENT_PORT)),
        Value::NodeName => spec.node_name().to_owned(),
        Value::EtcdDataDir => cluster.etcd.local.as_ref()?.data_dir.clone(),
        Value::AdvertiseUrl(port) => advertise(port),
        Value::LoopbackUrl(port) => local(port),
        Value::PlainLoopbackUrl(port) => format!("http://{}", join_host_port(loopback, port)),
        Value::LoopbackAndAdvertiseUrl(port) => format!("{},{}", local(port), advertise(port)),
        Value::FromEtcd36(text) => etcd_3_6().then(|| text.to_owned())?,
        Value::BeforeEtcd36(text) => (!etcd_3_6()).then(|| text.to_owned())?,
        Value::WithGate { gate, text } => spec.gate(gate).then(|| text.to_owned())?,
        Value::AuditLogMaxAge => {
            spec.gate(AUDITING).then(|| cluster.audit_policy.log_max_age.unwrap_or_default().to_string())?
        }
        Value::InitialCluster => format!("{}={}", spec.node_name(), super::etcd::peer_url(spec, loopback)),
    };
    Some(text)
}

/// The loopback address that etcd listens at and is reached by.
pub(super) fn loopback(spec: &InitSpec) -> &'static str {
    match spec.advertise_address {
        IpAddr::V6(_) if spec.release.control_plane.etcd_ipv6_loopback => "::1",
        IpAddr::V4(_) | IpAddr::V6(_) => "127.0.0.1",
    }
}

/// `Node,RBAC`, unless a file says who is authorized, or the release passes the modes as an argument of the user's.
fn authorization_default(spec: &InitSpec) -> Option<String> {
    match spec.release.control_plane.authorization {
        AuthorizationModes::Merged => None,
        AuthorizationModes::UsersOrDefault => {
            let configured =
                last(&spec.cluster.api_server.component.extra_args, "authorization-config").is_some();
            (!configured).then(|| authorization::DEFAULT.to_owned())
        }
    }
}

fn etcd_servers(spec: &InitSpec, local: String) -> String {
    let etcd = &spec.cluster.etcd;
    if let Some(external) = &etcd.external {
        return external.endpoints.join(",");
    }
    let moved = etcd
        .local
        .as_ref()
        .and_then(|etcd| last(&etcd.extra_args, spec.release.control_plane.etcd_servers_override));
    moved.map_or(local, str::to_owned)
}

/// The prefix length of one node's share of the pod CIDR (upstream: `calcNodeCidrSize`): 24 for IPv4; for IPv6 a
/// multiple of eight that leaves room for nodes.
fn node_mask(pod_subnet: &str) -> u8 {
    let Some((address, prefix)) = pod_subnet.split_once('/') else { return 24 };
    match (address.parse(), prefix.parse::<u8>()) {
        (Ok(IpAddr::V6(_)), Ok(prefix @ 0..112)) => 128 - ((128 - prefix - 1) / 8 - 1) * 8,
        (Ok(IpAddr::V6(_)), Ok(112)) => 120,
        (Ok(IpAddr::V6(_)), Ok(prefix)) => prefix,
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_order_belongs_to_the_release() {
        let defaults = || pairs(&[("c", "1"), ("a", "1"), ("b", "1")]);
        let extra = [Arg::new("z", "2"), Arg::new("b", "2"), Arg::new("b", "3")];
        assert_eq!(
            merge(defaults(), &extra, ArgumentOrder::DefaultsFirst),
            pairs(&[("a", "1"), ("c", "1"), ("z", "2"), ("b", "2"), ("b", "3")])
        );
        assert_eq!(
            merge(defaults(), &extra, ArgumentOrder::OverridesFirst),
            pairs(&[("b", "2"), ("b", "3"), ("z", "2"), ("a", "1"), ("c", "1")])
        );
        assert_eq!(
            merge(defaults(), &extra, ArgumentOrder::Sorted),
            pairs(&[("a", "1"), ("b", "2"), ("b", "3"), ("c", "1"), ("z", "2")])
        );
    }

    #[test]
    fn glued_arguments_stay_in_place_or_vanish() {
        let glued = |name: &str, value: &str, merge| Arg { merge, ..Arg::new(name, value) };
        let extra = [
            glued("a", ",X", MergeMethod::Append),
            glued("b", "X,", MergeMethod::Prepend),
            glued("new", "X", MergeMethod::Append),
        ];
        assert_eq!(
            merge(pairs(&[("a", "1"), ("b", "1")]), &extra, ArgumentOrder::DefaultsFirst),
            pairs(&[("a", "1,X"), ("b", "X,1")])
        );
    }

    #[test]
    fn shares_of_the_pod_network() {
        for (subnet, mask) in [
            ("10.244.0.0/16", 24),
            ("not a subnet", 24),
            ("fd00::/104", 120),
            ("fd00::/103", 112),
            ("fd00::/96", 112),
            ("fd00::/95", 104),
            ("fd00::/64", 80),
            ("fd00::/48", 64),
            ("fd00::/32", 48),
            ("fd00::/112", 120),
            ("fd00::/113", 113),
            ("fd00::/128", 128),
        ] {
            assert_eq!(node_mask(subnet), mask, "{subnet}");
        }
    }
}
