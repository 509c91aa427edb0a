//! What the machine is asked before anything is changed: the list of checks and their parameters.
//!
//! The checks themselves are the engine's; names and texts belong to them. Ports of the components are in
//! [`super::control_plane`].

use crate::column::{Column, Span};
use crate::listing::Facts;

/// A check, or a family of checks that differ in a parameter, in the order kubeadm runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Facts)]
pub enum Check {
    /// `IsPrivilegedUser`: alone, before all others.
    PrivilegedUser,
    /// `NumCPU`: at least two.
    NumCpu,
    /// `Mem`: at least 1700 MiB.
    Mem,
    /// `KubernetesVersion`: not newer than kubeadm.
    KubernetesVersion,
    /// `Firewalld`.
    Firewalld,
    /// `Port-…` of API server, scheduler and controller manager.
    ControlPlanePorts,
    /// `FileAvailable-…` of the four manifests.
    Manifests,
    /// `HTTPProxy` to the advertise address.
    HttpProxy,
    /// `HTTPProxyCIDR` of the service and pod CIDRs.
    HttpProxyCidr,
    /// `CRI`.
    Cri,
    /// `ContainerRuntimeVersion`.
    ContainerRuntimeVersion,
    /// `Service-Docker`, with Docker.
    DockerService,
    /// `IsDockerSystemdCheck`, with Docker.
    DockerCgroupDriver,
    /// `FileExisting-crictl`.
    Crictl,
    /// `FileContent--proc-sys-net-bridge-bridge-nf-call-iptables` (and `ip6tables` with an IPv6 address).
    BridgeNetfilter,
    /// `FileContent--proc-sys-net-ipv4-ip_forward`, whatever the addresses.
    Ipv4ForwardingAlways,
    /// `Swap`.
    Swap,
    /// `FileExisting-…` of the programs in [`Preflight::programs`].
    Programs,
    /// `SystemVerification`.
    SystemVerification,
    /// `Hostname`.
    Hostname,
    /// `KubeletVersion`.
    KubeletVersion,
    /// `Service-Kubelet` or `Service-kubelet`.
    KubeletService,
    /// `Port-10250`.
    KubeletPort,
    /// `RequiredIPVSKernelModulesAvailable`, in IPVS mode.
    IpvsModules,
    /// `IPVSProxierCheck`, in IPVS mode: the same by another name.
    IpvsProxier,
    /// `FileContent-…` of bridged packets and forwarding, for each family in use.
    BridgeAndForwardingByFamily,
    /// `FileContent-…` of forwarding, for each family in use.
    ForwardingByFamily,
    /// `FileContent--proc-sys-net-ipv6-conf-default-forwarding`, with an IPv6 advertise address.
    Ipv6ForwardingWithAdvertise,
    /// `Port-2379` and the data directory of a local etcd; `Port-2380` where [`Preflight::etcd_peer_port`].
    LocalEtcd,
    /// `ExternalEtcdClientCertificates`.
    ExternalEtcdCertificates,
    /// `ExternalEtcdVersion`.
    ExternalEtcdVersion,
    /// `ImagePull`: after all others, not in a dry run.
    ImagePull,
}

/// Whether a failed check stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Severity {
    /// It stops, unless ignored.
    Error,
    /// It is only told.
    Warning,
}

/// What active swap means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Swap {
    /// Whether it stops.
    pub severity: Severity,
    /// What is said of it.
    pub text: &'static str,
}

/// A program that must be found in `$PATH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What its absence means.
    pub severity: Severity,
}

/// What the kernel must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Kernel {
    /// Regular expressions, one of which the release must match. Unanchored where they have no anchors.
    pub releases: &'static [&'static str],
    /// What another release means.
    pub severity: Severity,
    /// What to say of another release, after `kernel release R is unsupported. `.
    pub note: &'static str,
    /// Options that must be `y` or `m`; a name after `|` may stand in.
    pub required: &'static [&'static str],
    /// Options required besides, with cgroups v1.
    pub required_v1: &'static [&'static str],
    /// Options required besides, with cgroups v2; absent where cgroups v2 is not known.
    pub required_v2: Option<&'static [&'static str]>,
    /// Options only reported.
    pub optional: &'static [&'static str],
}

/// What control groups must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Cgroups {
    /// Controllers required with cgroups v1.
    pub v1_required: &'static [&'static str],
    /// Controllers wanted with cgroups v1.
    pub v1_optional: &'static [&'static str],
    /// Controllers required with cgroups v2; absent where cgroups v2 is not known.
    pub v2_required: Option<&'static [&'static str]>,
    /// Controllers wanted with cgroups v2.
    pub v2_optional: &'static [&'static str],
    /// What cgroups v1 means; absent where it is as good as v2.
    pub v1: Option<Severity>,
}

/// What Docker must be like, where it is the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Docker {
    /// Regular expressions of validated versions, unanchored.
    pub versions: &'static [&'static str],
    /// The newest validated version, for the warning.
    pub latest_validated: &'static str,
    /// Accepted graph drivers.
    pub graph_drivers: &'static [&'static str],
}

/// Facts of preflight.
#[derive(Debug, Clone, Facts)]
pub struct Preflight {
    /// The checks of init, in order.
    pub init: Vec<Check>,
    /// Programs that must be found.
    pub programs: Vec<Program>,
    /// What active swap means.
    pub swap: Swap,
    /// Smallest number of processors.
    pub cpus: usize,
    /// Smallest memory in MiB.
    pub memory_mib: u64,
    /// Whether the peer port of a local etcd is looked at.
    pub etcd_peer_port: bool,
    /// The name of the kubelet check: `Service-Kubelet` or `Service-kubelet`.
    pub kubelet_service_name: &'static str,
    /// Whether ports are tried at the address the component listens on, not at all addresses.
    pub ports_at_address: bool,
    /// Kernel.
    pub kernel: Kernel,
    /// Control groups.
    pub cgroups: Cgroups,
    /// Docker; absent where it is no longer looked at.
    pub docker: Option<Docker>,
}

impl Preflight {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            init: Span::at(INIT, minor),
            programs: Span::at(PROGRAMS, minor),
            swap: SWAP.at(minor),
            cpus: 2,          // constants ControlPlaneNumCPU
            memory_mib: 1700, // constants ControlPlaneMem, v1.20
            etcd_peer_port: ETCD_PEER_PORT.at(minor),
            kubelet_service_name: KUBELET_SERVICE_NAME.at(minor),
            ports_at_address: PORTS_AT_ADDRESS.at(minor),
            kernel: KERNEL.at(minor),
            cgroups: CGROUPS.at(minor),
            docker: DOCKER.at(minor),
        }
    }
}

/// Source: app/preflight/checks.go RunInitNodeChecks and addCommonChecks, of the last patch of each minor since v1.11.
const INIT: &[Span<Check>] = &[
    Span::always(Check::PrivilegedUser),
    Span::since(13, Check::NumCpu), // new in v1.13
    Span::since(20, Check::Mem),
    Span::always(Check::KubernetesVersion),
    Span::always(Check::Firewalld),
    Span::always(Check::ControlPlanePorts),
    Span::always(Check::Manifests),
    Span::always(Check::HttpProxy),
    Span::always(Check::HttpProxyCidr),
    Span::always(Check::Cri),
    Span::since(35, Check::ContainerRuntimeVersion), // KEP-4033, seen in v1.35
    Span::until(24, Check::DockerService),
    Span::within(14, 22, Check::DockerCgroupDriver),
    Span::until(31, Check::Crictl),          // only wished for by v1.31
    Span::until(27, Check::BridgeNetfilter), // by family since v1.27
    Span::within(11, 27, Check::Ipv4ForwardingAlways), // the same
    Span::always(Check::Swap),
    Span::always(Check::Programs),
    Span::always(Check::SystemVerification),
    Span::always(Check::Hostname),
    Span::always(Check::KubeletVersion),
    Span::always(Check::KubeletService),
    Span::always(Check::KubeletPort),
    Span::until(15, Check::IpvsModules),
    Span::within(15, 16, Check::IpvsProxier), // gone in v1.16
    Span::within(14, 27, Check::Ipv6ForwardingWithAdvertise),
    Span::within(27, 30, Check::BridgeAndForwardingByFamily), // checks_linux.go addIPv4Checks and addIPv6Checks
    Span::since(30, Check::ForwardingByFamily),               // the same
    Span::since(14, Check::ExternalEtcdVersion),              // before the local ports since v1.14
    Span::always(Check::LocalEtcd),
    Span::always(Check::ExternalEtcdCertificates),
    Span::until(14, Check::ExternalEtcdVersion),
    Span::until(14, Check::Ipv6ForwardingWithAdvertise),
    Span::since(11, Check::ImagePull),
];

const fn must(name: &'static str) -> Program {
    Program { name, severity: Severity::Error }
}

const fn should(name: &'static str) -> Program {
    Program { name, severity: Severity::Warning }
}

/// Source: app/preflight/checks.go addCommonChecks, later addExecChecks, of the last patch of each minor since v1.13.
const PROGRAMS: &[Span<Program>] = &[
    Span::within(31, 32, should("crictl")),
    Span::within(18, 32, must("conntrack")),
    Span::until(33, must("ip")),
    Span::until(33, must("iptables")),
    Span::since(33, must("losetup")),
    Span::always(must("mount")),
    Span::until(33, must("nsenter")),
    Span::until(28, should("ebtables")),
    Span::within(29, 30, should("ebtables")), // v1.28.15 has what v1.29.6 lacks
    Span::until(33, should("ethtool")),
    Span::until(28, should("socat")),
    Span::within(29, 30, should("socat")), // the same
    Span::until(33, should("tc")),
    Span::until(33, should("touch")),
    Span::since(33, must("cp")),
];

const SWAP: Column<Swap> = Column(&[
    // app/preflight/checks.go SwapCheck, v1.13
    (
        0,
        Swap {
            severity: Severity::Error,
            text: "running with swap on is not supported. Please disable swap",
        },
    ),
    // the same, v1.23 (KEP-2400)
    (
        23,
        Swap {
            severity: Severity::Warning,
            text: "swap is enabled; production deployments should disable swap unless testing the NodeSwap feature gate of the kubelet",
        },
    ),
    // the same, v1.29
    (
        29,
        Swap {
            severity: Severity::Warning,
            text: "swap is supported for cgroup v2 only; the NodeSwap feature gate of the kubelet is beta but disabled by default",
        },
    ),
    // the same, v1.31
    (
        31,
        Swap {
            severity: Severity::Warning,
            text: "swap is supported for cgroup v2 only. The kubelet must be properly configured to use swap. Please refer to https://kubernetes.io/docs/concepts/architecture/nodes/#swap-memory, or disable swap on the node",
        },
    ),
]);

const ETCD_PEER_PORT: Column<bool> = Column(&[
    (0, false), // app/preflight/checks.go, v1.12
    (13, true), // the same, v1.13
]);

const KUBELET_SERVICE_NAME: Column<&str> = Column(&[
    (0, "Service-Kubelet"),  // app/preflight/checks.go ServiceCheck.Name, v1.13
    (35, "Service-kubelet"), // the same, v1.35
]);

const PORTS_AT_ADDRESS: Column<bool> = Column(&[
    (0, false), // app/preflight/checks.go PortOpenCheck, v1.36
    (37, true), // the same, v1.37
]);

/// Kernels that the original makes an error of are warned of: none later than 2018's could run the oldest releases, and
/// they do run.
const KERNEL: Column<Kernel> = Column(&[
    // app/util/system/types_unix.go, v1.13
    (0, Kernel { releases: &[r"3\.[1-9][0-9].*", r"4\..*"], ..KERNEL_2018 }),
    // the same, v1.14
    (14, Kernel { releases: &[r"3\.[1-9][0-9].*", r"4\..*", r"5\..*"], ..KERNEL_2018 }),
    // the same, v1.16; system-validators v1.0.4 validators/types_unix.go, v1.17
    (16, KERNEL_2018),
    // system-validators v1.1.2 validators/types_unix.go: cgroups v2, v1.19
    (19, Kernel { required_v2: Some(&[]), ..KERNEL_2018 }),
    // the same, v1.4.0, v1.21
    (
        21,
        Kernel {
            required_v1: &["CGROUP_PIDS", "FAIR_GROUP_SCHED"],
            required_v2: Some(&["CGROUP_PIDS", "FAIR_GROUP_SCHED"]),
            optional: &[
                "OVERLAY_FS|OVERLAYFS_FS",
                "AUFS_FS",
                "BLK_DEV_DM",
                "CFS_BANDWIDTH",
                "CGROUP_HUGETLB",
            ],
            ..KERNEL_2018
        },
    ),
    // the same, v1.5.0, v1.22
    (
        22,
        Kernel {
            required_v1: &["CGROUP_PIDS", "FAIR_GROUP_SCHED"],
            required_v2: Some(&["CGROUP_PIDS", "FAIR_GROUP_SCHED"]),
            optional: &[
                "OVERLAY_FS|OVERLAYFS_FS",
                "AUFS_FS",
                "BLK_DEV_DM",
                "CFS_BANDWIDTH",
                "CGROUP_HUGETLB",
                "SECCOMP",
                "SECCOMP_FILTER",
            ],
            ..KERNEL_2018
        },
    ),
    // the same, v1.9.2, v1.32
    (
        32,
        Kernel {
            releases: &[r"^4\.19.*$", r"^4\.[2-9][0-9].*$", r"^([5-9]|[1-9][0-9]+)\.([0-9]+)\.([0-9]+).*$"],
            note: "Recommended LTS version from the 4.x series is 4.19. Any 5.x or 6.x versions are also supported. For \
                   cgroups v2 support, the minimal version is 4.15 and the recommended version is 5.8+",
            required_v1: &["CGROUPS"],
            required_v2: Some(&["CGROUPS"]),
            ..KERNEL_2025
        },
    ),
    // the same, v1.10.2, v1.34
    (34, Kernel { required_v1: &["CGROUPS"], required_v2: Some(&["CGROUPS"]), ..KERNEL_2025 }),
    // the same, v1.12.1, v1.35
    (35, KERNEL_2025),
]);

const KERNEL_2018: Kernel = Kernel {
    releases: &[r"^3\.[1-9][0-9].*$", r"^([4-9]|[1-9][0-9]+)\.([0-9]+)\.([0-9]+).*$"],
    severity: Severity::Warning,
    note: "",
    required: &[
        "NAMESPACES",
        "NET_NS",
        "PID_NS",
        "IPC_NS",
        "UTS_NS",
        "CGROUPS",
        "CGROUP_CPUACCT",
        "CGROUP_DEVICE",
        "CGROUP_FREEZER",
        "CGROUP_SCHED",
        "CPUSETS",
        "MEMCG",
        "INET",
        "EXT4_FS",
        "PROC_FS",
        "NETFILTER_XT_TARGET_REDIRECT|IP_NF_TARGET_REDIRECT",
        "NETFILTER_XT_MATCH_COMMENT",
    ],
    required_v1: &[],
    required_v2: None,
    optional: &["OVERLAY_FS|OVERLAYFS_FS", "AUFS_FS", "BLK_DEV_DM"],
};

const KERNEL_2025: Kernel = Kernel {
    releases: &[r"^5\.4.*$", r"^5\.10.*$", r"^5\.15.*$", r"^([6-9]|[1-9][0-9]+)\.([0-9]+)\.([0-9]+).*$"],
    severity: Severity::Warning,
    note: "Supported LTS versions from the 5.x series are 5.4, 5.10 and 5.15. Any 6.x version is also \
           supported. For cgroups v2 support, the recommended version is 5.10 or newer",
    required: &[
        "NAMESPACES",
        "NET_NS",
        "PID_NS",
        "IPC_NS",
        "UTS_NS",
        "CPUSETS",
        "MEMCG",
        "INET",
        "EXT4_FS",
        "PROC_FS",
        "NETFILTER_XT_TARGET_REDIRECT|IP_NF_TARGET_REDIRECT",
        "NETFILTER_XT_MATCH_COMMENT",
        "FAIR_GROUP_SCHED",
    ],
    required_v1: &[
        "CGROUPS",
        "CGROUP_CPUACCT",
        "CGROUP_DEVICE",
        "CGROUP_FREEZER",
        "CGROUP_PIDS",
        "CGROUP_SCHED",
    ],
    required_v2: Some(&["CGROUPS", "CGROUP_BPF", "CGROUP_PIDS", "CGROUP_SCHED"]),
    optional: &[
        "OVERLAY_FS|OVERLAYFS_FS",
        "AUFS_FS",
        "BLK_DEV_DM",
        "CFS_BANDWIDTH",
        "SECCOMP",
        "SECCOMP_FILTER",
    ],
};

const CGROUPS: Column<Cgroups> = Column(&[
    // app/util/system/types_unix.go, v1.13
    (
        0,
        Cgroups {
            v1_required: &["cpu", "cpuacct", "cpuset", "devices", "freezer", "memory"],
            v1_optional: &[],
            v2_required: None,
            v2_optional: &[],
            v1: None,
        },
    ),
    // system-validators v1.1.2 validators/types_unix.go, v1.19
    (
        19,
        Cgroups {
            v1_required: &["cpu", "cpuacct", "cpuset", "devices", "freezer", "memory"],
            v1_optional: &["hugetlb", "pids"],
            v2_required: Some(&["cpu", "cpuset", "devices", "freezer", "memory"]),
            v2_optional: &["hugetlb", "pids"],
            v1: None,
        },
    ),
    // the same, v1.2.0, v1.20
    (20, Cgroups { v1_optional: &["hugetlb"], v2_optional: &["hugetlb"], v1: None, ..CGROUPS_2025 }),
    // the same, v1.8.0, v1.24
    (24, Cgroups { v1: None, ..CGROUPS_2025 }),
    // the same and cgroup_validator_linux.go, v1.9.2, v1.32: v1 is in maintenance mode
    (32, Cgroups { v1: Some(Severity::Warning), ..CGROUPS_2025 }),
    // the same, v1.12.1, v1.35: KEP-5573
    (35, CGROUPS_2025),
]);

const CGROUPS_2025: Cgroups = Cgroups {
    v1_required: &["cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"],
    v1_optional: &["hugetlb", "blkio"],
    v2_required: Some(&["cpu", "cpuset", "devices", "freezer", "memory", "pids"]),
    v2_optional: &["hugetlb", "io"],
    v1: Some(Severity::Error),
};

const WITH_ZFS: &[&str] = &["aufs", "overlay", "overlay2", "devicemapper", "zfs"];
const UP_TO_20_10: &[&str] =
    &[r"1\.1[1-3]\..*", r"17\.0[3,6,9]\..*", r"18\.0[6,9]\..*", r"19\.03\..*", r"20\.10\..*"];

const DOCKER: Column<Option<Docker>> = Column(&[
    // app/util/system/docker_validator.go, v1.11
    (
        0,
        Some(Docker {
            versions: &[r"1\.1[1-3]\..*", r"17\.03\..*"],
            latest_validated: "17.03",
            graph_drivers: &["aufs", "overlay", "overlay2", "devicemapper"],
        }),
    ),
    // the same, v1.12 and v1.13
    (
        12,
        Some(Docker {
            versions: &[r"1\.1[1-3]\..*", r"17\.0[3,6,9]\..*", r"18\.06\..*"],
            latest_validated: "18.06",
            graph_drivers: WITH_ZFS,
        }),
    ),
    // the same, v1.14 to v1.16
    (
        14,
        Some(Docker {
            versions: &[r"1\.1[1-3]\..*", r"17\.0[3,6,9]\..*", r"18\.0[6,9]\..*"],
            latest_validated: "18.09",
            graph_drivers: WITH_ZFS,
        }),
    ),
    // system-validators v1.0.4 validators/types_unix.go, v1.17
    (
        17,
        Some(Docker {
            versions: &[r"1\.1[1-3]\..*", r"17\.0[3,6,9]\..*", r"18\.0[6,9]\..*", r"19\.03\..*"],
            latest_validated: "19.03",
            graph_drivers: WITH_ZFS,
        }),
    ),
    // the same, v1.4.0, v1.21
    (21, Some(Docker { versions: UP_TO_20_10, latest_validated: "20.10", graph_drivers: WITH_ZFS })),
    // the same, v1.6.0, v1.23
    (
        23,
        Some(Docker {
            versions: UP_TO_20_10,
            latest_validated: "20.10",
            graph_drivers: &["aufs", "btrfs", "overlay", "overlay2", "devicemapper", "zfs"],
        }),
    ),
    (24, None), // KEP-2221
]);
