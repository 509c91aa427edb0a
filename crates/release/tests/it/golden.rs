//! Every fact of every exact minor, as one text each. A changed row shows here as a changed line.
//!
//! To accept a change: run with `UPDATE_GOLDEN=1`, then read the difference.

use std::path::Path;

use kubeadm_release::{MINORS, Release, SERVED_MINORS, Version};

#[test]
fn facts_of_every_minor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for &minor in SERVED_MINORS {
        let release = Release::of(&Version::new(1, minor, 0)).unwrap();
        let actual = format!("{release:#?}\n");
        let file = folder.join(format!("v1.{minor}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap();
        let differs = actual.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
        assert_eq!(differs, None, "{}: (now, recorded)", file.display());
        assert_eq!(actual.len(), expected.len(), "{}", file.display());
    }
}

#[test]
fn the_table_of_minors_tells_what_was_recorded() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    for (minor, patch) in MINORS {
        let version = std::fs::read_to_string(recordings.join(format!("kubeadm-1.{minor}/version"))).ok();
        let recorded = version.map(|version| version.trim().parse().unwrap());
        assert_eq!(recorded, patch.map(|patch| Version::new(1, *minor, patch)), "1.{minor}");
    }
}

#[test]
fn every_recorded_text_belongs_to_a_minor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut recorded: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    recorded.sort();
    let expected: Vec<String> = SERVED_MINORS.iter().map(|minor| format!("v1.{minor}.txt")).collect();
    assert_eq!(recorded, expected);
}
