//! What the hops of a walk would meet, found before the first.

use futures::executor::block_on;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::phases::upgrade::APPLY;
use kubeadm_engine::resource::{CONFIG_MAPS, NODES};
use kubeadm_engine::run::{self, RunError};
use kubeadm_engine::spec::Ignored;
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::outlook::{self, Outlook};
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_engine::upgrade::walk::{NoWalk, Walk};
use kubeadm_release::Version;
use kubeadm_testkit::MemoryHost;
use serde_json::json;

use crate::upgrade::{NEW, OLD, cluster};
use crate::wish;

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

fn outlooks(host: &MemoryHost, walk: &Walk) -> Vec<Outlook> {
    let writes = host.cluster.writes();
    let found = block_on(outlook::look(walk, &wish::upgrade(None), host.view())).unwrap();
    assert_eq!(host.cluster.writes(), writes, "looking changed something");
    found
}

fn texts(outlook: &Outlook) -> Vec<&str> {
    outlook.blocks.iter().map(|block| block.text.as_str()).collect()
}

fn unblocked(walk: &Walk, found: Vec<Outlook>) -> Result<(), NoWalk> {
    outlook::unblocked(walk, found, &Ignored::default())
}

#[test]
fn a_default_cluster_meets_nothing() {
    let host = cluster(OLD, "");
    let walk = Walk::new(v(OLD), &[], v(NEW)).unwrap();
    let found = outlooks(&host, &walk);
    assert_eq!(found, [Outlook::default()]);
    assert_eq!(unblocked(&walk, found), Ok(()));
}

#[test]
fn arguments_and_gates_that_are_gone_block_the_hop_they_go_with() {
    let more = "controllerManager: {extraArgs: [{name: concurrent-service-syncs, value: \"2\"}]}\n\
                apiServer: {extraArgs: [{name: feature-gates, value: \"NoSuchGate=true\"}]}\n";
    let host = cluster(OLD, more);
    let walk = Walk::new(v(OLD), &[], v(NEW)).unwrap();
    let found = outlooks(&host, &walk);
    assert_eq!(
        texts(&found[0]),
        [
            "kube-controller-manager has no flag --concurrent-service-syncs from v1.37 on: remove it from controllerManager.extraArgs in the ConfigMap kube-system/kubeadm-config"
        ]
    );
    let ignored = Ignored(["componentflags".to_owned()].into());
    assert_eq!(outlook::unblocked(&walk, found.clone(), &ignored), Ok(()));
    let error = unblocked(&walk, found).unwrap_err();
    assert!(error.to_string().contains("--ignore-preflight-errors=ComponentFlags"), "{error}");
    let NoWalk::Blocked { blocks, .. } = error else { panic!("{error}") };
    assert_eq!(blocks[0].0, v(NEW));
}

#[test]
fn arguments_that_a_later_etcd_does_not_start_with_block_the_hop_that_brings_it() {
    let arguments = "[{name: quota-backend-bytes, value: \"1\"},
      {name: experimental-corrupt-check-time, value: 1h},
      {name: experimental-watch-progress-notify-interval, value: 9s},
      {name: log-outputs, value: stderr}, {name: discovery-proxy, value: \"\"},
      {name: feature-gates, value: \"GangScheduling=true\"}]";
    let host = cluster("v1.33.13", &format!("etcd: {{local: {{extraArgs: {arguments}}}}}\n"));
    let between = ["v1.34.4", "v1.35.4", OLD].map(v);
    let walk = Walk::new(v("v1.33.13"), &between, v(NEW)).unwrap();
    let found = outlooks(&host, &walk);
    let place = "remove it from etcd.local.extraArgs in the ConfigMap kube-system/kubeadm-config";
    let blocks: Vec<Vec<&str>> = found.iter().map(texts).collect();
    assert_eq!(
        blocks,
        [
            vec![&*format!(
                "etcd 3.6, which v1.34 brings, does not start with --experimental-watch-progress-notify-interval: {place}; --watch-progress-notify-interval does the same from v1.34 on"
            )],
            vec![],
            vec![],
            vec![
                &*format!(
                    "etcd 3.7, which v1.37 brings, does not start with --experimental-corrupt-check-time: {place}; --corrupt-check-time does the same from v1.34 on"
                ),
                &*format!("etcd 3.7, which v1.37 brings, does not start with --discovery-proxy: {place}"),
            ],
        ]
    );
    let Err(NoWalk::Blocked { blocks, .. }) = unblocked(&walk, found) else { panic!("not refused") };
    assert_eq!(blocks.iter().map(|(hop, _)| hop.clone()).collect::<Vec<_>>(), [v("v1.34.4"), v(NEW)]);
}

#[test]
fn arguments_of_an_etcd_that_stays_block_nothing() {
    let arguments = "extraArgs: [{name: experimental-corrupt-check-time, value: 1h}]";
    let walk = Walk::new(v(OLD), &[], v(NEW)).unwrap();
    let host = cluster(OLD, &format!("etcd: {{local: {{{arguments}}}}}\n"));
    let upgrade = |upgrade_etcd| UpgradeSpec { upgrade_etcd, ..wish::upgrade(None) };
    let blocks = |host: &MemoryHost, spec| {
        block_on(outlook::look(&walk, &spec, host.view())).unwrap().remove(0).blocks
    };
    assert_eq!(blocks(&host, upgrade(true)).len(), 1);
    assert_eq!(blocks(&host, upgrade(false)), []);
    let host = cluster(OLD, &format!("etcd: {{local: {{imageTag: 3.6.8-0, {arguments}}}}}\n"));
    assert_eq!(blocks(&host, upgrade(true)), []);
}

#[test]
fn an_etcd_of_the_users_that_lacks_the_flags_of_a_minor_blocks_it() {
    let walk = Walk::new(v("v1.34.4"), &[v("v1.35.4")], v(OLD)).unwrap();
    let blocks = |tag: &str| {
        let host = cluster("v1.34.4", &format!("etcd: {{local: {{imageTag: {tag}}}}}\n"));
        let found = outlooks(&host, &walk);
        found.iter().map(|outlook| texts(outlook).concat()).collect::<Vec<_>>()
    };
    let found = blocks("3.5.24-0");
    assert_eq!(
        found,
        [
            "",
            "etcd 3.5.24-0, which etcd.local.imageTag in the ConfigMap kube-system/kubeadm-config names, does not know the flags or probes that etcd has in v1.36: name a tag from 3.6.0 on, or none for 3.6.8-0"
        ]
    );
    for tag in ["3.6.0-0", "3.6.5-0", "mine"] {
        assert_eq!(blocks(tag), [""; 2], "{tag}");
    }
}

#[test]
fn each_hop_of_several_meets_its_own() {
    let more = "apiServer: {extraArgs: [{name: feature-gates, value: \"ReadOnlyAPIDataVolumes=true\"}]}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
featureGates: {DynamicProvisioningScheduling: true}
";
    let host = cluster("v1.11.10", more);
    // A Corefile of the user's own, without the plugin that CoreDNS wants since v1.12's.
    let mut map = host.cluster.object(CONFIG_MAPS, "kube-system", "coredns").unwrap();
    map["data"]["Corefile"] = json!(".:53 {\n    errors\n    log\n    proxy . /etc/resolv.conf\n}\n");
    host.cluster.place(CONFIG_MAPS, map);
    let walk = Walk::new(v("v1.11.10"), &[v("v1.12.10")], v("v1.13.12")).unwrap();
    let [first, second] = outlooks(&host, &walk).try_into().unwrap();
    let gate = |name: &str, place: &str| {
        format!("there is no feature gate {name} from v1.12 on: remove it from {place}")
    };
    assert_eq!(
        texts(&first),
        [
            gate("ReadOnlyAPIDataVolumes", "apiServer.extraArgs in the ConfigMap kube-system/kubeadm-config"),
            gate(
                "DynamicProvisioningScheduling",
                "featureGates in the ConfigMap kube-system/kubelet-config-1.11"
            ),
        ]
    );
    assert_eq!(second.blocks, []);
    let told = |outlook: &Outlook, words: &str| outlook.notes.iter().any(|note| note.contains(words));
    assert!(
        told(
            &first,
            "kubeadm.k8s.io/v1alpha2, which cannot be read by kubeadm v1.12: it is converted to kubeadm.k8s.io/v1alpha3"
        ) || told(&first, "kubeadm.k8s.io/v1alpha2, which is older than kubeadm v1.12"),
        "{first:?}"
    );
    assert!(told(&second, "kubeadm.k8s.io/v1alpha3"), "{second:?}");
    assert!(told(&first, "the Corefile does not fit CoreDNS 1.2.2"), "{first:?}");
    // It was rewritten by the first hop.
    assert!(!told(&second, "Corefile"), "{second:?}");
}

#[test]
fn what_the_next_release_cannot_say_or_read_blocks() {
    let host = cluster(OLD, "");
    let mut map = host.cluster.object(CONFIG_MAPS, "kube-system", "coredns").unwrap();
    map["data"]["Corefile"] = json!(".:53 {\n    errors\n");
    host.cluster.place(CONFIG_MAPS, map);
    let walk = Walk::new(v(OLD), &[], v(NEW)).unwrap();
    // CoreDNS changed nothing in the language since: what cannot be read is kept.
    assert_eq!(outlooks(&host, &walk)[0].blocks, []);
    let host = cluster("v1.11.10", "");
    let mut map = host.cluster.object(CONFIG_MAPS, "kube-system", "coredns").unwrap();
    map["data"]["Corefile"] = json!(".:53 {\n    errors\n");
    host.cluster.place(CONFIG_MAPS, map);
    let walk = Walk::new(v("v1.11.10"), &[], v("v1.12.10")).unwrap();
    let found = outlooks(&host, &walk);
    let blocks = &found[0].blocks;
    assert!(
        matches!(blocks.as_slice(), [one] if one.text.starts_with("CoreDNS will not be upgraded: ") && one.check == Some("CoreDNSMigration")),
        "{blocks:?}"
    );
}

#[test]
fn a_later_hop_names_the_config_map_that_is_there() {
    let more = "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfeatureGates: {TTLAfterFinished: true}\n";
    let host = cluster("v1.23.17", more);
    let walk = Walk::new(v("v1.23.17"), &[v("v1.24.17")], v("v1.25.16")).unwrap();
    let found = outlooks(&host, &walk);
    assert_eq!(
        texts(&found[1]),
        [
            "there is no feature gate TTLAfterFinished from v1.25 on: remove it from featureGates in the ConfigMap kube-system/kubelet-config-1.23"
        ]
    );
}

#[test]
fn nodes_with_docker_are_told_before_kubelets_stop_to_speak_to_it() {
    let host = cluster("v1.22.17", "");
    let mut node = host.cluster.object(NODES, "", "cp1").unwrap();
    node["metadata"]["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"] =
        json!("/var/run/dockershim.sock");
    host.cluster.place(NODES, node);
    let walk = Walk::new(v("v1.22.17"), &["v1.23.17", "v1.24.17"].map(v), v("v1.25.16")).unwrap();
    let told: Vec<bool> = outlooks(&host, &walk)
        .iter()
        .map(|outlook| {
            outlook
                .notes
                .iter()
                .any(|note| note.contains("do not speak to Docker any more: before those of nodes [cp1]"))
        })
        .collect();
    assert_eq!(told, [false, true, false]);
}

#[test]
fn values_that_a_component_refuses_block_the_hop_they_go_with() {
    let more = "apiServer: {extraArgs: [{name: enable-admission-plugins, value: \"NodeRestriction,PodSecurityPolicy\"}, {name: feature-gates, value: \"RemoveSelfLink=false\"}]}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: userspace
";
    let host = cluster("v1.23.17", more);
    let walk = Walk::new(v("v1.23.17"), &["v1.24.17", "v1.25.16"].map(v), v("v1.26.15")).unwrap();
    let found = outlooks(&host, &walk);
    let place = "apiServer.extraArgs in the ConfigMap kube-system/kubeadm-config";
    assert_eq!(
        found.iter().map(texts).collect::<Vec<_>>(),
        [
            vec![format!(
                "the feature gate RemoveSelfLink is always true from v1.24 on, and nothing starts with RemoveSelfLink=false: remove it from {place}"
            )],
            vec![format!(
                "kube-apiserver of v1.25 does not start with PodSecurityPolicy in --enable-admission-plugins: remove it from {place}, or say PodSecurity"
            )],
            vec![
                "kube-proxy of v1.26 does not start with userspace in --proxy-mode: remove it from mode in the ConfigMap kube-system/kube-proxy, or say iptables".to_owned()
            ],
        ]
    );
}

#[test]
fn an_upgrade_of_one_hop_looks_too_and_may_be_told_not_to() {
    let host =
        cluster(OLD, "controllerManager: {extraArgs: [{name: concurrent-service-syncs, value: \"2\"}]}\n");
    let run = |spec: &UpgradeSpec| {
        block_on(run::run(APPLY, &Selection::Skip(Vec::new()), spec, &spec.context(), &host.effects()))
    };
    let writes = host.cluster.writes();
    let RunError::Phase { source, .. } =
        run(&UpgradeSpec { policy: Policy { force: true, ..Policy::default() }, ..wish::upgrade(Some(NEW)) })
            .unwrap_err()
    else {
        panic!("not a phase")
    };
    let PhaseError::Preflight(report) = *source else { panic!("{source}") };
    assert_eq!(report.errors[0].0, "ComponentFlags");
    assert!(report.errors[0].1.contains("no flag --concurrent-service-syncs"), "{report:?}");
    assert_eq!(host.cluster.writes(), writes);
    run(&UpgradeSpec { ignored: Ignored(["componentflags".to_owned()].into()), ..wish::upgrade(Some(NEW)) })
        .unwrap();
}
