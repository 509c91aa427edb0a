//! The Kubernetes releases that the lab can run, and what differs between them there. The only place that knows.

use std::path::{Path, PathBuf};

use crate::companions::{CoreDns, Etcd};
use crate::{Error, Lab, Result, neighbours};

/// How a release's programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From Go modules, with the staging modules at their published versions.
    Modules(Modules),
    /// From the module's files in a GOPATH, third-party packages at the versions of this list (name, version a line).
    Gopath {
        /// The list.
        pins: &'static str,
        /// Versions that replace the list's: what a later Go needs, or what the module proxy lacks at the pinned one.
        instead: &'static [(&'static str, &'static str)],
        /// The package of the program that makes the OpenAPI definitions.
        openapi_generator: &'static str,
    },
}

/// What a release that builds from Go modules needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modules {
    /// Whether Go 1.19 builds it: what it imports does not compile with a Go of today.
    pub go_1_19: bool,
    /// Versions that replace those of its go.mod.
    pub instead: &'static [(&'static str, &'static str)],
    /// Whether its module lacks the generated OpenAPI definitions.
    pub lacks_openapi: bool,
    /// Whether its kubelet is built with cgo, without which it says "cAdvisor is unsupported in this build".
    pub kubelet_with_cgo: bool,
}

/// One release in the lab.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// The version with its `v`.
    pub version: &'static str,
    /// Minor, for the version stamps of the build.
    pub minor: u32,
    /// How its programs are built.
    pub source: Source,
    /// The etcd that its control planes run.
    pub etcd: Etcd,
    /// The CoreDNS of its clusters.
    pub coredns: CoreDns,
    /// Minutes that the first build of everything takes on two cores.
    pub build_minutes: u32,
    /// The kubeadm configuration of a node, with the words NODE, ADDRESS and VERSION to fill in.
    pub config: &'static str,
    /// Checks of kubeadm's preflight that a lab node fails for reasons of its own.
    pub ignore: &'static str,
    /// The same for the reference kubeadm, which knows fewer machines.
    pub reference_ignore: &'static str,
    /// Whether its kubelet runs only where cgroup v1 is mounted.
    pub only_cgroup_v1: bool,
    /// The minor as people say it, in scenario names.
    pub label: &'static str,
}

/// Every release, newest first.
pub const ALL: &[Release] = &[
    Release { version: "v1.37.2", minor: 37, label: "v1.37", build_minutes: 10, ..TODAY },
    Release { version: "v1.36.3", minor: 36, label: "v1.36", ..TODAY },
    Release { version: "v1.35.4", minor: 35, label: "v1.35", ..TODAY },
    Release { version: "v1.34.4", minor: 34, label: "v1.34", ..TODAY },
    Release { version: "v1.31.14", minor: 31, label: "v1.31", etcd: Etcd::V3_5, ..TODAY },
    Release {
        version: "v1.28.15",
        minor: 28,
        label: "v1.28",
        etcd: Etcd::V3_5,
        config: include_str!("../data/init-v1beta3.yaml"),
        reference_ignore: "all",
        ..TODAY
    },
    Release {
        version: "v1.24.17",
        minor: 24,
        label: "v1.24",
        source: Source::Modules(WITH_GO_1_19),
        etcd: Etcd::V3_5,
        config: include_str!("../data/init-v1beta3.yaml"),
        reference_ignore: "all",
        ..TODAY
    },
    Release {
        version: "v1.20.15",
        minor: 20,
        label: "v1.20",
        source: Source::Modules(Modules { lacks_openapi: true, ..WITH_GO_1_19 }),
        ..OF_2020
    },
    Release {
        version: "v1.16.15",
        minor: 16,
        label: "v1.16",
        source: Source::Modules(Modules { lacks_openapi: true, kubelet_with_cgo: true, ..WITH_GO_1_19 }),
        only_cgroup_v1: true,
        ..OF_2020
    },
    Release {
        version: "v1.13.12",
        minor: 13,
        source: Source::Gopath {
            pins: include_str!("../data/pins-v1.13.12.txt"),
            instead: &[
                ("github.com/modern-go/reflect2", "v1.0.2"),
                ("github.com/munnerz/goautoneg", "v0.0.0-20120707110453-a547fc61f48d"),
                ("golang.org/x/net", "v0.0.0-20190812203447-cdfb69ac37fc"),
                ("k8s.io/kube-openapi", "v0.0.0-20181109181836-c59034cc13d5"),
            ],
            openapi_generator: KUBE_OPENAPI,
        },
        config: include_str!("../data/init-v1beta1.yaml"),
        label: "v1.13",
        ..OF_2018
    },
    Release {
        version: "v1.12.10",
        minor: 12,
        source: Source::Gopath {
            pins: include_str!("../data/pins-v1.12.10.txt"),
            instead: &[
                ("github.com/modern-go/reflect2", "v1.0.2"),
                ("github.com/munnerz/goautoneg", "v0.0.0-20120707110453-a547fc61f48d"),
                ("github.com/blang/semver", "v3.5.0+incompatible"),
                ("github.com/Azure/azure-sdk-for-go", "v21.4.0+incompatible"),
                ("github.com/Azure/go-autorest", "v11.1.0+incompatible"),
            ],
            openapi_generator: KUBE_OPENAPI,
        },
        config: include_str!("../data/init-v1alpha3.yaml"),
        label: "v1.12",
        ..OF_2018
    },
    Release {
        version: "v1.11.10",
        minor: 11,
        source: Source::Gopath {
            pins: include_str!("../data/pins-v1.11.10.txt"),
            instead: &[
                ("github.com/modern-go/reflect2", "v1.0.2"),
                ("github.com/munnerz/goautoneg", "v0.0.0-20120707110453-a547fc61f48d"),
                ("github.com/blang/semver", "v3.5.0+incompatible"),
                ("github.com/Azure/azure-sdk-for-go", "v21.4.0+incompatible"),
                ("github.com/Azure/go-autorest", "v11.1.0+incompatible"),
                ("github.com/coreos/etcd", "v3.2.24+incompatible"),
                ("github.com/vmware/govmomi", "v0.0.0-20180822160426-22f74650cf39"),
                ("github.com/quobyte/api", "v0.1.2"),
                ("k8s.io/gengo", "v0.0.0-20180702041517-fdcf9f9480fd"),
            ],
            openapi_generator: "k8s.io/code-generator/cmd/openapi-gen",
        },
        config: include_str!("../data/init-v1alpha2.yaml"),
        label: "v1.11",
        ..OF_2018
    },
];

const KUBE_OPENAPI: &str = "k8s.io/kube-openapi/cmd/openapi-gen";

/// Nothing that the Go of today does not build as it is.
const AS_IT_IS: Modules =
    Modules { go_1_19: false, instead: &[], lacks_openapi: false, kubelet_with_cgo: false };

/// Up to 1.24.
const WITH_GO_1_19: Modules =
    Modules { go_1_19: true, instead: &[("github.com/modern-go/reflect2", "v1.0.2")], ..AS_IT_IS };

/// What the releases of today share.
const TODAY: Release = Release {
    version: "",
    minor: 0,
    source: Source::Modules(AS_IT_IS),
    // 1.34 and 1.35 choose the flags by the tag of etcd's image, which says 3.6: those that 3.7 knows too.
    etcd: Etcd::V3_7,
    coredns: CoreDns::V1_14,
    build_minutes: 5,
    config: include_str!("../data/init-v1beta4.yaml"),
    // cgroup v1 is deprecated there, and the lab's host may have nothing else.
    ignore: "SystemVerification",
    reference_ignore: "SystemVerification",
    only_cgroup_v1: false,
    label: "",
};

/// What the releases of 2019 and 2020 share.
const OF_2020: Release = Release {
    etcd: Etcd::V3_4,
    coredns: CoreDns::V1_7,
    config: include_str!("../data/init-v1beta2.yaml"),
    // They call every kernel of today unsupported.
    reference_ignore: "all",
    ..TODAY
};

/// What the releases of 2018 share.
const OF_2018: Release = Release {
    etcd: Etcd::V3_4,
    coredns: CoreDns::V1_4,
    build_minutes: 10,
    // They call every kernel of today unsupported and miss Docker.
    reference_ignore: "all",
    only_cgroup_v1: true,
    ..TODAY
};

/// Finds a release by its version, or by a minor that has a row here.
pub fn find(version: &str) -> Result<&'static Release> {
    if let Some(row) = ALL.iter().find(|r| r.version == version || r.label == version) {
        return Ok(row);
    }
    match neighbours::recipe(version) {
        Some(release) => Ok(Box::leak(Box::new(release))),
        None => {
            Err(Error::Unfit(format!("the lab has no recipe for Kubernetes {version:?}; it has {}", known())))
        }
    }
}

/// What there are recipes for, in words.
#[must_use]
pub fn known() -> String {
    let rows: Vec<&str> = ALL.iter().map(|row| row.version).collect();
    format!(
        "any release from v1.15 on, such as v1.30.14, and these, also by their minor: {}",
        rows.join(", ")
    )
}

/// Tells whether this machine mounts the old cgroup controllers one by one.
#[must_use]
pub fn host_has_cgroup_v1() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

impl Release {
    /// Fails when this machine cannot run the release.
    pub fn check_host(&self) -> Result<()> {
        if self.only_cgroup_v1 && !host_has_cgroup_v1() {
            let version = self.version;
            return Err(Error::Unfit(format!(
                "the kubelet of {version} needs cgroup v1 and this machine has cgroup v2: boot it with the kernel \
                 parameter systemd.unified_cgroup_hierarchy=0, or choose a release from v1.19 on \
                 (cargo xtask cluster --kubernetes-version), or scenarios of such (cargo xtask test --list)"
            )));
        }
        Ok(())
    }

    /// Fills in the configuration for one node.
    #[must_use]
    pub fn config_for(&self, node: &str, address: &str) -> String {
        self.config.replace("ADDRESS", address).replace("NODE", node).replace("VERSION", self.version)
    }

    /// Returns the path of one of the release's own programs.
    #[must_use]
    pub fn program(&self, lab: &Lab, name: &str) -> PathBuf {
        lab.program(self.version, name)
    }
}
