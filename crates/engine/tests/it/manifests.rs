//! The static pod manifests equal those of the recordings: as data for every minor, and as text where the recorded
//! text does not depend on chance (1.11 and 1.12 wrote volumes in the order of a Go map).

use std::collections::BTreeSet;

use kubeadm_config::authorization;
use kubeadm_config::types::Arg;
use kubeadm_engine::manifests::{self, Component, HostFacts, Identity};
use kubeadm_engine::spec::InitSpec;
use kubeadm_release::SERVED_MINORS;
use serde_json::{Value, json};

use crate::objects::Case;

pub(crate) const COMPONENTS: [Component; 4] =
    [Component::ApiServer, Component::ControllerManager, Component::Scheduler, Component::Etcd];

/// What the machine of the recordings had.
pub(crate) fn host() -> HostFacts {
    let paths = ["/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates"];
    HostFacts { paths: BTreeSet::from(paths), ..HostFacts::default() }
}

fn sort_by_name(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(|item| item["name"].as_str().map(str::to_owned));
    }
}

fn without_chance(mut pod: Value) -> Value {
    sort_by_name(&mut pod["spec"]["volumes"]);
    sort_by_name(&mut pod["spec"]["containers"][0]["volumeMounts"]);
    pod
}

#[test]
fn equal_the_recordings() {
    for &minor in SERVED_MINORS {
        let (mut cases, mut compared) = (0, 0);
        for case in Case::all(minor).iter().filter(|case| case.is_of_its_minor()) {
            if case.file("/etc/kubernetes/manifests/kube-apiserver.yaml").is_none() {
                continue;
            }
            cases += 1;
            let (spec, _) = case.spec();
            for component in COMPONENTS {
                let what = format!("{} {}", case.name, component.name());
                let path = format!("/etc/kubernetes/manifests/{}.yaml", component.name());
                let Some(recorded) = case.file(&path) else {
                    assert!(component == Component::Etcd && !spec.local_etcd(), "{what}: not recorded");
                    continue;
                };
                let pod = manifests::pod(&spec, &host(), component);
                let written = manifests::to_yaml(&pod);
                let tree = kubeadm_yaml::parse_value(&recorded, &path).unwrap();
                assert_eq!(without_chance(pod), without_chance(tree), "{what}");
                if minor > 12 {
                    assert_eq!(written, recorded, "{what}");
                }
                compared += 1;
            }
        }
        assert!(cases > 4 && compared > 3 * cases, "manifests of 1.{minor}: {compared}");
    }
}

/// The spec of a plain case, to be changed by a test.
fn plain(minor: u32) -> InitSpec {
    let name = format!("1.{minor}/flags-defaults");
    Case::all(minor).iter().find(|case| case.name == name).unwrap().spec().0
}

fn command(pod: &Value) -> Vec<&str> {
    pod["spec"]["containers"][0]["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect()
}

#[test]
fn an_external_authority_leaves_nothing_to_sign_with() {
    let mut spec = plain(37);
    spec.external_ca = true;
    let pod = manifests::pod(&spec, &host(), Component::ControllerManager);
    assert!(command(&pod).contains(&"--cluster-signing-cert-file="));
    assert!(command(&pod).contains(&"--cluster-signing-key-file="));
}

#[test]
fn a_component_without_root_says_whom_it_runs_as() {
    let run_as = Some(Identity { user: 999, group: 998, supplemental_groups: vec![997] });
    let host = HostFacts { run_as, ..host() };
    let spec = plain(37);
    for component in COMPONENTS {
        let pod = manifests::pod(&spec, &host, component);
        assert_eq!(
            pod["spec"]["securityContext"],
            json!({
                "runAsUser": 999,
                "runAsGroup": 998,
                "supplementalGroups": [997],
                "seccompProfile": {"type": "RuntimeDefault"},
            })
        );
        let container = match component {
            Component::ApiServer => json!({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}),
            _ => json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}),
        };
        assert_eq!(pod["spec"]["containers"][0]["securityContext"], container, "{}", component.name());
    }
}

#[test]
fn a_port_of_the_users_is_the_one_that_is_probed() {
    let port = |spec: &InitSpec, component| {
        let container = manifests::pod(spec, &host(), component)["spec"]["containers"][0].take();
        // Newer releases name the port and probe it by that name.
        match &container["livenessProbe"]["httpGet"]["port"] {
            Value::String(_) => container["ports"][0]["containerPort"].clone(),
            port => port.clone(),
        }
    };
    for (minor, flag) in [(13, "port"), (37, "secure-port")] {
        let mut spec = plain(minor);
        let usual = port(&spec, Component::Scheduler);
        spec.cluster.scheduler.extra_args = vec![Arg::new(flag, "0")];
        assert_eq!(port(&spec, Component::Scheduler), usual, "1.{minor}");
        spec.cluster.scheduler.extra_args = vec![Arg::new(flag, "11259")];
        spec.cluster.controller_manager.extra_args = vec![Arg::new(flag, "11257")];
        spec.cluster.api_server.component.extra_args = vec![Arg::new("secure-port", "7443")];
        assert_eq!(port(&spec, Component::Scheduler), 11259, "1.{minor}");
        assert_eq!(port(&spec, Component::ControllerManager), 11257, "1.{minor}");
        assert_eq!(port(&spec, Component::ApiServer), 7443, "1.{minor}");
        let checks: Vec<String> =
            kubeadm_engine::preflight::checks::init(&spec).into_iter().map(|check| check.id).collect();
        for id in ["Port-7443", "Port-11257", "Port-11259"] {
            assert!(checks.iter().any(|check| check == id), "1.{minor}: no {id} in {checks:?}");
        }
    }
}

#[test]
fn a_wildcard_address_is_not_probed_by_name() {
    let mut spec = plain(37);
    spec.cluster.scheduler.extra_args = vec![Arg::new("bind-address", "0.0.0.0")];
    spec.advertise_address = "::".parse().unwrap();
    for component in [Component::ApiServer, Component::Scheduler] {
        let pod = manifests::pod(&spec, &host(), component);
        let get = &pod["spec"]["containers"][0]["livenessProbe"]["httpGet"];
        assert_eq!(get["host"], Value::Null, "{}", component.name());
        assert_eq!(get["path"], "/livez");
    }
}

#[test]
fn authorization_can_be_configured_elsewhere() {
    let mut spec = plain(37);
    let args = &mut spec.cluster.api_server.component.extra_args;
    args.push(Arg::new("authorization-config", "/etc/kubernetes/authz.yaml"));
    let pod = manifests::pod(&spec, &host(), Component::ApiServer);
    assert!(!command(&pod).iter().any(|word| word.starts_with("--authorization-mode")));
}

#[test]
fn old_releases_add_to_the_modes_they_know() {
    let release = plain(13).release;
    let modes = |given| authorization::modes(&release, given);
    assert_eq!(modes(None), "Node,RBAC");
    assert_eq!(modes(Some("Webhook,AlwaysAllow,ABAC")), "Node,RBAC,ABAC,Webhook");
    assert_eq!(authorization::modes(&plain(37).release, Some("Webhook")), "Webhook");
}

#[test]
fn a_moved_etcd_is_found() {
    for (minor, argument) in [(12, "listen-client-urls"), (13, "advertise-client-urls")] {
        let mut spec = plain(minor);
        let etcd = spec.cluster.etcd.local.as_mut().unwrap();
        etcd.extra_args = vec![Arg::new(argument, "https://192.0.2.77:2379")];
        let pod = manifests::pod(&spec, &host(), Component::ApiServer);
        assert!(command(&pod).contains(&"--etcd-servers=https://192.0.2.77:2379"), "1.{minor}");
    }
}

#[test]
fn the_flags_of_etcd_follow_its_tag_in_the_minors_between() {
    let new = ["--feature-gates=InitialCorruptCheck=true", "--watch-progress-notify-interval=5s"];
    let old =
        ["--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s"];
    for (minor, tag, expected) in [
        (33, "3.6.5-0", old),
        (34, "", new),
        (34, "3.6.5-0", new),
        (34, "3.5.24-0", old),
        (35, "3.5.24-0", old),
        // No version, so that nothing newer is relied on.
        (35, "mine", old),
        (36, "3.5.24-0", new),
    ] {
        let mut spec = plain(minor);
        spec.cluster.etcd.local.get_or_insert_default().image_tag = tag.into();
        let pod = manifests::pod(&spec, &host(), Component::Etcd);
        let command = command(&pod);
        let found = new.iter().chain(&old).filter(|flag| command.contains(flag));
        assert_eq!(found.copied().collect::<Vec<_>>(), expected, "{minor} {tag:?}");
    }
}
