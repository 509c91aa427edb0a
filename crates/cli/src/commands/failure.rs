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
    match *source {
        PhaseError::Preflight(report) => {
            for line in &report.lines {
                match line {
                    Line::Say(text) => output.say(text),
                    Line::Warn(text) => output.warn(text),
                    Line::Note(text) => output.note(text),
                }
            }
            preflight_failed(path, report)
        }
        // Images are pulled by the last check of the preflight, and reported like it.
        PhaseError::Action(ActionError::Pull(failures)) => {
            let errors = failures.into_iter().map(|text| ("ImagePull".to_owned(), text)).collect();
            preflight_failed(path, Report { errors, lines: Vec::new() })
        }
        PhaseError::Action(ActionError::Wait(wait)) if wait.findings().is_empty() => {
            let help = wait.help();
            let source = Box::new(PhaseError::Action(ActionError::Wait(wait)));
            CommandError::from(RunError::Phase { path, source }).hint(help)
        }
        other => RunError::Phase { path, source: Box::new(other) }.into(),
    }
}

fn preflight_failed(path: String, report: Report) -> CommandError {
    let block = report.block();
    let source = Box::new(PhaseError::Preflight(report));
    CommandError::from(RunError::Phase { path, source }).report(block)
}
