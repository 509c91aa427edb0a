//! The feature gates that components lost.

/// The first minor without a gate. Source: the gates that the last patch of each minor defines, in pkg/features and in
/// k8s.io/apiserver, apiextensions-apiserver, component-base, controller-manager, cloud-provider and kube-aggregator.
pub(super) const GATES: &[(u32, &str)] = &[
    (12, "DynamicProvisioningScheduling ReadOnlyAPIDataVolumes ServiceProxyAllowExternalIPs"),
    (14, "EnableEquivalenceClassCache Initializers MountPropagation"),
    (
        16,
        "CSIPersistentVolume CustomPodDNS DebugContainers ExperimentalCriticalPodAnnotation HugePages \
         KubeletPluginsWatcher PodReadinessGates VolumeScheduling",
    ),
    (
        17,
        "EnableAggregatedDiscoveryTimeout GCERegionalPersistentDisk MountContainers PersistentLocalVolumes \
         RequestManagement",
    ),
    (
        18,
        "CustomResourceDefaulting CustomResourcePublishOpenAPI CustomResourceSubresources \
         CustomResourceValidation CustomResourceWebhookConversion PodPriority ResourceQuotaScopeSelectors \
         ScheduleDaemonSetPods TaintNodesByCondition",
    ),
    (19, "DynamicAuditing PodShareProcessNamespace ResourceLimitsPriorityFunction VolumeSubpathEnvExpansion"),
    (20, "DefaultIngressClass ServiceLoadBalancerFinalizer SupportIPVSProxyMode TaintBasedEvictions"),
    (
        21,
        "AttachVolumeLimit BlockVolume CSIBlockVolume CSIDriverRegistry CSIMigrationAWSComplete \
         CSIMigrationAzureDiskComplete CSIMigrationAzureFileComplete CSIMigrationGCEComplete \
         CSIMigrationOpenStackComplete CSINodeInfo EvenPodsSpread HyperVContainer \
         RotateKubeletClientCertificate TokenRequest TokenRequestProjection VolumePVCDataSource WindowsGMSA \
         WindowsRunAsUserName",
    ),
    (
        22,
        "BalanceAttachedNodeVolumes CRIContainerLogRotation CSIMigrationvSphereComplete \
         ExternalPolicyForExternalIP LegacyNodeRoleBehavior NodeDisruptionExclusion RootCAConfigMap \
         RunAsGroup SCTPSupport ServiceAppProtocol ServiceNodeExclusion ServiceTopology \
         VolumeSnapshotDataSource",
    ),
    (
        23,
        "AllowInsecureBackendProxy BoundServiceAccountTokenVolume CronJobControllerV2 NodeLease \
         ServiceAccountIssuerDiscovery StartupProbe SupportNodePidsLimit SupportPodPidsLimit Sysctls",
    ),
    (
        24,
        "HugePageStorageMediumSize ImmutableEphemeralVolumes NamespaceDefaultLabelName RuntimeClass \
         SetHostnameAsFQDN StreamingProxyRedirects ValidateProxyRedirects WarningHeaders csiMigrationRBD",
    ),
    // IPv6DualStack: the controller manager knows it up to v1.26, locked, as k8s.io/controller-manager defines it too.
    (
        25,
        "CSIServiceAccountToken CSIVolumeFSGroupPolicy ConfigurableFSGroupPolicy EndpointSlice \
         EndpointSliceNodeName EndpointSliceProxying GenericEphemeralVolume IPv6DualStack \
         IngressClassNamespacedParams PodDisruptionBudget SelectorIndex StorageObjectInUseProtection \
         TTLAfterFinished VolumeSubpath WindowsEndpointSliceProxying",
    ),
    (
        26,
        "CSIMigrationOpenStack CSRDuration DefaultPodTopologySpread DynamicKubeletConfig IndexedJob \
         NonPreemptingPriority PodAffinityNamespaceSelector PodOverhead PreferNominatedNode \
         ServiceLBNodePortControl ServiceLoadBalancerClass SuspendJob",
    ),
    (
        27,
        "CSIInlineVolume CSIMigration CSIMigrationAWS CSIMigrationAzureDisk \
         ControllerManagerLeaderMigration DaemonSetUpdateSurge EphemeralContainers ExpandCSIVolumes \
         ExpandInUsePersistentVolumes ExpandPersistentVolumes IdentifyPodOS LocalStorageCapacityIsolation \
         NetworkPolicyEndPort StatefulSetMinReadySeconds",
    ),
    (
        28,
        "AdvancedAuditing CSIMigrationGCE CSIStorageCapacity DelegateFSGroupToCSIDriver DevicePlugins \
         DisableAcceleratorUsageMetrics DryRun EndpointSliceTerminatingCondition KubeletCredentialProviders \
         MixedProtocolLBService NetworkPolicyStatus PodHasNetworkCondition PodSecurity \
         ServiceIPStaticSubrange ServiceInternalTrafficPolicy UserNamespacesStatelessPodsSupport \
         WindowsHostProcessContainers",
    ),
    (
        29,
        "CSIMigrationvSphere CronJobTimeZone DownwardAPIHugePages GRPCContainerProbe \
         JobMutableNodeSchedulingDirectives JobTrackingWithFinalizers \
         LegacyServiceAccountTokenNoAutoGeneration MultiCIDRRangeAllocator OpenAPIV3 \
         ProbeTerminationGracePeriod RetroactiveDefaultStorageClass SeccompDefault TopologyManager",
    ),
    (
        30,
        "APISelfSubjectReview CSIMigrationAzureFile ExpandedDNSConfig \
         ExperimentalHostUserNamespaceDefaulting IPTablesOwnershipCleanup KubeletPodResources \
         KubeletPodResourcesGetAllocatable LegacyServiceAccountTokenTracking MinimizeIPTablesRestore \
         ProxyTerminatingEndpoints RemoveSelfLink SecurityContextDeny",
    ),
    (
        31,
        "APIPriorityAndFairness CSIMigrationRBD CSINodeExpandSecret ConsistentHTTPGetHandlers \
         CustomResourceValidationExpressions DefaultHostNetworkHostPortsInPodTemplates \
         InTreePluginAWSUnregister InTreePluginAzureDiskUnregister InTreePluginAzureFileUnregister \
         InTreePluginGCEUnregister InTreePluginOpenStackUnregister InTreePluginRBDUnregister \
         InTreePluginvSphereUnregister JobReadyPods ReadWriteOncePod ServiceNodePortStaticSubrange \
         SkipReadOnlyValidationGCE",
    ),
    (
        32,
        "CloudDualStackNodeIPs DRAControlPlaneController HPAContainerMetrics KMSv2 KMSv2KDF \
         LegacyServiceAccountTokenCleanUp MinDomainsInPodTopologySpread NewVolumeManagerReconstruction \
         NodeOutOfServiceVolumeDetach PodHostIPs ServerSideApply ServerSideFieldValidation \
         StableLoadBalancerNodeSet ValidatingAdmissionPolicy ZeroLimitedNominalConcurrencyShares",
    ),
    (
        33,
        "APIListChunking AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint AppArmor \
         AppArmorFields CPUManager DisableCloudProviders DisableKubeletCloudCredentialProviders \
         EfficientWatchResumption JobPodFailurePolicy KubeProxyDrainingTerminatingNodes \
         PDBUnhealthyPodEvictionPolicy PersistentVolumeLastPhaseTransitionTime RemainingItemCount \
         VolumeCapacityPriority WatchBookmark",
    ),
    (
        34,
        "DevicePluginCDIDevices ElasticIndexedJob LegacySidecarContainers PodDisruptionConditions \
         StatefulSetStartOrdinal",
    ),
    (
        35,
        "AllowServiceLBStatusOnNonLB ComponentSLIs CronJobsScheduledAnnotation LoadBalancerIPMode \
         PodIndexLabel ProbeHostPodSecurityStandards SizeMemoryBackedVolumes StatefulSetAutoDeletePVC \
         StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks UserNamespacesPodSecurityStandards",
    ),
    (
        36,
        "CSIMigrationPortworx HonorPVReclaimPolicy InPlacePodVerticalScalingAllocatedStatus \
         InTreePluginPortworxUnregister MemoryManager ServiceTrafficDistribution \
         StructuredAuthorizationConfiguration TopologyAwareHints WatchFromStorageWithoutResourceVersion",
    ),
    (
        37,
        "APIServerTracing AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors \
         AuthorizeWithSelectors BtreeWatchCache ConsistentListFromCache GangScheduling \
         JobBackoffLimitPerIndex JobPodReplacementPolicy JobSuccessPolicy LogarithmicScaleDown \
         OrderedNamespaceDeletion PodLifecycleSleepAction PodLifecycleSleepActionAllowZero \
         PreventStaticPodAPIReferences RelaxedDNSSearchValidation ResilientWatchCacheInitialization \
         RetryGenerateName SchedulerQueueingHints SidecarContainers StreamingCollectionEncodingToJSON \
         StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration \
         WorkloadAwarePreemption",
    ),
];
