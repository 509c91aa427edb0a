//! Every command that changes something, killed after each of its effects and run again: it ends as if nothing had
//! happened, and no secret lies where others can read it, neither meanwhile nor in the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use kubeadm_engine::phase::{Phase, Selection};
use kubeadm_engine::phases::join::JOIN;
use kubeadm_engine::phases::reset::RESET;
use kubeadm_engine::phases::upgrade::{APPLY, NODE};
use kubeadm_engine::ports::{ApiError, ContainerState, Effects, Files, ServiceState};
use kubeadm_engine::resource::CONFIG_MAPS;
use kubeadm_engine::run::{self, RunError};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_pki::{Certificate, PrivateKey};
use kubeadm_testkit::{MemoryHost, killed_after};

use crate::{join, join_control_plane, reset, self_hosting, upgrade, wish, workflow};

/// What a command leaves, without what is random in it.
#[derive(Debug)]
struct Left {
    /// Mode and content.
    files: BTreeMap<PathBuf, (u32, String)>,
    objects: BTreeMap<String, String>,
    /// Images by component.
    running: BTreeMap<String, String>,
    /// Whether the members of etcd vote.
    votes: Vec<bool>,
    kubelet: ServiceState,
}

impl Left {
    fn of(host: &MemoryHost) -> Self {
        // Copies of what was there before have the time in their names.
        let ours =
            |p: &Path| ["/etc", "/var", "/srv", "/root"].iter().any(|top| p.starts_with(top)) && !copy(p);
        let files = host.files.all().into_iter().filter(|(path, _)| ours(path));
        let files = files.filter_map(|(path, entry)| {
            let text = String::from_utf8(entry.content?).unwrap();
            let random = ["BEGIN ", "-data: "].iter().any(|word| text.contains(word));
            Some((path, (entry.mode, if random { "<random>".into() } else { text })))
        });
        let running = host.runtimes.runtime.set(|runtime| {
            let running = runtime.containers.iter().filter(|c| c.state == ContainerState::Running);
            running.map(|c| (c.name.clone(), c.image.clone())).collect()
        });
        Self {
            files: files.collect(),
            objects: objects(host),
            running,
            votes: host.etcd.voters().into_iter().map(|(_, votes)| votes).collect(),
            kubelet: host.machine.set(|state| state.kubelet().state.clone()),
        }
    }
}

fn copy(path: &Path) -> bool {
    path.starts_with("/etc/kubernetes/tmp") && path.to_string_lossy().contains("/kubeadm-")
}

/// The objects of the cluster. What a killed run leaves of those with random names ends by itself.
fn objects(host: &MemoryHost) -> BTreeMap<String, String> {
    let ca = host.files.text("/etc/kubernetes/pki/ca.crt").unwrap_or("none".into());
    let encoded = STANDARD.encode(&ca);
    let mut objects = BTreeMap::new();
    for (path, mut object) in host.cluster.objects() {
        object["metadata"]["resourceVersion"].take();
        let name = path.rsplit('/').next().unwrap();
        if name.starts_with("bootstrap-token-") && name != "bootstrap-token-abcdef" {
            assert!(object["data"]["expiration"].is_string(), "{path} stays for ever");
            continue;
        }
        if path.contains("/jobs/") {
            assert!(object["spec"]["ttlSecondsAfterFinished"].is_number(), "{path} stays for ever");
            continue;
        }
        if name == "kubeadm-certs" {
            object["data"] = object["data"].as_object().unwrap().keys().cloned().collect();
            object["metadata"]["ownerReferences"].take();
        }
        let text = object.to_string().replace(&encoded, "<ca>").replace(&ca.replace('\n', "\\n"), "<ca>");
        objects.insert(path, text);
    }
    objects
}

/// Every certificate has the key beside it.
#[track_caller]
fn pairs_fit(host: &MemoryHost, when: &str) {
    for (path, entry) in host.files.all() {
        let beside = host.files.text(path.with_extension("key"));
        let (true, Some(key)) = (path.extension().is_some_and(|e| e == "crt"), beside) else { continue };
        let certificate = Certificate::from_pem(&entry.content.unwrap()).unwrap();
        let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
        assert_eq!(key.public_key().unwrap(), *certificate.public_key(), "{}, {when}", path.display());
    }
}

#[track_caller]
fn same(found: &Left, expected: &Left, when: &str) {
    workflow::same(&found.files, &expected.files, when);
    workflow::same(&found.objects, &expected.objects, when);
    workflow::same(&found.running, &expected.running, when);
    assert_eq!((&found.votes, &found.kubelet), (&expected.votes, &expected.kubelet), "{when}");
}

/// Kills a command after each number of effects and runs it again to its end. After each run, killed or not, something may
/// happen that is not its work. How often it was killed.
fn killed_anywhere(
    world: impl Fn() -> MemoryHost,
    command: impl Fn(&Effects) -> Result<(), RunError>,
    afterwards: impl Fn(&MemoryHost),
) -> usize {
    let undisturbed = world();
    command(&undisturbed.effects()).unwrap();
    afterwards(&undisturbed);
    let expected = Left::of(&undisturbed);
    for effects in 0.. {
        let (host, when) = (world(), format!("killed after {effects} effects"));
        if let Some(outcome) = killed_after(effects, &host.effects(), &command) {
            outcome.unwrap();
            return effects;
        }
        workflow::secrets_are_private(&host);
        afterwards(&host);
        command(&host.effects()).unwrap_or_else(|e| panic!("{when}: {e}"));
        afterwards(&host);
        workflow::secrets_are_private(&host);
        pairs_fit(&host, &when);
        same(&Left::of(&host), &expected, &when);
    }
    unreachable!("every run has a finite number of effects")
}

/// Does that with a command that cannot succeed, because a static pod does not come up, and so cleans up. The next run
/// finds the cause gone.
fn killed_in_trouble(
    world: impl Fn() -> MemoryHost,
    command: impl Fn(&Effects) -> Result<(), RunError>,
    broken: &str,
) -> usize {
    let undisturbed = world();
    command(&undisturbed.effects()).unwrap();
    let expected = Left::of(&undisturbed);
    for effects in 0.. {
        let (host, when) = (world(), format!("killed after {effects} effects"));
        host.runtimes.runtime.set(|runtime| runtime.broken = vec![broken.to_owned()]);
        let outcome = killed_after(effects, &host.effects(), &command);
        workflow::secrets_are_private(&host);
        host.runtimes.runtime.set(|runtime| runtime.broken.clear());
        host.kubelet_tries_again();
        command(&host.effects()).unwrap_or_else(|e| panic!("{when}: {e}"));
        pairs_fit(&host, &when);
        same(&Left::of(&host), &expected, &when);
        if let Some(outcome) = outcome {
            outcome.unwrap_err();
            return effects;
        }
    }
    unreachable!("every run has a finite number of effects")
}

fn nothing(_: &MemoryHost) {}

fn all() -> Selection {
    Selection::Skip(Vec::new())
}

fn init_anywhere(version: &str, more: &str) {
    let command = |effects: &Effects| {
        let mut spec = wish::init(version, more);
        spec.upload_certs = version == workflow::NEW;
        spec.certificate_key = spec.upload_certs.then(|| "ab".repeat(32));
        workflow::init_with(effects, &spec)
    };
    let world = || {
        let host = workflow::host(version);
        host.files.put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644);
        host.files.put("/etc/group", "root:x:0:\n", 0o644);
        host.run_kubelet();
        host
    };
    let kills = killed_anywhere(world, command, nothing);
    assert!(kills > 60, "{version}: killed {kills} times");
}

#[test]
fn init() {
    init_anywhere(workflow::NEW, "");
}

#[test]
fn init_of_an_old_release() {
    init_anywhere(workflow::OLD, "");
}

#[test]
fn init_with_accounts_for_its_components() {
    init_anywhere(workflow::NEW, "featureGates: {RootlessControlPlane: true}\n");
}

/// Static pods hand over to DaemonSets, as the gate has it and by a command of its own.
#[test]
fn self_hosting() {
    let gate = |effects: &Effects| {
        workflow::init_with(effects, &wish::init("v1.11.10", "featureGates: {SelfHosting: true}\n"))
    };
    let kills = killed_anywhere(|| self_hosting::host("v1.11.10"), gate, nothing);
    assert!(kills > 50, "killed {kills} times");

    let cluster = self_hosting::host(workflow::OLD);
    workflow::init_with(&cluster.effects(), &wish::init(workflow::OLD, "")).unwrap();
    let world = || {
        let host = cluster.fork();
        host.run_kubelet();
        host
    };
    let kills = killed_anywhere(world, self_hosting::pivot, nothing);
    assert!(kills > 15, "killed {kills} times");
}

#[test]
fn join_of_a_worker() {
    let (cluster, pin) = join::cluster();
    let command = |effects: &Effects| {
        let spec = wish::join(join::VERSION, join::TOKEN, std::slice::from_ref(&pin));
        block_on(run::run(JOIN, &all(), &spec, &spec.context(), effects))
    };
    let world = || {
        let host = join::machine(&cluster.fork().into());
        host.machine.set(|state| state.hostname = "w1".into());
        host.bootstrap_kubelet();
        host
    };
    let kills = killed_anywhere(world, command, nothing);
    assert!(kills > 5, "killed {kills} times");
}

fn joining(pin: &str) -> impl Fn(&Effects) -> Result<(), RunError> {
    move |effects| {
        let (pins, key) = ([pin.to_owned()], join_control_plane::KEY);
        let spec = wish::join_control_plane(join::VERSION, join::TOKEN, &pins, key);
        block_on(run::run(JOIN, &all(), &spec, &spec.context(), effects))
    }
}

/// The machine that is to be the second control plane. Its etcd starts as soon as the kubelet has the manifest, or only
/// once somebody waits for it.
fn joining_machine(cp1: &MemoryHost, quick: bool) -> MemoryHost {
    let host = join_control_plane::second(&cp1.fork());
    host.machine.set(|state| state.hostname = "cp2".into());
    if quick {
        host.etcd.set(|etcd| etcd.starts_after = None);
        host.run_kubelet();
    } else {
        host.bootstrap_kubelet();
    }
    host
}

#[test]
fn join_of_a_control_plane() {
    let (cp1, pin) = join_control_plane::cluster();
    for quick in [true, false] {
        // What a killed run has announced is taken up by the next.
        let kept = |host: &MemoryHost| {
            let changes = host.etcd.set(|etcd| etcd.changes.clone());
            assert!(!quick || changes.iter().all(|change| !change.starts_with("remove")), "{changes:?}");
        };
        let kills = killed_anywhere(|| joining_machine(&cp1, quick), joining(&pin), kept);
        assert!(kills > 40, "killed {kills} times");
    }
}

/// Its etcd does not come up, so it gives way to others, and is killed at that too.
#[test]
fn join_of_a_control_plane_that_gives_way() {
    let (cp1, pin) = join_control_plane::cluster();
    let kills = killed_in_trouble(|| joining_machine(&cp1, true), joining(&pin), "\"name\":\"etcd\"");
    assert!(kills > 45, "killed {kills} times");
}

#[test]
fn reset() {
    for members in [&reset::MEMBERS[..], &reset::MEMBERS[..1]] {
        let node = reset::control_plane_of(members, reset::ROOTLESS);
        let command = |effects: &Effects| {
            let spec = wish::reset(reset::VERSION, false);
            block_on(run::run(RESET, &all(), &spec, &spec.context(), effects))
        };
        // This node's API server went with its etcd.
        let afterwards = |host: &MemoryHost| {
            let left = host.etcd.voters().iter().all(|(name, _)| name != "cp1");
            let ended = host.runtimes.runtime.set(|runtime| runtime.containers.is_empty());
            if left || ended {
                host.etcd.set(|etcd| etcd.down.insert(1));
                host.cluster.refuse(CONFIG_MAPS, ApiError::Unreachable("connection refused".into()));
            }
        };
        let kills = killed_anywhere(|| node.fork(), command, afterwards);
        assert!(kills > 40, "killed {kills} times");
    }
}

fn upgraded(
    tree: &'static [Phase<UpgradeSpec>],
    spec: &UpgradeSpec,
    effects: &Effects,
) -> Result<(), RunError> {
    block_on(run::run(tree, &all(), spec, &spec.context(), effects))
}

/// A node like this one, whose kubelet runs what is written.
fn running(node: &MemoryHost) -> MemoryHost {
    let host = node.fork();
    host.run_kubelet();
    host
}

#[test]
fn upgrade_apply() {
    let node = upgrade::cluster(upgrade::OLD, "");
    let world = || running(&node);
    let command = |effects: &Effects| upgraded(APPLY, &wish::upgrade(Some(upgrade::NEW)), effects);
    // At no moment is a component without a manifest.
    let afterwards = |host: &MemoryHost| {
        for component in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let path = format!("/etc/kubernetes/manifests/{component}.yaml");
            assert!(host.files.exists(path.as_ref()), "{component} has no manifest");
        }
    };
    let kills = killed_anywhere(world, command, afterwards);
    assert!(kills > 60, "killed {kills} times");
}

/// Its scheduler does not come up, so it puts back what it has replaced, and is killed at that too.
#[test]
fn upgrade_apply_that_is_put_back() {
    let node = upgrade::cluster(upgrade::OLD, "");
    let world = || running(&node);
    let command = |effects: &Effects| upgraded(APPLY, &wish::upgrade(Some(upgrade::NEW)), effects);
    let kills = killed_in_trouble(world, command, &format!("kube-scheduler:{}", upgrade::NEW));
    assert!(kills > 30, "killed {kills} times");
}

/// On a control plane and on a worker, of a cluster whose first node has been upgraded.
#[test]
fn upgrade_node() {
    let node = upgrade::cluster(upgrade::OLD, "");
    let mut config = node.cluster.object(CONFIG_MAPS, "kube-system", "kubeadm-config").unwrap();
    let text = config["data"]["ClusterConfiguration"].as_str().unwrap();
    config["data"]["ClusterConfiguration"] = text.replace(upgrade::OLD, upgrade::NEW).into();
    node.cluster.place(CONFIG_MAPS, config);
    let worker = MemoryHost { cluster: node.cluster.fork().into(), ..MemoryHost::default() };
    worker.files.put("/var/lib/kubelet/config.yaml", "old: true\n", 0o644);
    let instance = "containerRuntimeEndpoint: unix:///run/memory.sock\nport: 10350\n";
    worker.files.put("/var/lib/kubelet/instance-config.yaml", instance, 0o644);
    for (first, name, least) in [(&node, "cp1", 50), (&worker, "w1", 3)] {
        let world = || {
            let host = first.fork();
            host.run_kubelet();
            host
        };
        let command = |effects: &Effects| {
            let (control_plane, node_name) = (name == "cp1", name.to_owned());
            let spec = UpgradeSpec { control_plane, node_name, ..wish::upgrade(None) };
            upgraded(NODE, &spec, effects)
        };
        let kills = killed_anywhere(world, command, nothing);
        assert!(kills >= least, "{name}: killed {kills} times");
    }
}
