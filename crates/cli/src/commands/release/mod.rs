//! `kubeadm release`: what this kubeadm knows of the minors of Kubernetes. Every fact comes from the tables of
//! `kubeadm-release`, by its own name and description: nothing is listed a second time here.

mod diff;
mod facts;
mod list;
mod page;
mod show;

use kubeadm_release::{Release, Version};

pub(crate) use diff::{Change, changes, diff, lines};
pub(crate) use list::list;
pub use page::page;
pub(crate) use show::show;

use crate::error::CommandError;
use crate::wish;

/// The version that a word of the command line names, and its release: a version as it is, or the first of a minor.
fn named(text: &str) -> Result<(Version, Release), CommandError> {
    let version = text.parse().or_else(|_| Version::first_of_minor(text));
    let version = version.map_err(|error| {
        CommandError::from(error).prefix("expected a minor such as v1.36, or a version of it")
    })?;
    let release = Release::of(&version)?;
    Ok((version, release))
}

/// The same for the word that may be left out: then it is kubeadm's own version.
fn named_or_own(text: Option<&String>) -> Result<(Version, Release), CommandError> {
    match text {
        Some(text) => named(text),
        None => named(&wish::own_version().to_string()),
    }
}
