//! Upgrades across minors over a machine and a cluster in memory: what they leave, where they stop, and how they go on.

use futures::executor::block_on;
use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::resource::{DEPLOYMENTS, NODES, PODS};
use kubeadm_engine::run::{ActionError, Executor, RunError};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_engine::upgrade::walk::{NoWalk, Walk, WalkError, look};
use kubeadm_release::Version;
use kubeadm_testkit::{MemoryEtcd, MemoryHost};
use serde_json::json;

use crate::upgrade::{NEW, OLD, cluster, manifests};
use crate::wish;

const FIRST: &str = "v1.11.10";
const SECOND: &str = "v1.12.10";
const THIRD: &str = "v1.13.12";

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

/// A node of the first version, whose etcd is at home only.
fn first() -> MemoryHost {
    MemoryHost { etcd: MemoryEtcd::with(&[("cp1", "127.0.0.1")]), ..cluster(FIRST, "") }
}

/// Looks where the cluster stands, and walks on from there.
fn walk(host: &MemoryHost, between: &[&str], to: &str) -> (Walk, Result<(), WalkError>) {
    walk_as(&wish::upgrade(None), host, between, to)
}

fn walk_as(
    spec: &UpgradeSpec,
    host: &MemoryHost,
    between: &[&str],
    to: &str,
) -> (Walk, Result<(), WalkError>) {
    let (effects, context) = (host.effects(), spec.context());
    let (from, state) = block_on(look(spec, &Executor::new(&context, &effects))).unwrap();
    let between: Vec<Version> = between.iter().map(|version| v(version)).collect();
    let walk = Walk::new(from, &between, v(to)).unwrap();
    walk.allowed(&state, &spec.kubeadm_version, spec.policy).unwrap();
    let outcome = block_on(walk.run(spec, &[], &effects));
    (walk, outcome)
}

#[test]
fn a_walk_leaves_what_init_of_the_last_version_makes() {
    let (host, fresh) = (first(), cluster(THIRD, ""));
    let (walked, outcome) = walk(&host, &[SECOND], THIRD);
    outcome.unwrap();
    assert_eq!(walked.hops, [v(SECOND), v(THIRD)]);
    assert_eq!(manifests(&host), manifests(&fresh));
    let said = host.output.said().join("\n");
    let lines = [
        format!("[upgrade] Hop 1 of 2: {FIRST} to {SECOND}"),
        format!("was upgraded to {SECOND:?}"),
        format!("[upgrade] Hop 2 of 2: {SECOND} to {THIRD}"),
        format!("was upgraded to {THIRD:?}"),
    ];
    let at: Vec<Option<usize>> = lines.iter().map(|line| said.find(line)).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?}\n{said}");
}

#[test]
fn a_hop_that_fails_ends_the_walk_and_the_next_one_goes_on_from_there() {
    let host = first();
    let break_scheduler = |of: &[&str]| {
        let broken = of.iter().map(|version| format!("kube-scheduler:{version}")).collect();
        host.runtimes.runtime.set(|runtime| runtime.broken = broken);
    };
    break_scheduler(&[THIRD]);
    let (_, outcome) = walk(&host, &[SECOND], THIRD);
    let Err(WalkError::Hop { from, to, source }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((from, *to), (v(SECOND), v(THIRD)));
    let RunError::Phase { path, source } = *source else { panic!("{source}") };
    assert_eq!(path, "control-plane");
    assert!(matches!(*source, PhaseError::Action(ActionError::Replace(_))), "{source}");
    // The static pods are those of the hop before.
    assert!(manifests(&host)["kube-apiserver"].contains(SECOND));
    break_scheduler(&[]);
    let (walked, outcome) = walk(&host, &[SECOND], THIRD);
    outcome.unwrap();
    assert_eq!(walked.hops, [v(THIRD)]);
    assert!(manifests(&host)["kube-scheduler"].contains(THIRD));
    // Once there, the same walk finds nothing to change.
    let before = host.files.changes().len();
    let (walked, outcome) = walk(&host, &[SECOND], THIRD);
    outcome.unwrap();
    assert_eq!(walked.hops, [v(THIRD)]);
    let changed = &host.files.changes()[before..];
    assert!(!changed.iter().any(|path| path.starts_with("/etc/kubernetes/manifests")), "{changed:?}");
}

#[test]
fn other_control_planes_follow_between_hops() {
    let host = first();
    let other = |version: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "kube-apiserver-cp2", "namespace": "kube-system",
                "labels": {"component": "kube-apiserver", "tier": "control-plane"},
            },
            "spec": {"nodeName": "cp2", "containers": [{"image": format!("r/kube-apiserver:{version}")}]},
        })
    };
    host.cluster.place(PODS, other(FIRST));
    let (_, outcome) = walk(&host, &[SECOND], THIRD);
    let Err(WalkError::Others { version, nodes }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((version, nodes), (v(SECOND), vec!["cp2".to_owned()]));
    // It cannot be taken up again before they have.
    let spec = wish::upgrade(None);
    let (effects, context) = (host.effects(), spec.context());
    let (from, state) = block_on(look(&spec, &Executor::new(&context, &effects))).unwrap();
    let refused = Walk::new(from, &[], v(THIRD)).unwrap().allowed(&state, &v(NEW), Policy::default());
    assert_eq!(refused, Err(NoWalk::Behind { version: v(SECOND), nodes: vec!["cp2".into()] }));
    host.cluster.place(PODS, other(SECOND));
    walk(&host, &[], THIRD).1.unwrap();
}

#[test]
fn a_cluster_that_is_not_well_after_a_hop_is_waited_for_and_then_told() {
    let host = cluster(OLD, "etcd: {external: {endpoints: [\"http://192.0.2.20:2379\"]}}\n");
    let pod = |ready: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "etcd-cp1", "namespace": "kube-system",
                "labels": {"component": "etcd", "tier": "control-plane"},
            },
            "spec": {"nodeName": "cp1", "containers": [{"image": "r/etcd:3.6.8-0"}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    };
    host.cluster.place(PODS, pod("False"));
    let outcome = walk(&host, &[], NEW).1;
    let Err(error @ WalkError::Unwell { .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        error.to_string(),
        "the cluster was upgraded to v1.37.2 and is not well after 5m0s: Pod kube-system/etcd-cp1 is not ready"
    );
    host.cluster.place(PODS, pod("True"));
    walk(&host, &[], NEW).1.unwrap();
}

#[test]
fn add_ons_have_to_roll_out_between_hops() {
    let host = cluster(OLD, "");
    let deployment = |observed: u32| {
        let mut deployment = host.cluster.object(DEPLOYMENTS, "kube-system", "coredns").unwrap();
        deployment["metadata"]["generation"] = json!(2);
        deployment["status"] = json!({"observedGeneration": observed, "replicas": 2});
        host.cluster.place(DEPLOYMENTS, deployment);
    };
    let pod = |image: &str, conditions: serde_json::Value| {
        host.cluster.place(
            PODS,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "coredns-0", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"},
                },
                "spec": {"containers": [{"image": image}]},
                "status": {"conditions": conditions},
            }),
        );
    };
    let ready = || json!([{"type": "Ready", "status": "True"}]);
    let image = "registry.k8s.io/coredns/coredns:v1.14.6";
    let unwell = || {
        let outcome = walk(&host, &[], NEW).1;
        let Err(WalkError::Unwell { findings, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(findings, [format!("Deployment kube-system/coredns has no ready Pod of {image} yet")]);
    };
    pod(image, ready());
    deployment(1);
    unwell();
    deployment(2);
    pod("registry.k8s.io/coredns/coredns:v1.12.0", ready());
    unwell();
    pod(image, json!([{"type": "PodScheduled", "status": "True"}]));
    unwell();
    pod(image, ready());
    walk(&host, &[], NEW).1.unwrap();
}

#[test]
fn what_is_ignored_before_a_hop_is_ignored_after_it() {
    let host = cluster(OLD, "");
    let mut node = host.cluster.object(NODES, "", "cp1").unwrap();
    node["status"] = json!({"conditions": [{"type": "Ready", "status": "False"}]});
    host.cluster.place(NODES, node);
    let mut spec = wish::upgrade(None);
    spec.ignored.0.insert("controlplanenodesready".into());
    walk_as(&spec, &host, &[], NEW).1.unwrap();
}

#[test]
fn an_image_of_a_later_hop_that_is_not_to_be_had_is_found_before_the_first() {
    let host = first();
    let before = (manifests(&host), host.cluster.writes());
    host.runtimes.runtime.set(|runtime| runtime.failing_pulls = 1000);
    let spec = wish::upgrade(None);
    let outcome = walk_as(&spec, &host, &[SECOND], THIRD).1;
    let Err(WalkError::Before(source)) = outcome else { panic!("{outcome:?}") };
    let PhaseError::Action(ActionError::Check { check: "ImagePull", faults }) = *source else {
        panic!("{source}")
    };
    for version in [SECOND, THIRD] {
        let image = format!("kube-apiserver:{version}");
        assert!(faults.iter().any(|fault| fault.contains(&image)), "{image}\n{faults:?}");
    }
    assert_eq!((manifests(&host), host.cluster.writes()), before);
}

#[test]
fn the_question_is_asked_once() {
    let host = first();
    host.output.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    let spec = UpgradeSpec { interactive: true, ..wish::upgrade(None) };
    let outcome = walk_as(&spec, &host, &[SECOND], THIRD).1;
    let Err(WalkError::Before(source)) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(*source, PhaseError::Action(ActionError::Declined)), "{source}");
    host.output.refuses.store(false, std::sync::atomic::Ordering::Relaxed);
    let questions = || host.output.said().iter().filter(|line| line.contains("[y/N]")).count();
    let before = questions();
    walk_as(&spec, &host, &[SECOND], THIRD).1.unwrap();
    assert_eq!(questions() - before, 1);
}

#[test]
fn a_walk_goes_as_far_as_kubelets_allow() {
    let host = first();
    let kubelet = |version: &str| {
        let mut node = host.cluster.object(NODES, "", "cp1").unwrap();
        node["status"]["nodeInfo"]["kubeletVersion"] = json!(version);
        host.cluster.place(NODES, node);
    };
    kubelet(FIRST);
    let (_, outcome) = walk(&host, &[SECOND], THIRD);
    let Err(error) = outcome else { panic!("it did not stop") };
    assert_eq!(
        error.to_string(),
        "the cluster was upgraded to v1.12.10, and v1.13.12 has to wait: the kubelets of nodes [cp1] are too old for it; \
         upgrade them to v1.12 (`kubeadm upgrade node` and the new kubelet on each), or pass --force"
    );
    assert!(manifests(&host)["kube-apiserver"].contains(SECOND));
    kubelet(SECOND);
    let (walked, outcome) = walk(&host, &[SECOND], THIRD);
    outcome.unwrap();
    assert_eq!(walked.hops, [v(THIRD)]);
}
