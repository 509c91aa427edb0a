//! Access to the recordings.

use std::fs;
use std::path::PathBuf;

use kubeadm_release::{SERVED_MINORS, Version};

/// A recorded run.
pub(crate) struct Case {
    pub(crate) name: String,
    folder: PathBuf,
}

impl Case {
    /// A file of the case, if it has it.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    /// A file that every such case has.
    pub(crate) fn must(&self, file: &str) -> String {
        self.text(file).unwrap_or_else(|| panic!("{}: no {file}", self.name))
    }

    pub(crate) fn args(&self) -> Vec<String> {
        self.text("args").unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub(crate) fn fails(&self) -> bool {
        self.must("exit").trim() != "0"
    }

    /// The value after a flag.
    pub(crate) fn flag(&self, name: &str) -> Option<String> {
        let args = self.args();
        args.iter().position(|arg| arg == name).map(|at| args[at + 1].clone())
    }
}

/// The cases of a minor (`1.37`) and part (`init`, `commands`) whose names begin so.
pub(crate) fn cases(minor: &str, part: &str, prefix: &str) -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let folder = root.join(format!("kubeadm-{minor}")).join(part);
    let mut cases: Vec<Case> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| Case {
            name: format!("{minor}/{part}/{}", entry.file_name().to_string_lossy()),
            folder: entry.path(),
        })
        .filter(|case| case.name.rsplit('/').next().unwrap().starts_with(prefix))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "no case {minor}/{part}/{prefix}*");
    cases
}

/// Every recorded minor that is exact, with the version of its original.
pub(crate) fn releases() -> Vec<(String, Version)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let version = |minor: &String| {
        let text = fs::read_to_string(root.join(format!("kubeadm-{minor}/version")));
        text.unwrap_or_else(|error| panic!("kubeadm-{minor}: {error}")).trim().parse().unwrap()
    };
    let minors = SERVED_MINORS.iter().map(|minor| format!("1.{minor}"));
    minors.map(|minor| (minor.clone(), version(&minor))).collect()
}
