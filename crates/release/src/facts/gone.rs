//! What components no longer know: flags with which they would not start, and feature gates that they refuse. What a user
//! has configured of these blocks an upgrade.

use crate::column::Span;
use crate::listing::Facts;
use crate::release::Release;
use crate::version::Version;

/// What the components of a release no longer know that those of the minor before did.
#[derive(Debug, Clone, PartialEq, Eq, Facts)]
pub struct Gone {
    /// Flags, by component.
    pub flags: Vec<(&'static str, &'static [&'static str])>,
    /// Feature gates, of any component.
    pub feature_gates: Vec<&'static str>,
}

impl Gone {
    /// Of a release.
    pub fn of(release: &Release) -> Self {
        Self::between(release.minor.saturating_sub(1), release.minor)
    }

    /// What goes on the way from a minor to a later one.
    pub(crate) fn between(from: u32, to: u32) -> Self {
        let there = |minor: u32| from < minor && minor <= to;
        let flags = FLAGS.iter().filter(|(minor, ..)| there(*minor));
        let gates = GATES.iter().filter(|(minor, _)| there(*minor));
        Self {
            flags: flags.map(|(_, component, flags)| (*component, *flags)).collect(),
            feature_gates: gates.flat_map(|(_, names)| names.iter().copied()).collect(),
        }
    }
}

/// The minor from which on a component does not know a flag, where that lies on the way from a version to a later one.
pub fn flag(component: &str, name: &str, from: &Version, to: &Version) -> Option<u32> {
    let gone = FLAGS.iter().filter(|(minor, ..)| from.minor < *minor && *minor <= to.minor);
    let mut gone = gone.filter(|(_, of, flags)| *of == component && flags.contains(&name));
    gone.next().map(|(minor, ..)| *minor)
}

/// The minor from which on there is no feature gate of a name, where that lies on the way from a version to a later one.
pub fn gate(name: &str, from: &Version, to: &Version) -> Option<u32> {
    let mut gone = GATES.iter().filter(|(minor, _)| from.minor < *minor && *minor <= to.minor);
    gone.find(|(_, names)| names.contains(&name)).map(|(minor, _)| *minor)
}

/// The flags of the kubelet's environment file that an upgrade to a release takes out.
pub fn environment_flags(release: &Release) -> Vec<&'static str> {
    Span::at(ENVIRONMENT, release.minor)
}

/// Flags that kubeadm itself gave to kubelets, and that an upgrade takes out of `kubeadm-flags.env`.
const ENVIRONMENT: &[Span<&str>] = &[
    Span::since(26, "container-runtime"), // app/phases/upgrade/postupgrade.go, v1.26
    Span::since(35, "pod-infra-container-image"), // app/cmd/phases/upgrade/postupgrade.go, v1.35
];

/// Flags of the log that every component had. CHANGELOG-1.26.md: legacy klog flags are no longer available.
const KLOG: &[&str] = &[
    "add-dir-header",
    "alsologtostderr",
    "log-backtrace-at",
    "log-dir",
    "log-file",
    "log-file-max-size",
    "logtostderr",
    "one-output",
    "skip-headers",
    "skip-log-headers",
    "stderrthreshold",
];

/// The first minor without a flag. Source: which flags the last patch of each minor registers (cmd/*/app/options and the
/// options of k8s.io/apiserver, component-base and controller-manager), CHANGELOG-1.NN.md, and components of v1.11, v1.12,
/// v1.13, v1.34, v1.36 and v1.37 that were asked whether they know it.
const FLAGS: &[(u32, &str, &[&str])] = &[
    (12, "kubelet", &["cadvisor-port", "docker-disable-shared-pid"]),
    (15, "kubelet", &["allow-privileged", "host-ipc-sources", "host-network-sources", "host-pid-sources"]),
    (16, "kubelet", &["containerized"]),
    (19, "kube-apiserver", &["audit-dynamic-configuration", "basic-auth-file"]),
    (19, "kubelet", &["bootstrap-checkpoint-path"]),
    (22, "kube-apiserver", &["kubelet-https", "ssh-keyfile", "ssh-user"]),
    (22, "kube-controller-manager", &["horizontal-pod-autoscaler-use-rest-clients"]),
    (22, "kube-scheduler", &["algorithm-provider", "hard-pod-affinity-symmetric-weight", "scheduler-name"]),
    (22, "kubelet", &["chaos-chance", "redirect-container-streaming"]),
    (
        23,
        "kube-scheduler",
        &["policy-config-file", "policy-configmap", "policy-configmap-namespace", "use-legacy-policy-config"],
    ),
    (23, "kubelet", &["experimental-bootstrap-kubeconfig", "seccomp-profile-root"]),
    (
        24,
        "kube-apiserver",
        &[
            "address",
            "deserialization-cache-size",
            "enable-swagger-ui",
            "experimental-encryption-provider-config",
            "experimental-logging-sanitization",
            "insecure-bind-address",
            "insecure-port",
            "port",
            "target-ram-mb",
        ],
    ),
    (
        24,
        "kube-controller-manager",
        &["address", "deployment-controller-sync-period", "experimental-logging-sanitization", "port"],
    ),
    (24, "kube-scheduler", &["address", "experimental-logging-sanitization", "port"]),
    (
        24,
        "kubelet",
        &[
            "cni-bin-dir",
            "cni-cache-dir",
            "cni-conf-dir",
            "docker-endpoint",
            "dynamic-config-dir",
            "experimental-check-node-capabilities-before-mount",
            "experimental-dockershim-root-directory",
            "experimental-logging-sanitization",
            "image-pull-progress-deadline",
            "network-plugin",
            "network-plugin-mtu",
            "non-masquerade-cidr",
            "really-crash-for-testing",
        ],
    ),
    (25, "kube-apiserver", &["service-account-api-audiences"]),
    (
        25,
        "kube-controller-manager",
        &[
            "deleting-pods-burst",
            "deleting-pods-qps",
            "experimental-cluster-signing-duration",
            "register-retry-count",
        ],
    ),
    (25, "kubelet", &["experimental-kernel-memcg-notification"]),
    (26, "kube-apiserver", KLOG),
    (26, "kube-controller-manager", KLOG),
    (26, "kube-scheduler", KLOG),
    (26, "kubelet", KLOG),
    (27, "kube-apiserver", &["master-service-namespace"]),
    (27, "kube-controller-manager", &["enable-taint-manager", "pod-eviction-timeout"]),
    (27, "kubelet", &["container-runtime", "master-service-namespace"]),
    (28, "kube-scheduler", &["lock-object-name", "lock-object-namespace"]),
    (
        31,
        "kube-controller-manager",
        &[
            "horizontal-pod-autoscaler-downscale-delay",
            "horizontal-pod-autoscaler-upscale-delay",
            "volume-host-allow-local-loopback",
            "volume-host-cidr-denylist",
        ],
    ),
    (31, "kubelet", &["iptables-drop-bit", "iptables-masquerade-bit", "keep-terminated-pod-volumes"]),
    (33, "kube-apiserver", &["cloud-config", "cloud-provider"]),
    (34, "kubelet", &["cloud-config", "register-schedulable"]),
    (35, "kubelet", &["pod-infra-container-image"]),
    (37, "kube-controller-manager", &["concurrent-service-syncs"]),
    (
        37,
        "kubelet",
        &[
            "application-metrics-count-limit",
            "boot-id-file",
            "container-hints",
            "containerd",
            "containerd-namespace",
            "enable-load-reader",
            "event-storage-age-limit",
            "event-storage-event-limit",
            "global-housekeeping-interval",
            "log-cadvisor-usage",
            "machine-id-file",
            "storage-driver-buffer-duration",
            "storage-driver-db",
            "storage-driver-host",
            "storage-driver-password",
            "storage-driver-secure",
            "storage-driver-table",
            "storage-driver-user",
        ],
    ),
];

/// The first minor without a gate. Source: the gates that the last patch of each minor defines, in pkg/features and in
/// k8s.io/apiserver, apiextensions-apiserver, component-base, controller-manager, cloud-provider and kube-aggregator.
const GATES: &[(u32, &[&str])] = &[
    (12, &["DynamicProvisioningScheduling", "ReadOnlyAPIDataVolumes", "ServiceProxyAllowExternalIPs"]),
    (14, &["EnableEquivalenceClassCache", "MountPropagation"]),
    (
        16,
        &[
            "CSIPersistentVolume",
            "CustomPodDNS",
            "DebugContainers",
            "ExperimentalCriticalPodAnnotation",
            "HugePages",
            "KubeletPluginsWatcher",
            "PodReadinessGates",
            "VolumeScheduling",
        ],
    ),
    (
        17,
        &[
            "EnableAggregatedDiscoveryTimeout",
            "GCERegionalPersistentDisk",
            "MountContainers",
            "PersistentLocalVolumes",
        ],
    ),
    (
        18,
        &[
            "CustomResourceDefaulting",
            "CustomResourcePublishOpenAPI",
            "CustomResourceSubresources",
            "CustomResourceValidation",
            "CustomResourceWebhookConversion",
            "PodPriority",
            "ResourceQuotaScopeSelectors",
            "ScheduleDaemonSetPods",
            "TaintNodesByCondition",
        ],
    ),
    (
        19,
        &[
            "DynamicAuditing",
            "PodShareProcessNamespace",
            "ResourceLimitsPriorityFunction",
            "VolumeSubpathEnvExpansion",
        ],
    ),
    (
        20,
        &[
            "DefaultIngressClass",
            "ServiceLoadBalancerFinalizer",
            "SupportIPVSProxyMode",
            "TaintBasedEvictions",
        ],
    ),
    (
        21,
        &[
            "AttachVolumeLimit",
            "BlockVolume",
            "CSIBlockVolume",
            "CSIDriverRegistry",
            "CSIMigrationAWSComplete",
            "CSIMigrationAzureDiskComplete",
            "CSIMigrationAzureFileComplete",
            "CSIMigrationGCEComplete",
            "CSIMigrationOpenStackComplete",
            "CSINodeInfo",
            "EvenPodsSpread",
            "HyperVContainer",
            "RotateKubeletClientCertificate",
            "TokenRequest",
            "TokenRequestProjection",
            "VolumePVCDataSource",
            "WindowsGMSA",
            "WindowsRunAsUserName",
        ],
    ),
    (
        22,
        &[
            "BalanceAttachedNodeVolumes",
            "CRIContainerLogRotation",
            "CSIMigrationvSphereComplete",
            "ExternalPolicyForExternalIP",
            "LegacyNodeRoleBehavior",
            "NodeDisruptionExclusion",
            "RootCAConfigMap",
            "RunAsGroup",
            "SCTPSupport",
            "ServiceAppProtocol",
            "ServiceNodeExclusion",
            "ServiceTopology",
            "VolumeSnapshotDataSource",
        ],
    ),
    (
        23,
        &[
            "AllowInsecureBackendProxy",
            "BoundServiceAccountTokenVolume",
            "CronJobControllerV2",
            "NodeLease",
            "ServiceAccountIssuerDiscovery",
            "StartupProbe",
            "SupportNodePidsLimit",
            "SupportPodPidsLimit",
            "Sysctls",
        ],
    ),
    (
        24,
        &[
            "HugePageStorageMediumSize",
            "ImmutableEphemeralVolumes",
            "NamespaceDefaultLabelName",
            "RuntimeClass",
            "SetHostnameAsFQDN",
            "StreamingProxyRedirects",
            "ValidateProxyRedirects",
            "WarningHeaders",
            "csiMigrationRBD",
        ],
    ),
    (
        25,
        &[
            "CSIServiceAccountToken",
            "CSIVolumeFSGroupPolicy",
            "ConfigurableFSGroupPolicy",
            "EndpointSlice",
            "EndpointSliceNodeName",
            "EndpointSliceProxying",
            "GenericEphemeralVolume",
            "IngressClassNamespacedParams",
            "PodDisruptionBudget",
            "SelectorIndex",
            "StorageObjectInUseProtection",
            "TTLAfterFinished",
            "VolumeSubpath",
            "WindowsEndpointSliceProxying",
        ],
    ),
    (
        26,
        &[
            "CSIMigrationOpenStack",
            "CSRDuration",
            "DefaultPodTopologySpread",
            "DynamicKubeletConfig",
            "IndexedJob",
            "NonPreemptingPriority",
            "PodAffinityNamespaceSelector",
            "PodOverhead",
            "PreferNominatedNode",
            "ServiceLBNodePortControl",
            "ServiceLoadBalancerClass",
            "SuspendJob",
        ],
    ),
    (
        27,
        &[
            "CSIInlineVolume",
            "CSIMigration",
            "CSIMigrationAWS",
            "CSIMigrationAzureDisk",
            "ControllerManagerLeaderMigration",
            "DaemonSetUpdateSurge",
            "EphemeralContainers",
            "ExpandCSIVolumes",
            "ExpandInUsePersistentVolumes",
            "ExpandPersistentVolumes",
            "IPv6DualStack",
            "IdentifyPodOS",
            "LocalStorageCapacityIsolation",
            "NetworkPolicyEndPort",
            "StatefulSetMinReadySeconds",
        ],
    ),
    (
        28,
        &[
            "AdvancedAuditing",
            "CSIMigrationGCE",
            "CSIStorageCapacity",
            "DelegateFSGroupToCSIDriver",
            "DevicePlugins",
            "DisableAcceleratorUsageMetrics",
            "DryRun",
            "EndpointSliceTerminatingCondition",
            "KubeletCredentialProviders",
            "MixedProtocolLBService",
            "NetworkPolicyStatus",
            "PodHasNetworkCondition",
            "PodSecurity",
            "ServiceIPStaticSubrange",
            "ServiceInternalTrafficPolicy",
            "UserNamespacesStatelessPodsSupport",
            "WindowsHostProcessContainers",
        ],
    ),
    (
        29,
        &[
            "CSIMigrationvSphere",
            "CronJobTimeZone",
            "DownwardAPIHugePages",
            "GRPCContainerProbe",
            "JobMutableNodeSchedulingDirectives",
            "JobTrackingWithFinalizers",
            "LegacyServiceAccountTokenNoAutoGeneration",
            "MultiCIDRRangeAllocator",
            "OpenAPIV3",
            "ProbeTerminationGracePeriod",
            "RetroactiveDefaultStorageClass",
            "SeccompDefault",
            "TopologyManager",
        ],
    ),
    (
        30,
        &[
            "APISelfSubjectReview",
            "CSIMigrationAzureFile",
            "ExpandedDNSConfig",
            "ExperimentalHostUserNamespaceDefaulting",
            "IPTablesOwnershipCleanup",
            "KubeletPodResources",
            "KubeletPodResourcesGetAllocatable",
            "LegacyServiceAccountTokenTracking",
            "MinimizeIPTablesRestore",
            "ProxyTerminatingEndpoints",
            "RemoveSelfLink",
            "SecurityContextDeny",
        ],
    ),
    (
        31,
        &[
            "APIPriorityAndFairness",
            "CSIMigrationRBD",
            "CSINodeExpandSecret",
            "ConsistentHTTPGetHandlers",
            "CustomResourceValidationExpressions",
            "DefaultHostNetworkHostPortsInPodTemplates",
            "InTreePluginAWSUnregister",
            "InTreePluginAzureDiskUnregister",
            "InTreePluginAzureFileUnregister",
            "InTreePluginGCEUnregister",
            "InTreePluginOpenStackUnregister",
            "InTreePluginRBDUnregister",
            "InTreePluginvSphereUnregister",
            "JobReadyPods",
            "ReadWriteOncePod",
            "ServiceNodePortStaticSubrange",
            "SkipReadOnlyValidationGCE",
        ],
    ),
    (
        32,
        &[
            "CloudDualStackNodeIPs",
            "DRAControlPlaneController",
            "HPAContainerMetrics",
            "KMSv2",
            "KMSv2KDF",
            "LegacyServiceAccountTokenCleanUp",
            "MinDomainsInPodTopologySpread",
            "NewVolumeManagerReconstruction",
            "NodeOutOfServiceVolumeDetach",
            "PodHostIPs",
            "ServerSideApply",
            "ServerSideFieldValidation",
            "StableLoadBalancerNodeSet",
            "ValidatingAdmissionPolicy",
            "ZeroLimitedNominalConcurrencyShares",
        ],
    ),
    (
        33,
        &[
            "APIListChunking",
            "AdmissionWebhookMatchConditions",
            "AggregatedDiscoveryEndpoint",
            "AppArmor",
            "AppArmorFields",
            "CPUManager",
            "DisableCloudProviders",
            "DisableKubeletCloudCredentialProviders",
            "EfficientWatchResumption",
            "JobPodFailurePolicy",
            "KubeProxyDrainingTerminatingNodes",
            "PDBUnhealthyPodEvictionPolicy",
            "PersistentVolumeLastPhaseTransitionTime",
            "RemainingItemCount",
            "VolumeCapacityPriority",
            "WatchBookmark",
        ],
    ),
    (
        34,
        &[
            "DevicePluginCDIDevices",
            "ElasticIndexedJob",
            "LegacySidecarContainers",
            "PodDisruptionConditions",
            "StatefulSetStartOrdinal",
        ],
    ),
    (
        35,
        &[
            "AllowServiceLBStatusOnNonLB",
            "ComponentSLIs",
            "CronJobsScheduledAnnotation",
            "LoadBalancerIPMode",
            "PodIndexLabel",
            "ProbeHostPodSecurityStandards",
            "SizeMemoryBackedVolumes",
            "StatefulSetAutoDeletePVC",
            "StrictCostEnforcementForVAP",
            "StrictCostEnforcementForWebhooks",
            "UserNamespacesPodSecurityStandards",
        ],
    ),
    (
        36,
        &[
            "CSIMigrationPortworx",
            "HonorPVReclaimPolicy",
            "InPlacePodVerticalScalingAllocatedStatus",
            "InTreePluginPortworxUnregister",
            "MemoryManager",
            "ServiceTrafficDistribution",
            "StructuredAuthorizationConfiguration",
            "TopologyAwareHints",
            "WatchFromStorageWithoutResourceVersion",
        ],
    ),
    (
        37,
        &[
            "APIServerTracing",
            "AnonymousAuthConfigurableEndpoints",
            "AnyVolumeDataSource",
            "AuthorizeNodeWithSelectors",
            "AuthorizeWithSelectors",
            "BtreeWatchCache",
            "ConsistentListFromCache",
            "GangScheduling",
            "JobBackoffLimitPerIndex",
            "JobPodReplacementPolicy",
            "JobSuccessPolicy",
            "LogarithmicScaleDown",
            "OrderedNamespaceDeletion",
            "PodLifecycleSleepAction",
            "PodLifecycleSleepActionAllowZero",
            "PreventStaticPodAPIReferences",
            "RelaxedDNSSearchValidation",
            "ResilientWatchCacheInitialization",
            "RetryGenerateName",
            "SchedulerQueueingHints",
            "SidecarContainers",
            "StreamingCollectionEncodingToJSON",
            "StreamingCollectionEncodingToProtobuf",
            "StructuredAuthenticationConfiguration",
            "WorkloadAwarePreemption",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn v(minor: u32) -> Version {
        Version::new(1, minor, 0)
    }

    #[test]
    fn flags_and_gates_go_on_the_way_to_their_minor() {
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(23), &v(24)), Some(24));
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(20), &v(30)), Some(24));
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(24), &v(25)), None);
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(22), &v(23)), None);
        assert_eq!(flag("kubelet", "insecure-port", &v(23), &v(24)), None);
        assert_eq!(flag("kube-scheduler", "logtostderr", &v(25), &v(26)), Some(26));
        assert_eq!(gate("TTLAfterFinished", &v(24), &v(25)), Some(25));
        assert_eq!(gate("TTLAfterFinished", &v(25), &v(26)), None);
    }

    #[test]
    fn nothing_goes_twice() {
        for (at, (_, component, flags)) in FLAGS.iter().enumerate() {
            let later = FLAGS[at + 1..].iter().filter(|(_, other, _)| other == component);
            assert!(later.flat_map(|(.., names)| *names).all(|name| !flags.contains(name)), "{component}");
        }
        for (at, (minor, names)) in GATES.iter().enumerate() {
            assert!(
                GATES[at + 1..].iter().flat_map(|(_, names)| *names).all(|name| !names.contains(name)),
                "{minor}"
            );
        }
        assert!(FLAGS.is_sorted_by_key(|(minor, ..)| *minor) && GATES.is_sorted_by_key(|(minor, _)| *minor));
    }

    #[test]
    fn default_flags_are_known() {
        for &minor in crate::EXACT_MINORS {
            let release = Release::of(&v(minor)).unwrap();
            let pods = &release.control_plane;
            for (component, flags) in [
                ("kube-apiserver", &pods.apiserver.flags),
                ("kube-controller-manager", &pods.controller_manager.flags),
                ("kube-scheduler", &pods.scheduler.flags),
            ] {
                for given in flags {
                    assert_eq!(
                        flag(component, given.name, &v(0), &v(minor)),
                        None,
                        "{component} {}",
                        given.name
                    );
                }
            }
        }
    }

    #[test]
    fn flags_of_the_environment_go_with_their_minor() {
        let of = |minor| environment_flags(&Release::of(&v(minor)).unwrap());
        assert_eq!(of(13), [""; 0]);
        assert_eq!(of(37), ["container-runtime", "pod-infra-container-image"]);
    }
}
