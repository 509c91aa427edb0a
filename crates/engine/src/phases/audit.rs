//! The audit policy of the API server, with the gate Auditing of 1.11 and 1.12: the user's own, or one that notes the
//! metadata of every request. cmd/kubeadm/app/util/audit/utils.go, 1.12.

use std::path::{Path, PathBuf};

use kubeadm_release::facts::control_plane::{AUDIT_POLICY, AUDITING};
use serde_json::json;

use super::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::{Files, NewFile, View};
use crate::spec::{InitSpec, KUBERNETES};

/// The user's audit policy is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit policy {} does not exist: write it, or leave auditPolicy.path out to have one that notes the metadata of \
     every request",
    .0.display()
)]
pub struct NoPolicyError(PathBuf);

/// Checks that a policy of the user's is there.
///
/// # Errors
/// It is not.
pub fn validate(spec: &InitSpec, files: &dyn Files) -> Result<(), NoPolicyError> {
    let path = Path::new(&spec.cluster.audit_policy.path);
    if !spec.gate(AUDITING) || path == Path::new(AUDIT_POLICY) || files.exists(path) {
        return Ok(());
    }
    Err(NoPolicyError(path.to_owned()))
}

/// Plans the default policy, where it is wanted and not there.
pub(super) fn plan(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    validate(spec, view.files)?;
    let path = PathBuf::from(&spec.cluster.audit_policy.path);
    let Some(api) = spec.release.control_plane.audit_api.filter(|_| spec.gate(AUDITING)) else {
        return Ok(Vec::new());
    };
    if view.files.exists(&path) {
        return Ok(Vec::new());
    }
    let policy = json!({
        "apiVersion": api,
        "kind": "Policy",
        "metadata": { "creationTimestamp": null },
        "rules": [{ "level": "Metadata" }],
    });
    let content = kubeadm_yaml::to_string(&policy).into_bytes();
    Ok(vec![
        Step::new(Action::CreateDir { path: Path::new(KUBERNETES).join("audit"), mode: 0o700 }),
        Step::new(Action::WriteFile(NewFile { path, content, mode: 0o600, secret: false })),
    ])
}
