//! The go.mod from which a release's commands build.
//!
//! Kubernetes' own go.mod replaces its staging modules by folders that its published module lacks. Here they are
//! replaced by their published versions: of each the newest patch up to the release's that the module proxy has,
//! for late patches are often missing there. All other lines are taken over as they are, but for modules that a later Go
//! needs otherwise or that are gone.

use std::path::Path;

use serde_json::Value;

use crate::command::retry;
use crate::error::At as _;
use crate::releases::Release;
use crate::{Error, Lab, Result, components};

/// How many patches before the release's a staging module may lag behind.
const OLDEST_LAG: u32 = 15;

/// Asks the module proxy for a module; `None` when it has no such version. That it cannot be asked is an error.
pub(crate) fn download(lab: &Lab, module: &str) -> Result<Option<Value>> {
    let empty = tempfile::tempdir().at("make a folder in", Path::new("/tmp"))?;
    let file = empty.path().join("go.mod");
    std::fs::write(&file, "module x\ngo 1.19\n").at("write", &file)?;
    retry(|| {
        let output = components::go(lab, "go")
            .args(["mod", "download", "-json", module])
            .dir(empty.path())
            .output()?;
        let Ok(answer) = serde_json::from_str::<Value>(&output.stdout) else {
            let said = output.success()?.text();
            return Err(Error::Unfit(format!("go mod download -json {module} printed no JSON: {said}")));
        };
        match answer["Error"].as_str() {
            None => Ok(Some(answer)),
            Some(error) if is_missing(error) => Ok(None),
            Some(error) => Err(Error::Unfit(format!("cannot learn whether there is {module}: {error}"))),
        }
    })
}

/// Tells whether Go's error says that there is no such version, and not that nobody could be asked. Some proxies forbid
/// what they do not have.
fn is_missing(error: &str) -> bool {
    let first = error.lines().next().unwrap_or_default();
    let words = ["403 Forbidden", "404 Not Found", "410 Gone", "unknown revision", "no matching versions"];
    words.iter().any(|w| first.contains(w))
}

/// Returns a field of what the proxy knows of a module that must exist.
pub(crate) fn downloaded(lab: &Lab, module: &str, field: &str) -> Result<String> {
    let answer = download(lab, module)?;
    let text = answer.as_ref().and_then(|a| a[field].as_str());
    text.map(str::to_owned).ok_or_else(|| Error::Unfit(format!("the Go module proxy does not have {module}")))
}

/// Writes `folder/go.mod` for a release, once; `instead` are modules with the versions that replace theirs.
pub(crate) fn write(lab: &Lab, release: &Release, instead: &[(&str, &str)], folder: &Path) -> Result<()> {
    let path = folder.join("go.mod");
    if path.exists() {
        return Ok(());
    }
    let theirs = downloaded(lab, &format!("k8s.io/kubernetes@{}", release.version), "GoMod")?;
    let theirs = std::fs::read_to_string(&theirs).at("read", Path::new(&theirs))?;
    let mut others: Vec<(String, String)> =
        instead.iter().map(|(module, version)| ((*module).into(), format!("{module} {version}"))).collect();
    if theirs.contains(LOST) {
        others.push((LOST.to_owned(), restore_lost(lab, folder)?));
    }
    let patch: u32 = release.version.rsplit('.').next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let text = rewrite(&theirs, release.version, &others, |module| {
        for patch in (patch.saturating_sub(OLDEST_LAG)..=patch).rev() {
            let version = format!("v0.{}.{patch}", release.minor);
            if download(lab, &format!("{module}@{version}"))?.is_some() {
                return Ok(format!("{module} {version}"));
            }
        }
        // Never published, as samples of old are, and then not built either.
        empty_module(folder, module)
    })?;
    std::fs::write(&path, text).at("write", &path)
}

fn empty_module(folder: &Path, module: &str) -> Result<String> {
    let target = format!("./none/{module}");
    let own = folder.join(&target);
    std::fs::create_dir_all(&own).at("make", &own)?;
    std::fs::write(own.join("go.mod"), format!("module {module}\n")).at("write", &own)?;
    Ok(target)
}

/// Its host is gone. The one package that is used of it lives on under another name.
const LOST: &str = "vbom.ml/util";

fn restore_lost(lab: &Lab, folder: &Path) -> Result<String> {
    let from = downloaded(lab, "github.com/fvbommel/sortorder@v1.0.1", "Dir")?;
    let text = Path::new(&from).join("natsort.go");
    let text = std::fs::read(&text).at("read", &text)?;
    let own = folder.join("vbom.ml");
    let package = own.join("sortorder");
    std::fs::create_dir_all(&package).at("make", &package)?;
    std::fs::write(package.join("natsort.go"), text).at("write", &package)?;
    std::fs::write(own.join("go.mod"), format!("module {LOST}\n")).at("write", &own)?;
    Ok("./vbom.ml".to_owned())
}

/// Rewrites Kubernetes' go.mod; `others` are modules with what replaces them, and `staging` tells that of a staging
/// module.
fn rewrite(
    theirs: &str,
    version: &str,
    others: &[(String, String)],
    staging: impl Fn(&str) -> Result<String>,
) -> Result<String> {
    let mut ours = vec!["module kube".to_owned()];
    ours.extend(theirs.lines().filter(|l| l.starts_with("go ")).map(str::to_owned));
    let mut in_godebug = false;
    for line in theirs.lines() {
        let starts = line.starts_with("godebug ");
        if starts || in_godebug {
            ours.push(line.to_owned());
        }
        in_godebug = if starts { line.ends_with('(') } else { in_godebug && line != ")" };
    }
    ours.push(format!("require k8s.io/kubernetes {version}"));
    ours.push("replace (".to_owned());
    ours.extend(others.iter().map(|(module, target)| format!("\t{module} => {target}")));
    for line in theirs.lines() {
        let line = line.trim().trim_start_matches("replace ").trim();
        let Some((module, target)) = line.split_once(" => ") else { continue };
        if others.iter().any(|(other, _)| other == module) {
            continue;
        }
        let target = match target.starts_with("./staging") {
            true => staging(module)?,
            false => target.to_owned(),
        };
        ours.push(format!("\t{module} => {target}"));
    }
    ours.push(")\n".to_owned());
    Ok(ours.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_fails_is_not_one_that_lacks_a_version() {
        let cases = [
            (
                "k8s.io/api@v0.37.9: reading https://p/k8s.io/api/@v/v0.37.9.info: 404 Not Found\n\tserver response:",
                true,
            ),
            ("k8s.io/api@v0.37.9: reading https://p/k8s.io/api/@v/v0.37.9.info: 410 Gone", true),
            ("k8s.io/api@v0.37.9: reading https://p/k8s.io/api/@v/v0.37.9.info: 403 Forbidden", true),
            ("k8s.io/api@v0.37.9: invalid version: unknown revision v0.37.9", true),
            ("k8s.io/api@v0.37: no matching versions for query \"v0.37\"", true),
            (
                "k8s.io/api@v0.37.9: reading https://p/k8s.io/api/@v/v0.37.9.info: 502 Bad Gateway\n\t404 Not Found",
                false,
            ),
            (
                "k8s.io/api@v0.37.9: Get \"https://p/k8s.io/api\": read tcp 10.0.0.1:1: connection reset by peer",
                false,
            ),
            ("k8s.io/api@v0.37.9: Get \"https://p/k8s.io/api\": net/http: TLS handshake timeout", false),
        ];
        for (error, missing) in cases {
            assert_eq!(is_missing(error), missing, "{error}");
        }
    }

    #[test]
    fn staging_modules_get_published_versions() {
        let theirs = "module k8s.io/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire (\n\ta v1\n)\n\n\
                      replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tb.c/d => e.f/g v2\n)\n";
        let ours = rewrite(theirs, "v1.37.2", &[], |m| Ok(format!("{m} v0.37.1-{}", m.len()))).unwrap();
        assert_eq!(
            ours,
            "module kube\ngo 1.26.0\ngodebug default=go1.26\nrequire k8s.io/kubernetes v1.37.2\nreplace (\n\
             \tk8s.io/api => k8s.io/api v0.37.1-10\n\tb.c/d => e.f/g v2\n)\n"
        );
    }

    #[test]
    fn other_modules_are_replaced_once() {
        let theirs =
            "module k8s.io/kubernetes\ngo 1.13\nreplace (\n\ta.b/c => a.b/c v1\n\td => ./staging/src/d\n)\n";
        let folder = tempfile::tempdir().unwrap();
        let others = [("a.b/c".to_owned(), "a.b/c v2".to_owned())];
        let ours = rewrite(theirs, "v1.16.15", &others, |m| empty_module(folder.path(), m)).unwrap();
        assert!(ours.ends_with("replace (\n\ta.b/c => a.b/c v2\n\td => ./none/d\n)\n"), "{ours}");
        let module = std::fs::read_to_string(folder.path().join("none/d/go.mod")).unwrap();
        assert_eq!(module, "module d\n");
    }
}
