//! A machine and a cluster in memory, for tests of whole workflows. Never shipped.
//!
//! [`MemoryHost`] implements every port of the engine. It stands only where real nodes cover the same path in the
//! lab; what it adds is speed and the freedom to stop a run at any point.

#![allow(clippy::disallowed_methods)]

mod cluster;
mod etcd;
mod files;
mod keys;
mod kill;
mod machine;
mod runtime;

use std::sync::Arc;

use kubeadm_engine::ports::{ContainerState, Effects, Files, NewFile, System, View, WriteFiles};
use kubeadm_engine::resource::PODS;
use kubeadm_engine::spec::{KUBERNETES, MANIFESTS};

pub use cluster::MemoryCluster;
pub use etcd::{EtcdState, MemoryEtcd, etcd_access};
pub use files::{Entry, MemoryFiles};
pub use keys::FixedKeys;
pub use kill::killed_after;
pub use machine::{Machine, Recorder, Service, State};
pub use runtime::{MemoryRuntime, MemoryRuntimes, RuntimeState};

/// A machine with nothing on it but what `init` needs, and an empty cluster that answers as soon as it is asked.
#[derive(Clone)]
pub struct MemoryHost {
    /// Files.
    pub files: Arc<MemoryFiles>,
    /// Cluster.
    pub cluster: Arc<MemoryCluster>,
    /// etcd.
    pub etcd: MemoryEtcd,
    /// Container runtimes.
    pub runtimes: Arc<MemoryRuntimes>,
    /// Services, system, network and clock.
    pub machine: Arc<Machine>,
    /// What was said.
    pub output: Arc<Recorder>,
    /// Keys.
    pub keys: Arc<FixedKeys>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        let time = Arc::default();
        let files = Arc::new(MemoryFiles::default());
        for (path, content) in [
            ("/proc/sys/net/ipv4/ip_forward", "1\n"),
            ("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n"),
            ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"),
            ("/proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n"),
            ("/sys/fs/cgroup/system.slice/cgroup.procs", ""),
            ("/sys/fs/cgroup/system.slice/cgroup.freeze", "0\n"),
        ] {
            files.put(path, content, 0o644);
        }
        files.put("/boot/config-6.1.0", kernel_config(&[]), 0o644);
        Self {
            files,
            cluster: Arc::default(),
            etcd: MemoryEtcd::default(),
            runtimes: Arc::new(MemoryRuntimes {
                runtime: Arc::new(MemoryRuntime::with_time(Arc::clone(&time))),
            }),
            machine: Arc::new(Machine::with_time(time)),
            output: Arc::default(),
            keys: Arc::default(),
        }
    }
}

/// The kernel's configuration, all options that any release wants but those given.
pub fn kernel_config(without: &[&str]) -> String {
    let options = "NAMESPACES NET_NS PID_NS IPC_NS UTS_NS CGROUPS CGROUP_CPUACCT CGROUP_DEVICE CGROUP_FREEZER \
        CGROUP_SCHED CGROUP_PIDS CGROUP_BPF CPUSETS MEMCG INET EXT4_FS PROC_FS NETFILTER_XT_TARGET_REDIRECT \
        NETFILTER_XT_MATCH_COMMENT FAIR_GROUP_SCHED OVERLAY_FS AUFS_FS BLK_DEV_DM CFS_BANDWIDTH SECCOMP SECCOMP_FILTER";
    let wanted = options.split_whitespace().filter(|option| !without.contains(option));
    wanted.map(|option| format!("CONFIG_{option}=y\n")).collect()
}

/// The value of a flag of a static pod's command.
fn flag(pod: &serde_json::Value, name: &str) -> String {
    let command = pod["spec"]["containers"][0]["command"].as_array().into_iter().flatten();
    let mut words = command.filter_map(|word| word.as_str()?.strip_prefix("--")?.split_once('='));
    words.find(|(flag, _)| *flag == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

impl MemoryHost {
    /// A host of the time of the oldest releases: cgroups v1 and Linux 4.
    pub fn of_old() -> Self {
        let host = Self::default();
        host.files.put("/proc/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n", 0o644);
        let rows = ["cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "hugetlb", "pids"]
            .map(|name| format!("{name}\t1\t1\t1\n"));
        let text = format!("#subsys_name\thierarchy\tnum_cgroups\tenabled\n{}", rows.concat());
        host.files.put("/proc/cgroups", text, 0o444);
        host.files.put("/boot/config-4.19.0", kernel_config(&[]), 0o644);
        host.machine.set(|state| state.uname.release = "4.19.0".into());
        host
    }

    /// A machine, a cluster and an etcd like these. Its kubelet has yet to be run.
    pub fn fork(&self) -> Self {
        let time = Arc::default();
        Self {
            files: Arc::new(self.files.fork()),
            cluster: Arc::new(self.cluster.fork()),
            etcd: self.etcd.fork(),
            runtimes: Arc::new(MemoryRuntimes {
                runtime: Arc::new(self.runtimes.runtime.fork(Arc::clone(&time))),
            }),
            machine: Arc::new(self.machine.fork(time)),
            output: Arc::default(),
            keys: Arc::default(),
        }
    }

    /// Has a kubelet run the static pods whose manifests are written from now on, as long as these are there, and show them
    /// to the cluster. It bootstraps itself too.
    pub fn run_kubelet(&self) {
        let (runtime, cluster) = (Arc::clone(&self.runtimes.runtime), Arc::clone(&self.cluster));
        let (etcd, files) = (self.etcd.clone(), Arc::downgrade(&self.files));
        let node = self.machine.hostname();
        self.bootstrap_kubelet();
        self.files.watch(move |path, content| {
            if !(path.starts_with(MANIFESTS) && path.extension().is_some_and(|e| e == "yaml")) {
                return;
            }
            let Some(content) = content else {
                let component = path.file_stem().unwrap_or_default().to_string_lossy();
                cluster.take_away(PODS, "kube-system", &format!("{component}-{node}"));
                return runtime.end_static_pod(&component);
            };
            let Ok(mut pod) = kubeadm_yaml::parse_value(&String::from_utf8_lossy(content), "manifest") else {
                return;
            };
            let runs = runtime.run_static_pod(&pod, &node);
            if pod["metadata"]["name"] == "etcd"
                && let Some(files) = files.upgrade()
            {
                let flag = |name: &str| flag(&pod, name);
                if runs {
                    etcd.set(|etcd| etcd.start_at(&flag("initial-advertise-peer-urls"), &flag("name")));
                }
                files.put(format!("{}/member/snap/db", flag("data-dir")), "data", 0o600);
            }
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            pod["metadata"]["name"] = format!("{name}-{node}").into();
            pod["spec"]["nodeName"] = node.clone().into();
            cluster.place(PODS, pod);
        });
    }

    /// Has that kubelet make a container anew that has ended.
    pub fn kubelet_tries_again(&self) {
        for (path, entry) in self.files.all() {
            let text = String::from_utf8_lossy(entry.content.as_deref().unwrap_or_default()).into_owned();
            let ended = self.runtimes.runtime.set(|runtime| {
                let newest =
                    |component: &str| runtime.containers.iter().find(|c| c.name == component).cloned();
                let newest = path.file_stem().and_then(|name| newest(&name.to_string_lossy()));
                newest.is_some_and(|container| container.state == ContainerState::Exited)
            });
            if path.starts_with(MANIFESTS) && ended {
                let file = NewFile { path, content: text.into_bytes(), mode: entry.mode, secret: false };
                self.files.write(&file).expect("the file was there");
            }
        }
    }

    /// Has a kubelet that is started with credentials of a bootstrap get its own, and register its node.
    pub fn bootstrap_kubelet(&self) {
        let (files, cluster) = (Arc::downgrade(&self.files), Arc::clone(&self.cluster));
        let node = self.machine.hostname();
        self.machine.kubelet(move || {
            let path = |name: &str| format!("{KUBERNETES}/{name}");
            let Some(files) = files.upgrade() else { return };
            let bootstrap = files.text(path("bootstrap-kubelet.conf"));
            if let (Some(credentials), None) = (bootstrap, files.text(path("kubelet.conf"))) {
                files.put(path("kubelet.conf"), credentials, 0o600);
                cluster.register(&node);
            }
        });
    }

    /// The ports.
    pub fn effects(&self) -> Effects {
        Effects {
            files: self.files.clone(),
            cluster: self.cluster.clone(),
            etcds: Arc::new(self.etcd.clone()),
            runtimes: self.runtimes.clone(),
            services: self.machine.clone(),
            system: self.machine.clone(),
            net: self.machine.clone(),
            clock: self.machine.clone(),
            keys: self.keys.clone(),
            output: self.output.clone(),
        }
    }

    /// The reading halves.
    pub fn view(&self) -> View<'_> {
        View {
            files: &*self.files as &dyn Files,
            api: &*self.cluster,
            cluster: &*self.cluster,
            etcds: &self.etcd,
            runtime: &*self.runtimes.runtime,
            services: &*self.machine,
            system: &*self.machine,
            net: &*self.machine,
            clock: &*self.machine,
            keys: &*self.keys,
            progress: &*self.output,
        }
    }
}
