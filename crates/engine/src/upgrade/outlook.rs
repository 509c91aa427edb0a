//! What the hops of a walk would change for one cluster, and what blocks them: found by looking at what the cluster keeps,
//! before anything is done.

use std::collections::BTreeSet;

use kubeadm_config::features;
use kubeadm_config::types::{Arg, LocalEtcd};
use kubeadm_release::facts::config_api::UNVERSIONED_KUBELET_CONFIG_MAP;
use kubeadm_release::facts::gone::{self, Lost, Refusal};
use kubeadm_release::facts::kubelet::{EnvFlag, is_dockershim};
use kubeadm_release::{Release, Version, skew};
use serde_json::Value;

use super::walk::{NoWalk, Walk};
use super::{UpgradeError, UpgradeSpec};
use crate::addons::corefile::{self, Verdict};
use crate::manifests::Component;
use crate::phases::upgrade::preflight::unknown_gates;
use crate::phases::upload_config::CRI_SOCKET;
use crate::phases::{PhaseError, addon};
use crate::ports::{Selector, View};
use crate::resource::NODES;
use crate::spec::{Ignored, InitSpec};
use crate::{static_pods, stored};

/// What a hop means for a cluster, besides the versions that go together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// What would make it fail.
    pub blocks: Vec<Block>,
    /// What will be done on the way, and what to know.
    pub notes: Vec<String>,
}

/// What would make a hop fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The check of `upgrade apply` that finds it too, and that can be ignored.
    pub check: Option<&'static str>,
    /// What it is, and what to do.
    pub text: String,
}

/// The check that finds what the components of a release do not start with.
pub const COMPONENT_FLAGS: &str = "ComponentFlags";
/// The check of what the DNS server reads. app/preflight: CoreDNSMigrationCheck.
pub const COREDNS_MIGRATION: &str = "CoreDNSMigration";

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
                let flags = component_flags(node, spec.upgrade_etcd, &walk.from, before);
                let check = Some(COMPONENT_FLAGS);
                found.blocks.extend(flags.into_iter().map(|text| Block { check, text }));
                found.notes.extend(gates_without_effect(node, before));
                found.notes.extend(docker(node, before, view).await?);
                ahead.configuration(node, &mut found);
                ahead.corefile(node, &mut found);
            }
            // What the release cannot express.
            Err(UpgradeError::Config(error)) => {
                found.blocks.push(Block { check: None, text: format!("kubeadm-config: {error}") });
            }
            Err(error) => return Err(error.into()),
        }
        outlooks.push(found);
        before = hop;
    }
    Ok(outlooks)
}

/// Refuses a walk that something blocks, unless the check of it is ignored.
///
/// # Errors
/// What blocks which hop.
pub fn unblocked(walk: &Walk, outlooks: Vec<Outlook>, ignored: &Ignored) -> Result<(), NoWalk> {
    let counts = |block: &Block| !block.check.is_some_and(|check| ignored.covers(check));
    let blocks: Vec<Vec<Block>> =
        outlooks.into_iter().map(|outlook| outlook.blocks.into_iter().filter(counts).collect()).collect();
    let all: Option<BTreeSet<&str>> = blocks.iter().flatten().map(|block| block.check).collect();
    let texts = blocks.into_iter().map(|blocks| blocks.into_iter().map(|block| block.text).collect());
    let blocks = walk.by_hop(texts);
    if blocks.is_empty() {
        return Ok(());
    }
    let checks = all.into_iter().flatten().collect();
    Err(NoWalk::Blocked { from: walk.from.clone(), to: Box::new(walk.to().clone()), blocks, checks })
}

/// What the components of a node's version would not start with, though those of the version before did. The configuration
/// of kubelets lies where the first version of the way put it.
pub(crate) fn component_flags(
    node: &InitSpec,
    etcd_too: bool,
    first: &Version,
    before: &Version,
) -> Vec<String> {
    let mut blocks = arguments(node, etcd_too, before);
    blocks.extend(pinned_etcd(node, etcd_too));
    blocks.extend(component_gates(node, first, before));
    blocks
}

/// Arguments of the user's own that a component does not know any more: it would not start.
///
/// Where etcd stays, its arguments stay good: where the user named its image or tag, and where it is not upgraded.
fn arguments(node: &InitSpec, etcd_too: bool, before: &Version) -> Vec<String> {
    let (cluster, hop) = (&node.cluster, &node.version);
    let own_image = |local: &LocalEtcd| !(local.image.is_empty() && local.image_tag.is_empty());
    let etcd = cluster.etcd.local.as_ref().filter(|local| etcd_too && !own_image(local));
    let all: [(Component, &str, Option<&Vec<Arg>>); 4] = [
        (Component::ApiServer, "apiServer", Some(&cluster.api_server.component.extra_args)),
        (Component::ControllerManager, "controllerManager", Some(&cluster.controller_manager.extra_args)),
        (Component::Scheduler, "scheduler", Some(&cluster.scheduler.extra_args)),
        (Component::Etcd, "etcd.local", etcd.map(|local| &local.extra_args)),
    ];
    let mut blocks = Vec::new();
    for (component, field, arguments) in all {
        let place = format!("{field}.extraArgs in the ConfigMap kube-system/kubeadm-config");
        for argument in arguments.into_iter().flatten() {
            let (component_name, Arg { name, value, .. }) = (component.name(), argument);
            if let Some(lost) = gone::flag(component_name, name, before, hop) {
                blocks.push(lost_flag(component_name, name, lost, &place));
            } else if let Some(refusal) = gone::value(component_name, name, value, before, hop) {
                blocks.push(lost_value(component_name, name, refusal, &place));
            }
            // etcd has gates of its own.
            if name == "feature-gates" && component != Component::Etcd {
                let pairs = value.split(',').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let pairs = pairs.map(|(name, value)| (name.trim(), value.trim().parse().ok()));
                blocks.extend(gates(pairs, &place, before, hop));
            }
        }
    }
    blocks
}

/// An etcd of the user's own choice that does not know what it is given, or is not asked as it answers: it would not start,
/// or be taken for dead.
fn pinned_etcd(node: &InitSpec, etcd_too: bool) -> Option<String> {
    let local = node.cluster.etcd.local.as_ref().filter(|_| etcd_too)?;
    let oldest =
        node.release.etcd.oldest.filter(|oldest| skew::etcd_tag_precedes(&local.image_tag, oldest))?;
    Some(format!(
        "etcd {}, which etcd.local.imageTag in the ConfigMap kube-system/kubeadm-config names, does not know the flags or \
         probes that etcd has in v{}: name a tag from {oldest} on, or none for {}",
        local.image_tag,
        node.version.major_minor(),
        node.release.images.etcd
    ))
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

fn lost_value(component: &str, name: &str, refusal: Refusal<'_>, place: &str) -> String {
    let Refusal { minor, etcd, part, instead } = refusal;
    let who = match etcd {
        Some(etcd) => format!("etcd 3.{etcd}, which v1.{minor} brings,"),
        None => format!("{component} of v1.{minor}"),
    };
    let instead = instead.map(|instead| format!(", or say {instead}")).unwrap_or_default();
    format!("{who} does not start with {part} in --{name}: remove it from {place}{instead}")
}

/// Gates in the configurations of kubelet and kube-proxy, and how kube-proxy works.
fn component_gates(node: &InitSpec, first: &Version, before: &Version) -> Vec<String> {
    let release = Release::of(first).unwrap_or_else(|_| node.release.clone());
    let gate = features::said(&release, &node.cluster.feature_gates, UNVERSIONED_KUBELET_CONFIG_MAP);
    let kubelet = format!("the ConfigMap kube-system/{}", release.kubelet.config_map_name(first, gate));
    let mut blocks = Vec::new();
    for (config, place) in [
        (&node.kubelet.value, kubelet.as_str()),
        (&node.kube_proxy.value, "the ConfigMap kube-system/kube-proxy"),
    ] {
        let pairs = config["featureGates"].as_object().into_iter().flatten();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_bool()));
        blocks.extend(gates(pairs, &format!("featureGates in {place}"), before, &node.version));
    }
    let mode = node.kube_proxy.value["mode"].as_str().unwrap_or_default();
    if let Some(refusal) = gone::value("kube-proxy", "proxy-mode", mode, before, &node.version) {
        let place = "mode in the ConfigMap kube-system/kube-proxy";
        blocks.push(lost_value("kube-proxy", "proxy-mode", refusal, place));
    }
    blocks
}

/// Gates with what they are set to, of which a component knows no such name or only the other value.
fn gates<'a>(
    pairs: impl Iterator<Item = (&'a str, Option<bool>)>,
    place: &str,
    before: &Version,
    hop: &Version,
) -> Vec<String> {
    let mut blocks = Vec::new();
    for (name, value) in pairs {
        if let Some(minor) = gone::gate(name, before, hop) {
            blocks
                .push(format!("there is no feature gate {name} from v1.{minor} on: remove it from {place}"));
        } else if let Some(value) = value
            && let Some(minor) = gone::locked(name, value, before, hop)
        {
            blocks.push(format!(
                "the feature gate {name} is always {} from v1.{minor} on, and nothing starts with {name}={value}: remove it from {place}",
                !value
            ));
        }
    }
    blocks
}

/// Gates of kubeadm's own that the version before had.
fn gates_without_effect(node: &InitSpec, before: &Version) -> Vec<String> {
    let Ok(release) = Release::of(before) else { return Vec::new() };
    let lost = unknown_gates(node).filter(|name| features::find(&release, name).is_some());
    lost.map(|name| format!("kubeadm's feature gate {name} has no effect from {} on", node.version)).collect()
}

/// Nodes with Docker, where kubelets do not speak to it any more.
async fn docker(node: &InitSpec, before: &Version, view: View<'_>) -> Result<Option<String>, PhaseError> {
    let speaks = |release: &Release| release.kubelet.env_flags.contains(&EnvFlag::NetworkPluginWithDocker);
    if speaks(&node.release) || !Release::of(before).is_ok_and(|release| speaks(&release)) {
        return Ok(None);
    }
    let nodes = view.api.list(NODES, "", &Selector::default()).await.map_err(|source| PhaseError::Api {
        verb: "list",
        object: "nodes".into(),
        source,
    })?;
    let docker =
        |node: &&Value| node["metadata"]["annotations"][CRI_SOCKET].as_str().is_some_and(is_dockershim);
    let names: Vec<&str> =
        nodes.iter().filter(docker).filter_map(|n| n["metadata"]["name"].as_str()).collect();
    let minor = node.version.major_minor();
    Ok((!names.is_empty()).then(|| {
        format!(
            "kubelets of v{minor} do not speak to Docker any more: before those of nodes [{}] are upgraded, they need containerd, \
             CRI-O or cri-dockerd, and --container-runtime-endpoint in /var/lib/kubelet/kubeadm-flags.env in place of --network-plugin",
            names.join(" ")
        )
    }))
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
            Verdict::Unknown(reason) => {
                let text = format!("CoreDNS will not be upgraded: {reason}");
                found.blocks.push(Block { check: Some(COREDNS_MIGRATION), text });
            }
        }
        *tag = Some(wanted);
    }
}
