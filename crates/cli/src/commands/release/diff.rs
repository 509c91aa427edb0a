//! `kubeadm release diff`: the facts that differ, and what becomes of a default cluster's files and objects.

use kubeadm_engine::example;
use kubeadm_host::files::HostFiles;
use kubeadm_release::listing::{self, Difference, Fact};
use kubeadm_release::{Release, Version};
use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::{facts, named_or_own};
use crate::error::CommandError;
use crate::parse::Call;
use crate::structured::{API_VERSION, Format};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Diff {
    kind: &'static str,
    api_version: &'static str,
    from: String,
    to: String,
    changes: Vec<Change>,
    files: Vec<ChangedText>,
}

/// A fact that differs.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// The area of the fact.
    pub(super) area: String,
    /// Where in the area it is.
    fact: String,
    /// What it is.
    about: &'static str,
    /// What it was; absent where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// What it is then; absent where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    /// The same as a line for people.
    #[serde(skip)]
    pub(super) line: String,
}

/// A file or an object that differs.
#[derive(Serialize)]
struct ChangedText {
    name: String,
    diff: String,
}

/// `release diff`.
pub(crate) fn diff(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let Some(first) = call.args.first() else {
        return Err(CommandError::new(
            "missing one or more required arguments. Required arguments: [version]",
        ));
    };
    let (from, to) = (super::named(first)?, named_or_own(call.args.get(1))?);
    let diff = Diff {
        kind: "ReleaseDiff",
        api_version: API_VERSION,
        from: format!("v{}", from.0.major_minor()),
        to: format!("v{}", to.0.major_minor()),
        changes: changes(&from.1, &to.1),
        files: files(&from.0, &to.0)?,
    };
    format.print(&[diff], |diffs| diffs.iter().map(text).collect())
}

/// The facts that differ from one release to another.
pub(crate) fn changes(from: &Release, to: &Release) -> Vec<Change> {
    listing::differences(from, to).iter().map(change).collect()
}

pub(super) fn change(difference: &Difference) -> Change {
    let Difference { path, about, before, after } = difference;
    let (area, path) = path.split_first().map_or(("", &path[..]), |(area, rest)| (*area, rest));
    let fact = path.iter().map(|part| facts::words(part)).collect::<Vec<_>>().join(": ");
    let inline = |fact| facts::inline(fact);
    // The name of an item that came or went is the end of its path.
    let item = |sign: &str, item: &Fact| match (facts::rest(item), item) {
        (Some(rest), _) => format!("{sign} {fact}: {rest}"),
        (None, Fact::Choice { about, .. }) => format!("{sign} {fact}: {about}"),
        (None, _) => format!("{sign} {fact}"),
    };
    let line = match (before, after) {
        (Some(before @ Fact::Bool(_)), Some(after)) => {
            format!("~ {fact}: {} -> {} ({})", inline(before), inline(after), facts::lowered(about))
        }
        (Some(before), Some(after)) => format!("~ {fact}: {} -> {}", inline(before), inline(after)),
        (Some(before), None) => item("-", before),
        (None, Some(after)) => item("+", after),
        (None, None) => fact.clone(),
    };
    let [before, after] = [before, after].map(|side| side.as_ref().map(facts::json));
    Change { area: facts::words(area), fact, about, before, after, line }
}

/// Changes for people, below their areas.
pub(crate) fn lines(changes: &[Change]) -> String {
    let (mut text, mut area) = (String::new(), "");
    for change in changes {
        if change.area != area {
            area = &change.area;
            text += &format!("\n{area}:\n");
        }
        text += &format!("  {}\n", change.line);
    }
    if changes.is_empty() {
        text += "\nNo fact differs.\n";
    }
    text
}

/// What differs in the files and objects of a cluster that leaves everything to its defaults.
fn files(from: &Version, to: &Version) -> Result<Vec<ChangedText>, CommandError> {
    let (before, after) = (example::rendered(from, &HostFiles)?, example::rendered(to, &HostFiles)?);
    let pairs = before.into_iter().zip(after).filter(|(before, after)| before.1 != after.1);
    Ok(pairs
        .map(|((name, before), (_, after))| {
            let diff = TextDiff::from_lines(&before, &after);
            let (from, to) = (format!("{name} ({from})"), format!("{name} ({to})"));
            let diff = diff.unified_diff().context_radius(2).header(&from, &to).to_string();
            ChangedText { name, diff }
        })
        .collect())
}

fn text(diff: &Diff) -> String {
    let mut text = format!("Kubernetes {} -> {}\n", diff.from, diff.to);
    text += &lines(&diff.changes);
    if !diff.files.is_empty() {
        text += "\nFiles and objects of a cluster with nothing but defaults:\n\n";
        text.extend(diff.files.iter().map(|file| file.diff.as_str()));
    }
    text
}
