//! `join` of a worker over a machine and a cluster in memory: what it leaves, again, and what it says
//! of a cluster that it cannot trust.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use kubeadm_config::types::{FileDiscovery, SecretText};
use kubeadm_engine::discovery::DiscoveryError;
use kubeadm_engine::dryrun;
use kubeadm_engine::join::{JoinSpec, JoinedError};
use kubeadm_engine::kubelet::CLIENT_CERTIFICATE;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::join::JOIN;
use kubeadm_engine::phases::join::kubelet_start::KubeletStartError;
use kubeadm_engine::phases::{INIT, PhaseError};
use kubeadm_engine::ports::{ApiError, Clock, Files, WriteApi};
use kubeadm_engine::resource::{CONFIG_MAPS, NODES, SECRETS};
use kubeadm_engine::run::{self, RunError};
use kubeadm_engine::spec::{Ignored, InitSpec};
use kubeadm_pki::kubeconfig::Kubeconfig;
use kubeadm_pki::{Certificate, jws};
use kubeadm_testkit::{MemoryCluster, MemoryHost};
use serde_json::json;

use crate::wish;

pub(crate) const VERSION: &str = "v1.37.2";
pub(crate) const TOKEN: &str = "abcdef.0123456789abcdef";
const CA: &str = "/etc/kubernetes/pki/ca.crt";
const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
/// A kubelet.conf with credentials of its own.
const CREDENTIALS: &str = "apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: 'https://192.0.2.10:6443'}}]
users: [{name: u, user: {token: t}}]
";
const BOOTSTRAP_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";

/// A cluster made by `init`, its `cluster-info` signed as the controller manager does, and the pin of its authority.
pub(crate) fn cluster() -> (Arc<MemoryCluster>, String) {
    let (host, pin) = first(wish::init(VERSION, "controlPlaneEndpoint: api.example.com:6443\n"));
    (Arc::clone(&host.cluster), pin)
}

/// The node that `init` makes of a spec, and the pin.
pub(crate) fn first(spec: InitSpec) -> (MemoryHost, String) {
    let host = MemoryHost::default();
    host.machine.set(|state| state.install_kubelet(VERSION));
    host.cluster.register("cp1");
    block_on(run::run(INIT, &Selection::Skip(Vec::new()), &spec, &spec.context(), &host.effects())).unwrap();
    let mut info = host.cluster.object(CONFIG_MAPS, "kube-public", "cluster-info").unwrap();
    let text = info["data"]["kubeconfig"].as_str().unwrap().to_owned();
    let (id, secret) = TOKEN.split_once('.').unwrap();
    info["data"][format!("jws-kubeconfig-{id}")] = json!(jws::sign(&text, id, secret));
    block_on(host.cluster.update(CONFIG_MAPS, &info)).unwrap();
    let ca = host.files.text(CA).unwrap();
    let pin = Certificate::from_pem(ca.as_bytes()).unwrap().pin();
    (host, pin)
}

/// A machine that reaches the cluster.
pub(crate) fn machine(cluster: &Arc<MemoryCluster>) -> MemoryHost {
    let host = MemoryHost { cluster: Arc::clone(cluster), ..MemoryHost::default() };
    host.machine.set(|state| state.install_kubelet(VERSION));
    host
}

pub(crate) fn run_phases(host: &MemoryHost, spec: &JoinSpec, skip: &[&str]) -> Result<(), RunError> {
    let skip = skip.iter().map(|s| (*s).to_owned()).collect();
    block_on(run::run(JOIN, &Selection::Skip(skip), spec, &spec.context(), &host.effects()))
}

/// Everything up to the wait; then the kubelet has its certificate, and the wait ends.
fn join(host: &MemoryHost, token: &str, pin: &str) -> Result<(), RunError> {
    let spec = wish::join(VERSION, token, &[pin.to_owned()]);
    run_phases(host, &spec, &["kubelet-wait-bootstrap"])?;
    let bootstrap = host.files.text(BOOTSTRAP_CONF).or_else(|| host.files.text(KUBELET_CONF));
    host.files.put(KUBELET_CONF, bootstrap.expect("the kubelet has credentials"), 0o600);
    run_phases(host, &spec, &["preflight", "kubelet-start"])
}

fn discovery(error: RunError) -> DiscoveryError {
    let RunError::Phase { source, .. } = error else { panic!("{error}") };
    match *source {
        PhaseError::Joined(error) => match *error {
            JoinedError::Discovery(error) => error,
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn a_worker_has_what_its_kubelet_needs() {
    let (cluster, pin) = cluster();
    let host = machine(&cluster);
    join(&host, TOKEN, &pin).unwrap();
    let config = host.files.text("/var/lib/kubelet/config.yaml").unwrap();
    assert!(config.contains("clusterDomain: cluster.local"), "{config}");
    assert_eq!(host.files.stat(CA.as_ref()).unwrap().unwrap().mode, 0o644);
    let kubeconfig = host.files.text(KUBELET_CONF).unwrap();
    assert!(kubeconfig.contains("https://api.example.com:6443"), "{kubeconfig}");
    assert!(!host.files.exists(BOOTSTRAP_CONF.as_ref()), "credentials of the bootstrap are left");
    // Again: nothing is in the way, and nothing is asked of the bootstrap.
    join(&host, TOKEN, &pin).unwrap();
    assert!(!host.files.exists(BOOTSTRAP_CONF.as_ref()));
}

/// Before the cluster is known, the machine is looked at for the release of its kubelet.
#[test]
fn a_kubelet_is_held_against_the_cluster() {
    let (cluster, pin) = cluster();
    let host = machine(&cluster);
    host.machine.set(|state| state.install_kubelet("v1.13.12"));
    let mut spec = wish::join("v1.13.12", TOKEN, &[pin]);
    // What else a machine of 2018 has.
    spec.alone.ignored = Ignored(
        ["systemverification", "filecontent--proc-sys-net-bridge-bridge-nf-call-iptables"]
            .map(str::to_owned)
            .into(),
    );
    let RunError::Phase { source, .. } = run_phases(&host, &spec, &[]).unwrap_err() else { panic!() };
    let PhaseError::Preflight(report) = *source else { panic!("{source}") };
    let error = format!("{:?}", report.errors);
    assert!(error.contains("is lower than kubeadm can support"), "{error}");
    assert_eq!(report.errors.len(), 1, "{error}");
    assert!(!host.files.exists(BOOTSTRAP_CONF.as_ref()), "the join went on");
}

/// Tokens and nodes of v1.11 may not read `kubeadm-config`, and the join of that time did not ask for it.
#[test]
fn a_worker_of_a_cluster_that_keeps_its_configuration_to_itself() {
    let old = "v1.11.10";
    let (cluster, pin) = cluster();
    let mut kubelet = cluster.object(CONFIG_MAPS, "kube-system", "kubelet-config").unwrap();
    kubelet["metadata"]["name"] = json!("kubelet-config-1.11");
    cluster.place(CONFIG_MAPS, kubelet);
    cluster.hide(CONFIG_MAPS, "kube-system", "kubeadm-config");
    let worker = || {
        let host = machine(&cluster);
        host.machine.set(|state| state.install_kubelet(old));
        run_phases(
            &host,
            &wish::join(old, TOKEN, std::slice::from_ref(&pin)),
            &["preflight", "kubelet-wait-bootstrap"],
        )
        .map(|()| host)
    };
    cluster.serve_version("v1.13.12");
    let error = worker().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("kubeadm-config is not for you"), "{error}");
    cluster.serve_version(old);
    let config = worker().unwrap().files.text("/var/lib/kubelet/config.yaml").unwrap();
    assert!(config.contains("clusterDomain: cluster.local"), "{config}");
}

/// Later kubeadms of that time look for the runtime of a node in its annotation.
#[test]
fn a_node_of_old_is_annotated_with_its_runtime() {
    for (version, expected) in [("v1.13.12", true), (VERSION, false)] {
        let (cluster, pin) = cluster();
        let host = machine(&cluster);
        cluster.register("w1");
        let spec = wish::join(version, TOKEN, &[pin]);
        host.files.put(KUBELET_CONF, CREDENTIALS, 0o600);
        run_phases(&host, &spec, &["preflight", "kubelet-start"]).unwrap();
        let node = cluster.object(NODES, "", "w1").unwrap();
        let annotation = &node["metadata"]["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"];
        assert_eq!(annotation == "unix:///run/memory.sock", expected, "{version}: {node}");
    }
}

#[test]
fn a_kubelet_that_has_only_asked_for_its_certificate_still_needs_the_bootstrap() {
    let (cluster, pin) = cluster();
    let host = machine(&cluster);
    let spec = wish::join(VERSION, TOKEN, &[pin]);
    run_phases(&host, &spec, &["kubelet-wait-bootstrap"]).unwrap();
    let bootstrap = host.files.text(BOOTSTRAP_CONF).unwrap();
    let token = bootstrap.lines().find(|line| line.trim().starts_with("token: ")).unwrap();
    let named = bootstrap.replace(token, &format!("    client-certificate: {CLIENT_CERTIFICATE}"));
    host.files.put(KUBELET_CONF, named, 0o600);
    let skip = ["preflight", "kubelet-start"];
    let RunError::Phase { source, .. } = run_phases(&host, &spec, &skip).unwrap_err() else { panic!() };
    let error = source.to_string();
    assert!(error.contains("the kubelet got no certificate of its own"), "{error}");
    assert!(host.files.exists(BOOTSTRAP_CONF.as_ref()));
    host.files.put(CLIENT_CERTIFICATE, "it is here", 0o600);
    run_phases(&host, &spec, &skip).unwrap();
    assert!(!host.files.exists(BOOTSTRAP_CONF.as_ref()));
}

#[test]
fn each_reason_for_distrust_has_its_own_error() {
    let (cluster, pin) = cluster();
    let host = machine(&cluster);
    let other = format!("sha256:{}", "00".repeat(32));
    let failed = |token: &str, pin: &str| discovery(join(&host, token, pin).unwrap_err());
    assert!(matches!(failed("abcdef.aaaaaaaaaaaaaaaa", &pin), DiscoveryError::Signature(_)));
    assert!(matches!(failed("nobody.0123456789abcdef", &pin), DiscoveryError::UnknownToken { known: 1, .. }));
    assert!(matches!(failed(TOKEN, &other), DiscoveryError::NotPinned { .. }));
    assert!(matches!(failed(TOKEN, "sha256:00"), DiscoveryError::Pin(_)));
    let start = host.machine.elapsed();
    cluster.refuse(CONFIG_MAPS, ApiError::UnknownHost("no such host".into()));
    assert!(matches!(failed(TOKEN, &pin), DiscoveryError::UnknownHost { .. }));
    cluster.refuse(CONFIG_MAPS, ApiError::Untrusted("unknown issuer".into()));
    assert!(matches!(failed(TOKEN, &pin), DiscoveryError::Untrusted { .. }));
    cluster.refuse(CONFIG_MAPS, ApiError::NotFound("404 page not found".into()));
    assert!(matches!(failed(TOKEN, &pin), DiscoveryError::Refused { .. }));
    assert!(host.machine.elapsed() - start < Duration::from_secs(30), "named late");
    cluster.refuse(CONFIG_MAPS, ApiError::Unreachable("connection refused".into()));
    assert!(matches!(failed(TOKEN, &pin), DiscoveryError::NoAnswer { .. }));
    assert!(host.machine.elapsed() - start > Duration::from_secs(300), "not waited for");
    for path in [CA, KUBELET_CONF, BOOTSTRAP_CONF] {
        assert!(!host.files.exists(path.as_ref()), "{path} was written");
    }
}

/// Discovery by the file `/disk/cluster.conf`; `user` continues it.
fn join_by_file(host: &MemoryHost, authority: &str, user: &str, token: &str) -> Result<(), RunError> {
    host.files.put("/disk/authority.crt", authority, 0o644);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: k, cluster: {{server: 'https://api.example.com:6443', certificate-authority: authority.crt}}}}]\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n{user}"
    );
    host.files.put("/disk/cluster.conf", text, 0o600);
    let mut spec = wish::join(VERSION, TOKEN, &["sha256:00".into()]);
    spec.join.discovery.bootstrap_token = None;
    spec.join.discovery.file = Some(FileDiscovery { kube_config_path: "/disk/cluster.conf".into() });
    spec.join.discovery.tls_bootstrap_token = SecretText(token.into());
    run_phases(host, &spec, &["kubelet-wait-bootstrap"])
}

#[test]
fn a_file_is_trusted_by_itself_and_its_cluster_is_asked() {
    let (cluster, _) = cluster();
    let authority = {
        let info = cluster.object(CONFIG_MAPS, "kube-public", "cluster-info").unwrap();
        let text = info["data"]["kubeconfig"].as_str().unwrap().to_owned();
        let config = Kubeconfig::parse(&text, "cluster-info").unwrap();
        config.clusters[0].cluster.authorities().unwrap()[0].to_pem()
    };
    let host = machine(&cluster);
    let error = discovery(join_by_file(&host, &authority, "", "").unwrap_err());
    assert!(matches!(error, DiscoveryError::NoCredentials), "{error}");
    join_by_file(&host, &authority, "", TOKEN).unwrap();
    let kubeconfig = host.files.text(BOOTSTRAP_CONF).unwrap();
    assert!(kubeconfig.contains(TOKEN) && !kubeconfig.contains("authority.crt"), "{kubeconfig}");
    let host = machine(&cluster);
    join_by_file(&host, &authority, "users: [{name: u, user: {token: of-the-file}}]\n", "").unwrap();
    assert!(host.files.text(BOOTSTRAP_CONF).unwrap().contains("of-the-file"));
    assert_eq!(host.files.text(CA).unwrap(), authority);

    let failed = |error: ApiError| {
        let host = machine(&cluster);
        let start = host.machine.elapsed();
        cluster.refuse(CONFIG_MAPS, error);
        let error = discovery(join_by_file(&host, &authority, "", TOKEN).unwrap_err());
        assert!(!host.files.exists(BOOTSTRAP_CONF.as_ref()));
        (error, (host.machine.elapsed() - start).as_secs())
    };
    let (error, took) = failed(ApiError::UnknownHost("no such host".into()));
    assert!(matches!(error, DiscoveryError::UnknownHost { .. }) && took < 15, "{error} after {took} s");
    let (error, took) = failed(ApiError::Untrusted("unknown issuer".into()));
    assert!(matches!(error, DiscoveryError::Untrusted { .. }) && took < 2, "{error} after {took} s");
    let (error, took) = failed(ApiError::NotFound("404 page not found".into()));
    assert!(matches!(error, DiscoveryError::File { .. }) && took < 2, "{error} after {took} s");
    let (error, took) = failed(ApiError::Unreachable("connection refused".into()));
    assert!(matches!(error, DiscoveryError::NoAnswer { .. }) && took >= 300, "{error} after {took} s");
}

const FOLDER: &str = "/tmp/dry";

fn dry_join(host: &MemoryHost, token: &str, pin: &str) -> Result<(), RunError> {
    let spec = wish::dry_join(VERSION, token, &[pin.to_owned()], FOLDER);
    let effects = dryrun::over(&host.effects(), &spec.alone.layout);
    block_on(run::run(JOIN, &Selection::Skip(Vec::new()), &spec, &spec.context(), &effects))
}

#[test]
fn a_dry_run_needs_no_cluster_but_believes_no_other() {
    let (cluster, pin) = cluster();
    for silent in [false, true] {
        let host = machine(&cluster);
        if silent {
            cluster.refuse(CONFIG_MAPS, ApiError::Unreachable("connection refused".into()));
        }
        let before = host.machine.elapsed();
        dry_join(&host, TOKEN, &pin).unwrap();
        assert!(host.machine.elapsed() - before < Duration::from_secs(5), "waited");
        let outside: Vec<_> = host.files.changes().into_iter().filter(|p| !p.starts_with(FOLDER)).collect();
        assert!(outside.is_empty(), "{outside:?}");
        assert!(host.machine.service_log().is_empty(), "{:?}", host.machine.service_log());
        let said = host.output.said().join("\n");
        for line in [
            "[kubelet-start] Would stop the kubelet\n",
            "[kubelet-start] Would start the kubelet\n[dryrun] Wrote certificates and kubeconfig files to the \"/tmp/dry\" directory\n",
            "[dryrun] Would write file \"/var/lib/kubelet/config.yaml\" with content:\napiVersion: kubelet.config.k8s.io/v1beta1\n",
            "[kubelet-wait] Would wait for the kubelet to be bootstrapped",
        ] {
            assert!(said.contains(line), "{line} is missing in:\n{said}");
        }
        let warned = host.output.warned().join("\n");
        let going_on = "going on with what https://192.0.2.10:6443 would have by default";
        assert_eq!(warned.contains(going_on), silent, "{warned}");
        assert_eq!(host.files.exists("/tmp/dry/ca.crt".as_ref()), !silent);
    }
    let host = machine(&cluster);
    cluster.refuse(SECRETS, ApiError::Forbidden("not asked".into()));
    let error = discovery(dry_join(&host, "nobody.0123456789abcdef", &pin).unwrap_err());
    assert!(matches!(error, DiscoveryError::UnknownToken { .. }), "{error}");
    cluster.refuse(CONFIG_MAPS, ApiError::Untrusted("unknown issuer".into()));
    let error = discovery(dry_join(&host, TOKEN, &pin).unwrap_err());
    assert!(matches!(error, DiscoveryError::Untrusted { .. }), "{error}");
}

#[test]
fn whether_the_name_is_taken_is_asked_until_somebody_knows() {
    let (cluster, pin) = cluster();
    let host = machine(&cluster);
    let start = host.machine.elapsed();
    cluster.refuse(NODES, ApiError::Unreachable("connection reset".into()));
    let error = join(&host, TOKEN, &pin).unwrap_err().to_string();
    assert!(error.contains("cannot get Node \"w1\": connection reset"), "{error}");
    assert!(host.machine.elapsed() - start > Duration::from_secs(60), "given up at once");

    // A server that has just begun to listen refuses everybody, which is believed only after a moment.
    let unauthorized =
        ApiError::Unauthorized { kubeconfig: "bootstrap".into(), message: "Unauthorized".into() };
    for refusal in [unauthorized, ApiError::Forbidden("not yet".into())] {
        let host = machine(&cluster);
        cluster.refuse_times(NODES, refusal.clone(), 4);
        join(&host, TOKEN, &pin).unwrap();
        let host = machine(&cluster);
        let start = host.machine.elapsed();
        cluster.refuse(NODES, refusal.clone());
        let error = join(&host, TOKEN, &pin).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot get Node \"w1\": {refusal}")), "{error}");
        let took = (host.machine.elapsed() - start).as_secs();
        assert!((10..13).contains(&took), "{took} s");
    }

    // A dead control-plane node of the name is no obstacle, but its labels stay.
    let host = machine(&cluster);
    cluster.refuse(SECRETS, ApiError::Forbidden("not asked".into()));
    cluster.register("w1");
    let labels = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}});
    block_on(cluster.patch(NODES, "", "w1", &labels)).unwrap();
    join(&host, TOKEN, &pin).unwrap();
    let warned = host.output.warned().join("\n");
    assert!(warned.contains("the Node \"w1\" of the cluster is a control-plane node"), "{warned}");
}

#[test]
fn another_clusters_authority_is_refused_and_kept() {
    let (ours, pin) = cluster();
    let host = machine(&ours);
    let other = MemoryHost::default();
    let spec = wish::init(VERSION, "");
    let only = Selection::Only { path: "certs/ca".into(), skip: Vec::new() };
    block_on(run::run(INIT, &only, &spec, &spec.context(), &other.effects())).unwrap();
    let foreign = other.files.text(CA).unwrap();
    host.files.put(CA, foreign.clone(), 0o644);
    let RunError::Phase { source, .. } = join(&host, TOKEN, &pin).unwrap_err() else { panic!("no phase") };
    let PhaseError::KubeletStart(KubeletStartError::OtherAuthority { expected, .. }) = *source else {
        panic!("{source}")
    };
    assert_eq!(expected, pin);
    assert_eq!(host.files.text(CA).unwrap(), foreign);
}
