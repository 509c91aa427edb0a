//! `preflight` of `reset`: whoever resets must be root. The question whether to go on is the command line's.

use futures::future::BoxFuture;

use crate::phases::PhaseError;
use crate::plan::Step;
use crate::ports::View;
use crate::preflight::{self, Report};
use crate::reset::ResetSpec;

const CHECK: &str = "IsPrivilegedUser";

/// Plans the phase.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = vec![Step::say("[preflight] Running pre-flight checks")];
        for error in preflight::root(view).errors {
            if !spec.ignored.covers(CHECK) {
                let lines = steps.into_iter().flat_map(|s| s.lines).collect();
                return Err(PhaseError::Preflight(Report { errors: vec![(CHECK.into(), error)], lines }));
            }
            let text = format!("\t[WARNING {CHECK}]: {error}");
            steps.push(Step::line(crate::plan::Line::Note(text)));
        }
        Ok(steps)
    })
}
