//! `kubeadm release list`.

use kubeadm_release::{EXACT_MINORS, Release, Version, skew};
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
    config_api: &'static str,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
    oldest_kubelet: String,
}

/// `release list`: oldest first.
pub(crate) fn list(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let rows: Result<Vec<Row>, CommandError> = EXACT_MINORS.iter().map(|minor| row(*minor)).collect();
    let releases = Releases { kind: "Releases", api_version: API_VERSION, releases: rows? };
    format.print(&[releases], |lists| lists.iter().map(text).collect())
}

fn row(minor: u32) -> Result<Row, CommandError> {
    let version = Version::new(1, minor, 0);
    let release = Release::of(&version)?;
    Ok(Row {
        minor: format!("v{}", version.major_minor()),
        config_api: release.config_api.written.version(),
        etcd: release.images.etcd,
        coredns: release.images.coredns,
        pause: release.images.pause,
        oldest_kubelet: format!("v{}", skew::minimum_kubelet(&version).major_minor()),
    })
}

fn text(list: &Releases) -> String {
    let head =
        ["MINOR", "CONFIG API", "ETCD", "COREDNS", "PAUSE", "OLDEST KUBELET"].map(str::to_owned).to_vec();
    let rows = list.releases.iter().map(|row| {
        let Row { minor, config_api, etcd, coredns, pause, oldest_kubelet } = row;
        [minor, *config_api, *etcd, *coredns, *pause, oldest_kubelet.as_str()].map(str::to_owned).to_vec()
    });
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[0; 5])
}
