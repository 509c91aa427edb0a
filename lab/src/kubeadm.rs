//! The kubeadm under test: ours, or the reference to compare with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Run;
use crate::error::At as _;
use crate::releases::Release;
use crate::{Error, Result};

/// What Go's linker puts into every program; how the reference is told from ours.
const GO_MARK: &[u8] = b"\xff Go buildinf:";

/// A kubeadm program.
#[derive(Debug, Clone)]
pub struct Kubeadm {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is the original in Go, whose habits some scenarios must allow for.
    pub reference: bool,
}

impl Kubeadm {
    /// Looks at the program at `path`.
    pub fn at(path: &Path) -> Result<Self> {
        let content = std::fs::read(path).at("read", path)?;
        let path = path.canonicalize().at("find", path)?;
        Ok(Self { path, reference: content.windows(GO_MARK.len()).any(|w| w == GO_MARK) })
    }

    /// Returns the checks of preflight to ignore on a lab node.
    #[must_use]
    pub fn ignore(&self, release: &Release) -> &'static str {
        if self.reference { release.reference_ignore } else { release.ignore }
    }

    /// Lists the images of a release.
    pub fn image_list(&self, release: &Release) -> Result<Vec<String>> {
        let list = Run::limited(Duration::from_secs(30), &self.path)
            .args(["config", "images", "list", "--kubernetes-version", release.version])
            .read()?;
        let images: Vec<String> =
            list.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        match images.iter().find(|l| !l.contains('/') || l.contains(' ')) {
            Some(odd) => Err(Error::Unfit(format!("{} lists {odd:?} as an image", self.path.display()))),
            None => Ok(images),
        }
    }
}
