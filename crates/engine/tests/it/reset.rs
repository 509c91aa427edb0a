//! `reset` over a machine, an etcd and a cluster in memory: what goes and what stays, who is told first, when deleting
//! fails, again, and dry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use kubeadm_engine::dryrun;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::INIT;
use kubeadm_engine::phases::reset::{RESET, remove_etcd_member};
use kubeadm_engine::plan::{Action, ServiceVerb};
use kubeadm_engine::ports::{ApiError, Clock, Container, ContainerState, EndpointFailure, EtcdError, Files};
use kubeadm_engine::resource::{CONFIG_MAPS, PODS};
use kubeadm_engine::run::{self, RunError};
use kubeadm_engine::spec::Layout;
use kubeadm_testkit::{MemoryEtcd, MemoryHost};

use crate::wish;

pub(crate) const VERSION: &str = "v1.37.2";
const DATA: &str = "/var/lib/etcd/member/wal/0.wal";
const FOREIGN: [&str; 3] =
    ["/etc/kubernetes/audit-policy.yaml", "/etc/kubernetes/tmp/backup", "/root/.kube/config"];
/// The accounts of the system, before any of kubeadm's.
const ACCOUNTS: [(&str, &str); 2] =
    [("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"), ("/etc/group", "root:x:0:\n")];
pub(crate) const MEMBERS: [(&str, &str); 3] =
    [("cp1", "192.0.2.10"), ("cp2", "192.0.2.11"), ("cp3", "192.0.2.12")];

/// A cluster whose components run as users of their own, with its certificates at an unusual place.
pub(crate) const ROOTLESS: &str = "certificatesDir: /srv/pki\nfeatureGates: {RootlessControlPlane: true}\n";

/// The node `cp1` as `init` left it, with the data of an etcd, its pod, and files of somebody else.
fn control_plane(members: &[(&str, &str)]) -> MemoryHost {
    control_plane_of(members, "certificatesDir: /srv/pki\n")
}

pub(crate) fn control_plane_of(members: &[(&str, &str)], cluster: &str) -> MemoryHost {
    let host = MemoryHost { etcd: MemoryEtcd::with(members), ..MemoryHost::default() };
    host.machine.set(|state| state.install_kubelet(VERSION));
    host.cluster.register("cp1");
    for (path, content) in ACCOUNTS {
        host.files.put(path, content, 0o644);
    }
    let spec = wish::init(VERSION, cluster);
    block_on(run::run(INIT, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects())).unwrap();
    host.files.put(DATA, "entries", 0o600);
    host.files.put("/var/lib/kubelet/pods/1/volume", "", 0o600);
    FOREIGN.iter().for_each(|path| host.files.put(path, "precious", 0o600));
    host.runtimes.runtime.set(|state| {
        state.revives = false;
        state.containers = vec![etcd_container()];
    });
    host
}

fn etcd_container() -> Container {
    Container {
        id: "1".into(),
        name: "etcd".into(),
        pod: "etcd-cp1".into(),
        namespace: "kube-system".into(),
        image: "etcd".into(),
        state: ContainerState::Running,
        attempt: 0,
        created: jiff::Timestamp::UNIX_EPOCH,
        finished: None,
        exit_code: None,
        reason: String::new(),
        message: String::new(),
    }
}

fn reset(host: &MemoryHost) -> Result<(), RunError> {
    let spec = wish::reset(VERSION, false);
    block_on(run::run(RESET, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects()))
}

/// Every file of the places where kubeadm works. Folders do not count: they stay, empty.
fn paths(host: &MemoryHost) -> BTreeSet<PathBuf> {
    let ours = |p: &PathBuf| ["/etc", "/var", "/srv", "/root"].iter().any(|top| p.starts_with(top));
    let files = host.files.all().into_iter().filter(|(_, entry)| entry.content.is_some());
    files.map(|(path, _)| path).filter(ours).collect()
}

/// What a reset of such a node leaves.
fn left() -> BTreeSet<PathBuf> {
    FOREIGN.iter().copied().chain(ACCOUNTS.map(|(path, _)| path)).map(PathBuf::from).collect()
}

#[test]
fn the_others_are_told_and_the_leadership_goes_first() {
    let host = control_plane(&MEMBERS);
    reset(&host).unwrap();
    host.etcd.set(|etcd| assert_eq!(etcd.changes, ["move-leader 2", "remove 1"]));
    assert_eq!(paths(&host), left());
    assert!(host.machine.service_log().ends_with(&["stop kubelet".into()]));
    assert!(block_on(host.view().runtime.pod_sandboxes()).unwrap().is_empty(), "a pod is left");
    // Again: there is nothing to do, and nobody is told anything.
    reset(&host).unwrap();
    host.etcd.set(|etcd| assert_eq!(etcd.changes.len(), 2));
    assert_eq!(paths(&host), left());
}

#[test]
fn a_follower_leaves_without_a_change_of_leaders() {
    let host = control_plane(&MEMBERS);
    host.etcd.set(|etcd| etcd.leader = 3);
    reset(&host).unwrap();
    host.etcd.set(|etcd| assert_eq!((etcd.leader, etcd.changes.clone()), (3, vec!["remove 1".to_owned()])));
}

#[test]
fn the_last_member_takes_its_data_with_it() {
    let host = control_plane(&MEMBERS[..1]);
    reset(&host).unwrap();
    host.etcd.set(|etcd| assert!(etcd.changes.is_empty(), "{:?}", etcd.changes));
    assert_eq!(paths(&host), left());
    assert_eq!(
        host.output.warned(),
        ["[reset] WARNING: Cleaning a non-default certificates directory: \"/srv/pki\""]
    );
}

/// A follower of two, so that the order of all steps can be seen.
#[test]
fn data_go_only_after_whoever_could_use_them_again() {
    let host = control_plane(&MEMBERS[..2]);
    let spec = wish::reset(VERSION, false);
    let steps = block_on(remove_etcd_member::plan(&spec, host.view())).unwrap();
    let actions: Vec<Action> = steps.into_iter().map(|step| step.action).collect();
    let [
        Action::RemoveEtcdMember(removal),
        Action::Service { verb: ServiceVerb::Stop, service: "kubelet", .. },
        Action::RemovePods { only: Some(("kube-system", "etcd-")) },
        Action::EmptyDir(data),
    ] = actions.as_slice()
    else {
        panic!("{actions:?}")
    };
    assert_eq!(removal.others.endpoints, ["https://192.0.2.11:2379"]);
    assert_eq!(removal.others.ca.as_deref(), Some(Path::new("/srv/pki/etcd/ca.crt")));
    assert_eq!(data, Path::new("/var/lib/etcd"));
}

#[test]
fn where_the_others_do_not_let_it_go_nothing_is_touched() {
    let host = control_plane(&MEMBERS);
    let before = (paths(&host), host.machine.service_log());
    let refusal = EtcdError::Unhealthy("etcdserver: unhealthy cluster".into());
    host.etcd.set(|etcd| etcd.failures = vec![("MemberRemove", refusal); 1000]);
    let error = reset(&host).unwrap_err().to_string();
    assert!(error.contains("failed to remove etcd member 1: etcd does not change its members"), "{error}");
    assert_eq!((paths(&host), host.machine.service_log()), before);
    // A refusal that passes is outlasted.
    let refusal = EtcdError::Unhealthy("etcdserver: unhealthy cluster".into());
    host.etcd.set(|etcd| etcd.failures = vec![("MemberRemove", refusal); 3]);
    reset(&host).unwrap();
    assert_eq!(paths(&host), left());
}

#[test]
fn an_etcd_that_nobody_can_ask_does_not_keep_a_node_from_being_reset() {
    let host = control_plane(&MEMBERS);
    host.etcd.set(|etcd| etcd.down = [1, 2, 3].into());
    reset(&host).unwrap();
    let warned = host.output.warned().join("\n");
    assert!(warned.contains("etcd could not be asked for its members (etcd does not serve: "), "{warned}");
    assert!(warned.contains("etcdctl member remove"), "{warned}");
    assert_eq!(paths(&host), left());
}

/// One member of etcd is asked for, and the others are found, within the time that the case allows.
#[test]
fn etcd_is_waited_for_where_there_are_others() {
    let slow = |times| {
        let reason = EtcdError::Unavailable(vec![EndpointFailure {
            endpoint: "https://192.0.2.10:2379".into(),
            reason: "etcdserver: no leader".into(),
            permanent: false,
        }]);
        vec![("MemberList", reason); times]
    };
    let unreachable = || ApiError::Unreachable("connection refused".into());
    let busy = || ApiError::Status { code: 500, message: "etcdserver: request timed out".into() };
    let joined = "--initial-cluster=cp1=https://192.0.2.10:2380,cp2=https://192.0.2.11:2380";
    // What the cluster answers, whether the manifest names neighbours, and how long somebody is looked for.
    for (refusal, neighbours, seconds) in [
        (None, false, 30..40),
        (Some(busy()), false, 30..40),
        (Some(unreachable()), true, 30..40),
        (Some(unreachable()), false, 5..15),
    ] {
        let host = control_plane(&MEMBERS);
        if let Some(refusal) = refusal.clone() {
            host.cluster.refuse(CONFIG_MAPS, refusal);
        }
        if neighbours {
            let path = "/etc/kubernetes/manifests/etcd.yaml";
            let manifest = host.files.text(path).unwrap();
            let alone = "--initial-cluster=cp1=https://192.0.2.10:2380";
            assert!(manifest.contains(alone), "{manifest}");
            host.files.put(path, manifest.replace(alone, joined), 0o600);
        }
        let case = format!("{refusal:?}, neighbours: {neighbours}");
        let again = host.fork();
        let before = host.machine.elapsed();
        host.etcd.set(|etcd| etcd.failures = slow(1000));
        reset(&host).unwrap();
        let took = (host.machine.elapsed() - before).as_secs();
        assert!(seconds.contains(&took), "{case}: {took} s");
        assert!(host.output.warned().join("\n").contains("etcdctl member remove"), "{case}");
        // An etcd that only elects a leader.
        again.etcd.set(|etcd| etcd.failures = slow(6));
        reset(&again).unwrap();
        again.etcd.set(|etcd| assert_eq!(etcd.changes, ["move-leader 2", "remove 1"], "{case}"));
    }
}

#[test]
fn a_runtime_that_is_late_gives_up_its_pods() {
    let host = control_plane(&MEMBERS[..1]);
    host.runtimes
        .runtime
        .set(|runtime| runtime.late = vec!["ListPodSandbox", "ListPodSandbox", "StopPodSandbox"]);
    reset(&host).unwrap();
    assert!(block_on(host.view().runtime.pod_sandboxes()).unwrap().is_empty(), "a pod is left");
    assert!(!host.output.warned().join("\n").contains("Failed to"), "{:?}", host.output.warned());
}

#[test]
fn whoever_says_no_keeps_everything() {
    let (host, mut spec) = (control_plane(&MEMBERS), wish::reset(VERSION, false));
    spec.config.force = false;
    host.output.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    let before = host.files.changes().len();
    let all = Selection::Skip(Vec::new());
    let run = block_on(run::run(RESET, &all, &spec, &spec.context(), &host.effects()));
    let error = run.unwrap_err().to_string();
    assert!(error.contains("the user didn't answer (Y|y)"), "{error}");
    assert_eq!(host.files.changes().len(), before);
    assert!(host.output.warned()[0].contains("will be reverted"));
}

#[test]
fn others_are_found_where_this_nodes_member_has_ended() {
    let host = control_plane(&MEMBERS);
    host.etcd.set(|etcd| (etcd.down, etcd.leader) = ([1].into(), 2));
    let mut pod = kubeadm_yaml::parse_value(
        &host.files.text("/etc/kubernetes/manifests/etcd.yaml").unwrap(),
        "etcd.yaml",
    )
    .unwrap();
    pod["metadata"]["name"] = "etcd-cp2".into();
    pod["metadata"]["annotations"]["kubeadm.kubernetes.io/etcd.advertise-client-urls"] =
        "https://192.0.2.11:2379".into();
    block_on(host.effects().cluster.writer(&wish::reset(VERSION, false).access).create(PODS, &pod)).unwrap();
    reset(&host).unwrap();
    host.etcd.set(|etcd| assert_eq!(etcd.changes, ["remove 1"]));
    assert_eq!(host.output.warned().len(), 1, "{:?}", host.output.warned());
}

#[test]
fn data_of_another_etcd_stay() {
    let host = control_plane(&MEMBERS);
    host.files.take("/etc/kubernetes/manifests/etcd.yaml");
    reset(&host).unwrap();
    assert!(host.files.exists(DATA.as_ref()), "somebody else's data are gone");
    host.etcd.set(|etcd| assert!(etcd.changes.is_empty(), "{:?}", etcd.changes));
}

#[test]
fn what_cannot_be_deleted_is_deleted_by_the_next_run() {
    let writes = {
        let host = control_plane_of(&MEMBERS, ROOTLESS);
        let before = host.files.changes().len();
        reset(&host).unwrap();
        host.files.changes().len() - before
    };
    assert!(writes > 10, "only {writes} changes");
    for stop in 0..writes {
        let host = control_plane_of(&MEMBERS, ROOTLESS);
        host.files.stop_after(Some(stop));
        // What cannot be deleted is warned of.
        reset(&host).unwrap();
        host.files.stop_after(None);
        // This node's API server went with its etcd.
        host.cluster.refuse(CONFIG_MAPS, ApiError::Unreachable("connection refused".into()));
        reset(&host).unwrap();
        assert_eq!(paths(&host), left(), "stopped after {stop} changes");
        for (path, content) in ACCOUNTS {
            assert_eq!(host.files.text(path).unwrap(), content, "stopped after {stop} changes");
        }
        host.etcd.set(|etcd| assert_eq!(etcd.changes, ["move-leader 2", "remove 1"], "stopped after {stop}"));
    }
}

#[test]
fn the_users_of_a_rootless_control_plane_go() {
    let host = control_plane_of(&MEMBERS[..1], ROOTLESS);
    assert!(host.files.text("/etc/passwd").unwrap().contains("kubeadm-etcd"));
    let said = dry(&host);
    let accounts = "[dryrun] Would remove users and groups created for rootless control-plane".to_owned();
    assert_eq!(said.last(), Some(&accounts));
    assert!(host.files.text("/etc/passwd").unwrap().contains("kubeadm-etcd"), "a dry run removed them");
    reset(&host).unwrap();
    for (path, content) in ACCOUNTS {
        assert_eq!(host.files.text(path).unwrap(), content);
    }
}

/// A kubelet on Docker keeps something of its own.
#[test]
fn what_dockershim_remembers_goes_with_docker_only() {
    const SANDBOX: &str = "/var/lib/dockershim/sandbox/1";
    for (socket, stays) in [("unix:///run/memory.sock", true), ("unix:///var/run/dockershim.sock", false)] {
        let host = control_plane(&MEMBERS[..1]);
        host.files.put(SANDBOX, "{}", 0o600);
        let mut spec = wish::reset(VERSION, false);
        spec.config.cri_socket = socket.into();
        block_on(run::run(RESET, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects()))
            .unwrap();
        assert_eq!(host.files.text(SANDBOX).is_some(), stays, "{socket}");
    }
}

/// What a dry run says. Nobody is asked whether it may go on.
fn dry(host: &MemoryHost) -> Vec<String> {
    let mut spec = wish::reset(VERSION, true);
    spec.config.force = false;
    host.output.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    let layout = Layout { pki: "/etc/kubernetes/pki".into(), kubeconfigs: "/etc".into(), landing: None };
    let said = host.output.said().len();
    let effects = dryrun::over(&host.effects(), &layout);
    block_on(run::run(RESET, &Selection::Skip(Vec::new()), &spec, &spec.context(), &effects)).unwrap();
    host.output.said().split_off(said)
}

/// The dry run names what the real run then removes, and does nothing.
#[test]
fn a_dry_run_says_what_will_be_done() {
    for members in [&MEMBERS[..1], &MEMBERS] {
        let host = control_plane(members);
        let before = paths(&host);
        let warned = host.output.warned();
        let said = dry(&host);
        assert_eq!(host.output.warned(), warned);
        assert!(!said.iter().any(|text| text.contains("want to proceed")), "{said:?}");
        assert_eq!(paths(&host), before);
        host.etcd.set(|etcd| assert!(etcd.changes.is_empty(), "{:?}", etcd.changes));
        let member = "[dryrun] Would remove the etcd member on this node from the etcd cluster".to_owned();
        assert_eq!(said.contains(&member), members.len() > 1, "{said:?}");
        let announced: BTreeSet<PathBuf> = said
            .iter()
            .filter(|line| line.starts_with("[dryrun] Would delete"))
            .flat_map(|line| line.split([' ', '[', ']']).filter(|word| word.starts_with('/')))
            .map(PathBuf::from)
            .collect();
        reset(&host).unwrap();
        let gone: BTreeSet<PathBuf> = before.difference(&paths(&host)).cloned().collect();
        let named = |path: &&PathBuf| announced.iter().any(|a| path.starts_with(a));
        let silent: Vec<&PathBuf> = gone.iter().filter(|p| !named(p)).collect();
        assert!(silent.is_empty(), "removed without a word: {silent:?}");
        let kept: Vec<PathBuf> = paths(&host).into_iter().filter(|p| named(&p)).collect();
        assert!(kept.is_empty(), "announced and kept: {kept:?}");
        assert!(announced.contains(Path::new("/var/lib/kubelet")), "{announced:?}");
    }
}
