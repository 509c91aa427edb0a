//! `etcd-join`: this node's member of etcd.

use std::path::PathBuf;

use futures::future::BoxFuture;

use super::check_etcd::enter_queue;
use crate::etcd::health::{self, Needed};
use crate::etcd::{self, join::initial_cluster};
use crate::join::JoinSpec;
use crate::manifests::etcd::{advertise_url, peer_url};
use crate::manifests::{Component, HostFacts};
use crate::phases::PhaseError;
use crate::phases::control_plane::manifest;
use crate::plan::{Action, JoinEtcd, Step};
use crate::ports::View;
use crate::spec::MANIFESTS;

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (joined, mut steps) = spec.joined(view).await?;
        let node = joined.control_plane(view.files)?;
        let Some(local) = node.cluster.etcd.local.as_ref().filter(|_| node.local_etcd()) else {
            let text = "[control-plane-join] Using external etcd - no local stacked instance added";
            steps.push(Step::say(text));
            return Ok(steps);
        };
        let limit = spec.patience(spec.join.timeouts.etcd_api_call);
        let known = match joined.seen() {
            true => {
                let access = super::etcd_access(spec, joined, view).await?;
                let members = health::wait(Needed::Majority, &access, view, limit).await?;
                Some((access, members))
            }
            false => None,
        };
        let members = known.as_ref().map(|(_, members)| members.as_slice()).unwrap_or_default();
        let (name, peer_url) = (node.node_name().to_owned(), peer_url(&node, "127.0.0.1"));
        // A member that has started does not read the list again, so that it stays as it is.
        let started = members.iter().any(|m| m.started() && m.peer_urls.contains(&peer_url));
        let kept = etcd::own::read(view.files)?.filter(|_| started).and_then(|own| own.initial_cluster);
        let planned = kept.clone().unwrap_or_else(|| initial_cluster(members, &name, &peer_url));
        let host = HostFacts { initial_cluster: Some(planned.clone()), ..HostFacts::look(view.files) };
        let (before, manifest) = manifest(&node, view, Component::Etcd, host)?;
        let data_dir = PathBuf::from(&local.data_dir);
        let would =
            format!("[control-plane-join] Would ensure that {:?} directory is present", local.data_dir);
        steps.push(Step::new(Action::CreateDir { path: data_dir.clone(), mode: 0o700 }).would(would));
        steps.push(Step::new(Action::CreateDir { path: MANIFESTS.into(), mode: 0o700 }));
        steps.extend(before);
        steps.push(enter_queue(spec));
        let path = manifest.path.clone();
        let joins = match known {
            Some((access, _)) => Step::new(Action::JoinEtcd(Box::new(JoinEtcd {
                access,
                name,
                peer_url,
                client_url: advertise_url(&node, etcd::CLIENT_PORT),
                data_dir,
                manifest,
                initial_cluster: kept.is_none().then_some(planned),
                limit,
            }))),
            None => Step::new(Action::WriteFile(manifest))
                .would(format!("[etcd] Would add etcd member: {peer_url}")),
        };
        steps.push(joins.showing([path]));
        steps.push(Step::new(Action::LeaveQueue));
        Ok(steps)
    })
}
