//! The programs of a cluster, built once from Go modules: static, stripped, stamped with their version.
//!
//! A program that exists is not built again. The Go module and build caches lie in the lab's folder too.

use std::path::{Path, PathBuf};

use crate::command::Run;
use crate::error::At as _;
use crate::gomod::{self, downloaded};
use crate::releases::{Release, Source};
use crate::{Lab, Result, gopath, packages, progress};

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
    let program = if program == Path::new("go") { go_program() } else { program.to_owned() };
    Run::new("nice")
        .args([program.as_os_str()])
        .env("GOPATH", lab.root().join("go"))
        .env("GOCACHE", lab.root().join("gocache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
}

/// Returns Go 1.19, which still builds GOPATH trees and packages of 2018: Debian's, else Go's own by download.
pub(crate) fn go_1_19(lab: &Lab) -> Result<PathBuf> {
    let debian = PathBuf::from("/usr/lib/go-1.19/bin/go");
    if debian.exists() {
        return Ok(debian);
    }
    let root =
        go(lab, "go").args(["env", "GOROOT"]).env("GOTOOLCHAIN", "go1.19.13").dir(Path::new("/")).read()?;
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
            Source::Modules => build_modules(lab, release, &missing)?,
            Source::Gopath { pins, instead, openapi_generator } => {
                gopath::build(lab, release, pins, instead, openapi_generator, &missing)?;
            }
        }
    }
    build_aux(lab)?;
    if release.aux == "aux-old" {
        build_aux_old(lab)?;
    }
    Ok(())
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

fn build_modules(lab: &Lab, release: &Release, programs: &[&str]) -> Result<()> {
    let folder = lab.components(release.version);
    progress::during(format!("find the modules of {}", release.version), || {
        gomod::write(lab, release, &folder)
    })?;
    let packages = [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
        "k8s.io/kubernetes/pkg/version",
        "k8s.io/kubectl/pkg/version",
    ];
    let flags = stamps(release, &packages, &"0".repeat(40), "2026-01-01T00:00:00Z");
    for program in programs {
        progress::during(format!("build {program} {}", release.version), || {
            let package = format!("k8s.io/kubernetes/cmd/{program}");
            go(lab, "go")
                .args(["build", "-trimpath", "-ldflags", &flags, "-o", "bin/", &package])
                .dir(&folder)
                .read()
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
            gomod::write(lab, release, &folder)?;
            go(lab, "go")
                .args(["test", "-c", "-trimpath", "-ldflags", "-s -w", "-o"])
                .args([&program])
                .args(["k8s.io/kubernetes/test/e2e_kubeadm"])
                .dir(&folder)
                .read()
        },
    )?;
    Ok(program)
}

/// Obtains kube-dns: its repository carries all that its three programs import. dnsmasq is Debian's.
pub fn obtain_kube_dns(lab: &Lab) -> Result<()> {
    packages::install_dnsmasq()?;
    let gopath = lab.components("dns").join("gopath");
    let source = gopath.join("src/k8s.io/dns");
    let programs = ["kube-dns", "dnsmasq-nanny", "sidecar"];
    if programs.iter().all(|name| lab.program("dns", name).exists()) {
        return Ok(());
    }
    if !source.exists() {
        progress::during(format!("fetch kube-dns {KUBE_DNS}"), || {
            Run::new("git")
                .args([
                    "clone",
                    "-q",
                    "--depth",
                    "1",
                    "--branch",
                    KUBE_DNS,
                    "https://github.com/kubernetes/dns",
                ])
                .args([&source])
                .read()
        })?;
    }
    let go_old = go_1_19(lab)?;
    progress::during(format!("build kube-dns {KUBE_DNS}, once"), || {
        programs.iter().try_for_each(|name| {
            go(lab, &go_old)
                .env("GOPATH", &gopath)
                .env("GO111MODULE", "off")
                .env("GOFLAGS", "")
                .args(["build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o"])
                .args([lab.program("dns", name)])
                .args([format!("./cmd/{name}")])
                .dir(&source)
                .read()
                .map(drop)
        })
    })
}

/// The tag that kubeadm of 1.12 and 1.13 installs.
const KUBE_DNS: &str = "1.14.13";

/// etcd, etcdctl and CoreDNS of today, and the pause program.
fn build_aux(lab: &Lab) -> Result<()> {
    let tools = [
        ("etcd", "go.etcd.io/etcd/server/v3", "v3.7.0"),
        ("etcdctl", "go.etcd.io/etcd/etcdctl/v3", "v3.7.0"),
        ("coredns", "github.com/coredns/coredns", "v1.14.6"),
    ];
    let folder = lab.components("aux");
    for (name, module, version) in tools {
        if lab.program("aux", name).exists() {
            continue;
        }
        let source = folder.join(format!("src-{name}"));
        std::fs::create_dir_all(&source).at("make", &source)?;
        let text = format!("module t\ngo 1.26.0\nrequire {module} {version}\ntool {module}\n");
        std::fs::write(source.join("go.mod"), text).at("write", &source)?;
        progress::during(format!("build {name} {version}"), || {
            go(lab, "go").args(["mod", "tidy", "-e"]).dir(&source).read()?;
            let output = format!("../bin/{name}");
            go(lab, "go")
                .args(["build", "-trimpath", "-ldflags", "-s -w", "-o", &output, module])
                .dir(&source)
                .read()
        })?;
    }
    let (pause, source) = (lab.program("aux", "pause"), folder.join("pause.c"));
    let current = std::fs::read_to_string(&source).is_ok_and(|text| text == PAUSE);
    if !pause.exists() || !current {
        std::fs::write(&source, PAUSE).at("write", &source)?;
        Run::new("gcc").args(["-O2", "-static", "-s", "-o"]).args([&pause, &source]).read()?;
    }
    Ok(())
}

/// Waits for ever, collects orphans, and ends at once when told to. With `-v` it only says its version: an upgrade runs it
/// so to see whether pods run.
const PAUSE: &str = r#"#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int s) { (void)s; _exit(0); }
static void collect(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(int count, char **words) {
	if (count > 1 && words[1][0] == '-' && words[1][1] == 'v') {
		static const char version[] = "pause of the lab\n";
		return write(1, version, sizeof version - 1) < 0;
	}
	signal(SIGINT, end);
	signal(SIGTERM, end);
	signal(SIGCHLD, collect);
	for (;;) pause();
}
"#;

/// etcd 3.4 from Debian, and CoreDNS 1.4.0: Corefiles of 2018 use its plugin `proxy`, which 1.5 lacks.
fn build_aux_old(lab: &Lab) -> Result<()> {
    let folder = lab.components("aux-old");
    std::fs::create_dir_all(folder.join("bin")).at("make", &folder)?;
    for name in ["etcd", "etcdctl"] {
        let program = lab.program("aux-old", name);
        if !program.exists() {
            std::fs::copy(Path::new("/usr/bin").join(name), &program).at("copy to", &program)?;
        }
    }
    if lab.program("aux-old", "coredns").exists() {
        return Ok(());
    }
    let source = folder.join("src-coredns");
    std::fs::create_dir_all(&source).at("make", &source)?;
    // 1.4.0 has no go.mod of its own; 1.5.0's requirements build it.
    let theirs = downloaded(lab, "github.com/coredns/coredns@v1.5.0", "GoMod")?;
    let theirs = std::fs::read_to_string(&theirs).at("read", Path::new(&theirs))?;
    let text = coredns_module(&theirs);
    std::fs::write(source.join("go.mod"), text).at("write", &source)?;
    std::fs::write(source.join("main.go"), COREDNS_MAIN).at("write", &source)?;
    let go_old = go_1_19(lab)?;
    progress::during("build coredns 1.4.0", || {
        // A Go 1.19 that was downloaded as a module takes its index of modules for one of this folder, and finds nothing
        // in it. Debian's does not.
        let go_old = || go(lab, &go_old).env("GODEBUG", "goindex=0").dir(&source);
        // The system call package of that time does not compile with a Go that has modules.
        go_old().args(["get", "golang.org/x/sys@v0.13.0"]).read()?;
        go_old().args(["mod", "tidy"]).read()?;
        go_old().args(["build", "-trimpath", "-ldflags", "-s -w", "-o", "../bin/coredns", "."]).read()
    })?;
    Ok(())
}

const COREDNS_MAIN: &str = r#"package main

import (
	_ "github.com/coredns/coredns/core/plugin"
	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
"#;

/// Puts the requirements and replacements of another version's go.mod around a requirement of 1.4.0.
fn coredns_module(theirs: &str) -> String {
    let mut ours = "module t\n\ngo 1.19\n".to_owned();
    let mut inside = false;
    for line in theirs.lines() {
        let starts = line.starts_with("require") || line.starts_with("replace");
        if starts || inside {
            ours += line;
            ours.push('\n');
        }
        inside = if starts { line.ends_with('(') } else { inside && line != ")" };
    }
    ours + "require github.com/coredns/coredns v1.4.0\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coredns_module_keeps_requirements_and_replacements() {
        let theirs = "module x\n\ngo 1.12\n\nrequire (\n\ta v1\n)\n\nreplace b => c v2\n\nexclude d v3\n";
        let ours = coredns_module(theirs);
        assert_eq!(
            ours,
            "module t\n\ngo 1.19\nrequire (\n\ta v1\n)\nreplace b => c v2\nrequire github.com/coredns/coredns v1.4.0\n"
        );
    }
}
