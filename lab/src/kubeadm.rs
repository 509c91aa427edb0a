//! The kubeadm under test: ours, or the reference to compare with.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Run;
use crate::error::At as _;
use crate::releases::Release;
use crate::{Error, Result};

/// What Go's linker puts into every program; how the reference is told from ours.
const GO_MARK: &[u8] = b"\xff Go buildinf:";

/// Searches piece by piece: the memory of a whole program would count as its child's in a benchmark.
fn holds(file: &mut impl Read, mark: &[u8]) -> std::io::Result<bool> {
    let mut window = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(false);
        }
        window.extend_from_slice(&piece[..length]);
        if window.windows(mark.len()).any(|w| w == mark) {
            return Ok(true);
        }
        // The mark may lie across two pieces.
        window.drain(..window.len().saturating_sub(mark.len() - 1));
    }
}

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
        let path = path.canonicalize().at("find", path)?;
        let mut file = std::fs::File::open(&path).at("read", &path)?;
        let reference = holds(&mut file, GO_MARK).at("read", &path)?;
        Ok(Self { path, reference })
    }

    /// Returns the checks of preflight to ignore on a lab node.
    #[must_use]
    pub fn ignore(&self, release: &Release) -> &'static str {
        if self.reference { release.reference_ignore } else { release.ignore }
    }

    /// Returns the flag that ignores them.
    #[must_use]
    pub fn ignore_flag(&self, release: &Release) -> String {
        format!("--ignore-preflight-errors={}", self.ignore(release))
    }

    /// Lists the images of a release.
    pub fn image_list(&self, release: &Release) -> Result<Vec<String>> {
        self.listed(&["--kubernetes-version", release.version])
    }

    /// Lists the images of kube-dns as v1.12 and v1.13 name them. The gate of v1.12 asks for it in few words.
    pub fn kube_dns_list(&self) -> Result<Vec<String>> {
        let gate = ["--kubernetes-version", "v1.12.10", "--feature-gates", "CoreDNS=false"];
        let mut all = self.listed(&gate)?;
        all.retain(|image| image.contains("/k8s-dns-"));
        Ok(all)
    }

    fn listed(&self, more: &[&str]) -> Result<Vec<String>> {
        let list = Run::limited(Duration::from_secs(30), &self.path)
            .args(["config", "images", "list"])
            .args(more)
            .read()?;
        let images: Vec<String> =
            list.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        match images.iter().find(|l| !l.contains('/') || l.contains(' ')) {
            Some(odd) => Err(Error::Unfit(format!("{} lists {odd:?} as an image", self.path.display()))),
            None => Ok(images),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_is_found_across_pieces() {
        for before in [0, (1 << 16) - 5, 1 << 16] {
            let mut content = vec![b'x'; before];
            content.extend_from_slice(GO_MARK);
            content.extend_from_slice(&[b'y'; 9]);
            assert!(holds(&mut content.as_slice(), GO_MARK).unwrap());
        }
        assert!(!holds(&mut b"\xff Go buildin".as_slice(), GO_MARK).unwrap());
    }
}
