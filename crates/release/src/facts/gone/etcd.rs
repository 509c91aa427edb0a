//! The flags that etcd lost, by its own versions.

/// What does the same as a flag that is gone: the first minor of etcd 3 that knows it, and how it is written.
type Other = (u32, &'static str);

/// The first minor of etcd 3 that does not start with a flag, and what else does the same. A flag that etcd ignores does no
/// harm and is not here.
///
/// Source: which flags the patches of each minor register (etcdmain/config.go, from v3.5 on server/etcdmain/config.go, from
/// v3.6 on server/embed/config.go too), to v3.7.1. A row stands where a patch of the minor before has a flag and no patch from
/// there on does; v3.3 has all of v3.2's. For what does the same: CHANGELOG-3.4.md, CHANGELOG-3.5.md, and of v3.6 the help
/// of its flags and ExperimentalFlagToFeatureMap in server/features/etcd_features.go.
pub(super) const FLAGS: &[(u32, &str, Option<Other>)] = &[
    (4, "ca-file", Some((2, "--trusted-ca-file"))),
    (4, "peer-ca-file", Some((2, "--peer-trusted-ca-file"))),
    (5, "debug", Some((4, "--log-level=debug"))),
    (5, "experimental-backend-bbolt-freelist-type", Some((5, "--backend-bbolt-freelist-type"))),
    (5, "log-output", Some((4, "--log-outputs"))),
    (5, "log-package-levels", None),
    (5, "next-cluster-version-compatible", None), // v3.4.31, for downgrades from v3.5
    (6, "enable-v2", None),
    (6, "experimental-enable-v2v3", None),
    // These two v3.6 knows, but not beside what takes their place (embed.Config.Validate, SetFeatureGatesFromExperimentalFlags
    // in server/embed/config.go), and that kubeadm itself writes from there on (facts/etcd.rs).
    (6, "experimental-initial-corrupt-check", Some((6, "InitialCorruptCheck in --feature-gates"))),
    (6, "experimental-watch-progress-notify-interval", Some((6, "--watch-progress-notify-interval"))),
    (6, "proxy", None),
    (6, "proxy-dial-timeout", None),
    (6, "proxy-failure-wait", None),
    (6, "proxy-read-timeout", None),
    (6, "proxy-refresh-interval", None),
    (6, "proxy-write-timeout", None),
    (7, "discovery", None),
    (7, "discovery-proxy", None),
    (
        7,
        "experimental-bootstrap-defrag-threshold-megabytes",
        Some((6, "--bootstrap-defrag-threshold-megabytes")),
    ),
    (7, "experimental-compact-hash-check-enabled", Some((6, "CompactHashCheck in --feature-gates"))),
    (7, "experimental-compact-hash-check-time", Some((6, "--compact-hash-check-time"))),
    (7, "experimental-compaction-batch-limit", Some((6, "--compaction-batch-limit"))),
    (7, "experimental-compaction-sleep-interval", Some((6, "--compaction-sleep-interval"))),
    (7, "experimental-corrupt-check-time", Some((6, "--corrupt-check-time"))),
    (7, "experimental-distributed-tracing-address", Some((6, "--distributed-tracing-address"))),
    (7, "experimental-distributed-tracing-instance-id", Some((6, "--distributed-tracing-instance-id"))),
    (7, "experimental-distributed-tracing-sampling-rate", Some((6, "--distributed-tracing-sampling-rate"))),
    (7, "experimental-distributed-tracing-service-name", Some((6, "--distributed-tracing-service-name"))),
    (7, "experimental-downgrade-check-time", Some((6, "--downgrade-check-time"))),
    (7, "experimental-enable-distributed-tracing", Some((6, "--enable-distributed-tracing"))),
    (7, "experimental-enable-lease-checkpoint", Some((6, "LeaseCheckpoint in --feature-gates"))),
    (
        7,
        "experimental-enable-lease-checkpoint-persist",
        Some((6, "LeaseCheckpointPersist in --feature-gates")),
    ),
    (7, "experimental-memory-mlock", Some((6, "--memory-mlock"))),
    (7, "experimental-peer-skip-client-san-verification", Some((6, "--peer-skip-client-san-verification"))),
    (7, "experimental-snapshot-catchup-entries", Some((6, "--snapshot-catchup-entries"))),
    (7, "experimental-stop-grpc-service-on-defrag", Some((6, "StopGRPCServiceOnDefrag in --feature-gates"))),
    (
        7,
        "experimental-txn-mode-write-with-shared-buffer",
        Some((6, "TxnModeWriteWithSharedBuffer in --feature-gates")),
    ),
    (7, "experimental-warning-apply-duration", Some((6, "--warning-apply-duration"))),
    (7, "experimental-warning-unary-request-duration", Some((6, "--warning-unary-request-duration"))),
];
