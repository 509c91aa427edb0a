//! What a command ends with when it fails, and how that is written on standard error.
//!
//! Every error exits with 1, as upstream does since 1.34. Below `-v 5` there is one `error:` line and a hint;
//! from there on the chain of causes is shown. Nothing here decides what went wrong.

use std::error::Error;
use std::fmt::Write as _;

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    /// What happened, with its causes.
    source: Box<dyn Error>,
    /// Reports that stand before the error line, such as the results of the preflight checks.
    reports: Vec<String>,
    /// What to do, after the error line.
    hints: Vec<String>,
}

/// A failure that no other crate has a type for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
struct Doing {
    doing: String,
    source: Box<dyn Error>,
}

impl<E: Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self { source: Box::new(error), reports: Vec::new(), hints: Vec::new() }
    }
}

impl CommandError {
    /// A failure of this crate's own.
    pub fn new(message: impl Into<String>) -> Self {
        Failure(message.into()).into()
    }

    /// Says what was being done when it failed.
    pub fn prefix(self, doing: &str) -> Self {
        let source = Doing { doing: doing.into(), source: self.source };
        Self { source: Box::new(source), ..self }
    }

    /// The error line, without its beginning.
    pub fn message(&self) -> String {
        self.source.to_string()
    }

    /// Puts a report before the error line.
    pub fn report(mut self, text: impl Into<String>) -> Self {
        self.reports.push(text.into());
        self
    }

    /// Puts advice after the error line.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// The text for standard error. cmd/kubeadm/app/util/errors/errors.go, 1.37.
    pub fn render(&self, level: i32) -> String {
        let mut text = String::new();
        for report in &self.reports {
            text += report.trim_end_matches('\n');
            text.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "error: {}", self.source);
        for hint in &self.hints {
            text += hint.trim_end_matches('\n');
            text.push('\n');
        }
        if level < STACK_TRACE_LEVEL {
            text += "To see the stack trace of this error execute with --v=5 or higher\n";
            return text;
        }
        let mut cause = self.source.source();
        let mut above = self.source.to_string();
        while let Some(error) = cause {
            let message = error.to_string();
            // A transparent error repeats its cause.
            if message != above {
                let _ = writeln!(text, "  caused by: {message}");
            }
            above = message;
            cause = error.source();
        }
        text
    }
}

/// From this level on causes are shown.
const STACK_TRACE_LEVEL: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error execution phase certs/ca: {0}")]
    struct Outer(#[source] Failure);

    #[test]
    fn one_line_and_a_hint() {
        let error = CommandError::new("unknown flag: --nope");
        assert_eq!(
            error.render(0),
            "error: unknown flag: --nope\nTo see the stack trace of this error execute with --v=5 or higher\n"
        );
    }

    #[test]
    fn high_levels_show_causes_in_place_of_the_hint() {
        let error = CommandError::from(Outer(Failure("no space".into())));
        assert_eq!(
            error.render(5),
            "error: error execution phase certs/ca: no space\n  caused by: no space\n"
        );
    }

    #[test]
    fn reports_come_first_and_advice_last() {
        let error = CommandError::new("preflight checks failed").report("[preflight] Some").hint("do this");
        let text = error.render(9);
        assert_eq!(text, "[preflight] Some\nerror: preflight checks failed\ndo this\n");
    }
}
