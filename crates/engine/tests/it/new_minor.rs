//! What a minor needs that nobody has served before: rows of facts and a recording, and no other change.
//!
//! v1.99 stands for it. Its recording is that of the newest minor with another version and another etcd; the only row
//! that it adds is that etcd's.

use std::collections::BTreeMap;

use kubeadm_engine::manifests::{self, Component};
use kubeadm_engine::spec::InitSpec;
use kubeadm_release::{MINORS, NEWEST_MINOR, Release, Version};
use serde_json::Value;

use crate::manifests::{COMPONENTS, host};
use crate::objects::{Case, requests, written};

const FAKE: Version = Version::new(1, 99, 0);
/// The etcd that came with it.
const ETCD: &str = "9.9.9-0";

/// A release that no table names: the last row of each serves it. Where a fact changed, a row says so.
fn release() -> Release {
    let mut release = Release { minor: FAKE.minor, ..Release::newest() };
    release.images.etcd = ETCD;
    release
}

/// The newest minor as it was recorded.
fn newest() -> (Version, &'static str) {
    let recorded = MINORS.last().and_then(|(_, patch)| *patch).unwrap();
    (Version::new(1, NEWEST_MINOR, recorded), Release::newest().images.etcd)
}

/// The recording of the fake minor.
fn recording(text: &str) -> String {
    let (version, etcd) = newest();
    let text = text.replace(&version.to_string(), &FAKE.to_string());
    text.replace(&format!("etcd:{etcd}"), &format!("etcd:{ETCD}"))
}

fn spec(case: &Case) -> (InitSpec, Vec<String>) {
    let (mut spec, skipped) = case.spec();
    spec.cluster.kubernetes_version = FAKE.to_string();
    (InitSpec { release: release(), version: FAKE, ..spec }, skipped)
}

fn without_patches(mut requests: BTreeMap<String, Vec<Value>>) -> BTreeMap<String, Vec<Value>> {
    // The original shows the Node before its patch.
    requests.retain(|key, _| !key.starts_with("PATCH"));
    requests
}

#[test]
fn a_new_minor_needs_rows_and_a_recording_only() {
    let mut compared = 0;
    for case in Case::all(NEWEST_MINOR).iter().filter(|case| case.is_comparable()) {
        let (spec, skipped) = spec(case);
        let ours = without_patches(written(&case.steps_for(&spec, skipped)));
        let theirs = without_patches(requests(&recording(&case.text("objects.yaml"))));
        assert_eq!(ours, theirs, "{}", case.name);
        for component in COMPONENTS {
            let path = format!("files/etc/kubernetes/manifests/{}.yaml", component.name());
            let theirs = recording(&case.text(&path));
            if component == Component::Etcd && theirs.is_empty() {
                continue;
            }
            assert_eq!(
                manifests::to_yaml(&manifests::pod(&spec, &host(), component)),
                theirs,
                "{}",
                case.name
            );
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}
