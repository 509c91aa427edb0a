//! The feature gates that components locked.

/// The first minor that locks gates, the value they are locked to, and which they are: with the other value a component does
/// not start. Source: LockToDefault of the gates that the last patch of each minor defines, where the table of [`super::gates`]
/// has its own; for gates with versions, the one of the minor itself.
pub(super) const LOCKED: &[(u32, bool, &str)] = &[
    (
        14,
        true,
        "CSIPersistentVolume CustomPodDNS HugePages KubeletPluginsWatcher PersistentLocalVolumes \
         PodReadinessGates VolumeScheduling",
    ),
    (15, true, "GCERegionalPersistentDisk"),
    (
        16,
        true,
        "CustomResourcePublishOpenAPI CustomResourceSubresources CustomResourceValidation \
         CustomResourceWebhookConversion PodPriority",
    ),
    (
        17,
        true,
        "AttachVolumeLimit CSINodeInfo CustomResourceDefaulting NodeLease PodShareProcessNamespace \
         ResourceQuotaScopeSelectors ScheduleDaemonSetPods ServiceLoadBalancerFinalizer \
         TaintNodesByCondition VolumeSubpathEnvExpansion WatchBookmark",
    ),
    (
        18,
        true,
        "BlockVolume CSIBlockVolume CSIDriverRegistry TaintBasedEvictions VolumePVCDataSource WindowsGMSA \
         WindowsRunAsUserName",
    ),
    (19, true, "DefaultIngressClass EvenPodsSpread RotateKubeletClientCertificate"),
    (
        20,
        true,
        "ExternalPolicyForExternalIP RuntimeClass SCTPSupport SelectorIndex ServiceAppProtocol StartupProbe \
         SupportNodePidsLimit SupportPodPidsLimit TokenRequest TokenRequestProjection \
         VolumeSnapshotDataSource",
    ),
    (21, false, "LegacyNodeRoleBehavior"),
    (
        21,
        true,
        "AllowInsecureBackendProxy CRIContainerLogRotation EndpointSlice EndpointSliceNodeName \
         ImmutableEphemeralVolumes NodeDisruptionExclusion PodDisruptionBudget RootCAConfigMap RunAsGroup \
         ServiceAccountIssuerDiscovery ServiceNodeExclusion Sysctls",
    ),
    (
        22,
        true,
        "BoundServiceAccountTokenVolume CSIServiceAccountToken CronJobControllerV2 EndpointSliceProxying \
         HugePageStorageMediumSize NamespaceDefaultLabelName SetHostnameAsFQDN WarningHeaders \
         WindowsEndpointSliceProxying",
    ),
    (
        23,
        true,
        "CSIVolumeFSGroupPolicy ConfigurableFSGroupPolicy GenericEphemeralVolume IPv6DualStack \
         IngressClassNamespacedParams StorageObjectInUseProtection TTLAfterFinished VolumeSubpath",
    ),
    (
        24,
        true,
        "CSIMigrationOpenStack CSIStorageCapacity CSRDuration ControllerManagerLeaderMigration \
         DefaultPodTopologySpread EfficientWatchResumption IndexedJob NonPreemptingPriority \
         PodAffinityNamespaceSelector PodOverhead PreferNominatedNode RemoveSelfLink \
         ServiceLBNodePortControl ServiceLoadBalancerClass SuspendJob",
    ),
    (
        25,
        true,
        "CSIInlineVolume CSIMigration CSIMigrationAWS CSIMigrationAzureDisk CSIMigrationGCE \
         DaemonSetUpdateSurge DisableAcceleratorUsageMetrics EphemeralContainers IdentifyPodOS \
         LocalStorageCapacityIsolation NetworkPolicyEndPort PodSecurity StatefulSetMinReadySeconds",
    ),
    (
        26,
        true,
        "CPUManager DelegateFSGroupToCSIDriver DevicePlugins DryRun EndpointSliceTerminatingCondition \
         JobTrackingWithFinalizers KubeletCredentialProviders MixedProtocolLBService ServerSideApply \
         ServiceIPStaticSubrange ServiceInternalTrafficPolicy WindowsHostProcessContainers",
    ),
    (
        27,
        true,
        "AdvancedAuditing CSIMigrationAzureFile CSIMigrationvSphere CronJobTimeZone DownwardAPIHugePages \
         GRPCContainerProbe JobMutableNodeSchedulingDirectives LegacyServiceAccountTokenNoAutoGeneration \
         OpenAPIV3 SeccompDefault ServerSideFieldValidation TopologyManager",
    ),
    (28, false, "ExperimentalHostUserNamespaceDefaulting"),
    (
        28,
        true,
        "APISelfSubjectReview ExpandedDNSConfig IPTablesOwnershipCleanup KubeletPodResources \
         KubeletPodResourcesGetAllocatable LegacyServiceAccountTokenTracking MinimizeIPTablesRestore \
         NodeOutOfServiceVolumeDetach ProbeTerminationGracePeriod ProxyTerminatingEndpoints \
         RetroactiveDefaultStorageClass",
    ),
    (
        29,
        true,
        "APIListChunking APIPriorityAndFairness CSINodeExpandSecret CustomResourceValidationExpressions \
         JobReadyPods KMSv2 KMSv2KDF ReadWriteOncePod RemainingItemCount ServiceNodePortStaticSubrange",
    ),
    (
        30,
        true,
        "AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint CloudDualStackNodeIPs \
         ConsistentHTTPGetHandlers HPAContainerMetrics LegacyServiceAccountTokenCleanUp \
         MinDomainsInPodTopologySpread NewVolumeManagerReconstruction PodHostIPs PodSchedulingReadiness \
         StableLoadBalancerNodeSet ValidatingAdmissionPolicy ZeroLimitedNominalConcurrencyShares",
    ),
    (
        31,
        true,
        "AppArmor AppArmorFields DevicePluginCDIDevices DisableCloudProviders \
         DisableKubeletCloudCredentialProviders ElasticIndexedJob JobPodFailurePolicy \
         KubeProxyDrainingTerminatingNodes LogarithmicScaleDown PDBUnhealthyPodEvictionPolicy \
         PersistentVolumeLastPhaseTransitionTime PodDisruptionConditions StatefulSetStartOrdinal",
    ),
    (32, false, "AllowServiceLBStatusOnNonLB"),
    (
        32,
        true,
        "ComponentSLIs CronJobsScheduledAnnotation CustomResourceFieldSelectors LoadBalancerIPMode \
         MemoryManager PodIndexLabel RetryGenerateName ServiceAccountTokenJTI \
         ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo SizeMemoryBackedVolumes \
         StatefulSetAutoDeletePVC StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks \
         StructuredAuthorizationConfiguration",
    ),
    (33, false, "WatchFromStorageWithoutResourceVersion"),
    (
        33,
        true,
        "AnyVolumeDataSource BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting \
         CSIMigrationPortworx HonorPVReclaimPolicy JobBackoffLimitPerIndex JobSuccessPolicy \
         MatchLabelKeysInPodAffinity NFTablesProxyMode NodeInclusionPolicyInPodTopologySpread \
         RecursiveReadOnlyMounts ServiceAccountTokenNodeBinding ServiceTrafficDistribution \
         SidecarContainers TopologyAwareHints",
    ),
    (
        34,
        true,
        "APIServerTracing AnonymousAuthConfigurableEndpoints AuthorizeNodeWithSelectors \
         AuthorizeWithSelectors ConsistentListFromCache JobPodReplacementPolicy KubeletCgroupDriverFromCRI \
         KubeletTracing MultiCIDRServiceAllocator NodeSwap OrderedNamespaceDeletion PodLifecycleSleepAction \
         PodLifecycleSleepActionAllowZero ProbeHostPodSecurityStandards RecoverVolumeExpansionFailure \
         RelaxedDNSSearchValidation RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization \
         SchedulerQueueingHints SeparateTaintEvictionController StreamingCollectionEncodingToJSON \
         StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration WinDSR WinOverlay",
    ),
    (35, false, "AllowOverwriteTerminationGracePeriodSeconds"),
    (
        35,
        true,
        "AggregatedDiscoveryRemoveBetaType DisableAllocatorDualWrite DynamicResourceAllocation \
         ExecProbeTimeout ImageMaximumGCAge InPlacePodVerticalScaling JobManagedBy \
         PodObservedGenerationTracking PreferSameTrafficDistribution SupplementalGroupsPolicy \
         SystemdWatchdog",
    ),
    (36, false, "GitRepoVolumeDriver SeparateCacheWatchRPC"),
    (
        36,
        true,
        "CSIServiceAccountTokenSecrets DRAAdminAccess DeclarativeValidation DisableNodeKubeProxyVersion \
         ExternalServiceAccountTokenSigner ImageVolume InOrderInformers KubeletFineGrainedAuthz KubeletPSI \
         KubeletPodResourcesDynamicResources KubeletPodResourcesGet MutableCSINodeAllocatableCount \
         NodeLogQuery ProcMountType SELinuxChangePolicy SELinuxMountReadWriteOncePod \
         TopologyManagerPolicyOptions UserNamespacesSupport VolumeAttributesClass",
    ),
    (37, false, "DeclarativeValidationTakeover"),
    (
        37,
        true,
        "DRAExtendedResource DRAPrioritizedList DRAResourceClaimDeviceStatus \
         DisableCPUQuotaWithExclusiveCPUs HPAConfigurableTolerance HostnameOverride \
         InPlacePodVerticalScalingInitContainers NodeDeclaredFeatures PLEGOnDemandRelist \
         PodReadyToStartContainersCondition RelaxedServiceNameValidation \
         WatchCacheInitializationPostStartHook",
    ),
];
