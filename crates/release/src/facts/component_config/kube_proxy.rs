//! Fields of KubeProxyConfiguration (`kubeproxy.config.k8s.io/v1alpha1`).

use super::Form::{Bool, Duration, List, Map, Nanoseconds, Number, Size, Struct, Text};
use super::Literal;
use super::Written::{Always, NonZero, Null};
use super::{Default, Field, ever, since, until};
use crate::column::Span;
use crate::facts::config_api::IPV6_DUAL_STACK;

/// Source: config/v1alpha1/types.go of the last patch of each minor since v1.12, and component-base for the connection
/// and logging parts; for v1.11 the recorded configuration. `ipvs.strictARP` came with a late patch of v1.13, after the
/// one recorded. In the order of the alphabet.
pub(super) const FIELDS: &[Span<Field>] = &[
    ever("bindAddress", Text, Always),
    since(19, "bindAddressHardFail", Bool, Always),
    ever("clientConnection", Struct, Always),
    ever("clientConnection.acceptContentTypes", Text, Always),
    ever("clientConnection.burst", Number, Always),
    ever("clientConnection.contentType", Text, Always),
    ever("clientConnection.kubeconfig", Text, Always),
    ever("clientConnection.qps", Number, Always),
    ever("clusterCIDR", Text, Always),
    ever("configSyncPeriod", Duration, Always),
    ever("conntrack", Struct, Always),
    until(15, "conntrack.max", Number, Null),
    ever("conntrack.maxPerCore", Number, Null),
    ever("conntrack.min", Number, Null),
    since(29, "conntrack.tcpBeLiberal", Bool, Always),
    ever("conntrack.tcpCloseWaitTimeout", Duration, Null),
    ever("conntrack.tcpEstablishedTimeout", Duration, Null),
    since(29, "conntrack.udpStreamTimeout", Duration, Always),
    since(29, "conntrack.udpTimeout", Duration, Always),
    since(24, "detectLocal", Struct, Always),
    since(24, "detectLocal.bridgeInterface", Text, Always),
    since(24, "detectLocal.interfaceNamePrefix", Text, Always),
    since(18, "detectLocalMode", Text, Always),
    ever("enableProfiling", Bool, Always),
    ever("featureGates", Map, NonZero),
    ever("healthzBindAddress", Text, Always),
    ever("hostnameOverride", Text, Always),
    ever("iptables", Struct, Always),
    since(26, "iptables.localhostNodePorts", Bool, Null),
    ever("iptables.masqueradeAll", Bool, Always),
    ever("iptables.masqueradeBit", Number, Null),
    ever("iptables.minSyncPeriod", Duration, Always),
    ever("iptables.syncPeriod", Duration, Always),
    ever("ipvs", Struct, Always),
    ever("ipvs.excludeCIDRs", List, Null),
    ever("ipvs.minSyncPeriod", Duration, Always),
    ever("ipvs.scheduler", Text, Always),
    since(14, "ipvs.strictARP", Bool, Always),
    ever("ipvs.syncPeriod", Duration, Always),
    since(18, "ipvs.tcpFinTimeout", Duration, Always),
    since(18, "ipvs.tcpTimeout", Duration, Always),
    since(18, "ipvs.udpTimeout", Duration, Always),
    since(28, "logging", Struct, Always),
    since(28, "logging.flushFrequency", Nanoseconds, Always),
    since(28, "logging.format", Text, NonZero),
    since(28, "logging.options", Struct, Always),
    since(28, "logging.options.json", Struct, Always),
    since(28, "logging.options.json.infoBufferSize", Size, Always),
    since(28, "logging.options.json.splitStream", Bool, NonZero),
    since(30, "logging.options.text", Struct, Always),
    since(30, "logging.options.text.infoBufferSize", Size, Always),
    since(30, "logging.options.text.splitStream", Bool, NonZero),
    since(28, "logging.verbosity", Number, Always),
    since(28, "logging.vmodule", List, NonZero),
    ever("metricsBindAddress", Text, Always),
    ever("mode", Text, Always),
    since(29, "nftables", Struct, Always),
    since(29, "nftables.masqueradeAll", Bool, Always),
    since(29, "nftables.masqueradeBit", Number, Null),
    since(29, "nftables.minSyncPeriod", Duration, Always),
    since(29, "nftables.syncPeriod", Duration, Always),
    ever("nodePortAddresses", List, Null),
    ever("oomScoreAdj", Number, Null),
    ever("portRange", Text, Always),
    until(16, "resourceContainer", Text, Always),
    since(18, "showHiddenMetricsForVersion", Text, Always),
    until(26, "udpIdleTimeout", Duration, Always),
    since(31, "windowsRunAsService", Bool, NonZero),
    since(14, "winkernel", Struct, Always),
    since(14, "winkernel.enableDSR", Bool, Always),
    since(24, "winkernel.forwardHealthCheckVip", Bool, Always),
    since(14, "winkernel.networkName", Text, Always),
    since(24, "winkernel.rootHnsEndpointName", Text, Always),
    since(14, "winkernel.sourceVip", Text, Always),
];

/// Source: pkg/proxy/apis/config/validation/validation.go, v1.13 and v1.37.
pub(super) const RANGES: &[(&str, i64, i64)] = &[
    ("clientConnection.burst", 0, i32::MAX as i64),
    ("conntrack.max", 0, i32::MAX as i64),
    ("conntrack.maxPerCore", 0, i32::MAX as i64),
    ("conntrack.min", 0, i32::MAX as i64),
    ("iptables.masqueradeBit", 0, 31),
    ("nftables.masqueradeBit", 0, 31),
    ("oomScoreAdj", -1000, 1000),
];

/// Source: app/componentconfigs/defaults.go, v1.17.
pub(super) const GATES: &[Span<&str>] = &[Span::within(16, 23, IPV6_DUAL_STACK)];

/// kube-proxy's own defaults, for the minors whose kubeadm fills them in. Source: pkg/proxy/apis/config/v1alpha1/
/// defaults.go, v1.13.
pub(super) const DEFAULTS: &[Span<Default>] = &[
    Span::always(("clientConnection.burst", Literal::Number(10))),
    Span::always(("clientConnection.contentType", Literal::Text("application/vnd.kubernetes.protobuf"))),
    Span::always(("clientConnection.qps", Literal::Number(5))),
    Span::always(("configSyncPeriod", Literal::Text("15m0s"))),
    Span::always(("conntrack.maxPerCore", Literal::Number(32768))),
    Span::always(("conntrack.min", Literal::Number(131_072))),
    Span::always(("conntrack.tcpCloseWaitTimeout", Literal::Text("1h0m0s"))),
    Span::always(("conntrack.tcpEstablishedTimeout", Literal::Text("24h0m0s"))),
    Span::always(("healthzBindAddress", Literal::Text("0.0.0.0:10256"))),
    Span::always(("iptables.masqueradeBit", Literal::Number(14))),
    Span::always(("iptables.syncPeriod", Literal::Text("30s"))),
    Span::always(("ipvs.syncPeriod", Literal::Text("30s"))),
    Span::always(("metricsBindAddress", Literal::Text("127.0.0.1:10249"))),
    Span::always(("oomScoreAdj", Literal::Number(-999))),
    Span::until(16, ("resourceContainer", Literal::Text("/kube-proxy"))),
    Span::always(("udpIdleTimeout", Literal::Text("250ms"))),
];
