//! What components no longer know: flags with which they would not start, and feature gates that they refuse. What a user
//! has configured of these blocks an upgrade.

mod etcd;
mod flags;
mod gates;

use self::flags::FLAGS;
use self::gates::GATES;
use super::images::Images;
use crate::column::Span;
use crate::listing::Facts;
use crate::release::Release;
use crate::version::Version;

/// What the components of a release no longer know that those of the minor before did.
#[derive(Debug, Clone, PartialEq, Eq, Facts)]
pub struct Gone {
    /// Flags, by component.
    pub flags: Vec<(&'static str, Vec<&'static str>)>,
    /// Feature gates, of any component.
    pub feature_gates: Vec<&'static str>,
}

impl Gone {
    /// Of a release.
    pub fn of(release: &Release) -> Self {
        Self::between(release.minor.saturating_sub(1), release.minor)
    }

    /// What goes on the way from a minor to a later one.
    pub(crate) fn between(from: u32, to: u32) -> Self {
        let there = |minor: u32| from < minor && minor <= to;
        let rows = FLAGS.iter().filter(|(minor, ..)| there(*minor));
        let mut flags: Vec<_> = rows.map(|(_, component, flags)| (*component, flags.to_vec())).collect();
        let of_etcd: Vec<_> = etcd::FLAGS
            .iter()
            .filter(|(etcd, ..)| Images::first_with_etcd(*etcd).is_some_and(there))
            .map(|(_, name, _)| *name)
            .collect();
        if !of_etcd.is_empty() {
            flags.push((ETCD, of_etcd));
        }
        let gates = GATES.iter().filter(|(minor, _)| there(*minor));
        Self { flags, feature_gates: gates.flat_map(|(_, names)| names.iter().copied()).collect() }
    }
}

/// Name of etcd as a component: its flags go with its own versions.
const ETCD: &str = "etcd";

/// How a component lost a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The minor from which on the component does not start with it.
    pub minor: u32,
    /// Of etcd, the minor of etcd 3 from which on that is so.
    pub etcd: Option<u32>,
    /// What does the same, and from which minor on; of those of etcd that were renamed.
    pub instead: Option<(&'static str, u32)>,
}

/// How a component loses a flag, where that lies on the way from a version to a later one.
///
/// Of etcd it is assumed that each minor runs the one that its kubeadm would choose; where the configuration names an image
/// or a tag of etcd's, it does not change with the minor.
pub fn flag(component: &str, name: &str, from: &Version, to: &Version) -> Option<Lost> {
    let there = |minor: u32| from.minor < minor && minor <= to.minor;
    if component == ETCD {
        let (etcd, _, instead) = etcd::FLAGS.iter().find(|(_, flag, _)| *flag == name)?;
        let minor = Images::first_with_etcd(*etcd).filter(|minor| there(*minor))?;
        let instead = instead.and_then(|(etcd, other)| Some((other, Images::first_with_etcd(etcd)?)));
        return Some(Lost { minor, etcd: Some(*etcd), instead });
    }
    let mut gone = FLAGS.iter().filter(|(minor, ..)| there(*minor));
    let (minor, ..) = gone.find(|(_, of, flags)| *of == component && flags.contains(&name))?;
    Some(Lost { minor: *minor, etcd: None, instead: None })
}

/// The minor from which on there is no feature gate of a name, where that lies on the way from a version to a later one.
pub fn gate(name: &str, from: &Version, to: &Version) -> Option<u32> {
    let mut gone = GATES.iter().filter(|(minor, _)| from.minor < *minor && *minor <= to.minor);
    gone.find(|(_, names)| names.contains(&name)).map(|(minor, _)| *minor)
}

/// The flags of the kubelet's environment file that an upgrade to a release takes out.
pub fn environment_flags(release: &Release) -> Vec<&'static str> {
    Span::at(ENVIRONMENT, release.minor)
}

/// Flags that kubeadm itself gave to kubelets, and that an upgrade takes out of `kubeadm-flags.env`.
const ENVIRONMENT: &[Span<&str>] = &[
    Span::since(26, "container-runtime"), // app/phases/upgrade/postupgrade.go, v1.26
    Span::since(35, "pod-infra-container-image"), // app/cmd/phases/upgrade/postupgrade.go, v1.35
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::control_plane::Value;

    fn v(minor: u32) -> Version {
        Version::new(1, minor, 0)
    }

    /// The minor at which a component loses a flag.
    fn minor(component: &str, name: &str, from: u32, to: u32) -> Option<u32> {
        flag(component, name, &v(from), &v(to)).map(|lost| lost.minor)
    }

    #[test]
    fn flags_and_gates_go_on_the_way_to_their_minor() {
        assert_eq!(minor("kube-apiserver", "insecure-port", 23, 24), Some(24));
        assert_eq!(minor("kube-apiserver", "insecure-port", 20, 30), Some(24));
        assert_eq!(minor("kube-apiserver", "insecure-port", 24, 25), None);
        assert_eq!(minor("kube-apiserver", "insecure-port", 22, 23), None);
        assert_eq!(minor("kubelet", "insecure-port", 23, 24), None);
        assert_eq!(minor("kube-scheduler", "logtostderr", 25, 26), Some(26));
        assert_eq!(gate("TTLAfterFinished", &v(24), &v(25)), Some(25));
        assert_eq!(gate("TTLAfterFinished", &v(25), &v(26)), None);
    }

    #[test]
    fn flags_of_etcd_go_with_the_minor_that_brings_its_version() {
        for (name, from, to, expected) in [
            ("ca-file", 16, 17, Some((17, 4, Some(("--trusted-ca-file", 0))))),
            ("debug", 21, 22, Some((22, 5, Some(("--log-level=debug", 17))))),
            ("log-package-levels", 11, 37, Some((22, 5, None))),
            ("enable-v2", 33, 34, Some((34, 6, None))),
            // Deprecated by v3.6, gone in v3.7.
            ("experimental-corrupt-check-time", 33, 36, None),
            ("experimental-corrupt-check-time", 36, 37, Some((37, 7, Some(("--corrupt-check-time", 34))))),
            ("experimental-corrupt-check-time", 37, 37, None),
            // What kubeadm writes from v1.34 on does not go together with it.
            (
                "experimental-watch-progress-notify-interval",
                33,
                34,
                Some((34, 6, Some(("--watch-progress-notify-interval", 34)))),
            ),
            ("quota-backend-bytes", 11, 37, None),
            // A flag of another component's.
            ("insecure-port", 11, 37, None),
        ] {
            let lost = flag("etcd", name, &v(from), &v(to));
            let told = lost.map(|lost| (lost.minor, lost.etcd.unwrap(), lost.instead));
            assert_eq!(told, expected, "{name} from {from} to {to}");
        }
        assert_eq!(flag("kube-apiserver", "ca-file", &v(11), &v(37)), None);
    }

    #[test]
    fn flags_of_etcd_are_told_with_the_others() {
        let of = |from, to| Gone::between(from, to).flags.into_iter().find(|(name, _)| *name == "etcd");
        assert_eq!(of(16, 17), Some(("etcd", vec!["ca-file", "peer-ca-file"])));
        assert_eq!(of(34, 36), None);
        let all = of(11, 37).unwrap().1;
        assert_eq!(all.len(), etcd::FLAGS.len());
    }

    #[test]
    fn nothing_goes_twice() {
        for (at, (_, component, flags)) in FLAGS.iter().enumerate() {
            let later = FLAGS[at + 1..].iter().filter(|(_, other, _)| other == component);
            assert!(later.flat_map(|(.., names)| *names).all(|name| !flags.contains(name)), "{component}");
            assert_ne!(*component, ETCD, "its flags are in the table by its own versions");
        }
        for (at, (_, name, _)) in etcd::FLAGS.iter().enumerate() {
            assert!(etcd::FLAGS[at + 1..].iter().all(|(_, other, _)| other != name), "{name}");
        }
        for (at, (minor, names)) in GATES.iter().enumerate() {
            assert!(
                GATES[at + 1..].iter().flat_map(|(_, names)| *names).all(|name| !names.contains(name)),
                "{minor}"
            );
        }
        assert!(FLAGS.is_sorted_by_key(|(minor, ..)| *minor) && GATES.is_sorted_by_key(|(minor, _)| *minor));
        assert!(etcd::FLAGS.is_sorted_by_key(|(etcd, name, _)| (*etcd, *name)));
    }

    #[test]
    fn what_takes_the_place_of_a_flag_is_there_when_it_goes() {
        for (etcd, name, instead) in etcd::FLAGS {
            assert!(instead.is_none_or(|(since, _)| since <= *etcd), "{name}");
            // Etcd loses it in some release.
            assert!(Images::first_with_etcd(*etcd).is_some(), "{name}");
            let other = instead.and_then(|(_, other)| other.strip_prefix("--"));
            let other = other.map(|other| other.split('=').next().unwrap_or(other));
            assert!(other.is_none_or(|other| minor(ETCD, other, 0, 99).is_none()), "{name}");
        }
    }

    #[test]
    fn default_flags_are_known() {
        for &minor in crate::EXACT_MINORS {
            let release = Release::of(&v(minor)).unwrap();
            let pods = &release.control_plane;
            for (component, flags) in [
                ("kube-apiserver", &pods.apiserver.flags),
                ("kube-controller-manager", &pods.controller_manager.flags),
                ("kube-scheduler", &pods.scheduler.flags),
                (ETCD, &release.etcd.flags),
            ] {
                // Those for an earlier etcd are not for the minor's own.
                for given in flags.iter().filter(|f| !matches!(f.value, Value::BeforeEtcd36(_))) {
                    assert_eq!(
                        flag(component, given.name, &v(0), &v(minor)),
                        None,
                        "v1.{minor}: {component} {}",
                        given.name
                    );
                }
            }
        }
    }

    #[test]
    fn flags_of_the_environment_go_with_their_minor() {
        let of = |minor| environment_flags(&Release::of(&v(minor)).unwrap());
        assert_eq!(of(13), [""; 0]);
        assert_eq!(of(37), ["container-runtime", "pod-infra-container-image"]);
    }
}
