//! The OpenAPI definitions that kube-apiserver needs and the modules of 1.15 to 1.23 lack, generated from its packages.
//!
//! The generator of that time knows only GOPATH: it gets one of links to the files of those packages. What it makes goes
//! by an overlay of `go build` to its place in a folder that is read-only.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command::retry;
use crate::error::At as _;
use crate::{Error, Lab, Result, components};

const SERVER: &str = "k8s.io/kubernetes/cmd/kube-apiserver";
const GENERATOR: &str = "k8s.io/kube-openapi/cmd/openapi-gen";
const PACKAGE: &str = "k8s.io/kubernetes/pkg/generated/openapi";
/// The name by which the package's build expects it.
const FILE: &str = "zz_generated.openapi.go";

/// Returns the file that `go build -overlay` wants, after generating the definitions once. `folder` has the release's
/// go.mod, and `go` is what builds it.
pub(crate) fn overlay(lab: &Lab, go: &Path, folder: &Path) -> Result<PathBuf> {
    let (overlay, made) = (folder.join("overlay.json"), folder.join(FILE));
    if overlay.exists() && made.exists() {
        return Ok(overlay);
    }
    let work = folder.join("openapi");
    let _ = std::fs::remove_dir_all(&work);
    let source = work.join("src");
    std::fs::create_dir_all(&source).at("make", &source)?;
    let go = || components::go(lab, go);
    let generator = work.join("openapi-gen");
    retry(|| go().args(["build", "-o"]).args([&generator]).args([GENERATOR]).dir(folder).read())?;
    let format = "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}";
    let list = retry(|| go().args(["list", "-deps", "-f", format, SERVER]).dir(folder).read())?;
    let packages: Vec<(&str, &Path)> =
        list.lines().filter_map(|l| l.split_once(' ')).map(|(name, dir)| (name, Path::new(dir))).collect();
    let mut marked = Vec::new();
    for (name, from) in &packages {
        if link_files(from, &source.join(name))? && name.starts_with("k8s.io/") {
            marked.push(*name);
        }
    }
    let place = packages.iter().find(|(name, _)| *name == PACKAGE).map(|(_, from)| from.join(FILE));
    let place = place.ok_or_else(|| Error::Unfit(format!("{SERVER} does not import {PACKAGE}")))?;

    let root = go().args(["env", "GOROOT"]).dir(folder).read()?;
    components::go(lab, &generator)
        .args(["-i", &marked.join(","), "-p", PACKAGE, "-O", FILE.trim_end_matches(".go")])
        .args(["-h", "/dev/null", "-r"])
        .args([work.join("violations")])
        .env("GOPATH", &work)
        .env("GOROOT", root.trim())
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .dir(&source.join("k8s.io/kubernetes"))
        .read()?;
    let generated = source.join(PACKAGE).join(FILE);
    std::fs::rename(&generated, &made).at("move", &generated)?;
    let _ = std::fs::remove_dir_all(&work);
    let text = json!({"Replace": {place.to_string_lossy(): made.to_string_lossy()}}).to_string();
    std::fs::write(&overlay, text).at("write", &overlay)?;
    Ok(overlay)
}

/// Links a package's Go files into a GOPATH, and tells whether one of them asks for definitions by a comment.
fn link_files(from: &Path, to: &Path) -> Result<bool> {
    std::fs::create_dir_all(to).at("make", to)?;
    let mut asks = false;
    for entry in std::fs::read_dir(from).at("list", from)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "go") {
            let link = to.join(entry.file_name());
            std::os::unix::fs::symlink(&path, &link).at("link", &link)?;
            asks |= asks_for_definitions(&std::fs::read_to_string(&path).at("read", &path)?);
        }
    }
    Ok(asks)
}

fn asks_for_definitions(text: &str) -> bool {
    let comments = text.lines().filter_map(|line| line.strip_prefix("//"));
    comments.into_iter().any(|words| words.trim_start().starts_with("+k8s:openapi-gen="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_ask_by_a_comment() {
        assert!(asks_for_definitions("// Copyright\n\n// +k8s:openapi-gen=true\n\npackage v1\n"));
        assert!(asks_for_definitions("//+k8s:openapi-gen=false\ntype T struct{}\n"));
        assert!(!asks_for_definitions(
            "/* +k8s:openapi-gen=true */\n// see +k8s:openapi-gen=true\npackage v1\n"
        ));
    }

    #[test]
    fn only_go_files_are_linked() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("doc.go"), "// +k8s:openapi-gen=true\npackage v1\n").unwrap();
        std::fs::write(from.path().join("BUILD"), "go_library()\n").unwrap();
        let package = to.path().join("k8s.io/api/core/v1");
        assert!(link_files(from.path(), &package).unwrap());
        assert!(package.join("doc.go").is_symlink());
        assert!(!package.join("BUILD").exists());
    }
}
