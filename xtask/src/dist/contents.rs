//! What the packages hold and what they need, the same for both formats but for the places where each keeps it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::dist::program::Program;

/// A package format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Deb,
    Rpm,
}

/// One line of what a package is.
pub(crate) const SUMMARY: &str = "Command-line utility for administering a Kubernetes cluster";
/// The rest of it, a line each.
pub(crate) const DESCRIPTION: &[&str] = &[
    "kubeadm makes a Kubernetes control plane on a machine, joins machines to it,",
    "upgrades it and looks after its certificates. This one is written in Rust and",
    "does so for every release of Kubernetes that it knows. The package also tells",
    "systemd how kubeadm runs the kubelet.",
];
/// Who made it. The top-level domain is of RFC 2606: there is no such mailbox.
pub(crate) const MAINTAINER: &str = "kubeadm in Rust <kubeadm@packages.invalid>";
/// The revision of the package, for a version of the program.
pub(crate) const REVISION: &str = "1";

/// How much a package needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It does not work without.
    Depends,
    /// Usually wanted.
    Recommends,
    /// Of use to some.
    Suggests,
}

/// Another package, by its name in either format, and the least version.
#[derive(Debug)]
pub(crate) struct Needed {
    pub(crate) need: Need,
    pub(crate) deb: &'static str,
    pub(crate) rpm: &'static str,
    pub(crate) least: Option<&'static str>,
}

const fn needed(need: Need, deb: &'static str, rpm: &'static str) -> Needed {
    Needed { need, deb, rpm, least: None }
}

/// Kubernetes' own packages of kubeadm depended on kubelet, kubectl and cri-tools up to 1.29, on cri-tools up to 1.31
/// and on nothing since (kubernetes/release, cmd/krel/templates/latest/metadata.yaml). The kubelet is what the drop-in
/// is for. Preflight asks for `mount`, and `nsenter` or `losetup`, which Debian always has, and up to 1.32 for more
/// (crates/release, facts/preflight.rs).
pub(crate) const NEEDED: &[Needed] = &[
    Needed { least: Some("1.11.0"), ..needed(Need::Depends, "kubelet", "kubelet") },
    needed(Need::Depends, "mount", "util-linux"),
    needed(Need::Recommends, "kubectl", "kubectl"),
    needed(Need::Recommends, "iproute2", "iproute"),
    needed(Need::Recommends, "iptables", "iptables"),
    needed(Need::Recommends, "conntrack", "conntrack-tools"),
    needed(Need::Recommends, "ethtool", "ethtool"),
    needed(Need::Recommends, "socat", "socat"),
    needed(Need::Suggests, "cri-tools", "cri-tools"),
];

/// What a script of a package does after the files are there, and after they are gone.
pub(crate) const INSTALLED: &str = include_str!("../../data/installed.sh");
pub(crate) const REMOVED: &str = include_str!("../../data/removed.sh");

/// The drop-in of kubelet.service. Places: kubernetes/release, cmd/krel/templates/latest/kubeadm.
pub(crate) fn drop_in(format: Format) -> String {
    let environment = match format {
        Format::Deb => "/etc/default/kubelet",
        Format::Rpm => "/etc/sysconfig/kubelet",
    };
    include_str!("../../data/10-kubeadm.conf").replace("@ENVIRONMENT@", environment)
}

/// What a file is to the package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Documentation,
    License,
}

/// A file of a package.
#[derive(Debug)]
pub(crate) struct File {
    /// Its absolute path.
    pub(crate) path: String,
    pub(crate) mode: u16,
    pub(crate) content: Vec<u8>,
    pub(crate) kind: Kind,
}

/// What was made for both packages.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) program: Program,
    /// Seconds since 1970 that everything in the packages carries as its time.
    pub(crate) time: u32,
    /// The scripts of bash, zsh and fish.
    pub(crate) completions: [String; 3],
    /// Manual pages by the names of their files.
    pub(crate) man: Vec<(String, String)>,
    /// Licences and notices of what is linked into the program.
    pub(crate) notices: String,
    /// What the documentation folder has besides, by name.
    pub(crate) documents: Vec<(&'static str, String)>,
    /// The project's licence.
    pub(crate) license: String,
    /// Debian's changelog.
    pub(crate) changelog: String,
}

/// The folder of the drop-in, which no other package need have.
pub(crate) const DROP_INS: &str = "/usr/lib/systemd/system/kubelet.service.d";
const DOCUMENTS: &str = "/usr/share/doc/kubeadm";

/// The files of a package.
pub(crate) fn files(format: Format, made: &Made) -> Vec<File> {
    let plain = |path: String, content: Vec<u8>| File { path, mode: 0o644, content, kind: Kind::Plain };
    let document = |name: &str, content: Vec<u8>| File {
        kind: Kind::Documentation,
        ..plain(format!("{DOCUMENTS}/{name}"), content)
    };
    let [bash, zsh, fish] = &made.completions;
    // Debian and Fedora have zsh look in different folders.
    let zsh_folder = match format {
        Format::Deb => "/usr/share/zsh/vendor-completions",
        Format::Rpm => "/usr/share/zsh/site-functions",
    };
    let mut files = vec![
        File { mode: 0o755, ..plain("/usr/bin/kubeadm".into(), made.program.bytes.clone()) },
        plain(format!("{DROP_INS}/10-kubeadm.conf"), drop_in(format).into()),
        plain("/usr/share/bash-completion/completions/kubeadm".into(), bash.clone().into()),
        plain(format!("{zsh_folder}/_kubeadm"), zsh.clone().into()),
        plain("/usr/share/fish/vendor_completions.d/kubeadm.fish".into(), fish.clone().into()),
    ];
    for (name, text) in &made.man {
        let path = format!("/usr/share/man/man1/{name}.gz");
        files.push(File { kind: Kind::Documentation, ..plain(path, packed(text)) });
    }
    files.extend(made.documents.iter().map(|(name, text)| document(name, text.clone().into())));
    match format {
        Format::Deb => files.extend([
            document("copyright", copyright().into()),
            document("changelog.Debian.gz", packed(&made.changelog)),
            document("third-party-notices.gz", packed(&made.notices)),
        ]),
        Format::Rpm => {
            for (name, text) in [("LICENSE", &made.license), ("third-party-notices", &made.notices)] {
                let path = format!("/usr/share/licenses/kubeadm/{name}");
                files.push(File { kind: Kind::License, ..plain(path, text.clone().into()) });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Compressed by gzip, without a name or a time.
pub(crate) fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

/// Debian's machine-readable form of a licence.
fn copyright() -> String {
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
     Upstream-Name: kubeadm in Rust\n\
     Comment: Licences and notices of the libraries that are linked into the program are in\n \
     /usr/share/doc/kubeadm/third-party-notices.gz.\n\
     \n\
     Files: *\n\
     Copyright: 2026 the authors of kubeadm in Rust\n\
     License: Apache-2.0\n \
     The full text of the Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0\n \
     on Debian systems.\n"
        .into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::dist::program::tests::elf;

    /// Made from a program that is none.
    pub(crate) fn made() -> Made {
        Made {
            program: Program::of(elf(62, 1, false), "v1.37.2").unwrap(),
            time: 1_700_000_000,
            completions: ["bash", "zsh", "fish"].map(|shell| format!("# for {shell}\n")),
            man: vec![("kubeadm.1".into(), ".TH KUBEADM 1\n".into())],
            notices: "serde\n".into(),
            documents: vec![("differences.md", "# Differences\n".into())],
            license: "Apache License\n".into(),
            changelog: "kubeadm (1.37.2-1)\n".into(),
        }
    }

    /// The words of the kubelet's command line, as the drop-in puts them together.
    fn command(text: &str) -> Vec<&str> {
        let starts: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("ExecStart=")).collect();
        // The first clears the command of kubelet.service: systemd would add to it.
        assert_eq!(starts.len(), 2, "{text}");
        assert_eq!(starts[0], "");
        starts[1].split(' ').collect()
    }

    #[test]
    fn extra_arguments_come_last() {
        for (format, environment) in
            [(Format::Deb, "/etc/default/kubelet"), (Format::Rpm, "/etc/sysconfig/kubelet")]
        {
            let text = drop_in(format);
            let words = ["/usr/bin/kubelet", "$KUBELET_KUBECONFIG_ARGS", "$KUBELET_CONFIG_ARGS"];
            let last = ["$KUBELET_KUBEADM_ARGS", "$KUBELET_EXTRA_ARGS"];
            assert_eq!(command(&text), [&words[..], &last[..]].concat());
            let files: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("EnvironmentFile=")).collect();
            // A later file wins as well.
            assert_eq!(files, ["-/var/lib/kubelet/kubeadm-flags.env".to_owned(), format!("-{environment}")]);
            for variable in [
                "KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
                 --kubeconfig=/etc/kubernetes/kubelet.conf",
                "KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml",
            ] {
                assert!(text.lines().any(|l| l == format!("Environment=\"{variable}\"")), "{text}");
            }
        }
    }

    #[test]
    fn each_format_has_its_places() {
        let paths = |format| files(format, &made()).into_iter().map(|f| f.path).collect::<Vec<_>>();
        let (deb, rpm) = (paths(Format::Deb), paths(Format::Rpm));
        for path in ["/usr/bin/kubeadm", "/usr/share/man/man1/kubeadm.1.gz"] {
            assert!(deb.iter().any(|p| p == path) && rpm.iter().any(|p| p == path), "{path}");
        }
        assert!(deb.contains(&"/usr/share/doc/kubeadm/copyright".into()));
        assert!(deb.contains(&"/usr/share/zsh/vendor-completions/_kubeadm".into()));
        assert!(rpm.contains(&"/usr/share/licenses/kubeadm/LICENSE".into()));
        assert!(rpm.contains(&"/usr/share/zsh/site-functions/_kubeadm".into()));
        // A package that owned what kubeadm writes would remove it.
        assert!(deb.iter().chain(&rpm).all(|p| p.starts_with("/usr/")), "{deb:?} {rpm:?}");
    }

    #[test]
    fn only_the_program_is_executable() {
        let all = files(Format::Deb, &made());
        let executable: Vec<&str> = all.iter().filter(|f| f.mode != 0o644).map(|f| f.path.as_str()).collect();
        assert_eq!(executable, ["/usr/bin/kubeadm"]);
    }
}
