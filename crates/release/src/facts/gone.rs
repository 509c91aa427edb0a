//! What components no longer know: flags with which they would not start, and feature gates that they refuse. What a user
//! has configured of these blocks an upgrade.

mod flags;
mod gates;

use self::flags::FLAGS;
use self::gates::GATES;
use crate::column::Span;
use crate::listing::Facts;
use crate::release::Release;
use crate::version::Version;

/// What the components of a release no longer know that those of the minor before did.
#[derive(Debug, Clone, PartialEq, Eq, Facts)]
pub struct Gone {
    /// Flags, by component.
    pub flags: Vec<(&'static str, &'static [&'static str])>,
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
        let flags = FLAGS.iter().filter(|(minor, ..)| there(*minor));
        let gates = GATES.iter().filter(|(minor, _)| there(*minor));
        Self {
            flags: flags.map(|(_, component, flags)| (*component, *flags)).collect(),
            feature_gates: gates.flat_map(|(_, names)| names.iter().copied()).collect(),
        }
    }
}

/// The minor from which on a component does not know a flag, where that lies on the way from a version to a later one.
pub fn flag(component: &str, name: &str, from: &Version, to: &Version) -> Option<u32> {
    let gone = FLAGS.iter().filter(|(minor, ..)| from.minor < *minor && *minor <= to.minor);
    let mut gone = gone.filter(|(_, of, flags)| *of == component && flags.contains(&name));
    gone.next().map(|(minor, ..)| *minor)
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

    fn v(minor: u32) -> Version {
        Version::new(1, minor, 0)
    }

    #[test]
    fn flags_and_gates_go_on_the_way_to_their_minor() {
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(23), &v(24)), Some(24));
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(20), &v(30)), Some(24));
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(24), &v(25)), None);
        assert_eq!(flag("kube-apiserver", "insecure-port", &v(22), &v(23)), None);
        assert_eq!(flag("kubelet", "insecure-port", &v(23), &v(24)), None);
        assert_eq!(flag("kube-scheduler", "logtostderr", &v(25), &v(26)), Some(26));
        assert_eq!(gate("TTLAfterFinished", &v(24), &v(25)), Some(25));
        assert_eq!(gate("TTLAfterFinished", &v(25), &v(26)), None);
    }

    #[test]
    fn nothing_goes_twice() {
        for (at, (_, component, flags)) in FLAGS.iter().enumerate() {
            let later = FLAGS[at + 1..].iter().filter(|(_, other, _)| other == component);
            assert!(later.flat_map(|(.., names)| *names).all(|name| !flags.contains(name)), "{component}");
        }
        for (at, (minor, names)) in GATES.iter().enumerate() {
            assert!(
                GATES[at + 1..].iter().flat_map(|(_, names)| *names).all(|name| !names.contains(name)),
                "{minor}"
            );
        }
        assert!(FLAGS.is_sorted_by_key(|(minor, ..)| *minor) && GATES.is_sorted_by_key(|(minor, _)| *minor));
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
            ] {
                for given in flags {
                    assert_eq!(
                        flag(component, given.name, &v(0), &v(minor)),
                        None,
                        "{component} {}",
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
