//! `super-admin.conf` and the group of administrators, where the new release has them and the one before did not.
//! cmd/kubeadm/app/phases/upgrade/postupgrade.go: createSuperAdminKubeConfig, 1.29. `admin.conf` keeps its subject, as it does
//! whenever it is renewed: the original gives it another one, which the copies that users have made do not get.

use kubeadm_release::Release;
use kubeadm_release::facts::certificates::Administrators;

use crate::objects::rbac;
use crate::phases::{PhaseError, kubeconfig};
use crate::plan::Step;
use crate::ports::View;
use crate::spec::InitSpec;

/// The steps that give this node's cluster what the release before lacked. One who has taken the file away since does not get
/// it again.
pub(super) async fn plan(before: &Release, node: &InitSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let bound = |release: &Release| release.certificates.administrators == Administrators::BoundGroup;
    if bound(before) || !bound(&node.release) {
        return Ok(Vec::new());
    }
    let mut steps = Vec::from_iter(rbac::bind_administrators(node));
    steps.extend(kubeconfig::plan_super_admin(node, view).await?);
    Ok(steps)
}
