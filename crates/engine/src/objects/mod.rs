//! The objects kubeadm keeps in the cluster, as JSON, and the steps that apply them.
//!
//! What differs between releases comes from [`crate::spec::InitSpec::release`]. Nothing here looks at the cluster:
//! what is already there is the business of the phases and the executor.

use serde_json::{Value, json};

use crate::plan::{Action, Apply, Step};
use crate::resource::{DAEMON_SETS, Resource, SERVICE_ACCOUNTS};

pub mod config_maps;
pub mod kubeconfig;
pub mod rbac;
pub mod tokens;

/// Where kubeadm's objects live.
pub const KUBE_SYSTEM: &str = "kube-system";
/// Where `cluster-info` lives, readable by everybody.
pub const KUBE_PUBLIC: &str = "kube-public";

/// An object with nothing but its identity. Cluster-wide objects have an empty namespace.
pub fn object(resource: Resource, namespace: &str, name: &str) -> Value {
    let mut metadata = json!({ "name": name });
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    json!({ "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": metadata })
}

/// A DaemonSet of `kube-system` whose pods are known by the label `k8s-app`, which its template has to carry.
pub fn daemon_set(name: &str, template: Value) -> Value {
    let mut set = object(DAEMON_SETS, KUBE_SYSTEM, name);
    set["metadata"]["labels"] = json!({ "k8s-app": name });
    set["spec"] = json!({
        "selector": { "matchLabels": { "k8s-app": name } },
        "template": template,
        "updateStrategy": { "type": "RollingUpdate" },
    });
    // Fields that the API's schema requires.
    set["status"] = json!({
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    });
    set
}

/// A step that applies an object.
pub fn apply(how: Apply, resource: Resource, object: Value) -> Step {
    Step::new(Action::Apply { how, resource, object: Box::new(object) })
}

/// A step that creates an object, or replaces it.
pub fn create_or_update(resource: Resource, object: Value) -> Step {
    apply(Apply::CreateOrUpdate, resource, object)
}

/// A step that makes a service account in `kube-system`. One that exists stays: replacing it would drop the tokens
/// that controllers before 1.24 have noted in it.
pub fn service_account(name: &str) -> Step {
    apply(Apply::CreateOrRetain, SERVICE_ACCOUNTS, object(SERVICE_ACCOUNTS, KUBE_SYSTEM, name))
}
