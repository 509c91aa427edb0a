//! Every check of `init`, on a machine where it holds and on one where it does not.

mod own;
mod system;

use std::time::Duration;

use futures::executor::block_on;
use kubeadm_config::types::Arg;
use kubeadm_engine::plan::Line;
use kubeadm_engine::ports::{
    CgroupDriver, Clock, DockerEngine, ListenError, RuntimeCondition, RuntimeError, RuntimeStatus,
    ServiceState,
};
use kubeadm_engine::preflight::{self, Check, Outcome, Report, checks};
use kubeadm_engine::spec::{Ignored, InitSpec};
use kubeadm_testkit::{MemoryHost, MemoryRuntime, RuntimeState, Service};

use crate::wish;

const NEW: &str = "v1.37.2";
const OLD: &str = "v1.13.12";
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// A host for a release, with its kubelet.
fn host(version: &str) -> MemoryHost {
    let host = if version == NEW { MemoryHost::default() } else { MemoryHost::of_old() };
    host.machine.set(|state| state.install_kubelet(version));
    host
}

/// What all checks of a name say.
fn check(host: &MemoryHost, spec: &InitSpec, id: &str) -> Outcome {
    let checks: Vec<Check> = checks::init(spec).into_iter().filter(|c| c.id == id).collect();
    assert!(!checks.is_empty(), "no check {id}");
    let mut all = Outcome::good();
    for check in checks {
        let outcome = block_on(check.run(spec, host.view()));
        all.warnings.extend(outcome.warnings);
        all.errors.extend(outcome.errors);
        all.report = all.report.or(outcome.report);
    }
    all
}

fn run(host: &MemoryHost, spec: &InitSpec, ignored: &[&str]) -> Result<Vec<String>, Report> {
    let ignored = Ignored(ignored.iter().map(|name| name.to_lowercase()).collect());
    let steps = block_on(preflight::run(&checks::init(spec), spec, &ignored, host.view()))?;
    Ok(steps.into_iter().flat_map(|step| step.lines).map(text).collect())
}

fn text(line: Line) -> String {
    match line {
        Line::Say(text) | Line::Warn(text) | Line::Note(text) => text,
    }
}

#[track_caller]
fn good(outcome: &Outcome) {
    assert_eq!((&*outcome.errors, &*outcome.warnings), (&[][..], &[][..]));
}

#[track_caller]
fn wrong(outcome: &Outcome, error: &str) {
    assert_eq!(outcome.errors, [error]);
}

#[track_caller]
fn doubtful(outcome: &Outcome, warning: &str) {
    assert_eq!((&*outcome.errors, &*outcome.warnings), (&[][..], &[warning.to_owned()][..]));
}

// --- the list -------------------------------------------------------------------------------------------------

const FILES: &str = "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml \
    FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml \
    FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml FileAvailable--etc-kubernetes-manifests-etcd.yaml";
const OLD_COMMON: &str = "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables \
    FileContent--proc-sys-net-ipv4-ip_forward Swap FileExisting-ip FileExisting-iptables FileExisting-mount \
    FileExisting-nsenter FileExisting-ebtables FileExisting-ethtool FileExisting-socat FileExisting-tc \
    FileExisting-touch SystemVerification Hostname KubeletVersion Service-Kubelet Port-10250";

/// The checks of a worker by upstream's names, apart from the files of an earlier join: those are judged once the
/// cluster is known.
#[test]
fn joining_nodes_have_the_recorded_checks() {
    let names = |version: &str, server: Option<&str>| {
        let checks = checks::join(&wish::init(version, ""), server);
        checks.into_iter().map(|c| c.id).collect::<Vec<_>>().join(" ")
    };
    let common = "IsPrivilegedUser CRI ContainerRuntimeVersion Swap FileExisting-losetup FileExisting-mount \
        FileExisting-cp SystemVerification Hostname KubeletVersion Service-kubelet Port-10250";
    assert_eq!(names(NEW, None), common);
    assert_eq!(names(NEW, Some("api.example.com")), format!("{common} HTTPProxy"));
    let v4 = "FileContent--proc-sys-net-ipv4-ip_forward";
    let v6 = "FileContent--proc-sys-net-ipv6-conf-default-forwarding";
    assert_eq!(names(NEW, Some("192.0.2.10")), format!("{common} HTTPProxy {v4}"));
    assert_eq!(names(NEW, Some("2001:db8::1")), format!("{common} HTTPProxy {v6}"));
    let common = format!("IsPrivilegedUser CRI {OLD_COMMON}");
    assert_eq!(names(OLD, Some("192.0.2.10")), format!("{common} HTTPProxy"));
    let bridge = "FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables";
    assert_eq!(names(OLD, Some("2001:db8::1")), format!("{common} HTTPProxy {bridge} {v6}"));

    let host = host(NEW);
    host.machine.set(|state| state.proxy = Some("http://proxy:3128".into()));
    let spec = wish::init(NEW, "");
    let proxy = checks::join(&spec, Some("2001:db8::1")).into_iter().find(|c| c.id == "HTTPProxy").unwrap();
    doubtful(
        &block_on(proxy.run(&spec, host.view())),
        "Connection to \"https://[2001:db8::1]:1234\" uses proxy \"http://proxy:3128\". If that is not intended, adjust your proxy settings",
    );
}

#[track_caller]
fn names_are(spec: &InitSpec, expected: &str) {
    let names: Vec<String> = checks::init(spec).into_iter().map(|c| c.id).collect();
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn the_checks_of_a_release_are_upstreams_in_order() {
    for version in [NEW, "v1.36.3"] {
        names_are(
            &wish::init(version, ""),
            &format!(
                "IsPrivilegedUser NumCPU Mem KubernetesVersion Firewalld Port-6443 Port-10259 Port-10257 {FILES} HTTPProxy
                 HTTPProxyCIDR CRI ContainerRuntimeVersion Swap FileExisting-losetup FileExisting-mount FileExisting-cp
                 SystemVerification Hostname KubeletVersion Service-kubelet Port-10250
                 FileContent--proc-sys-net-ipv4-ip_forward Port-2379 Port-2380 DirAvailable--var-lib-etcd"
            ),
        );
    }
    names_are(
        &wish::init(OLD, ""),
        &format!(
            "IsPrivilegedUser NumCPU KubernetesVersion Firewalld Port-6443 Port-10251 Port-10252 {FILES} HTTPProxy
             HTTPProxyCIDR CRI {OLD_COMMON} Port-2379 Port-2380 DirAvailable--var-lib-etcd"
        ),
    );
    names_are(
        &wish::init("v1.11.10", ""),
        &format!(
            "IsPrivilegedUser KubernetesVersion Firewalld Port-6443 Port-10251 Port-10252 {FILES} HTTPProxy
             HTTPProxyCIDR CRI {OLD_COMMON} Port-2379 DirAvailable--var-lib-etcd"
        ),
    );
}

#[test]
fn the_checks_changed_minor_by_minor() {
    let names = |version: &str| {
        let mut spec = wish::init(version, "");
        spec.cluster.networking.service_subnet = "fd00::/108,10.96.0.0/16".into();
        spec.advertise_address = "2001:db8::1".parse().unwrap();
        spec.init.node_registration.cri_socket = "/var/run/dockershim.sock".into();
        spec.kube_proxy.value["mode"] = "ipvs".into();
        let names: Vec<String> = checks::init(&spec).into_iter().map(|c| c.id).collect();
        let first = names.iter().position(|name| name == "CRI").unwrap();
        names[first..].join(" ").replace("FileExisting-", "+").replace("FileContent--proc-sys-net-", "=")
    };
    let etcd = "Port-2379 Port-2380 DirAvailable--var-lib-etcd";
    let verified = "SystemVerification Hostname KubeletVersion Service-Kubelet Port-10250";
    let (v4, v6) = ("=ipv4-ip_forward", "=ipv6-conf-default-forwarding");
    let (bridge4, bridge6) = ("=bridge-bridge-nf-call-iptables", "=bridge-bridge-nf-call-ip6tables");
    let docker = "CRI Service-Docker IsDockerSystemdCheck";
    let programs = "+ip +iptables +mount +nsenter +ebtables +ethtool +socat +tc +touch";
    for (version, ipvs) in [
        ("v1.14.10", "RequiredIPVSKernelModulesAvailable "),
        ("v1.15.12", "IPVSProxierCheck "),
        ("v1.16.15", ""),
    ] {
        assert_eq!(
            names(version),
            format!("{docker} {bridge4} {v4} Swap {programs} {verified} {ipvs}{bridge6} {v6} {etcd}")
        );
    }
    let programs = format!("+conntrack {programs}");
    for (version, runtime) in [("v1.18.20", docker), ("v1.22.17", "CRI Service-Docker"), ("v1.26.15", "CRI")]
    {
        assert_eq!(
            names(version),
            format!("{runtime} {bridge4} {v4} Swap {programs} {verified} {bridge6} {v6} {etcd}")
        );
    }
    assert_eq!(
        names("v1.27.16"),
        format!("CRI Swap {programs} {verified} {bridge4} {v4} {bridge6} {v6} {etcd}")
    );
    // The patch of v1.29 that is followed is older than that of v1.28.
    assert_eq!(
        names("v1.29.6"),
        format!("CRI Swap {programs} {verified} {bridge4} {v4} {bridge6} {v6} {etcd}")
    );
    let programs = "+ip +iptables +mount +nsenter +ethtool +tc +touch";
    assert_eq!(
        names("v1.28.15"),
        format!("CRI Swap +conntrack {programs} {verified} {bridge4} {v4} {bridge6} {v6} {etcd}")
    );
    assert_eq!(names("v1.30.14"), format!("CRI Swap +conntrack {programs} {verified} {v4} {v6} {etcd}"));
    assert_eq!(
        names("v1.31.14"),
        format!("CRI Swap +crictl +conntrack {programs} {verified} {v4} {v6} {etcd}")
    );
    assert_eq!(names("v1.32.13"), format!("CRI Swap {programs} {verified} {v4} {v6} {etcd}"));
    let programs = "+losetup +mount +cp";
    assert_eq!(names("v1.34.4"), format!("CRI Swap {programs} {verified} {v4} {v6} {etcd}"));
    let verified = verified.replace("-Kubelet", "-kubelet");
    assert_eq!(
        names("v1.35.4"),
        format!("CRI ContainerRuntimeVersion Swap {programs} {verified} {v4} {v6} {etcd}")
    );
}

#[test]
fn joining_nodes_look_at_the_family_of_the_server() {
    let names = |version: &str, server: &str| {
        let checks = checks::join(&wish::init(version, ""), Some(server));
        let after = checks.iter().position(|c| c.id == "HTTPProxy").unwrap() + 1;
        checks[after..].iter().map(|c| c.id.clone()).collect::<Vec<_>>()
    };
    let (v4, v6) = (
        "FileContent--proc-sys-net-ipv4-ip_forward",
        "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
    );
    let bridge4 = "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables";
    let bridge6 = "FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables";
    for (version, of_v4, of_v6) in [
        ("v1.26.15", &[][..], &[bridge6, v6][..]),
        ("v1.28.15", &[bridge4, v4], &[bridge6, v6]),
        ("v1.30.14", &[v4], &[v6]),
    ] {
        assert_eq!(names(version, "192.0.2.10"), of_v4, "{version}");
        assert_eq!(names(version, "2001:db8::1"), of_v6, "{version}");
    }
}

#[test]
fn the_configuration_adds_checks() {
    let mut old = wish::init(OLD, "networking: {podSubnet: 10.0.0.0/16}");
    old.init.node_registration.cri_socket = "/var/run/dockershim.sock".into();
    old.kube_proxy.value["mode"] = "ipvs".into();
    old.advertise_address = "2001:db8::1".parse().unwrap();
    names_are(
        &old,
        &format!(
            "IsPrivilegedUser NumCPU KubernetesVersion Firewalld Port-6443 Port-10251 Port-10252 {FILES} HTTPProxy
             HTTPProxyCIDR HTTPProxyCIDR CRI Service-Docker {OLD_COMMON} RequiredIPVSKernelModulesAvailable
             Port-2379 Port-2380 DirAvailable--var-lib-etcd
             FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables
             FileContent--proc-sys-net-ipv6-conf-default-forwarding"
        ),
    );
    let mut external = wish::init(
        NEW,
        "networking: {serviceSubnet: '10.96.0.0/16,fd00::/108', podSubnet: '10.0.0.0/16,fd01::/48'}
etcd: {external: {endpoints: ['https://192.0.2.7:2379'], caFile: /e/ca, certFile: /e/crt, keyFile: /e/key}}",
    );
    external.init.local_api_endpoint.bind_port = 8443;
    let names: Vec<String> = checks::init(&external).into_iter().map(|c| c.id).collect();
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!(count("HTTPProxyCIDR"), 4);
    assert_eq!(count("ExternalEtcdClientCertificates"), 3);
    assert_eq!(count("ExternalEtcdVersion"), 1);
    assert_eq!(count("Port-8443"), 1);
    assert_eq!(count("Port-2379") + count("DirAvailable--var-lib-etcd"), 0);
    assert_eq!(count("FileContent--proc-sys-net-ipv6-conf-default-forwarding"), 1);
}

// --- running and ignoring -------------------------------------------------------------------------------------

#[test]
fn a_good_machine_is_said_nothing_about() {
    for version in [NEW, OLD] {
        assert_eq!(run(&host(version), &wish::init(version, ""), &[]), Ok(Vec::new()), "{version}");
    }
}

#[test]
fn errors_stop_and_are_all_told() {
    let host = host(NEW);
    host.machine.set(|state| {
        state.cpus = 1;
        state.memory = 1 << 30;
        state.missing_programs.insert("losetup".into());
    });
    let report = run(&host, &wish::init(NEW, ""), &["hostname"]).unwrap_err();
    let names: Vec<&str> = report.errors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["NumCPU", "Mem", "FileExisting-losetup"]);
    assert_eq!(
        report.block(),
        "[preflight] Some fatal errors occurred:
\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2
\t[ERROR Mem]: the system RAM (1024 MB) is less than the minimum 1700 MB
\t[ERROR FileExisting-losetup]: losetup not found in system path
[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`"
    );
}

#[test]
fn ignored_errors_are_warnings() {
    let host = host(NEW);
    host.machine.set(|state| {
        state.uid = 1000;
        state.cpus = 1;
    });
    let spec = wish::init(NEW, "");
    let lines = [
        "\t[WARNING IsPrivilegedUser]: user is not running as root",
        "\t[WARNING NumCPU]: the number of available CPUs 1 is less than the required 2",
    ];
    assert_eq!(run(&host, &spec, &["all"]).unwrap(), lines);
    assert_eq!(run(&host, &spec, &["numCPU", "IsPrivilegedUser"]).unwrap(), lines);
    let report = run(&host, &spec, &["isprivilegeduser"]).unwrap_err();
    assert_eq!(report.errors.len(), 1);
    assert_eq!(report.lines.into_iter().map(text).collect::<Vec<_>>(), lines[..1]);
}

#[test]
fn without_root_nothing_else_is_looked_at() {
    let host = host(NEW);
    host.machine.set(|state| {
        state.uid = 1000;
        state.cpus = 1;
    });
    let report = run(&host, &wish::init(NEW, ""), &[]).unwrap_err();
    assert_eq!(report.errors, [("IsPrivilegedUser".to_owned(), "user is not running as root".to_owned())]);
}

// --- machine --------------------------------------------------------------------------------------------------

#[test]
fn processors_and_memory() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.machine.set(|state| state.memory = 1700 << 20);
    good(&check(&host, &spec, "Mem"));
    good(&check(&host, &spec, "NumCPU"));
    host.machine.set(|state| state.memory -= 1);
    wrong(&check(&host, &spec, "Mem"), "the system RAM (1699 MB) is less than the minimum 1700 MB");
}

#[test]
fn programs_are_needed_or_wanted() {
    let (host, spec) = (host(OLD), wish::init(OLD, ""));
    host.machine.set(|state| state.missing_programs = ["iptables".into(), "socat".into()].into());
    wrong(&check(&host, &spec, "FileExisting-iptables"), "iptables not found in system path");
    doubtful(&check(&host, &spec, "FileExisting-socat"), "socat not found in system path");
    good(&check(&host, &spec, "FileExisting-ip"));
}

#[test]
fn a_newer_version_than_kubeadms_is_told() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    spec.kubeadm_version = "v1.36.1".parse().unwrap();
    doubtful(
        &check(&host, &spec, "KubernetesVersion"),
        "Kubernetes version is greater than kubeadm version. Please consider to upgrade kubeadm. Kubernetes version: 1.37.2. Kubeadm version: 1.36.x",
    );
}

#[test]
fn swap_is_an_error_of_old() {
    let swaps = "Filename\tType\n/dev/sda2\tpartition\n";
    let new = host(NEW);
    new.files.put("/proc/swaps", swaps, 0o444);
    let mut spec = wish::init(NEW, "");
    assert!(check(&new, &spec, "Swap").warnings[0].starts_with("swap is supported for cgroup v2 only."));
    // Who allowed the kubelet to start with it, where it is accounted for, knows.
    spec.kubelet.value["failSwapOn"] = false.into();
    good(&check(&new, &spec, "Swap"));

    for (version, text) in [
        ("v1.23.17", "swap is enabled; production deployments should disable swap"),
        ("v1.29.6", "swap is supported for cgroup v2 only; the NodeSwap feature gate"),
    ] {
        assert!(check(&new, &wish::init(version, ""), "Swap").warnings[0].starts_with(text), "{version}");
    }
    let old = host(OLD);
    old.files.put("/proc/swaps", swaps, 0o444);
    let text = "running with swap on is not supported. Please disable swap";
    wrong(&check(&old, &wish::init(OLD, ""), "Swap"), text);
    old.files.take("/proc/swaps");
    good(&check(&old, &wish::init(OLD, ""), "Swap"));
}

#[test]
fn firewalld_is_told() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    good(&check(&host, &spec, "Firewalld"));
    host.machine.set(|state| {
        let running = ServiceState::Running;
        let firewalld = Service { enabled: true, state: running.clone(), restarted: running };
        state.services.insert("firewalld".into(), firewalld);
    });
    doubtful(
        &check(&host, &spec, "Firewalld"),
        "firewalld is active, please ensure ports [6443 10250] are open or your cluster may not function correctly",
    );
    host.machine.set(|state| state.init_system = None);
    let none = "no supported init system detected, skipping checking for services";
    doubtful(&check(&host, &spec, "Firewalld"), none);
    doubtful(&check(&host, &spec, "Service-kubelet"), none);
}

#[test]
fn kernel_modules_of_ipvs_may_be_loaded_or_built_in() {
    let host = host(OLD);
    let mut spec = wish::init(OLD, "");
    spec.kube_proxy.value["mode"] = "ipvs".into();
    let id = "RequiredIPVSKernelModulesAvailable";
    // A kernel without modules.
    assert!(
        check(&host, &spec, id).warnings[0].ends_with("[ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack]")
    );
    host.files.put(
        "/proc/modules",
        "ip_vs 1 0 - Live\nip_vs_rr 1 0 - Live\nnf_conntrack 1 0 - Live\n",
        0o444,
    );
    host.files.put("/lib/modules/4.19.0/modules.builtin", "kernel/net/netfilter/ipvs/ip_vs_sh.ko\n", 0o644);
    doubtful(
        &check(&host, &spec, id),
        "the IPVS proxier will not be used, because the following required kernel modules are not loaded: [ip_vs_wrr]",
    );
    host.machine.set(|state| state.uname.release = "4.18.0".into());
    host.files.put("/lib/modules/4.18.0/modules.builtin", "kernel/ip_vs_sh.ko\nkernel/ip_vs_wrr.ko\n", 0o644);
    assert!(check(&host, &spec, id).warnings[0].ends_with("[nf_conntrack_ipv4]"));
}

// --- network --------------------------------------------------------------------------------------------------

#[test]
fn ports_must_be_free() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    for port in [6443, 10259, 10257, 10250, 2379, 2380] {
        let id = format!("Port-{port}");
        good(&check(&host, &spec, &id));
        let owner = Some("nginx (process 7)".to_owned());
        host.machine.set(|state| state.ports.insert(port, ListenError::InUse { owner }));
        wrong(&check(&host, &spec, &id), &format!("Port {port} is in use by nginx (process 7)"));
        host.machine.set(|state| state.ports.insert(port, ListenError::InUse { owner: None }));
        wrong(&check(&host, &spec, &id), &format!("Port {port} is in use"));
    }
    host.machine.set(|state| state.ports.insert(2379, ListenError::NoSuchAddress));
    wrong(
        &check(&host, &spec, "Port-2379"),
        "cannot listen on 192.0.2.10:2379: the address is not on this host",
    );
    // An address in the arguments counts.
    let mut spec = spec;
    spec.cluster.scheduler.extra_args.push(Arg::new("bind-address", "nowhere"));
    wrong(&check(&host, &spec, "Port-10259"), "cannot listen on \"nowhere\": it is not an IP address");
}

#[test]
fn proxies_in_the_way_are_told() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    good(&check(&host, &spec, "HTTPProxy"));
    good(&check(&host, &spec, "HTTPProxyCIDR"));
    host.machine.set(|state| state.proxy = Some("http://p:3128".into()));
    doubtful(
        &check(&host, &spec, "HTTPProxy"),
        "Connection to \"https://192.0.2.10\" uses proxy \"http://p:3128\". If that is not intended, adjust your proxy settings",
    );
    doubtful(
        &check(&host, &spec, "HTTPProxyCIDR"),
        "connection to \"10.96.0.0/12\" uses proxy \"http://p:3128\". This may lead to malfunctional cluster setup. Make sure that Pod and Services IP ranges specified correctly as exceptions in proxy configuration",
    );
    spec.advertise_address = "2001:db8::1".parse().unwrap();
    assert!(check(&host, &spec, "HTTPProxy").warnings[0].contains("\"https://[2001:db8::1]:1234\""));
    spec.cluster.networking.service_subnet = "none".into();
    wrong(&check(&host, &spec, "HTTPProxyCIDR"), "error parsing CIDR \"none\": invalid CIDR address: none");
}

#[test]
fn kernel_switches_must_be_on() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let (id, path) = ("FileContent--proc-sys-net-ipv4-ip_forward", "/proc/sys/net/ipv4/ip_forward");
    good(&check(&host, &spec, id));
    host.files.put(path, "0\n", 0o644);
    wrong(&check(&host, &spec, id), &format!("{path} contents are not set to 1"));
    host.files.take(path);
    wrong(&check(&host, &spec, id), &format!("{path} does not exist"));
}

#[test]
fn a_name_should_resolve() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    good(&check(&host, &spec, "Hostname"));
    host.machine.set(|state| state.resolved = Ok(Vec::new()));
    doubtful(&check(&host, &spec, "Hostname"), "hostname \"cp1\" could not be reached");
    host.machine.set(|state| state.resolved = Err("lookup cp1: no such host".into()));
    let outcome = check(&host, &spec, "Hostname");
    assert_eq!(
        outcome.warnings,
        ["hostname \"cp1\" could not be reached", "hostname \"cp1\": lookup cp1: no such host"]
    );
    spec.init.node_registration.name = "Not_a_name".into();
    assert!(
        check(&host, &spec, "Hostname").warnings[0]
            .starts_with("invalid node name format \"Not_a_name\": a lowercase")
    );
}

// --- container runtime ----------------------------------------------------------------------------------------

#[test]
fn the_runtime_must_answer_and_be_ready() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let runtime = &host.runtimes.runtime;
    good(&check(&host, &spec, "CRI"));
    let condition = RuntimeCondition {
        kind: "RuntimeReady".into(),
        status: false,
        reason: "Starting".into(),
        message: "not yet".into(),
    };
    runtime.set(|r| r.status = Ok(RuntimeStatus { conditions: vec![condition], ..RuntimeStatus::default() }));
    wrong(
        &check(&host, &spec, "CRI"),
        "container runtime condition \"RuntimeReady\" is not true. reason: Starting, message: not yet",
    );
    runtime.set(|r| r.status = Err(RuntimeError::Failed { call: "Status", message: "broken".into() }));
    wrong(&check(&host, &spec, "CRI"), "container runtime is not running: Status: broken");
    runtime.set(|r| r.status = Err(MemoryRuntime::unreachable()));
    wrong(
        &check(&host, &spec, "CRI"),
        "could not connect to the container runtime at \"unix:///run/memory.sock\": connection refused",
    );
}

#[test]
fn a_runtime_that_is_late_is_asked_again() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let runtime = &host.runtimes.runtime;
    for (id, call) in [("CRI", "Status"), ("ContainerRuntimeVersion", "RuntimeConfig")] {
        runtime.set(|r| r.late = vec![call; 3]);
        good(&check(&host, &spec, id));
        assert!(runtime.set(|r| r.late.is_empty()));
        runtime.set(|r| r.late = vec![call; 1000]);
        let start = host.machine.elapsed();
        let error = check(&host, &spec, id).errors.concat();
        let took = (host.machine.elapsed() - start).as_secs();
        assert!(error.contains("at \"unix:///run/memory.sock\" listens, but did not answer"), "{error}");
        assert!((20..25).contains(&took), "{id}: {took} s");
        // Where nobody listens, nothing is waited for.
        runtime.set(|r| {
            r.late.clear();
            r.status = Err(MemoryRuntime::unreachable());
            r.cgroup_driver = Err(MemoryRuntime::unreachable());
        });
        let start = host.machine.elapsed();
        assert!(check(&host, &spec, id).errors[0].starts_with("could not connect"));
        assert!(host.machine.elapsed() - start < Duration::from_secs(1));
        runtime.set(|r| *r = RuntimeState::default());
    }
}

#[test]
fn the_runtime_should_tell_its_cgroup_driver() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let id = "ContainerRuntimeVersion";
    let driver = |error| host.runtimes.runtime.set(|r| r.cgroup_driver = Err(error));
    good(&check(&host, &spec, id));
    driver(RuntimeError::Unimplemented { socket: "unix:///s".into(), call: "RuntimeConfig" });
    assert!(check(&host, &spec, id).warnings[0].starts_with("You must update your container runtime"));
    driver(RuntimeError::Failed { call: "RuntimeConfig", message: "broken".into() });
    wrong(
        &check(&host, &spec, id),
        "could not check if the runtime config is available: RuntimeConfig: broken",
    );
    driver(MemoryRuntime::unreachable());
    assert!(check(&host, &spec, id).errors[0].starts_with("could not connect to the container runtime"));
}

#[test]
fn docker_of_old() {
    let host = host(OLD);
    let mut spec = wish::init(OLD, "");
    spec.init.node_registration.cri_socket = "/var/run/dockershim.sock".into();
    let engine = |version: &str, graph_driver: &str| {
        let docker = DockerEngine { version: version.into(), graph_driver: graph_driver.into() };
        let status = RuntimeStatus { docker: Some(docker), ..RuntimeStatus::default() };
        host.runtimes.runtime.set(|state| state.status = Ok(status));
    };
    engine("18.06.3-ce", "overlay2");
    good(&check(&host, &spec, "CRI"));
    good(&check(&host, &spec, "SystemVerification"));
    doubtful(&check(&host, &spec, "Service-Docker"), "docker service does not exist");
    let docker = Service { enabled: false, state: ServiceState::Stopped, restarted: ServiceState::Running };
    host.machine.set(|state| state.services.insert("docker".into(), docker));
    let outcome = check(&host, &spec, "Service-Docker");
    assert_eq!(
        outcome.warnings,
        ["docker service is not enabled, please run 'systemctl enable docker.service'"]
    );
    wrong(&outcome, "docker service is not active, please run 'systemctl start docker.service'");

    engine("20.10.7", "overlay2");
    doubtful(
        &check(&host, &spec, "SystemVerification"),
        "this Docker version is not on the list of validated versions: 20.10.7. Latest validated version: 18.06",
    );
    engine("18.06.0-ce", "vfs");
    wrong(&check(&host, &spec, "SystemVerification"), "unsupported graph driver: vfs");
    engine("1.9.1", "overlay2");
    wrong(&check(&host, &spec, "SystemVerification"), "unsupported docker version: 1.9.1");
    host.runtimes.runtime.set(|state| state.status = Err(MemoryRuntime::unreachable()));
    let text =
        "could not connect to the container runtime at \"unix:///run/memory.sock\": connection refused";
    wrong(&check(&host, &spec, "SystemVerification"), &format!("failed to get docker info: {text}"));
    wrong(&check(&host, &spec, "CRI"), text);
}

#[test]
fn docker_should_have_systemd_manage_its_cgroups() {
    let host = host("v1.20.15");
    let mut spec = wish::init("v1.20.15", "");
    spec.init.node_registration.cri_socket = "/var/run/dockershim.sock".into();
    let driver = |answer| host.runtimes.runtime.set(|state| state.cgroup_driver = answer);
    driver(Ok(CgroupDriver::Systemd));
    good(&check(&host, &spec, "IsDockerSystemdCheck"));
    driver(Ok(CgroupDriver::Cgroupfs));
    doubtful(
        &check(&host, &spec, "IsDockerSystemdCheck"),
        "detected \"cgroupfs\" as the Docker cgroup driver. The recommended driver is \"systemd\". Please follow the guide at https://kubernetes.io/docs/setup/cri/",
    );
    driver(Err(MemoryRuntime::unreachable()));
    assert_eq!(check(&host, &spec, "IsDockerSystemdCheck").errors.len(), 1);
}

#[test]
fn docker_without_a_dockershim() {
    let host = host(NEW);
    let mut spec = wish::init(NEW, "");
    spec.init.node_registration.cri_socket = "unix:///var/run/dockershim.sock".into();
    let outcome = check(&host, &spec, "CRI");
    assert!(outcome.errors[0].contains("does not speak to Docker"), "{:?}", outcome.errors);
}

// --- kubelet --------------------------------------------------------------------------------------------------

#[test]
fn the_kubelet_must_fit() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    good(&check(&host, &spec, "KubeletVersion"));
    host.machine.set(|state| state.install_kubelet("v1.33.9"));
    wrong(
        &check(&host, &spec, "KubeletVersion"),
        "Kubelet version \"1.33.9\" is lower than kubeadm can support. Please upgrade kubelet",
    );
    host.machine.set(|state| state.install_kubelet("v1.38.0"));
    assert!(check(&host, &spec, "KubeletVersion").errors[0].starts_with(
        "the kubelet version is higher than the control plane version. This is not a supported version skew"
    ));
    host.machine.set(|state| state.say("kubelet", "kubelet 7\n"));
    wrong(
        &check(&host, &spec, "KubeletVersion"),
        "couldn't get kubelet version: Unable to parse output from Kubelet: \"kubelet 7\"",
    );
    host.machine.set(|state| state.fail("kubelet", "no such flag\n"));
    wrong(
        &check(&host, &spec, "KubeletVersion"),
        "couldn't get kubelet version: cannot execute 'kubelet --version': exit status 1: no such flag",
    );
    host.machine.set(|state| state.missing_programs.insert("kubelet".into()));
    wrong(
        &check(&host, &spec, "KubeletVersion"),
        "couldn't get kubelet version: cannot execute 'kubelet --version': No such file or directory",
    );
}

#[test]
fn the_kubelet_should_be_an_enabled_service() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    good(&check(&host, &spec, "Service-kubelet"));
    host.machine.set(|state| state.kubelet().enabled = false);
    doubtful(
        &check(&host, &spec, "Service-kubelet"),
        "kubelet service is not enabled, please run 'systemctl enable kubelet.service'",
    );
    host.machine.set(|state| state.services.clear());
    doubtful(&check(&host, &spec, "Service-kubelet"), "kubelet service does not exist");
}

// --- etcd -----------------------------------------------------------------------------------------------------

#[test]
fn the_data_of_another_etcd_is_not_taken() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let id = "DirAvailable--var-lib-etcd";
    good(&check(&host, &spec, id));
    host.files.put("/var/lib/etcd/member/snap/db", "x", 0o600);
    wrong(&check(&host, &spec, id), "/var/lib/etcd is not empty");
}

#[test]
fn an_external_etcd_is_asked_for_its_version() {
    let host = host(NEW);
    let spec = wish::init(
        NEW,
        "etcd: {external: {endpoints: ['https://192.0.2.7:2379/'], caFile: /e/ca, certFile: /e/crt, keyFile: /e/key}}",
    );
    let (files, id, url) =
        ("ExternalEtcdClientCertificates", "ExternalEtcdVersion", "https://192.0.2.7:2379/version");
    assert_eq!(
        check(&host, &spec, files).errors,
        ["/e/ca doesn't exist", "/e/crt doesn't exist", "/e/key doesn't exist"]
    );
    wrong(
        &check(&host, &spec, id),
        "couldn't load external etcd's server certificate /e/ca: it does not exist",
    );
    for file in ["/e/ca", "/e/crt", "/e/key"] {
        host.files.put(file, "", 0o600);
    }
    good(&check(&host, &spec, files));
    host.machine.set(|state| state.answer(url, 200, r#"{"etcdserver":"3.6.1"}"#));
    good(&check(&host, &spec, id));
    host.machine.set(|state| state.answer(url, 200, r#"{"etcdserver":"3.4.9"}"#));
    wrong(
        &check(&host, &spec, id),
        "this version of kubeadm only supports external etcd version >= 3.5.24-0. Current version: 3.4.9",
    );
    host.machine.set(|state| state.answer(url, 200, "<html>"));
    assert!(check(&host, &spec, id).errors[0].starts_with("couldn't parse external etcd version \"\""));
    host.machine.set(|state| state.answer(url, 503, ""));
    assert!(check(&host, &spec, id).errors[0].ends_with("server responded with non-successful status: 503"));
    host.machine.set(|state| state.refuse(url));
    wrong(&check(&host, &spec, id), &format!("external etcd at {url} does not answer: connection refused"));
}
