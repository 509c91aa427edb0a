//! SystemVerification: kernel, operating system, control groups, and Docker where it is the runtime.
//!
//! What upstream's system-validators do, without touching the machine: no kernel module is loaded to read the
//! kernel's configuration, and no control group is made to see whether it can be frozen.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use kubeadm_config::component::fail_cgroup_v1;
use kubeadm_release::facts::preflight::{Cgroups, Docker, Kernel, Severity};
use kubeadm_release::{Version, skew};
use regex_lite::Regex;

use super::{Outcome, checks};
use crate::backoff;
use crate::kubelet::installed;
use crate::ports::{DockerEngine, FileKind, View};
use crate::spec::InitSpec;

const HEADING: &str =
    "[preflight] The system verification failed. Printing the output from the verification:";

const MAINTENANCE: &str = "cgroups v1 support is in maintenance mode, please migrate to cgroups v2";

/// Verifies the machine.
pub(super) async fn verify(spec: &InitSpec, view: View<'_>) -> Outcome {
    let facts = &spec.release.preflight;
    let mount = CgroupMount::find(view);
    let mut findings = Findings::default();
    findings.kernel(&facts.kernel, mount.as_ref(), view);
    findings.operating_system(view);
    match &mount {
        None => findings.error(
            "cannot get a cgroup mount point: cannot get a cgroupfs mount point from \"/proc/mounts\"".into(),
        ),
        Some(mount) => {
            match facts.cgroups.v1.filter(|_| !mount.v2) {
                None => {}
                Some(Severity::Warning) => findings.warning(MAINTENANCE.into()),
                Some(Severity::Error) => match installed(view.system).await {
                    Err(error) => findings.error(format!("couldn't get kubelet version: {error}")),
                    Ok(version) => findings.deprecated_cgroups(spec, &version),
                },
            }
            findings.cgroups(&facts.cgroups, mount, spec, view);
        }
    }
    if let Some(docker) = facts.docker.as_ref().filter(|_| checks::docker(spec)) {
        findings.docker(docker, view).await;
    }
    findings.into_outcome()
}

/// What is not as it should be.
#[derive(Default)]
struct Findings {
    outcome: Outcome,
    /// `KEY: VALUE`. Upstream lists what is good too, in colours that end up in log files.
    report: Vec<String>,
}

impl Findings {
    fn error(&mut self, text: String) {
        self.outcome.errors.push(text);
    }

    fn warning(&mut self, text: String) {
        self.outcome.warnings.push(text);
    }

    fn add(&mut self, severity: Severity, text: String) {
        match severity {
            Severity::Error => self.error(text),
            Severity::Warning => self.warning(text),
        }
    }

    fn note(&mut self, key: &str, value: &str) {
        self.report.push(format!("{key}: {value}"));
    }

    fn into_outcome(self) -> Outcome {
        let report = std::iter::once(HEADING.to_owned()).chain(self.report).collect::<Vec<_>>().join("\n");
        Outcome { report: Some(report), ..self.outcome }
    }

    // --- kernel -----------------------------------------------------------------------------------------------

    fn kernel(&mut self, facts: &Kernel, mount: Option<&CgroupMount>, view: View<'_>) {
        let release = view.system.uname().release;
        if !matches_any(facts.releases, &release) {
            self.note("KERNEL_VERSION", &release);
            self.add(
                facts.severity,
                match facts.note {
                    "" => format!("unsupported kernel release: {release}"),
                    note => format!("kernel release {release} is unsupported. {note}"),
                },
            );
        }
        let options = match kernel_options(view, &release) {
            Ok(options) => options,
            // Upstream calls this an error, although nothing is known to be missing (quirk 42).
            Err(text) => return self.warning(text),
        };
        let of_version = match mount {
            Some(CgroupMount { v2: true, .. }) => facts.required_v2.unwrap_or_default(),
            Some(_) => facts.required_v1,
            None => &[],
        };
        let missing: Vec<String> = facts
            .required
            .iter()
            .chain(of_version)
            .filter_map(|names| self.option(&options, names, ""))
            .collect();
        if !missing.is_empty() {
            self.error(format!("unexpected kernel config: {}", missing.join(" ")));
        }
        for names in facts.optional {
            self.option(&options, names, " (optional)");
        }
    }

    /// Looks for a kernel option under its names (`A|B`); returns the last one if none is enabled.
    fn option(&mut self, options: &BTreeMap<String, char>, names: &str, remark: &str) -> Option<String> {
        if names.split('|').any(|name| matches!(options.get(name), Some('y' | 'm'))) {
            return None;
        }
        let name = names.rsplit('|').next()?;
        let key = format!("CONFIG_{name}");
        let state = if options.contains_key(name) { "disabled" } else { "not set" };
        self.note(&key, &format!("{state}{remark}"));
        Some(key)
    }

    // --- operating system and control groups ------------------------------------------------------------------

    fn operating_system(&mut self, view: View<'_>) {
        let name = view.system.uname().sysname;
        if name != "Linux" {
            self.note("OS", &name);
            self.error(format!("unsupported operating system: {name}"));
        }
    }

    /// Upstream's error stays one although the user has configured the kubelet for cgroups v1, as it demands.
    fn deprecated_cgroups(&mut self, spec: &InitSpec, kubelet: &Version) {
        const DEPRECATED: &str = "cgroups v1 support is deprecated and will be removed in a future release. Please migrate to cgroups v2.";
        const SEE: &str =
            "For more information, see https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1";
        if fail_cgroup_v1(&spec.kubelet.value) == Some(false) {
            return self.warning(format!("{DEPRECATED} {SEE}"));
        }
        let text = format!(
            "{DEPRECATED} To explicitly enable cgroups v1 support for kubelet v1.35 or newer, you must set the kubelet configuration option 'FailCgroupV1' to 'false'. {SEE}"
        );
        if skew::kubelet_refuses_cgroups_v1(kubelet) { self.error(text) } else { self.warning(text) }
    }

    fn cgroups(&mut self, facts: &Cgroups, mount: &CgroupMount, spec: &InitSpec, view: View<'_>) {
        let (required, optional) = match (mount.v2, facts.v2_required) {
            (false, _) => (facts.v1_required, facts.v1_optional),
            (true, Some(required)) => (required, facts.v2_optional),
            (true, None) => {
                return self.error(format!(
                    "Kubernetes v{} does not know cgroups v2, and its kubelet cannot start with it. Boot this host with cgroups v1 (kernel parameter systemd.unified_cgroup_hierarchy=0)",
                    spec.version.bare()
                ));
            }
        };
        let there = mount.controllers(view);
        let mut missing = |names: &[&str]| -> Vec<String> {
            let missing: Vec<&&str> = names.iter().filter(|name| !there.iter().any(|t| t == *name)).collect();
            for name in &missing {
                self.note(&format!("CGROUPS_{}", name.to_uppercase()), "missing");
            }
            missing.into_iter().map(|name| (*name).to_owned()).collect()
        };
        let (required, optional) = (missing(required), missing(optional));
        // Beside the error about cgroups v1, not in its place (quirk 21).
        if !required.is_empty() {
            self.error(format!("missing required cgroups: {}", required.join(" ")));
        }
        if !optional.is_empty() {
            self.warning(format!("missing optional cgroups: {}", optional.join(" ")));
        }
    }

    // --- Docker -----------------------------------------------------------------------------------------------

    /// cmd/kubeadm/app/util/system/docker_validator.go, 1.13.
    async fn docker(&mut self, facts: &Docker, view: View<'_>) {
        let status = match backoff::of_runtime(view.clock, || view.runtime.status()).await {
            Ok(status) => status,
            Err(error) => return self.error(format!("failed to get docker info: {error}")),
        };
        let Some(DockerEngine { version, graph_driver }) = &status.docker else {
            return self.error("failed to get docker info: the container runtime is not Docker".into());
        };
        if !matches_any(facts.versions, version) {
            self.note("DOCKER_VERSION", version);
            // By its form, a release of the numbering by year and month.
            return if matches_any(&[r"^\d{2}\.\d+\.\d+"], version) {
                self.warning(format!(
                    "this Docker version is not on the list of validated versions: {version}. Latest validated version: {}",
                    facts.latest_validated
                ))
            } else {
                self.error(format!("unsupported docker version: {version}"))
            };
        }
        if !facts.graph_drivers.contains(&graph_driver.as_str()) {
            self.note("DOCKER_GRAPH_DRIVER", graph_driver);
            self.error(format!("unsupported graph driver: {graph_driver}"));
        }
    }
}

fn matches_any(expressions: &[&str], text: &str) -> bool {
    expressions.iter().any(|e| Regex::new(e).is_ok_and(|regex| regex.is_match(text)))
}

/// Options of the running kernel: name without `CONFIG_`, and `y`, `m` or `n`.
fn kernel_options(view: View<'_>, release: &str) -> Result<BTreeMap<String, char>, String> {
    let places = [
        "/proc/config.gz".to_owned(),
        format!("/boot/config-{release}"),
        format!("/usr/src/linux-{release}/.config"),
        "/usr/src/linux/.config".to_owned(),
        format!("/usr/lib/modules/{release}/config"),
        format!("/usr/lib/ostree-boot/config-{release}"),
        format!("/usr/lib/kernel/config-{release}"),
        format!("/usr/src/linux-headers-{release}/.config"),
        format!("/lib/modules/{release}/build/.config"),
    ];
    let text = places.iter().find_map(|path| {
        let content = view.files.read(Path::new(path)).ok()??;
        let mut text = String::new();
        let read = match path.ends_with(".gz") {
            true => flate2::read::GzDecoder::new(&*content).read_to_string(&mut text),
            false => (&*content).read_to_string(&mut text),
        };
        read.ok().map(|_| text)
    });
    let Some(text) = text else {
        return Err(format!(
            "kernel options were not verified: no config path in [{}] is available; `modprobe configs` provides /proc/config.gz where the kernel has that module",
            places.join(" ")
        ));
    };
    let option = |line: &str| {
        let (name, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
        let value = value.chars().next().filter(|v| value.len() == 1 && "ymn".contains(*v))?;
        Some((name.to_owned(), value))
    };
    Ok(text.lines().filter_map(option).collect())
}

/// Where control groups are, and in which version.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount {
    path: PathBuf,
    v2: bool,
}

impl CgroupMount {
    /// `/sys/fs/cgroup` decides, else a mount of version 2, else the first of version 1.
    fn find(view: View<'_>) -> Option<Self> {
        let content = view.files.read(Path::new("/proc/mounts")).ok()??;
        let mut first_v1 = None;
        for line in String::from_utf8_lossy(&content).lines() {
            let mut words = line.split_whitespace().skip(1);
            let (Some(path), Some(kind)) = (words.next(), words.next()) else { continue };
            let mount = |v2| Self { path: path.into(), v2 };
            match (path, kind) {
                ("/sys/fs/cgroup", "tmpfs") => {
                    let memory = view.files.stat(Path::new("/sys/fs/cgroup/memory"));
                    return Some(mount(!matches!(memory, Ok(Some(m)) if m.kind == FileKind::Dir)));
                }
                (_, "cgroup2") => return Some(mount(true)),
                ("/sys/fs/cgroup", _) => return Some(mount(false)),
                (_, "cgroup") => first_v1 = first_v1.or(Some(mount(false))),
                _ => {}
            }
        }
        first_v1
    }

    /// The controllers that can be used.
    fn controllers(&self, view: View<'_>) -> Vec<String> {
        let text = |path: &Path| match view.files.read(path) {
            Ok(Some(content)) => String::from_utf8_lossy(&content).into_owned(),
            _ => String::new(),
        };
        if !self.v2 {
            // Name, hierarchy, number of groups, enabled.
            return text(Path::new("/proc/cgroups"))
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    (words.get(3) == Some(&"1")).then(|| words[0].to_owned())
                })
                .collect();
        }
        let mut names: Vec<String> =
            text(&self.path.join("cgroup.controllers")).split_whitespace().map(str::to_owned).collect();
        // Version 2 has no controller files of these two: BPF programs guard devices, and every group can be frozen
        // from Linux 5.2 on. The root group has no such file, so any group below it tells; without one, nothing does.
        names.push("devices".into());
        let below = view.files.list(&self.path).ok().flatten().unwrap_or_default();
        let mut groups = below
            .iter()
            .map(|name| self.path.join(name))
            .filter(|path| view.files.exists(&path.join("cgroup.procs")))
            .peekable();
        let can_freeze = |path: &Path| view.files.exists(&path.join("cgroup.freeze"));
        if can_freeze(&self.path) || groups.peek().is_none() || groups.any(|path| can_freeze(&path)) {
            names.push("freezer".into());
        }
        names
    }
}
