//! What can go wrong in the lab, with what a person needs to see of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lab's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the lab, or of a check that a scenario makes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A command could not be started, or ended with another status than 0.
    #[error("{command}: {outcome}\n{tail}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status, or why it did not start.
        outcome: String,
        /// The last lines it printed.
        tail: String,
    },
    /// What was waited for did not come.
    #[error("waited {} s for {what}; last seen: {last}", after.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What was seen at the last look.
        last: String,
    },
    /// A scenario's check found something else than it expects.
    #[error("check failed: {what}\n  expected: {expected}\n  found:    {found}")]
    Check {
        /// What is checked.
        what: String,
        /// What should be.
        expected: String,
        /// What is.
        found: String,
    },
    /// The machine, or what was asked for, is not fit.
    #[error("{0}")]
    Unfit(String),
}

/// Attaches the path and the verb to an I/O error.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}

/// Fails with [`Error::Check`] unless `holds`.
pub(crate) fn check(
    what: &str,
    holds: bool,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Check { what: what.to_owned(), expected: expected.into(), found: found.into() })
}
