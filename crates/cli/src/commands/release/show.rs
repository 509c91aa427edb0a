//! `kubeadm release show`.

use kubeadm_config::commands::init_defaults;
use kubeadm_config::images::Images;
use kubeadm_release::{Release, Version, listing};
use serde::Serialize;
use serde_json::Value;

use super::list::recorded;
use super::{facts, named_or_own};
use crate::commands::version::ARCHITECTURE;
use crate::error::CommandError;
use crate::parse::Call;
use crate::structured::{API_VERSION, Format};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    kind: &'static str,
    api_version: &'static str,
    minor: String,
    /// The patch whose original was recorded; absent where facts follow from the neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<String>,
    /// With the tags of the version that was named, else of the minor's first.
    image_names: Vec<String>,
    facts: Value,
}

/// `release show`.
pub(crate) fn show(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let (version, release) = named_or_own(call.args.first())?;
    let facts = listing::all(&release);
    let minor = format!("v{}", version.major_minor());
    let image_names = images(&version, &release);
    let recorded = recorded(version.minor);
    let support = match &recorded {
        Some(patch) => format!("exact as of {patch}"),
        None => "as its neighbours".to_owned(),
    };
    let text = format!(
        "Kubernetes {minor}\n\nfacts: {support}\nimage names:\n{}\n{}",
        image_names.iter().map(|name| format!("  {name}\n")).collect::<String>(),
        facts::text(&facts)
    );
    let facts = facts::json_of(&facts);
    let shown = Shown { kind: "Release", api_version: API_VERSION, minor, recorded, image_names, facts };
    format.print(&[shown], |_| text)
}

fn images(version: &Version, release: &Release) -> Vec<String> {
    let cluster = init_defaults(release, "").cluster;
    Images { cluster: &cluster, release, version, arch: ARCHITECTURE }.list()
}
