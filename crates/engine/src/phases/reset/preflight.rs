//! `preflight` of `reset`: whoever resets must be root. The question whether to go on is the command line's.

use futures::future::BoxFuture;

use crate::phases::PhaseError;
use crate::plan::Step;
use crate::ports::View;
use crate::preflight::{self, Report};
use crate::reset::ResetSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut report = Report::default();
        report.add("IsPrivilegedUser", preflight::root(view), &spec.ignored);
        preflight::headed(report.steps()).map_err(PhaseError::Preflight)
    })
}
