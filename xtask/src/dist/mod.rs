//! `cargo xtask dist`: the packages of kubeadm, for the machine that the program is built for.
//!
//! Everything in them carries one time, the commit's or SOURCE_DATE_EPOCH, and belongs to root: the same program makes
//! the same packages, byte for byte.

mod contents;
mod deb;
mod notices;
mod program;
mod rpm;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kubeadm_lab::command::Run;
use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::scenario::Packages;
use kubeadm_lab::{Error, Result, progress};

use crate::build::{cargo, repository};
use contents::{MAINTAINER, Made, REVISION};
use program::Program;

/// Makes the packages of a kubeadm in `target/dist`.
pub(crate) fn make(kubeadm: &Kubeadm) -> Result<Packages> {
    if kubeadm.reference {
        let path = kubeadm.path.display();
        return Err(Error::Unfit(format!("{path} is the original kubeadm: its packages are made elsewhere")));
    }
    let made = gather(&kubeadm.path)?;
    let unfit = |what: &str, error: String| Error::Unfit(format!("cannot make the {what} package: {error}"));
    let packages = [
        (deb::name(&made), deb::build(&made).map_err(|e| unfit("deb", e.to_string()))?),
        (rpm::name(&made), rpm::build(&made).map_err(|e| unfit("rpm", e.to_string()))?),
    ];
    let folder = repository().join("target/dist");
    std::fs::create_dir_all(&folder).map_err(|source| io("make", &folder, source))?;
    let [deb, rpm] = packages.map(|(name, content)| {
        let path = folder.join(name);
        appear(&path, &content).map_err(|source| io("write", &path, source))?;
        progress::detail(format!("{} ({:.1} MB)", path.display(), content.len() as f64 / 1e6));
        Ok(path)
    });
    Ok(Packages { deb: deb?, rpm: rpm? })
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

/// Writes a file that is there when it is complete, and that everybody may read.
fn appear(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn gather(kubeadm: &Path) -> Result<Made> {
    progress::step(format!("make the packages of {}", kubeadm.display()));
    let program = Program::at(kubeadm)?;
    let time = time()?;
    let [bash, zsh, fish] =
        ["bash", "zsh", "fish"].map(|shell| Run::new(kubeadm).args(["completion", shell]).read());
    let document = |name: &str| {
        let path = repository().join(name);
        std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))
    };
    Ok(Made {
        changelog: changelog(&program.version, time),
        program,
        time,
        completions: [bash?, zsh?, fish?],
        man: man(time)?,
        notices: notices::collect()?,
        documents: vec![
            ("differences.md", document("docs/differences.md")?),
            ("packages.md", document("docs/packages.md")?),
        ],
        license: document("LICENSE")?,
    })
}

/// What all files carry as their time, as reproducible-builds.org has it.
fn time() -> Result<u32> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given,
        Err(_) => {
            Run::new("git").args(["log", "-1", "--format=%ct"]).dir(repository()).read().map_err(|e| {
                Error::Unfit(format!(
                    "no commit to take the time from: set SOURCE_DATE_EPOCH to seconds ({e})"
                ))
            })?
        }
    };
    text.trim().parse().map_err(|e| Error::Unfit(format!("{text:?} is no time in seconds since 1970: {e}")))
}

fn shown(time: u32, format: &str) -> String {
    Timestamp::from_second(time.into()).map(|t| t.strftime(format).to_string()).unwrap_or_default()
}

/// Debian's changelog, which a package must have: what changed is told by the history of the project.
fn changelog(version: &str, time: u32) -> String {
    let date = shown(time, "%a, %d %b %Y %H:%M:%S +0000");
    format!(
        "kubeadm ({version}-{REVISION}) unstable; urgency=medium\n\n  * Release {version}.\n\n -- {MAINTAINER}  {date}\n"
    )
}

/// The manual pages, written by a program that walks the tree of commands.
fn man(time: u32) -> Result<Vec<(String, String)>> {
    let folder = tempfile::tempdir().map_err(|source| io("make a folder in", Path::new("/tmp"), source))?;
    progress::during("write the manual pages", || {
        cargo()
            .args(["run", "--quiet", "--package", "kubeadm", "--example", "man", "--"])
            .args([folder.path()])
            .args([shown(time, "%Y-%m-%d")])
            .show()
    })?;
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))?))
    };
    let entries = std::fs::read_dir(folder.path()).map_err(|source| io("read", folder.path(), source))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changelog_is_dated_as_debian_wants_it() {
        let text = changelog("1.37.2", 1_700_000_000);
        assert!(text.starts_with("kubeadm (1.37.2-1) unstable; urgency=medium\n"), "{text}");
        assert!(text.ends_with(">  Tue, 14 Nov 2023 22:13:20 +0000\n"), "{text}");
    }

    #[test]
    fn packages_appear_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.deb");
        appear(&path, b"one").unwrap();
        appear(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
