//! `release`: what is told of minors, and how two of them differ.

use serde_json::Value;

use super::env::TestEnv;

#[test]
fn every_minor_is_listed() {
    let env = TestEnv::new();
    let list = env.line("release list").ok();
    assert!(list.starts_with("MINOR   EXACT AS   CONFIG API   ETCD "), "{list}");
    assert!(list.lines().any(|line| line.starts_with("v1.37   v1.37.2    v1beta4      3.7.0-0")), "{list}");
    let object: Value = serde_json::from_str(&env.line("release list -o json").ok()).unwrap();
    assert_eq!(object["kind"], "Releases");
    let rows = object["releases"].as_array().unwrap();
    assert_eq!(rows.len(), list.lines().count() - 1);
    assert_eq!((&rows[0]["minor"], &rows[0]["configApi"]), (&"v1.11".into(), &"v1alpha2".into()));
    assert_eq!(rows.last().unwrap()["oldestKubelet"], "v1.34");
}

#[test]
fn a_minor_is_shown_as_text_json_and_yaml() {
    let env = TestEnv::new();
    let text = env.line("release show v1.36").ok();
    for words in [
        "Kubernetes v1.36\n\nfacts: exact as of v1.36.3\n",
        "\n  registry.k8s.io/kube-apiserver:v1.36.0\n",
        "\nimages:\n  default repository: registry.k8s.io\n",
        "\n  pause: 3.10.2\n",
        "\n    PublicKeysECDSA: ",
        "\n      advertise-address: the advertise address\n",
        "\n  config map: `kubelet-config`\n",
        "(whether ClusterRole and ClusterRoleBinding `kubeadm:get-nodes` exist)",
        "\nskew:\n  kubelet minors: 3\n",
        "crashLoopBackOff.maxContainerRestartPeriod",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let json: Value = serde_json::from_str(&env.line("release show 1.36.3 -o json").ok()).unwrap();
    assert_eq!((&json["kind"], &json["minor"]), (&"Release".into(), &"v1.36".into()));
    assert!(json["imageNames"].as_array().unwrap().contains(&"registry.k8s.io/kube-proxy:v1.36.3".into()));
    let facts = &json["facts"];
    assert_eq!(facts["images"]["defaultRepository"], "registry.k8s.io");
    assert_eq!(facts["configApi"]["read"].as_array().unwrap().last(), Some(&"v1beta4".into()));
    assert_eq!(facts["controlPlane"]["apiserver"]["probes"]["live"], "/livez");
    assert_eq!(facts["etcd"]["probe"]["Http"]["live"], "/livez");
    assert_eq!(facts["kubelet"]["configMap"], "Plain");
    let yaml = env.line("release show v1.13 -o yaml").ok();
    assert!(yaml.contains("minor: v1.13\n") && yaml.contains("kind: Release\n"), "{yaml}");
    // Kubeadm's own, where none is named.
    assert!(env.line("release show").ok().starts_with("Kubernetes v1.37\n"));
}

#[test]
fn a_difference_shows_facts_and_files() {
    let env = TestEnv::new();
    let text = env.line("release diff v1.13 v1.37").ok();
    for words in [
        "\ncontrol plane:\n",
        "\n  - apiserver: flags: insecure-port: 0\n",
        "\n  ~ apiserver: probes: live: /healthz -> /livez\n",
        "\n  + taints: node-role.kubernetes.io/control-plane\n",
        "\n  ~ config map: `kubelet-config-1.NN` -> `kubelet-config`\n",
        "--- /etc/kubernetes/manifests/kube-apiserver.yaml (v1.13.0)\n+++ /etc/kubernetes/manifests/kube-apiserver.yaml (v1.37.0)\n",
        "\n-    - --insecure-port=0\n",
        "--- the add-on CoreDNS (v1.13.0)\n",
        "\n-  name: kubelet-config-1.13\n",
        "\n+  name: kubelet-config\n",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let json: Value = serde_json::from_str(&env.line("release diff v1.36 -o json").ok()).unwrap();
    assert_eq!((&json["from"], &json["to"]), (&"v1.36".into(), &"v1.37".into()));
    let changes = json["changes"].as_array().unwrap();
    let etcd = changes.iter().find(|c| c["area"] == "images" && c["fact"] == "etcd").unwrap();
    assert_eq!((&etcd["before"], &etcd["after"]), (&"3.6.8-0".into(), &"3.7.0-0".into()));
    let read = changes.iter().find(|c| c["fact"] == "read: v1beta3").unwrap();
    assert!(read["after"].is_null() && read["before"] == "v1beta3", "{read}");
    assert!(
        json["files"]
            .as_array()
            .unwrap()
            .iter()
            .any(|file| file["name"] == "/etc/kubernetes/manifests/etcd.yaml")
    );
    assert!(env.line("release diff v1.37 v1.37").ok().contains("No fact differs."));
}

#[test]
fn the_page_of_releases_is_what_the_tables_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/releases.md");
    let page = kubeadm_cli::releases_page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(now, written)| now != written);
    assert_eq!(differs, None, "docs/releases.md: (now, written); to accept, run with UPDATE_GOLDEN=1");
    assert_eq!(page.len(), written.len(), "docs/releases.md: to accept, run with UPDATE_GOLDEN=1");
}

#[test]
fn what_is_no_minor_or_not_known_is_refused() {
    let env = TestEnv::new();
    for (line, words) in [
        (
            "show banana",
            "expected a minor such as v1.36, or a version of it: could not parse \"banana\" as version",
        ),
        ("show v1.10", "Kubernetes 1.10 is not supported by this build of kubeadm"),
        ("show v1.36 v1.37", "accepts at most 1 arg(s), received 2"),
        ("diff", "Required arguments: [version]"),
        ("list -o go-template", "could not construct output printer"),
    ] {
        let stderr = env.line(&format!("release {line}")).fails();
        assert!(stderr.contains(words), "{line}\n{stderr}");
    }
}
