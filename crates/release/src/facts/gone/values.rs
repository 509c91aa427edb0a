//! Values that components lost: the flag is still there, and the component does not start with what it says.

use crate::listing::Facts;

/// What a flag does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Values {
    /// None of these any more.
    Not(&'static [&'static str]),
    /// Nothing but this any more.
    Only(&'static str),
}

impl Values {
    /// The first part of a value that is refused. Flags that take several have commas between them.
    ///
    /// What stands before a name or after it does not count: `-` of a controller, `=false` of an API. A version of an API
    /// is refused with each of its resources; up to v1.23 those were ignored with a warning, but for whole groups
    /// (pkg/server/resourceconfig/helpers.go, k8s.io/apiserver).
    pub(super) fn refused<'v>(&self, value: &'v str) -> Option<&'v str> {
        let mut parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.find(|part| {
            let name = part.strip_prefix('-').unwrap_or(part);
            let name = name.split('=').next().unwrap_or(name);
            let below = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.starts_with('/'));
            match self {
                Self::Not(names) => names.iter().any(|known| name == *known || below(known)),
                Self::Only(known) => part != known,
            }
        })
    }
}

/// The first minor, the component, its flags, the values, and what to say instead of them.
type Row = (u32, &'static str, &'static [&'static str], Values, Option<&'static str>);

const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const KUBELET: &str = "kubelet";
const PROXY: &str = "kube-proxy";
const SCHEDULER: &str = "kube-scheduler";

/// Each of them may name a plug-in. AdmissionOptions.Validate in pkg/kubeapiserver/options/admission.go, and in
/// k8s.io/apiserver pkg/server/options/admission.go: a name that is not registered is refused, to enable and to disable.
const ADMISSION: &[&str] = &["admission-control", "enable-admission-plugins", "disable-admission-plugins"];

/// APIEnablementOptions.Validate and MergeAPIResourceConfigs in k8s.io/apiserver (pkg/server/options/api_enablement.go,
/// pkg/server/resourceconfig/helpers.go): groups and versions that the scheme does not know are refused, whether they are
/// switched on or off. Versions that are only not served any more, `extensions/v1beta1` among them, stay known.
const APIS: &[&str] = &["runtime-config"];

const CLOUD: &[&str] = &["cloud-provider"];
/// A provider for volumes alone, beside `--cloud-provider=external`.
const CLOUD_VOLUMES: &[&str] = &["external-cloud-volume-plugin"];
/// What leaders hold. k8s.io/client-go tools/leaderelection/resourcelock/interface.go New.
const LOCK: &[&str] = &["leader-elect-resource-lock"];
const EXTERNAL: Option<&str> = Some("external, with a cloud controller manager");

/// Source: the last patch of each minor. Plug-ins: AllOrderedPlugins in pkg/kubeapiserver/options/plugins.go. APIs: what
/// pkg/apis/*/install/install.go adds to the scheme. Cloud providers: pkg/cloudprovider/providers/providers.go, without
/// which InitCloudProvider of k8s.io/cloud-provider fails. The others have theirs in their rows.
pub(super) const VALUES: &[Row] = &[
    // k8s.io/apiserver pkg/server/options/etcd.go storageTypes, v1.13
    (13, API_SERVER, &["storage-backend"], Values::Not(&["etcd2"]), Some("etcd3")),
    (14, API_SERVER, ADMISSION, Values::Not(&["Initializers"]), None),
    (14, API_SERVER, APIS, Values::Not(&["admissionregistration.k8s.io/v1alpha1"]), None), // known again from v1.26 on
    (16, CONTROLLER_MANAGER, CLOUD, Values::Not(&["cloudstack", "ovirt", "photon"]), EXTERNAL),
    (16, CONTROLLER_MANAGER, CLOUD_VOLUMES, Values::Not(&["cloudstack", "ovirt", "photon"]), None),
    (16, KUBELET, CLOUD, Values::Not(&["cloudstack", "ovirt", "photon"]), EXTERNAL),
    (19, API_SERVER, APIS, Values::Not(&["auditregistration.k8s.io"]), None),
    (20, API_SERVER, ADMISSION, Values::Not(&["PodPreset"]), None),
    (20, API_SERVER, APIS, Values::Not(&["settings.k8s.io"]), None),
    // checkNonZeroInsecurePort in cmd/kube-apiserver/app/server.go, v1.20
    (20, API_SERVER, &["insecure-port", "port"], Values::Only("0"), None),
    (21, API_SERVER, ADMISSION, Values::Not(&["DenyEscalatingExec", "DenyExecOnPrivileged"]), None),
    (21, API_SERVER, APIS, Values::Not(&["batch/v2alpha1", "discovery.k8s.io/v1alpha1"]), None),
    // checkNonZeroInsecurePort in cmd/kube-controller-manager/app/controllermanager.go, v1.22
    (22, CONTROLLER_MANAGER, &["port"], Values::Only("0"), None),
    // DeprecatedOptions.Validate in cmd/kube-scheduler/app/options/deprecated.go, v1.23
    (23, SCHEDULER, &["port"], Values::Only("0"), None),
    // k8s.io/apiserver pkg/server/options/audit.go knownGroupVersions, v1.24
    (
        24,
        API_SERVER,
        &["audit-log-version", "audit-webhook-version"],
        Values::Not(&["audit.k8s.io/v1alpha1", "audit.k8s.io/v1beta1"]),
        Some("audit.k8s.io/v1"),
    ),
    // By way of both kinds, so that there are never two leaders.
    (24, CONTROLLER_MANAGER, LOCK, Values::Not(&["endpoints"]), Some("endpointsleases")),
    (24, CONTROLLER_MANAGER, LOCK, Values::Not(&["configmaps"]), Some("configmapsleases")),
    (24, SCHEDULER, LOCK, Values::Not(&["endpoints"]), Some("endpointsleases")),
    (24, SCHEDULER, LOCK, Values::Not(&["configmaps"]), Some("configmapsleases")),
    // ValidateKubeletFlags in cmd/kubelet/app/options/options.go, v1.24
    (24, KUBELET, &["container-runtime"], Values::Not(&["docker"]), Some("remote")),
    (25, API_SERVER, ADMISSION, Values::Not(&["PodSecurityPolicy"]), Some("PodSecurity")),
    (26, CONTROLLER_MANAGER, CLOUD, Values::Not(&["openstack"]), EXTERNAL),
    (26, CONTROLLER_MANAGER, CLOUD_VOLUMES, Values::Not(&["openstack"]), None),
    // `mode` of its configuration too. pkg/proxy/apis/config/validation/validation.go validateProxyModeLinux, v1.26
    (26, PROXY, &["proxy-mode"], Values::Not(&["userspace"]), Some("iptables")),
    (26, KUBELET, CLOUD, Values::Not(&["openstack"]), EXTERNAL),
    (27, API_SERVER, APIS, Values::Not(&["resource.k8s.io/v1alpha1"]), None),
    (27, CONTROLLER_MANAGER, CLOUD, Values::Not(&["aws"]), EXTERNAL),
    (27, CONTROLLER_MANAGER, CLOUD_VOLUMES, Values::Not(&["aws"]), None),
    (27, KUBELET, CLOUD, Values::Not(&["aws"]), EXTERNAL),
    (28, CONTROLLER_MANAGER, LOCK, Values::Not(&["configmapsleases", "endpointsleases"]), Some("leases")),
    (28, SCHEDULER, LOCK, Values::Not(&["configmapsleases", "endpointsleases"]), Some("leases")),
    (29, API_SERVER, APIS, Values::Not(&["flowcontrol.apiserver.k8s.io/v1alpha1"]), None),
    // Unless the gate DisableCloudProviders is off, for as long as it can be, up to v1.30. CloudProviderOptions.Validate in
    // pkg/kubeapiserver/options/cloudprovider.go, createCloudProvider in cmd/kube-controller-manager/app/cloudproviders.go,
    // NewMainKubelet in pkg/kubelet/kubelet.go, v1.29
    (29, API_SERVER, CLOUD, Values::Only("external"), Some("external")),
    (29, CONTROLLER_MANAGER, CLOUD, Values::Not(&["azure", "gce", "vsphere"]), EXTERNAL),
    (29, KUBELET, CLOUD, Values::Not(&["azure", "gce", "vsphere"]), EXTERNAL),
    (30, API_SERVER, ADMISSION, Values::Not(&["SecurityContextDeny"]), Some("PodSecurity")),
    (30, CONTROLLER_MANAGER, CLOUD_VOLUMES, Values::Not(&["azure", "vsphere"]), None),
    (31, API_SERVER, ADMISSION, Values::Not(&["PersistentVolumeLabel"]), None),
    (31, API_SERVER, APIS, Values::Not(&["resource.k8s.io/v1alpha2"]), None),
    (31, CONTROLLER_MANAGER, CLOUD_VOLUMES, Values::Not(&["gce"]), None),
    (32, API_SERVER, APIS, Values::Not(&["coordination.k8s.io/v1alpha1"]), None),
    // KubeControllerManagerOptions.Validate in cmd/kube-controller-manager/app/options/options.go, v1.32
    (
        32,
        CONTROLLER_MANAGER,
        &["cidr-allocator-type"],
        Values::Only("RangeAllocator"),
        Some("RangeAllocator"),
    ),
    (34, API_SERVER, APIS, Values::Not(&["networking.k8s.io/v1alpha1"]), None),
    (35, API_SERVER, APIS, Values::Not(&["storagemigration.k8s.io/v1alpha1"]), None),
    (
        36,
        API_SERVER,
        APIS,
        Values::Not(&["autoscaling/v2beta1", "autoscaling/v2beta2", "scheduling.k8s.io/v1alpha1"]),
        None,
    ),
    (37, API_SERVER, ADMISSION, Values::Not(&["JobValidation", "PodGroupWorkloadExists"]), None),
    (37, API_SERVER, APIS, Values::Not(&["scheduling.k8s.io/v1alpha2"]), None),
    // cmd/kube-controller-manager/app/controller_descriptor.go KnownControllers and ControllerAliases, v1.37
    (
        37,
        CONTROLLER_MANAGER,
        &["controllers"],
        Values::Not(&[
            "cloud-node-lifecycle",
            "cloud-node-lifecycle-controller",
            "node-route-controller",
            "route",
            "service",
            "service-lb-controller",
        ]),
        None,
    ),
];

/// The same of etcd, by the minors of etcd 3.
pub(super) const OF_ETCD: &[Row] = &[
    // embed/config_logging.go setupLogging, v3.5.0
    (5, super::ETCD, &["logger"], Values::Not(&["capnslog"]), Some("zap")),
    // server/etcdmain/config.go newConfig, v3.6.0
    (6, super::ETCD, &["v2-deprecation"], Values::Not(&["not-yet"]), None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_value_are_found() {
        let apis = Values::Not(&["settings.k8s.io", "batch/v2alpha1"]);
        for (value, refused) in [
            ("settings.k8s.io/v1alpha1=true", Some("settings.k8s.io/v1alpha1=true")),
            ("api/all=true, batch/v2alpha1=false", Some("batch/v2alpha1=false")),
            ("batch/v2alpha1", Some("batch/v2alpha1")),
            ("batch/v2alpha1/cronjobs=true", Some("batch/v2alpha1/cronjobs=true")),
            ("batch/v2alpha11,batch/v1beta1=true,settings.k8s.io.example/v1", None),
            ("", None),
        ] {
            assert_eq!(apis.refused(value), refused, "{value}");
        }
        let controllers = Values::Not(&["service"]);
        assert_eq!(controllers.refused("*,bootstrapsigner,-service"), Some("-service"));
        assert_eq!(controllers.refused("*,-serviceaccount"), None);
        let port = Values::Only("0");
        assert_eq!(port.refused("8080"), Some("8080"));
        assert_eq!([port.refused("0"), port.refused("")], [None, None]);
    }

    #[test]
    fn rows_are_in_order_and_no_value_goes_twice() {
        assert!(VALUES.is_sorted_by_key(|(minor, component, ..)| (*minor, *component)));
        assert!(OF_ETCD.is_sorted_by_key(|(etcd, ..)| *etcd));
        for (at, (_, component, flags, values, _)) in VALUES.iter().enumerate() {
            let Values::Not(names) = values else { continue };
            for (_, other, same, later, _) in &VALUES[at + 1..] {
                let twice =
                    other == component && same == flags && names.iter().any(|n| later.refused(n).is_some());
                assert!(!twice, "{component} {names:?}");
            }
        }
    }
}
