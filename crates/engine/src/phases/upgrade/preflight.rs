//! `preflight` of an upgrade: the machine, the cluster and the version, then the images.
//! cmd/kubeadm/app/cmd/phases/upgrade/{apply,node}/preflight.go, 1.37.

use futures::future::BoxFuture;
use kubeadm_config::features;
use kubeadm_config::types::ImagePullPolicy;

use crate::phases::preflight::pull_step;
use crate::phases::{PhaseError, addon};
use crate::plan::{Action, Line, PullImages, Step};
use crate::ports::View;
use crate::preflight::{self, Outcome, Report, checks, upgrade};
use crate::spec::InitSpec;
use crate::upgrade::outlook::{COMPONENT_FLAGS, COREDNS_MIGRATION, component_flags};
use crate::upgrade::versions::ClusterState;
use crate::upgrade::{UpgradeSpec, policy};

/// Plans it for `upgrade apply`. Nothing is tried on the cluster before the version is known to be allowed, and the
/// question is asked last.
pub fn plan_apply<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let heading = "[upgrade/preflight] Running preflight checks";
        let (node, mut steps) = machine(spec, heading, view).await?;
        let report = cluster(spec, node, view).await?;
        steps.extend(report.steps().map_err(|report| PhaseError::Preflight(report.below(&steps)))?);
        steps.extend(removed_gates(node, "[upgrade/preflight]"));
        steps.extend(version(spec, node, &steps, view).await?);
        steps.push(Step::say("[upgrade] Running cluster health checks"));
        steps.push(upgrade::job(node, spec.ignored.covers("CreateJob"), view.clock.now(), view.api).await);
        if spec.interactive {
            steps.push(Step::new(Action::Confirm(QUESTION.into())));
        }
        let would = "[dryrun] Would pull the required images (like 'kubeadm config images pull')";
        steps.extend(images(spec, node, would));
        Ok(steps)
    })
}

/// Plans it for `upgrade node`.
pub fn plan_node<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let heading = "[upgrade/preflight] Running pre-flight checks";
        let (node, mut steps) = machine(spec, heading, view).await?;
        if spec.control_plane {
            let would =
                "[upgrade/preflight] Would pull the required images (like 'kubeadm config images pull')";
            steps.extend(images(spec, node, would));
        } else {
            steps.push(Step::say("[upgrade/preflight] Skipping prepull. Not a control plane node."));
        }
        Ok(steps)
    })
}

/// The checks of the machine; whether the user may do anything at all comes before the cluster is asked.
async fn machine<'a>(
    spec: &'a UpgradeSpec,
    heading: &str,
    view: View<'_>,
) -> Result<(&'a InitSpec, Vec<Step>), PhaseError> {
    let mut steps = vec![Step::say(heading)];
    let mut report = Report::default();
    report.add("IsPrivilegedUser", preflight::root(view), &spec.ignored);
    steps.extend(report.steps().map_err(|report| PhaseError::Preflight(report.below(&steps)))?);
    let (node, said) = spec.node(view).await?;
    steps.extend(said);
    let found = preflight::run(&checks::upgrade(node), node, &spec.ignored, view).await;
    steps.extend(found.map_err(|report| PhaseError::Preflight(report.below(&steps)))?);
    Ok((node, steps))
}

/// The checks of the cluster that only look. `upgrade plan` makes them too.
pub async fn cluster(spec: &UpgradeSpec, node: &InitSpec, view: View<'_>) -> Result<Report, PhaseError> {
    let mut report = Report::default();
    let mut add = |check: &str, outcome| report.add(check, outcome, &spec.ignored);
    let obstacle = addon::coredns_obstacle(node, view).await?;
    add(COREDNS_MIGRATION, obstacle.map_or_else(Outcome::good, Outcome::error));
    let flags = spec.before().map(|before| component_flags(node, spec.upgrade_etcd, before, before));
    add(COMPONENT_FLAGS, Outcome { errors: flags.unwrap_or_default(), ..Outcome::good() });
    add("ControlPlaneNodesReady", upgrade::nodes_ready(node, view.api).await);
    add("StaticPodManifest", upgrade::manifests(view.files));
    Ok(report)
}

fn lines(steps: &[Step]) -> Vec<Line> {
    steps.iter().flat_map(|step| step.lines.clone()).collect()
}

/// What is said of feature gates that the release does not have any more. They have no effect.
pub fn removed_gates(node: &InitSpec, prefix: &str) -> Vec<Step> {
    unknown_gates(node).map(|name| Step::say(format!("{prefix} Unknown feature gate flag: {name}"))).collect()
}

/// Feature gates of kubeadm that the release does not have.
pub fn unknown_gates(node: &InitSpec) -> impl Iterator<Item = &str> {
    let names = node.cluster.feature_gates.keys().map(String::as_str);
    names.filter(|name| features::find(&node.release, name).is_none())
}

async fn version(
    spec: &UpgradeSpec,
    node: &InitSpec,
    before: &[Step],
    view: View<'_>,
) -> Result<Vec<Step>, PhaseError> {
    let target = &node.version;
    let state = ClusterState::look(view.api).await?;
    let mut steps = vec![Step::say(format!(
        "[upgrade/preflight] You have chosen to upgrade the cluster version to {:?}",
        target.to_string()
    ))];
    steps.extend(state.mixed().map(Step::warn));
    steps.extend(state.version().map(|v| Step::say(format!("[upgrade/versions] Cluster version: {v}"))));
    steps.push(Step::say(format!("[upgrade/versions] kubeadm version: {}", spec.kubeadm_version)));
    let found = policy::judge(target, &state, &spec.kubeadm_version, spec.policy);
    match found.overruled(spec.policy.force) {
        Ok(overruled) => steps.extend(overruled.map(Step::say)),
        Err(source) => {
            let lines = lines(before).into_iter().chain(lines(&steps)).collect();
            return Err(PhaseError::Policy { lines, source });
        }
    }
    Ok(steps)
}

fn images(spec: &UpgradeSpec, node: &InitSpec, would: &str) -> Option<Step> {
    pull(spec, node.images().list()).map(|pull| pull_step("upgrade/preflight", pull, would))
}

/// The pull of images, unless none is to be pulled.
pub(crate) fn pull(spec: &UpgradeSpec, images: Vec<String>) -> Option<PullImages> {
    (spec.pull_policy != ImagePullPolicy::Never).then(|| PullImages {
        socket: spec.socket.clone(),
        images,
        always: spec.pull_policy == ImagePullPolicy::Always,
        serial: spec.pull_serial,
        ignore_errors: spec.ignored.covers("ImagePull"),
    })
}

/// What is asked before anything changes.
pub(crate) const QUESTION: &str = "[upgrade] Are you sure you want to proceed? [y/N]: ";
