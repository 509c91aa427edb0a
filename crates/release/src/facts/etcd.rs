//! The static pod of a local etcd.

use super::control_plane::{Flag, ProbePaths, Value, flag};
use crate::column::{Column, Span};
use crate::listing::Facts;

/// Which addresses a local etcd uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum EtcdTopology {
    /// Only the IPv4 loopback: the cluster has one member for ever.
    Loopback,
    /// The advertise address, so that members can be added.
    Advertised,
}

/// How the kubelet finds out that etcd lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum EtcdProbe {
    /// A command in the container reads a key with the health-check certificate.
    Exec,
    /// HTTP requests to the metrics address.
    Http(ProbePaths),
}

/// Facts of a local etcd.
#[derive(Debug, Clone, Facts)]
pub struct Etcd {
    /// Its addresses.
    pub topology: EtcdTopology,
    /// Its default flags, by name.
    pub flags: Vec<Flag>,
    /// The oldest etcd that knows them all and answers the probes, where an older one could be named.
    pub oldest: Option<&'static str>,
    /// Its probes.
    pub probe: EtcdProbe,
    /// The port of metrics and health, where there is one.
    pub metrics_port: u16,
    /// Requested processor time and memory, where any.
    pub requests: &'static [(&'static str, &'static str)],
}

impl Etcd {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            topology: TOPOLOGY.at(minor),
            flags: Span::at(FLAGS, minor),
            oldest: OLDEST.at(minor),
            probe: PROBE.at(minor),
            metrics_port: 2381, // constants EtcdMetricsPort
            requests: REQUESTS.at(minor),
        }
    }
}

const TOPOLOGY: Column<EtcdTopology> = Column(&[
    (0, EtcdTopology::Loopback),    // app/phases/etcd/local.go getEtcdCommand, v1.12
    (13, EtcdTopology::Advertised), // the same, v1.13
]);

/// Source: app/phases/etcd/local.go getEtcdCommand, v1.12, v1.13, v1.34 to v1.37.
const FLAGS: &[Span<Flag>] = &[
    Span::until(13, flag("advertise-client-urls", Value::LoopbackUrl(2379))),
    Span::since(13, flag("advertise-client-urls", Value::AdvertiseUrl(2379))),
    Span::always(flag("cert-file", Value::Pki("etcd/server.crt"))),
    Span::always(flag("client-cert-auth", Value::Text("true"))),
    Span::always(flag("data-dir", Value::EtcdDataDir)),
    Span::within(22, 34, flag("experimental-initial-corrupt-check", Value::Text("true"))), // written by v1.22
    Span::within(34, 36, flag("experimental-initial-corrupt-check", Value::BeforeEtcd36("true"))), // v1.34, v1.35
    Span::within(25, 34, flag("experimental-watch-progress-notify-interval", Value::Text("5s"))),  // by v1.25
    Span::within(34, 36, flag("experimental-watch-progress-notify-interval", Value::BeforeEtcd36("5s"))),
    Span::within(34, 36, flag("feature-gates", Value::FromEtcd36("InitialCorruptCheck=true"))), // v1.34, v1.35
    Span::since(36, flag("feature-gates", Value::Text("InitialCorruptCheck=true"))),            // v1.36
    Span::until(13, flag("initial-advertise-peer-urls", Value::LoopbackUrl(2380))),
    Span::since(13, flag("initial-advertise-peer-urls", Value::AdvertiseUrl(2380))),
    Span::always(flag("initial-cluster", Value::InitialCluster)),
    Span::always(flag("key-file", Value::Pki("etcd/server.key"))),
    Span::until(13, flag("listen-client-urls", Value::LoopbackUrl(2379))),
    Span::since(13, flag("listen-client-urls", Value::LoopbackAndAdvertiseUrl(2379))),
    Span::since(16, flag("listen-metrics-urls", Value::PlainLoopbackUrl(2381))), // written by v1.16
    Span::until(13, flag("listen-peer-urls", Value::LoopbackUrl(2380))),
    Span::since(13, flag("listen-peer-urls", Value::AdvertiseUrl(2380))),
    Span::always(flag("name", Value::NodeName)),
    Span::always(flag("peer-cert-file", Value::Pki("etcd/peer.crt"))),
    Span::always(flag("peer-client-cert-auth", Value::Text("true"))),
    Span::always(flag("peer-key-file", Value::Pki("etcd/peer.key"))),
    Span::always(flag("peer-trusted-ca-file", Value::Pki("etcd/ca.crt"))),
    Span::always(flag("snapshot-count", Value::Text("10000"))),
    Span::always(flag("trusted-ca-file", Value::Pki("etcd/ca.crt"))),
    Span::within(34, 36, flag("watch-progress-notify-interval", Value::FromEtcd36("5s"))), // v1.34, v1.35
    Span::since(36, flag("watch-progress-notify-interval", Value::Text("5s"))),            // v1.36
];

/// The first etcd without the flags that [`Value::BeforeEtcd36`] gives. app/phases/etcd/local.go getEtcdCommand, v1.34.
pub const ETCD_3_6: &str = "3.6.0";

/// Source: the tags of etcd (etcdmain/config.go, server/etcdmain/config.go, and etcdhttp/health.go), for the flags and
/// probes of the rows here.
const OLDEST: Column<Option<&str>> = Column(&[
    (0, None),
    (16, Some("3.3.0")),  // listen-metrics-urls
    (25, Some("3.4.11")), // experimental-watch-progress-notify-interval
    // /livez and /readyz. v3.4.29 answers them too, but is not named: kubeadm's own minimum for etcd is of v3.5 here
    // (app/constants/constants.go MinExternalEtcdVersion, v1.31).
    (31, Some("3.5.11")),
    (36, Some(ETCD_3_6)), // app/phases/etcd/local.go getEtcdCommand, v1.36: the tag of the image counts no more
]);

const PROBE: Column<EtcdProbe> = Column(&[
    // app/util/staticpod/utils.go EtcdProbe, v1.13
    (0, EtcdProbe::Exec),
    // written by v1.16
    (16, EtcdProbe::Http(ProbePaths { live: "/health", ready: None, startup: None })),
    // written by v1.19
    (19, EtcdProbe::Http(ProbePaths { live: "/health", ready: None, startup: Some("/health") })),
    // written by v1.25
    (
        25,
        EtcdProbe::Http(ProbePaths {
            live: "/health?exclude=NOSPACE&serializable=true",
            ready: None,
            startup: Some("/health?serializable=false"),
        }),
    ),
    // written by v1.31
    (31, EtcdProbe::Http(ProbePaths { live: "/livez", ready: Some("/readyz"), startup: Some("/readyz") })),
]);

const REQUESTS: Column<&[(&str, &str)]> = Column(&[
    (0, &[]),                                      // app/phases/etcd/local.go GetEtcdPodSpec, v1.13
    (20, &[("cpu", "100m"), ("memory", "100Mi")]), // written by v1.20
]);
