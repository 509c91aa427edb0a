//! The kubelet: the file with its flags, its configuration and where that is stored.

use crate::column::{Column, Span};
use crate::listing::Facts;

/// A flag that kubeadm writes into the environment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum EnvFlag {
    /// `cgroup-driver` as Docker reports it; only with Docker, left out with a warning where unknown.
    CgroupDriverOfDocker,
    /// `cni-bin-dir=/opt/cni/bin` and `cni-conf-dir=/etc/cni/net.d`; only with Docker.
    CniDirectoriesWithDocker,
    /// `network-plugin=cni`; only with Docker.
    NetworkPluginWithDocker,
    /// `container-runtime=remote`; not with Docker.
    ContainerRuntimeRemote,
    /// `container-runtime-endpoint` with the socket as configured; not with Docker, nor where `instance-config.yaml` has it.
    ContainerRuntimeEndpoint,
    /// `hostname-override`, where the node is not called as the host is.
    HostnameOverride,
    /// `pod-infra-container-image`; only with Docker.
    PauseImageWithDocker,
    /// `pod-infra-container-image`, whatever the runtime.
    PauseImage,
    /// `resolv-conf` of systemd-resolved, where that runs.
    ResolvConf,
    /// `feature-gates` with the gate IPv6DualStack as it is set; only where it is.
    DualStackGate,
    /// `dynamic-config-dir`; only with the gate DynamicKubeletConfig.
    DynamicConfigDirectory,
}

/// How the environment file quotes its one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum EnvQuoting {
    /// `KUBELET_KUBEADM_ARGS=--a=b --c=d`.
    Bare,
    /// `KUBELET_KUBEADM_ARGS="--a=b --c=d"`.
    Quoted,
}

/// What the written configuration holds besides what the user and kubeadm set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum ConfigDefaults {
    /// Every default of the kubelet itself.
    Filled,
    /// The zero value of each field that is always printed.
    Zero,
}

/// The name of the ConfigMap with the configuration for all kubelets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum ConfigMapName {
    /// `kubelet-config-1.NN`.
    Versioned,
    /// `kubelet-config`.
    Plain,
}

/// Which cgroup driver the written configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum CgroupDriver {
    /// The kubelet's own default, `cgroupfs`.
    KubeletDefault,
    /// As Docker reports it, whatever is configured; with another runtime, the kubelet's default.
    OfDocker,
    /// As Docker reports it, whatever is configured; with another runtime, `systemd` unless configured.
    OfDockerOrSystemd,
    /// `systemd` unless configured.
    Systemd,
}

/// The socket that stands for Docker. Kubelets up to 1.23 speak to Docker themselves, and serve this socket while they
/// run. app/constants/constants.go DefaultDockerCRISocket, v1.13.
pub const DOCKERSHIM: &str = "/var/run/dockershim.sock";

/// The socket of containerd, which Docker brings along: where Docker is found, it does not count. app/util/runtime/
/// runtime.go, v1.16.
pub const DOCKERS_CONTAINERD: &str = "/run/containerd/containerd.sock";

/// Whether a socket, as a path or as a URL, stands for Docker.
pub fn is_dockershim(socket: &str) -> bool {
    socket.strip_prefix("unix://").unwrap_or(socket) == DOCKERSHIM
}

/// Which runtime sockets are known when none is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct RuntimeSockets {
    /// The socket used when none, or none of the known ones, is found.
    pub default: &'static str,
    /// The sockets looked for, in order.
    pub known: &'static [&'static str],
    /// Whether a socket is written as a URL (`unix://…`).
    pub url: bool,
}

impl RuntimeSockets {
    /// A socket as the release writes it, where it is told as a path.
    pub fn written(&self, socket: &str) -> String {
        let scheme = if self.url && socket.starts_with('/') { "unix://" } else { "" };
        format!("{scheme}{socket}")
    }
}

/// Facts of the kubelet.
#[derive(Debug, Clone, Facts)]
pub struct Kubelet {
    /// Flags of the environment file, in no order: the file sorts them.
    pub env_flags: Vec<EnvFlag>,
    /// How the environment file quotes.
    pub env_quoting: EnvQuoting,
    /// How the user's flags meet those of kubeadm: sorted before them, or after them as given.
    pub env_arguments: super::control_plane::ArgumentOrder,
    /// What the configuration is filled with.
    pub config_defaults: ConfigDefaults,
    /// Its cgroup driver.
    pub cgroup_driver: CgroupDriver,
    /// Whether `resolvConf` of systemd-resolved is set in the configuration, where that runs.
    pub resolv_conf_in_config: bool,
    /// Whether `instance-config.yaml` is written, unless a gate says otherwise. Where it is not, an annotation of the Node
    /// tells the runtime's socket.
    pub instance_config: bool,
    /// Name of the ConfigMap.
    pub config_map: ConfigMapName,
    /// Whether component configurations in ConfigMaps carry a hash unless the user supplied them.
    pub config_hash: bool,
    /// Whether `kubelet.conf` is changed to the rotated certificate at the end of init.
    pub finalize: bool,
    /// Runtime sockets.
    pub sockets: RuntimeSockets,
    /// Whether it refuses to start on a host with cgroups v1, unless its configuration says otherwise.
    pub refuses_cgroups_v1: bool,
}

impl Kubelet {
    /// The name of the ConfigMap (and, after `kubeadm:`, of its Role) for a cluster of `version`. `gate` is the one of
    /// unversioned names, where the cluster sets it and the release has it.
    pub fn config_map_name(&self, version: &crate::Version, gate: Option<bool>) -> String {
        let name = match gate {
            Some(true) => ConfigMapName::Plain,
            Some(false) => ConfigMapName::Versioned,
            None => self.config_map,
        };
        match name {
            ConfigMapName::Versioned => format!("kubelet-config-{}", version.major_minor()),
            ConfigMapName::Plain => "kubelet-config".to_owned(),
        }
    }

    pub(crate) fn at(minor: u32) -> Self {
        Self {
            env_flags: Span::at(ENV_FLAGS, minor),
            env_quoting: ENV_QUOTING.at(minor),
            env_arguments: super::control_plane::ARGUMENTS.at(minor),
            config_defaults: CONFIG_DEFAULTS.at(minor),
            cgroup_driver: CGROUP_DRIVER.at(minor),
            resolv_conf_in_config: RESOLV_CONF_IN_CONFIG.at(minor),
            instance_config: INSTANCE_CONFIG.at(minor),
            config_map: CONFIG_MAP.at(minor),
            config_hash: CONFIG_HASH.at(minor),
            finalize: FINALIZE.at(minor),
            sockets: SOCKETS.at(minor),
            refuses_cgroups_v1: REFUSES_CGROUPS_V1.at(minor),
        }
    }
}

/// Source: app/phases/kubelet/flags.go buildKubeletArgMap, v1.11, v1.12, v1.13 and v1.37.
const ENV_FLAGS: &[Span<EnvFlag>] = &[
    Span::until(19, EnvFlag::CgroupDriverOfDocker), // in the configuration since v1.19
    Span::until(12, EnvFlag::CniDirectoriesWithDocker), // gone in v1.12
    Span::until(24, EnvFlag::NetworkPluginWithDocker),
    Span::until(26, EnvFlag::ContainerRuntimeRemote), // last written by v1.25
    Span::until(37, EnvFlag::ContainerRuntimeEndpoint), // by default last written by v1.33
    Span::always(EnvFlag::HostnameOverride),
    Span::within(13, 21, EnvFlag::PauseImageWithDocker), // new in v1.13
    Span::within(21, 35, EnvFlag::PauseImage),           // new in v1.21, gone in v1.35
    Span::until(19, EnvFlag::ResolvConf),
    Span::within(16, 19, EnvFlag::DualStackGate), // in the configuration since v1.19
    Span::until(13, EnvFlag::DynamicConfigDirectory), // gone in v1.13 with the gate
];

const ENV_QUOTING: Column<EnvQuoting> = Column(&[
    (0, EnvQuoting::Bare),    // app/phases/kubelet/flags.go WriteKubeletDynamicEnvFile, v1.13
    (15, EnvQuoting::Quoted), // the same, v1.15
]);

const CONFIG_DEFAULTS: Column<ConfigDefaults> = Column(&[
    (0, ConfigDefaults::Filled), // app/componentconfigs, v1.13
    (17, ConfigDefaults::Zero),  // app/componentconfigs, v1.17
]);

const CGROUP_DRIVER: Column<CgroupDriver> = Column(&[
    (0, CgroupDriver::KubeletDefault),     // app/componentconfigs, v1.13
    (19, CgroupDriver::OfDocker),          // app/componentconfigs/kubelet.go Default, v1.19
    (21, CgroupDriver::OfDockerOrSystemd), // the same, v1.21
    (22, CgroupDriver::Systemd),           // the same, v1.22
]);

const RESOLV_CONF_IN_CONFIG: Column<bool> = Column(&[
    (0, false), // app/phases/kubelet/flags.go, v1.13: a flag instead
    (19, true), // app/componentconfigs/kubelet.go Mutate, v1.19
]);

const INSTANCE_CONFIG: Column<bool> = Column(&[
    (0, false), // app/phases/kubelet/config.go, v1.13
    (34, true), // gate NodeLocalCRISocket on by default, v1.34; no gate since v1.37
]);

const CONFIG_MAP: Column<ConfigMapName> = Column(&[
    (0, ConfigMapName::Versioned), // constants GetKubeletConfigMapName, v1.11
    (24, ConfigMapName::Plain),    // the same, v1.24 (gate UnversionedKubeletConfigMap)
]);

const CONFIG_HASH: Column<bool> = Column(&[
    (0, false), // app/phases/kubelet/config.go, v1.13
    (19, true), // app/componentconfigs/checksums.go, v1.19
]);

const FINALIZE: Column<bool> = Column(&[
    (0, false), // app/cmd/init.go, v1.13
    (17, true), // app/cmd/phases/init/kubeletfinalize.go, v1.17
]);

pub(crate) const REFUSES_CGROUPS_V1: Column<bool> = Column(&[
    (0, false),
    (35, true), // KEP-5573: failCgroupV1 by default. pkg/kubelet/apis/config/v1beta1/defaults.go, v1.35
]);

const SOCKETS: Column<RuntimeSockets> = Column(&[
    // app/apis/kubeadm/v1alpha2/defaults.go DefaultCRISocket, v1.11 to v1.13: nothing is looked for
    (0, RuntimeSockets { default: DOCKERSHIM, known: &[], url: false }),
    // app/util/runtime/runtime.go detectCRISocketImpl, v1.16
    (
        14,
        RuntimeSockets {
            default: DOCKERSHIM,
            known: &[DOCKERSHIM, DOCKERS_CONTAINERD, "/var/run/crio/crio.sock"],
            url: false,
        },
    ),
    // app/constants/constants_unix.go, v1.24
    (
        24,
        RuntimeSockets {
            default: "unix:///var/run/containerd/containerd.sock",
            known: &[
                "unix:///var/run/containerd/containerd.sock",
                "unix:///var/run/crio/crio.sock",
                "unix:///var/run/cri-dockerd.sock",
            ],
            url: true,
        },
    ),
]);
