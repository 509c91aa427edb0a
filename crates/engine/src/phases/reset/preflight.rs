//! `preflight` of `reset`: whoever resets must be root, and mean it.
//! cmd/kubeadm/app/cmd/phases/reset/preflight.go, 1.37.

use futures::future::BoxFuture;

use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::View;
use crate::preflight::{self, Report};
use crate::reset::ResetSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut report = Report::default();
        report.add("IsPrivilegedUser", preflight::root(view), &spec.ignored);
        let mut steps = preflight::headed(report.steps()).map_err(PhaseError::Preflight)?;
        if !spec.config.force {
            let warning = "[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.";
            steps.push(Step::warn(warning).silent_when_dry());
            let question = "[reset] Are you sure you want to proceed? [y/N]: ";
            steps.push(Step::new(Action::Confirm(question.into())));
        }
        Ok(steps)
    })
}
