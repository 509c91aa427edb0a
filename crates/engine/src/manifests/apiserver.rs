//! `kube-apiserver`.

use kubeadm_config::address::join_host_port;
use serde_json::Value;

use super::pod::{Parts, Probes, assemble, environment};
use super::volumes::Volumes;
use super::{Component, HostFacts, args, self_hosted};
use crate::phases::self_hosting::SELF_HOSTING;
use crate::spec::InitSpec;

/// The annotation in which an API server tells where it serves.
pub(crate) const ENDPOINT_ANNOTATION: &str =
    "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

pub(super) fn pod(spec: &InitSpec, host: &HostFacts) -> Value {
    let component = Component::ApiServer;
    let facts = &spec.release.control_plane;
    let given = &spec.cluster.api_server.component;
    let address = spec.advertise_address;
    let probed = if spec.gate(SELF_HOSTING) {
        // One DaemonSet for all masters.
        self_hosted::loopback(address.is_ipv6()).to_owned()
    } else if address.is_unspecified() && facts.wildcard_host_omitted {
        String::new()
    } else {
        address.to_string()
    };
    let extra = args::apiserver_extra(spec);
    assemble(
        spec,
        host,
        Parts {
            component,
            endpoint: Some((ENDPOINT_ANNOTATION, join_host_port(&address.to_string(), spec.bind_port()))),
            command: args::command(
                spec,
                component,
                args::defaults(spec, &facts.apiserver.flags, args::loopback(spec)),
                &extra,
            ),
            image: super::image(spec, component),
            probes: Probes::Http {
                paths: facts.apiserver.probes,
                host: probed,
                port: super::apiserver_port(spec),
                scheme: "HTTPS",
            },
            requests: &[("cpu", facts.apiserver.cpu)],
            env: environment(&spec.proxy_env, &given.extra_envs),
            volumes: Volumes::certificates(spec, host)
                .external_etcd(spec)
                .audit(spec)
                .extra(&given.extra_volumes),
        },
    )
}
