//! `kubeadm release list`.

use kubeadm_release::{MINORS, Release, SERVED_MINORS, Version, skew};
use serde::Serialize;

use crate::columns::aligned;
use crate::error::CommandError;
use crate::parse::Call;
use crate::structured::{API_VERSION, Format};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Releases {
    kind: &'static str,
    api_version: &'static str,
    releases: Vec<Row>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    minor: String,
    /// The patch whose original was recorded; absent where facts follow from the neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<String>,
    config_api: &'static str,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
    oldest_kubelet: String,
}

/// `release list`: oldest first.
pub(crate) fn list(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let rows: Result<Vec<Row>, CommandError> = SERVED_MINORS.iter().map(|minor| row(*minor)).collect();
    let releases = Releases { kind: "Releases", api_version: API_VERSION, releases: rows? };
    format.print(&[releases], |lists| lists.iter().map(text).collect())
}

fn row(minor: u32) -> Result<Row, CommandError> {
    let version = Version::new(1, minor, 0);
    let release = Release::of(&version)?;
    Ok(Row {
        minor: format!("v{}", version.major_minor()),
        recorded: recorded(minor),
        config_api: release.config_api.written.version(),
        etcd: release.images.etcd,
        coredns: release.images.coredns,
        pause: release.images.pause,
        oldest_kubelet: format!("v{}", skew::minimum_kubelet(&version).major_minor()),
    })
}

/// The patch of a minor as which its facts are exact; `None` where they follow from its neighbours.
pub(super) fn recorded(minor: u32) -> Option<String> {
    let patch = MINORS.iter().find(|(other, _)| *other == minor).and_then(|(_, patch)| *patch)?;
    Some(Version::new(1, minor, patch).to_string())
}

const HEAD: [&str; 7] = ["MINOR", "EXACT AS", "CONFIG API", "ETCD", "COREDNS", "PAUSE", "OLDEST KUBELET"];

fn cells(row: &Row) -> [&str; 7] {
    let Row { minor, recorded, config_api, etcd, coredns, pause, oldest_kubelet } = row;
    [minor, recorded.as_deref().unwrap_or("its neighbours"), config_api, etcd, coredns, pause, oldest_kubelet]
}

fn text(list: &Releases) -> String {
    let rows = std::iter::once(HEAD).chain(list.releases.iter().map(cells));
    aligned(&rows.map(|row| row.map(str::to_owned)).collect::<Vec<_>>(), &[0; 6])
}

/// The same as a table of docs/releases.md.
pub(super) fn markdown() -> String {
    let rows: Vec<Row> = SERVED_MINORS.iter().filter_map(|minor| row(*minor).ok()).collect();
    let line = |cells: [&str; 7]| format!("| {} |\n", cells.join(" | "));
    let head = HEAD.map(str::to_lowercase);
    let head = line(head.each_ref().map(String::as_str)) + "|---|---|---|---|---|---|---|\n";
    rows.iter().fold(format!("\n{head}"), |text, row| text + &line(cells(row)))
}
