//! The static pods of API server, controller manager and scheduler, and what all static pods share.

use super::config_api::IPV6_DUAL_STACK;
use crate::column::{Column, Span};
use crate::listing::Facts;

/// Where the value of a default flag comes from. Resolving it is the engine's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Value {
    /// A constant.
    #[fact(bare)]
    Text(&'static str),
    /// A path below the certificates directory.
    Pki(&'static str),
    /// A kubeconfig file below `/etc/kubernetes`.
    Kubeconfig(&'static str),
    /// The advertise address.
    AdvertiseAddress,
    /// The port of the API server.
    BindPort,
    /// The service CIDR or CIDRs, as configured.
    ServiceSubnet,
    /// The name of the cluster.
    ClusterName,
    /// `https://kubernetes.default.svc.<dnsDomain>`.
    ServiceAccountIssuer,
    /// A path below the certificates directory, empty where the CA is external.
    SigningPki(&'static str),
    /// A constant, present only where a pod CIDR is configured.
    WithPodSubnet(&'static str),
    /// The pod CIDR or CIDRs, where configured.
    PodSubnet,
    /// The service CIDR or CIDRs, present only where a pod CIDR is configured.
    ServiceSubnetWithPodSubnet,
    /// The prefix length of a node's share of the pod CIDR, where that is configured.
    NodeCidrMaskSize,
    /// The authorization modes.
    AuthorizationMode,
    /// The CA of etcd, local or external; absent where an external etcd has none.
    EtcdCa,
    /// The client certificate for etcd; absent where an external etcd has no pair.
    EtcdCert,
    /// The client key for etcd; absent where an external etcd has no pair.
    EtcdKey,
    /// The addresses of etcd.
    EtcdServers,
    /// The name of the node.
    NodeName,
    /// The data directory of a local etcd.
    EtcdDataDir,
    /// `https://<advertise address>:<port>`.
    AdvertiseUrl(u16),
    /// `https://<loopback>:<port>` of the IPv4 loopback, or of the advertise address's family.
    LoopbackUrl(u16),
    /// Plain HTTP at the loopback address.
    PlainLoopbackUrl(u16),
    /// The loopback URL and the advertise URL, joined by a comma.
    LoopbackAndAdvertiseUrl(u16),
    /// `<node name>=` and the URL of this member.
    InitialCluster,
    /// A constant, present only with a feature gate of kubeadm's.
    WithGate {
        /// The gate.
        gate: &'static str,
        /// The value.
        text: &'static str,
    },
    /// A constant, present only where the tag of etcd's image is a version from 3.6.0 on.
    FromEtcd36(&'static str),
    /// A constant, present only where the tag of etcd's image is an earlier version, or none.
    BeforeEtcd36(&'static str),
    /// `GATE=true` or `GATE=false`, as a feature gate of kubeadm's is set; present only where it is.
    GateAsSet(&'static str),
    /// The same, but not with a gate.
    NodeCidrMaskSizeWithout(&'static str),
    /// The prefix length of a node's share of the pod CIDR of one family, where a gate is on.
    NodeCidrMaskSizeOf {
        /// The gate.
        gate: &'static str,
        /// Whether the family is IPv6.
        ipv6: bool,
    },
    /// For how many days audit logs are kept, where there are some.
    AuditLogMaxAge,
}

/// A default flag of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Flag {
    /// The name, without hyphens before it.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
}

/// Where the API server reads its audit policy, and where the default one lies on the host.
pub const AUDIT_POLICY: &str = "/etc/kubernetes/audit/audit.yaml";
/// Where the API server writes its audit log.
pub const AUDIT_LOG_DIRECTORY: &str = "/var/log/kubernetes/audit";
/// The gate of audit logs.
pub const AUDITING: &str = "Auditing";
/// The gate of kubelets that follow a ConfigMap.
pub const DYNAMIC_KUBELET_CONFIG: &str = "DynamicKubeletConfig";

pub(crate) const fn flag(name: &'static str, value: Value) -> Flag {
    Flag { name, value }
}

const DUAL_STACK_GATE: Flag = flag("feature-gates", Value::GateAsSet(IPV6_DUAL_STACK));

const fn mask_size_of(ipv6: bool) -> Value {
    Value::NodeCidrMaskSizeOf { gate: IPV6_DUAL_STACK, ipv6 }
}

const fn with_gate(gate: &'static str, text: &'static str) -> Value {
    Value::WithGate { gate, text }
}

/// What a component is asked by its probes. A path that is absent means no such probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct ProbePaths {
    /// Liveness.
    pub live: &'static str,
    /// Readiness.
    pub ready: Option<&'static str>,
    /// Startup.
    pub startup: Option<&'static str>,
}

/// The facts of one component's pod.
#[derive(Debug, Clone, Facts)]
pub struct Component {
    /// Its default flags, by name.
    pub flags: Vec<Flag>,
    /// Requested processor time.
    pub cpu: &'static str,
    /// What its probes ask for.
    pub probes: ProbePaths,
}

/// The facts of a component whose health is served beside its work.
#[derive(Debug, Clone, Facts)]
pub struct Served {
    /// The port it listens on, unless it is told another.
    pub port: u16,
    /// The flag that tells it another port.
    pub port_flag: &'static str,
    /// `HTTP` or `HTTPS`.
    pub scheme: &'static str,
    /// The flag that sets the address it listens on, and so the host of its probes.
    pub address_flag: &'static str,
}

/// How the user's extra arguments meet the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum ArgumentOrder {
    /// The user's first, sorted by name, then the remaining defaults, sorted.
    OverridesFirst,
    /// All together, sorted by name.
    Sorted,
    /// The remaining defaults, sorted, then the user's in the order given.
    DefaultsFirst,
}

/// How the API server's authorization modes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum AuthorizationModes {
    /// `Node,RBAC`, then `ABAC` and `Webhook` if the user's value names them. Written into the user's own extra
    /// arguments, and so into the stored configuration.
    Merged,
    /// The user's value as it is, else `Node,RBAC`; absent with `authorization-config`.
    UsersOrDefault,
}

/// When probes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct ProbeTiming {
    /// Seconds before the first liveness or startup probe.
    pub initial_delay: i32,
    /// Seconds between them; absent means the kubelet's default.
    pub period: Option<i32>,
    /// Seconds until a probe counts as failed.
    pub timeout: i32,
    /// Failures until the container is restarted.
    pub liveness_failures: i32,
}

/// What the manifests of all static pods share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct PodFrame {
    /// Whether the annotation `scheduler.alpha.kubernetes.io/critical-pod` is set.
    pub critical_annotation: bool,
    /// Whether the annotations that tell the advertised endpoints are set.
    pub endpoint_annotations: bool,
    /// Whether `creationTimestamp: null` is written.
    pub creation_timestamp: bool,
    /// Priority class.
    pub priority_class: &'static str,
    /// The number of that class, where it is written.
    pub priority: Option<i32>,
    /// Whether the seccomp profile RuntimeDefault is set.
    pub seccomp: bool,
    /// The name of the container port that probes refer to; absent means they name the number.
    pub probe_port: Option<&'static str>,
    /// When probes ask.
    pub timing: ProbeTiming,
    /// Order of arguments.
    pub arguments: ArgumentOrder,
}

/// A directory of the host that holds certificate authorities and is mounted where it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct CaDirectory {
    /// Name of the volume.
    pub volume: &'static str,
    /// Path on the host and in the container.
    pub path: &'static str,
}

/// Whether the controller manager mounts the directory of the kubelet's volume plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Flexvolume {
    /// Where it exists.
    IfPresent,
    /// Always; it is made where missing.
    Always,
    /// Never.
    Never,
}

/// Facts of the control plane's static pods.
#[derive(Debug, Clone, Facts)]
pub struct ControlPlane {
    /// What all static pods share.
    pub frame: PodFrame,
    /// `kube-apiserver`.
    pub apiserver: Component,
    /// `kube-controller-manager`.
    pub controller_manager: Component,
    /// Where the controller manager answers.
    pub controller_manager_served: Served,
    /// `kube-scheduler`.
    pub scheduler: Component,
    /// Where the scheduler answers.
    pub scheduler_served: Served,
    /// Authorization modes of the API server.
    pub authorization: AuthorizationModes,
    /// The argument of a local etcd that says where the API server finds it.
    pub etcd_servers_override: &'static str,
    /// Whether the API server reaches a local etcd at `[::1]` where the advertise address is IPv6.
    pub etcd_ipv6_loopback: bool,
    /// Directories of certificate authorities, besides `/etc/ssl/certs`.
    pub ca_directories: Vec<CaDirectory>,
    /// Whether probes of a component that listens on a wildcard address name no host.
    pub wildcard_host_omitted: bool,
    /// Whether the controller manager mounts the kubelet's volume plugins.
    pub flexvolume: Flexvolume,
    /// The API of the default audit policy, where the release can be told to keep an audit log.
    pub audit_api: Option<&'static str>,
}

/// The directory of the kubelet's volume plugins.
pub const FLEXVOLUME_DIRECTORY: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";

/// Every path that some minor mounts only where it exists on the host.
pub fn optional_host_paths() -> impl Iterator<Item = &'static str> {
    CA_DIRECTORIES.iter().map(|row| row.item.path).chain([FLEXVOLUME_DIRECTORY])
}

impl ControlPlane {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            frame: PodFrame {
                critical_annotation: CRITICAL_ANNOTATION.at(minor),
                endpoint_annotations: ENDPOINT_ANNOTATIONS.at(minor),
                creation_timestamp: CREATION_TIMESTAMP.at(minor),
                priority_class: PRIORITY_CLASS.at(minor),
                priority: PRIORITY.at(minor),
                seccomp: SECCOMP.at(minor),
                probe_port: PROBE_PORT.at(minor),
                timing: PROBE_TIMING.at(minor),
                arguments: ARGUMENTS.at(minor),
            },
            apiserver: Component {
                flags: Span::at(APISERVER_FLAGS, minor),
                cpu: "250m",
                probes: APISERVER_PROBES.at(minor),
            },
            controller_manager: Component {
                flags: Span::at(CONTROLLER_MANAGER_FLAGS, minor),
                cpu: "200m",
                probes: CONTROLLER_MANAGER_PROBES.at(minor),
            },
            controller_manager_served: Served {
                port: CONTROLLER_MANAGER_PORT.at(minor),
                port_flag: PORT_FLAG.at(minor),
                scheme: HEALTH_SCHEME.at(minor),
                address_flag: ADDRESS_FLAG.at(minor),
            },
            scheduler: Component {
                flags: Span::at(SCHEDULER_FLAGS, minor),
                cpu: "100m",
                probes: SCHEDULER_PROBES.at(minor),
            },
            scheduler_served: Served {
                port: SCHEDULER_PORT.at(minor),
                port_flag: PORT_FLAG.at(minor),
                scheme: HEALTH_SCHEME.at(minor),
                address_flag: ADDRESS_FLAG.at(minor),
            },
            authorization: AUTHORIZATION.at(minor),
            etcd_servers_override: ETCD_SERVERS_OVERRIDE.at(minor),
            etcd_ipv6_loopback: ETCD_IPV6_LOOPBACK.at(minor),
            ca_directories: Span::at(CA_DIRECTORIES, minor),
            wildcard_host_omitted: WILDCARD_HOST_OMITTED.at(minor),
            flexvolume: FLEXVOLUME.at(minor),
            audit_api: AUDIT_API.at(minor),
        }
    }
}

// --- what all pods share --------------------------------------------------------------------------------------

const CRITICAL_ANNOTATION: Column<bool> = Column(&[
    (0, true),   // app/util/staticpod/utils.go ComponentPod, v1.13
    (14, false), // not written by v1.14
]);

const ENDPOINT_ANNOTATIONS: Column<bool> = Column(&[
    (0, false), // app/util/staticpod/utils.go ComponentPod, v1.13
    (18, true), // constants KubeAPIServerAdvertiseAddressEndpointAnnotationKey, v1.18
]);

const CREATION_TIMESTAMP: Column<bool> = Column(&[
    (0, true),   // written by v1.11
    (34, false), // written by v1.34: k8s.io/apimachinery omits zero times
]);

const PRIORITY_CLASS: Column<&str> = Column(&[
    (0, "system-cluster-critical"), // app/util/staticpod/utils.go ComponentPod, v1.11
    (19, "system-node-critical"),   // the same, v1.19
]);

const PRIORITY: Column<Option<i32>> = Column(&[
    (0, None),                 // app/util/staticpod/utils.go ComponentPod, v1.13
    (25, Some(2_000_001_000)), // written by v1.25
]);

const SECCOMP: Column<bool> = Column(&[
    (0, false), // app/util/staticpod/utils.go ComponentPod, v1.13
    (22, true), // the same, v1.22
]);

const PROBE_PORT: Column<Option<&str>> = Column(&[
    (0, None),                // app/util/staticpod/utils.go, v1.13
    (34, Some("probe-port")), // constants ProbePort, v1.34
]);

const PROBE_TIMING: Column<ProbeTiming> = Column(&[
    // app/util/staticpod/utils.go ComponentProbe, v1.11
    (0, ProbeTiming { initial_delay: 15, period: None, timeout: 15, liveness_failures: 8 }),
    // app/util/staticpod/utils.go LivenessProbe, v1.19
    (19, ProbeTiming { initial_delay: 10, period: Some(10), timeout: 15, liveness_failures: 8 }),
]);

pub(super) const ARGUMENTS: Column<ArgumentOrder> = Column(&[
    (0, ArgumentOrder::OverridesFirst), // app/util/arguments.go BuildArgumentListFromMap, v1.13
    (14, ArgumentOrder::Sorted),        // written by v1.14
    (32, ArgumentOrder::DefaultsFirst), // app/util/arguments.go ArgumentsToCommand, seen in v1.32
]);

// --- kube-apiserver -------------------------------------------------------------------------------------------

/// Source: app/phases/controlplane/manifests.go getAPIServerCommand, v1.11 and v1.37.
const APISERVER_FLAGS: &[Span<Flag>] = &[
    Span::always(flag("advertise-address", Value::AdvertiseAddress)),
    Span::always(flag("allow-privileged", Value::Text("true"))),
    Span::until(13, flag("audit-log-maxage", Value::AuditLogMaxAge)), // gone in v1.13 with the gate
    Span::until(13, flag("audit-log-path", with_gate(AUDITING, "/var/log/kubernetes/audit/audit.log"))),
    Span::until(13, flag("audit-policy-file", with_gate(AUDITING, AUDIT_POLICY))),
    Span::always(flag("authorization-mode", Value::AuthorizationMode)),
    Span::always(flag("client-ca-file", Value::Pki("ca.crt"))),
    Span::until(12, flag("disable-admission-plugins", Value::Text("PersistentVolumeLabel"))), // gone in v1.12
    Span::always(flag("enable-admission-plugins", Value::Text("NodeRestriction"))),
    Span::always(flag("enable-bootstrap-token-auth", Value::Text("true"))),
    Span::always(flag("etcd-cafile", Value::EtcdCa)),
    Span::always(flag("etcd-certfile", Value::EtcdCert)),
    Span::always(flag("etcd-keyfile", Value::EtcdKey)),
    Span::always(flag("etcd-servers", Value::EtcdServers)),
    Span::until(
        13, // gone in v1.13 with the gate
        flag("feature-gates", with_gate(DYNAMIC_KUBELET_CONFIG, "DynamicKubeletConfig=true")),
    ),
    Span::within(16, 23, DUAL_STACK_GATE),                    // v1.16
    Span::until(22, flag("insecure-port", Value::Text("0"))), // still written by v1.21
    Span::always(flag("kubelet-client-certificate", Value::Pki("apiserver-kubelet-client.crt"))),
    Span::always(flag("kubelet-client-key", Value::Pki("apiserver-kubelet-client.key"))),
    Span::always(flag("kubelet-preferred-address-types", Value::Text("InternalIP,ExternalIP,Hostname"))),
    Span::always(flag("proxy-client-cert-file", Value::Pki("front-proxy-client.crt"))),
    Span::always(flag("proxy-client-key-file", Value::Pki("front-proxy-client.key"))),
    Span::always(flag("requestheader-allowed-names", Value::Text("front-proxy-client"))),
    Span::always(flag("requestheader-client-ca-file", Value::Pki("front-proxy-ca.crt"))),
    Span::always(flag("requestheader-extra-headers-prefix", Value::Text("X-Remote-Extra-"))),
    Span::always(flag("requestheader-group-headers", Value::Text("X-Remote-Group"))),
    Span::always(flag("requestheader-username-headers", Value::Text("X-Remote-User"))),
    Span::always(flag("secure-port", Value::BindPort)),
    Span::since(20, flag("service-account-issuer", Value::ServiceAccountIssuer)), // written by v1.20
    Span::always(flag("service-account-key-file", Value::Pki("sa.pub"))),
    Span::since(20, flag("service-account-signing-key-file", Value::Pki("sa.key"))), // written by v1.20
    Span::always(flag("service-cluster-ip-range", Value::ServiceSubnet)),
    Span::always(flag("tls-cert-file", Value::Pki("apiserver.crt"))),
    Span::always(flag("tls-private-key-file", Value::Pki("apiserver.key"))),
];

const APISERVER_PROBES: Column<ProbePaths> = Column(&[
    // app/phases/controlplane/manifests.go GetStaticPodSpecs, v1.11
    (0, ProbePaths { live: "/healthz", ready: None, startup: None }),
    // written by v1.19
    (19, ProbePaths { live: "/livez", ready: Some("/readyz"), startup: Some("/livez") }),
]);

const AUTHORIZATION: Column<AuthorizationModes> = Column(&[
    (0, AuthorizationModes::Merged), // app/phases/controlplane/manifests.go getAuthzModes, v1.13
    (30, AuthorizationModes::UsersOrDefault), // the same, v1.37; no longer stored by v1.30
]);

const ETCD_SERVERS_OVERRIDE: Column<&str> = Column(&[
    (0, "listen-client-urls"), // app/phases/controlplane/manifests.go getAPIServerCommand, v1.12
    (13, "advertise-client-urls"), // the same, v1.13
]);

const ETCD_IPV6_LOOPBACK: Column<bool> = Column(&[
    (0, false), // app/phases/controlplane/manifests.go getAPIServerCommand, v1.13
    (18, true), // written by v1.18
]);

// --- kube-controller-manager and kube-scheduler ---------------------------------------------------------------

/// Source: app/phases/controlplane/manifests.go getControllerManagerCommand, v1.11, v1.13 and v1.37.
const CONTROLLER_MANAGER_FLAGS: &[Span<Flag>] = &[
    Span::until(14, flag("address", Value::Text("127.0.0.1"))),
    Span::always(flag("allocate-node-cidrs", Value::WithPodSubnet("true"))),
    Span::since(12, flag("authentication-kubeconfig", Value::Kubeconfig("controller-manager.conf"))), // v1.12
    Span::since(12, flag("authorization-kubeconfig", Value::Kubeconfig("controller-manager.conf"))),  // v1.12
    Span::since(14, flag("bind-address", Value::Text("127.0.0.1"))), // written by v1.14
    Span::since(12, flag("client-ca-file", Value::Pki("ca.crt"))),   // v1.12
    Span::always(flag("cluster-cidr", Value::PodSubnet)),
    Span::since(18, flag("cluster-name", Value::ClusterName)), // written by v1.18
    Span::always(flag("cluster-signing-cert-file", Value::SigningPki("ca.crt"))),
    Span::always(flag("cluster-signing-key-file", Value::SigningPki("ca.key"))),
    Span::always(flag("controllers", Value::Text("*,bootstrapsigner,tokencleaner"))),
    Span::always(flag("kubeconfig", Value::Kubeconfig("controller-manager.conf"))),
    Span::always(flag("leader-elect", Value::Text("true"))),
    Span::within(16, 23, DUAL_STACK_GATE), // v1.16
    Span::until(17, flag("node-cidr-mask-size", Value::NodeCidrMaskSize)), // v1.16
    Span::within(17, 20, flag("node-cidr-mask-size", Value::NodeCidrMaskSizeWithout(IPV6_DUAL_STACK))), // v1.17
    Span::within(18, 20, flag("node-cidr-mask-size-ipv4", mask_size_of(false))), // v1.18 and v1.19
    Span::within(18, 20, flag("node-cidr-mask-size-ipv6", mask_size_of(true))),  // v1.18 and v1.19
    Span::since(12, flag("requestheader-client-ca-file", Value::Pki("front-proxy-ca.crt"))), // v1.12
    Span::within(16, 23, flag("port", Value::Text("0"))),                        // written by v1.16 to v1.22
    Span::always(flag("root-ca-file", Value::Pki("ca.crt"))),
    Span::always(flag("service-account-private-key-file", Value::Pki("sa.key"))),
    Span::since(16, flag("service-cluster-ip-range", Value::ServiceSubnetWithPodSubnet)), // written by v1.16
    Span::always(flag("use-service-account-credentials", Value::Text("true"))),
];

/// Source: app/phases/controlplane/manifests.go getSchedulerCommand, v1.11 and v1.37.
const SCHEDULER_FLAGS: &[Span<Flag>] = &[
    Span::until(14, flag("address", Value::Text("127.0.0.1"))),
    Span::since(16, flag("authentication-kubeconfig", Value::Kubeconfig("scheduler.conf"))), // written by v1.16
    Span::since(16, flag("authorization-kubeconfig", Value::Kubeconfig("scheduler.conf"))), // written by v1.16
    Span::since(14, flag("bind-address", Value::Text("127.0.0.1"))), // written by v1.14
    Span::always(flag("kubeconfig", Value::Kubeconfig("scheduler.conf"))),
    Span::always(flag("leader-elect", Value::Text("true"))),
    Span::within(16, 23, DUAL_STACK_GATE),                // v1.16
    Span::within(16, 23, flag("port", Value::Text("0"))), // written by v1.16 to v1.22
];

const CONTROLLER_MANAGER_PROBES: Column<ProbePaths> = Column(&[
    // app/phases/controlplane/manifests.go GetStaticPodSpecs, v1.11
    (0, ProbePaths { live: "/healthz", ready: None, startup: None }),
    // written by v1.19
    (19, ProbePaths { live: "/healthz", ready: None, startup: Some("/healthz") }),
]);

const SCHEDULER_PROBES: Column<ProbePaths> = Column(&[
    // app/phases/controlplane/manifests.go GetStaticPodSpecs, v1.11
    (0, ProbePaths { live: "/healthz", ready: None, startup: None }),
    // written by v1.19
    (19, ProbePaths { live: "/healthz", ready: None, startup: Some("/healthz") }),
    // written by v1.32
    (32, ProbePaths { live: "/livez", ready: Some("/readyz"), startup: Some("/livez") }),
]);

const CONTROLLER_MANAGER_PORT: Column<u16> = Column(&[
    (0, 10252),  // constants InsecureKubeControllerManagerPort, v1.13
    (16, 10257), // constants KubeControllerManagerPort, v1.16
]);

const SCHEDULER_PORT: Column<u16> = Column(&[
    (0, 10251),  // constants InsecureSchedulerPort, v1.13
    (16, 10259), // constants KubeSchedulerPort, v1.16
]);

const PORT_FLAG: Column<&str> = Column(&[
    (0, "port"),         // cmd/controller-manager/app/options/insecure_serving.go, v1.13
    (16, "secure-port"), // apiserver: pkg/server/options/serving.go, v1.16
]);

const HEALTH_SCHEME: Column<&str> = Column(&[
    (0, "HTTP"),   // app/phases/controlplane/manifests.go GetStaticPodSpecs, v1.13
    (16, "HTTPS"), // the same, v1.16
]);

const ADDRESS_FLAG: Column<&str> = Column(&[
    (0, "address"), // app/util/staticpod/utils.go GetControllerManagerProbeAddress, v1.13 to v1.17
    (18, "bind-address"), // the same, v1.18
]);

const WILDCARD_HOST_OMITTED: Column<bool> = Column(&[
    (0, false), // app/util/staticpod/utils.go GetControllerManagerProbeAddress, v1.13
    (18, true), // app/util/staticpod/utils.go getProbeAddress, v1.18
]);

// --- volumes --------------------------------------------------------------------------------------------------

/// Source: app/phases/controlplane/volumes.go caCertsExtraVolumePaths, v1.11 and v1.37.
const CA_DIRECTORIES: &[Span<CaDirectory>] = &[
    Span::until(31, CaDirectory { volume: "etc-pki", path: "/etc/pki" }),
    Span::since(31, CaDirectory { volume: "etc-pki-ca-trust", path: "/etc/pki/ca-trust" }),
    Span::since(31, CaDirectory { volume: "etc-pki-tls-certs", path: "/etc/pki/tls/certs" }),
    Span::always(CaDirectory { volume: "usr-share-ca-certificates", path: "/usr/share/ca-certificates" }),
    Span::always(CaDirectory {
        volume: "usr-local-share-ca-certificates",
        path: "/usr/local/share/ca-certificates",
    }),
    Span::always(CaDirectory { volume: "etc-ca-certificates", path: "/etc/ca-certificates" }),
];

const AUDIT_API: Column<Option<&str>> = Column(&[
    (0, Some("audit.k8s.io/v1beta1")), // app/util/audit/utils.go, v1.11
    (12, Some("audit.k8s.io/v1")),     // the same, v1.12
    (13, None),                        // gate Auditing is gone
]);

const FLEXVOLUME: Column<Flexvolume> = Column(&[
    (0, Flexvolume::IfPresent), // app/phases/controlplane/volumes.go flexvolumeDirVolumePath, v1.13
    // recorded so of v1.14, on a host with the directory; app/phases/controlplane/volumes.go asks for none from v1.17 on
    (14, Flexvolume::Always),
    (36, Flexvolume::Never), // not written by v1.36
]);
