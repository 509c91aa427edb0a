//! The add-ons: CoreDNS and kube-proxy.

use crate::column::{Column, Span};
use crate::listing::Facts;

/// The plugins of the default Corefile that came and went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Corefile {
    /// `lameduck 5s` within `health`.
    pub lameduck: bool,
    /// The `ready` plugin.
    pub ready: bool,
    /// `upstream` within `kubernetes`.
    pub upstream: bool,
    /// `ttl 30` within `kubernetes`.
    pub ttl: bool,
    /// The plugin that passes queries on.
    pub forwarder: Forwarder,
    /// `disable success` and `disable denial` of the cluster's domain within `cache`.
    pub cache_disabled: bool,
    /// The `loop` and `loadbalance` plugins.
    pub loop_loadbalance: bool,
}

/// The plugin that passes queries on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Forwarder {
    /// `proxy . `
    Proxy,
    /// `forward . `
    Forward,
    /// `forward .` with `max_concurrent 1000`.
    ForwardConcurrent,
}

/// The upstream servers as the Corefile names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Upstream {
    /// Those of an older kube-dns ConfigMap, else `/etc/resolv.conf`.
    KubeDnsConfigMap,
    /// `/etc/resolv.conf`.
    ResolvConf,
}

/// Which ports the probes of CoreDNS ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum DnsProbes {
    /// Liveness at 8080.
    Liveness,
    /// Liveness and readiness at 8080, `/health`.
    SamePort,
    /// Liveness at 8080, readiness at 8181, `/ready`.
    Both,
    /// Both, by names declared among the container's ports.
    BothNamed,
}

/// A toleration of the node's taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Toleration(
    /// Key of the taint; the effect is NoSchedule.
    pub &'static str,
);

/// Facts of CoreDNS.
#[derive(Debug, Clone, Facts)]
pub struct CoreDns {
    /// The default Corefile.
    pub corefile: Corefile,
    /// Where upstream servers come from.
    pub upstream: Upstream,
    /// Whether the Corefile of a dry run, which has no older ConfigMap to look at, names no upstream servers.
    pub no_upstream_when_dry: bool,
    /// Whether the container has an empty directory `/tmp`.
    pub tmp_volume: bool,
    /// Probes.
    pub probes: DnsProbes,
    /// Tolerated taints, after `CriticalAddonsOnly`.
    pub tolerations: Vec<Toleration>,
    /// Priority class.
    pub priority_class: Option<&'static str>,
    /// Whether pods run on Linux only, by node selector.
    pub node_selector: Option<&'static str>,
    /// Whether pods prefer different hosts.
    pub anti_affinity: bool,
    /// How the dropped capability is spelt.
    pub drop_all: &'static str,
    /// Whether the Service names the metrics port.
    pub metrics_port: bool,
    /// The label `kubernetes.io/name` of the Service.
    pub service_name: &'static str,
    /// Whether the ClusterRole may read nodes.
    pub reads_nodes: bool,
    /// Whether the ClusterRole may list endpoint slices.
    pub reads_endpoint_slices: bool,
    /// Whether existing Deployments are looked at for their replicas.
    pub keeps_replicas: bool,
}

/// Facts of kube-dns.
#[derive(Debug, Clone, Facts)]
pub struct KubeDns {
    /// Whether dnsmasq looks for loops.
    pub loop_detect: bool,
    /// Whether pods are bound to nodes of the host's architecture.
    pub arch_selector: bool,
}

/// Facts of kube-proxy.
#[derive(Debug, Clone, Facts)]
pub struct KubeProxy {
    /// Whether the pod carries the annotation `scheduler.alpha.kubernetes.io/critical-pod`.
    pub critical_annotation: bool,
    /// Whether `--hostname-override` is taken from the Node's name.
    pub hostname_override: bool,
    /// Whether `CriticalAddonsOnly` is tolerated by name, besides everything.
    pub tolerates_critical: bool,
    /// The node selector: label and value; `None` as value stands for the host's architecture.
    pub node_selector: Option<(&'static str, Option<&'static str>)>,
    /// Whether Role and RoleBinding `kube-proxy` exist.
    pub config_role: bool,
    /// The mode written where none is configured.
    pub default_mode: &'static str,
    /// Whether proxy variables of the environment are passed to the pod.
    pub proxy_env: bool,
}

/// Facts of the add-ons.
#[derive(Debug, Clone, Facts)]
pub struct Addons {
    /// CoreDNS.
    pub coredns: CoreDns,
    /// kube-dns, where it can be chosen instead.
    pub kube_dns: Option<KubeDns>,
    /// kube-proxy.
    pub kube_proxy: KubeProxy,
}

impl Corefile {
    fn at(minor: u32) -> Self {
        Self {
            lameduck: LAMEDUCK.at(minor),
            ready: READY.at(minor),
            upstream: KUBERNETES_UPSTREAM.at(minor),
            ttl: TTL.at(minor),
            forwarder: FORWARDER.at(minor),
            cache_disabled: CACHE_DISABLED.at(minor),
            loop_loadbalance: LOOP_LOADBALANCE.at(minor),
        }
    }

    /// The default of every minor, once each: a Corefile that is one of these is not the user's own.
    pub fn defaults() -> Vec<Self> {
        let mut all: Vec<Self> = (FIRST_WITH_COREDNS..=crate::NEWEST_MINOR).map(Self::at).collect();
        all.dedup();
        all
    }
}

impl Addons {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            coredns: CoreDns {
                corefile: Corefile::at(minor),
                upstream: UPSTREAM.at(minor),
                no_upstream_when_dry: NO_UPSTREAM_WHEN_DRY.at(minor),
                tmp_volume: TMP_VOLUME.at(minor),
                probes: DNS_PROBES.at(minor),
                tolerations: Span::at(DNS_TOLERATIONS, minor),
                priority_class: DNS_PRIORITY_CLASS.at(minor),
                node_selector: DNS_NODE_SELECTOR.at(minor),
                anti_affinity: DNS_ANTI_AFFINITY.at(minor),
                drop_all: DNS_DROP_ALL.at(minor),
                metrics_port: DNS_METRICS_PORT.at(minor),
                service_name: DNS_SERVICE_NAME.at(minor),
                reads_nodes: DNS_READS_NODES.at(minor),
                reads_endpoint_slices: DNS_READS_ENDPOINT_SLICES.at(minor),
                keeps_replicas: DNS_KEEPS_REPLICAS.at(minor),
            },
            kube_dns: KUBE_DNS.at(minor).then(|| KubeDns {
                loop_detect: KUBE_DNS_LOOP_DETECT.at(minor),
                arch_selector: KUBE_DNS_ARCH_SELECTOR.at(minor),
            }),
            kube_proxy: KubeProxy {
                critical_annotation: PROXY_CRITICAL_ANNOTATION.at(minor),
                hostname_override: PROXY_HOSTNAME_OVERRIDE.at(minor),
                tolerates_critical: PROXY_TOLERATES_CRITICAL.at(minor),
                node_selector: PROXY_NODE_SELECTOR.at(minor),
                config_role: PROXY_CONFIG_ROLE.at(minor),
                default_mode: PROXY_DEFAULT_MODE.at(minor),
                proxy_env: PROXY_ENV.at(minor),
            },
        }
    }
}

// --- CoreDNS: app/phases/addons/dns/manifests.go, unless said otherwise ---------------------------------------

/// CoreDNS is the default since v1.11.
const FIRST_WITH_COREDNS: u32 = 11;

const LAMEDUCK: Column<bool> = Column(&[
    (0, false), // v1.13
    (17, true), // written by v1.17
]);

const READY: Column<bool> = Column(&[
    (0, false), // v1.13
    (16, true), // written by v1.16
]);

const KUBERNETES_UPSTREAM: Column<bool> = Column(&[
    (0, true),   // v1.13
    (16, false), // not written by v1.16
]);

const TTL: Column<bool> = Column(&[
    (0, false), // v1.13
    (15, true), // written by v1.15
]);

const FORWARDER: Column<Forwarder> = Column(&[
    (0, Forwarder::Proxy),              // v1.13
    (14, Forwarder::Forward),           // written by v1.14
    (19, Forwarder::ForwardConcurrent), // written by v1.19
]);

const CACHE_DISABLED: Column<bool> = Column(&[
    (0, false), // v1.13
    (32, true), // written by v1.32
]);

const LOOP_LOADBALANCE: Column<bool> = Column(&[
    (0, false), // v1.11
    (12, true), // v1.12
]);

const UPSTREAM: Column<Upstream> = Column(&[
    (0, Upstream::KubeDnsConfigMap), // app/phases/addons/dns/dns.go, v1.13
    (22, Upstream::ResolvConf),      // app/phases/addons/dns/dns.go, v1.22: kube-dns is gone
]);

const NO_UPSTREAM_WHEN_DRY: Column<bool> = Column(&[
    (0, true),   // written by v1.13 to v1.15
    (16, false), // written by v1.16
]);

const TMP_VOLUME: Column<bool> = Column(&[
    (0, false),  // v1.13
    (14, true),  // written by v1.14
    (16, false), // not written by v1.16
]);

const DNS_PROBES: Column<DnsProbes> = Column(&[
    (0, DnsProbes::Liveness),   // v1.13
    (14, DnsProbes::SamePort),  // written by v1.14
    (16, DnsProbes::Both),      // v1.16
    (34, DnsProbes::BothNamed), // v1.34
]);

const DNS_TOLERATIONS: &[Span<Toleration>] = &[
    Span::until(26, Toleration("node-role.kubernetes.io/master")), // KEP-2067; last written by v1.25
    Span::since(20, Toleration("node-role.kubernetes.io/control-plane")), // KEP-2067
];

const DNS_PRIORITY_CLASS: Column<Option<&str>> = Column(&[
    (0, None),                             // v1.13
    (14, Some("system-cluster-critical")), // v1.14
]);

const DNS_NODE_SELECTOR: Column<Option<&str>> = Column(&[
    (0, None),                           // v1.13
    (14, Some("beta.kubernetes.io/os")), // v1.14
    (18, Some("kubernetes.io/os")),      // v1.18
]);

const DNS_ANTI_AFFINITY: Column<bool> = Column(&[
    (0, false), // v1.13
    (25, true), // written by v1.25
]);

const DNS_DROP_ALL: Column<&str> = Column(&[
    (0, "all"),  // v1.13
    (29, "ALL"), // written by v1.29
]);

const DNS_METRICS_PORT: Column<bool> = Column(&[
    (0, false), // v1.13
    (14, true), // written by v1.14
]);

const DNS_SERVICE_NAME: Column<&str> = Column(&[
    (0, "KubeDNS"),  // v1.13
    (21, "CoreDNS"), // written by v1.21
]);

const DNS_READS_NODES: Column<bool> = Column(&[
    (0, false),  // v1.12
    (13, true),  // v1.13
    (28, false), // not written by v1.28
]);

const DNS_READS_ENDPOINT_SLICES: Column<bool> = Column(&[
    (0, false), // v1.13
    (22, true), // written by v1.22
]);

const DNS_KEEPS_REPLICAS: Column<bool> = Column(&[
    (0, false), // app/phases/addons/dns/dns.go, v1.13
    (18, true), // app/phases/addons/dns/dns.go deployedDNSReplicas, v1.18
]);

// --- kube-dns: app/phases/addons/dns/manifests.go -----------------------------------------------------------------

const KUBE_DNS: Column<bool> = Column(&[
    (0, true),   // gate CoreDNS=false, later dns.type
    (21, false), // app/apis/kubeadm/validation/validation.go ValidateDNS, v1.21
]);

const KUBE_DNS_LOOP_DETECT: Column<bool> = Column(&[
    (0, false), // v1.11
    (12, true), // v1.12
]);

const KUBE_DNS_ARCH_SELECTOR: Column<bool> = Column(&[
    (0, true),   // v1.11
    (12, false), // v1.12
]);

// --- kube-proxy: app/phases/addons/proxy/manifests.go, unless said otherwise ----------------------------------

const PROXY_CRITICAL_ANNOTATION: Column<bool> = Column(&[
    (0, true),   // v1.13
    (14, false), // not written by v1.14
]);

const PROXY_HOSTNAME_OVERRIDE: Column<bool> = Column(&[
    (0, false), // v1.12
    (13, true), // v1.13
]);

const PROXY_TOLERATES_CRITICAL: Column<bool> = Column(&[
    (0, true),   // v1.13
    (22, false), // written by v1.22
]);

const PROXY_NODE_SELECTOR: Column<Option<(&str, Option<&str>)>> = Column(&[
    (0, Some(("beta.kubernetes.io/arch", None))),         // v1.11
    (12, None),                                           // v1.12
    (15, Some(("beta.kubernetes.io/os", Some("linux")))), // written by v1.15
    (18, Some(("kubernetes.io/os", Some("linux")))),      // v1.18
]);

const PROXY_CONFIG_ROLE: Column<bool> = Column(&[
    (0, false), // v1.11
    (12, true), // app/phases/addons/proxy/proxy.go, v1.12
]);

const PROXY_DEFAULT_MODE: Column<&str> = Column(&[
    (0, ""),          // v1.13; app/componentconfigs/kubeproxy.go, v1.18 to v1.36
    (37, "iptables"), // app/componentconfigs/kubeproxy.go, v1.37
]);

const PROXY_ENV: Column<bool> = Column(&[
    (0, false), // app/phases/addons/proxy/proxy.go, v1.13
    (17, true), // app/phases/addons/proxy/proxy.go createKubeProxyAddon, v1.17; not in v1.16
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_corefiles_changed_seven_times() {
        let all = Corefile::defaults();
        assert_eq!(all.len(), 8);
        assert_eq!((all[0], all[7]), (Corefile::at(11), Corefile::at(37)));
    }
}
