//! The API server's authorization modes: which there are, and what a release makes of the user's.

use kubeadm_release::Release;
use kubeadm_release::facts::control_plane::AuthorizationModes;

use crate::types::{Arg, MergeMethod};

/// The API server's argument.
pub const ARGUMENT: &str = "authorization-mode";
/// What every API server authorizes with.
pub const DEFAULT: &str = "Node,RBAC";
/// The modes of every release. pkg/kubeapiserver/authorizer/modes/modes.go, 1.11 to 1.37.
pub const KNOWN: [&str; 6] = ["Node", "RBAC", "Webhook", "ABAC", "AlwaysAllow", "AlwaysDeny"];

/// The modes that the API server runs with, where `given` is the user's argument. Releases that merge them keep only
/// the modes they know; these are also the ones stored in the cluster.
pub fn modes(release: &Release, given: Option<&str>) -> String {
    match (release.control_plane.authorization, given) {
        (_, None) => DEFAULT.to_owned(),
        (AuthorizationModes::UsersOrDefault, Some(given)) => given.to_owned(),
        (AuthorizationModes::Merged, Some(given)) => {
            let further = ["ABAC", "Webhook"].into_iter().filter(|mode| given.contains(mode));
            std::iter::once(DEFAULT).chain(further).collect::<Vec<_>>().join(",")
        }
    }
}

/// The user's modes as the API server would read them, if there are any: the argument adds up when repeated.
pub(crate) fn given(args: &[Arg]) -> Option<String> {
    let texts: Vec<String> = args
        .iter()
        .filter(|arg| arg.name == ARGUMENT)
        .map(|arg| match arg.merge {
            MergeMethod::Append => format!("{DEFAULT}{}", arg.value),
            MergeMethod::Prepend => format!("{}{DEFAULT}", arg.value),
            _ => arg.value.clone(),
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// Whether two lists name the same modes.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut modes: Vec<String> = text.split(',').map(str::to_owned).collect();
        modes.sort();
        modes
    };
    sorted(one) == sorted(other)
}
