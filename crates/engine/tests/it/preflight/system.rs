//! SystemVerification: kernel, operating system and control groups.

use kubeadm_testkit::{MemoryHost, kernel_config};

use super::{NEW, OLD, check, doubtful, good, host, wrong};
use crate::wish;

const SYSTEM: &str = "SystemVerification";

#[test]
fn kernels_are_judged_by_the_release() {
    let new = host(NEW);
    new.machine.set(|state| state.uname.release = "4.19.0".into());
    new.files.put("/boot/config-4.19.0", kernel_config(&[]), 0o644);
    let outcome = check(&new, &wish::init(NEW, ""), SYSTEM);
    assert_eq!(outcome.errors, [""; 0]);
    assert!(
        outcome.warnings[0].starts_with("kernel release 4.19.0 is unsupported. Supported LTS versions"),
        "{outcome:?}"
    );
    let old = host(OLD);
    old.machine.set(|state| state.uname.release = "6.1.0".into());
    old.files.put("/boot/config-6.1.0", kernel_config(&[]), 0o644);
    doubtful(&check(&old, &wish::init(OLD, ""), SYSTEM), "unsupported kernel release: 6.1.0");
}

#[test]
fn kernels_are_judged_minor_by_minor() {
    let host = MemoryHost::default();
    let judged = |version: &str, kernel: &str| {
        host.machine.set(|state| state.uname.release = kernel.into());
        host.files.put(format!("/boot/config-{kernel}"), kernel_config(&[]), 0o644);
        check(&host, &wish::init(version, ""), SYSTEM)
    };
    for (version, kernel) in
        [("v1.19.16", "4.4.0"), ("v1.31.14", "4.18.0"), ("v1.33.13", "4.19.0"), ("v1.34.4", "6.18.5")]
    {
        good(&judged(version, kernel));
    }
    doubtful(&judged("v1.19.16", "3.2.0"), "unsupported kernel release: 3.2.0");
    let outcome = judged("v1.33.13", "4.18.0");
    assert!(
        outcome.warnings[0].starts_with("kernel release 4.18.0 is unsupported. Recommended LTS"),
        "{outcome:?}"
    );
    let outcome = judged("v1.34.4", "4.19.0");
    assert!(
        outcome.warnings[0].starts_with("kernel release 4.19.0 is unsupported. Supported LTS"),
        "{outcome:?}"
    );

    let without = |version: &str, option: &str| {
        host.machine.set(|state| state.uname.release = "6.1.0".into());
        host.files.put("/boot/config-6.1.0", kernel_config(&[option]), 0o644);
        check(&host, &wish::init(version, ""), SYSTEM)
    };
    wrong(&without("v1.31.14", "CGROUP_FREEZER"), "unexpected kernel config: CONFIG_CGROUP_FREEZER");
    good(&without("v1.32.13", "CGROUP_FREEZER"));
    good(&without("v1.20.15", "FAIR_GROUP_SCHED"));
    wrong(&without("v1.21.14", "FAIR_GROUP_SCHED"), "unexpected kernel config: CONFIG_FAIR_GROUP_SCHED");
}

#[test]
fn kernel_options_are_required() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    let path = "/boot/config-6.1.0";
    let config = kernel_config(&["MEMCG", "NETFILTER_XT_TARGET_REDIRECT", "AUFS_FS", "CGROUP_CPUACCT"]);
    host.files.put(path, format!("{config}CONFIG_MEMCG=n\n# CONFIG_AUFS_FS is not set\n"), 0o644);
    let outcome = check(&host, &spec, SYSTEM);
    wrong(&outcome, "unexpected kernel config: CONFIG_MEMCG CONFIG_IP_NF_TARGET_REDIRECT");
    assert_eq!(
        outcome.report.unwrap(),
        "[preflight] The system verification failed. Printing the output from the verification:
CONFIG_MEMCG: disabled
CONFIG_IP_NF_TARGET_REDIRECT: not set
CONFIG_AUFS_FS: not set (optional)"
    );
    // Another name of the same option, or a module, will do.
    let config = kernel_config(&["NETFILTER_XT_TARGET_REDIRECT"]);
    host.files.put(path, format!("{config}CONFIG_IP_NF_TARGET_REDIRECT=m\n"), 0o644);
    good(&check(&host, &spec, SYSTEM));
}

#[test]
fn an_unknown_kernel_configuration_is_no_error() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.files.take("/boot/config-6.1.0");
    let outcome = check(&host, &spec, SYSTEM);
    assert_eq!(outcome.errors, [""; 0]);
    assert!(outcome.warnings[0].contains("modprobe configs"), "{outcome:?}");
    // A damaged one is passed over.
    host.files.put("/proc/config.gz", "not gzip", 0o444);
    assert_eq!(check(&host, &spec, SYSTEM), outcome);
    host.files.put("/proc/config.gz", gzip(&kernel_config(&[])), 0o444);
    good(&check(&host, &spec, SYSTEM));
}

/// A gzip member with one stored block: the format without compression.
fn gzip(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.bytes());
    out.extend((!crc).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

#[test]
fn only_linux() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.machine.set(|state| state.uname.sysname = "FreeBSD".into());
    wrong(&check(&host, &spec, SYSTEM), "unsupported operating system: FreeBSD");
}

#[test]
fn control_groups_are_required() {
    let (host, spec) = (host(NEW), wish::init(NEW, ""));
    host.files.put("/sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory io\n", 0o444);
    let outcome = check(&host, &spec, SYSTEM);
    wrong(&outcome, "missing required cgroups: pids");
    assert_eq!(outcome.warnings, ["missing optional cgroups: hugetlb"]);
    host.files.put("/sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory io pids hugetlb\n", 0o444);
    host.files.take("/sys/fs/cgroup/system.slice/cgroup.freeze");
    wrong(&check(&host, &spec, SYSTEM), "missing required cgroups: freezer");
    // Without any group there is nothing to tell by.
    host.files.take("/sys/fs/cgroup/system.slice/cgroup.procs");
    good(&check(&host, &spec, SYSTEM));
    host.files.put("/proc/mounts", "proc /proc proc rw 0 0\n", 0o444);
    wrong(
        &check(&host, &spec, SYSTEM),
        "cannot get a cgroup mount point: cannot get a cgroupfs mount point from \"/proc/mounts\"",
    );
}

#[test]
fn control_groups_are_required_minor_by_minor() {
    let host = MemoryHost::default();
    let verified = |version: &str| check(&host, &wish::init(version, ""), SYSTEM);
    assert!(verified("v1.18.20").errors[0].contains("does not know cgroups v2"));
    let controllers = |names: &str| host.files.put("/sys/fs/cgroup/cgroup.controllers", names, 0o444);
    controllers("cpu cpuset memory hugetlb\n");
    doubtful(&verified("v1.19.16"), "missing optional cgroups: pids");
    wrong(&verified("v1.20.15"), "missing required cgroups: pids");
    controllers("cpu cpuset memory hugetlb pids\n");
    good(&verified("v1.23.17"));
    doubtful(&verified("v1.24.17"), "missing optional cgroups: io");

    let old = MemoryHost::of_old();
    let verified = |version: &str| check(&old, &wish::init(version, ""), SYSTEM);
    good(&verified("v1.31.14"));
    doubtful(
        &verified("v1.33.13"),
        "cgroups v1 support is in maintenance mode, please migrate to cgroups v2",
    );
}

#[test]
fn the_mount_at_its_usual_place_decides_the_version_of_cgroups() {
    let (host, spec) = (host(OLD), wish::init(OLD, ""));
    let mounts = |text: &str| host.files.put("/proc/mounts", text, 0o444);
    let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    mounts(hybrid);
    host.files.put("/sys/fs/cgroup/memory/cgroup.procs", "", 0o644);
    good(&check(&host, &spec, SYSTEM));
    host.files.take("/sys/fs/cgroup/memory/cgroup.procs");
    assert!(check(&host, &spec, SYSTEM).errors[0].contains("does not know cgroups v2"));
    mounts("cgroup2 /somewhere cgroup2 rw 0 0\n");
    assert!(check(&host, &spec, SYSTEM).errors[0].contains("systemd.unified_cgroup_hierarchy=0"));
    mounts("cgroup /sys/fs/cgroup cgroup rw,cpu 0 0\n");
    good(&check(&host, &spec, SYSTEM));
}

#[test]
fn cgroups_v1_are_an_error_unless_the_kubelet_was_told_to_accept_them() {
    let host = MemoryHost::of_old();
    host.machine.set(|state| {
        state.install_kubelet(NEW);
        state.uname.release = "6.1.0".into();
    });
    let mut spec = wish::init(NEW, "");
    let outcome = check(&host, &spec, SYSTEM);
    assert_eq!(outcome.errors.len(), 1);
    assert!(outcome.errors[0].starts_with("cgroups v1 support is deprecated"), "{outcome:?}");
    assert!(outcome.errors[0].contains("'FailCgroupV1' to 'false'"), "{outcome:?}");
    // The report of what is missing does not take its place.
    host.files.put("/proc/cgroups", "cpu 1 1 1\nmemory 1 1 0\n", 0o444);
    assert_eq!(check(&host, &spec, SYSTEM).errors.len(), 2);
    host.files.put("/proc/cgroups", "", 0o444);

    let host = MemoryHost::of_old();
    host.machine.set(|state| {
        state.install_kubelet("v1.34.9");
        state.uname.release = "6.1.0".into();
    });
    assert!(check(&host, &spec, SYSTEM).warnings[0].starts_with("cgroups v1 support is deprecated"));
    host.machine.set(|state| state.install_kubelet(NEW));
    spec.kubelet.value["failCgroupV1"] = false.into();
    let outcome = check(&host, &spec, SYSTEM);
    assert_eq!(outcome.errors, [""; 0]);
    assert!(outcome.warnings[0].starts_with("cgroups v1 support is deprecated"));
    host.machine.set(|state| state.missing_programs.insert("kubelet".into()));
    assert!(check(&host, &spec, SYSTEM).errors[0].starts_with("couldn't get kubelet version: "));
}
