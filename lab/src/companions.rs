//! What a cluster runs that is not of Kubernetes: etcd, CoreDNS, kube-dns and pause, each built once when first needed.
//!
//! No release runs with every version of them. The types here name those that the lab has, and what tells them apart.

use std::path::{Path, PathBuf};

use crate::command::{Run, retry};
use crate::components::{go, go_1_19};
use crate::error::At as _;
use crate::gomod::downloaded;
use crate::releases::Release;
use crate::{Lab, Result, packages, progress};

/// An etcd. Which one a release can have follows from the flags and probes that kubeadm gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etcd {
    /// Debian's 3.4. Probes of 2018 call its etcdctl with an address that one built with a Go of today refuses.
    V3_4,
    /// 3.5.35: knows `--experimental-*` flags, and answers /livez and /readyz.
    V3_5,
    /// 3.7.0: knows those flags without `experimental` only.
    V3_7,
}

impl Etcd {
    const fn folder(self) -> &'static str {
        match self {
            Self::V3_4 => "aux-old",
            Self::V3_5 => "etcd-3.5",
            Self::V3_7 => "aux",
        }
    }

    /// Returns the path of `etcd` or `etcdctl`.
    #[must_use]
    pub fn program(self, lab: &Lab, name: &str) -> PathBuf {
        lab.program(self.folder(), name)
    }

    fn obtain(self, lab: &Lab) -> Result<()> {
        let version = match self {
            Self::V3_4 => return copy_debians_etcd(lab, self),
            Self::V3_5 => "v3.5.35",
            Self::V3_7 => "v3.7.0",
        };
        build_tool(lab, self.folder(), "etcd", "go.etcd.io/etcd/server/v3", version)?;
        build_tool(lab, self.folder(), "etcdctl", "go.etcd.io/etcd/etcdctl/v3", version)
    }
}

/// A CoreDNS. Which one a release can have follows from the Corefile, and from the APIs that its clusters have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreDns {
    /// 1.4.0: Corefiles of 2018 use its plugin `proxy`, which 1.5 lacks.
    V1_4,
    /// 1.7.0: knows `ready` and `max_concurrent`, and does without EndpointSlice v1, which clusters have from 1.21.
    V1_7,
    /// 1.14.6.
    V1_14,
}

impl CoreDns {
    const fn folder(self) -> &'static str {
        match self {
            Self::V1_4 => "aux-old",
            Self::V1_7 => "coredns-1.7",
            Self::V1_14 => "aux",
        }
    }

    /// Returns the path of the program.
    #[must_use]
    pub fn program(self, lab: &Lab) -> PathBuf {
        lab.program(self.folder(), "coredns")
    }

    fn obtain(self, lab: &Lab) -> Result<()> {
        if self.program(lab).exists() {
            return Ok(());
        }
        match self {
            Self::V1_4 => {
                // It has no go.mod of its own; 1.5.0's requirements build it.
                let theirs = downloaded(lab, "github.com/coredns/coredns@v1.5.0", "GoMod")?;
                let theirs = std::fs::read_to_string(&theirs).at("read", Path::new(&theirs))?;
                // The system call package of that time does not compile with a Go that has modules.
                self.build_old(
                    lab,
                    &coredns_module(&theirs),
                    &["core/plugin"],
                    Some("golang.org/x/sys@v0.13.0"),
                )
            }
            Self::V1_7 => {
                let module = "module t\n\ngo 1.13\n\nrequire github.com/coredns/coredns v1.7.0\n\n\
                              replace github.com/modern-go/reflect2 => github.com/modern-go/reflect2 v1.0.2\n";
                // Only those of kubeadm's Corefiles: the modules of some others are gone.
                self.build_old(lab, module, PLUGINS, None)
            }
            Self::V1_14 => build_tool(lab, self.folder(), "coredns", "github.com/coredns/coredns", "v1.14.6"),
        }
    }

    fn build_old(self, lab: &Lab, module: &str, imports: &[&str], raised: Option<&str>) -> Result<()> {
        let source = lab.components(self.folder()).join("src-coredns");
        std::fs::create_dir_all(&source).at("make", &source)?;
        std::fs::write(source.join("go.mod"), module).at("write", &source)?;
        std::fs::write(source.join("main.go"), coredns_main(imports)).at("write", &source)?;
        let go_old = go_1_19(lab)?;
        let go_old = || go(lab, &go_old).dir(&source);
        progress::during(format!("build coredns {self:?}"), || {
            retry(|| {
                if let Some(raised) = raised {
                    go_old().args(["get", raised]).read()?;
                }
                go_old().args(["mod", "tidy"]).read()?;
                go_old().args(["build", "-trimpath", "-ldflags", "-s -w", "-o", "../bin/coredns", "."]).read()
            })
        })
        .map(drop)
    }
}

/// The plugins of the Corefiles of 1.16 to 1.20.
const PLUGINS: &[&str] = &[
    "plugin/cache",
    "plugin/errors",
    "plugin/forward",
    "plugin/health",
    "plugin/kubernetes",
    "plugin/loadbalance",
    "plugin/loop",
    "plugin/metrics",
    "plugin/ready",
    "plugin/reload",
];

/// Obtains what clusters of a release run besides Kubernetes.
pub fn obtain(lab: &Lab, release: &Release) -> Result<()> {
    build_pause(lab)?;
    release.etcd.obtain(lab)?;
    release.coredns.obtain(lab)
}

/// Builds a program of a module with a Go of today.
fn build_tool(lab: &Lab, set: &str, name: &str, module: &str, version: &str) -> Result<()> {
    if lab.program(set, name).exists() {
        return Ok(());
    }
    let source = lab.components(set).join(format!("src-{name}"));
    std::fs::create_dir_all(&source).at("make", &source)?;
    let text = format!("module t\ngo 1.26.0\nrequire {module} {version}\ntool {module}\n");
    std::fs::write(source.join("go.mod"), text).at("write", &source)?;
    progress::during(format!("build {name} {version}"), || {
        retry(|| {
            go(lab, "go").args(["mod", "tidy", "-e"]).dir(&source).read()?;
            let output = format!("../bin/{name}");
            go(lab, "go")
                .args(["build", "-trimpath", "-ldflags", "-s -w", "-o", &output, module])
                .dir(&source)
                .read()
        })
    })
    .map(drop)
}

fn copy_debians_etcd(lab: &Lab, etcd: Etcd) -> Result<()> {
    packages::install_etcd()?;
    for name in ["etcd", "etcdctl"] {
        let program = etcd.program(lab, name);
        if !program.exists() {
            let folder = program.parent().unwrap_or(&program);
            std::fs::create_dir_all(folder).at("make", folder)?;
            std::fs::copy(Path::new("/usr/bin").join(name), &program).at("copy to", &program)?;
        }
    }
    Ok(())
}

/// Returns the path of the pause program.
#[must_use]
pub fn pause(lab: &Lab) -> PathBuf {
    lab.program("aux", "pause")
}

fn build_pause(lab: &Lab) -> Result<()> {
    let (pause, source) = (pause(lab), lab.components("aux").join("pause.c"));
    let current = std::fs::read_to_string(&source).is_ok_and(|text| text == PAUSE);
    if !pause.exists() || !current {
        let folder = pause.parent().unwrap_or(&pause);
        std::fs::create_dir_all(folder).at("make", folder)?;
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
            retry(|| {
                Run::new("git")
                    .args(["clone", "-q", "--depth", "1", "--branch", KUBE_DNS])
                    .args(["https://github.com/kubernetes/dns"])
                    .args([&source])
                    .read()
            })
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

/// The main package of a CoreDNS that has the plugins which `imports` register.
fn coredns_main(imports: &[&str]) -> String {
    let imports: String =
        imports.iter().map(|path| format!("\t_ \"github.com/coredns/coredns/{path}\"\n")).collect();
    format!(
        "package main\n\nimport (\n\t\"github.com/coredns/coredns/coremain\"\n{imports})\n\nfunc main() {{ coremain.Run() }}\n"
    )
}

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
