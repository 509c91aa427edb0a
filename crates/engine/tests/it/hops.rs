//! Every hop from a minor to the next, over a machine and a cluster in memory: what `upgrade apply` leaves is what `init` of the
//! new release makes, but for what users may have changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::upgrade::APPLY;
use kubeadm_engine::resource::NODES;
use kubeadm_engine::run;
use kubeadm_release::facts::component_config;
use kubeadm_release::facts::etcd::EtcdTopology;
use kubeadm_release::facts::gone::environment;
use kubeadm_release::{Release, SERVED_MINORS, Version, skew};
use kubeadm_testkit::{MemoryEtcd, MemoryHost};
use serde_json::{Value, json};

use crate::upgrade::{cluster, manifests};
use crate::wish;

/// What the machine in memory asks for, which has cgroups of version 1.
const CGROUP_V1: &str = "---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
";

fn version(minor: u32) -> String {
    Version::new(1, minor, 2).to_string()
}

fn release(minor: u32) -> Release {
    Release::of(&Version::new(1, minor, 0)).unwrap()
}

fn of(minor: u32) -> MemoryHost {
    let known = component_config::kubelet(&release(minor)).fields;
    let says = known.iter().any(|field| field.path == "failCgroupV1");
    cluster(&version(minor), if says { CGROUP_V1 } else { "" })
}

/// A cluster that `upgrade apply` took from a minor to the next.
fn upgraded(from: u32, to: u32) -> MemoryHost {
    let host = of(from);
    let host = match release(from).etcd.topology {
        EtcdTopology::Loopback => MemoryHost { etcd: MemoryEtcd::with(&[("cp1", "127.0.0.1")]), ..host },
        EtcdTopology::Advertised => host,
    };
    let spec = wish::upgrade(Some(&version(to)));
    let outcome =
        block_on(run::run(APPLY, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects()));
    outcome.unwrap_or_else(|error| panic!("v1.{from} to v1.{to}: {error}"));
    host
}

#[test]
fn every_hop_leaves_what_init_of_the_next_minor_makes() {
    for pair in SERVED_MINORS.windows(2) {
        let [from, to] = pair else { panic!("{pair:?}") };
        let (host, fresh) = (upgraded(*from, *to), of(*to));
        let (mut ours, mut theirs) = (manifests(&host), manifests(&fresh));
        let (release, etcd) = (release(*to), release(*from).images.etcd);
        // The last patch of a minor may have a newer etcd than the next minor's: it stays.
        if skew::etcd_tag_precedes(release.images.etcd, etcd) {
            ours.remove("etcd");
            theirs.remove("etcd");
        }
        assert_eq!(ours, theirs, "v1.{to}");
        assert_eq!(files(&host), files(&fresh), "v1.{to}");
        let env = host.files.text("/var/lib/kubelet/kubeadm-flags.env").unwrap();
        let gone = environment(&release);
        assert!(!gone.iter().any(|unfit| env.contains(&format!("--{}=", unfit.flag))), "v1.{to}: {env}");
        let mut ours = host.cluster.objects();
        for (path, theirs) in fresh.cluster.objects().into_iter().filter(|(path, _)| is_the_releases(path)) {
            let ours = ours.remove(&path).unwrap_or_else(|| panic!("v1.{to}: {path} is missing"));
            assert_eq!(compared(ours), compared(theirs), "v1.{to}: {path}");
        }
    }
}

/// Paths of kubeadm's files.
fn files(host: &MemoryHost) -> BTreeSet<PathBuf> {
    let folders = ["/etc/kubernetes", "/var/lib/kubelet"].map(Path::new);
    let ours = |path: &PathBuf| {
        folders.iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/etc/kubernetes/tmp")
    };
    let all = host.files.all().into_iter().filter(|(_, entry)| entry.content.is_some());
    all.map(|(path, _)| path).filter(ours).collect()
}

/// Whether an object is as the release says. The configurations are the cluster's own and keep what was said before, and
/// others are made once in a cluster's life.
fn is_the_releases(path: &str) -> bool {
    let configurations = ["configmaps/kubeadm-config", "configmaps/kubelet-config", "configmaps/kube-proxy"];
    let once = ["cluster-info", "/secrets/", "/jobs/"];
    // Mirrors of the manifests.
    let others = ["/pods/"];
    !configurations.iter().chain(&once).chain(&others).any(|part| path.contains(part))
}

fn compared(mut object: Value) -> Value {
    object["metadata"]["resourceVersion"].take();
    // A set.
    if let Some(taints) = object["spec"]["taints"].as_array_mut() {
        taints.sort_by_key(Value::to_string);
    }
    // What says nothing.
    if object["metadata"]["annotations"] == json!({}) {
        object["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    object
}

#[test]
fn nodes_that_others_made_control_planes_are_marked_too() {
    let host = of(23);
    let mut other = host.cluster.object(NODES, "", "cp1").unwrap();
    other["metadata"]["name"] = json!("cp2");
    // This one runs pods of users.
    other["spec"]["taints"] = json!([{ "key": "mine", "effect": "NoExecute" }]);
    host.cluster.place(NODES, other);
    let spec = wish::upgrade(Some(&version(24)));
    block_on(run::run(APPLY, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects())).unwrap();
    let node = host.cluster.object(NODES, "", "cp2").unwrap();
    let labels: Vec<&String> = node["metadata"]["labels"].as_object().unwrap().keys().collect();
    assert!(!labels.contains(&&"node-role.kubernetes.io/master".to_owned()), "{labels:?}");
    assert_eq!(node["spec"]["taints"], json!([{ "key": "mine", "effect": "NoExecute" }]));
    let said = host.output.said().join("\n");
    let line = "Marking the control-plane node cp2: the labels [node-role.kubernetes.io/master] are removed";
    assert!(said.contains(line), "{said}");
}

#[test]
fn an_interrupted_hop_marks_nodes_when_it_goes_on() {
    let host = of(20);
    let spec = wish::upgrade(Some(&version(21)));
    let up_to = |skip: &[&str]| {
        let (spec, skip) = (spec.towards(spec.target.clone().unwrap()), skip.iter().map(|s| (*s).to_owned()));
        block_on(run::run(APPLY, &Selection::Skip(skip.collect()), &spec, &spec.context(), &host.effects()))
            .unwrap();
    };
    let label = || {
        let node = host.cluster.object(NODES, "", "cp1").unwrap();
        node["metadata"]["labels"].get("node.kubernetes.io/exclude-from-external-load-balancers").is_some()
    };
    // All that the first try got done came after the control plane.
    up_to(&["control-plane", "upload-config", "addon"]);
    assert!(!label());
    up_to(&[]);
    assert!(label());
    // Who takes it away is not given it again.
    let mut node = host.cluster.object(NODES, "", "cp1").unwrap();
    node["metadata"]["labels"].as_object_mut().unwrap().retain(|key, _| !key.contains("exclude"));
    host.cluster.place(NODES, node);
    up_to(&[]);
    assert!(!label());
}
