//! What components no longer know: flags with which they would not start, values that flags do not take, and feature gates
//! that they refuse. What a user has configured of these blocks an upgrade.

mod environment;
mod etcd;
mod flags;
mod gates;
mod locked;
mod values;

pub use self::environment::{Unfit, environment};
use self::flags::FLAGS;
use self::gates::GATES;
use self::locked::LOCKED;
pub use self::values::Values;
use self::values::{OF_ETCD, VALUES};
use super::images::Images;
use crate::listing::Facts;
use crate::release::Release;
use crate::version::Version;

/// What the components of a release no longer know that those of the minor before did.
#[derive(Debug, Clone, PartialEq, Eq, Facts)]
pub struct Gone {
    /// Flags, by component.
    pub flags: Vec<(&'static str, Vec<&'static str>)>,
    /// Values of flags that are still there, by component and flag.
    pub values: Vec<(&'static str, Vec<(&'static str, Values)>)>,
    /// Feature gates, of any component.
    pub feature_gates: Vec<&'static str>,
    /// Feature gates that cannot be switched off any more.
    pub gates_locked_on: Vec<&'static str>,
    /// Feature gates that cannot be switched on any more.
    pub gates_locked_off: Vec<&'static str>,
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
        let gates: Vec<_> = gates.flat_map(|(_, row)| names(row)).collect();
        // One that is gone is not locked.
        let locked = |value| {
            let rows = LOCKED.iter().filter(|(minor, to, _)| there(*minor) && *to == value);
            rows.flat_map(|(.., row)| names(row)).filter(|name| !gates.contains(name)).collect()
        };
        let (gates_locked_on, gates_locked_off) = (locked(true), locked(false));
        Self { flags, values: lost_values(there), feature_gates: gates, gates_locked_on, gates_locked_off }
    }
}

/// The names of a row of gates. Half a thousand slices would be longer than what they say, in a program that is relocated when
/// it starts.
fn names(row: &'static str) -> impl Iterator<Item = &'static str> {
    row.split_ascii_whitespace()
}

/// The values that flags lose in some minors, by component.
fn lost_values(there: impl Fn(u32) -> bool) -> Vec<(&'static str, Vec<(&'static str, Values)>)> {
    let mut lost: Vec<(&str, Vec<_>)> = Vec::new();
    let of_etcd = OF_ETCD.iter().filter(|(etcd, ..)| Images::first_with_etcd(*etcd).is_some_and(&there));
    for &(_, component, flags, values, _) in VALUES.iter().filter(|(minor, ..)| there(*minor)).chain(of_etcd)
    {
        let flags = flags.iter().map(|flag| (*flag, values));
        match lost.iter_mut().find(|(other, _)| *other == component) {
            Some((_, known)) => known.extend(flags),
            None => lost.push((component, flags.collect())),
        }
    }
    lost
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
    gone.find(|(_, row)| names(row).any(|other| other == name)).map(|(minor, _)| *minor)
}

/// The minor from which on components do not start with a feature gate set to a value, as it is locked to the other, where
/// that lies on the way from a version to a later one. For a gate that is there no more, see [`gate`].
pub fn locked(name: &str, value: bool, from: &Version, to: &Version) -> Option<u32> {
    let there = |minor: u32| from.minor < minor && minor <= to.minor;
    let mut rows = LOCKED.iter().filter(|(minor, locked, _)| there(*minor) && *locked != value);
    rows.find(|(.., row)| names(row).any(|other| other == name)).map(|(minor, ..)| *minor)
}

/// How a flag that stays loses a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'v> {
    /// The minor from which on the component does not start with it.
    pub minor: u32,
    /// Of etcd, the minor of etcd 3 from which on that is so.
    pub etcd: Option<u32>,
    /// What is refused: the value, or one of those between its commas.
    pub part: &'v str,
    /// What to say instead, where there is something.
    pub instead: Option<&'static str>,
}

/// What a component refuses first of the value of a flag, where that lies on the way from a version to a later one.
///
/// For etcd holds what [`flag`] says. What the flag itself is worth is not asked.
pub fn value<'v>(
    component: &str,
    flag: &str,
    value: &'v str,
    from: &Version,
    to: &Version,
) -> Option<Refusal<'v>> {
    let is_etcd = component == ETCD;
    let rows = if is_etcd { OF_ETCD } else { VALUES };
    rows.iter().filter(|(_, of, flags, ..)| *of == component && flags.contains(&flag)).find_map(
        |(since, _, _, values, instead)| {
            let minor = if is_etcd { Images::first_with_etcd(*since) } else { Some(*since) };
            let minor = minor.filter(|minor| from.minor < *minor && *minor <= to.minor)?;
            let part = values.refused(value)?;
            Some(Refusal { minor, etcd: is_etcd.then_some(*since), part, instead: *instead })
        },
    )
}

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
    fn values_go_on_the_way_to_their_minor() {
        let admission = "enable-admission-plugins";
        for (component, name, given, from, to, expected) in [
            (
                "kube-apiserver",
                admission,
                "NodeRestriction,PodSecurityPolicy",
                24,
                25,
                Some((25, "PodSecurityPolicy")),
            ),
            ("kube-apiserver", admission, "NodeRestriction,PodSecurityPolicy", 25, 26, None),
            ("kube-apiserver", admission, "NodeRestriction", 11, 37, None),
            ("kube-apiserver", admission, "PodSecurityPolicy,PodPreset", 19, 25, Some((20, "PodPreset"))),
            ("kube-apiserver", "disable-admission-plugins", "PodPreset", 19, 20, Some((20, "PodPreset"))),
            ("kube-apiserver", "admission-control", "Initializers", 13, 14, Some((14, "Initializers"))),
            (
                "kube-apiserver",
                "runtime-config",
                "settings.k8s.io/v1alpha1",
                19,
                20,
                Some((20, "settings.k8s.io/v1alpha1")),
            ),
            ("kube-apiserver", "runtime-config", "extensions/v1beta1=true", 11, 37, None),
            ("kube-apiserver", "insecure-port", "8080", 19, 20, Some((20, "8080"))),
            ("kube-apiserver", "insecure-port", "0", 19, 20, None),
            ("kube-apiserver", "cloud-provider", "openstack", 28, 29, Some((29, "openstack"))),
            ("kube-controller-manager", "cloud-provider", "openstack", 25, 26, Some((26, "openstack"))),
            ("kube-controller-manager", "cloud-provider", "external", 11, 37, None),
            ("kube-scheduler", "cloud-provider", "gce", 11, 37, None),
            ("kube-controller-manager", "controllers", "*,-service", 36, 37, Some((37, "-service"))),
            ("etcd", "logger", "capnslog", 21, 22, Some((22, "capnslog"))),
            ("etcd", "logger", "zap", 11, 37, None),
            ("etcd", "v2-deprecation", "not-yet", 11, 37, Some((34, "not-yet"))),
        ] {
            let refused = value(component, name, given, &v(from), &v(to));
            let told = refused.map(|refused| (refused.minor, refused.part));
            assert_eq!(told, expected, "{component} {name}={given} from {from} to {to}");
        }
        let logger = value("etcd", "logger", "capnslog", &v(21), &v(22)).unwrap();
        assert_eq!((logger.etcd, logger.instead), (Some(5), Some("zap")));
    }

    #[test]
    fn gates_are_locked_to_one_value() {
        for (name, set, from, to, expected) in [
            ("TTLAfterFinished", false, 22, 23, Some(23)),
            ("TTLAfterFinished", true, 22, 23, None),
            ("TTLAfterFinished", false, 23, 24, None),
            ("LegacyNodeRoleBehavior", true, 20, 21, Some(21)),
            ("LegacyNodeRoleBehavior", false, 20, 21, None),
            ("GitRepoVolumeDriver", true, 33, 36, Some(36)),
            ("NoSuchGate", false, 11, 37, None),
        ] {
            assert_eq!(locked(name, set, &v(from), &v(to)), expected, "{name}={set} from {from} to {to}");
        }
        assert_eq!(gate("IPv6DualStack", &v(24), &v(25)), Some(25));
        let gone = Gone::between(22, 25);
        assert!(
            gone.feature_gates.contains(&"TTLAfterFinished")
                && !gone.gates_locked_on.contains(&"TTLAfterFinished")
        );
        assert_eq!(Gone::between(35, 36).gates_locked_off, ["GitRepoVolumeDriver", "SeparateCacheWatchRPC"]);
    }

    #[test]
    fn no_gate_is_locked_twice_or_after_it_is_gone() {
        for (at, (minor, _, row)) in LOCKED.iter().enumerate() {
            let mut later = LOCKED[at + 1..].iter().flat_map(|(.., row)| names(row));
            assert!(later.all(|name| !names(row).any(|other| other == name)), "v1.{minor}");
            assert!(names(row).all(|name| gate(name, &v(0), &v(*minor)).is_none()), "v1.{minor}");
        }
        assert!(LOCKED.is_sorted_by_key(|(minor, value, _)| (*minor, *value)));
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
        for (at, (minor, row)) in GATES.iter().enumerate() {
            let mut later = GATES[at + 1..].iter().flat_map(|(_, row)| names(row));
            assert!(later.all(|name| !names(row).any(|other| other == name)), "{minor}");
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
        for &minor in crate::SERVED_MINORS {
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
                    let name = given.name;
                    assert_eq!(
                        flag(component, name, &v(0), &v(minor)),
                        None,
                        "v1.{minor}: {component} {name}"
                    );
                    if let Value::Text(text) = given.value {
                        let refused = value(component, name, text, &v(0), &v(minor));
                        assert_eq!(refused, None, "v1.{minor}: {component} {name}");
                    }
                }
            }
        }
    }
}
