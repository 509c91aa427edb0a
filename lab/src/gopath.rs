//! Builds the releases before Go modules (1.11 to 1.13) in GOPATH mode.
//!
//! The module of such a release carries its staging trees but neither a go.mod nor what it imports from others. Each
//! import that is missing is unpacked at its pinned version, until none is. A few files are changed, because the Go
//! that builds them is newer and there is no cgo; each change says why.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::Run;
use crate::error::At as _;
use crate::gomod::downloaded;
use crate::releases::Release;
use crate::{Error, Lab, Result, components, progress};

/// Builds `programs` of a release into its components folder.
pub(crate) fn build(
    lab: &Lab,
    release: &Release,
    pins: &str,
    instead: &[(&str, &str)],
    openapi_generator: &str,
    programs: &[&str],
) -> Result<()> {
    let folder = lab.components(release.version);
    let tree = Tree { lab, gopath: folder.join("gopath"), go: components::go_1_19(lab)? };
    let mut versions: HashMap<String, String> = pins
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(module, version)| (module.to_owned(), version.trim().to_owned()))
        .collect();
    versions.extend(instead.iter().map(|(m, v)| ((*m).to_owned(), (*v).to_owned())));

    progress::during(format!("unpack the sources of {}", release.version), || {
        tree.unpack_kubernetes(release)?;
        tree.replace_lost_modules()?;
        tree.switch_cadvisor_on()?;
        tree.suit_later_azure()
    })?;
    let mut packages: Vec<String> = programs.iter().map(|p| format!("./cmd/{p}")).collect();
    packages.push(openapi_generator.to_owned());
    progress::during("unpack what they import", || {
        // The second round is for what the changed files of cAdvisor import.
        tree.unpack_imports(&packages, &versions, false)?;
        tree.rid_cadvisor_of_cgo()?;
        tree.unpack_imports(&packages, &versions, true)
    })?;
    progress::during("generate the OpenAPI definitions", || {
        tree.generate_openapi(&folder, openapi_generator)
    })?;

    let info =
        lab.root().join(format!("go/pkg/mod/cache/download/k8s.io/kubernetes/@v/{}.info", release.version));
    let info = std::fs::read_to_string(&info).at("read", &info)?;
    let date = serde_json::from_str::<Value>(&info).ok().and_then(|i| i["Time"].as_str().map(str::to_owned));
    let stamped = ["k8s.io/kubernetes/pkg/version", "k8s.io/client-go/pkg/version"];
    let flags = components::stamps(release, &stamped, "unknown", &date.unwrap_or_default());
    for program in programs {
        progress::during(format!("build {program} {}", release.version), || {
            let output = folder.join("bin").join(program);
            let package = format!("./cmd/{program}");
            tree.go()
                .args(["build", "-p", "2", "-trimpath", "-ldflags", &flags, "-o"])
                .args([&output])
                .args([&package])
                .read()
        })?;
    }
    Ok(())
}

struct Tree<'a> {
    lab: &'a Lab,
    gopath: PathBuf,
    go: PathBuf,
}

impl Tree<'_> {
    fn source(&self, package: &str) -> PathBuf {
        self.gopath.join("src").join(package)
    }

    fn go(&self) -> Run {
        components::go(self.lab, &self.go)
            .env("GOPATH", &self.gopath)
            .env("GO111MODULE", "off")
            .env("GOFLAGS", "")
            .dir(&self.source("k8s.io/kubernetes"))
    }

    /// Copies a folder of the read-only module cache to where it can be changed.
    fn copy(&self, from: &str, to: &Path) -> Result<()> {
        let parent = to.parent().unwrap_or(to);
        std::fs::create_dir_all(parent).at("make", parent)?;
        Run::new("cp").args(["-r", "--no-preserve=mode", from]).args([to]).read().map(drop)
    }

    fn unpack_kubernetes(&self, release: &Release) -> Result<()> {
        let target = self.source("k8s.io/kubernetes");
        if target.exists() {
            return Ok(());
        }
        let from = downloaded(self.lab, &format!("k8s.io/kubernetes@{}", release.version), "Dir")?;
        let partial = self.source("k8s.io/kubernetes.partial");
        let _ = std::fs::remove_dir_all(&partial);
        self.copy(&from, &partial)?;
        let _ = std::fs::remove_dir_all(partial.join("vendor"));
        let staging = partial.join("staging/src/k8s.io");
        for entry in std::fs::read_dir(&staging).at("list", &staging)?.flatten() {
            let to = self.source("k8s.io").join(entry.file_name());
            let _ = std::fs::remove_dir_all(&to);
            std::fs::rename(entry.path(), &to).at("move", &to)?;
        }
        std::fs::rename(&partial, &target).at("move", &target)
    }

    /// Gives modules whose host is gone their later names' files, and NVML, which wants cgo, an empty body.
    fn replace_lost_modules(&self) -> Result<()> {
        for (lost, module) in [
            ("vbom.ml/util/sortorder", "github.com/fvbommel/sortorder@v1.0.1"),
            ("bitbucket.org/ww/goautoneg", "github.com/munnerz/goautoneg@v0.0.0-20120707110453-a547fc61f48d"),
        ] {
            let target = self.source(lost);
            if target.exists() {
                continue;
            }
            self.copy(&downloaded(self.lab, module, "Dir")?, &target)?;
            for entry in std::fs::read_dir(&target).at("list", &target)?.flatten() {
                if entry.file_name().to_string_lossy().ends_with("_test.go") {
                    std::fs::remove_file(entry.path()).at("remove", &entry.path())?;
                }
            }
        }
        let nvml = self.source("github.com/mindprince/gonvml");
        std::fs::create_dir_all(&nvml).at("make", &nvml)?;
        let file = nvml.join("none.go");
        if nvml.join("stub.go").exists() {
            return Ok(());
        }
        std::fs::write(&file, NVML_NONE).at("write", &file)
    }

    /// Without cgo build tags exclude cAdvisor from the kubelet, which then refuses to start.
    fn switch_cadvisor_on(&self) -> Result<()> {
        let folder = self.source("k8s.io/kubernetes/pkg/kubelet/cadvisor");
        for (file, tags) in [
            ("helpers_linux.go", "linux"),
            ("cadvisor_linux.go", "linux"),
            ("cadvisor_unsupported.go", "!linux,!windows"),
            ("helpers_unsupported.go", "!linux"),
        ] {
            edit(&folder.join(file), |text| match text.split_once('\n') {
                Some((first, rest)) if first.starts_with("// +build ") => format!("// +build {tags}\n{rest}"),
                _ => text.to_owned(),
            })?;
        }
        Ok(())
    }

    /// The login helper of 1.11 and 1.12 in the words of a later go-autorest: the one they name needs an azure-sdk that the
    /// module proxy does not have.
    fn suit_later_azure(&self) -> Result<()> {
        let file = self.source("k8s.io/client-go/plugin/pkg/client/auth/azure/azure.go");
        edit(&file, |text| {
            if text.contains("json.Number(") || !text.contains("adal.Token{") || text.contains("json.Number")
            {
                return text.to_owned();
            }
            let mut changed = Vec::new();
            for line in text.lines() {
                let mut line = line.to_owned();
                for field in ["ExpiresIn", "ExpiresOn", "NotBefore"] {
                    let given = line.trim_start().strip_prefix(&format!("{field}:")).map(str::trim);
                    if let Some(value) =
                        given.and_then(|v| v.strip_suffix(',')).filter(|v| v.starts_with("expires"))
                    {
                        line = format!("\t\t\t\t{field}: json.Number({value}),");
                    }
                    let token = format!("= token.token.{field}");
                    if line.ends_with(&token) {
                        line = line.replace(&token, &format!("= string(token.token.{field})"));
                    }
                }
                changed.push(line);
            }
            let text = changed.join("\n") + "\n";
            match text.contains("\"encoding/json\"") {
                true => text,
                false => text.replacen("import (\n", "import (\n\t\"encoding/json\"\n", 1),
            }
        })
    }

    /// cAdvisor's three small uses of cgo, in Go.
    fn rid_cadvisor_of_cgo(&self) -> Result<()> {
        let cadvisor = self.source("github.com/google/cadvisor");
        edit(&cadvisor.join("container/libcontainer/handler.go"), |text| {
            let text = text.replace("/*\n#include <unistd.h>\n*/\nimport \"C\"\n", "").replace(
                "i, err := C.sysconf(C._SC_NPROCESSORS_ONLN)",
                "i, err := runtime.NumCPU(), error(nil)",
            );
            if text.contains("\"runtime\"") {
                text
            } else {
                text.replacen("\t\"path\"\n", "\t\"path\"\n\t\"runtime\"\n", 1)
            }
        })?;
        edit(&cadvisor.join("utils/cpuload/netlink/defs.go"), |_| {
            "package netlink\n\nconst (\n\t__TASKSTATS_CMD_MAX = 3\n)\n".to_owned()
        })?;
        edit(&cadvisor.join("utils/procfs/jiffy.go"), |_| JIFFY.to_owned())
    }

    fn unpack_imports(
        &self,
        packages: &[String],
        versions: &HashMap<String, String>,
        all: bool,
    ) -> Result<()> {
        let mut tried = BTreeSet::new();
        loop {
            let missing = self.missing_imports(packages)?;
            let wanted: BTreeSet<String> = missing
                .iter()
                .map(|line| module_of(line))
                .filter(|module| !self.source(module).exists() && !tried.contains(module))
                .collect();
            if wanted.is_empty() {
                return match missing.first() {
                    Some(first) if all => Err(Error::Unfit(format!("an import cannot be resolved: {first}"))),
                    _ => Ok(()),
                };
            }
            for module in wanted {
                let version = versions
                    .get(&module)
                    .ok_or_else(|| Error::Unfit(format!("no version is pinned for the import {module}")))?;
                let from = downloaded(self.lab, &format!("{module}@{version}"), "Dir")?;
                self.copy(&from, &self.source(&module))?;
                tried.insert(module);
            }
        }
    }

    /// Lists the packages that Go fails to load.
    fn missing_imports(&self, packages: &[String]) -> Result<Vec<String>> {
        let format = "{{if not .Standard}}{{if .Error}}{{.ImportPath}}{{end}}{{end}}";
        let list = self.go().args(["list", "-e", "-deps", "-f", format]).args(packages).read()?;
        Ok(list.lines().filter(|l| !l.trim().is_empty()).map(str::to_owned).collect())
    }

    fn generate_openapi(&self, folder: &Path, generator_package: &str) -> Result<()> {
        let kubernetes = self.source("k8s.io/kubernetes");
        let target = kubernetes.join("pkg/generated/openapi/zz_generated.openapi.go");
        if target.exists() {
            return Ok(());
        }
        let generator = folder.join("openapi-gen");
        self.go().args(["build", "-p", "2", "-o"]).args([&generator]).args([generator_package]).read()?;
        // Every package below the Kubernetes and staging trees that asks for definitions by a comment.
        let marked = Run::script(
            r#"grep -rl --include=*.go '^// *+k8s:openapi-gen=' kubernetes/pkg kubernetes/cmd kubernetes/plugin \
               $(ls | grep -v -x -E 'kubernetes|gengo|klog|utils|heapster|kube-openapi|sample-.*|code-generator') |
               xargs -n1 dirname | LC_ALL=C sort -u | sed 's#^#k8s.io/#' | paste -sd,"#,
        );
        let marked = marked.dir(&self.source("k8s.io")).read()?;
        let root = self.go().args(["env", "GOROOT"]).read()?;
        let mut run = Run::new("nice")
            .args([&generator])
            .args(["--logtostderr", "-i", marked.trim(), "-p", "k8s.io/kubernetes/pkg/generated/openapi"])
            .args(["-O", "zz_generated.openapi", "-h"])
            .args([self.source("k8s.io/code-generator/hack/boilerplate.go.txt")]);
        // The one before it knows of no rules, and so of no report.
        if generator_package.starts_with("k8s.io/kube-openapi/") {
            run = run.args(["-r"]).args([folder.join("violations.report")]);
        }
        run.env("GOPATH", &self.gopath)
            .env("GO111MODULE", "off")
            .env("GOROOT", root.trim())
            .env("GOCACHE", self.lab.root().join("gocache"))
            .dir(&kubernetes)
            .read()
            .map(drop)
    }
}

fn edit(path: &Path, change: impl FnOnce(&str) -> String) -> Result<()> {
    let text = std::fs::read_to_string(path).at("read", path)?;
    let changed = change(&text);
    if changed == text { Ok(()) } else { std::fs::write(path, changed).at("write", path) }
}

/// Returns the module that a package of 2018 belongs to.
fn module_of(package: &str) -> String {
    let parts: Vec<&str> = package.split('/').collect();
    let length = match parts[0] {
        "github.com" | "bitbucket.org" | "golang.org" | "gonum.org" => 3,
        "gopkg.in" if !parts.get(1).is_some_and(|name| name.contains(".v")) => 3,
        _ => 2,
    };
    parts[..length.min(parts.len())].join("/")
}

const NVML_NONE: &str = r#"package gonvml

import (
	"errors"
	"time"
)

var errNone = errors.New("gonvml: built without cgo")

type Device struct{}

func Initialize() error                                            { return errNone }
func Shutdown() error                                              { return errNone }
func SystemDriverVersion() (string, error)                         { return "", errNone }
func DeviceCount() (uint, error)                                   { return 0, errNone }
func DeviceHandleByIndex(idx uint) (Device, error)                 { return Device{}, errNone }
func (d Device) MinorNumber() (uint, error)                        { return 0, errNone }
func (d Device) UUID() (string, error)                             { return "", errNone }
func (d Device) Name() (string, error)                             { return "", errNone }
func (d Device) MemoryInfo() (uint64, uint64, error)               { return 0, 0, errNone }
func (d Device) UtilizationRates() (uint, uint, error)             { return 0, 0, errNone }
func (d Device) AverageGPUUtilization(time.Duration) (uint, error) { return 0, errNone }
"#;

const JIFFY: &str = r#"package procfs

import "time"

// 100 a second on every Linux that Go runs on.
const userHz uint64 = 100

func JiffiesToDuration(jiffies uint64) time.Duration {
	return time.Duration(jiffies * (uint64(time.Second) / userHz))
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_packages() {
        assert_eq!(module_of("github.com/a/b/c/d"), "github.com/a/b");
        assert_eq!(module_of("gopkg.in/yaml.v2"), "gopkg.in/yaml.v2");
        assert_eq!(module_of("gopkg.in/square/go-jose.v2"), "gopkg.in/square/go-jose.v2");
        assert_eq!(module_of("k8s.io/klog/glog"), "k8s.io/klog");
    }
}
