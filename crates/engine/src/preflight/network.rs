//! Checks of ports, names, proxies and forwarding.

use std::net::SocketAddr;

use kubeadm_config::address::{Cidr, join_host_port, parse_ip};
use kubeadm_config::types::Arg;

use super::Outcome;
use super::own::Own;
use crate::ports::{ListenError, View};
use crate::spec::InitSpec;

/// The kubelet's own port. cmd/kubeadm/app/constants: KubeletPort.
pub(super) const KUBELET_PORT: u16 = 10250;
/// All addresses.
pub(super) const ANY: &str = "0.0.0.0";
pub(super) const IPV4_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
pub(super) const IPV6_FORWARD: &str = "/proc/sys/net/ipv6/conf/default/forwarding";

/// A port of a component, at the address it will listen on where the release looks there.
pub(super) fn component_port(spec: &InitSpec, view: View<'_>, port: u16, component: &'static str) -> Outcome {
    let cluster = &spec.cluster;
    let extra: &[Arg] = match component {
        "kube-apiserver" => &cluster.api_server.component.extra_args,
        "kube-controller-manager" => &cluster.controller_manager.extra_args,
        _ => &cluster.scheduler.extra_args,
    };
    let bind = extra.iter().rev().find(|a| a.name == "bind-address").map(|a| a.value.clone());
    let address = bind.filter(|_| spec.release.preflight.ports_at_address).unwrap_or_else(|| ANY.into());
    port_open(view, &address, port, component, Own::look(spec, view).component(component))
}

/// Whether a port can be listened on. `ours` says that an earlier run of ours may hold it.
pub(super) fn port_open(view: View<'_>, address: &str, port: u16, component: &str, ours: bool) -> Outcome {
    let Some(ip) = parse_ip(address) else {
        return Outcome::error(format!("cannot listen on {address:?}: it is not an IP address"));
    };
    match view.net.can_listen(SocketAddr::new(ip, port)) {
        Ok(()) => Outcome::good(),
        // The owner is asked for: a stranger on our port is an error however much of ours is there.
        Err(ListenError::InUse { owner })
            if ours && owner.as_deref().is_none_or(|o| is_process_of(o, component)) =>
        {
            Outcome::good()
        }
        Err(ListenError::InUse { owner }) => {
            let by = owner.map(|o| format!(" by {o}")).unwrap_or_default();
            Outcome::error(format!("Port {port} is in use{by}"))
        }
        // Upstream calls each of these "in use" (quirk 10).
        Err(error) => Outcome::error(format!("cannot listen on {}: {error}", join_host_port(address, port))),
    }
}

/// Whether the owner of a port, `name (process 7)`, is a component's process. The kernel keeps 15 bytes of a name;
/// the image for all components of old has one program.
fn is_process_of(owner: &str, component: &str) -> bool {
    let name = owner.split_whitespace().next().unwrap_or_default();
    name == component.get(..15).unwrap_or(component) || name == "hyperkube"
}

/// Whether an API server's host is reached through a proxy.
pub(super) fn proxy(host: &str, view: View<'_>) -> Outcome {
    let url = match host.contains(':') {
        // An IPv6 address. The port is upstream's.
        true => format!("https://{}", join_host_port(host, 1234)),
        false => format!("https://{host}"),
    };
    match view.net.proxy_for(&url) {
        None => Outcome::good(),
        Some(proxy) => Outcome::warning(format!(
            "Connection to {url:?} uses proxy {proxy:?}. If that is not intended, adjust your proxy settings"
        )),
    }
}

pub(super) fn proxy_cidr(cidr: &str, view: View<'_>) -> Outcome {
    let Some(block) = Cidr::parse(cidr) else {
        return Outcome::error(format!("error parsing CIDR {cidr:?}: invalid CIDR address: {cidr}"));
    };
    let Some(first) = block.nth(1) else {
        return Outcome::error(format!(
            "unable to get first IP address from the given CIDR ({cidr}): it has only one address"
        ));
    };
    let url = format!("https://{}/", join_host_port(&first.to_string(), 1234));
    match view.net.proxy_for(&url) {
        None => Outcome::good(),
        Some(proxy) => Outcome::warning(format!(
            "connection to {cidr:?} uses proxy {proxy:?}. This may lead to malfunctional cluster setup. Make sure that Pod and Services IP ranges specified correctly as exceptions in proxy configuration"
        )),
    }
}

/// Address families in use, `true` for IPv6: those of the service and pod CIDRs and of the advertise address.
pub(super) fn families(spec: &InitSpec) -> Vec<bool> {
    let networking = &spec.cluster.networking;
    let mut families: Vec<bool> = [&networking.service_subnet, &networking.pod_subnet]
        .into_iter()
        .flat_map(|subnets| subnets.split(','))
        .filter_map(Cidr::parse)
        .map(|c| c.is_ipv6())
        .chain([spec.advertise_address.is_ipv6()])
        .collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// cmd/kubeadm/app/preflight/checks.go: HostnameCheck. Names of control-plane nodes need not resolve, hence warnings.
pub(super) async fn hostname(spec: &InitSpec, view: View<'_>) -> Outcome {
    let name = spec.node_name();
    let mut outcome = Outcome::good();
    for problem in kubeadm_config::names::dns_subdomain(name) {
        outcome.warnings.push(format!("invalid node name format {name:?}: {problem}"));
    }
    match view.net.resolve(name).await {
        Ok(addresses) if !addresses.is_empty() => {}
        Ok(_) => outcome.warnings.push(format!("hostname {name:?} could not be reached")),
        Err(error) => {
            outcome.warnings.push(format!("hostname {name:?} could not be reached"));
            outcome.warnings.push(format!("hostname {name:?}: {error}"));
        }
    }
    outcome
}
