//! `kube-controller-manager`, and what it shares with the scheduler: health served at an address of its own.

use kubeadm_config::types::ControlPlaneComponent;
use kubeadm_release::facts::control_plane::{ProbePaths, Served};
use serde_json::Value;

use super::pod::{Parts, Probes, assemble, environment};
use super::volumes::Volumes;
use super::{Component, HostFacts, args};
use crate::spec::InitSpec;

pub(super) fn pod(spec: &InitSpec, host: &HostFacts) -> Value {
    let component = Component::ControllerManager;
    let facts = &spec.release.control_plane;
    let given = &spec.cluster.controller_manager;
    assemble(
        spec,
        host,
        Parts {
            component,
            endpoint: None,
            command: args::command(
                spec,
                component,
                args::defaults(spec, &facts.controller_manager.flags, args::loopback(spec)),
                &given.extra_args,
            ),
            image: super::image(spec, component),
            probes: served(spec, &facts.controller_manager_served, facts.controller_manager.probes, given),
            requests: &[("cpu", facts.controller_manager.cpu)],
            env: environment(&spec.proxy_env, &given.extra_envs),
            volumes: Volumes::certificates(spec, host)
                .kubeconfig("controller-manager.conf")
                .flexvolume(spec, host)
                .extra(&given.extra_volumes),
        },
    )
}

/// Probes of a component at the address and port its arguments let it listen at.
pub(super) fn served(
    spec: &InitSpec,
    served: &Served,
    paths: ProbePaths,
    given: &ControlPlaneComponent,
) -> Probes {
    let host = match args::last(&given.extra_args, served.address_flag) {
        None => "127.0.0.1",
        Some("0.0.0.0" | "::") if spec.release.control_plane.wildcard_host_omitted => "",
        Some(address) => address,
    };
    Probes::Http {
        paths,
        host: host.to_owned(),
        port: super::served_port(served, given),
        scheme: served.scheme,
    }
}
