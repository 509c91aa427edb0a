//! `control-plane` of an upgrade: the static pods of this node, one after the other: etcd, the API server, then what
//! talks to it. cmd/kubeadm/app/phases/upgrade/staticpods.go, 1.37.
//!
//! What is found to be wrong here is found before anything changes: a kubelet that would start nothing, images that are
//! not to be had, certificates that cannot be renewed, an etcd that is not well.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_config::types::ImagePullPolicy;
use kubeadm_pki::KeyAlgorithm;
use kubeadm_release::{Release, skew};
use serde_json::Value;

use super::{administrators, node_marks};
use crate::etcd::health::{self, Needed};
use crate::etcd::{access_at, own};
use crate::manifests::{Component, HostFacts};
use crate::phases::{PhaseError, control_plane};
use crate::plan::{Action, PullImages, ReplaceStaticPods, StaticPodManifest, Step};
use crate::ports::{NewFile, View};
use crate::renewal::{Failure, Managed, Renewal, Settings};
use crate::spec::{InitSpec, KUBERNETES, manifest};
use crate::static_pods::{self, argument, tag};
use crate::upgrade::UpgradeSpec;

/// Why nothing of the control plane was changed.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// Nobody would start the new pods.
    #[error(
        "couldn't complete the static pod upgrade: the kubelet does not run and would start nothing; start it (`systemctl start kubelet`)"
    )]
    NoKubelet,
    /// There is nothing to compare with.
    #[error("the manifest file {:?} does not exist", .0.display().to_string())]
    NoManifest(PathBuf),
    /// A certificate cannot be renewed.
    #[error(
        "couldn't complete the static pod upgrade: {}; nothing was changed. With --certificate-renewal=false certificates stay as they are",
        .0.iter().map(Failure::to_string).collect::<Vec<_>>().join("; ")
    )]
    Renewal(Vec<Failure>),
}

/// Plans it for `upgrade apply`.
pub fn plan_apply<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let limit = spec.timeouts.upgrade_manifests;
        let mut steps = steps(spec, view, |version| {
            format!(
                "[upgrade/control-plane] Upgrading your static Pod-hosted control plane to version {version:?} (timeout: {limit})..."
            )
        })
        .await?;
        // Before the new version is stored: what an interrupted upgrade did not get to is found by the version of before.
        let (node, _) = spec.node(view).await?;
        if let Some(before) = spec.before().and_then(|version| Release::of(version).ok()) {
            steps.extend(administrators::plan(&before, node, view).await?);
            steps.extend(node_marks::plan(&before.node, &node.release.node, view.api).await?);
        }
        Ok(steps)
    })
}

/// Plans it for `upgrade node`.
pub fn plan_node<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(steps(spec, view, |version| {
        format!(
            "[upgrade/control-plane] Upgrading your Static Pod-hosted control plane instance to version {version:?}..."
        )
    }))
}

/// A folder of its own for each run, as upstream names them.
pub(super) fn backup_folder(name: &str, view: View<'_>) -> PathBuf {
    let time = view.clock.started().strftime("%Y-%m-%d-%H-%M-%S");
    Path::new(KUBERNETES).join("tmp").join(format!("{name}-{time}"))
}

/// In the order of their dependence.
const COMPONENTS: [Component; 4] =
    [Component::Etcd, Component::ApiServer, Component::ControllerManager, Component::Scheduler];

/// A static pod as it is to be.
struct Wanted {
    /// What has to be there before it: accounts, and what patches say.
    steps: Vec<Step>,
    pod: Value,
    file: NewFile,
}

/// A static pod before and after.
struct Change {
    component: Component,
    wanted: Wanted,
    /// The manifest of before with its text.
    before: Option<(Value, NewFile)>,
    /// Whether the two differ in anything.
    differs: bool,
    /// Whether it runs by the manifest that is there.
    runs: bool,
}

async fn steps(
    spec: &UpgradeSpec,
    view: View<'_>,
    heading: impl Fn(&str) -> String,
) -> Result<Vec<Step>, PhaseError> {
    if !spec.control_plane {
        return Ok(vec![Step::say("[upgrade/control-plane] Skipping phase. Not a control plane node.")]);
    }
    let (node, mut steps) = spec.node(view).await?;
    let version = node.version.to_string();
    steps.push(Step::say(heading(&version)).would(format!(
        "[dryrun] Would upgrade your static Pod-hosted control plane to version {version:?}"
    )));
    if view.services.init_system().is_ok() && !view.services.active("kubelet").await {
        return Err(ControlPlaneError::NoKubelet.into());
    }
    let upgrades_etcd = node.local_etcd() && spec.upgrade_etcd;
    let mut changes = Vec::new();
    for component in COMPONENTS.into_iter().filter(|c| *c != Component::Etcd || upgrades_etcd) {
        changes.push(look(node, component, view).await?);
    }
    steps.extend(etcd_downgrade(&mut changes));
    steps.extend(images(spec, &changes));
    let snapshot = match changes.iter().any(|c| c.component == Component::Etcd && c.differs) {
        true => Some(snapshot(spec, node, view).await?),
        false => None,
    };
    let mut run =
        Run { spec, node, backups: backup_folder("kubeadm-backup-manifests", view), undo: Vec::new() };
    let mut changes = changes.into_iter().peekable();
    while let Some(change) = changes.next() {
        let mut group = vec![change];
        if group[0].component == Component::Etcd {
            // The API server stands on etcd: they go and come together.
            group.extend(changes.next());
        }
        steps.extend(run.replace(group, snapshot.as_ref(), view)?);
    }
    steps.extend(renewals(spec, node, None, view)?);
    steps.push(Step::say(
        "[upgrade/control-plane] The control plane instance for this node was successfully upgraded!",
    ));
    Ok(steps)
}

async fn look(node: &InitSpec, component: Component, view: View<'_>) -> Result<Change, PhaseError> {
    let path = manifest(component.name());
    let text: Option<Vec<u8>> = view.files.read(&path)?;
    let mode = view.files.stat(&path)?.map_or(0o600, |meta| meta.mode);
    let pod = static_pods::pod(view.files, &path);
    // What a member of etcd was told when it joined: without it the manifest would be that of a first member.
    let joined = pod.as_ref().filter(|pod| argument(pod, "initial-cluster-state") == Some("existing"));
    let initial_cluster = joined.and_then(|pod| argument(pod, "initial-cluster")).map(str::to_owned);
    let host = HostFacts { initial_cluster, ..HostFacts::look(view.files) };
    let (steps, file) = control_plane::manifest(node, view, component, host)?;
    let wanted = kubeadm_yaml::parse_value(&String::from_utf8_lossy(&file.content), component.name());
    let wanted = Wanted { steps, pod: wanted.unwrap_or_default(), file };
    let differs = pod.as_ref().is_none_or(|pod| pruned(pod) != pruned(&wanted.pod));
    let containers = view.runtime.containers().await.unwrap_or_default();
    let runs = static_pods::read(view, std::slice::from_ref(&path)).iter().all(|pod| pod.runs(&containers));
    let before =
        text.map(|content| (pod.unwrap_or_default(), NewFile { path, content, mode, secret: false }));
    Ok(Change { component, wanted, before, differs, runs })
}

/// A manifest before and after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedManifest {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub before: String,
    /// The text that it would have.
    pub after: String,
}

/// The manifests of this node as an upgrade would leave them, for `upgrade diff`. None of the control plane may be
/// missing.
pub async fn manifests(node: &InitSpec, view: View<'_>) -> Result<Vec<ChangedManifest>, PhaseError> {
    let mut found = Vec::new();
    for component in COMPONENTS.into_iter().filter(|c| *c != Component::Etcd || node.local_etcd()) {
        let change = look(node, component, view).await?;
        let path = change.wanted.file.path;
        let Some((_, before)) = change.before else {
            return Err(ControlPlaneError::NoManifest(path).into());
        };
        let text = |content: Vec<u8>| String::from_utf8_lossy(&content).into_owned();
        found.push(ChangedManifest {
            path,
            before: text(before.content),
            after: text(change.wanted.file.content),
        });
    }
    Ok(found)
}

/// An object without what says nothing: null and empty fields, which Go writes or not by the type of the field.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key.clone(), pruned(value)));
            Value::Object(kept.filter(|(_, value)| !says_nothing(value)).collect())
        }
        Value::Array(items) => items.iter().map(pruned).collect(),
        other => other.clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An etcd that is newer than wanted stays: its data may not be read by an older one.
fn etcd_downgrade(changes: &mut Vec<Change>) -> Option<Step> {
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().map(str::to_owned);
    let at = changes.iter().position(|c| c.component == Component::Etcd)?;
    let (current, wanted) = (image(&changes[at].before.as_ref()?.0)?, image(&changes[at].wanted.pod)?);
    let (current, wanted) = (tag(&current)?, tag(&wanted)?);
    if !skew::etcd_tag_precedes(wanted, current) {
        return None;
    }
    let text = format!(
        "[upgrade/etcd] Non fatal issue encountered during upgrade: the desired etcd version {wanted:?} is older than the currently installed {current:?}. Skipping etcd upgrade"
    );
    changes.remove(at);
    Some(Step::say(text))
}

/// The images that the new manifests name, patches included: what is missing is found while the old ones still run.
fn images(spec: &UpgradeSpec, changes: &[Change]) -> Option<Step> {
    let named = |change: &Change| {
        let containers = change.wanted.pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        containers.iter().filter_map(|c| c["image"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let images: Vec<String> = changes.iter().filter(|c| c.differs).flat_map(named).collect();
    if images.is_empty() || spec.pull_policy == ImagePullPolicy::Never {
        return None;
    }
    Some(Step::new(Action::PullImages(PullImages {
        socket: spec.socket.clone(),
        images,
        always: false,
        serial: spec.pull_serial,
        ignore_errors: spec.ignored.covers("ImagePull"),
    })))
}

/// Looks whether every member of etcd is well, and plans a snapshot by that of this node.
async fn snapshot(
    spec: &UpgradeSpec,
    node: &InitSpec,
    view: View<'_>,
) -> Result<(PathBuf, Step), PhaseError> {
    let limit = spec.timeouts.etcd_api_call.to_std();
    let (access, endpoint) = match own::read(view.files)? {
        Some(own) if !own.client_urls.is_empty() => {
            let endpoint = own.client_urls[0].clone();
            (access_at(own.client_urls, &own.certificates), endpoint)
        }
        _ => {
            let pki = node.layout.pki_file("");
            let access = crate::etcd::access(view.api, view, &pki, limit).await?;
            let endpoint = access.endpoints[0].clone();
            (access, endpoint)
        }
    };
    health::wait(Needed::All, &access, view, limit).await?;
    let to = backup_folder("kubeadm-backup-etcd", view).join("snapshot.db");
    let step = Step::new(Action::SnapshotEtcd { access, endpoint, to: to.clone(), limit })
        .would(format!("[dryrun] Would save a snapshot of etcd to {}", to.display()))
        .done(format!(
            "[upgrade/etcd] Saved a snapshot of etcd to {}. It is kept, and never restored by kubeadm",
            to.display()
        ));
    Ok((to, step))
}

/// Renews the certificates of a component, or with `None` those that belong to none.
fn renewals(
    spec: &UpgradeSpec,
    node: &InitSpec,
    component: Option<&str>,
    view: View<'_>,
) -> Result<Vec<Step>, ControlPlaneError> {
    if !spec.renew_certificates {
        return Ok(Vec::new());
    }
    let settings = settings(node);
    let here = settings.certificates(view.files);
    let items: Vec<&'static Managed> =
        Managed::of_component(component).filter(|item| here.contains(item)).collect();
    let planned = Renewal::look(&items, &settings, view).plan(view);
    if !planned.failed.is_empty() {
        return Err(ControlPlaneError::Renewal(planned.failed));
    }
    let renewed: Vec<&str> = planned.renewed.iter().map(|item| item.name).collect();
    let mut steps = Vec::new();
    for (name, own) in planned.steps {
        if renewed.contains(&name) {
            steps.push(Step::say(format!("[upgrade/staticpods] Renewing {name} certificate")));
            steps.extend(own.into_iter().map(|step| Step { done: None, ..step }));
        } else {
            steps.extend(own);
        }
    }
    Ok(steps)
}

/// What is the default of a configuration is not asked for: then the old certificate decides.
fn settings(node: &InitSpec) -> Settings {
    let cluster = &node.cluster;
    let algorithm = cluster.key_algorithm().parse().ok();
    let period = cluster.certificate_validity_period.map(|period| period.seconds());
    Settings {
        layout: node.layout.clone(),
        local_etcd: node.local_etcd(),
        algorithm: algorithm.filter(|algorithm| *algorithm != KeyAlgorithm::default()),
        period_seconds: period.filter(|period| *period != crate::phases::certs::YEAR),
    }
}

/// Plans of pods that go one after the other.
struct Run<'a> {
    spec: &'a UpgradeSpec,
    node: &'a InitSpec,
    backups: PathBuf,
    /// Manifests of before, of the pod that was replaced last first.
    undo: Vec<StaticPodManifest>,
}

impl Run<'_> {
    /// The steps that replace pods together. One that has its manifest already, and does not run by it yet, is waited for:
    /// a run before this one may have been interrupted.
    fn replace(
        &mut self,
        mut group: Vec<Change>,
        snapshot: Option<&(PathBuf, Step)>,
        view: View<'_>,
    ) -> Result<Vec<Step>, PhaseError> {
        let mut steps = Vec::new();
        let etcd_differs = group.iter().any(|c| c.component == Component::Etcd && c.differs);
        let differs = group.iter().any(|c| c.differs);
        for change in &group {
            let name = change.component.name();
            let text = format!("[upgrade/staticpods] Preparing for {name:?} upgrade");
            steps.push(Step::say(text).silent_when_dry());
            if !change.differs {
                steps.push(Step::say(format!(
                    "[upgrade/staticpods] Current and new manifests of {name} are equal, skipping upgrade"
                )));
            }
            // etcd reads its certificates at every handshake (client/pkg/transport/listener.go), so it gets new ones
            // without a restart; they come with each upgrade of the API server, for many upgrades leave etcd as it is.
            if change.differs || change.component == Component::Etcd && differs {
                steps.extend(renewals(self.spec, self.node, Some(name), view)?);
            }
        }
        if !etcd_differs {
            // What is the same and runs is left alone.
            group.retain(|c| c.differs || !c.runs);
        }
        if group.is_empty() {
            return Ok(steps);
        }
        let snapshot = snapshot.filter(|_| etcd_differs);
        steps.extend(snapshot.map(|(_, step)| step.clone()));
        let limit = self.spec.timeouts.upgrade_manifests;
        let names: Vec<&str> = group.iter().map(|c| c.component.name()).collect();
        let (mut lines, mut new, mut old) = (Vec::new(), Vec::new(), Vec::new());
        for change in group {
            let (wanted, before, line) = self.swap(change, &mut steps);
            lines.extend(line);
            new.push(wanted);
            old.extend(before);
        }
        lines.push("[upgrade/staticpods] Waiting for the kubelet to restart the component".into());
        lines.push(format!("[upgrade/staticpods] This can take up to {limit}"));
        let shown: Vec<PathBuf> = new.iter().map(|pod| pod.file.path.clone()).collect();
        let mut undo = old.clone();
        undo.extend(self.undo.iter().cloned());
        let step = Step::new(Action::ReplaceStaticPods(Box::new(ReplaceStaticPods {
            new,
            limit: limit.to_std(),
            undo,
            backups: self.backups.clone(),
            snapshot: snapshot.map(|(path, _)| path.clone()),
        })));
        let done = |name: &&str| format!("[upgrade/staticpods] Component {name:?} upgraded successfully!");
        let done = names.iter().map(done).collect::<Vec<_>>().join("\n");
        let step = lines.into_iter().fold(step, Step::saying).done(done);
        steps.push(step.silent_when_dry().showing(shown));
        // etcd that runs by its new manifest stays: what it has written may not be read by an older one.
        old.retain(|pod| pod.component != Component::Etcd.name());
        self.undo.splice(0..0, old);
        Ok(steps)
    }

    /// A pod after and before, and what is said of it. What has to be there before it is planned.
    fn swap(
        &self,
        change: Change,
        steps: &mut Vec<Step>,
    ) -> (StaticPodManifest, Option<StaticPodManifest>, Option<String>) {
        let Change { component, wanted, before, differs, .. } = change;
        let name = component.name();
        let health = static_pods::readiness(&wanted.pod);
        let pod = |file, health| StaticPodManifest { component: name.into(), file, health };
        let before = before.map(|(old, file)| pod(file, static_pods::readiness(&old)));
        if !differs {
            // The text that is there may be another one for the same pod.
            let file = before.as_ref().map_or(wanted.file, |old| old.file.clone());
            return (pod(file, health), before, None);
        }
        let kept = self.backups.join(format!("{name}.yaml"));
        let line = format!(
            "[upgrade/staticpods] Moving new manifest to {:?} and backing up old manifest to {:?}",
            wanted.file.path.display().to_string(),
            kept.display().to_string()
        );
        steps.extend(wanted.steps);
        steps.push(Step::new(Action::BackUp { file: wanted.file.path.clone(), to: kept }));
        (pod(wanted.file, health), before, Some(line))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_fields_make_no_difference() {
        let go = json!({"metadata": {"creationTimestamp": null, "name": "x"}, "spec": {"a": [{}, 0]}, "status": {}});
        assert_eq!(pruned(&go), json!({"metadata": {"name": "x"}, "spec": {"a": [{}, 0]}}));
    }
}
