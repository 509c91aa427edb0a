//! Roles and bindings. cmd/kubeadm/app/phases/{bootstraptoken,uploadconfig,copycerts,addons}, 1.37; the older
//! releases differ only in which of them exist.

use kubeadm_config::token::NODE_GROUP;
use kubeadm_release::facts::certificates::Administrators;
use serde_json::{Value, json};

use super::{create_or_update, object};
use crate::plan::{Action, Step};
use crate::resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource};
use crate::spec::InitSpec;

/// The group of all nodes that have joined.
pub const NODES_GROUP: &str = "system:nodes";

/// Where the break-glass credentials lie, whatever the folder of the other kubeconfig files.
const SUPER_ADMIN_CONF: &str = "/etc/kubernetes/super-admin.conf";

/// A group as a subject.
pub fn group(name: &str) -> Value {
    json!({ "kind": "Group", "name": name })
}

/// The group of nodes that are about to join with a bootstrap token.
pub fn joining_nodes() -> Value {
    group(NODE_GROUP)
}

/// A user as a subject.
pub fn user(name: &str) -> Value {
    json!({ "kind": "User", "name": name })
}

/// A service account of `kube-system` as a subject.
pub fn service_account(name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "name": name, "namespace": super::KUBE_SYSTEM })
}

/// Steps that let `subjects` read one object: a Role and its RoleBinding, both called `name`.
pub fn let_read(
    name: &str,
    namespace: &str,
    resource: Resource,
    object_name: &str,
    subjects: Vec<Value>,
) -> [Step; 2] {
    let mut role = object(ROLES, namespace, name);
    role["rules"] = json!([{
        "apiGroups": [resource.group],
        "resourceNames": [object_name],
        "resources": [resource.plural],
        "verbs": ["get"],
    }]);
    let mut binding = object(ROLE_BINDINGS, namespace, name);
    binding["roleRef"] = role_ref("Role", name);
    binding["subjects"] = Value::Array(subjects);
    [create_or_update(ROLES, role), create_or_update(ROLE_BINDINGS, binding)]
}

/// A cluster role; each rule is (API group, resources, verbs).
pub fn cluster_role(name: &str, rules: &[(&str, &[&str], &[&str])]) -> Value {
    let mut role = object(CLUSTER_ROLES, "", name);
    role["rules"] = rules
        .iter()
        .map(|(group, resources, verbs)| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs }))
        .collect();
    role
}

/// A binding of a cluster role to one subject.
pub fn cluster_role_binding(name: &str, role: &str, subject: Value) -> Value {
    let mut binding = object(CLUSTER_ROLE_BINDINGS, "", name);
    binding["roleRef"] = role_ref("ClusterRole", role);
    binding["subjects"] = json!([subject]);
    binding
}

fn role_ref(kind: &str, name: &str) -> Value {
    json!({ "apiGroup": ROLES.group, "kind": kind, "name": name })
}

/// The step that makes the holder of `admin.conf` an administrator, which must come before the first request with
/// that file. None where the file is somebody else's, or its holder needs no binding.
/// cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go: EnsureAdminClusterRoleBinding.
pub fn bind_admin_step(spec: &InitSpec) -> Option<Step> {
    spec.binds_admin.then(|| bind_administrators(spec)).flatten()
}

/// The step that lets the group of administrators do everything. None where the release has no such group.
pub fn bind_administrators(spec: &InitSpec) -> Option<Step> {
    let bound = matches!(spec.release.certificates.administrators, Administrators::BoundGroup);
    bound.then(|| {
        let name = "kubeadm:cluster-admins";
        Step::new(Action::BindAdmin {
            binding: Box::new(cluster_role_binding(name, "cluster-admin", group(name))),
            super_admin: SUPER_ADMIN_CONF.into(),
        })
        .once()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::CONFIG_MAPS;

    #[test]
    fn a_reader_may_get_one_object() {
        let [role, binding] = let_read("r", "ns", CONFIG_MAPS, "cm", vec![joining_nodes()]);
        let Action::Apply { object, .. } = &role.action else { panic!("{role:?}") };
        assert_eq!(
            **object,
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": { "name": "r", "namespace": "ns" },
                "rules": [{ "apiGroups": [""], "resourceNames": ["cm"], "resources": ["configmaps"], "verbs": ["get"] }],
            })
        );
        let Action::Apply { object, .. } = &binding.action else { panic!("{binding:?}") };
        assert_eq!(object["roleRef"]["kind"], "Role");
        assert_eq!(object["subjects"], json!([{ "kind": "Group", "name": NODE_GROUP }]));
    }
}
