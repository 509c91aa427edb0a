//! An upgrade across several minors: which hops it takes, whether each may be made, and making them one after the other,
//! each only once the cluster is well after the one before.
//!
//! The original goes one minor at a time and needs another binary for each. A hop is what `upgrade apply` does for its
//! version. A walk that was interrupted stands where the cluster's stored configuration says: what comes before that has
//! been done, and the next hop converges whatever was left of it.

use std::fmt::Write as _;

use kubeadm_release::{Version, skew};

use super::policy::{self, Objections, Policy};
use super::versions::{ByVersion, ClusterState, StateError};
use super::{UpgradeSpec, wellness};
use crate::phase::Selection;
use crate::phases::PhaseError;
use crate::phases::upgrade::APPLY;
use crate::phases::upgrade::preflight::{QUESTION, pull};
use crate::plan::{Action, Step};
use crate::ports::Effects;
use crate::run::{self, Executor, RunError};

/// The versions that an upgrade goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The version that the cluster's configuration names.
    pub from: Version,
    /// The versions after it, one of each minor; the last is where the walk ends. Never empty.
    pub hops: Vec<Version>,
}

/// Why there is no walk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWalk {
    /// It would go down.
    #[error("the cluster is at {from} already, and upgrades across minors go up only: {to} is older")]
    Down {
        /// The version of the cluster.
        from: Version,
        /// The version asked for.
        to: Box<Version>,
    },
    /// A minor on the way has no version.
    #[error(
        "the way from {from} to {to} goes through v{minor}, and its version is not known: name one too, such as --through v{minor}.N,{to}"
    )]
    Unnamed {
        /// The version of the cluster.
        from: Version,
        /// Where the walk ends.
        to: Box<Version>,
        /// The minor.
        minor: String,
    },
    /// API servers have been left behind.
    #[error(
        "the cluster is at {version}, but the API servers of nodes [{}] are not: run `kubeadm upgrade node` there, then this command again", nodes.join(" ")
    )]
    Behind {
        /// The version of the cluster.
        version: Version,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// A hop would not be allowed.
    #[error("the way from {from} to {to} cannot be gone, and nothing was changed:\n\n{}{}", each(objections), if *forceable { "\nCan be bypassed if you pass the --force flag" } else { "" })]
    Objections {
        /// The version of the cluster.
        from: Version,
        /// Where the walk would end.
        to: Box<Version>,
        /// What is against which hop.
        objections: Vec<(Version, Vec<String>)>,
        /// Whether `--force` helps.
        forceable: bool,
    },
    /// A hop would fail.
    #[error(
        "the way from {from} to {to} cannot be gone, and nothing was changed:\n\n{}{}",
        each(blocks),
        against(checks)
    )]
    Blocked {
        /// The version of the cluster.
        from: Version,
        /// Where the walk would end.
        to: Box<Version>,
        /// What is in the way of which hop.
        blocks: Vec<(Version, Vec<String>)>,
        /// The checks that find these, where all of them can be ignored.
        checks: Vec<&'static str>,
    },
}

fn against(checks: &[&str]) -> String {
    match checks.is_empty() {
        true => String::new(),
        false => format!("\nTo go it all the same, pass --ignore-preflight-errors={}", checks.join(",")),
    }
}

fn each(objections: &[(Version, Vec<String>)]) -> String {
    objections.iter().map(|(hop, texts)| format!("{hop}:\n{}", policy::list(texts))).collect()
}

/// Why a walk stopped.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// What there is in the cluster is not known.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing was changed: the user did not want it, or an image of a hop is not to be had.
    #[error(transparent)]
    Before(Box<PhaseError>),
    /// A hop failed.
    #[error("{from} to {to}: {source}")]
    Hop {
        /// The version before it.
        from: Version,
        /// Its version.
        to: Box<Version>,
        /// What happened.
        source: Box<RunError>,
    },
    /// The cluster is not well after a hop.
    #[error("the cluster was upgraded to {version} and is not well after {waited}: {}", findings.join("; "))]
    Unwell {
        /// The version of the hop.
        version: Version,
        /// How long it was waited for.
        waited: String,
        /// What is wrong.
        findings: Vec<String>,
    },
    /// Kubelets have to follow before the next hop.
    #[error(
        "the cluster was upgraded to {version}, and {next} has to wait: the kubelets of nodes [{}] are too old for it; \
         upgrade them to v{} (`kubeadm upgrade node` and the new kubelet on each), or pass --force", nodes.join(" "), version.major_minor()
    )]
    Kubelets {
        /// The version of the hop.
        version: Version,
        /// That of the next one.
        next: Box<Version>,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// Other control-plane nodes have to follow before the next hop.
    #[error(
        "this node was upgraded to {version}; the API servers of nodes [{}] have to follow before the next hop: run `kubeadm upgrade node` there", nodes.join(" ")
    )]
    Others {
        /// The version of the hop.
        version: Version,
        /// The nodes.
        nodes: Vec<String>,
    },
}

impl Walk {
    /// The walk from a version to another. Where more than one minor lies between, `between` names versions of them; those
    /// that the cluster has passed are left out, so that a walk can be taken up again with the same words.
    ///
    /// # Errors
    /// See [`NoWalk`].
    pub fn new(from: Version, between: &[Version], to: Version) -> Result<Self, NoWalk> {
        if skew::upgrade_step(&from, &to) < 0 {
            return Err(NoWalk::Down { from, to: Box::new(to) });
        }
        let mut hops = Vec::new();
        if !skew::same_minor(&from, &to) {
            // A later patch of the minor that the cluster has, where one was named.
            let later = |v: &&Version| skew::same_minor(v, &from) && skew::precedes(&from, v);
            hops.extend(between.iter().find(later).cloned());
        }
        for minor in skew::minors_between(&from, &to) {
            let named = std::iter::once(&to).chain(between).find(|stop| skew::same_minor(stop, &minor));
            match named {
                Some(stop) => hops.push(stop.clone()),
                None => {
                    let (to, minor) = (Box::new(to), minor.major_minor());
                    return Err(NoWalk::Unnamed { from, to, minor });
                }
            }
        }
        if hops.is_empty() {
            hops.push(to);
        }
        Ok(Self { from, hops })
    }

    /// Where it ends.
    pub fn to(&self) -> &Version {
        self.hops.last().unwrap_or(&self.from)
    }

    /// What is against each hop: the kubelets stay as they are, and everything else follows hop by hop.
    pub fn judge(&self, state: &ClusterState, kubeadm: &Version, policy: Policy) -> Vec<Objections> {
        let mut state = state.clone();
        let mut found = Vec::new();
        for hop in &self.hops {
            found.push(policy::judge(hop, &state, kubeadm, policy));
            let nodes = state.of(API_SERVER).into_values().flatten().collect();
            state.components.insert(API_SERVER.into(), ByVersion::from([(hop.to_string(), nodes)]));
        }
        found
    }

    /// Whether it may be begun, and what is to be said then: what `--force` overrules, or before which hop it is going to stop
    /// for kubelets, which nobody but their nodes can upgrade.
    ///
    /// # Errors
    /// See [`NoWalk`].
    pub fn allowed(
        &self,
        state: &ClusterState,
        kubeadm: &Version,
        policy: Policy,
    ) -> Result<Option<String>, NoWalk> {
        let nodes = left_behind(state, &self.from);
        if self.hops[0] != self.from && !nodes.is_empty() {
            return Err(NoWalk::Behind { version: self.from.clone(), nodes });
        }
        let mut judged = self.judge(state, kubeadm, policy);
        let forceable = judged.iter().all(|found| found.fatal.is_empty());
        let mut stop = None;
        if !policy.force {
            for (hop, found) in self.hops.iter().zip(&mut judged).skip(1) {
                let objection = found.old_kubelets.take();
                stop = stop.or_else(|| Some((hop, objection?)));
            }
        }
        let wanted =
            judged.into_iter().map(|found| if forceable { found.all_forceable() } else { found.fatal });
        let objections = self.by_hop(wanted);
        match objections.is_empty() {
            true => Ok(stop.map(|(hop, objection)| {
                format!("[upgrade] It stops before {hop}, unless kubelets follow until then. {objection}")
            })),
            false if forceable && policy.force => {
                Ok(Some(format!("[upgrade] Overruled by the --force flag:\n\n{}", each(&objections))))
            }
            false => {
                let (from, to) = (self.from.clone(), Box::new(self.to().clone()));
                Err(NoWalk::Objections { from, to, objections, forceable })
            }
        }
    }

    /// What there is for each hop, without those that have nothing.
    pub(super) fn by_hop(&self, texts: impl Iterator<Item = Vec<String>>) -> Vec<(Version, Vec<String>)> {
        self.hops.iter().cloned().zip(texts).filter(|(_, texts)| !texts.is_empty()).collect()
    }

    /// What is said before it begins.
    pub fn announcement(&self) -> String {
        let mut text = format!("[upgrade] The way from {} to {}:", self.from, self.to());
        for (at, hop) in self.hops.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n\t{}. {hop}", at + 1);
        }
        text
    }

    /// Makes its hops, one after the other. The user is asked once, where that is wanted.
    ///
    /// # Errors
    /// See [`WalkError`].
    pub async fn run(&self, spec: &UpgradeSpec, skip: &[String], effects: &Effects) -> Result<(), WalkError> {
        let single = self.hops.len() == 1;
        if !single {
            self.prepare(spec, effects).await.map_err(|error| WalkError::Before(Box::new(error)))?;
        }
        let mut from = &self.from;
        for (at, hop) in self.hops.iter().enumerate() {
            effects.output.say(&format!(
                "\n[upgrade] Hop {} of {}: {from} to {hop}",
                at + 1,
                self.hops.len()
            ));
            let spec = UpgradeSpec { interactive: spec.interactive && single, ..spec.towards(hop.clone()) };
            let context = spec.context();
            let selection = Selection::Skip(skip.to_vec());
            let failed =
                |e| WalkError::Hop { from: from.clone(), to: Box::new(hop.clone()), source: Box::new(e) };
            run::run(APPLY, &selection, &spec, &context, effects).await.map_err(failed)?;
            let executor = Executor::new(&context, effects);
            let limit = spec.timeouts.upgrade_manifests;
            effects.output.say(&format!(
                "[upgrade] Waiting until the cluster is well at {hop}. This can take up to {limit}"
            ));
            wellness::settled(&spec, hop, executor.view()).await?;
            effects.output.say(&format!(
                "[upgrade] SUCCESS! A control plane node of your cluster was upgraded to \"{hop}\"."
            ));
            from = hop;
            if let Some(next) = self.hops.get(at + 1) {
                may_go_on(&spec, hop, next, &ClusterState::look(executor.view().api).await?)?;
            }
        }
        Ok(())
    }

    /// Asks the user, and pulls the images of all hops: what is missing is found before the first.
    async fn prepare(&self, spec: &UpgradeSpec, effects: &Effects) -> Result<(), PhaseError> {
        let context = spec.context();
        let executor = Executor::new(&context, effects);
        let mut images: Vec<String> = Vec::new();
        for hop in &self.hops {
            let spec = spec.towards(hop.clone());
            let (node, _) = spec.node(executor.view()).await?;
            let more = node.images().list().into_iter().filter(|image| !images.contains(image));
            images.extend(more.collect::<Vec<_>>());
        }
        let question = spec.interactive.then(|| Step::new(Action::Confirm(QUESTION.into())));
        let pull = pull(spec, images).map(|pull| {
            Step::new(Action::PullImages(pull)).saying("[upgrade] Pulling the images of all hops")
        });
        Ok(executor.all(question.into_iter().chain(pull).collect()).await?)
    }
}

pub(super) const API_SERVER: &str = "kube-apiserver";

/// Nodes whose API servers are of an earlier version. One whose image does not tell its version is not counted.
fn left_behind(state: &ClusterState, version: &Version) -> Vec<String> {
    let earlier = |text: &str| text.parse().is_ok_and(|v| skew::precedes(&v, version));
    let found = state.of(API_SERVER).into_iter().filter(|(text, _)| earlier(text));
    found.flat_map(|(_, nodes)| nodes).collect()
}

/// Whether the next hop may follow: what is not this node's has to come along.
fn may_go_on(
    spec: &UpgradeSpec,
    hop: &Version,
    next: &Version,
    state: &ClusterState,
) -> Result<(), WalkError> {
    let version = hop.clone();
    let nodes = left_behind(state, hop);
    if !nodes.is_empty() {
        return Err(WalkError::Others { version, nodes });
    }
    let too_old = |text: &str| text.parse().is_ok_and(|v| skew::kubelet_left_behind(&v, next));
    let kubelets = state.kubelets.iter().filter(|(text, _)| !spec.policy.force && too_old(text));
    let nodes: Vec<String> = kubelets.flat_map(|(_, nodes)| nodes).cloned().collect();
    match nodes.is_empty() {
        true => Ok(()),
        false => Err(WalkError::Kubelets { version, next: Box::new(next.clone()), nodes }),
    }
}

/// What runs in a cluster, and the version that its configuration names.
///
/// # Errors
/// A cluster that cannot be asked, or a version whose facts this build does not have.
pub async fn look(
    spec: &UpgradeSpec,
    executor: &Executor<'_>,
) -> Result<(Version, ClusterState), PhaseError> {
    let (node, steps) = spec.node(executor.view()).await?;
    executor.all(steps).await?;
    Ok((node.version.clone(), ClusterState::look(executor.view().api).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn walk(from: &str, stops: &[&str]) -> Result<Vec<String>, NoWalk> {
        let (to, between) = stops.split_last().unwrap();
        let between: Vec<Version> = between.iter().map(|stop| v(stop)).collect();
        Ok(Walk::new(v(from), &between, v(to))?.hops.iter().map(Version::bare).collect())
    }

    fn state(servers: &[(&str, &str)], kubelets: &[&str]) -> ClusterState {
        let mut state = ClusterState::default();
        for (version, node) in servers {
            let found = state.components.entry(API_SERVER.into()).or_default();
            found.entry((*version).into()).or_default().push((*node).into());
        }
        state.kubelets = kubelets.iter().map(|v| ((*v).to_owned(), vec!["cp1".to_owned()])).collect();
        state
    }

    #[test]
    fn a_walk_has_one_version_of_each_minor() {
        assert_eq!(walk("1.34.4", &["1.35.4", "1.36.3", "1.37.2"]).unwrap(), ["1.35.4", "1.36.3", "1.37.2"]);
        assert_eq!(walk("1.36.3", &["1.37.2"]).unwrap(), ["1.37.2"]);
        // Where it stands now, after what it has passed.
        assert_eq!(walk("1.36.3", &["1.35.4", "1.36.3", "1.37.2"]).unwrap(), ["1.37.2"]);
        assert_eq!(walk("1.36.1", &["1.35.4", "1.36.3", "1.37.2"]).unwrap(), ["1.36.3", "1.37.2"]);
        // At its end it converges; within a minor it may go down as an upgrade may.
        assert_eq!(walk("1.37.2", &["1.36.3", "1.37.2"]).unwrap(), ["1.37.2"]);
        assert_eq!(walk("1.37.2", &["1.37.1"]).unwrap(), ["1.37.1"]);
    }

    #[test]
    fn what_is_no_way_is_refused() {
        assert_eq!(
            walk("1.37.2", &["1.36.3"]),
            Err(NoWalk::Down { from: v("1.37.2"), to: Box::new(v("1.36.3")) })
        );
        let error = walk("1.34.4", &["1.36.3", "1.37.2"]).unwrap_err().to_string();
        assert!(
            error.contains("goes through v1.35") && error.contains("--through v1.35.N,v1.37.2"),
            "{error}"
        );
    }

    #[test]
    fn kubelets_that_a_later_hop_leaves_behind_are_found_before_the_first() {
        let walk = Walk::new(v("1.34.4"), &[v("1.35.4"), v("1.36.3")], v("1.37.2")).unwrap();
        let plain = Policy::default();
        let allowed = |kubelets: &[&str], policy| {
            walk.allowed(&state(&[("v1.34.4", "cp1")], kubelets), &v("1.37.2"), policy)
        };
        assert_eq!(allowed(&["v1.34.4"], plain), Ok(None));
        let said = allowed(&["v1.32.1", "v1.34.4"], plain).unwrap().unwrap();
        assert!(
            said.contains("stops before v1.36.3")
                && said.contains("too old that have these versions [v1.32.1]"),
            "{said}"
        );
        let error = allowed(&["v1.31.1"], plain).unwrap_err().to_string();
        assert!(
            error.contains("v1.35.4:\n\t- There are kubelets in this cluster that are too old")
                && !error.contains("v1.36.3:")
                && error.contains("--force"),
            "{error}"
        );
        let said = allowed(&["v1.32.1"], Policy { force: true, ..plain }).unwrap().unwrap();
        assert!(said.contains("v1.36.3:\n\t- There are kubelets") && said.contains("v1.37.2:"), "{said}");
        let older =
            walk.allowed(&state(&[("v1.34.4", "cp1")], &[]), &v("1.36.9"), Policy { force: true, ..plain });
        assert!(matches!(older, Err(NoWalk::Objections { forceable: false, .. })), "{older:?}");
    }

    #[test]
    fn no_api_server_may_be_left_behind() {
        let walk = Walk::new(v("1.36.3"), &[], v("1.37.2")).unwrap();
        let mixed = state(&[("v1.35.4", "cp2"), ("v1.36.3", "cp1")], &[]);
        let error = walk.allowed(&mixed, &v("1.37.2"), Policy::default()).unwrap_err();
        assert_eq!(error, NoWalk::Behind { version: v("1.36.3"), nodes: vec!["cp2".into()] });
        // One that is ahead is what an interrupted hop leaves.
        let ahead = state(&[("v1.37.2", "cp1")], &[]);
        assert_eq!(walk.allowed(&ahead, &v("1.37.2"), Policy::default()), Ok(None));
    }
}
