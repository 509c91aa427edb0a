//! The API resources kubeadm reads and writes: group, version, plural and scope, each named once.

use serde_json::Value;

/// A resource of the Kubernetes API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Plural, as in the URL.
    pub plural: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Self {
        Self { group, version, plural, kind, namespaced }
    }

    /// `v1` or `apps/v1`, as it stands in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// URL path of the collection, or of one object when a name is given.
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        let scope = if self.namespaced && !namespace.is_empty() {
            format!("/namespaces/{namespace}")
        } else {
            String::new()
        };
        let name = name.map(|n| format!("/{n}")).unwrap_or_default();
        format!("{root}{scope}/{}{name}", self.plural)
    }

    /// The resource of an object by its `apiVersion` and `kind`, among those that kubeadm writes.
    pub fn of(object: &Value) -> Option<Self> {
        let (api_version, kind) = (object.get("apiVersion")?.as_str()?, object.get("kind")?.as_str()?);
        ALL.iter().copied().find(|r| r.kind == kind && r.api_version() == api_version)
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// ConfigMaps.
pub const CONFIG_MAPS: Resource = Resource::new("", "v1", "configmaps", "ConfigMap", true);
/// Secrets.
pub const SECRETS: Resource = Resource::new("", "v1", "secrets", "Secret", true);
/// Services.
pub const SERVICES: Resource = Resource::new("", "v1", "services", "Service", true);
/// Service accounts.
pub const SERVICE_ACCOUNTS: Resource = Resource::new("", "v1", "serviceaccounts", "ServiceAccount", true);
/// Pods.
pub const PODS: Resource = Resource::new("", "v1", "pods", "Pod", true);
/// Nodes.
pub const NODES: Resource = Resource::new("", "v1", "nodes", "Node", false);
/// Deployments.
pub const DEPLOYMENTS: Resource = Resource::new("apps", "v1", "deployments", "Deployment", true);
/// Leases.
pub const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "leases", "Lease", true);
/// Jobs.
pub const JOBS: Resource = Resource::new("batch", "v1", "jobs", "Job", true);
/// Daemon sets.
pub const DAEMON_SETS: Resource = Resource::new("apps", "v1", "daemonsets", "DaemonSet", true);
/// Roles.
pub const ROLES: Resource = Resource::new(RBAC, "v1", "roles", "Role", true);
/// Role bindings.
pub const ROLE_BINDINGS: Resource = Resource::new(RBAC, "v1", "rolebindings", "RoleBinding", true);
/// Cluster roles.
pub const CLUSTER_ROLES: Resource = Resource::new(RBAC, "v1", "clusterroles", "ClusterRole", false);
/// Cluster role bindings.
pub const CLUSTER_ROLE_BINDINGS: Resource =
    Resource::new(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", false);

/// Every resource above.
pub const ALL: &[Resource] = &[
    CONFIG_MAPS,
    SECRETS,
    SERVICES,
    SERVICE_ACCOUNTS,
    PODS,
    NODES,
    DEPLOYMENTS,
    DAEMON_SETS,
    LEASES,
    JOBS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
];
