//! `etcd` as a static pod: the first member of a cluster, or one more of a cluster that is there.

use kubeadm_config::address::join_host_port;
use std::net::IpAddr;

use kubeadm_config::types::LocalEtcd;
use kubeadm_release::facts::control_plane::ProbePaths;
use kubeadm_release::facts::etcd::{EtcdProbe, EtcdTopology};
use serde_json::Value;

use super::pod::{Parts, Probes, assemble, environment};
use super::volumes::Volumes;
use super::{Component, HostFacts, args};
use crate::etcd::{CLIENT_PORT, PEER_PORT};
use crate::spec::InitSpec;

/// Where a member tells at which URL it serves clients.
pub(crate) const ENDPOINT_ANNOTATION: &str = "kubeadm.kubernetes.io/etcd.advertise-client-urls";

/// The flag that lists the members. cmd/kubeadm/app/phases/etcd/local.go: getEtcdCommand, 1.37.
const INITIAL_CLUSTER: &str = "initial-cluster";

pub(super) fn pod(spec: &InitSpec, host: &HostFacts) -> Value {
    let component = Component::Etcd;
    let facts = &spec.release.etcd;
    let default = LocalEtcd::default();
    let given = spec.cluster.etcd.local.as_ref().unwrap_or(&default);
    let loopback = args::loopback(spec);
    let certificates = spec.layout.pki_file("etcd").display().to_string();
    let mut defaults = args::defaults(spec, &facts.flags, loopback);
    if let Some(members) = &host.initial_cluster {
        defaults.retain(|(name, _)| name != INITIAL_CLUSTER);
        defaults.push((INITIAL_CLUSTER.into(), members.clone()));
        defaults.push(("initial-cluster-state".into(), "existing".into()));
    }
    assemble(
        spec,
        host,
        Parts {
            component,
            endpoint: Some((ENDPOINT_ANNOTATION, advertise_url(spec, CLIENT_PORT))),
            command: args::command(spec, component, defaults, &given.extra_args),
            image: super::image(spec, component),
            probes: match facts.probe {
                EtcdProbe::Exec => Probes::Exec(exec_probe(&certificates, given)),
                EtcdProbe::Http(paths) => http_probe(paths, given, loopback, facts.metrics_port),
            },
            requests: facts.requests,
            env: environment(&[], &given.extra_envs),
            volumes: Volumes::etcd(&given.data_dir, &certificates),
        },
    )
}

pub(crate) fn advertise_url(spec: &InitSpec, port: u16) -> String {
    format!("https://{}", join_host_port(&spec.advertise_address.to_string(), port))
}

/// The URL by which the other members know this one.
pub(crate) fn peer_url(spec: &InitSpec, loopback: &str) -> String {
    match spec.release.etcd.topology {
        EtcdTopology::Loopback => format!("https://{}", join_host_port(loopback, PEER_PORT)),
        EtcdTopology::Advertised => advertise_url(spec, PEER_PORT),
    }
}

/// Reads a key with the health-check certificate, at the first address etcd listens at.
fn exec_probe(certificates: &str, etcd: &LocalEtcd) -> Vec<String> {
    let listens = args::last(&etcd.extra_args, "listen-client-urls").and_then(first_url);
    let address = match listens.as_ref().map(|url| (url.host.as_str(), url.host.parse())) {
        None => "[127.0.0.1]".to_owned(),
        Some((_, Ok(IpAddr::V4(ip)))) if ip.is_unspecified() => "[127.0.0.1]".to_owned(),
        Some((_, Ok(IpAddr::V6(ip)))) if ip.is_unspecified() => "[::1]".to_owned(),
        Some((_, Ok(ip))) => format!("[{ip}]"),
        Some((name, Err(_))) => name.to_owned(),
    };
    let read = format!(
        "ETCDCTL_API=3 etcdctl --endpoints=https://{address}:{CLIENT_PORT} --cacert={certificates}/ca.crt \
         --cert={certificates}/healthcheck-client.crt --key={certificates}/healthcheck-client.key get foo"
    );
    vec!["/bin/sh".into(), "-ec".into(), read]
}

/// Asks at the first metrics URL, by default at the loopback address.
fn http_probe(paths: ProbePaths, etcd: &LocalEtcd, loopback: &str, port: u16) -> Probes {
    let listens = args::last(&etcd.extra_args, "listen-metrics-urls").and_then(first_url);
    match listens {
        None => Probes::Http { paths, host: loopback.to_owned(), port, scheme: "HTTP" },
        Some(url) => Probes::Http {
            paths,
            host: url.host,
            port: url.port.unwrap_or(port),
            scheme: if url.scheme == "https" { "HTTPS" } else { "HTTP" },
        },
    }
}

struct Url {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// The first of a comma-separated list of URLs, if it names a host.
fn first_url(list: &str) -> Option<Url> {
    let (scheme, rest) = list.split(',').next()?.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return None;
    }
    let port = port.map(str::parse).transpose().ok()?;
    Some(Url { scheme: scheme.to_ascii_lowercase(), host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_config::types::Arg;

    fn probed(name: &str, urls: &str) -> LocalEtcd {
        LocalEtcd { extra_args: vec![Arg::new(name, urls)], ..LocalEtcd::default() }
    }

    #[test]
    fn the_metrics_address_is_followed() {
        let paths = ProbePaths { live: "/livez", ready: None, startup: None };
        for (urls, expected) in [
            ("http://0.0.0.0:9000,http://[::1]:1", ("0.0.0.0", 9000, "HTTP")),
            ("https://[2001:db8::1]:2381", ("2001:db8::1", 2381, "HTTPS")),
            ("https://etcd.example.com", ("etcd.example.com", 2381, "HTTPS")),
            ("nonsense", ("127.0.0.1", 2381, "HTTP")),
            ("http://:9000", ("127.0.0.1", 2381, "HTTP")),
            ("http://a:port", ("127.0.0.1", 2381, "HTTP")),
        ] {
            let etcd = probed("listen-metrics-urls", urls);
            let Probes::Http { host, port, scheme, .. } = http_probe(paths, &etcd, "127.0.0.1", 2381) else {
                panic!("asked by a command");
            };
            assert_eq!((host.as_str(), port, scheme), expected, "{urls}");
        }
    }

    #[test]
    fn the_client_address_is_followed() {
        for (urls, expected) in [
            ("https://0.0.0.0:2379", "https://[127.0.0.1]:2379"),
            ("https://[::]:2379", "https://[::1]:2379"),
            ("https://192.0.2.1:2379,https://127.0.0.1:2379", "https://[192.0.2.1]:2379"),
            ("https://etcd.example.com:2379", "https://etcd.example.com:2379"),
        ] {
            let command = exec_probe("/pki/etcd", &probed("listen-client-urls", urls));
            assert!(command[2].contains(&format!("--endpoints={expected} ")), "{}", command[2]);
        }
    }
}
