//! What an earlier run for this node left is no obstacle; what others left is.

use kubeadm_engine::ports::ListenError;
use kubeadm_testkit::MemoryHost;

use super::{FILES, MANIFEST, NEW, check, host, run, wrong};
use crate::wish;

fn pod(component: &str, flags: &[&str]) -> String {
    let flags: String = flags.iter().map(|flag| format!("    - --{flag}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {{component: {component}, tier: control-plane}}\nspec:\n  containers:\n  - command:\n    - {component}\n{flags}"
    )
}

/// Puts down what an earlier run for `cp1` at 192.0.2.10 left, and has all ports taken by its components.
fn ran_before(host: &MemoryHost) {
    let manifests = [
        pod("kube-apiserver", &["advertise-address=192.0.2.10"]),
        pod("kube-controller-manager", &["bind-address=127.0.0.1"]),
        pod("kube-scheduler", &["bind-address=127.0.0.1"]),
        pod("etcd", &["name=cp1", "initial-cluster=cp1=https://192.0.2.10:2380"]),
    ];
    for (name, text) in
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"].iter().zip(manifests)
    {
        host.files.put(format!("/etc/kubernetes/manifests/{name}.yaml"), text, 0o600);
    }
    host.files.put("/etc/kubernetes/kubelet.conf", "users:\n- name: system:node:cp1\n", 0o600);
    host.files.put("/var/lib/etcd/member/wal/0.wal", "x", 0o600);
    host.machine.set(|state| {
        for (port, owner) in [
            (6443, "kube-apiserver (process 1)"),
            (10259, "kube-scheduler (process 2)"),
            (10257, "kube-controller (process 3)"),
            (10250, "kubelet (process 4)"),
            (2379, "etcd (process 5)"),
        ] {
            state.ports.insert(port, ListenError::InUse { owner: Some(owner.into()) });
        }
        state.ports.insert(2380, ListenError::InUse { owner: None });
    });
}

#[test]
fn our_own_work_is_no_error() {
    let host = host(NEW);
    ran_before(&host);
    assert_eq!(run(&host, &wish::init(NEW, ""), &[]), Ok(Vec::new()));
}

#[test]
fn the_same_work_for_another_node_is_a_strangers() {
    let host = host(NEW);
    ran_before(&host);
    let mut spec = wish::init(NEW, "");
    spec.init.node_registration.name = "cp2".into();
    spec.advertise_address = "192.0.2.11".parse().unwrap();
    let report = run(&host, &spec, &[]).unwrap_err();
    let names: Vec<&str> = report.errors.iter().map(|(name, _)| name.as_str()).collect();
    let expected = format!(
        "Port-6443 Port-10259 Port-10257 {FILES} Port-10250 Port-2379 Port-2380 DirAvailable--var-lib-etcd"
    );
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(report.errors[3].1, format!("{MANIFEST} already exists"));
}

#[test]
fn strangers_beside_our_own_work_are_errors() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    ran_before(&host);
    let owner = Some("haproxy (process 9)".to_owned());
    host.machine.set(|state| state.ports.insert(6443, ListenError::InUse { owner }));
    wrong(&check(&host, &spec, "Port-6443"), "Port 6443 is in use by haproxy (process 9)");
    // Not made by kubeadm.
    let id = "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml";
    host.files.put(MANIFEST, "kind: Pod\nmetadata: {labels: {app: mine}}\n", 0o600);
    wrong(&check(&host, &spec, id), &format!("{MANIFEST} already exists"));
    host.files.put(MANIFEST, ": no yaml [", 0o600);
    wrong(&check(&host, &spec, id), &format!("{MANIFEST} already exists"));
    // An etcd with other members is part of a cluster that this node would break.
    let etcd =
        pod("etcd", &["name=cp1", "initial-cluster=cp0=https://192.0.2.9:2380,cp1=https://192.0.2.10:2380"]);
    host.files.put("/etc/kubernetes/manifests/etcd.yaml", etcd, 0o600);
    wrong(&check(&host, &spec, "DirAvailable--var-lib-etcd"), "/var/lib/etcd is not empty");
}
