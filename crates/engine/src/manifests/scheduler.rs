//! `kube-scheduler`.

use serde_json::Value;

use super::controller_manager::served;
use super::pod::{Parts, assemble, environment};
use super::volumes::Volumes;
use super::{Component, HostFacts, args};
use crate::spec::InitSpec;

pub(super) fn pod(spec: &InitSpec, host: &HostFacts) -> Value {
    let component = Component::Scheduler;
    let facts = &spec.release.control_plane;
    let given = &spec.cluster.scheduler;
    assemble(
        spec,
        host,
        Parts {
            component,
            endpoint: None,
            command: args::command(
                spec,
                component,
                args::defaults(spec, &facts.scheduler.flags, args::loopback(spec)),
                &given.extra_args,
            ),
            image: super::image(spec, component),
            probes: served(spec, &facts.scheduler_served, facts.scheduler.probes, given),
            requests: &[("cpu", facts.scheduler.cpu)],
            env: environment(&spec.proxy_env, &given.extra_envs),
            volumes: Volumes::default().kubeconfig("scheduler.conf").extra(&given.extra_volumes),
        },
    )
}
