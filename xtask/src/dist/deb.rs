//! The package for Debian and its kin: an `ar` archive of two compressed tar archives, as deb(5) says.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::dist::contents::{
    DESCRIPTION, File, Format, INSTALLED, MAINTAINER, Made, NEEDED, Need, REMOVED, REVISION, SUMMARY, files,
};

/// The name of the package's file.
pub(crate) fn name(made: &Made) -> String {
    format!("kubeadm_{}-{REVISION}_{}.deb", made.program.version, made.program.machine.deb)
}

/// The package.
pub(crate) fn build(made: &Made) -> io::Result<Vec<u8>> {
    let files = files(Format::Deb, made);
    let mut control = Archive::new(made.time);
    control.add("control", 0o644, control_file(made, &files).as_bytes())?;
    control.add("postinst", 0o755, script("configure", INSTALLED).as_bytes())?;
    control.add("postrm", 0o755, script("remove", REMOVED).as_bytes())?;
    let mut data = Archive::new(made.time);
    for file in &files {
        data.add(&file.path, file.mode, &file.content)?;
    }

    let mut package = ar::Builder::new(Vec::new());
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", control.end()?),
        ("data.tar.gz", data.end()?),
    ];
    for (name, content) in members {
        let mut header = ar::Header::new(name.into(), content.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(made.time.into());
        package.append(&header, content.as_slice())?;
    }
    package.into_inner()
}

/// A script for dpkg: it is called for every step, and acts in one.
fn script(step: &str, body: &str) -> String {
    format!("#!/bin/sh\nset -e\n[ \"$1\" = {step} ] || exit 0\n{body}")
}

fn control_file(made: &Made, files: &[File]) -> String {
    let wanted = |need: Need| {
        let mut names = Vec::new();
        for other in NEEDED.iter().filter(|other| other.need == need) {
            let least = other.least.map(|v| format!(" (>= {v})")).unwrap_or_default();
            names.push(format!("{}{least}", other.deb));
        }
        names.join(", ")
    };
    // In KiB, each file rounded up to whole ones (Debian Policy 5.6.20).
    let size: usize = files.iter().map(|file| file.content.len().div_ceil(1024)).sum();
    format!(
        "Package: kubeadm\nVersion: {}-{REVISION}\nArchitecture: {}\nMaintainer: {MAINTAINER}\n\
         Installed-Size: {size}\nDepends: {}\nRecommends: {}\nSuggests: {}\nSection: admin\nPriority: optional\n\
         Description: {SUMMARY}\n {}\n",
        made.program.version,
        made.program.machine.deb,
        wanted(Need::Depends),
        wanted(Need::Recommends),
        wanted(Need::Suggests),
        DESCRIPTION.join("\n "),
    )
}

/// A compressed tar archive whose files are all root's and of one time.
struct Archive {
    builder: Builder<GzEncoder<Vec<u8>>>,
    folders: BTreeSet<String>,
    time: u32,
}

impl Archive {
    fn new(time: u32) -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::best());
        Self { builder: Builder::new(encoder), folders: BTreeSet::new(), time }
    }

    /// Adds a file, after the folders above it: dpkg makes none by itself.
    fn add(&mut self, path: &str, mode: u16, content: &[u8]) -> io::Result<()> {
        let path = Path::new(path.trim_start_matches('/'));
        let above: Vec<&Path> = path.ancestors().skip(1).collect();
        for folder in above.into_iter().rev() {
            let name = format!("./{}", folder.display());
            if self.folders.insert(name.clone()) {
                self.entry(EntryType::Directory, &format!("{}/", name.trim_end_matches('/')), 0o755, &[])?;
            }
        }
        self.entry(EntryType::Regular, &format!("./{}", path.display()), mode, content)
    }

    fn entry(&mut self, kind: EntryType, name: &str, mode: u16, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode.into());
        header.set_size(content.len() as u64);
        header.set_mtime(self.time.into());
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        // The leading `./` of dpkg's own archives, which the crate's setter would tidy away.
        let field = &mut header.as_old_mut().name;
        let room =
            field.get_mut(..name.len()).ok_or_else(|| io::Error::other(format!("{name} is too long")))?;
        room.copy_from_slice(name.as_bytes());
        header.set_cksum();
        self.builder.append(&header, content)
    }

    fn end(self) -> io::Result<Vec<u8>> {
        self.builder.into_inner()?.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::dist::contents::tests::made;

    fn members(package: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = ar::Archive::new(package);
        let mut members = BTreeMap::new();
        while let Some(entry) = archive.next_entry() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            members.insert(String::from_utf8(entry.header().identifier().to_vec()).unwrap(), content);
        }
        members
    }

    /// What a compressed archive says of each path: mode, owner, time and content.
    fn listing(packed: &[u8]) -> BTreeMap<String, (u32, u64, u64, String)> {
        let mut archive = tar::Archive::new(GzDecoder::new(packed));
        let mut all = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (mut content, header) = (Vec::new(), entry.header().clone());
            entry.read_to_end(&mut content).unwrap();
            let content = String::from_utf8_lossy(&content).into_owned();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap() + header.gid().unwrap());
            all.insert(path, (mode, owner, header.mtime().unwrap(), content));
        }
        all
    }

    #[test]
    fn package_has_the_members_of_its_format_in_order() {
        let package = build(&made()).unwrap();
        assert_eq!(name(&made()), "kubeadm_1.37.2-1_amd64.deb");
        assert!(package.starts_with(b"!<arch>\ndebian-binary "));
        let members = members(&package);
        assert_eq!(members["debian-binary"], b"2.0\n");
        let data = listing(&members["data.tar.gz"]);
        assert_eq!(data["./"].0, 0o755);
        assert_eq!(data["./usr/lib/systemd/system/kubelet.service.d/"].0, 0o755);
        assert_eq!(data["./usr/bin/kubeadm"].0, 0o755);
        assert!(data.values().all(|(_, owner, time, _)| *owner == 0 && *time == 1_700_000_000));
        let drop_in = &data["./usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"].3;
        assert!(drop_in.contains("EnvironmentFile=-/etc/default/kubelet\n"), "{drop_in}");
    }

    #[test]
    fn control_says_what_the_package_is_and_needs() {
        let control = listing(&members(&build(&made()).unwrap())["control.tar.gz"]);
        let text = &control["./control"].3;
        for line in [
            "Package: kubeadm",
            "Version: 1.37.2-1",
            "Architecture: amd64",
            "Depends: kubelet (>= 1.11.0), mount",
            "Recommends: kubectl, iproute2, iptables, conntrack, ethtool, socat",
            "Suggests: cri-tools",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
        assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
        for (path, step) in [("./postinst", "configure"), ("./postrm", "remove")] {
            let (mode, _, _, script) = &control[path];
            assert_eq!(*mode, 0o755);
            assert!(script.starts_with("#!/bin/sh\nset -e\n") && script.contains(step), "{script}");
            assert!(!script.contains("/etc/kubernetes"), "{script}");
        }
    }

    #[test]
    fn the_same_makes_the_same() {
        assert_eq!(build(&made()).unwrap(), build(&made()).unwrap());
    }
}
