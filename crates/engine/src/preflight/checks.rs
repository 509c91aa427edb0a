//! The list of `init`'s checks: which of them a release has, and in which order, is a fact of the release.

use kubeadm_config::address::parse_ip;
use kubeadm_release::facts::preflight::{Check as Fact, Program};

use super::own::{BOOTSTRAP_CONF, Own};
use super::{Outcome, etcd, kubelet, machine, network, paths, runtime, system};
use crate::etcd::{CLIENT_PORT, PEER_PORT};
use crate::manifests::{apiserver_port, served_port};
use crate::ports::{View, is_dockershim};
use crate::spec::{InitSpec, manifest};

const BRIDGE_IPV4: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
const BRIDGE_IPV6: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Upstream's name, such as `Port-6443`; what `--ignore-preflight-errors` names.
    pub id: String,
    kind: Kind,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Root,
    Cpus,
    Memory,
    KubernetesVersion,
    Firewalld,
    ComponentPort(u16, &'static str),
    KubeletPort,
    JoinedKubeletPort,
    EtcdPort(u16),
    Manifest(&'static str),
    Proxy(String),
    ProxyCidr(String),
    Cri,
    NoDockershim,
    DockerService,
    DockerCgroupDriver,
    RuntimeConfig,
    SwitchedOn(&'static str),
    Swap,
    Program(Program),
    System,
    Hostname,
    KubeletVersion,
    JoinedKubeletVersion,
    KubeletService,
    IpvsModules,
    DataDir(String),
    EtcdFile(String),
    EtcdVersion,
}

impl Check {
    fn new(id: impl Into<String>, kind: Kind) -> Self {
        Self { id: id.into(), kind }
    }

    /// Whether the others say nothing useful when this one fails.
    pub fn stands_alone(&self) -> bool {
        self.kind == Kind::Root
    }

    /// Looks.
    pub async fn run(&self, spec: &InitSpec, view: View<'_>) -> Outcome {
        match &self.kind {
            Kind::Root => machine::root(view),
            Kind::Cpus => machine::cpus(spec, view),
            Kind::Memory => machine::memory(spec, view),
            Kind::KubernetesVersion => kubelet::kubernetes_version(spec),
            Kind::Firewalld => machine::firewalld(spec, view).await,
            Kind::ComponentPort(port, component) => network::component_port(spec, view, *port, component),
            Kind::KubeletPort => {
                let ours = Own::look(spec, view).kubelet;
                network::port_open(view, network::ANY, network::KUBELET_PORT, "kubelet", ours)
            }
            // A kubelet that has joined before may be of the very cluster: that is judged once the cluster is known.
            Kind::JoinedKubeletPort => {
                let joined = ["kubelet.conf", BOOTSTRAP_CONF]
                    .iter()
                    .any(|file| view.files.exists(&spec.layout.kubeconfig(file)));
                network::port_open(view, network::ANY, network::KUBELET_PORT, "kubelet", joined)
            }
            Kind::EtcdPort(port) => etcd::port(spec, view, *port),
            Kind::Manifest(component) => paths::manifest_available(spec, view, component),
            Kind::Proxy(host) => network::proxy(host, view),
            Kind::ProxyCidr(cidr) => network::proxy_cidr(cidr, view),
            Kind::Cri => runtime::cri(view).await,
            Kind::NoDockershim => runtime::no_dockershim(spec),
            Kind::DockerService => machine::docker_service(view).await,
            Kind::DockerCgroupDriver => runtime::docker_cgroup_driver(view).await,
            Kind::RuntimeConfig => runtime::runtime_config(view).await,
            Kind::SwitchedOn(path) => paths::switched_on(view, path),
            Kind::Swap => machine::swap(spec, view),
            Kind::Program(program) => machine::program(*program, view),
            Kind::System => system::verify(spec, view).await,
            Kind::Hostname => network::hostname(spec, view).await,
            Kind::KubeletVersion => kubelet::version(spec, view).await,
            Kind::JoinedKubeletVersion => kubelet::not_too_old(spec, view).await,
            Kind::KubeletService => kubelet::service(view).await,
            Kind::IpvsModules => machine::ipvs_modules(view),
            Kind::DataDir(dir) => paths::data_dir_available(spec, view, dir),
            Kind::EtcdFile(file) => paths::exists(view, file),
            Kind::EtcdVersion => etcd::external_versions(spec, view).await,
        }
    }
}

/// The checks of `init` for a spec, `ImagePull` apart: that is an action.
pub fn init(spec: &InitSpec) -> Vec<Check> {
    spec.release.preflight.init.iter().flat_map(|fact| of(*fact, spec)).collect()
}

/// Facts of `init` that every joining node has to fulfil too.
/// cmd/kubeadm/app/preflight/checks.go: RunJoinNodeChecks, 1.37.
const JOIN: &[Fact] = &[
    Fact::PrivilegedUser,
    Fact::Cri,
    Fact::ContainerRuntimeVersion,
    Fact::DockerService,
    Fact::DockerCgroupDriver,
    Fact::BridgeNetfilter,
    Fact::Ipv4ForwardingAlways,
    Fact::Swap,
    Fact::Programs,
    Fact::SystemVerification,
    Fact::Hostname,
    Fact::KubeletVersion,
    Fact::KubeletService,
    Fact::KubeletPort,
    Fact::IpvsModules,
    Fact::IpvsProxier,
];

/// Facts of `init` that a joining control plane has to fulfil besides those that every joining node has to.
/// cmd/kubeadm/app/preflight/checks.go: RunInitNodeChecks with isSecondaryControlPlane, 1.37.
const JOIN_CONTROL_PLANE: &[Fact] = &[
    Fact::NumCpu,
    Fact::Mem,
    Fact::KubernetesVersion,
    Fact::Firewalld,
    Fact::ControlPlanePorts,
    Fact::Manifests,
    Fact::HttpProxy,
    Fact::HttpProxyCidr,
    Fact::LocalEtcd,
];

/// The checks of a joining control plane, once its cluster is known, in the release's order. The files of an external etcd
/// are looked for where they are not to be `downloaded`.
pub fn join_control_plane(spec: &InitSpec, downloaded: bool) -> Vec<Check> {
    let wanted = |fact: &&Fact| {
        JOIN_CONTROL_PLANE.contains(fact) || (**fact == Fact::ExternalEtcdCertificates && !downloaded)
    };
    spec.release.preflight.init.iter().filter(wanted).flat_map(|fact| of(*fact, spec)).collect()
}

/// The checks of `join` for a node whose cluster is not known yet, in the release's order. With a token the host of the
/// API server is known: the way to it is looked at too.
pub fn join(spec: &InitSpec, server: Option<&str>) -> Vec<Check> {
    let all = &spec.release.preflight.init;
    let common = all.iter().filter(|fact| JOIN.contains(fact)).flat_map(|fact| of(*fact, spec));
    let mut checks: Vec<Check> = common
        .map(|check| match check.kind {
            Kind::KubeletPort => Check { kind: Kind::JoinedKubeletPort, ..check },
            _ => check,
        })
        .collect();
    if let Some(host) = server {
        checks.push(Check::new("HTTPProxy", Kind::Proxy(host.to_owned())));
        if let Some(ip) = parse_ip(host) {
            let bridged = !all.contains(&Fact::ForwardingByFamily);
            let by_family = !bridged || all.contains(&Fact::BridgeAndForwardingByFamily);
            if by_family || ip.is_ipv6() {
                checks.extend(forwarding(ip.is_ipv6(), bridged));
            }
        }
    }
    checks
}

/// The check of a joining node once its cluster is known: the machine is looked at before that, as one for the release of
/// its kubelet.
pub fn joined() -> Vec<Check> {
    vec![Check::new("KubeletVersion", Kind::JoinedKubeletVersion)]
}

/// Facts of `init` that a node has to fulfil before it is upgraded.
/// cmd/kubeadm/app/preflight/checks.go: RunUpgradeChecks, 1.37.
const UPGRADE: &[Fact] = &[Fact::SystemVerification, Fact::ContainerRuntimeVersion];

/// The checks of the machine before an upgrade, besides that of the user.
pub fn upgrade(spec: &InitSpec) -> Vec<Check> {
    let all = spec.release.preflight.init.iter();
    all.filter(|fact| UPGRADE.contains(fact)).flat_map(|fact| of(*fact, spec)).collect()
}

fn of(fact: Fact, spec: &InitSpec) -> Vec<Check> {
    let facts = &spec.release.preflight;
    let one = |id: &str, kind| vec![Check::new(id, kind)];
    match fact {
        Fact::PrivilegedUser => one("IsPrivilegedUser", Kind::Root),
        Fact::NumCpu => one("NumCPU", Kind::Cpus),
        Fact::Mem => one("Mem", Kind::Memory),
        Fact::KubernetesVersion => one("KubernetesVersion", Kind::KubernetesVersion),
        Fact::Firewalld => one("Firewalld", Kind::Firewalld),
        Fact::ControlPlanePorts => {
            let (facts, cluster) = (&spec.release.control_plane, &spec.cluster);
            let manager = served_port(&facts.controller_manager_served, &cluster.controller_manager);
            [
                (apiserver_port(spec), "kube-apiserver"),
                (served_port(&facts.scheduler_served, &cluster.scheduler), "kube-scheduler"),
                (manager, "kube-controller-manager"),
            ]
            .map(|(port, component)| Check::new(format!("Port-{port}"), Kind::ComponentPort(port, component)))
            .into()
        }
        Fact::Manifests => ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"]
            .map(|component| {
                let id = format!("FileAvailable-{}", dashed(&manifest(component).display().to_string()));
                Check::new(id, Kind::Manifest(component))
            })
            .into(),
        Fact::HttpProxy => one("HTTPProxy", Kind::Proxy(spec.advertise_address.to_string())),
        Fact::HttpProxyCidr => {
            let networking = &spec.cluster.networking;
            [&networking.service_subnet, &networking.pod_subnet]
                .into_iter()
                .flat_map(|subnets| subnets.split(','))
                .filter(|cidr| !cidr.is_empty())
                .map(|cidr| Check::new("HTTPProxyCIDR", Kind::ProxyCidr(cidr.to_owned())))
                .collect()
        }
        Fact::Cri if docker(spec) && facts.docker.is_none() => one("CRI", Kind::NoDockershim),
        Fact::Cri => one("CRI", Kind::Cri),
        Fact::ContainerRuntimeVersion => one("ContainerRuntimeVersion", Kind::RuntimeConfig),
        Fact::DockerService if docker(spec) => one("Service-Docker", Kind::DockerService),
        Fact::DockerCgroupDriver if docker(spec) => one("IsDockerSystemdCheck", Kind::DockerCgroupDriver),
        // crictl is not needed: images and containers are asked for over CRI itself.
        Fact::DockerService | Fact::DockerCgroupDriver | Fact::Crictl => Vec::new(),
        Fact::BridgeNetfilter => vec![switched_on(BRIDGE_IPV4)],
        Fact::Ipv4ForwardingAlways => vec![switched_on(network::IPV4_FORWARD)],
        Fact::Ipv6ForwardingWithAdvertise if spec.advertise_address.is_ipv6() => forwarding(true, true),
        Fact::Ipv6ForwardingWithAdvertise => Vec::new(),
        Fact::BridgeAndForwardingByFamily => {
            network::families(spec).into_iter().flat_map(|ipv6| forwarding(ipv6, true)).collect()
        }
        Fact::ForwardingByFamily => {
            network::families(spec).into_iter().flat_map(|ipv6| forwarding(ipv6, false)).collect()
        }
        Fact::Swap => one("Swap", Kind::Swap),
        Fact::Programs => facts
            .programs
            .iter()
            .map(|program| Check::new(format!("FileExisting-{}", program.name), Kind::Program(*program)))
            .collect(),
        Fact::SystemVerification => one("SystemVerification", Kind::System),
        Fact::Hostname => one("Hostname", Kind::Hostname),
        Fact::KubeletVersion => one("KubeletVersion", Kind::KubeletVersion),
        Fact::KubeletService => one(facts.kubelet_service_name, Kind::KubeletService),
        Fact::KubeletPort => one(&format!("Port-{}", network::KUBELET_PORT), Kind::KubeletPort),
        Fact::IpvsModules | Fact::IpvsProxier if spec.kube_proxy.value["mode"] != "ipvs" => Vec::new(),
        Fact::IpvsModules => one("RequiredIPVSKernelModulesAvailable", Kind::IpvsModules),
        Fact::IpvsProxier => one("IPVSProxierCheck", Kind::IpvsModules),
        Fact::LocalEtcd => local_etcd(spec),
        Fact::ExternalEtcdCertificates => spec
            .cluster
            .etcd
            .external
            .iter()
            .flat_map(|etcd| [&etcd.ca_file, &etcd.cert_file, &etcd.key_file])
            .filter(|file| !file.is_empty())
            .map(|file| Check::new("ExternalEtcdClientCertificates", Kind::EtcdFile(file.clone())))
            .collect(),
        Fact::ExternalEtcdVersion if spec.cluster.etcd.external.is_some() => {
            one("ExternalEtcdVersion", Kind::EtcdVersion)
        }
        Fact::ExternalEtcdVersion | Fact::ImagePull => Vec::new(),
    }
}

/// Ports and data directory of an etcd on this node.
fn local_etcd(spec: &InitSpec) -> Vec<Check> {
    let Some(local) = spec.cluster.etcd.local.as_ref().filter(|_| spec.local_etcd()) else {
        return Vec::new();
    };
    let peer = spec.release.preflight.etcd_peer_port.then_some(PEER_PORT);
    let ports = [CLIENT_PORT].into_iter().chain(peer);
    let mut checks: Vec<Check> =
        ports.map(|port| Check::new(format!("Port-{port}"), Kind::EtcdPort(port))).collect();
    let dir = local.data_dir.clone();
    checks.push(Check::new(format!("DirAvailable-{}", dashed(&dir)), Kind::DataDir(dir)));
    checks
}

/// Whether the runtime is Docker.
pub(super) fn docker(spec: &InitSpec) -> bool {
    is_dockershim(&spec.init.node_registration.cri_socket)
}

/// The kernel switches of a family: forwarding, and before it, where `bridged`, that bridged packets are seen.
fn forwarding(ipv6: bool, bridged: bool) -> Vec<Check> {
    let (bridge, forward) = match ipv6 {
        true => (BRIDGE_IPV6, network::IPV6_FORWARD),
        false => (BRIDGE_IPV4, network::IPV4_FORWARD),
    };
    bridged.then_some(bridge).into_iter().chain([forward]).map(switched_on).collect()
}

/// A kernel switch whose file must begin with `1`.
fn switched_on(path: &'static str) -> Check {
    Check::new(format!("FileContent-{}", dashed(path)), Kind::SwitchedOn(path))
}

/// Paths stand in names of checks with dashes for slashes.
fn dashed(path: &str) -> String {
    path.replace('/', "-")
}
