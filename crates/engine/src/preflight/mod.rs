//! Preflight: what must hold on this machine before anything is changed.
//!
//! Each check has upstream's name and looks through the view only. All run, all results are collected; the names in
//! `--ignore-preflight-errors` turn errors into warnings. cmd/kubeadm/app/preflight/checks.go.

pub mod checks;
mod etcd;
mod kubelet;
mod machine;
mod network;
pub mod own;
mod paths;
mod runtime;
mod system;
pub mod upgrade;

pub use checks::Check;
pub use machine::root;

use crate::plan::{Line, Step};
use crate::ports::View;
use crate::spec::{Ignored, InitSpec};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What may be wrong.
    pub warnings: Vec<String>,
    /// What is wrong.
    pub errors: Vec<String>,
    /// A report for standard output, printed when there are errors.
    pub report: Option<String>,
}

impl Outcome {
    /// Nothing to say.
    pub fn good() -> Self {
        Self::default()
    }

    /// One error.
    pub fn error(text: impl Into<String>) -> Self {
        Self { errors: vec![text.into()], ..Self::default() }
    }

    /// One warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { warnings: vec![text.into()], ..Self::default() }
    }
}

/// Errors of a preflight that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Check and text, in order.
    pub errors: Vec<(String, String)>,
    /// Lines that were to be printed before: warnings and reports.
    pub lines: Vec<Line>,
}

impl Report {
    /// The block that upstream prints on standard error.
    pub fn block(&self) -> String {
        let mut text = "[preflight] Some fatal errors occurred:\n".to_owned();
        for (check, error) in &self.errors {
            text += &format!("\t[ERROR {check}]: {error}\n");
        }
        text += "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`";
        text
    }

    /// Puts what was to be said before the checks in front of what they said.
    #[must_use]
    pub fn below(mut self, said: &[Step]) -> Self {
        self.lines.splice(0..0, said.iter().flat_map(|step| step.lines.clone()));
        self
    }

    /// Takes in what a check found.
    pub fn add(&mut self, check: &str, outcome: Outcome, ignored: &Ignored) {
        if !outcome.errors.is_empty()
            && let Some(text) = outcome.report
        {
            self.lines.push(Line::Say(text));
        }
        let warn = |text: &str| Line::Note(format!("\t[WARNING {check}]: {text}"));
        self.lines.extend(outcome.warnings.iter().map(|w| warn(w)));
        for error in outcome.errors {
            if ignored.covers(check) {
                self.lines.push(warn(&error));
            } else {
                self.errors.push((check.to_owned(), error));
            }
        }
    }

    /// The steps that print it, or itself where there are errors.
    pub fn steps(self) -> Result<Vec<Step>, Self> {
        match self.errors.is_empty() {
            true => Ok(self.lines.into_iter().map(Step::line).collect()),
            false => Err(self),
        }
    }
}

/// Puts the heading of the phase before what its checks said, whether it is good or not.
pub fn headed(found: Result<Vec<Step>, Report>) -> Result<Vec<Step>, Report> {
    let mut said = vec![Step::say("[preflight] Running pre-flight checks")];
    said.extend(found.map_err(|report| report.below(&said))?);
    Ok(said)
}

/// Runs checks in order and collects what they say: the steps that print it, or the report of a failure.
pub async fn run(
    checks: &[Check],
    spec: &InitSpec,
    ignored: &Ignored,
    view: View<'_>,
) -> Result<Vec<Step>, Report> {
    collect(checks, spec, ignored, view).await.steps()
}

/// Runs checks in order and collects what they say.
pub async fn collect(checks: &[Check], spec: &InitSpec, ignored: &Ignored, view: View<'_>) -> Report {
    let mut report = Report::default();
    for check in checks {
        report.add(&check.id, check.run(spec, view).await, ignored);
        if check.stands_alone() && !report.errors.is_empty() {
            break;
        }
    }
    report
}
