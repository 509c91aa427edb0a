//! `upgrade apply` and `upgrade node` over a machine and a cluster in memory, whose kubelet runs what is written: what they
//! leave, again, dry, and when something new does not come up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use kubeadm_engine::dryrun;
use kubeadm_engine::etcd::health::UnhealthyError;
use kubeadm_engine::phase::{Phase, Selection};
use kubeadm_engine::phases::upgrade::control_plane::ControlPlaneError;
use kubeadm_engine::phases::upgrade::{APPLY, NODE};
use kubeadm_engine::phases::{INIT, PhaseError};
use kubeadm_engine::ports::{ApiError, ContainerState, Files, ServiceState, WriteApi, WriteFiles};
use kubeadm_engine::resource::{CONFIG_MAPS, DAEMON_SETS, DEPLOYMENTS, JOBS, NODES, PODS};
use kubeadm_engine::run::{self, ActionError, RunError};
use kubeadm_engine::spec::{Layout, MANIFESTS};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::policy::{Policy, PolicyError};
use kubeadm_testkit::{MemoryEtcd, MemoryHost};
use serde_json::json;

use crate::wish;

pub(crate) const OLD: &str = "v1.36.3";
pub(crate) const NEW: &str = "v1.37.2";
const MEMBERS: [(&str, &str); 3] = [("cp1", "192.0.2.10"), ("cp2", "192.0.2.11"), ("cp3", "192.0.2.12")];
const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// A control-plane node of a version.
pub(crate) fn cluster(version: &str, more: &str) -> MemoryHost {
    let new = [OLD, NEW].contains(&version);
    let host = if new { MemoryHost::default() } else { MemoryHost::of_old() };
    host.machine.set(|state| {
        state.install_kubelet(version);
        state.answer("http://192.0.2.20:2379/version", 200, r#"{"etcdserver": "3.6.8"}"#);
    });
    host.cluster.register("cp1");
    host.run_kubelet();
    let spec = wish::init(version, more);
    block_on(run::run(INIT, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects())).unwrap();
    host
}

fn run_all(
    tree: &'static [Phase<UpgradeSpec>],
    host: &MemoryHost,
    spec: &UpgradeSpec,
) -> Result<(), RunError> {
    block_on(run::run(tree, &Selection::Skip(Vec::new()), spec, &spec.context(), &host.effects()))
}

fn apply(host: &MemoryHost) -> Result<(), RunError> {
    run_all(APPLY, host, &wish::upgrade(Some(NEW)))
}

#[track_caller]
fn failure(outcome: Result<(), RunError>) -> PhaseError {
    match outcome {
        Err(RunError::Phase { source, .. }) => *source,
        other => panic!("{other:?}"),
    }
}

fn manifest(component: &str) -> PathBuf {
    Path::new(MANIFESTS).join(format!("{component}.yaml"))
}

pub(crate) fn manifests(host: &MemoryHost) -> BTreeMap<String, String> {
    let all = ["etcd"].into_iter().chain(COMPONENTS);
    all.map(|name| (name.to_owned(), host.files.text(manifest(name)).unwrap())).collect()
}

/// What runs: image by component.
fn running(host: &MemoryHost) -> BTreeMap<String, String> {
    host.runtimes.runtime.set(|runtime| {
        let running = runtime.containers.iter().filter(|c| c.state == ContainerState::Running);
        running.map(|c| (c.name.clone(), c.image.clone())).collect()
    })
}

/// Every file that is kubeadm's, but for what is kept of before.
fn files(host: &MemoryHost) -> BTreeMap<PathBuf, Vec<u8>> {
    let ours =
        |p: &Path| (p.starts_with("/etc") || p.starts_with("/var")) && !p.starts_with("/etc/kubernetes/tmp");
    let all = host.files.all().into_iter().filter(|(path, _)| ours(path));
    all.filter_map(|(path, entry)| Some((path, entry.content?))).collect()
}

fn backups(host: &MemoryHost, of: &str) -> Vec<PathBuf> {
    let all = host.files.all();
    let below =
        |path: &&PathBuf| path.starts_with("/etc/kubernetes/tmp") && path.to_string_lossy().contains(of);
    all.iter()
        .filter(|(_, entry)| entry.content.is_some())
        .map(|(path, _)| path)
        .filter(below)
        .cloned()
        .collect()
}

// --- what it leaves -----------------------------------------------------------------------------------------------

#[test]
fn an_upgraded_node_has_what_init_of_the_new_version_makes() {
    let (host, fresh) = (cluster(OLD, ""), cluster(NEW, ""));
    let before = files(&host);
    apply(&host).unwrap();
    assert_eq!(manifests(&host), manifests(&fresh));
    assert_eq!(running(&host), running(&fresh));
    let config = |host: &MemoryHost| host.files.text("/var/lib/kubelet/config.yaml").unwrap();
    assert_eq!(config(&host), config(&fresh));
    // Objects are the same too, but for what a cluster gets once in its life.
    let kept =
        |path: &str| path.contains("cluster-info") || path.contains("/secrets/") || path.contains("/jobs/");
    for (path, object) in fresh.cluster.objects().into_iter().filter(|(path, _)| !kept(path)) {
        let mut ours = host.cluster.objects().remove(&path).unwrap_or_else(|| panic!("{path} is missing"));
        let mut theirs = object;
        for object in [&mut ours, &mut theirs] {
            object["metadata"]["resourceVersion"].take();
        }
        assert_eq!(ours, theirs, "{path}");
    }
    // Certificates are new, and authorities are not.
    let after = files(&host);
    let changed = |name: &str| before[Path::new(name)] != after[Path::new(name)];
    for name in
        ["pki/apiserver.crt", "pki/etcd/server.crt", "admin.conf", "super-admin.conf", "scheduler.conf"]
    {
        assert!(changed(&format!("/etc/kubernetes/{name}")), "{name} was not renewed");
    }
    for name in ["pki/ca.crt", "pki/sa.key", "kubelet.conf"] {
        assert!(!changed(&format!("/etc/kubernetes/{name}")), "{name} was changed");
    }
    // What was there before is kept.
    let kept = backups(&host, "kubeadm-backup-manifests");
    for component in COMPONENTS {
        let copy = kept.iter().find(|p| p.ends_with(format!("{component}.yaml"))).unwrap();
        assert_eq!(host.files.text(copy).unwrap().as_bytes(), before[&manifest(component)]);
    }
    assert_eq!(
        backups(&host, "kubeadm-kubelet-config").len(),
        usize::from(changed("/var/lib/kubelet/config.yaml"))
    );
    let said = host.output.said().join("\n");
    for component in COMPONENTS {
        let line = format!("[upgrade/staticpods] Component {component:?} upgraded successfully!");
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn the_releases_of_2018_are_upgraded_too() {
    let (host, fresh) = (cluster("v1.12.10", ""), cluster("v1.13.12", ""));
    // etcd was at home only.
    let host = MemoryHost { etcd: MemoryEtcd::with(&[("cp1", "127.0.0.1")]), ..host };
    run_all(APPLY, &host, &wish::upgrade(Some("v1.13.12"))).unwrap();
    let (ours, theirs) = (manifests(&host), manifests(&fresh));
    for component in ["etcd"].into_iter().chain(COMPONENTS) {
        assert_eq!(ours[component], theirs[component], "{component}");
    }
    let map = host.cluster.object(CONFIG_MAPS, "kube-system", "kubelet-config-1.13");
    assert!(map.is_some(), "{:?}", host.cluster.objects().keys());
    let config = host.cluster.object(CONFIG_MAPS, "kube-system", "kubeadm-config").unwrap();
    assert!(config["data"].to_string().contains("v1beta1"), "{config}");
}

#[test]
fn what_is_the_same_is_left_alone() {
    let host = cluster(OLD, "");
    apply(&host).unwrap();
    let (before, containers) = (files(&host), host.runtimes.runtime.set(|r| r.containers.clone()));
    let count = host.files.changes().len();
    apply(&host).unwrap();
    assert_eq!(host.runtimes.runtime.set(|r| r.containers.clone()), containers);
    let after = files(&host);
    let changed: Vec<&Path> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(p, _)| &**p)
        .collect();
    let administrators = ["/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf"].map(Path::new);
    assert_eq!(changed, administrators);
    let written = &host.files.changes()[count..];
    assert!(written.iter().all(|path| administrators.contains(&path.as_path())), "{written:?}");
}

#[test]
fn without_renewal_certificates_stay() {
    let host = cluster(OLD, "");
    let before = files(&host);
    let spec = UpgradeSpec { renew_certificates: false, ..wish::upgrade(Some(NEW)) };
    run_all(APPLY, &host, &spec).unwrap();
    let after = files(&host);
    for (path, content) in before.iter().filter(|(path, _)| path.starts_with("/etc/kubernetes/pki")) {
        assert_eq!(&after[path], content, "{}", path.display());
    }
    assert_eq!(
        before[Path::new("/etc/kubernetes/admin.conf")],
        after[Path::new("/etc/kubernetes/admin.conf")]
    );
}

#[test]
fn flags_that_new_kubelets_do_not_know_are_taken_out() {
    let host = cluster(OLD, "");
    let env = "/var/lib/kubelet/kubeadm-flags.env";
    let before = "KUBELET_KUBEADM_ARGS=\"--pod-infra-container-image=registry.k8s.io/pause:3.10 --v=2\"\n";
    host.files.put(env, before, 0o644);
    apply(&host).unwrap();
    assert_eq!(host.files.text(env).unwrap(), "KUBELET_KUBEADM_ARGS=\"--v=2\"\n");
    let kept = backups(&host, "kubeadm-kubelet-env");
    assert_eq!(host.files.text(&kept[0]).unwrap(), before);
    // Once they are gone there is nothing more to do.
    apply(&host).unwrap();
    assert_eq!(backups(&host, "kubeadm-kubelet-env").len(), 1);
}

#[test]
fn authorities_that_are_elsewhere_stay_there() {
    let host = cluster(OLD, "");
    for key in ["ca.key", "front-proxy-ca.key"] {
        host.files.remove(&Path::new("/etc/kubernetes/pki").join(key)).unwrap();
    }
    let before = files(&host);
    apply(&host).unwrap();
    let controllers = host.files.text(manifest("kube-controller-manager")).unwrap();
    for empty in ["--cluster-signing-cert-file=\n", "--cluster-signing-key-file=\n"] {
        assert!(controllers.contains(empty), "{controllers}");
    }
    let after = files(&host);
    let changed = |name: &str| before[Path::new(name)] != after[Path::new(name)];
    for name in ["pki/apiserver.crt", "pki/front-proxy-client.crt", "admin.conf", "scheduler.conf"] {
        assert!(!changed(&format!("/etc/kubernetes/{name}")), "{name} was changed");
    }
    assert!(changed("/etc/kubernetes/pki/etcd/server.crt"));
}

#[test]
fn an_etcd_that_stays_gets_its_new_certificates_all_the_same() {
    let host = cluster(OLD, "etcd: {local: {imageTag: 3.7.0-0}}\n");
    let container = |host: &MemoryHost| {
        host.runtimes.runtime.set(|r| r.containers.iter().find(|c| c.name == "etcd").cloned())
    };
    let (before, etcd) = (files(&host), container(&host));
    apply(&host).unwrap();
    assert_eq!(container(&host), etcd);
    assert_eq!(host.files.text(manifest("etcd")).unwrap().as_bytes(), before[&manifest("etcd")]);
    let server = Path::new("/etc/kubernetes/pki/etcd/server.crt");
    assert_ne!(files(&host)[server], before[server]);
    assert!(host.etcd.set(|etcd| etcd.changes.is_empty()), "a snapshot was taken");
}

#[test]
fn etcd_goes_together_with_the_api_server_and_is_saved_before() {
    let host = cluster(OLD, "");
    let old = host.files.text(manifest("etcd")).unwrap();
    let joined = old.replace(
        "--initial-cluster=cp1=https://192.0.2.10:2380",
        "--initial-cluster=cp0=https://192.0.2.9:2380,cp1=https://192.0.2.10:2380\n    - --initial-cluster-state=existing",
    );
    assert_ne!(joined, old);
    host.files.put(manifest("etcd"), joined, 0o600);
    let count = host.files.changes().len();
    apply(&host).unwrap();
    let new = host.files.text(manifest("etcd")).unwrap();
    assert!(
        new.contains("--initial-cluster=cp0=https://192.0.2.9:2380,cp1=https://192.0.2.10:2380"),
        "{new}"
    );
    assert!(!new.contains("3.6.8-0") && !running(&host)["etcd"].contains("3.6.8-0"), "{:?}", running(&host));
    let snapshots = host.etcd.set(|etcd| etcd.changes.clone());
    assert!(
        matches!(snapshots.as_slice(), [one] if one.starts_with("snapshot /etc/kubernetes/tmp/")),
        "{snapshots:?}"
    );
    // The API server ends before etcd does.
    let order: Vec<PathBuf> = host.files.changes()[count..].to_vec();
    let at = |component: &str| order.iter().position(|path| *path == manifest(component)).unwrap();
    assert!(at("kube-apiserver") < at("etcd") && at("etcd") < at("kube-controller-manager"), "{order:?}");
}

#[test]
fn an_etcd_that_is_not_well_or_newer_is_not_touched() {
    let host = MemoryHost { etcd: MemoryEtcd::with(&MEMBERS), ..cluster(OLD, "") };
    host.etcd.set(|etcd| etcd.down.extend([3]));
    let before = files(&host);
    // Two of three are a quorum, but would be none without this node's.
    let error = failure(apply(&host));
    assert!(matches!(error, PhaseError::UnhealthyEtcd(UnhealthyError::TooFew { serving: 2, .. })), "{error}");
    assert_eq!(files(&host), before);

    let host = cluster(OLD, "");
    let newer = host.files.text(manifest("etcd")).unwrap().replace("/etcd:3.", "/etcd:99.");
    host.files.put(manifest("etcd"), newer.clone(), 0o600);
    apply(&host).unwrap();
    assert_eq!(host.files.text(manifest("etcd")).unwrap(), newer);
    assert!(host.output.said().iter().any(|l| l.contains("is older than the currently installed")));
}

#[test]
fn an_etcd_of_the_site_is_none_of_an_upgrade() {
    let external = "etcd: {external: {endpoints: [\"http://192.0.2.20:2379\"]}}\n";
    let host = cluster(OLD, external);
    host.etcd.set(|etcd| etcd.down.extend([1]));
    apply(&host).unwrap();
    assert!(!host.files.exists(&manifest("etcd")) && host.etcd.set(|etcd| etcd.changes.is_empty()));
    assert!(host.files.text(manifest("kube-apiserver")).unwrap().contains(NEW));
}

#[test]
fn the_kubelet_of_a_control_plane_talks_to_its_own_api_server_afterwards() {
    let host = cluster(OLD, "controlPlaneEndpoint: api.example.com:6443\n");
    let path = Path::new("/etc/kubernetes/kubelet.conf");
    let server = |host: &MemoryHost| {
        let text = host.files.text(path).unwrap();
        text.lines().find_map(|l| l.trim().strip_prefix("server: ")).unwrap().to_owned()
    };
    for (before, after) in [
        ("https://api.example.com:6443", "https://192.0.2.10:6443"),
        ("https://192.0.2.10:6443", "https://192.0.2.10:6443"),
        ("https://somewhere.else:6443", "https://somewhere.else:6443"),
    ] {
        let text = host.files.text(path).unwrap().replace(&server(&host), before);
        host.files.put(path, text, 0o600);
        let restarts = host.machine.service_log().len();
        run_all(NODE, &host, &wish::upgrade(None)).unwrap();
        assert_eq!(server(&host), after);
        assert_eq!(host.machine.service_log().len() - restarts, usize::from(before != after));
    }
}

// --- other nodes --------------------------------------------------------------------------------------------------

#[test]
fn add_ons_wait_for_the_last_control_plane() {
    let host = cluster(OLD, "");
    let set = host.cluster.object(DAEMON_SETS, "kube-system", "kube-proxy").unwrap();
    let other = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "kube-apiserver-cp2", "namespace": "kube-system",
            "labels": {"component": "kube-apiserver", "tier": "control-plane"},
        },
        "spec": {"nodeName": "cp2", "containers": [{"image": format!("mirror.example.com/kube-apiserver:{OLD}")}]},
    });
    host.cluster.place(PODS, other.clone());
    apply(&host).unwrap();
    let skipped = "[upgrade/addon] Skipping upgrade of addons because control plane instances [cp2] have not been upgraded";
    assert_eq!(host.output.said().iter().filter(|l| *l == skipped).count(), 1);
    assert_eq!(host.cluster.object(DAEMON_SETS, "kube-system", "kube-proxy").unwrap()["spec"], set["spec"]);
    // The other one has been upgraded, from another registry.
    let mut upgraded = other;
    upgraded["spec"]["containers"][0]["image"] = format!("mirror.example.com/kube-apiserver:{NEW}").into();
    host.cluster.place(PODS, upgraded);
    run_all(NODE, &host, &wish::upgrade(None)).unwrap();
    let set = host.cluster.object(DAEMON_SETS, "kube-system", "kube-proxy").unwrap();
    let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(NEW), "{image}");
}

#[test]
fn add_ons_that_are_not_there_are_not_made() {
    let host = cluster(OLD, "");
    for (resource, name) in [
        (DEPLOYMENTS, "coredns"),
        (CONFIG_MAPS, "coredns"),
        (DAEMON_SETS, "kube-proxy"),
        (CONFIG_MAPS, "kube-proxy"),
    ] {
        block_on(host.cluster.delete(resource, "kube-system", name)).unwrap();
    }
    apply(&host).unwrap();
    assert_eq!(host.cluster.object(DEPLOYMENTS, "kube-system", "coredns"), None);
    assert_eq!(host.cluster.object(DAEMON_SETS, "kube-system", "kube-proxy"), None);
    let said = host.output.said().join("\n");
    assert!(
        said.contains("CoreDNS is not installed.") && said.contains("kube-proxy is not installed."),
        "{said}"
    );
}

#[test]
fn a_worker_gets_the_kubelets_configuration_alone() {
    let control_plane = cluster(OLD, "");
    apply(&control_plane).unwrap();
    let worker = MemoryHost { cluster: Arc::clone(&control_plane.cluster), ..MemoryHost::default() };
    worker.files.put("/var/lib/kubelet/config.yaml", "old: true\n", 0o644);
    let instance = "containerRuntimeEndpoint: unix:///run/memory.sock\nport: 10350\n";
    worker.files.put("/var/lib/kubelet/instance-config.yaml", instance, 0o644);
    let spec = UpgradeSpec { control_plane: false, node_name: "w1".into(), ..wish::upgrade(None) };
    run_all(NODE, &worker, &spec).unwrap();
    let config = worker.files.text("/var/lib/kubelet/config.yaml").unwrap();
    assert!(config.contains("clusterDomain: cluster.local") && config.contains("port: 10350"), "{config}");
    assert_eq!(worker.files.text("/var/lib/kubelet/instance-config.yaml").unwrap(), instance);
    let kept = backups(&worker, "kubeadm-kubelet-config");
    assert_eq!(worker.files.text(&kept[0]).unwrap(), "old: true\n");
    let changed = worker.files.changes();
    assert!(
        changed.iter().all(|p| p.starts_with("/var/lib/kubelet") || p.starts_with("/etc/kubernetes/tmp"))
    );
    assert!(worker.machine.service_log().is_empty());
    assert!(
        worker
            .output
            .said()
            .iter()
            .any(|l| l == "[upgrade/preflight] Skipping prepull. Not a control plane node.")
    );
}

// --- what does not come up ----------------------------------------------------------------------------------------

#[test]
fn what_does_not_come_up_is_put_back_with_all_that_was_replaced() {
    let host = cluster(OLD, "");
    let before = manifests(&host);
    let was = running(&host);
    host.runtimes.runtime.set(|runtime| {
        runtime.broken = vec![format!("kube-scheduler:{NEW}")];
        runtime.log = vec!["Error: unknown flag: --nonsense".into()];
    });
    let error = failure(apply(&host));
    let PhaseError::Action(ActionError::Replace(error)) = error else { panic!("{error}") };
    assert_eq!(error.component, "kube-scheduler");
    assert_eq!(error.restored, ["kube-scheduler", "kube-controller-manager", "kube-apiserver"]);
    assert!(error.lost.is_empty(), "{:?}", error.lost);
    let text = error.to_string();
    for words in ["unknown flag: --nonsense", "earlier state", "as before the upgrade: kube-scheduler"] {
        assert!(text.contains(words), "{text}");
    }
    let (after, runs) = (manifests(&host), running(&host));
    for component in COMPONENTS {
        assert_eq!(after[component], before[component]);
        assert_eq!(runs[component], was[component]);
    }
    // The cluster has not heard of the new version.
    let map = host.cluster.object(CONFIG_MAPS, "kube-system", "kubeadm-config").unwrap();
    assert!(map["data"].to_string().contains(OLD));
    // Once it can run, the same command succeeds.
    host.runtimes.runtime.set(|runtime| runtime.broken.clear());
    apply(&host).unwrap();
}

#[test]
fn etcd_that_came_up_stays_when_the_api_server_does_not() {
    let host = cluster(OLD, "");
    let before = manifests(&host);
    host.runtimes.runtime.set(|runtime| runtime.broken = vec![format!("kube-apiserver:{NEW}")]);
    let PhaseError::Action(ActionError::Replace(error)) = failure(apply(&host)) else {
        panic!("no roll-back")
    };
    assert_eq!(
        (error.component.as_str(), error.restored.as_slice()),
        ("kube-apiserver", &["kube-apiserver".to_owned()][..])
    );
    let after = manifests(&host);
    assert_ne!(after["etcd"], before["etcd"]);
    for component in COMPONENTS {
        assert_eq!(after[component], before[component], "{component}");
    }
}

#[test]
fn what_cannot_be_put_back_is_told_with_what_is_kept() {
    let host = cluster(OLD, "");
    host.runtimes.runtime.set(|runtime| runtime.broken = vec!["\"name\":\"etcd\"".into()]);
    let PhaseError::Action(ActionError::Replace(error)) = failure(apply(&host)) else {
        panic!("no roll-back")
    };
    assert_eq!((error.component.as_str(), error.lost.len()), ("etcd", 1));
    let text = error.to_string();
    for words in
        ["not as before, etcd, kube-apiserver", "kubeadm-backup-manifests", "snapshot.db; it is not restored"]
    {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn an_image_that_is_not_to_be_had_is_found_before_anything_changes() {
    let host = cluster(OLD, "");
    host.files.put(
        "/patches/kube-scheduler.json",
        r#"{"spec": {"containers": [{"name": "kube-scheduler", "image": "r.example.com/none:v9"}]}}"#,
        0o644,
    );
    let before = files(&host);
    // The images of the release are there, the one of the patch cannot be pulled.
    let spec = || UpgradeSpec { patches: Some("/patches".into()), ..wish::upgrade(Some(NEW)) };
    let only = |path: &str| Selection::Only { path: path.into(), skip: Vec::new() };
    let run = |path: &str, spec: &UpgradeSpec| {
        block_on(run::run(APPLY, &only(path), spec, &spec.context(), &host.effects()))
    };
    run("preflight", &spec()).unwrap();
    host.runtimes.runtime.set(|runtime| runtime.failing_pulls = 100);
    let error = failure(run("control-plane", &spec()));
    let PhaseError::Action(ActionError::Check { check: "ImagePull", faults }) = error else {
        panic!("{error}")
    };
    assert!(faults.iter().any(|f| f.contains("r.example.com/none:v9")), "{faults:?}");
    assert_eq!(files(&host), before);
}

#[test]
fn without_a_kubelet_nothing_is_changed() {
    let host = cluster(OLD, "");
    host.machine.set(|state| state.kubelet().state = ServiceState::Stopped);
    let before = files(&host);
    assert!(matches!(failure(apply(&host)), PhaseError::ControlPlane(ControlPlaneError::NoKubelet)));
    assert_eq!(files(&host), before);
}

// --- before it begins ---------------------------------------------------------------------------------------------

#[test]
fn a_version_that_is_not_allowed_is_refused_before_anything_happens() {
    let host = cluster(OLD, "");
    let spec = UpgradeSpec { kubeadm_version: "v1.37.0".parse().unwrap(), ..wish::upgrade(Some(NEW)) };
    let writes = host.cluster.writes().len();
    let before = files(&host);
    let PhaseError::Policy { source: PolicyError::Forceable(found), lines } =
        failure(run_all(APPLY, &host, &spec))
    else {
        panic!("allowed")
    };
    assert!(found[0].contains("higher than the kubeadm version"), "{found:?}");
    assert!(format!("{lines:?}").contains("You have chosen to upgrade the cluster version to"));
    assert_eq!((host.cluster.writes().len(), files(&host)), (writes, before));
    let policy = Policy { force: true, ..Policy::default() };
    let kubeadm_version = "v1.37.0".parse().unwrap();
    run_all(APPLY, &host, &UpgradeSpec { policy, kubeadm_version, ..wish::upgrade(Some(NEW)) }).unwrap();
}

#[test]
fn a_cluster_that_is_not_well_is_told() {
    let host = cluster(OLD, "");
    let mut node = host.cluster.object(NODES, "", "cp1").unwrap();
    node["status"] = json!({"conditions": [{"type": "Ready", "status": "False"}]});
    host.cluster.place(NODES, node);
    host.files.take(manifest("kube-scheduler"));
    host.cluster.refuse(JOBS, ApiError::Invalid("no jobs here".into()));
    let PhaseError::Preflight(report) = failure(apply(&host)) else { panic!("no report") };
    let checks: Vec<&str> = report.errors.iter().map(|(check, _)| check.as_str()).collect();
    assert_eq!(checks, ["ControlPlaneNodesReady", "StaticPodManifest"]);
    // What was ignored is a warning, and then the Job is tried.
    let mut spec = wish::upgrade(Some(NEW));
    spec.ignored.0.extend(["controlplanenodesready".to_owned(), "staticpodmanifest".to_owned()]);
    let error = failure(run_all(APPLY, &host, &spec));
    assert!(matches!(error, PhaseError::Action(ActionError::Check { check: "CreateJob", .. })), "{error}");
}

#[test]
fn no_is_an_answer() {
    let host = cluster(OLD, "");
    let before = files(&host);
    host.output.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    let spec = || UpgradeSpec { interactive: true, ..wish::upgrade(Some(NEW)) };
    assert!(matches!(failure(run_all(APPLY, &host, &spec())), PhaseError::Action(ActionError::Declined)));
    assert_eq!(files(&host), before);
    host.output.refuses.store(false, std::sync::atomic::Ordering::Relaxed);
    run_all(APPLY, &host, &spec()).unwrap();
}

// --- dry ------------------------------------------------------------------------------------------------------

#[test]
fn a_dry_run_changes_nothing_and_shows_the_manifests() {
    let host = cluster(OLD, "");
    let (before, writes) = (files(&host), host.cluster.writes());
    let spec = UpgradeSpec { landing: Some("/tmp/dry".into()), ..wish::upgrade(Some(NEW)) };
    let layout = Layout {
        pki: "/etc/kubernetes/pki".into(),
        kubeconfigs: "/etc/kubernetes".into(),
        landing: spec.landing.clone(),
    };
    let effects = dryrun::over(&host.effects(), &layout);
    let images = host.runtimes.runtime.set(|r| r.images.len());
    block_on(run::run(APPLY, &Selection::Skip(Vec::new()), &spec, &spec.context(), &effects)).unwrap();
    assert_eq!((files(&host), host.cluster.writes()), (before, writes));
    assert_eq!(host.runtimes.runtime.set(|r| r.images.len()), images);
    assert!(backups(&host, "kubeadm-backup").is_empty());
    let said = host.output.said().join("\n");
    for words in [
        "[dryrun] Would upgrade your static Pod-hosted control plane to version \"v1.37.2\"",
        "kube-apiserver.yaml\" with content:",
        "[dryrun] Would pull the required images",
        "[dryrun] Would save a snapshot of etcd to /etc/kubernetes/tmp/kubeadm-backup-etcd-",
        "[upgrade/control-plane] The control plane instance for this node was successfully upgraded!",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    for words in ["Moving new manifest", "Saved a snapshot", "[upgrade/staticpods] Component"] {
        assert!(!said.contains(words), "{words}\n{said}");
    }
    assert!(host.files.text("/tmp/dry/kube-scheduler.yaml").unwrap().contains(NEW));
}
