//! Collects the names and addresses a certificate is valid for. Where they come from is the caller's affair.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// Names and addresses of a certificate in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sans {
    dns_names: Vec<String>,
    ips: Vec<IpAddr>,
    rejected: Vec<String>,
}

impl Sans {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name, in lower case, without looking at it.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.dns_names.push(name.to_ascii_lowercase());
        self
    }

    /// Adds an address. An IPv4 address in IPv6 clothes is the IPv4 address.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ips.push(ip.to_canonical());
        self
    }

    /// Adds what users give: addresses, DNS names, or wildcard names. Anything else is kept aside.
    #[must_use]
    pub fn extra<S: AsRef<str>>(mut self, entries: impl IntoIterator<Item = S>) -> Self {
        for entry in entries {
            let entry = entry.as_ref();
            let lower = entry.to_ascii_lowercase();
            if let Some(ip) = address(entry) {
                self.ips.push(ip.to_canonical());
            } else if is_subdomain(lower.strip_prefix("*.").unwrap_or(&lower)) {
                self.dns_names.push(lower);
            } else {
                self.rejected.push(entry.to_owned());
            }
        }
        self
    }

    /// What [`Self::extra`] could not take. Upstream warns of each.
    pub fn rejected(&self) -> &[String] {
        &self.rejected
    }

    /// Names and addresses as they are to be written: with `distinct` the names sorted and each once, and
    /// the addresses each once in their order; else all as they came.
    pub fn finish(self, distinct: bool) -> (Vec<String>, Vec<IpAddr>) {
        if !distinct {
            return (self.dns_names, self.ips);
        }
        let names: BTreeSet<String> = self.dns_names.into_iter().collect();
        let mut seen = BTreeSet::new();
        let ips = self.ips.into_iter().filter(|ip| seen.insert(*ip)).collect();
        (names.into_iter().collect(), ips)
    }
}

/// An address as Kubernetes reads it: the parts of an IPv4 address may begin with zeros.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let parts: Option<Vec<u8>> = text
            .split('.')
            .map(|part| {
                let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| part.parse().ok()).flatten()
            })
            .collect();
        <[u8; 4]>::try_from(parts?).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
    })
}

/// A DNS-1123 subdomain.
fn is_subdomain(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= 253
        && name.split('.').all(|label| {
            let label = label.as_bytes();
            edge(label.first())
                && edge(label.last())
                && label.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn extra_entries_are_told_apart() {
        let sans = Sans::new().extra([
            "API.Example.COM",
            "*.apps.example.com",
            "198.51.100.7",
            "010.0.0.1",
            "fd00::1",
            "a_b",
            "",
            "*",
            "-x",
        ]);
        assert_eq!(sans.rejected(), ["a_b", "", "*", "-x"]);
        let (names, ips) = sans.finish(true);
        assert_eq!(names, ["*.apps.example.com", "api.example.com"]);
        assert_eq!(ips, [ip("198.51.100.7"), ip("10.0.0.1"), ip("fd00::1")]);
    }

    #[test]
    fn old_releases_keep_order_and_doubles() {
        let sans = Sans::new().dns("cp1").dns("a").dns("cp1").ip(ip("127.0.0.1")).ip(ip("::ffff:127.0.0.1"));
        let (names, ips) = sans.clone().finish(false);
        assert_eq!(names, ["cp1", "a", "cp1"]);
        assert_eq!(ips, [ip("127.0.0.1"), ip("127.0.0.1")]);
        let (names, ips) = sans.finish(true);
        assert_eq!(names, ["a", "cp1"]);
        assert_eq!(ips, [ip("127.0.0.1")]);
    }

    proptest! {
        #[test]
        fn names_come_out_sorted_and_once(given in prop::collection::vec("[a-cA-C]{1,2}", 0..12)) {
            let (names, _) = Sans::new().extra(&given).finish(true);
            prop_assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
            for name in given {
                prop_assert!(names.contains(&name.to_ascii_lowercase()));
            }
        }
    }
}
