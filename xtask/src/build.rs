//! Builds what the tests and the lab run.

use std::path::{Path, PathBuf};

use kubeadm_lab::command::Run;
use kubeadm_lab::{Error, Result, progress};

/// The repository, as compiled in: `cargo xtask` always runs from its own checkout.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Starts a cargo command in the repository.
pub(crate) fn cargo() -> Run {
    Run::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).dir(repository())
}

/// The compiler's name for this kind of machine.
pub(crate) fn host() -> Result<String> {
    let about = Run::new("rustc").args(["-vV"]).dir(repository()).read()?;
    let host = about.lines().find_map(|l| l.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::Unfit(format!("rustc -vV names no host:\n{about}")))
}

/// Builds the program that is shipped: optimised, static, stripped. Returns its path.
///
/// The target is named so that the linker's flags reach our program and not the build scripts.
pub(crate) fn release() -> Result<PathBuf> {
    let host = host()?;
    progress::during("build kubeadm (static, optimised; minutes when nothing is cached)", || {
        cargo()
            .args(["build", "--quiet", "--release", "--package", "kubeadm", "--target", &host])
            .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
            .show()
    })?;
    Ok(repository().join("target").join(host).join("release/kubeadm"))
}
