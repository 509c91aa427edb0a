//! Checks of files and directories.

use std::path::Path;

use super::Outcome;
use super::own::Own;
use crate::ports::View;
use crate::spec::InitSpec;

/// A manifest must not be there, unless it is our own.
pub(super) fn manifest_available(spec: &InitSpec, view: View<'_>, component: &str) -> Outcome {
    let path = spec.layout.manifest(component);
    if !view.files.exists(&path) || Own::look(spec, view).component(component) {
        return Outcome::good();
    }
    Outcome::error(format!("{} already exists", path.display()))
}

/// A directory must be absent or empty, unless it belongs to our own etcd.
pub(super) fn data_dir_available(spec: &InitSpec, view: View<'_>, dir: &str) -> Outcome {
    match view.files.list(Path::new(dir)) {
        Ok(None) => Outcome::good(),
        Ok(Some(names)) if names.is_empty() => Outcome::good(),
        Ok(Some(_)) if Own::look(spec, view).etcd => Outcome::good(),
        Ok(Some(_)) => Outcome::error(format!("{dir} is not empty")),
        Err(error) => Outcome::error(format!("unable to check if {dir} is empty: {error}")),
    }
}

/// A file that must exist.
pub(super) fn exists(view: View<'_>, path: &str) -> Outcome {
    if view.files.exists(Path::new(path)) {
        Outcome::good()
    } else {
        Outcome::error(format!("{path} doesn't exist"))
    }
}

/// A kernel switch that must be on. cmd/kubeadm/app/preflight/checks.go: FileContentCheck.
pub(super) fn switched_on(view: View<'_>, path: &str) -> Outcome {
    match view.files.read(Path::new(path)) {
        Ok(Some(content)) if content.first() == Some(&b'1') => Outcome::good(),
        Ok(Some(_)) => Outcome::error(format!("{path} contents are not set to 1")),
        Ok(None) => Outcome::error(format!("{path} does not exist")),
        Err(_) => Outcome::error(format!("{path} could not be read")),
    }
}
