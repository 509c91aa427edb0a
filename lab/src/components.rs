//! The programs of a cluster, built once from Go modules: static, stripped, stamped with their version.
//!
//! A program that exists is not built again. The Go module and build caches lie in the lab's folder too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::command::{Run, retry};
use crate::error::At as _;
use crate::releases::{Modules, Release, Source};
use crate::{Lab, Result, companions, gomod, gopath, openapi, progress};

/// The programs that a node and its images need.
pub const NEEDED: &[&str] =
    &["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl"];

/// Newer Go for modules, or the first found at the place where Go's own installer puts it.
fn go_program() -> PathBuf {
    let installed = Path::new("/usr/local/go/bin/go");
    let on_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("go").exists()));
    if on_path || !installed.exists() { "go".into() } else { installed.to_owned() }
}

/// Starts a command of a Go tool with the lab's caches; `program` `go` means the newest.
pub(crate) fn go(lab: &Lab, program: impl AsRef<Path>) -> Run {
    let program = program.as_ref();
    let newest = program == Path::new("go");
    let program = if newest { go_program() } else { program.to_owned() };
    let run = Run::new("nice").args([program.as_os_str()]);
    // Go 1.19's index of modules overlooks overlays. One that was downloaded as a module also takes its own index for
    // one of the folder where it runs, and finds nothing in it.
    let run = if newest { run } else { run.env("GODEBUG", "goindex=0") };
    run.env("GOPATH", lab.root().join("go"))
        .env("GOCACHE", lab.root().join("gocache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
}

/// Returns Go 1.19, which still builds GOPATH trees and the releases up to 1.24: Debian's, else Go's own by download.
pub(crate) fn go_1_19(lab: &Lab) -> Result<PathBuf> {
    let debian = PathBuf::from("/usr/lib/go-1.19/bin/go");
    if debian.exists() {
        return Ok(debian);
    }
    let root = retry(|| {
        go(lab, "go").args(["env", "GOROOT"]).env("GOTOOLCHAIN", "go1.19.13").dir(Path::new("/")).read()
    })?;
    Ok(Path::new(root.trim()).join("bin/go"))
}

/// Obtains everything that a cluster of `release` runs, and the reference kubeadm when asked for.
pub fn obtain(lab: &Lab, release: &Release, with_reference: bool) -> Result<()> {
    let mut wanted = NEEDED.to_vec();
    if with_reference {
        wanted.push("kubeadm");
    }
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !release.program(lab, name).exists()).collect();
    if !missing.is_empty() {
        progress::step(format!(
            "build {} of {}, once: about {} minutes on two cores",
            missing.join(", "),
            release.version,
            release.build_minutes
        ));
        let bin = lab.components(release.version).join("bin");
        std::fs::create_dir_all(&bin).at("make", &bin)?;
        match release.source {
            Source::Modules(modules) => build_modules(lab, release, &modules, &missing)?,
            Source::Gopath { pins, instead, openapi_generator } => {
                gopath::build(lab, release, pins, instead, openapi_generator, &missing)?;
            }
        }
    }
    companions::obtain(lab, release)
}

/// Version stamps as the linker wants them.
pub(crate) fn stamps(release: &Release, packages: &[&str], commit: &str, date: &str) -> String {
    let mut flags = "-s -w".to_owned();
    for package in packages {
        flags += &format!(
            " -X {package}.gitVersion={} -X {package}.gitMajor=1 -X {package}.gitMinor={} \
             -X {package}.gitTreeState=clean -X {package}.gitCommit={commit} -X {package}.buildDate={date}",
            release.version, release.minor
        );
    }
    flags
}

fn build_modules(lab: &Lab, release: &Release, modules: &Modules, programs: &[&str]) -> Result<()> {
    let folder = lab.components(release.version);
    progress::during(format!("find the modules of {}", release.version), || {
        gomod::write(lab, release, modules.instead, &folder)
    })?;
    let go_of_release = if modules.go_1_19 { go_1_19(lab)? } else { "go".into() };
    let mut shared: Vec<OsString> = vec!["-trimpath".into()];
    if modules.lacks_openapi {
        let overlay = progress::during("generate the OpenAPI definitions", || {
            openapi::overlay(lab, &go_of_release, &folder)
        })?;
        shared.extend(["-overlay".into(), overlay.into_os_string()]);
    }
    // The last two are of releases up to 1.16.
    let packages = [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
        "k8s.io/kubernetes/pkg/version",
        "k8s.io/kubectl/pkg/version",
    ];
    let flags = stamps(release, &packages, &"0".repeat(40), "2026-01-01T00:00:00Z");
    for program in programs {
        progress::during(format!("build {program} {}", release.version), || {
            retry(|| {
                let mut build = go(lab, &go_of_release).args(["build"]).args(&shared);
                if modules.kubelet_with_cgo && *program == "kubelet" {
                    // The tags keep other packages as they are without cgo.
                    build = build.env("CGO_ENABLED", "1").args(["-tags", "netgo,osusergo"]);
                }
                let package = format!("k8s.io/kubernetes/cmd/{program}");
                build.args(["-ldflags", &flags, "-o", "bin/", &package]).dir(&folder).read()
            })
        })?;
    }
    Ok(())
}

/// Obtains upstream's suite of checks for a cluster that kubeadm made, and returns its program.
pub fn suite(lab: &Lab, release: &Release) -> Result<PathBuf> {
    let program = release.program(lab, "e2e_kubeadm.test");
    if program.exists() {
        return Ok(program);
    }
    // Its own go.mod, as it needs more modules than the components.
    let folder = lab.components(release.version).join("e2e_kubeadm");
    std::fs::create_dir_all(&folder).at("make", &folder)?;
    progress::during(
        format!("build upstream's suite of {}, once: 4 to 10 minutes", release.version),
        || {
            gomod::write(lab, release, &[], &folder)?;
            retry(|| {
                go(lab, "go")
                    .args(["test", "-c", "-trimpath", "-ldflags", "-s -w", "-o"])
                    .args([&program])
                    .args(["k8s.io/kubernetes/test/e2e_kubeadm"])
                    .dir(&folder)
                    .read()
            })
        },
    )?;
    Ok(program)
}
