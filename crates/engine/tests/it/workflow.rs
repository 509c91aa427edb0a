//! The whole of `init` over a machine and a cluster in memory: what it leaves, again, and dry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::executor::block_on;
use kubeadm_engine::diagnose::Finding;
use kubeadm_engine::dryrun;
use kubeadm_engine::kubelet::runtime_socket;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::{INIT, PhaseError};
use kubeadm_engine::ports::{
    Access, ApiError, CgroupDriver, Clock, Container, ContainerState, DOCKERSHIM, Effects, FileKind, Files,
    RuntimeError, ServiceState, WriteApi,
};
use kubeadm_engine::resource::{CONFIG_MAPS, NODES, SECRETS};
use kubeadm_engine::run::{self, ActionError, RunError};
use kubeadm_engine::spec::{Ignored, InitSpec, Layout};
use kubeadm_testkit::{Entry, MemoryHost};
use serde_json::{Value, json};

use crate::wish;

pub(crate) const NEW: &str = "v1.37.2";
pub(crate) const OLD: &str = "v1.13.12";
/// One of every minor that is exact.
const ALL: [&str; 5] = ["v1.11.10", "v1.12.10", OLD, "v1.36.3", NEW];
const ADMIN: &str = "/etc/kubernetes/admin.conf";
const ROTATED: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

fn is_new(version: &str) -> bool {
    ["v1.36.3", NEW].contains(&version)
}

/// A host for a release, whose kubelet will register its node.
pub(crate) fn host(version: &str) -> MemoryHost {
    let host = if is_new(version) { MemoryHost::default() } else { MemoryHost::of_old() };
    host.machine.set(|state| {
        state.install_kubelet(version);
        state.kubelet().state = ServiceState::Stopped;
    });
    host.cluster.register("cp1");
    if is_new(version) {
        host.cluster.require_binding(ADMIN);
    }
    host
}

pub(crate) fn init_with(effects: &Effects, spec: &InitSpec) -> Result<(), RunError> {
    block_on(run::run(INIT, &Selection::Skip(Vec::new()), spec, &spec.context(), effects))
}

fn init(host: &MemoryHost, spec: &InitSpec) -> Result<(), RunError> {
    init_with(&host.effects(), spec)
}

/// Every file below the folders that belong to kubeadm, with its mode.
fn written(host: &MemoryHost) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let ours = |path: &Path| path.starts_with("/etc") || path.starts_with("/var") || path.starts_with("/tmp");
    let files = host.files.all().into_iter().filter(|(path, _)| ours(path));
    files.filter_map(|(path, entry)| Some((path, (entry.mode, entry.content?)))).collect()
}

/// What a run leaves, without what is random in it: bytes of certificates, keys and what carries them.
fn shape(host: &MemoryHost) -> (BTreeMap<PathBuf, (u32, String)>, BTreeMap<String, String>) {
    let ca = host.files.text("/etc/kubernetes/pki/ca.crt").expect("a CA was made");
    let encoded = host.files.text(ADMIN).expect("admin.conf was made");
    let encoded = encoded
        .lines()
        .find_map(|line| line.trim().strip_prefix("certificate-authority-data: "))
        .expect("admin.conf has a CA")
        .to_owned();
    let files = written(host).into_iter().map(|(path, (mode, content))| {
        let random = path.starts_with("/etc/kubernetes/pki") || path.extension().is_some_and(|e| e == "conf");
        let text = if random { String::new() } else { String::from_utf8(content).unwrap() };
        (path, (mode, text))
    });
    let objects = host.cluster.objects().into_iter();
    let objects = objects.map(|(path, mut object)| {
        object["metadata"]["resourceVersion"].take();
        let text = object.to_string().replace(&encoded, "<ca>").replace(&ca.replace('\n', "\\n"), "<ca>");
        (path, text)
    });
    (files.collect(), objects.collect())
}

/// Both the same, or which entries are not.
#[track_caller]
pub(crate) fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    when: &str,
) {
    let keys: BTreeSet<&K> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        assert_eq!(found.get(key), expected.get(key), "{key:?}, {when}");
    }
}

/// No secret may lie where others can read it, at any moment.
#[track_caller]
pub(crate) fn secrets_are_private(host: &MemoryHost) {
    for (path, Entry { content, mode, owner, .. }) in host.files.all() {
        let content = content.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let secret = ["PRIVATE KEY", "client-key-data", "token:"].iter().any(|word| text.contains(word));
        // Components without root share a key through a group of their own.
        let others = if owner.1 == 0 { 0o077 } else { 0o007 };
        assert!(!secret || mode & others == 0, "{} has mode {mode:o}", path.display());
    }
}

fn golden(version: &str, file: &str) -> String {
    let minor = version.split('.').nth(1).unwrap();
    let folder = format!("../../fixtures/golden/kubeadm-1.{minor}/init/flags-defaults");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

// --- what it leaves -------------------------------------------------------------------------------------------

/// Paths and modes of certificates and kubeconfig files by the recordings; the rest by name.
fn expected_files(version: &str) -> BTreeMap<PathBuf, u32> {
    let mut files = BTreeMap::new();
    for (recording, folder) in [("pki.json", "/etc/kubernetes/pki"), ("kubeconfig.json", "/etc/kubernetes")] {
        let recorded: BTreeMap<String, Value> = serde_json::from_str(&golden(version, recording)).unwrap();
        for (name, facts) in recorded {
            let mode = facts["mode"].as_str().unwrap().trim_start_matches("0o");
            files.insert(Path::new(folder).join(name), u32::from_str_radix(mode, 8).unwrap());
        }
    }
    for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        files.insert(format!("/etc/kubernetes/manifests/{name}.yaml").into(), 0o600);
    }
    let kubelet: &[&str] = match is_new(version) {
        true => &["config.yaml", "kubeadm-flags.env", "instance-config.yaml"],
        false => &["config.yaml", "kubeadm-flags.env"],
    };
    files.extend(kubelet.iter().map(|name| (Path::new("/var/lib/kubelet").join(name), 0o644)));
    files
}

/// Plural, namespace and name of each object that the recording creates.
fn expected_objects(version: &str) -> BTreeSet<String> {
    let requests = kubeadm_yaml::parse_documents(&golden(version, "objects.yaml"), "objects.yaml").unwrap();
    let created = requests.iter().map(|d| &d.value).filter(|request| request["verb"] == "CREATE");
    let name = |request: &Value| {
        let metadata = &request["body"]["metadata"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", word(&request["resource"]), word(&metadata["namespace"]), word(&metadata["name"]))
    };
    let mut objects: BTreeSet<String> = created.map(name).collect();
    // Not made in a dry run, which the recordings are.
    if is_new(version) {
        objects.insert("clusterrolebindings  kubeadm:cluster-admins".into());
    }
    objects
}

/// Of a path such as `/apis/apps/v1/namespaces/kube-system/deployments/coredns`.
fn named(path: &str) -> String {
    let words: Vec<&str> = path.split('/').collect();
    match words.as_slice() {
        [.., "namespaces", namespace, plural, name] => format!("{plural} {namespace} {name}"),
        [.., plural, name] => format!("{plural}  {name}"),
        _ => path.to_owned(),
    }
}

#[test]
fn init_leaves_what_the_original_leaves() {
    for version in ALL {
        let (host, spec) = (host(version), wish::init(version, ""));
        init(&host, &spec).unwrap();
        let files: BTreeMap<PathBuf, u32> =
            written(&host).into_iter().map(|(path, (mode, _))| (path, mode)).collect();
        assert_eq!(files, expected_files(version), "{version}");
        let etcd = host.files.stat(Path::new("/var/lib/etcd")).unwrap().unwrap();
        assert_eq!((etcd.kind, etcd.mode), (FileKind::Dir, 0o700));
        secrets_are_private(&host);

        let writes = host.cluster.writes();
        let created: BTreeSet<String> =
            writes.iter().filter_map(|write| write.strip_prefix("CREATE ")).map(named).collect();
        assert_eq!(created, expected_objects(version), "{version}");
        let others: BTreeSet<&str> =
            writes.iter().filter(|w| !w.starts_with("CREATE")).map(String::as_str).collect();
        assert_eq!(others, ["PATCH /api/v1/nodes/cp1"].into(), "{version}");
        assert_eq!(host.machine.service_log(), ["stop kubelet", "restart kubelet"]);
        let images = host.runtimes.runtime.set(|runtime| runtime.images.len());
        assert_eq!(images, 7, "{version}");
        let said = host.output.said().join("\n");
        assert!(said.contains("Your Kubernetes control-plane has initialized successfully!"));
        assert!(said.contains("kubeadm join 192.0.2.10:6443 --token abcdef.0123456789abcdef"));
    }
}

/// With Docker, which is the default up to 1.23, the kubelet is told of no socket, and a reset finds Docker again.
#[test]
fn the_kubelet_is_told_of_docker() {
    const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
    let flags = |version: &str, driver: Result<CgroupDriver, RuntimeError>| {
        let (host, mut spec) = (host(version), wish::init(version, ""));
        spec.init.node_registration.cri_socket = DOCKERSHIM.into();
        // SystemVerification asks for more than is in memory.
        spec.ignored = Ignored(["systemverification".to_owned()].into());
        host.runtimes.runtime.set(|runtime| runtime.cgroup_driver = driver);
        init(&host, &spec).unwrap();
        let text = host.files.text(FLAGS).unwrap();
        (text, runtime_socket(&*host.files), host.output.warned().join("\n"))
    };
    let cni = "--cni-bin-dir=/opt/cni/bin --cni-conf-dir=/etc/cni/net.d";
    let pause = "--pod-infra-container-image=k8s.gcr.io/pause:3.1";
    let docker = Some(DOCKERSHIM.to_owned());
    for (version, driver, expected) in [
        ("v1.11.10", CgroupDriver::Cgroupfs, format!("--cgroup-driver=cgroupfs {cni} --network-plugin=cni")),
        ("v1.12.10", CgroupDriver::Systemd, "--cgroup-driver=systemd --network-plugin=cni".into()),
        (OLD, CgroupDriver::Cgroupfs, format!("--cgroup-driver=cgroupfs --network-plugin=cni {pause}")),
    ] {
        let (text, socket, _) = flags(version, Ok(driver));
        assert_eq!(text, format!("KUBELET_KUBEADM_ARGS={expected}\n"), "{version}");
        assert_eq!(socket, docker, "{version}");
    }
    let silent =
        RuntimeError::Failed { call: "docker info", message: "unknown cgroup driver \"none\"".into() };
    let (text, _, warned) = flags(OLD, Err(silent));
    assert_eq!(text, format!("KUBELET_KUBEADM_ARGS=--network-plugin=cni {pause}\n"));
    let wanted = "cannot automatically assign a '--cgroup-driver' value when starting the Kubelet: docker info: unknown";
    assert!(warned.contains(wanted), "{warned}");
}

/// While something new comes, a gate decides for each cluster.
#[test]
fn gates_decide_what_a_release_leaves_open() {
    let with = |version: &str, gate: &str, on: bool| {
        let (host, mut spec) = (host(version), wish::init(version, ""));
        spec.cluster.control_plane_endpoint = "cluster.example.com:6443".into();
        spec.cluster.feature_gates.insert(gate.into(), on);
        spec.ignored = Ignored(["systemverification".to_owned()].into());
        init(&host, &spec).unwrap();
        host
    };
    let flags = |host: &MemoryHost| host.files.text("/var/lib/kubelet/kubeadm-flags.env").unwrap();
    for (version, on) in [("v1.32.13", true), ("v1.32.13", false), ("v1.34.4", true), ("v1.34.4", false)] {
        let host = with(version, "NodeLocalCRISocket", on);
        let noted = host.cluster.object(NODES, "", "cp1").unwrap()["metadata"]["annotations"].clone();
        assert_eq!(host.files.text("/var/lib/kubelet/instance-config.yaml").is_some(), on, "{version}");
        assert_eq!(flags(&host).contains("--container-runtime-endpoint="), !on, "{version}");
        assert_eq!(noted["kubeadm.alpha.kubernetes.io/cri-socket"].is_string(), !on, "{version} {noted}");
        let host = with(version, "ControlPlaneKubeletLocalMode", on);
        let kubelet = host.files.text("/etc/kubernetes/kubelet.conf").unwrap();
        assert_eq!(kubelet.contains("https://cluster.example.com:6443"), !on, "{version}");
    }
    for (version, on, name) in [
        ("v1.23.17", true, "kubelet-config"),
        ("v1.23.17", false, "kubelet-config-1.23"),
        ("v1.24.17", true, "kubelet-config"),
        ("v1.24.17", false, "kubelet-config-1.24"),
    ] {
        let host = with(version, "UnversionedKubeletConfigMap", on);
        assert!(host.cluster.object(CONFIG_MAPS, "kube-system", name).is_some(), "{version} {name}");
    }
}

#[test]
fn phases_run_alone_as_they_run_together() {
    for version in [NEW, OLD] {
        let (whole, parts, spec) = (host(version), host(version), wish::init(version, ""));
        init(&whole, &spec).unwrap();
        for phase in INIT {
            let (only, context) =
                (Selection::Only { path: phase.name.into(), skip: Vec::new() }, spec.context());
            block_on(run::run(INIT, &only, &spec, &context, &parts.effects()))
                .unwrap_or_else(|e| panic!("{version}, {}: {e}", phase.name));
        }
        let (found, expected) = (shape(&parts), shape(&whole));
        same(&found.0, &expected.0, version);
        same(&found.1, &expected.1, version);
        assert_eq!(parts.output.said().len(), whole.output.said().len());
    }
}

// --- again ----------------------------------------------------------------------------------------------------

/// What the kubelet does with the manifests.
fn start_static_pods(host: &MemoryHost) {
    let running = |name| Container { state: ContainerState::Running, finished: None, ..ended(host, name, 0) };
    let pods = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    host.runtimes.runtime.set(|runtime| runtime.containers = pods.map(running).into());
}

#[test]
fn a_kubelet_that_has_not_started_what_changed_is_restarted() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    init(&host, &spec).unwrap();
    start_static_pods(&host);
    host.runtimes.runtime.set(|runtime| runtime.containers.remove(0));
    init(&host, &spec).unwrap();
    assert_eq!(host.machine.service_log().len(), 4, "{:?}", host.machine.service_log());
}

#[test]
fn a_second_run_changes_no_file_and_restarts_nothing() {
    for version in ALL {
        let (host, spec) = (host(version), wish::init(version, ""));
        init(&host, &spec).unwrap();
        let (before, changes) = (shape(&host), host.files.changes().len());
        let bytes = written(&host);
        start_static_pods(&host);
        let keys = host.keys.made();
        init(&host, &spec).unwrap();
        assert_eq!(host.keys.made(), keys, "{version}: keys were made for files that are there");
        assert_eq!(host.files.changes()[changes..], [""; 0].map(PathBuf::from), "{version}");
        same(&written(&host), &bytes, version);
        same(&shape(&host).1, &before.1, version);
        assert_eq!(host.machine.service_log(), ["stop kubelet", "restart kubelet"]);
    }
}

#[test]
fn a_kubelet_that_rotated_its_certificate_keeps_it() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.files.put(ROTATED, "-----BEGIN CERTIFICATE-----\n", 0o600);
    init(&host, &spec).unwrap();
    let kubelet = host.files.text("/etc/kubernetes/kubelet.conf").unwrap();
    assert!(kubelet.contains(&format!("client-certificate: {ROTATED}")), "{kubelet}");
    assert!(!kubelet.contains("client-key-data"), "{kubelet}");
    let bytes = written(&host);
    start_static_pods(&host);
    init(&host, &spec).unwrap();
    assert_eq!(written(&host), bytes);
    assert_eq!(host.machine.service_log(), ["stop kubelet", "restart kubelet", "restart kubelet"]);
}

#[test]
fn components_without_root_own_what_they_read() {
    let host = host(NEW);
    host.files.put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644);
    host.files.put("/etc/group", "root:x:0:\n", 0o644);
    let spec = wish::init(NEW, "featureGates: {RootlessControlPlane: true}");
    init(&host, &spec).unwrap();
    let owner = |path: &str| host.files.all()[Path::new(path)].owner;
    let passwd = host.files.text("/etc/passwd").unwrap();
    let ids = |user: &str| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
        let words: Vec<&str> = line.split(':').collect();
        (words[2].parse::<u32>().unwrap(), words[3].parse::<u32>().unwrap())
    };
    assert_eq!(owner("/etc/kubernetes/scheduler.conf"), ids("kubeadm-ks"));
    assert_eq!(owner("/etc/kubernetes/pki/apiserver.key"), ids("kubeadm-kas"));
    assert_eq!(owner("/etc/kubernetes/pki/etcd/server.key"), ids("kubeadm-etcd"));
    assert_eq!(owner("/etc/kubernetes/admin.conf"), (0, 0));
    // The certificates stay theirs, and nobody gets a second account.
    let changes = host.files.changes().len();
    init(&host, &spec).unwrap();
    assert_eq!(host.files.changes()[changes..], [""; 0].map(PathBuf::from));
    assert_eq!(host.files.text("/etc/passwd").unwrap(), passwd);
}

#[test]
fn another_wish_is_followed_by_a_second_run() {
    let host = host(NEW);
    init(&host, &wish::init(NEW, "")).unwrap();
    let changes = host.files.changes().len();
    let wish = wish::init(NEW, "apiServer: {extraArgs: [{name: v, value: '4'}]}");
    init(&host, &wish).unwrap();
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    assert_eq!(host.files.changes()[changes..], [PathBuf::from(manifest)]);
    assert!(host.files.text(manifest).unwrap().contains("- --v=4\n"));
}

// --- dry ------------------------------------------------------------------------------------------------------

#[test]
fn a_dry_run_plans_the_same_and_touches_nothing() {
    for version in ALL {
        let (real, dry) = (host(version), host(version));
        let mut spec = wish::init(version, "");
        init(&real, &spec).unwrap();
        spec.layout.landing = Some("/tmp/dry".into());
        let before = dry.files.all();
        init_with(&dryrun::over(&dry.effects(), &spec.layout), &spec).unwrap();

        let after = dry.files.all();
        assert!(before.iter().all(|(path, entry)| after.get(path) == Some(entry)), "{version}");
        let strays: Vec<PathBuf> =
            dry.files.changes().into_iter().filter(|path| !path.starts_with("/tmp/dry")).collect();
        assert_eq!(strays, [""; 0].map(PathBuf::from), "{version}");
        assert_eq!(dry.cluster.writes(), [""; 0], "{version}");
        assert_eq!(dry.machine.service_log(), [""; 0], "{version}");
        assert_eq!(dry.runtimes.runtime.set(|runtime| runtime.images.len()), 0);
        secrets_are_private(&dry);

        // The same files, where a dry run puts them.
        let planned: BTreeMap<PathBuf, (u32, String)> =
            shape(&real).0.into_iter().map(|(path, file)| (spec.layout.shown(&path), file)).collect();
        let landed = written(&dry);
        assert_eq!(landed.keys().collect::<Vec<_>>(), planned.keys().collect::<Vec<_>>(), "{version}");
        for (path, (mode, content)) in landed {
            let (expected_mode, expected) = &planned[&path];
            assert_eq!(mode, *expected_mode, "{}", path.display());
            assert!(expected.is_empty() || content == expected.as_bytes(), "{}", path.display());
        }

        // The same requests, but for the binding that a dry run does not need.
        let said = dry.output.said();
        let told: Vec<&str> = said
            .iter()
            .filter_map(|text| text.strip_prefix("[dryrun] Would perform action "))
            .filter(|text| ["CREATE", "UPDATE", "PATCH"].iter().any(|verb| text.starts_with(verb)))
            .filter_map(|text| text.lines().next())
            .map(|line| line.split(" in API group").next().unwrap())
            .collect();
        let writes = real.cluster.writes();
        let made: Vec<String> = writes
            .iter()
            .filter(|write| !write.ends_with("kubeadm:cluster-admins"))
            .map(|write| {
                let (verb, path) = write.split_once(' ').unwrap();
                format!("{verb} on resource {:?}", named(path).split(' ').next().unwrap())
            })
            .collect();
        assert_eq!(told, made, "{version}");
        assert!(!said.iter().any(|text| text.contains("PRIVATE KEY")), "{version}");
        assert!(
            said.iter().all(|text| !text.contains("initialized successfully") || text.contains("/tmp/dry"))
        );
    }
}

#[test]
fn a_dry_run_beside_a_cluster_changes_nothing_in_it() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    init(&host, &spec).unwrap();
    let (files, objects, changes) = (written(&host), host.cluster.objects(), host.files.changes().len());
    spec.layout.landing = Some("/tmp/dry".into());
    init_with(&dryrun::over(&host.effects(), &spec.layout), &spec).unwrap();
    assert!(host.files.changes()[changes..].iter().all(|path| path.starts_with("/tmp/dry")));
    let after: BTreeMap<_, _> =
        written(&host).into_iter().filter(|(path, _)| !path.starts_with("/tmp/dry")).collect();
    same(&after, &files, NEW);
    same(&host.cluster.objects(), &objects, NEW);
    assert_eq!(host.machine.service_log(), ["stop kubelet", "restart kubelet"]);
}

#[test]
fn a_dry_run_shows_no_values_of_secrets_but_those_of_tokens() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    spec.layout.landing = Some("/tmp/dry".into());
    (spec.upload_certs, spec.certificate_key) = (true, Some("0123456789abcdef".repeat(4)));
    init_with(&dryrun::over(&host.effects(), &spec.layout), &spec).unwrap();
    let said = host.output.said();
    let shown = |name: &str| {
        let name = format!("\n  name: {name}\n");
        let text =
            said.iter().find(|text| text.contains("\nkind: Secret\n") && text.contains(&name)).unwrap();
        let object = text.split_once("Attached object:\n").unwrap().1;
        kubeadm_yaml::parse_value(object, "Secret").unwrap()["data"].as_object().unwrap().clone()
    };
    let certificates = shown("kubeadm-certs");
    assert!(certificates.contains_key("ca.key") && certificates.values().all(Value::is_null));
    assert!(shown("bootstrap-token-abcdef").values().all(Value::is_string));
}

#[test]
fn a_dry_run_takes_nothing_from_the_folder_of_an_earlier_one() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    spec.layout.landing = Some("/tmp/dry".into());
    let run = || {
        let before = host.output.said().len();
        init_with(&dryrun::over(&host.effects(), &spec.layout), &spec).unwrap();
        host.output.said().split_off(before)
    };
    let made = |said: &[String]| said.iter().filter(|line| line.starts_with("[kubeconfig] Writing ")).count();
    let (first, again) = (run(), run());
    assert_eq!((made(&first), made(&again)), (5, 5));
    assert!(!again.iter().any(|line| line.contains("sing existing")), "{again:?}");
}

#[test]
fn a_dry_run_asks_a_cluster_that_does_not_answer_once() {
    let host = host(NEW);
    host.files.put("/tmp/other.conf", "", 0o600);
    let map = json!({"metadata": {"name": "m", "namespace": "n"}});
    block_on(host.cluster.create(CONFIG_MAPS, &map)).unwrap();
    let layout = Layout { landing: Some("/tmp/dry".into()), ..wish::init(NEW, "").layout };
    for (refusal, hopeless) in [
        (ApiError::Unreachable("i/o timeout".into()), true),
        (ApiError::Forbidden("secrets are not for you".into()), false),
    ] {
        let warned = host.output.warned().len();
        host.cluster.refuse(SECRETS, refusal);
        let effects = dryrun::over(&host.effects(), &layout);
        let get = |resource, name| {
            let api = effects.cluster.reader(&Access::new("/tmp/other.conf"));
            block_on(api.get(resource, "n", name)).unwrap()
        };
        assert_eq!(get(SECRETS, "s"), None);
        assert_eq!(get(SECRETS, "s"), None);
        assert_eq!(get(CONFIG_MAPS, "m").is_none(), hopeless);
        assert_eq!(host.output.warned().len() - warned, if hopeless { 1 } else { 2 });
    }
}

// --- what goes wrong ------------------------------------------------------------------------------------------

/// What a wait in vain found, and after how long it gave up.
fn findings(host: &MemoryHost, spec: &InitSpec) -> (Vec<Finding>, Duration) {
    let start = host.machine.elapsed();
    let error = init(host, spec).unwrap_err();
    let RunError::Phase { path, source } = error else { panic!("{error}") };
    assert_eq!(path, "wait-control-plane");
    let PhaseError::Action(ActionError::Wait(wait)) = *source else { panic!("{source}") };
    (wait.findings().to_vec(), host.machine.elapsed() - start)
}

const KUBELET_HEALTH: &str = "http://127.0.0.1:10248/healthz";
/// Causes that time will not cure must not wait for the limit of four minutes.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_kubelet_that_does_not_run_is_the_finding() {
    let failing = ServiceState::Failing { detail: "exit-code, status 1".into(), ended: 1 };
    for (state, words, advice) in [
        (ServiceState::Stopped, "is stopped", "systemctl status kubelet"),
        (ServiceState::Masked, "is masked", "systemctl unmask kubelet"),
        (failing, "refuses to run while swap is on (exit-code", "swapoff -a"),
    ] {
        let (host, spec) = (host(NEW), wish::init(NEW, ""));
        host.machine.set(|machine| {
            machine.kubelet().restarted = state;
            machine.refuse(KUBELET_HEALTH);
            machine.journal = vec![
                "I0101 00:00:00.000000 1 server.go:1] starting".into(),
                "E0101 00:00:00.000000 1 run.go:1] running with swap on is not supported".into(),
            ];
        });
        let (findings, took) = findings(&host, &spec);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].subject, "kubelet");
        assert!(findings[0].state.contains(words), "{findings:?}");
        assert!(findings[0].advice.contains(advice), "{findings:?}");
        assert!(took < SOON, "{words}: {took:?}");
        assert!(host.cluster.writes().is_empty());
        // What was wrong is put right, and the same run goes through.
        host.machine.set(|machine| {
            machine.kubelet().restarted = ServiceState::Running;
            machine.answers.clear();
        });
        init(&host, &spec).unwrap();
    }
}

/// A container of a static pod that has ended, before the next attempt began.
fn ended(host: &MemoryHost, name: &str, attempt: u32) -> Container {
    let created = host.machine.now() + Duration::from_millis(10) * attempt;
    Container {
        id: format!("{name}-{attempt}"),
        name: name.into(),
        pod: format!("{name}-cp1"),
        namespace: "kube-system".into(),
        image: format!("registry.k8s.io/{name}"),
        state: ContainerState::Exited,
        exit_code: Some(1),
        reason: "Error".into(),
        message: String::new(),
        attempt,
        created,
        finished: Some(created + Duration::from_millis(5)),
    }
}

#[test]
fn a_container_that_crashes_is_the_finding() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
    host.runtimes.runtime.set(|runtime| {
        runtime.containers = vec![ended(&host, "kube-apiserver", 1), ended(&host, "kube-apiserver", 0)];
        runtime.log = vec!["Error: unknown flag: --no-such-flag".into()];
    });
    let (findings, took) = findings(&host, &spec);
    assert_eq!(findings[0].subject, "kube-apiserver", "{findings:?}");
    assert!(
        findings[0].state.starts_with("was given a flag it does not know; exited with code 1"),
        "{findings:?}"
    );
    assert_eq!(findings[0].log, ["Error: unknown flag: --no-such-flag"]);
    assert!(findings[0].advice.contains("extraArgs"));
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_container_that_cannot_start_is_told_in_the_words_of_its_runtime() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
    let message = "exec: \"kube-apiserver\": executable file not found in $PATH: unknown";
    let of = |attempt| Container {
        exit_code: Some(128),
        reason: "StartError".into(),
        message: message.into(),
        ..ended(&host, "kube-apiserver", attempt)
    };
    let containers = vec![of(1), of(0)];
    host.runtimes.runtime.set(|runtime| runtime.containers = containers);
    let (findings, _) = findings(&host, &spec);
    let expected =
        format!("its image lacks the program; exited with code 128, StartError, {message} (2 times");
    assert!(findings[0].state.starts_with(&expected), "{findings:?}");
    assert!(findings[0].advice.contains("correct the image"), "{findings:?}");
}

#[test]
fn containers_of_a_manifest_that_was_replaced_do_not_end_the_wait() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    init(&host, &spec).unwrap();
    host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
    host.runtimes.runtime.set(|runtime| {
        runtime.containers = vec![ended(&host, "kube-apiserver", 1), ended(&host, "kube-apiserver", 0)];
    });
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    host.files.touch(manifest, host.machine.now() + Duration::from_secs(1));
    let (_, took) = findings(&host, &spec);
    assert!(took >= Duration::from_secs(240), "{took:?}");
    // Left as it was, it is as broken as before.
    host.files.touch(manifest, host.machine.now() - Duration::from_secs(1));
    let (findings, took) = findings(&host, &spec);
    assert_eq!(findings[0].subject, "kube-apiserver");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn what_answers_in_the_name_of_a_changed_manifest_is_waited_out() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    init(&host, &spec).unwrap();
    let running = Container { state: ContainerState::Running, finished: None, ..ended(&host, "etcd", 0) };
    host.runtimes.runtime.set(|runtime| runtime.containers = vec![running]);
    let etcd = "/etc/kubernetes/manifests/etcd.yaml";
    host.files.touch(etcd, host.machine.now() - Duration::from_secs(1));
    init(&host, &spec).unwrap();
    host.files.touch(etcd, host.machine.now() + Duration::from_secs(1));
    let error = init(&host, &spec).unwrap_err();
    assert!(error.to_string().contains("the previous container of etcd still runs"), "{error}");
}

#[test]
fn a_predecessor_that_still_holds_the_port_is_waited_out() {
    // It still runs, or has just ended: the kubelet pauses before it tries the new one again.
    for state in [ContainerState::Running, ContainerState::Exited] {
        let (host, spec) = (host(NEW), wish::init(NEW, ""));
        host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
        let exited = state == ContainerState::Exited;
        let new = ended(&host, "kube-apiserver", 0);
        let before = Container {
            id: "before".into(),
            state,
            created: new.created - Duration::from_secs(60),
            finished: exited.then(|| new.created + Duration::from_millis(100)),
            ..new.clone()
        };
        host.runtimes.runtime.set(|runtime| {
            runtime.containers = vec![ended(&host, "kube-apiserver", 1), new, before];
            runtime.log = vec!["listen tcp 0.0.0.0:6443: bind: address already in use".into()];
        });
        let (_, took) = findings(&host, &spec);
        assert!(took >= Duration::from_secs(240), "{took:?}");
    }
}

#[test]
fn a_broken_etcd_is_the_finding_not_what_depends_on_it() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
    host.runtimes.runtime.set(|runtime| {
        for name in ["kube-apiserver", "etcd"] {
            runtime.containers.extend([ended(&host, name, 1), ended(&host, name, 0)]);
        }
        runtime.log = vec!["{\"level\":\"fatal\",\"msg\":\"bind: address already in use\"}".into()];
    });
    let (findings, _) = findings(&host, &spec);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].subject, "etcd");
    assert!(findings[0].state.contains("the address is already in use"), "{findings:?}");
}

#[test]
fn an_image_that_is_not_there_is_the_finding() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    spec.init.node_registration.image_pull_policy = "Never".into();
    let url = "https://127.0.0.1:10259/livez";
    let line = "E0101 00:00:00.000000 1 pod_workers.go:1] ErrImagePull container=\"kube-scheduler\"";
    host.machine.set(|machine| {
        machine.refuse(url);
        machine.journal = vec![line.into()];
    });
    let (findings, took) = findings(&host, &spec);
    assert_eq!(findings[0].subject, "kube-scheduler", "{findings:?}");
    assert!(
        findings[0].state.contains("image registry.k8s.io/kube-scheduler:v1.37.2 is not there"),
        "{findings:?}"
    );
    assert!(took < SOON, "{took:?}");
}

#[test]
fn slow_is_not_broken() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.cluster.set_health(Some(ApiError::Unreachable("connection refused".into())));
    host.runtimes.runtime.set(|runtime| {
        let mut running = ended(&host, "kube-apiserver", 0);
        (running.state, running.finished, running.exit_code) = (ContainerState::Running, None, None);
        runtime.containers = vec![running];
    });
    let (_, took) = findings(&host, &spec);
    assert!(took >= Duration::from_secs(240), "gave up after {took:?}");
}

#[test]
fn a_registry_that_stumbles_is_asked_again() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.runtimes.runtime.set(|runtime| runtime.failing_pulls = 4);
    init(&host, &spec).unwrap();

    let host = self::host(NEW);
    host.runtimes.runtime.set(|runtime| runtime.failing_pulls = 5);
    let error = init(&host, &spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error execution phase preflight: failed to pull image registry.k8s.io/kube-apiserver:v1.37.2: PullImage: registry stumbles"
    );
    assert_eq!(host.files.changes(), [""; 0].map(PathBuf::from));
}

#[test]
fn a_runtime_that_answers_late_is_asked_again_for_images() {
    let spec = wish::init(NEW, "");
    let pull = |call, times| {
        let host = host(NEW);
        host.runtimes.runtime.set(|runtime| runtime.late = vec![call; times]);
        let start = host.machine.elapsed();
        let outcome = init(&host, &spec).map_err(|error| error.to_string());
        (outcome, (host.machine.elapsed() - start).as_secs(), host.output.warned().join("\n"))
    };
    for (call, limit) in [("ImageStatus", 20..25), ("PullImage", 10..25)] {
        let (outcome, _, warned) = pull(call, 4);
        outcome.unwrap();
        assert!(!warned.contains("image"), "{call}: {warned}");
        let (outcome, took, _) = pull(call, 1000);
        let error = outcome.unwrap_err();
        assert!(error.contains(&format!("listens, but did not answer {call} within")), "{error}");
        assert!(limit.contains(&took), "{call}: {took} s");
    }
}

#[test]
fn failed_checks_change_nothing() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.machine.set(|machine| machine.cpus = 1);
    let RunError::Phase { source, .. } = init(&host, &spec).unwrap_err() else { panic!() };
    let PhaseError::Preflight(report) = *source else { panic!("{source}") };
    assert_eq!(report.errors.len(), 1);
    assert_eq!(host.files.changes(), [""; 0].map(PathBuf::from));
    assert_eq!(host.cluster.writes(), [""; 0]);
    assert_eq!(host.machine.service_log(), [""; 0]);
}
