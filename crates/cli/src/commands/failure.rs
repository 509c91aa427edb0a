//! What a workflow that failed says: reports before the error line, advice after it.

use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::plan::Line;
use kubeadm_engine::ports::Output;
use kubeadm_engine::preflight::Report;
use kubeadm_engine::run::{ActionError, RunError};

use crate::error::CommandError;

/// Adds to a failed run what its error line has no room for.
pub(super) fn explain(error: RunError, output: &dyn Output) -> CommandError {
    let RunError::Phase { path, source } = error else { return error.into() };
    explained(*source, output, |source| RunError::Phase { path, source: Box::new(source) }.into())
}

/// The same of work that is no phase of a workflow.
pub(super) fn explain_alone(error: PhaseError, output: &dyn Output) -> CommandError {
    explained(error, output, CommandError::from)
}

fn explained(
    error: PhaseError,
    output: &dyn Output,
    line: impl FnOnce(PhaseError) -> CommandError,
) -> CommandError {
    match error {
        PhaseError::Preflight(report) => {
            print(&report.lines, output);
            preflight_failed(report, line)
        }
        PhaseError::Policy { lines, source } => {
            print(&lines, output);
            line(PhaseError::Policy { lines: Vec::new(), source })
        }
        // Checks that are actions are reported like the others.
        PhaseError::Action(ActionError::Check { check, faults }) => {
            let errors = faults.into_iter().map(|text| (check.to_owned(), text)).collect();
            preflight_failed(Report { errors, lines: Vec::new() }, line)
        }
        PhaseError::Action(ActionError::Wait(wait)) if wait.findings().is_empty() => {
            let help = wait.help();
            line(PhaseError::Action(ActionError::Wait(wait))).hint(help)
        }
        other => line(other),
    }
}

fn print(lines: &[Line], output: &dyn Output) {
    for line in lines {
        match line {
            Line::Say(text) => output.say(text),
            Line::Warn(text) => output.warn(text),
            Line::Note(text) => output.note(text),
        }
    }
}

fn preflight_failed(report: Report, line: impl FnOnce(PhaseError) -> CommandError) -> CommandError {
    let block = report.block();
    line(PhaseError::Preflight(report)).report(block)
}
