//! The images of a release, made of the built programs, under the names that kubeadm itself lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::archive::{self, ImageFile};
use crate::command::Run;
use crate::error::At as _;
use crate::kubeadm::Kubeadm;
use crate::releases::Release;
use crate::{Error, Lab, Result, companions, progress};

/// One image of a release.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its full name with its tag.
    pub reference: String,
    /// Its archive.
    pub archive: PathBuf,
}

impl Image {
    /// The program that it runs, after the last part of its name. Up to 1.11 that ends with the architecture.
    pub(crate) fn program(&self) -> &str {
        let name = self.reference.rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default().trim_end_matches("-amd64")
    }
}

/// Makes the archives that are missing, or older than their program, and returns all images of the release.
pub fn make(lab: &Lab, release: &Release, kubeadm: &Kubeadm) -> Result<Vec<Image>> {
    make_all(lab, release, kubeadm.image_list(release)?)
}

fn make_all(lab: &Lab, release: &Release, references: Vec<String>) -> Result<Vec<Image>> {
    let images: Vec<Image> = references
        .into_iter()
        .map(|reference| {
            let file = reference.replace(['/', ':'], "_");
            Image { archive: lab.images(release.version).join(format!("{file}.tar")), reference }
        })
        .collect();
    let time = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let is_missing = |image: &&Image| {
        let program = time(&program_of(lab, release, image.program()));
        time(&image.archive).is_none_or(|made| program.is_some_and(|built| built > made))
    };
    let missing: Vec<&Image> = images.iter().filter(is_missing).collect();
    if !missing.is_empty() {
        progress::during(format!("make {} images of {}", missing.len(), release.version), || {
            missing.iter().try_for_each(|image| make_one(lab, release, image))
        })?;
    }
    Ok(images)
}

/// Makes the images of kube-dns, which a release lists only for clusters that ask for it.
pub fn kube_dns(lab: &Lab, release: &Release, kubeadm: &Kubeadm) -> Result<Vec<Image>> {
    companions::obtain_kube_dns(lab)?;
    let all = kubeadm.kube_dns_list()?;
    make_all(lab, release, all)
}

/// Finds the pause image, which containerd's configuration names too.
pub fn pause(images: &[Image]) -> Result<&str> {
    images
        .iter()
        .map(|i| i.reference.as_str())
        .find(|r| r.contains("/pause"))
        .ok_or_else(|| Error::Unfit("the list of images has no pause image".into()))
}

fn program_of(lab: &Lab, release: &Release, name: &str) -> PathBuf {
    match name {
        "etcd" => release.etcd.program(lab, name),
        "coredns" => release.coredns.program(lab),
        "pause" => companions::pause(lab),
        "k8s-dns-kube-dns" => lab.program("dns", "kube-dns"),
        "k8s-dns-sidecar" => lab.program("dns", "sidecar"),
        "k8s-dns-dnsmasq-nanny" => lab.program("dns", "dnsmasq-nanny"),
        _ => release.program(lab, name),
    }
}

fn make_one(lab: &Lab, release: &Release, image: &Image) -> Result<()> {
    let name = image.program();
    let built = program_of(lab, release, name);
    let program = |program: &str| ImageFile::new(&built, Path::new("/usr/local/bin").join(program));
    let (entrypoint, files) = match name {
        "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" => (None, vec![program(name)]),
        "kube-proxy" => {
            let mut files = vec![program(name)];
            files.extend(proxy_files(&lab.rootfs())?);
            (None, files)
        }
        "etcd" => (None, etcd_files(lab, release)?),
        "coredns" => (Some("/coredns"), vec![ImageFile::new(&built, "/coredns")]),
        "pause" => (Some("/pause"), vec![ImageFile::new(&built, "/pause")]),
        "k8s-dns-kube-dns" => (Some("/kube-dns"), vec![ImageFile::new(&built, "/kube-dns")]),
        "k8s-dns-sidecar" => (Some("/sidecar"), vec![ImageFile::new(&built, "/sidecar")]),
        "k8s-dns-dnsmasq-nanny" => {
            let mut files = libraries(None, Path::new(DNSMASQ))?;
            files.push(ImageFile::new(DNSMASQ, DNSMASQ));
            // It gives up root for the user that its name has there.
            files.push(ImageFile::new(accounts_file(lab)?, "/etc/passwd"));
            files.push(ImageFile::new(&built, "/dnsmasq-nanny"));
            (Some("/dnsmasq-nanny"), files)
        }
        other => return Err(Error::Unfit(format!("the lab has no recipe for the image {other}"))),
    };
    archive::write(&image.archive, &image.reference, entrypoint, &files)
}

const DNSMASQ: &str = "/usr/sbin/dnsmasq";

fn accounts_file(lab: &Lab) -> Result<PathBuf> {
    let path = lab.components("dns").join("passwd");
    let text = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    std::fs::write(&path, text).at("write", &path)?;
    Ok(path)
}

/// etcd, etcdctl and a shell: liveness probes of 2018 run etcdctl through one.
fn etcd_files(lab: &Lab, release: &Release) -> Result<Vec<ImageFile>> {
    let mut files = vec![ImageFile::new("/bin/busybox", "/bin/sh")];
    for name in ["etcd", "etcdctl"] {
        let program = release.etcd.program(lab, name);
        files.extend(libraries(None, &program)?);
        files.push(ImageFile::new(program, Path::new("/usr/local/bin").join(name)));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// What kube-proxy calls: iptables, nft, conntrack, modprobe and what they load, out of the node's root file system.
fn proxy_files(rootfs: &Path) -> Result<Vec<ImageFile>> {
    let mut wanted: BTreeSet<PathBuf> = BTreeSet::new();
    for name in ["xtables-nft-multi", "nft", "conntrack", "kmod", "ip", "sh"] {
        let found = ["usr/sbin", "usr/bin"].iter().map(|f| Path::new("/").join(f).join(name));
        let found = found.into_iter().find(|p| rootfs.join(p.strip_prefix("/").unwrap_or(p)).exists());
        wanted.insert(found.ok_or_else(|| Error::Unfit(format!("{} lacks {name}", rootfs.display())))?);
    }
    let modules = Path::new("/usr/lib/x86_64-linux-gnu/xtables");
    let list = Run::new("chroot").args([rootfs]).args(["ls"]).args([modules]).read()?;
    wanted.extend(list.lines().filter(|l| l.ends_with(".so")).map(|l| modules.join(l)));

    let mut files = BTreeSet::new();
    for path in &wanted {
        files.insert(ImageFile::new(resolve(rootfs, path)?, path));
    }
    let all: Vec<&Path> = wanted.iter().map(PathBuf::as_path).collect();
    for path in library_paths(Some(rootfs), &all)? {
        files.insert(ImageFile::new(resolve(rootfs, &path)?, path));
    }
    let mut link = |name: &str, target: &str| -> Result<()> {
        files.insert(ImageFile::new(resolve(rootfs, Path::new(target))?, Path::new("/usr/sbin").join(name)));
        Ok(())
    };
    for family in ["iptables", "ip6tables"] {
        for suffix in ["", "-save", "-restore"] {
            link(&format!("{family}{suffix}"), "/usr/sbin/xtables-nft-multi")?;
        }
    }
    link("modprobe", "/usr/bin/kmod")?;
    let mut files: Vec<ImageFile> = files.into_iter().collect();
    // Scripts and pod commands say /bin/sh.
    files.push(ImageFile::new(resolve(rootfs, Path::new("/bin/sh"))?, "/bin/sh"));
    Ok(files)
}

/// Follows links as they look from inside `rootfs`.
fn resolve(rootfs: &Path, path: &Path) -> Result<PathBuf> {
    let inside = Run::new("chroot").args([rootfs]).args(["readlink", "-f"]).args([path]).read()?;
    Ok(rootfs.join(inside.trim().trim_start_matches('/')))
}

fn libraries(rootfs: Option<&Path>, program: &Path) -> Result<Vec<ImageFile>> {
    Ok(library_paths(rootfs, &[program])?.into_iter().map(|p| ImageFile::new(&p, &p)).collect())
}

/// Lists the shared libraries that programs load; none for static ones.
fn library_paths(rootfs: Option<&Path>, programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let run = match rootfs {
        Some(rootfs) => Run::new("chroot").args([rootfs]).args(["ldd"]),
        None => Run::new("ldd"),
    };
    // ldd fails for a static program; its output is then empty.
    let output = run.args(programs).output()?;
    let words = output.stdout.split_whitespace().filter(|w| w.starts_with('/') && !w.ends_with(':'));
    Ok(words.map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_after_their_program() {
        for (reference, program) in [
            ("k8s.gcr.io/etcd-amd64:3.2.18", "etcd"),
            ("registry.k8s.io/coredns/coredns:v1.14.2", "coredns"),
            ("registry.k8s.io:443/kube-proxy:v1.37.2", "kube-proxy"),
        ] {
            let image = Image { reference: reference.to_owned(), archive: PathBuf::new() };
            assert_eq!(image.program(), program);
        }
    }
}
