//! Address ranges and names of certificates.

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::{DualStack, IPV6_DUAL_STACK};

use super::Findings;
use crate::address::{self, Cidr};
use crate::types::{ClusterConfiguration, Networking};
use crate::{features, names};

/// Fewest addresses of a service range (`constants.MinimumAddressesInServiceSubnet`).
const MIN_SERVICE_ADDRESSES: i64 = 10;
/// Fewest addresses of a pod range (`constants.MinimumAddressesInPodSubnet`).
const MIN_POD_ADDRESSES: i64 = 14;
/// Most host bits of a service range (`constants.MaximumBitsForServiceSubnet`).
const MAX_SERVICE_BITS: u8 = 20;
/// Most bits between a pod range and a node's share (`constants.PodSubnetNodeMaskMaxDiff`).
const MAX_MASK_DIFFERENCE: i64 = 16;
const UNPARSABLE: &str = "couldn't parse subnet";

pub(super) fn networking(
    x: &Networking,
    cluster: &ClusterConfiguration,
    release: &Release,
    f: &mut Findings,
) {
    for reason in names::dns_subdomain(&x.dns_domain) {
        f.invalid("networking.dnsDomain", &x.dns_domain, reason);
    }
    for (path, ranges) in
        [("networking.serviceSubnet", &x.service_subnet), ("networking.podSubnet", &x.pod_subnet)]
    {
        if ranges.contains(',') {
            two_ranges(path, ranges, cluster, release, f);
        }
    }
    if !x.service_subnet.is_empty() {
        service_size("networking.serviceSubnet", &x.service_subnet, f);
        subnets("networking.serviceSubnet", &x.service_subnet, MIN_SERVICE_ADDRESSES, f);
    }
    if !x.pod_subnet.is_empty() {
        subnets("networking.podSubnet", &x.pod_subnet, MIN_POD_ADDRESSES, f);
        if argument(cluster, "allocate-node-cidrs") != Some("false") {
            node_masks("networking.podSubnet", &x.pod_subnet, cluster, f);
        }
    }
}

/// Refuses two ranges where the release knows one only.
fn two_ranges(path: &str, text: &str, cluster: &ClusterConfiguration, release: &Release, f: &mut Findings) {
    let minor = release.minor;
    match release.config_api.dual_stack {
        DualStack::Yes => {}
        DualStack::Gated if features::enabled(release, &cluster.feature_gates, IPV6_DUAL_STACK) => {}
        DualStack::Gated => {
            let detail =
                format!("Kubernetes 1.{minor} takes two CIDRs only with the feature gate {IPV6_DUAL_STACK}");
            f.invalid(path, text, detail);
        }
        DualStack::No => f.invalid(path, text, format!("Kubernetes 1.{minor} takes one CIDR only")),
    }
}

fn parse(text: &str) -> Option<Vec<Cidr>> {
    text.split(',').map(Cidr::parse).collect()
}

fn service_size(path: &str, text: &str, f: &mut Findings) {
    let Some(blocks) = parse(text) else {
        f.invalid(path, text, UNPARSABLE);
        return;
    };
    for block in blocks.iter().filter(|block| block.width() - block.prefix > MAX_SERVICE_BITS) {
        let (width, least) = (block.width(), block.width() - MAX_SERVICE_BITS);
        let detail = format!(
            "specified service subnet is too large; for {width}-bit addresses, the mask must be >= {least}"
        );
        f.invalid(path, text, detail);
    }
}

fn subnets(path: &str, text: &str, minimum: i64, f: &mut Findings) {
    let Some(blocks) = parse(text) else {
        // A service range was already refused for the same reason; equal texts are printed once.
        f.invalid(path, text, UNPARSABLE);
        return;
    };
    let one_of_each = match blocks.as_slice() {
        [_] => true,
        [first, second] => first.is_ipv6() != second.is_ipv6(),
        _ => false,
    };
    if !one_of_each {
        let detail =
            "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family for dual-stack networking";
        f.invalid(path, text, detail);
    }
    let site_local = Cidr::parse("fec0::/10");
    for block in &blocks {
        let size = block.size();
        if size < minimum {
            let detail = format!("subnet with {size} address(es) is too small, the minimum is {minimum}");
            f.invalid(path, network(block), detail);
        }
        if site_local.is_some_and(|site_local| site_local.overlaps(block)) {
            f.warn(format!(
                "the subnet {} contains IPv6 site-local addresses that belong to fec0::/10 which has been deprecated \
                 by rfc3879",
                network(block)
            ));
        }
    }
}

/// A block as Go prints a network: with its first address.
fn network(block: &Cidr) -> String {
    let first = block.nth(0).unwrap_or(block.address);
    format!("{first}/{}", block.prefix)
}

fn node_masks(path: &str, text: &str, cluster: &ClusterConfiguration, f: &mut Findings) {
    let Some(blocks) = parse(text) else { return };
    for block in &blocks {
        let (flag, default) = match block.is_ipv6() {
            true => ("node-cidr-mask-size-ipv6", 64),
            false => ("node-cidr-mask-size-ipv4", 24),
        };
        let node: i64 = match argument(cluster, flag).filter(|value| !value.is_empty()).map(str::parse) {
            None => default,
            Some(Ok(mask)) => mask,
            Some(Err(error)) => {
                let detail = format!(
                    "could not parse the value of the kube-controller-manager flag {flag} as an integer: {error}"
                );
                f.invalid(path, network(block), detail);
                continue;
            }
        };
        let mask = i64::from(block.prefix);
        if mask > node {
            let detail = format!(
                "the size of pod subnet with mask {mask} is smaller than the size of node subnet with mask {node}"
            );
            f.invalid(path, network(block), detail);
        } else if node - mask > MAX_MASK_DIFFERENCE {
            let detail = format!(
                "pod subnet mask ({mask}) and node-mask ({node}) difference is greater than {MAX_MASK_DIFFERENCE}"
            );
            f.invalid(path, network(block), detail);
        }
    }
}

/// The last value of an argument of the controller manager.
fn argument<'a>(cluster: &'a ClusterConfiguration, name: &str) -> Option<&'a str> {
    let mut args = cluster.controller_manager.extra_args.iter().rev();
    args.find(|arg| arg.name == name).map(|arg| arg.value.as_str())
}

pub(super) fn cert_sans(path: &str, sans: &[String], f: &mut Findings) {
    for san in sans {
        let (plain, wildcard) = (names::dns_subdomain(san), names::wildcard_subdomain(san));
        if address::parse_ip(san).is_some() || plain.is_empty() || wildcard.is_empty() {
            continue;
        }
        let reasons = [plain, wildcard].concat().join("; ");
        let detail = format!(
            "altname is not a valid IP address, DNS label or a DNS label with subdomain wildcards: {reasons}"
        );
        f.invalid(path, san, detail);
    }
}
