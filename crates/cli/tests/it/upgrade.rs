//! `upgrade`: what its commands refuse, and what `plan` and `diff` say of a cluster. The phases are tested in the engine.

use serde_json::{Value, json};

use super::api::ApiServer;
use super::env::TestEnv;

const OLD: &str = "v1.36.3";
const MINE: &str = "
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
";

#[test]
fn what_is_asked_for_wrongly_is_refused_in_the_words_of_the_original() {
    let env = TestEnv::new();
    env.write("u.yaml", MINE);
    for (line, words) in [
        ("apply", "error: missing one or more required arguments. Required arguments: [version]"),
        ("apply --config u.yaml", "Required arguments: [version]"),
        ("apply phase addon all", "Required arguments: [version]"),
        ("apply v1.37.2 --config u.yaml --force", "error: can not mix '--config' with arguments [force]"),
        ("node --config u.yaml --patches /p", "can not mix '--config' with arguments [patches]"),
        ("plan --config u.yaml --print-config", "can not mix '--config' with arguments [print-config]"),
        (
            "diff --kubeconfig no",
            "couldn't create a Kubernetes client from file \"no\": failed to load admin kubeconfig: open no: no such file",
        ),
        (
            "apply phase preflight v1.37.2 --kubeconfig no",
            "couldn't create a Kubernetes client from file \"no\"",
        ),
        ("apply banana --kubeconfig u.yaml", "version \"banana\" doesn't match patterns"),
        ("apply v1.37.2 --kubeconfig u.yaml --skip-phases nope", "error: invalid phase name: nope"),
        ("plan -o xml", "could not construct output printer"),
        ("apply v1.36.0 v1.37.0", "accepts at most 1 arg(s), received 2"),
        ("node phase kubeconfig", "unknown command \"kubeconfig\""),
        ("apply ci/latest --kubeconfig u.yaml", "ci/latest"),
        ("apply --through next --kubeconfig u.yaml", "--through: expected versions such as v1.37 or v1.37.2"),
        ("apply v1.37.2 --through v1.37.2", "name the version by --through or as an argument, not both"),
        ("apply --through v1.37.2 --dry-run --kubeconfig u.yaml", "--through has no --dry-run"),
        ("plan --to next --kubeconfig u.yaml", "--to: expected versions such as v1.37 or v1.37.2"),
        ("plan v1.37.2 --to v1.37.2", "name the version by --to or as an argument, not both"),
        ("apply phase preflight --through v1.37.2", "unknown flag: --through"),
    ] {
        let stderr = env.line(&format!("upgrade {line}")).fails();
        assert!(stderr.contains(words), "upgrade {line}\n{stderr}");
    }
}

#[test]
fn help_shows_the_phases_but_for_the_hidden_one() {
    let env = TestEnv::new();
    let help = env.line("upgrade apply --help").ok();
    for phase in
        ["preflight", "control-plane", "upload-config", "kubelet-config", "bootstrap-token", "post-upgrade"]
    {
        assert!(help.contains(&format!("  {phase} ")), "{phase}\n{help}");
    }
    let node = env.line("upgrade node --help").ok();
    assert!(!help.contains("  kubeconfig  ") && !node.contains("  kubeconfig  "), "{help}{node}");
    assert!(env.line("upgrade apply phase upload-config kubelet --help").ok().contains("[version]"));
}

/// A root with the manifests and credentials of a control-plane node, and its cluster.
fn cluster() -> (TestEnv, ApiServer) {
    let env = TestEnv::new();
    let api = ApiServer::start();
    std::fs::create_dir_all(env.path("root/etc/kubernetes")).unwrap();
    let configuration = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: {OLD}\n\
         featureGates: {{NodeLocalCRISocket: true}}\n"
    );
    env.write(
        "root/c.yaml",
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: 192.0.2.10}}\n\
             nodeRegistration: {{criSocket: unix:///run/none.sock}}\n---\n{}",
            configuration.replace("featureGates: {NodeLocalCRISocket: true}\n", "")
        ),
    );
    for phase in ["control-plane all", "etcd local"] {
        env.line_in(&env.path("root"), &format!("init phase {phase} --config /c.yaml")).ok();
    }
    env.write("root/etc/kubernetes/ca.crt", "");
    env.write("root/etc/kubernetes/admin.conf", api.kubeconfig("/etc/kubernetes/ca.crt"));
    api.keep(&configuration);
    let map = |name: &str, key: &str, text: &str| {
        let map = json!({"metadata": {"name": name}, "data": {key: text}});
        api.put(&format!("/api/v1/namespaces/kube-system/configmaps/{name}"), map);
    };
    let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    map("kubelet-config", "kubelet", kubelet);
    map(
        "kube-proxy",
        "config.conf",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n",
    );
    for (component, image) in [
        ("kube-apiserver", "kube-apiserver:v1.36.3"),
        ("kube-controller-manager", "kube-controller-manager:v1.36.3"),
        ("kube-scheduler", "kube-scheduler:v1.36.3"),
        ("etcd", "etcd:3.6.8-0"),
    ] {
        let pod = json!({
            "metadata": {
                "name": format!("{component}-cp1"),
                "labels": {"component": component, "tier": "control-plane"},
            },
            "spec": {"nodeName": "cp1", "containers": [{"image": format!("registry.k8s.io/{image}")}]},
        });
        api.put(&format!("/api/v1/namespaces/kube-system/pods/{component}-cp1"), pod);
    }
    let node = json!({
        "metadata": {"name": "cp1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"nodeInfo": {"kubeletVersion": OLD}, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    api.put("/api/v1/nodes/cp1", node);
    let deployment = json!({
        "metadata": {"name": "coredns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": "r/coredns:v1.13.1"}]}}},
    });
    api.put("/apis/apps/v1/namespaces/kube-system/deployments/coredns", deployment);
    (env, api)
}

#[test]
fn a_plan_tells_what_would_run() {
    let (env, _api) = cluster();
    let root = env.path("root");
    let plan = env.line_in(&root, "upgrade plan v1.37.2").ok();
    for words in [
        "[preflight] Running pre-flight checks",
        "[upgrade/config] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...",
        "[upgrade] Running cluster health checks",
        "[upgrade] Fetching available versions to upgrade to",
        "[upgrade/versions] Cluster version: 1.36.3",
        "[upgrade/versions] kubeadm version: v1.37.2",
        "[upgrade/versions] Target version: v1.37.2",
        "kubelet     cp1       v1.36.3   v1.37.2",
        "CoreDNS                             v1.13.1   v1.14.6",
        "etcd                      cp1       3.6.8-0   3.7.0-0",
        "\tkubeadm upgrade apply v1.37.2\n",
        "kubelet.config.k8s.io     v1beta1           v1beta1             no",
    ] {
        assert!(plan.contains(words), "{words}\n{plan}");
    }
    // A given version says nothing of the cluster's own minor.
    assert!(!plan.contains("series"), "{plan}");

    let json = env.line_in(&root, "upgrade plan v1.37.2 -o json --print-config").ok();
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["availableUpgrades"][0]["description"], "stable version");
    let none = env.line_in(&root, "upgrade plan v1.36.3 -o json").ok();
    let object: Value = serde_json::from_str(&none).unwrap();
    assert_eq!((object["kind"].as_str(), &object["availableUpgrades"]), (Some("UpgradePlan"), &json!([])));
    let text = env.line_in(&root, "upgrade plan v1.36.4").ok();
    assert!(text.contains("Upgrade to the latest version in the v1.36 series:"), "{text}");
}

#[test]
fn a_plan_of_a_cluster_that_is_not_well_says_so() {
    let (env, api) = cluster();
    let node = json!({
        "metadata": {"name": "cp1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
    });
    api.put("/api/v1/nodes/cp1", node);
    let stderr = env.line_in(&env.path("root"), "upgrade plan v1.37.2").fails();
    assert!(
        stderr.contains(
            "\t[ERROR ControlPlaneNodesReady]: there are NotReady control-planes in the cluster: [cp1]"
        ),
        "{stderr}"
    );
    assert!(stderr.contains("error: preflight checks failed\n"), "{stderr}");
    let ignored = "--ignore-preflight-errors=ControlPlaneNodesReady";
    env.line_in(&env.path("root"), &format!("upgrade plan v1.37.2 {ignored}")).ok();
}

#[test]
fn a_way_that_cannot_be_gone_is_refused_before_it_begins() {
    let (env, api) = cluster();
    let root = env.path("root");
    std::fs::create_dir_all(env.path("root/var/lib/kubelet")).unwrap();
    let flags = "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/none.sock\"\n";
    env.write("root/var/lib/kubelet/kubeadm-flags.env", flags);
    let refused = |stops: &str| env.line_in(&root, &format!("upgrade apply --yes --through {stops}")).fails();
    let stderr = refused("v1.35.4");
    assert!(
        stderr.contains("the cluster is at v1.36.3 already") && stderr.contains("v1.35.4 is older"),
        "{stderr}"
    );
    let node = json!({
        "metadata": {"name": "w1", "labels": {}},
        "status": {"nodeInfo": {"kubeletVersion": "v1.33.9"}},
    });
    api.put("/api/v1/nodes/w1", node);
    let stderr = refused("v1.37.2");
    for words in [
        "error: the way from v1.36.3 to v1.37.2 cannot be gone, and nothing was changed:",
        "v1.37.2:\n\t- There are kubelets in this cluster that are too old that have these versions [v1.33.9]",
        "--force",
    ] {
        assert!(stderr.contains(words), "{words}\n{stderr}");
    }
    // What a component does not start with is not forced, but ignored by its check.
    api.keep(&with_lost_flag());
    let stderr = refused("v1.37.2 --force");
    for words in [
        "kube-controller-manager has no flag --concurrent-service-syncs from v1.37 on",
        "To go it all the same, pass --ignore-preflight-errors=ComponentFlags",
    ] {
        assert!(stderr.contains(words), "{words}\n{stderr}");
    }
    let stderr = refused("v1.37.2 --force --ignore-preflight-errors=ComponentFlags");
    assert!(!stderr.contains("cannot be gone"), "{stderr}");
}

fn with_lost_flag() -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: {OLD}\n\
         controllerManager: {{extraArgs: [{{name: concurrent-service-syncs, value: \"2\"}}]}}\n"
    )
}

#[test]
fn the_whole_way_is_shown_with_what_changes_and_what_blocks_it() {
    let (env, api) = cluster();
    let root = env.path("root");
    let text = env.line_in(&root, "upgrade plan --to v1.37.2").ok();
    for words in [
        "The way from v1.36.3 to v1.37.2:\n\n1. v1.36.3 to v1.37.2\n",
        "\n     ~ etcd: 3.6.8-0 -> 3.7.0-0\n",
        "\n     - read: v1beta3\n",
        "\n     - kube-controller-manager: flags: concurrent-service-syncs\n",
        "\n   to know:\n     - kubeadm's feature gate NodeLocalCRISocket has no effect from v1.37.2 on\n",
        "\n\tkubeadm upgrade apply --through v1.37.2\n",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("BLOCKED"), "{text}");

    api.keep(&with_lost_flag());
    let stderr = env.line_in(&root, "upgrade plan v1.37.2").stderr;
    assert!(stderr.contains("v1.37.2 is blocked: kube-controller-manager has no flag"), "{stderr}");
    let node = json!({"metadata": {"name": "w1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.33.9"}}});
    api.put("/api/v1/nodes/w1", node);
    let text = env.line_in(&root, "upgrade plan --to v1.37.2").ok();
    for words in [
        "\n   BLOCKED:\n     - There are kubelets in this cluster that are too old",
        "\n     - kube-controller-manager has no flag --concurrent-service-syncs from v1.37 on",
        "\nRemove what blocks it, then look again.\n",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let json = env.line_in(&root, "upgrade plan --to v1.37.2 -o json").ok();
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&object["kind"], &object["to"]), (&"UpgradePath".into(), &"v1.37.2".into()));
    let hop = &object["hops"][0];
    assert_eq!((&hop["from"], &hop["minorOnly"]), (&OLD.into(), &false.into()));
    assert_eq!(hop["blocks"].as_array().unwrap().len(), 2);
    assert!(
        hop["changes"].as_array().unwrap().iter().any(|c| c["fact"] == "etcd" && c["after"] == "3.7.0-0")
    );

    // The walk itself is refused for the same reasons.
    std::fs::create_dir_all(env.path("root/var/lib/kubelet")).unwrap();
    let flags = "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/none.sock\"\n";
    env.write("root/var/lib/kubelet/kubeadm-flags.env", flags);
    api.put(
        "/api/v1/nodes/w1",
        json!({"metadata": {"name": "w1"}, "status": {"nodeInfo": {"kubeletVersion": OLD}}}),
    );
    let stderr = env.line_in(&root, "upgrade apply --yes --through v1.37.2").fails();
    assert!(
        stderr.contains("nothing was changed:\n\nv1.37.2:\n\t- kube-controller-manager has no flag"),
        "{stderr}"
    );
}

#[test]
fn a_diff_shows_the_lines_that_change_with_some_around() {
    let (env, _api) = cluster();
    let root = env.path("root");
    let diff = env.line_in(&root, "upgrade diff v1.37.2").ok();
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    for words in [
        format!("--- {manifest}\n+++ new manifest\n@@ "),
        "\n-    image: registry.k8s.io/kube-apiserver:v1.36.3\n+    image: registry.k8s.io/kube-apiserver:v1.37.2\n"
            .to_owned(),
        "\n     imagePullPolicy: IfNotPresent\n".to_owned(),
        "\n+    image: registry.k8s.io/etcd:3.7.0-0\n".to_owned(),
    ] {
        assert!(diff.contains(&words), "{words}\n{diff}");
    }
    let bare = env.line_in(&root, "upgrade diff v1.37.2 -c 0").ok();
    assert!(!bare.contains("imagePullPolicy"), "{bare}");
    env.write("root/u.yaml", format!("{MINE}diff: {{kubernetesVersion: v1.37.2}}\n"));
    assert_eq!(env.line_in(&root, "upgrade diff --config /u.yaml").ok(), diff);
    // Of the version that the cluster has, nothing would change.
    let same = env.line_in(&root, "upgrade diff").ok();
    assert!(!same.contains("+++"), "{same}");
    std::fs::remove_file(env.path("root/etc/kubernetes/manifests/kube-scheduler.yaml")).unwrap();
    let stderr = env.line_in(&root, "upgrade diff v1.37.2").fails();
    assert!(
        stderr.contains("the manifest file \"/etc/kubernetes/manifests/kube-scheduler.yaml\" does not exist")
    );
}
