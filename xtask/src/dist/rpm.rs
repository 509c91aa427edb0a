//! The package for Fedora, RHEL, openSUSE and their kin.

use rpm::{BuildConfig, CompressionType, Dependency, Error, FileOptions, PackageBuilder};

use crate::dist::contents::{
    DESCRIPTION, DROP_INS, Format, INSTALLED, Kind, MAINTAINER, Made, NEEDED, Need, REMOVED, REVISION,
    SUMMARY, files,
};

/// The name of the package's file.
pub(crate) fn name(made: &Made) -> String {
    format!("kubeadm-{}-{REVISION}.{}.rpm", made.program.version, made.program.machine.rpm)
}

/// The package. Its compression is the one that every rpm of the last twenty years can read.
pub(crate) fn build(made: &Made) -> Result<Vec<u8>, Error> {
    let (version, machine) = (&made.program.version, made.program.machine);
    let mut builder = PackageBuilder::new("kubeadm", version, "Apache-2.0", machine.rpm, SUMMARY);
    let config = BuildConfig::v4().compression(CompressionType::Gzip).source_date(made.time);
    builder.using_config(config).release(REVISION).packager(MAINTAINER).description(DESCRIPTION.join("\n"));
    for other in NEEDED {
        let dependency = match other.least {
            Some(least) => Dependency::greater_eq(other.rpm, least),
            None => Dependency::any(other.rpm),
        };
        match other.need {
            Need::Depends => builder.requires(dependency),
            Need::Recommends => builder.recommends(dependency),
            Need::Suggests => builder.suggests(dependency),
        };
    }
    builder.post_install_script(INSTALLED);
    // An upgrade removes the old package too: then a 1 is left.
    builder.post_uninstall_script(format!("if [ \"$1\" = 0 ]; then\n{REMOVED}fi\n"));
    builder.with_dir_entry(FileOptions::dir(DROP_INS).permissions(0o755))?;
    for file in files(Format::Rpm, made) {
        let options = FileOptions::new(file.path).permissions(file.mode);
        let options = match file.kind {
            Kind::Plain => options,
            Kind::Documentation => options.doc(),
            Kind::License => options.license(),
        };
        builder.with_file_contents(file.content, options)?;
    }
    let mut package = Vec::new();
    builder.build()?.write(&mut package)?;
    Ok(package)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rpm::Package;

    use super::*;
    use crate::dist::contents::tests::made;

    fn read_back() -> Package {
        Package::parse(&mut build(&made()).unwrap().as_slice()).unwrap()
    }

    #[test]
    fn header_says_what_the_package_is_and_needs() {
        let package = read_back();
        package.verify_digests().unwrap();
        assert_eq!(package.canonical_filename().unwrap(), name(&made()));
        assert_eq!(name(&made()), "kubeadm-1.37.2-1.x86_64.rpm");
        let meta = &package.metadata;
        assert_eq!(meta.get_license().unwrap(), "Apache-2.0");
        assert_eq!(meta.get_build_time().unwrap(), 1_700_000_000);
        let shown = |all: Vec<Dependency>| {
            all.into_iter().map(|d| format!("{} {}", d.name, d.version)).collect::<Vec<_>>()
        };
        let requires = shown(meta.get_requires().unwrap());
        assert!(requires.contains(&"kubelet 1.11.0".into()), "{requires:?}");
        assert!(requires.contains(&"util-linux ".into()), "{requires:?}");
        let recommends = shown(meta.get_recommends().unwrap());
        assert_eq!(
            recommends,
            ["conntrack-tools ", "ethtool ", "iproute ", "iptables ", "kubectl ", "socat "]
        );
        assert_eq!(shown(meta.get_suggests().unwrap()), ["cri-tools "]);
    }

    #[test]
    fn files_are_roots_and_the_folder_of_the_drop_in_is_among_them() {
        let package = read_back();
        let entries = package.metadata.get_file_entries().unwrap();
        let mode =
            |path: &str| entries.iter().find(|e| e.path() == Path::new(path)).map(|e| e.mode().permissions());
        assert_eq!(mode("/usr/bin/kubeadm"), Some(0o755));
        assert_eq!(mode(DROP_INS), Some(0o755));
        assert_eq!(mode(&format!("{DROP_INS}/10-kubeadm.conf")), Some(0o644));
        assert!(entries.iter().all(|e| e.user() == "root" && e.group() == "root"));
    }

    #[test]
    fn scripts_act_as_in_the_other_format() {
        let package = read_back();
        let installed = package.metadata.get_post_install_script().unwrap();
        assert_eq!(installed.script, INSTALLED);
        let removed = package.metadata.get_post_uninstall_script().unwrap().script;
        assert!(removed.contains("\"$1\" = 0") && removed.contains("daemon-reload"), "{removed}");
        assert!(!removed.contains("/etc/kubernetes"), "{removed}");
    }

    #[test]
    fn the_same_makes_the_same() {
        assert_eq!(build(&made()).unwrap(), build(&made()).unwrap());
    }
}
