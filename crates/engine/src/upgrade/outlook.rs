//! What the hops of a walk would change for one cluster, and what blocks them: found by looking at what the cluster keeps,
//! before anything is done.

use kubeadm_config::features;
use kubeadm_config::types::{Arg, LocalEtcd};
use kubeadm_release::facts::config_api::UNVERSIONED_KUBELET_CONFIG_MAP;
use kubeadm_release::facts::gone::{self, Lost};
use kubeadm_release::{Release, Version, skew};

use super::walk::{NoWalk, Walk};
use super::{UpgradeError, UpgradeSpec};
use crate::addons::corefile::{self, Verdict};
use crate::manifests::Component;
use crate::phases::upgrade::preflight::unknown_gates;
use crate::phases::{PhaseError, addon};
use crate::ports::View;
use crate::spec::InitSpec;
use crate::{static_pods, stored};

/// What a hop means for a cluster, besides the versions that go together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// What would make it fail.
    pub blocks: Vec<String>,
    /// What will be done on the way, and what to know.
    pub notes: Vec<String>,
}

/// Looks ahead, hop by hop.
///
/// # Errors
/// A cluster that cannot be asked.
pub async fn look(walk: &Walk, spec: &UpgradeSpec, view: View<'_>) -> Result<Vec<Outlook>, PhaseError> {
    let limit = spec.timeouts.kubernetes_api_call.to_std();
    let stored = stored::cluster(view.api, view.clock, limit).await.map_err(UpgradeError::from)?;
    let stored = kubeadm_yaml::parse_value(&stored, "kubeadm-config").unwrap_or_default();
    let mut ahead = Ahead { api: stored["apiVersion"].as_str().unwrap_or_default().to_owned(), dns: None };
    let mut outlooks = Vec::new();
    let mut before = &walk.from;
    for hop in &walk.hops {
        let mut found = Outlook::default();
        let spec = spec.towards(hop.clone());
        match spec.node(view).await {
            Ok((node, _)) => {
                if outlooks.is_empty() {
                    ahead.dns = addon::installed_corefile(node, view).await?;
                }
                arguments(node, spec.upgrade_etcd, before, hop, &mut found);
                pinned_etcd(node, spec.upgrade_etcd, &mut found);
                component_gates(node, before, hop, &mut found);
                ahead.configuration(node, &mut found);
                ahead.corefile(node, &mut found);
            }
            // What the release cannot express.
            Err(UpgradeError::Config(error)) => found.blocks.push(format!("kubeadm-config: {error}")),
            Err(error) => return Err(error.into()),
        }
        outlooks.push(found);
        before = hop;
    }
    Ok(outlooks)
}

/// Refuses a walk that something blocks.
///
/// # Errors
/// What blocks which hop.
pub fn unblocked(walk: &Walk, outlooks: Vec<Outlook>) -> Result<(), NoWalk> {
    let hops = walk.hops.iter().cloned().zip(outlooks.into_iter().map(|outlook| outlook.blocks));
    let objections: Vec<_> = hops.filter(|(_, blocks)| !blocks.is_empty()).collect();
    match objections.is_empty() {
        true => Ok(()),
        false => Err(walk.refused(objections, true)),
    }
}

/// Arguments of the user's own that a component does not know any more: it would not start.
///
/// Where etcd stays, its arguments stay good: where the user named its image or tag, and where it is not upgraded.
fn arguments(node: &InitSpec, etcd_too: bool, before: &Version, hop: &Version, found: &mut Outlook) {
    let cluster = &node.cluster;
    let own_image = |local: &LocalEtcd| !(local.image.is_empty() && local.image_tag.is_empty());
    let etcd = cluster.etcd.local.as_ref().filter(|local| etcd_too && !own_image(local));
    let all: [(Component, &str, Option<&Vec<Arg>>); 4] = [
        (Component::ApiServer, "apiServer", Some(&cluster.api_server.component.extra_args)),
        (Component::ControllerManager, "controllerManager", Some(&cluster.controller_manager.extra_args)),
        (Component::Scheduler, "scheduler", Some(&cluster.scheduler.extra_args)),
        (Component::Etcd, "etcd.local", etcd.map(|local| &local.extra_args)),
    ];
    for (component, field, arguments) in all {
        let place = format!("{field}.extraArgs in the ConfigMap kube-system/kubeadm-config");
        for argument in arguments.into_iter().flatten() {
            if let Some(lost) = gone::flag(component.name(), &argument.name, before, hop) {
                found.blocks.push(lost_flag(component.name(), &argument.name, lost, &place));
            }
            // etcd has gates of its own.
            if argument.name == "feature-gates" && component != Component::Etcd {
                let names = argument.value.split(',').filter_map(|pair| pair.split('=').next());
                gates(names, &place, before, hop, found);
            }
        }
    }
}

/// An etcd of the user's own choice that does not know the flags which it is given: it would not start.
fn pinned_etcd(node: &InitSpec, etcd_too: bool, found: &mut Outlook) {
    let Some(local) = node.cluster.etcd.local.as_ref().filter(|_| etcd_too) else { return };
    let Some(oldest) = node.release.etcd.oldest else { return };
    if skew::etcd_tag_precedes(&local.image_tag, oldest) {
        found.blocks.push(format!(
            "etcd {}, which etcd.local.imageTag in the ConfigMap kube-system/kubeadm-config names, does not know the flags \
             that etcd has in v{}: name a tag from {oldest} on, or none for {}",
            local.image_tag,
            node.version.major_minor(),
            node.release.images.etcd
        ));
    }
}

fn lost_flag(component: &str, name: &str, lost: Lost, place: &str) -> String {
    let Lost { minor, etcd, instead } = lost;
    let what = match etcd {
        // It may know the flag, and yet refuse it beside what kubeadm writes.
        Some(etcd) => format!("etcd 3.{etcd}, which v1.{minor} brings, does not start with --{name}"),
        None => format!("{component} has no flag --{name} from v1.{minor} on"),
    };
    let instead = match instead {
        None => String::new(),
        Some((other, 0)) => format!("; {other} does the same"),
        Some((other, since)) => format!("; {other} does the same from v1.{since} on"),
    };
    format!("{what}: remove it from {place}{instead}")
}

/// Gates in the configurations of kubelet and kube-proxy.
fn component_gates(node: &InitSpec, before: &Version, hop: &Version, found: &mut Outlook) {
    // The one that is there is named after the version before.
    let release = Release::of(before).unwrap_or_else(|_| node.release.clone());
    let gate = features::said(&release, &node.cluster.feature_gates, UNVERSIONED_KUBELET_CONFIG_MAP);
    let kubelet = format!("the ConfigMap kube-system/{}", release.kubelet.config_map_name(before, gate));
    for (config, place) in [
        (&node.kubelet.value, kubelet.as_str()),
        (&node.kube_proxy.value, "the ConfigMap kube-system/kube-proxy"),
    ] {
        let names = config["featureGates"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        gates(names, &format!("featureGates in {place}"), before, hop, found);
    }
    for name in unknown_gates(node) {
        found.notes.push(format!("kubeadm's feature gate {name} has no effect from {hop} on"));
    }
}

fn gates<'a>(
    names: impl Iterator<Item = &'a str>,
    place: &str,
    before: &Version,
    hop: &Version,
    found: &mut Outlook,
) {
    for name in names.map(str::trim) {
        if let Some(minor) = gone::gate(name, before, hop) {
            found
                .blocks
                .push(format!("there is no feature gate {name} from v1.{minor} on: remove it from {place}"));
        }
    }
}

/// What earlier hops will have changed.
struct Ahead {
    /// The API that `kubeadm-config` is written in.
    api: String,
    /// The Corefile, and the tag of the CoreDNS that serves by it.
    dns: Option<(String, Option<String>)>,
}

impl Ahead {
    /// `kubeadm-config` is written anew at each hop.
    fn configuration(&mut self, node: &InitSpec, found: &mut Outlook) {
        let written = node.release.config_api.written.group_version();
        if self.api != written {
            let read = node.release.config_api.read.iter().any(|api| api.group_version() == self.api);
            let why = if read { "is older than kubeadm" } else { "is not read any more by kubeadm" };
            let (minor, whose) = (node.version.major_minor(), if read { "'s" } else { "" });
            found.notes.push(format!(
                "the configuration in kubeadm-config is of {}, which {why} v{minor}{whose}: it is converted to {written}",
                self.api
            ));
        }
        self.api = written;
    }

    /// The Corefile is kept, replaced or rewritten.
    fn corefile(&mut self, node: &InitSpec, found: &mut Outlook) {
        let Some((text, tag)) = &mut self.dns else { return };
        let image = node.images().coredns();
        let wanted = static_pods::tag(&image).unwrap_or_default().to_owned();
        match corefile::judge(text, &node.cluster.networking.dns_domain, tag.as_deref(), &wanted) {
            Verdict::Retain => {}
            Verdict::Replace => {
                let facts = &node.release.addons.coredns.corefile;
                let domain = node.cluster.networking.dns_domain.clone();
                let names =
                    corefile::Names { domain, servers: corefile::RESOLV_CONF.into(), ..Default::default() };
                *text = corefile::default(facts, &names);
            }
            Verdict::Migrate(new) => {
                found.notes.push(format!(
                    "the Corefile does not fit CoreDNS {wanted}: it is rewritten, and the one of now is kept as Corefile-backup"
                ));
                *text = new;
            }
            Verdict::Unknown(reason) => found.blocks.push(format!("CoreDNS will not be upgraded: {reason}")),
        }
        *tag = Some(wanted);
    }
}
