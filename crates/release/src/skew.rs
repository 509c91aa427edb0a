//! The comparisons of versions that mean something, each under its own name.
//!
//! These are questions, not policy: the caller decides whether an answer is an error or a warning.

use std::fmt;

use crate::column::Column;
use crate::facts::kubelet::REFUSES_CGROUPS_V1;
use crate::listing::Facts;
use crate::release::Release;
use crate::version::Version;

/// How many minors a kubelet may be older than the kubeadm that sets it up.
const KUBELET_SKEW: Column<u32> = Column(&[
    (0, 1),  // app/constants/constants.go MinimumKubeletVersion, v1.13: v1.12.0
    (29, 3), // KEP-3935, kubeadm v1.29
]);

/// The oldest external etcd a control plane may use.
const EXTERNAL_ETCD_MINIMUM: Column<&str> = Column(&[
    (0, "3.2.17"),    // app/preflight/checks.go externalEtcdVersion check, v1.11
    (12, "3.2.18"),   // app/constants/constants.go MinExternalEtcdVersion, v1.12
    (28, "3.4.13-4"), // the same, v1.28.15
    (31, "3.5.24-0"), // the same, v1.31.14 and later
]);

/// How many minors an upgrade may go up at a time.
const UPGRADE_STEP: Column<u32> = Column(&[
    (0, 1), // app/phases/upgrade/policy.go MaximumAllowedMinorVersionUpgradeSkew, v1.11
]);

/// Which versions a release goes together with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Skew {
    /// How many minors older a kubelet may be.
    pub kubelet_minors: u32,
    /// How many minors an upgrade to it may go up at a time.
    pub upgrade_minors: u32,
    /// The oldest etcd of the site's own.
    pub external_etcd: &'static str,
}

impl Skew {
    /// Of a release.
    pub fn of(release: &Release) -> Self {
        Self {
            kubelet_minors: KUBELET_SKEW.at(release.minor),
            upgrade_minors: UPGRADE_STEP.at(release.minor),
            external_etcd: EXTERNAL_ETCD_MINIMUM.at(release.minor),
        }
    }
}

/// Why a kubelet cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletSkew {
    /// Too old for this kubeadm.
    TooOld {
        /// The kubelet found.
        kubelet: Version,
        /// The oldest that is supported.
        minimum: Box<Version>,
    },
    /// Newer, in minor, than the control plane it would talk to.
    NewerThanControlPlane {
        /// The kubelet found.
        kubelet: Version,
        /// The control plane wanted.
        control_plane: Box<Version>,
    },
}

impl fmt::Display for KubeletSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld { kubelet, .. } => write!(
                f,
                "Kubelet version {:?} is lower than kubeadm can support. Please upgrade kubelet",
                kubelet.bare()
            ),
            Self::NewerThanControlPlane { kubelet, control_plane } => write!(
                f,
                "the kubelet version is higher than the control plane version. This is not a supported version \
                 skew and may lead to a malfunctional cluster. Kubelet version: {:?} Control plane version: {:?}",
                kubelet.bare(),
                control_plane.bare()
            ),
        }
    }
}

impl std::error::Error for KubeletSkew {}

/// The oldest kubelet that the kubeadm of a control plane version supports.
pub fn minimum_kubelet(control_plane: &Version) -> Version {
    let skew = KUBELET_SKEW.at(control_plane.minor);
    Version::new(control_plane.major, control_plane.minor.saturating_sub(skew), 0)
}

/// Whether a kubelet may join a control plane of the given version.
pub fn kubelet_allowed(kubelet: &Version, control_plane: &Version) -> Result<(), KubeletSkew> {
    let minimum = minimum_kubelet(control_plane);
    if kubelet.precedence(&minimum).is_lt() {
        return Err(KubeletSkew::TooOld { kubelet: kubelet.clone(), minimum: Box::new(minimum) });
    }
    if kubelet_newer_than_control_plane(kubelet, control_plane) {
        let (kubelet, control_plane) = (kubelet.clone(), Box::new(control_plane.clone()));
        return Err(KubeletSkew::NewerThanControlPlane { kubelet, control_plane });
    }
    Ok(())
}

/// Whether a kubelet is of a later minor than the control plane. Patches do not count.
pub fn kubelet_newer_than_control_plane(kubelet: &Version, control_plane: &Version) -> bool {
    series(kubelet).cmp(&series(control_plane)).is_gt()
}

/// Whether a control plane is of a later minor than the kubeadm that sets it up.
pub fn newer_than_kubeadm(control_plane: &Version, kubeadm: &Version) -> bool {
    series(control_plane).cmp(&series(kubeadm)).is_gt()
}

/// Whether a version published on the internet is of a later minor than the client's own, so that the client must
/// ask for the newest of its own minor instead (upstream: `validateStableVersion`).
pub fn remote_is_much_newer(remote: &Version, client: &Version) -> bool {
    series(remote).cmp(&series(client)).is_gt()
}

/// The label of the newest stable release of a version's own minor: `stable-1.37`.
pub fn stable_label(client: &Version) -> String {
    format!("stable-{}", client.major_minor())
}

/// The release a client stands for when the internet cannot be asked (upstream: `kubeadmVersion`).
///
/// Build metadata is dropped. A pre-release of a patch is the patch before; a pre-release of a minor keeps its first
/// two parts, since images exist for those only.
pub fn cleaned(client: &Version) -> Version {
    let mut version = Version { build: String::new(), ..client.clone() };
    if version.pre.is_empty() {
        return version;
    }
    if let Some(previous) = version.patch.checked_sub(1) {
        version.patch = previous;
        version.pre.clear();
        return version;
    }
    let mut parts = version.pre.split('.');
    let (stage, count) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("0"));
    version.pre = format!("{stage}.{count}");
    version
}

/// The oldest external etcd for a control plane, as messages print it.
pub fn minimum_external_etcd(control_plane: &Version) -> &'static str {
    EXTERNAL_ETCD_MINIMUM.at(control_plane.minor)
}

/// Whether an external etcd, by the version its `/version` answers, is new enough.
///
/// Only the three numbers count: the `-0` of an image tag is not a pre-release.
pub fn external_etcd_supported(etcd: &Version, control_plane: &Version) -> bool {
    let minimum = minimum_external_etcd(control_plane).split('-').next().unwrap_or_default();
    minimum.parse::<Version>().is_ok_and(|minimum| {
        let release = Version::new(etcd.major, etcd.minor, etcd.patch);
        release.precedence(&minimum).is_ge()
    })
}

/// Whether a kubelet refuses to start on a host with cgroups v1 unless its configuration says otherwise (KEP-5573).
pub fn kubelet_refuses_cgroups_v1(kubelet: &Version) -> bool {
    REFUSES_CGROUPS_V1.at(kubelet.minor)
}

/// How many minors an upgrade goes up, or down where the number is negative.
pub fn upgrade_step(from: &Version, to: &Version) -> i64 {
    i64::from(to.minor) - i64::from(from.minor)
}

/// How many minors an upgrade to a version may go up, and as many a downgrade down.
pub fn upgrade_limit(to: &Version) -> i64 {
    UPGRADE_STEP.at(to.minor).into()
}

/// The minors after that of a version, up to that of another, each as its first release: an upgrade goes through them.
pub fn minors_between(from: &Version, to: &Version) -> Vec<Version> {
    (from.minor + 1..=to.minor).map(|minor| Version::new(to.major, minor, 0)).collect()
}

/// Whether two versions are of one minor.
pub fn same_minor(left: &Version, right: &Version) -> bool {
    series(left) == series(right)
}

/// Whether a version comes before another.
pub fn precedes(earlier: &Version, later: &Version) -> bool {
    earlier.precedence(later).is_lt()
}

/// Whether a kubelet is too old to go on with a control plane, where only minors count.
pub fn kubelet_left_behind(kubelet: &Version, control_plane: &Version) -> bool {
    series(kubelet) < series(&minimum_kubelet(control_plane))
}

/// Whether the tag of an etcd image is of an earlier release than another's, `3.5.24-0` than `3.6.8-0`. Tags that are no
/// versions say nothing.
pub fn etcd_tag_precedes(earlier: &str, later: &str) -> bool {
    // The number after the hyphen counts builds of an image; semantic versions would take it for a pre-release.
    let read = |tag: &str| {
        let (version, build) = tag.split_once('-').unwrap_or((tag, "0"));
        Some((version.parse::<Version>().ok()?, build.parse::<u32>().ok()?))
    };
    let (Some(earlier), Some(later)) = (read(earlier), read(later)) else { return false };
    earlier.0.precedence(&later.0).then(earlier.1.cmp(&later.1)).is_lt()
}

/// Whether the tag of an etcd image is a version, and not before another. As kubeadm compares them: `3.6.0-0` is before
/// `3.6.0`. app/phases/etcd/local.go getEtcdCommand, v1.34.
pub fn etcd_tag_reaches(tag: &str, oldest: &str) -> bool {
    let read = |text: &str| text.parse::<Version>().ok();
    read(tag).zip(read(oldest)).is_some_and(|(tag, oldest)| !precedes(&tag, &oldest))
}

fn series(version: &Version) -> (u32, u32) {
    (version.major, version.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn tags_of_etcd_reach_a_version() {
        for (tag, reaches) in [
            ("3.6.5-0", true),
            ("v3.6.0", true),
            ("3.7.0-0", true),
            ("3.6.0-0", false),
            ("3.5.24-0", false),
            ("latest", false),
            ("", false),
        ] {
            assert_eq!(etcd_tag_reaches(tag, "3.6.0"), reaches, "{tag}");
        }
    }

    #[test]
    fn kubelets_between_the_minimum_and_the_control_plane_are_allowed() {
        for (kubelet, control_plane) in
            [("1.37.2", "1.37.0"), ("1.34.0", "1.37.2"), ("1.37.9", "1.37.2"), ("1.12.0", "1.13.12")]
        {
            assert_eq!(kubelet_allowed(&v(kubelet), &v(control_plane)), Ok(()), "{kubelet} {control_plane}");
        }
        assert_eq!(
            kubelet_allowed(&v("1.33.9"), &v("1.37.2")),
            Err(KubeletSkew::TooOld { kubelet: v("1.33.9"), minimum: Box::new(v("1.34.0")) })
        );
        assert_eq!(
            kubelet_allowed(&v("1.34.0-rc.1"), &v("1.37.2")),
            Err(KubeletSkew::TooOld { kubelet: v("1.34.0-rc.1"), minimum: Box::new(v("1.34.0")) })
        );
        assert!(matches!(kubelet_allowed(&v("1.11.9"), &v("1.13.0")), Err(KubeletSkew::TooOld { .. })));
        assert_eq!(
            kubelet_allowed(&v("1.37.0"), &v("1.36.3")),
            Err(KubeletSkew::NewerThanControlPlane {
                kubelet: v("1.37.0"),
                control_plane: Box::new(v("1.36.3"))
            })
        );
    }

    #[test]
    fn messages_are_those_of_kubeadm() {
        let old = kubelet_allowed(&v("1.30.1"), &v("1.37.2")).unwrap_err().to_string();
        assert_eq!(
            old,
            "Kubelet version \"1.30.1\" is lower than kubeadm can support. Please upgrade kubelet"
        );
    }

    #[test]
    fn clients_are_cleaned_as_upstream_does() {
        for (from, to) in [
            ("v1.11.3-beta.0.38+abc", "v1.11.2"),
            ("v1.8.0-alpha.2.1231+abc", "v1.8.0-alpha.2"),
            ("v1.8.0-alpha", "v1.8.0-alpha.0"),
            ("v1.13.4", "v1.13.4"),
            ("v1.37.2+abc", "v1.37.2"),
        ] {
            assert_eq!(cleaned(&v(from)).to_string(), to, "{from}");
        }
    }

    #[test]
    fn only_minors_decide_what_is_much_newer() {
        assert!(remote_is_much_newer(&v("1.38.0"), &v("1.37.2")));
        assert!(remote_is_much_newer(&v("2.0.0"), &v("1.37.2")));
        assert!(!remote_is_much_newer(&v("1.37.9"), &v("1.37.2")));
        assert_eq!(stable_label(&v("1.37.2")), "stable-1.37");
    }

    #[test]
    fn control_planes_of_a_later_minor_are_newer_than_kubeadm() {
        assert!(!newer_than_kubeadm(&v("1.37.9"), &v("1.37.2")));
        assert!(newer_than_kubeadm(&v("1.38.0-alpha.1"), &v("1.37.2")));
    }

    #[test]
    fn kubelets_refuse_cgroups_v1_from_one_minor_on() {
        assert!(kubelet_refuses_cgroups_v1(&v("1.37.2")) && kubelet_refuses_cgroups_v1(&v("1.35.0-rc.0")));
        assert!(!kubelet_refuses_cgroups_v1(&v("1.34.9")));
    }

    #[test]
    fn upgrades_go_by_minors_and_etcd_by_builds_too() {
        assert_eq!(upgrade_step(&v("1.36.9"), &v("1.37.0-rc.0")), 1);
        assert_eq!(upgrade_step(&v("1.37.0"), &v("1.35.9")), -2);
        assert_eq!(minors_between(&v("1.34.4"), &v("1.36.3")), [v("1.35.0"), v("1.36.0")]);
        assert_eq!(minors_between(&v("1.37.0"), &v("1.36.3")), []);
        assert!(same_minor(&v("1.37.0-rc.1"), &v("1.37.2")) && !same_minor(&v("1.36.2"), &v("1.37.2")));
        assert!(precedes(&v("1.37.0-rc.1"), &v("1.37.0")) && !precedes(&v("1.37.0"), &v("1.37.0+x")));
        assert!(kubelet_left_behind(&v("1.33.9"), &v("1.37.2")));
        assert!(!kubelet_left_behind(&v("1.34.0-alpha.1"), &v("1.37.2")));
        assert!(etcd_tag_precedes("3.5.24-0", "3.6.8-0") && etcd_tag_precedes("3.6.8-0", "3.6.8-1"));
        assert!(!etcd_tag_precedes("3.6.8", "3.6.8-0") && !etcd_tag_precedes("3.10.0", "3.9.9"));
        assert!(!etcd_tag_precedes("latest", "3.6.8-0"));
    }

    #[test]
    fn external_etcd_has_a_minimum() {
        assert!(external_etcd_supported(&v("3.5.24"), &v("1.37.2")));
        assert!(!external_etcd_supported(&v("3.5.23"), &v("1.37.2")));
        assert!(external_etcd_supported(&v("3.2.18"), &v("1.13.0")));
        assert!(!external_etcd_supported(&v("3.2.17"), &v("1.13.0")));
        assert!(external_etcd_supported(&v("3.2.17"), &v("1.11.0")));
    }
}
