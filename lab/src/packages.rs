//! Debian packages that the lab needs of the machine. The one list of them.

use std::path::Path;

use crate::command::{Run, retry};
use crate::{Result, progress};

/// A package and a file by which its presence is known.
struct Package {
    name: &'static str,
    provides: &'static str,
}

const fn package(name: &'static str, provides: &'static str) -> Package {
    Package { name, provides }
}

/// For every cluster.
const ALWAYS: &[Package] = &[
    package("debootstrap", "/usr/sbin/debootstrap"),
    package("systemd-container", "/usr/bin/systemd-nspawn"),
    package("iproute2", "/usr/sbin/ip"),
    package("busybox-static", "/bin/busybox"),
    package("gcc", "/usr/bin/gcc"),
    package("libc6-dev", "/usr/include/stdlib.h"),
    package("openssl", "/usr/bin/openssl"),
    package("util-linux", "/usr/bin/nsenter"),
    package("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
];

/// For old releases: an etcd of their time.
const ETCD: &[Package] =
    &[package("etcd-server", "/usr/bin/etcd"), package("etcd-client", "/usr/bin/etcdctl")];

/// Installs etcd and its client, if they are missing.
pub fn install_etcd() -> Result<()> {
    install_all(ETCD.iter())
}

/// For looking at packages of kubeadm: what reads manual pages, completion and the other format.
const READERS: &[Package] = &[
    package("man-db", "/usr/bin/man"),
    package("zsh", "/usr/bin/zsh"),
    package("fish", "/usr/bin/fish"),
    package("rpm", "/usr/bin/rpm"),
];

/// Installs what reads the parts of kubeadm's packages, if it is missing.
pub fn install_readers() -> Result<()> {
    install_all(READERS.iter())
}

/// For kube-dns.
const DNSMASQ: &[Package] = &[package("dnsmasq-base", "/usr/sbin/dnsmasq")];

/// Installs dnsmasq, if it is missing.
pub fn install_dnsmasq() -> Result<()> {
    install_all(DNSMASQ.iter())
}

/// Installs what is missing of what every cluster needs; asks apt for nothing when nothing is.
pub fn install() -> Result<()> {
    install_all(ALWAYS.iter())
}

fn install_all(wanted: impl Iterator<Item = &'static Package>) -> Result<()> {
    let missing: Vec<&str> = wanted.filter(|p| !Path::new(p.provides).exists()).map(|p| p.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    progress::during(format!("install packages: {}", missing.join(" ")), || {
        let apt = |args: &[&str]| {
            // etcd-server would otherwise start a server of its own on this machine.
            Run::new("apt-get")
                // Another apt may be at work, as on machines that update themselves.
                .args(["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5"])
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("RUNLEVEL", "1")
                .read()
        };
        // Both, because an update that misses some lists counts as one that succeeds.
        retry(|| {
            apt(&["-q", "update"])?;
            apt(&[&["-qy", "--no-install-recommends", "install"], missing.as_slice()].concat()).map(drop)
        })
    })
}
