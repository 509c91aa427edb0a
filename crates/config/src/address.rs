//! Addresses: reading them as Go does, choosing the advertise address, and `host:port` pairs.
//!
//! Sources: `k8s.io/apimachinery/pkg/util/net/interface.go`, `app/util/config/initconfiguration.go` and
//! `app/util/endpoint.go`, v1.37.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::detect::{Detect, Interface, RoutingTables};
use crate::error::Notice;
use crate::names;

/// No address to advertise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is no IP address.
    #[error("couldn't use {0:?} as \"apiserver-advertise-address\", must be ipv4 or ipv6 address")]
    NotAnAddress(String),
    /// A loopback address was given, and its interface has no other.
    #[error("unable to select an IP from lo network interface")]
    Loopback,
    /// No interface at all.
    #[error("no interfaces found on host.")]
    NoInterfaces,
    /// No interface with a usable address.
    #[error("no acceptable interface with global unicast address found on host")]
    NoAcceptableInterface,
    /// Default routes lead nowhere usable.
    #[error("unable to select an IP from default routes.")]
    DefaultRoutes,
    /// The interfaces could not be listed.
    #[error("could not list the network interfaces: {0}")]
    Interfaces(String),
    /// An address that no API server can be reached at.
    #[error("cannot use {0:?} as the bind address for the API Server")]
    NotUsable(String),
}

/// A bad `host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The port.
    #[error("hostport {hostport}: port {port} must be a valid number between 1 and 65535, inclusive")]
    Port {
        /// The whole text.
        hostport: String,
        /// Its port.
        port: String,
    },
    /// The host.
    #[error(
        "hostport {hostport}: host '{host}' must be a valid IP address or a valid RFC-1123 DNS subdomain"
    )]
    Host {
        /// The whole text.
        hostport: String,
        /// Its host.
        host: String,
    },
}

/// Reads an IP address as Go's `ParseIPSloppy`: zeros may lead an IPv4 octet, and IPv4 in IPv6 is IPv4.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = part.trim_start_matches('0');
        *octet = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address as written, host bits included.
    pub address: IpAddr,
    /// Bits of the mask.
    pub prefix: u8,
}

impl Cidr {
    /// Reads `ADDRESS/BITS` as Go's `ParseCIDRSloppy`.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = text.split_once('/')?;
        let ipv6 = address.contains(':');
        let address = match ipv6 {
            true => IpAddr::V6(address.parse().ok()?),
            false => parse_ip(address)?,
        };
        let all_digits =
            !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix: u8 = all_digits.then(|| prefix.parse().ok()).flatten()?;
        (prefix <= if ipv6 { 128 } else { 32 }).then_some(Cidr { address, prefix })
    }

    /// Whether it holds IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Bits of an address of its family.
    pub fn width(&self) -> u8 {
        if self.is_ipv6() { 128 } else { 32 }
    }

    /// How many addresses it holds, at most 2^63-1 (upstream: `RangeSize`).
    pub fn size(&self) -> i64 {
        match self.width() - self.prefix {
            bits @ 0..=62 => 1 << bits,
            _ => i64::MAX,
        }
    }

    /// Whether an address is inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix)).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - self.prefix)).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }

    /// Whether two blocks share an address.
    pub fn overlaps(&self, other: &Cidr) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The n-th address, counted from the block's first.
    pub fn nth(&self, n: u32) -> Option<IpAddr> {
        if i64::from(n) >= self.size() {
            return None;
        }
        Some(match self.address {
            IpAddr::V4(own) => {
                let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from((u32::from(own) & mask) + n))
            }
            IpAddr::V6(own) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from((u128::from(own) & mask) + u128::from(n)))
            }
        })
    }
}

/// Go's `IsGlobalUnicast`.
pub fn is_global_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            !(a.is_broadcast()
                || a.is_unspecified()
                || a.is_loopback()
                || a.is_multicast()
                || a.is_link_local())
        }
        IpAddr::V6(a) => {
            !(a.is_unspecified() || a.is_loopback() || a.is_multicast() || a.is_unicast_link_local())
        }
    }
}

/// Refuses an address that others could not reach the API server at (upstream: `VerifyAPIServerBindAddress`).
pub fn verify_bind_address(text: &str) -> Result<IpAddr, AddressError> {
    let address = parse_ip(text).ok_or_else(|| AddressError::NotAnAddress(text.to_owned()))?;
    if is_global_unicast(address) || address.is_loopback() {
        Ok(address)
    } else {
        Err(AddressError::NotUsable(text.to_owned()))
    }
}

/// Chooses the advertise address from what was configured and what the host has.
pub fn choose_advertise_address(
    configured: &str,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<IpAddr, AddressError> {
    let given = match configured {
        "" => None,
        text => Some(parse_ip(text).ok_or_else(|| AddressError::NotAnAddress(text.to_owned()))?),
    };
    match given {
        Some(address) if address.is_loopback() => {
            let interfaces = interfaces(host)?;
            let lo: Vec<&Interface> = interfaces.iter().filter(|i| i.name == "lo").collect();
            [false, true].into_iter().find_map(|ipv6| first_global(&lo, ipv6)).ok_or(AddressError::Loopback)
        }
        Some(address) if !address.is_unspecified() => Ok(address),
        unspecified => {
            let ipv6_first = matches!(unspecified, Some(IpAddr::V6(_)));
            by_default_route(ipv6_first, host, notices)
        }
    }
}

fn interfaces(host: &mut dyn Detect) -> Result<Vec<Interface>, AddressError> {
    host.interfaces().map_err(AddressError::Interfaces)
}

fn by_default_route(
    ipv6_first: bool,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<IpAddr, AddressError> {
    let tables = host.routes();
    let families = if ipv6_first { [true, false] } else { [false, true] };
    if tables.ipv4.is_none() {
        return by_scan(families, &interfaces(host)?);
    }
    let routes = default_routes(&tables);
    if routes.is_empty() {
        notices.push(Notice::warning(
            "WARNING: could not obtain a bind address for the API Server: no default routes found in \
             \"/proc/net/route\" or \"/proc/net/ipv6_route\"; using: 0.0.0.0",
        ));
        return Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    let interfaces = interfaces(host)?;
    for ipv6 in families {
        for route in routes.iter().filter(|route| route.ipv6 == ipv6) {
            let own: Vec<&Interface> =
                interfaces.iter().filter(|i| i.name == route.interface && i.up).collect();
            let loopbacks: Vec<&Interface> = interfaces.iter().filter(|i| i.loopback).collect();
            let found = first_global(&own, ipv6).or_else(|| first_global(&loopbacks, ipv6));
            if let Some(address) = found {
                return Ok(address);
            }
        }
    }
    Err(AddressError::DefaultRoutes)
}

/// Without `/proc/net/route`: the first usable address of any interface.
fn by_scan(families: [bool; 2], interfaces: &[Interface]) -> Result<IpAddr, AddressError> {
    if interfaces.is_empty() {
        return Err(AddressError::NoInterfaces);
    }
    let usable: Vec<&Interface> =
        interfaces.iter().filter(|i| i.up && !i.loopback && !i.point_to_point).collect();
    families
        .into_iter()
        .find_map(|ipv6| first_global(&usable, ipv6))
        .ok_or(AddressError::NoAcceptableInterface)
}

fn first_global(interfaces: &[&Interface], ipv6: bool) -> Option<IpAddr> {
    let mut addresses = interfaces.iter().flat_map(|i| &i.addresses);
    addresses.find(|a| a.is_ipv6() == ipv6 && is_global_unicast(**a)).copied()
}

struct Route {
    interface: String,
    ipv6: bool,
}

/// The default routes of both families, in file order.
fn default_routes(tables: &RoutingTables) -> Vec<Route> {
    let mut routes = Vec::new();
    for line in tables.ipv4.iter().flat_map(|text| text.lines().skip(1)) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // Interface, destination, gateway, flags (bit 0 up, bit 1 gateway) …, mask.
        if let [interface, "00000000", _, flags, _, _, _, "00000000", ..] = fields[..]
            && u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 3 == 3)
        {
            routes.push(Route { interface: interface.into(), ipv6: false });
        }
    }
    const NOTHING: &str = "00000000000000000000000000000000";
    for line in tables.ipv6.iter().flat_map(|text| text.lines()) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // Destination, its bits, source, its bits, gateway, metric, two counters, flags, interface.
        if let [NOTHING, "00", _, _, gateway, _, _, _, _, interface] = fields[..]
            && gateway != NOTHING
        {
            routes.push(Route { interface: interface.into(), ipv6: true });
        }
    }
    routes
}

/// Splits `host:port` as Go's `net.SplitHostPort`, with its texts.
pub fn split_host_port(text: &str) -> Result<(&str, &str), String> {
    let error = |why: &str| Err(format!("address {text}: {why}"));
    let Some(colon) = text.rfind(':') else { return error("missing port in address") };
    let (host, inner, outer) = if text.starts_with('[') {
        let Some(end) = text.find(']') else { return error("missing ']' in address") };
        if end + 1 == text.len() {
            return error("missing port in address");
        }
        if end + 1 != colon {
            let after = text.as_bytes()[end + 1];
            return error(if after == b':' {
                "too many colons in address"
            } else {
                "missing port in address"
            });
        }
        (&text[1..end], 1, end + 1)
    } else {
        let host = &text[..colon];
        if host.contains(':') {
            return error("too many colons in address");
        }
        (host, 0, 0)
    };
    if text[inner..].contains('[') {
        return error("unexpected '[' in address");
    }
    if text[outer..].contains(']') {
        return error("unexpected ']' in address");
    }
    Ok((host, &text[colon + 1..]))
}

/// Joins a host and a port, with brackets around IPv6 (Go: `net.JoinHostPort`).
pub fn join_host_port(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads `host[:port]`; the port is empty when none was given (upstream: `kubeadmutil.ParseHostPort`).
pub fn parse_endpoint(text: &str) -> Result<(&str, &str), EndpointError> {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if !port.is_empty() && parse_port(port).is_none() {
        return Err(EndpointError::Port { hostport: text.to_owned(), port: port.to_owned() });
    }
    if parse_ip(host).is_some() || names::dns_subdomain(host).is_empty() {
        return Ok((host, port));
    }
    Err(EndpointError::Host { hostport: text.to_owned(), host: host.to_owned() })
}

/// A port between 1 and 65535.
pub fn parse_port(text: &str) -> Option<u16> {
    let number: u16 = text.strip_prefix('+').unwrap_or(text).parse().ok()?;
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::FetchError;

    #[derive(Default)]
    struct Host {
        tables: RoutingTables,
        interfaces: Vec<Interface>,
    }

    impl Detect for Host {
        fn hostname(&mut self) -> Result<String, String> {
            Err("not asked".into())
        }
        fn routes(&mut self) -> RoutingTables {
            self.tables.clone()
        }
        fn interfaces(&mut self) -> Result<Vec<Interface>, String> {
            Ok(self.interfaces.clone())
        }
        fn runtime_answers(&mut self, _: &str) -> bool {
            false
        }
        fn random(&mut self, _: &mut [u8]) -> Result<(), String> {
            Err("not asked".into())
        }
        fn fetch(&mut self, _: &str) -> Result<String, FetchError> {
            Err(FetchError::Unreachable("not asked".into()))
        }
    }

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        Interface {
            name: name.into(),
            up: true,
            loopback: name == "lo",
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ..Interface::default()
        }
    }

    const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const ROUTE6: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fe800000000000000000000000000001 00000400 00000000 00000000 00000003 eth1\n";

    fn choose(text: &str, host: &mut Host) -> Result<String, AddressError> {
        choose_advertise_address(text, host, &mut Vec::new()).map(|a| a.to_string())
    }

    #[test]
    fn the_default_route_decides() {
        let mut host = Host {
            tables: RoutingTables { ipv4: Some(ROUTE.into()), ipv6: Some(ROUTE6.into()) },
            interfaces: vec![
                interface("lo", &["127.0.0.1", "::1"]),
                interface("eth0", &["169.254.1.1", "192.0.2.2"]),
                interface("eth1", &["fe80::1", "2001:db8::1"]),
            ],
        };
        assert_eq!(choose("", &mut host).unwrap(), "192.0.2.2");
        assert_eq!(choose("0.0.0.0", &mut host).unwrap(), "192.0.2.2");
        assert_eq!(choose("::", &mut host).unwrap(), "2001:db8::1");
        assert_eq!(choose("010.1.2.3", &mut host).unwrap(), "10.1.2.3");
        assert_eq!(choose("127.0.0.1", &mut host), Err(AddressError::Loopback));
        host.interfaces[0] = interface("lo", &["127.0.0.1", "203.0.113.7"]);
        assert_eq!(choose("127.0.0.1", &mut host).unwrap(), "203.0.113.7");
    }

    #[test]
    fn an_address_on_loopback_helps_an_interface_without_one() {
        let mut host = Host {
            tables: RoutingTables { ipv4: Some(ROUTE.into()), ipv6: None },
            interfaces: vec![interface("lo", &["127.0.0.1", "203.0.113.7"]), interface("eth0", &["fe80::1"])],
        };
        assert_eq!(choose("", &mut host).unwrap(), "203.0.113.7");
        host.interfaces.remove(0);
        assert_eq!(choose("", &mut host), Err(AddressError::DefaultRoutes));
    }

    #[test]
    fn without_default_route_a_warning_is_given() {
        let header = ROUTE.lines().next().unwrap().to_owned();
        let mut host = Host { tables: RoutingTables { ipv4: Some(header), ipv6: None }, interfaces: vec![] };
        let mut notices = Vec::new();
        let address = choose_advertise_address("", &mut host, &mut notices).unwrap();
        assert_eq!(address.to_string(), "0.0.0.0");
        assert!(notices[0].text.contains("no default routes found"));
        assert_eq!(verify_bind_address("0.0.0.0"), Err(AddressError::NotUsable("0.0.0.0".into())));
    }

    #[test]
    fn without_routing_table_interfaces_are_scanned() {
        let mut host = Host { interfaces: vec![interface("eth0", &["192.0.2.9"])], ..Host::default() };
        assert_eq!(choose("", &mut host).unwrap(), "192.0.2.9");
        host.interfaces[0].point_to_point = true;
        assert_eq!(choose("", &mut host), Err(AddressError::NoAcceptableInterface));
        host.interfaces.clear();
        assert_eq!(choose("", &mut host), Err(AddressError::NoInterfaces));
    }

    #[test]
    fn blocks_are_measured() {
        let block = Cidr::parse("10.96.0.0/12").unwrap();
        assert_eq!((block.size(), block.nth(10).unwrap().to_string()), (1 << 20, "10.96.0.10".into()));
        assert_eq!(Cidr::parse("fd00::/64").unwrap().size(), i64::MAX);
        assert_eq!(Cidr::parse("fd00:1::/108").unwrap().nth(1).unwrap().to_string(), "fd00:1::1");
        for text in ["10.96.0.0/33", "10.96.0.0", "10.96.0.0/", "10.0.0.0/+8", "fd00::/129", " 10.0.0.0/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
        assert!(Cidr::parse("10.0.0.0/8").unwrap().overlaps(&block));
        assert!(!Cidr::parse("0.0.0.0/0").unwrap().overlaps(&Cidr::parse("::/0").unwrap()));
    }

    #[test]
    fn endpoints_are_split_as_go_does() {
        assert_eq!(parse_endpoint("api.example.com:6443"), Ok(("api.example.com", "6443")));
        assert_eq!(parse_endpoint("[2001:db8::1]:6443"), Ok(("2001:db8::1", "6443")));
        assert_eq!(parse_endpoint("2001:db8::1"), Ok(("2001:db8::1", "")));
        assert_eq!(
            parse_endpoint("bad_host:99999").unwrap_err().to_string(),
            "hostport bad_host:99999: port 99999 must be a valid number between 1 and 65535, inclusive"
        );
        assert_eq!(
            parse_endpoint("Api").unwrap_err().to_string(),
            "hostport Api: host 'Api' must be a valid IP address or a valid RFC-1123 DNS subdomain"
        );
        assert_eq!(split_host_port("a").unwrap_err(), "address a: missing port in address");
        assert_eq!(split_host_port("[::1]x:1").unwrap_err(), "address [::1]x:1: missing port in address");
        assert_eq!(join_host_port("::1", 6443), "[::1]:6443");
    }
}
