//! `join` of a control plane over a machine, a cluster and an etcd in memory: what it leaves, on a full disk, again, when
//! etcd does not start, and beside others.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use kubeadm_engine::dryrun;
use kubeadm_engine::etcd::join::JoinEtcdError;
use kubeadm_engine::join::JoinSpec;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::phases::join::JOIN;
use kubeadm_engine::phases::join::control_plane_prepare::download_certs::DownloadCertsError;
use kubeadm_engine::ports::{ApiError, Clock, EtcdError, Files, Member, WriteApi};
use kubeadm_engine::resource::{CONFIG_MAPS, LEASES, NODES, PODS, SECRETS};
use kubeadm_engine::run::{self, ActionError, RunError};
use kubeadm_testkit::MemoryHost;
use serde_json::json;

use crate::join::{TOKEN, VERSION, first, run_phases};
use crate::wish;

pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
const DATA: &str = "/var/lib/etcd";
const PEER_URL: &str = "https://192.0.2.11:2380";
const LEASE: &str = "kubeadm-control-plane-join";

/// A cluster of one control plane that has uploaded its certificates, and its pin.
pub(crate) fn cluster() -> (MemoryHost, String) {
    let mut spec = wish::init(VERSION, "controlPlaneEndpoint: api.example.com:6443\n");
    spec.upload_certs = true;
    spec.certificate_key = Some(KEY.into());
    let (host, pin) = first(spec);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "kube-system", "name": "etcd-cp1",
            "labels": {"component": "etcd", "tier": "control-plane"},
            "annotations": {"kubeadm.kubernetes.io/etcd.advertise-client-urls": "https://192.0.2.10:2379"},
        },
    });
    block_on(host.cluster.create(PODS, &pod)).unwrap();
    (host, pin)
}

/// A machine that is to become the second control plane.
pub(crate) fn second(cp1: &MemoryHost) -> MemoryHost {
    let host =
        MemoryHost { cluster: Arc::clone(&cp1.cluster), etcd: cp1.etcd.clone(), ..MemoryHost::default() };
    host.machine.set(|state| state.install_kubelet(VERSION));
    host
}

/// Everything up to the kubelet's own wait; then it has its certificate, has registered the node, and the rest follows.
fn join(host: &MemoryHost, pin: &str, key: &str) -> Result<(), RunError> {
    let spec = wish::join_control_plane(VERSION, TOKEN, &[pin.to_owned()], key);
    run_phases(host, &spec, &["kubelet-wait-bootstrap", "control-plane-join", "wait-control-plane"])?;
    host.files.put("/etc/kubernetes/kubelet.conf", bootstrap(host), 0o600);
    host.cluster.register("cp2");
    run_phases(
        host,
        &spec,
        &["preflight", "control-plane-prepare", "check-etcd", "kubelet-start", "etcd-join"],
    )
}

fn bootstrap(host: &MemoryHost) -> String {
    let text = |name: &str| host.files.text(format!("/etc/kubernetes/{name}"));
    text("bootstrap-kubelet.conf").or_else(|| text("kubelet.conf")).expect("the kubelet has credentials")
}

fn cause(error: RunError) -> PhaseError {
    match error {
        RunError::Phase { source, .. } => *source,
        other => panic!("{other}"),
    }
}

#[test]
fn a_control_plane_has_all_that_it_needs() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    join(&host, &pin, KEY).unwrap();
    let text = |path: &str| host.files.text(path).unwrap_or_else(|| panic!("{path} is not there"));
    let manifest = text(MANIFEST);
    let members = format!("--initial-cluster=cp1=https://192.0.2.10:2380,cp2={PEER_URL}");
    assert!(
        manifest.contains(&members) && manifest.contains("--initial-cluster-state=existing"),
        "{manifest}"
    );
    assert_eq!(host.etcd.set(|etcd| etcd.changes.clone()), [format!("add {PEER_URL}"), "promote 2".into()]);
    // What is shared is shared, and the rest is this node's own.
    for shared in ["ca.key", "front-proxy-ca.crt", "etcd/ca.key", "sa.key"] {
        let path = format!("/etc/kubernetes/pki/{shared}");
        assert_eq!(text(&path), cp1.files.text(&path).unwrap(), "{shared}");
        let secret = shared.ends_with(".key");
        assert_eq!(host.files.stat(path.as_ref()).unwrap().unwrap().mode, if secret { 0o600 } else { 0o644 });
    }
    assert!(text("/etc/kubernetes/manifests/kube-apiserver.yaml").contains("--advertise-address=192.0.2.11"));
    assert!(text("/etc/kubernetes/admin.conf").contains("https://api.example.com:6443"));
    assert!(text("/etc/kubernetes/scheduler.conf").contains("https://192.0.2.11:6443"));
    // The kubelet asks its own API server, with the credentials of the token.
    let bootstrap = bootstrap(&host);
    assert!(bootstrap.contains("https://192.0.2.11:6443") && bootstrap.contains(TOKEN), "{bootstrap}");
    assert!(!host.files.exists("/etc/kubernetes/super-admin.conf".as_ref()));
    let node = host.cluster.object(NODES, "", "cp2").unwrap();
    assert!(node["metadata"]["labels"].get("node-role.kubernetes.io/control-plane").is_some(), "{node}");
    assert_eq!(node["spec"]["taints"][0]["key"], "node-role.kubernetes.io/control-plane");
    assert_eq!(host.cluster.object(LEASES, "kube-system", LEASE), None, "the queue is left");
}

#[test]
fn on_a_full_disk_it_gives_way_to_others_and_is_finished_by_the_next() {
    let (whole, pin) = cluster();
    let host = second(&whole);
    join(&host, &pin, KEY).unwrap();
    let names = |host: &MemoryHost| {
        let all = host.files.all().into_iter();
        let ours = all.filter(|(p, _)| p.starts_with("/etc/") || p.starts_with("/var/"));
        ours.map(|(path, entry)| (path, entry.mode)).collect::<Vec<_>>()
    };
    // Its id tells how often it was added.
    let votes =
        |host: &MemoryHost| host.etcd.voters().into_iter().map(|(_, votes)| votes).collect::<Vec<_>>();
    let whole = (names(&host), votes(&host));
    let mut stops = 0;
    for writes in 0.. {
        let (cp1, pin) = cluster();
        let host = second(&cp1);
        host.files.stop_after(Some(writes));
        let first = join(&host, &pin, KEY);
        host.files.stop_after(None);
        if first.is_ok() {
            break;
        }
        stops += 1;
        for (path, entry) in host.files.all() {
            let text = String::from_utf8_lossy(entry.content.as_deref().unwrap_or_default()).into_owned();
            let secret =
                text.contains("PRIVATE KEY") || text.contains("token:") || text.contains("client-key-data");
            assert!(!secret || entry.mode & 0o077 == 0, "{} can be read", path.display());
        }
        assert_eq!(host.cluster.object(LEASES, "kube-system", LEASE), None, "stopped after {writes} writes");
        join(&host, &pin, KEY).unwrap();
        assert_eq!((names(&host), votes(&host)), whole, "stopped after {writes} writes");
    }
    assert!(stops >= 20, "the run was stopped {stops} times");
}

#[test]
fn a_member_that_does_not_start_is_taken_back() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.etcd.set(|etcd| etcd.starts_after = None);
    let PhaseError::Action(ActionError::JoinEtcd(JoinEtcdError::NotStarted(error))) =
        cause(join(&host, &pin, KEY).unwrap_err())
    else {
        panic!("another error")
    };
    assert!(error.to_string().contains("the etcd member of this node: it has not started"), "{error}");
    assert_eq!(host.etcd.voters(), [("cp1".to_owned(), true)]);
    assert!(!host.files.exists(MANIFEST.as_ref()));
    assert_eq!(host.cluster.object(LEASES, "kube-system", LEASE), None);
    host.etcd.set(|etcd| etcd.starts_after = Some(1));
    join(&host, &pin, KEY).unwrap();
    assert_eq!(host.etcd.voters().len(), 2);
}

#[test]
fn a_learner_that_is_slow_to_follow_is_waited_for() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.etcd.set(|etcd| {
        etcd.behind = 5;
        etcd.failures.push(("MemberAdd", EtcdError::TooManyLearners));
        etcd.failures.push(("MemberAdd", EtcdError::Unhealthy("unhealthy cluster".into())));
    });
    join(&host, &pin, KEY).unwrap();
    assert!(host.etcd.voters().iter().all(|(_, votes)| *votes));
}

#[test]
fn a_member_that_waits_for_itself_is_made_anew_before_it_votes() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.run_kubelet();
    host.etcd.set(|etcd| etcd.silent = Some(("https://192.0.2.11:2379".into(), 20)));
    join(&host, &pin, KEY).unwrap();
    let stopped = host.runtimes.runtime.set(|runtime| {
        let etcd = runtime.containers.iter().filter(|c| c.name == "etcd");
        etcd.filter(|c| runtime.stopped.contains(&c.id)).count()
    });
    assert_eq!(stopped, 1);
    assert!(host.etcd.voters().iter().all(|(_, votes)| *votes));
}

#[test]
fn a_join_of_another_node_that_never_ends_is_named() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.etcd.set(|etcd| {
        etcd.starts_after = None;
        etcd.members.push(Member {
            id: 0xbeef,
            name: String::new(),
            peer_urls: vec!["https://192.0.2.12:2380".into()],
            client_urls: Vec::new(),
            learner: true,
        });
    });
    let error = join(&host, &pin, KEY).unwrap_err().to_string();
    assert!(error.contains("the member beef at https://192.0.2.12:2380 has been joining"), "{error}");
    assert!(error.contains("etcdctl member remove beef"), "{error}");
}

#[test]
fn a_vote_from_an_earlier_life_is_given_up_first() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.etcd.set(|etcd| {
        etcd.members.push(Member {
            id: 77,
            name: "cp2".into(),
            peer_urls: vec![PEER_URL.into()],
            client_urls: vec!["https://192.0.2.11:2379".into()],
            learner: false,
        });
    });
    join(&host, &pin, KEY).unwrap();
    let changes = host.etcd.set(|etcd| etcd.changes.clone());
    assert_eq!(changes, ["remove 77".to_owned(), format!("add {PEER_URL}"), "promote 2".into()]);
}

#[test]
fn a_dry_run_asks_etcd_and_changes_nothing() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    let folder = "/tmp/dry";
    let spec = wish::dry_join_control_plane(VERSION, TOKEN, std::slice::from_ref(&pin), KEY, folder);
    let run = |host: &MemoryHost, spec: &JoinSpec| {
        let effects = dryrun::over(&host.effects(), &spec.alone.layout);
        block_on(run::run(JOIN, &Selection::Skip(Vec::new()), spec, &spec.context(), &effects))
    };
    let writes = cp1.cluster.writes();
    run(&host, &spec).unwrap();
    let said = host.output.said().join("\n");
    for line in [
        "[dryrun] Would check that the etcd cluster is healthy",
        &format!("[etcd] Would add etcd member: {PEER_URL}"),
        "[etcd] Would wait for the new etcd member to join the cluster",
        "[control-plane-join] Would mark node cp2 as a control-plane",
        "[dryrun] Would write file \"/etc/kubernetes/manifests/etcd.yaml\" with content:",
        &format!("    - --initial-cluster=cp1=https://192.0.2.10:2380,cp2={PEER_URL}"),
    ] {
        assert!(said.contains(line), "{line} was not said:\n{said}");
    }
    assert!(!said.contains("PRIVATE KEY") && !said.contains("leases"), "{said}");
    assert_eq!(cp1.cluster.writes(), writes);
    assert!(host.etcd.set(|etcd| etcd.changes.is_empty()));
    assert!(
        host.files.all().keys().all(|path| path.starts_with(folder) || !path.starts_with("/etc/kubernetes"))
    );

    // Without the cluster its authorities are not known, but what this node would run is.
    let alone = MemoryHost::default();
    alone.machine.set(|state| state.install_kubelet(VERSION));
    alone.cluster.refuse(CONFIG_MAPS, ApiError::Unreachable("connection refused".into()));
    run(&alone, &wish::dry_join_control_plane(VERSION, TOKEN, &[pin], KEY, folder)).unwrap();
    let said = alone.output.said().join("\n");
    assert!(said.contains("[dryrun] Would download the certificates"), "{said}");
    assert!(said.contains("--initial-cluster=cp2=https://192.0.2.11:2380"), "{said}");
}

#[test]
fn data_of_another_etcd_are_refused_and_kept() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    host.files.put(format!("{DATA}/member/snap/db"), "data", 0o600);
    let spec = wish::join_control_plane(VERSION, TOKEN, &[pin], KEY);
    let error = run_phases(&host, &spec, &["preflight"]).unwrap_err();
    let PhaseError::Action(ActionError::JoinEtcd(JoinEtcdError::OtherData(dir))) = cause(error) else {
        panic!("another error")
    };
    assert_eq!(dir, std::path::Path::new(DATA));
    assert_eq!(host.files.text(format!("{DATA}/member/snap/db")).unwrap(), "data");
    assert!(host.etcd.set(|etcd| etcd.changes.is_empty()));
}

#[test]
fn the_turn_of_another_is_waited_for_and_taken_over_when_it_died() {
    let (cp1, pin) = cluster();
    let host = second(&cp1);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "kube-system", "name": LEASE},
        "spec": {"holderIdentity": "cp3", "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    block_on(host.cluster.create(LEASES, &lease)).unwrap();
    let before = host.machine.elapsed();
    join(&host, &pin, KEY).unwrap();
    let took = host.machine.elapsed() - before;
    assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(90), "{took:?}");
    assert_eq!(host.cluster.object(LEASES, "kube-system", LEASE), None);
}

#[test]
fn certificates_that_cannot_be_had_are_told_apart() {
    let (cp1, pin) = cluster();
    let failed = |host: &MemoryHost, key: &str| match cause(join(host, &pin, key).unwrap_err()) {
        PhaseError::DownloadCerts(error) => error,
        other => panic!("{other}"),
    };
    let host = second(&cp1);
    let error = failed(&host, &KEY.replace("00", "11"));
    assert!(matches!(error, DownloadCertsError::Open { .. }), "{error}");
    assert!(!host.files.exists("/etc/kubernetes/pki/ca.key".as_ref()));
    host.files.put("/etc/kubernetes/pki/ca.crt", "another", 0o644);
    assert!(matches!(failed(&host, KEY), DownloadCertsError::OtherAuthority(_)));
    // A server that has just begun to listen refuses everybody; the Secret of a young cluster comes late, too.
    let unauthorized =
        || ApiError::Unauthorized { kubeconfig: "bootstrap".into(), message: "Unauthorized".into() };
    let forbidden = || ApiError::Forbidden("not yet".into());
    for refusal in [unauthorized(), forbidden()] {
        cp1.cluster.refuse_times(SECRETS, refusal, 4);
        join(&second(&cp1), &pin, KEY).unwrap();
    }
    let mut took = Vec::new();
    let mut late = |expected: fn(&DownloadCertsError) -> bool| {
        let host = second(&cp1);
        let start = host.machine.elapsed();
        let error = failed(&host, KEY);
        assert!(expected(&error), "{error}");
        took.push((host.machine.elapsed() - start).as_secs());
    };
    cp1.cluster.refuse(SECRETS, unauthorized());
    late(|error| matches!(error, DownloadCertsError::Secret(ApiError::Unauthorized { .. })));
    cp1.cluster.refuse(SECRETS, forbidden());
    late(|error| matches!(error, DownloadCertsError::Gone));
    cp1.cluster.refuse_times(SECRETS, forbidden(), 0);
    block_on(cp1.cluster.delete(SECRETS, "kube-system", "kubeadm-certs")).unwrap();
    late(|error| matches!(error, DownloadCertsError::Gone));
    assert!(took.iter().all(|took| (10..13).contains(took)), "{took:?}");
    // Without a key they have to be here.
    let PhaseError::NotShared(error) = cause(join(&second(&cp1), &pin, "\"\"").unwrap_err()) else {
        panic!("another error")
    };
    assert_eq!(error.0.len(), 4, "{error}");
    assert!(error.to_string().contains("/etc/kubernetes/pki/etcd/ca.crt does not exist"), "{error}");
}
