//! Releases as lists of facts, for whoever shows or compares them: every field of [`Release`] with its name and what its
//! documentation says of it. `#[derive(Facts)]` makes them, so a new column shows up here by itself.

pub use kubeadm_release_derive::Facts;

use crate::facts::component_config;
use crate::facts::gone::{Gone, Values};
use crate::release::Release;
use crate::skew::Skew;

/// A fact, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// There is none.
    Absent,
    /// Whether something holds.
    Bool(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(&'static str),
    /// One of several possibilities.
    Choice {
        /// Its name.
        word: &'static str,
        /// What it means.
        about: &'static str,
        /// What it says besides.
        of: Option<Box<Fact>>,
    },
    /// Several of a kind. Where each begins with a text of its own, that is its name.
    List(Vec<Fact>),
    /// Facts with names.
    Group(Vec<Named>),
}

/// A fact with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name: words with `_` between them.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The fact.
    pub fact: Fact,
}

impl Fact {
    /// The text that a fact of a list begins with.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Choice { word, of: None, .. } => Some(word),
            Self::List(items) => items.first()?.key(),
            Self::Group(entries) => entries.first()?.fact.key(),
            Self::Absent | Self::Bool(_) | Self::Number(_) | Self::Choice { .. } => None,
        }
    }
}

/// What tells facts.
pub trait Facts {
    /// The facts that it tells.
    fn fact(&self) -> Fact;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Facts for $number {
            fn fact(&self) -> Fact {
                // The facts are small: durations, ports, seconds of a year.
                Fact::Number(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}
numbers!(i32 i64 u16 u32 u64 usize);

impl Facts for bool {
    fn fact(&self) -> Fact {
        Fact::Bool(*self)
    }
}

impl Facts for &'static str {
    fn fact(&self) -> Fact {
        Fact::Text(self)
    }
}

impl<T: Facts> Facts for Option<T> {
    fn fact(&self) -> Fact {
        self.as_ref().map_or(Fact::Absent, T::fact)
    }
}

impl<T: Facts> Facts for [T] {
    fn fact(&self) -> Fact {
        Fact::List(self.iter().map(T::fact).collect())
    }
}

impl<T: Facts> Facts for &'static [T] {
    fn fact(&self) -> Fact {
        (**self).fact()
    }
}

impl<T: Facts> Facts for Vec<T> {
    fn fact(&self) -> Fact {
        self.as_slice().fact()
    }
}

impl<A: Facts, B: Facts> Facts for (A, B) {
    fn fact(&self) -> Fact {
        Fact::List(vec![self.0.fact(), self.1.fact()])
    }
}

impl<A: Facts, B: Facts, C: Facts> Facts for (A, B, C) {
    fn fact(&self) -> Fact {
        Fact::List(vec![self.0.fact(), self.1.fact(), self.2.fact()])
    }
}

/// All that is known of a release, by area.
pub fn all(release: &Release) -> Vec<Named> {
    let mut areas = own(release);
    let about = "What components no longer know that those of the minor before did";
    areas.push(Named { name: "gone", about, fact: Gone::of(release).fact() });
    areas
}

/// What a release is, without what others were.
fn own(release: &Release) -> Vec<Named> {
    let mut areas = match release.fact() {
        Fact::Group(areas) => areas,
        other => vec![Named { name: "release", about: "", fact: other }],
    };
    let more = [
        (
            "kubelet_configuration",
            "Fields of KubeletConfiguration",
            component_config::kubelet(release).fact(),
        ),
        (
            "kube_proxy_configuration",
            "Fields of KubeProxyConfiguration",
            component_config::kube_proxy(release).fact(),
        ),
        ("skew", "Versions that go together", Skew::of(release).fact()),
    ];
    areas.extend(more.map(|(name, about, fact)| Named { name, about, fact }));
    areas
}

// --- what differs -------------------------------------------------------------------------------------------------

/// A difference between two releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: names of groups, and of items of lists.
    pub path: Vec<&'static str>,
    /// What it is that differs.
    pub about: &'static str,
    /// The fact of the first release; `None` where it has no such item.
    pub before: Option<Fact>,
    /// The fact of the second release; `None` where it has no such item.
    pub after: Option<Fact>,
}

/// What differs from one release to another, in the order of their facts.
pub fn differences(from: &Release, to: &Release) -> Vec<Difference> {
    let mut comparison = Comparison::default();
    comparison.groups(&own(from), &own(to));
    comparison.gone(from, to);
    comparison.found
}

#[derive(Default)]
struct Comparison {
    path: Vec<&'static str>,
    found: Vec<Difference>,
}

impl Comparison {
    fn groups(&mut self, from: &[Named], to: &[Named]) {
        for entry in from {
            if let Some(other) = to.iter().find(|other| other.name == entry.name) {
                self.at(entry.name, |comparison| comparison.facts(entry.about, &entry.fact, &other.fact));
            }
        }
    }

    /// What components lose on the way up, or have again on the way down.
    fn gone(&mut self, from: &Release, to: &Release) {
        let ways =
            [(true, Gone::between(from.minor, to.minor)), (false, Gone::between(to.minor, from.minor))];
        for (lost, gone) in &ways {
            for (component, name) in below(&gone.flags) {
                self.path = vec!["components", component, "flags", name];
                self.known("A flag that the component starts with", name, *lost);
            }
        }
        for (lost, gone) in &ways {
            for (component, (flag, values)) in below(&gone.values) {
                self.path = vec!["components", component, "values", flag];
                self.values(values, *lost);
            }
        }
        for (lost, gone) in &ways {
            for name in &gone.feature_gates {
                self.path = vec!["components", "feature_gates", name];
                self.known("A feature gate that components know", name, *lost);
            }
        }
        for (lost, gone) in &ways {
            for (group, names) in
                [("gates_locked_on", &gone.gates_locked_on), ("gates_locked_off", &gone.gates_locked_off)]
            {
                for name in names {
                    self.path = vec!["components", group, name];
                    self.known("A feature gate that cannot be switched the other way", name, !lost);
                }
            }
        }
        self.path.clear();
    }

    /// What a flag takes.
    fn values(&mut self, values: Values, lost: bool) {
        match values {
            Values::Not(names) => {
                for name in names {
                    self.at(name, |comparison| comparison.known("A value that the flag takes", name, lost));
                }
            }
            Values::Only(name) => {
                let (any, only) = (Fact::Text("any"), Fact::Text(name));
                let (before, after) = if lost { (&any, &only) } else { (&only, &any) };
                self.differ("The values that the flag takes", Some(before), Some(after));
            }
        }
    }

    fn known(&mut self, about: &'static str, name: &'static str, lost: bool) {
        let fact = Fact::Text(name);
        match lost {
            true => self.differ(about, Some(&fact), None),
            false => self.differ(about, None, Some(&fact)),
        }
    }

    fn at(&mut self, name: &'static str, compare: impl FnOnce(&mut Self)) {
        self.path.push(name);
        compare(self);
        self.path.pop();
    }

    fn facts(&mut self, about: &'static str, from: &Fact, to: &Fact) {
        match (from, to) {
            _ if from == to => {}
            (Fact::Group(from), Fact::Group(to)) if same_names(from, to) => self.groups(from, to),
            (Fact::Choice { word, of: Some(from), .. }, Fact::Choice { word: other, of: Some(to), .. })
                if word == other =>
            {
                self.facts(about, from, to)
            }
            (Fact::List(from), Fact::List(to)) => self.lists(about, from, to),
            _ => self.differ(about, Some(from), Some(to)),
        }
    }

    /// Items are found by their names; the rest of them may differ, and which there are.
    fn lists(&mut self, about: &'static str, from: &[Fact], to: &[Fact]) {
        if !(named(from) && named(to)) {
            return self.differ(about, Some(&Fact::List(from.to_vec())), Some(&Fact::List(to.to_vec())));
        }
        let before = self.found.len();
        for item in from {
            let Some(key) = item.key() else { continue };
            self.at(key, |comparison| match to.iter().find(|other| other.key() == Some(key)) {
                Some(other) => comparison.facts(about, item, other),
                None => comparison.differ(about, Some(item), None),
            });
        }
        for item in to {
            let Some(key) = item.key() else { continue };
            if !from.iter().any(|other| other.key() == Some(key)) {
                self.at(key, |comparison| comparison.differ(about, None, Some(item)));
            }
        }
        if self.found.len() == before {
            // The same items in another order.
            self.differ(about, Some(&Fact::List(from.to_vec())), Some(&Fact::List(to.to_vec())));
        }
    }

    fn differ(&mut self, about: &'static str, before: Option<&Fact>, after: Option<&Fact>) {
        let (path, before, after) = (self.path.clone(), before.cloned(), after.cloned());
        self.found.push(Difference { path, about, before, after });
    }
}

/// What belongs to each component, one by one.
fn below<T: Copy>(of_components: &[(&'static str, Vec<T>)]) -> impl Iterator<Item = (&'static str, T)> {
    of_components.iter().flat_map(|(of, items)| items.iter().map(|item| (*of, *item)))
}

fn same_names(from: &[Named], to: &[Named]) -> bool {
    from.iter().map(|entry| entry.name).eq(to.iter().map(|entry| entry.name))
}

/// Whether each item has a name of its own.
fn named(items: &[Fact]) -> bool {
    let keys: Option<Vec<&str>> = items.iter().map(Fact::key).collect();
    keys.is_some_and(|keys| (1..keys.len()).all(|at| !keys[..at].contains(&keys[at])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn release(minor: u32) -> Release {
        Release::of(&Version::new(1, minor, 0)).unwrap()
    }

    /// `path: before -> after`, as Debug has them.
    fn told(from: u32, to: u32) -> Vec<String> {
        let side = |fact: &Option<Fact>| fact.as_ref().map_or("none".to_owned(), |fact| format!("{fact:?}"));
        let found = differences(&release(from), &release(to));
        found
            .iter()
            .map(|d| format!("{}: {} -> {}", d.path.join("/"), side(&d.before), side(&d.after)))
            .collect()
    }

    #[test]
    fn a_release_differs_from_itself_in_nothing() {
        assert_eq!(differences(&release(37), &release(37)), []);
    }

    #[test]
    fn values_items_and_choices_differ_at_their_places() {
        let found = told(36, 37);
        for expected in [
            r#"images/etcd: Text("3.6.8-0") -> Text("3.7.0-0")"#,
            "preflight/ports_at_address: Bool(false) -> Bool(true)",
            r#"config_api/read/v1beta3: Text("v1beta3") -> none"#,
        ] {
            assert!(found.iter().any(|line| line == expected), "{expected}\n{found:#?}");
        }
        let gate = found.iter().find(|line| line.starts_with("config_api/feature_gates/PublicKeysECDSA: "));
        assert!(gate.is_some_and(|line| line.ends_with("-> none")), "{found:#?}");
        let found = told(13, 37);
        let flag =
            found.iter().find(|line| line.starts_with("control_plane/apiserver/flags/insecure-port: "));
        assert!(flag.is_some_and(|line| line.ends_with("-> none")), "{found:#?}");
        assert!(
            found.iter().any(|line| line.starts_with("kubelet/config_map: Choice { word: \"Versioned\""))
        );
        assert!(
            found.iter().any(|line| line.starts_with("kubelet_configuration/fields/logging.format: none ->"))
        );
    }

    #[test]
    fn what_components_lose_is_a_difference_both_ways() {
        let flag = "components/kube-apiserver/flags/insecure-port: ";
        let gate = "components/feature_gates/TTLAfterFinished: ";
        for (from, to, end) in [(13, 36, "-> none"), (36, 13, ": none -> ")] {
            let found = told(from, to);
            for start in [flag, gate] {
                let line = found.iter().find(|line| line.starts_with(start)).unwrap();
                assert!(line.contains(end), "{line}");
            }
        }
        assert!(!told(36, 37).iter().any(|line| line.starts_with(flag)));
        let (up, down) = (told(19, 25), told(25, 19));
        for (start, there, again) in [
            ("kube-apiserver/values/enable-admission-plugins/PodSecurityPolicy", "-> none", "none ->"),
            (
                "kube-apiserver/values/insecure-port",
                r#"Text("any") -> Text("0")"#,
                r#"Text("0") -> Text("any")"#,
            ),
            ("gates_locked_on/CSIMigration", "none ->", "-> none"),
        ] {
            for (found, words) in [(&up, there), (&down, again)] {
                let line =
                    found.iter().find(|line| line.starts_with(&format!("components/{start}: "))).unwrap();
                assert!(line.contains(words), "{line}");
            }
        }
    }

    #[test]
    fn every_area_and_fact_says_what_it_is() {
        fn walk(path: &str, named: &Named) {
            let path = format!("{path}/{}", named.name);
            assert!(!named.about.is_empty(), "{path}");
            if let Fact::Group(entries) = &named.fact {
                entries.iter().for_each(|entry| walk(&path, entry));
            }
        }
        all(&release(37)).iter().for_each(|area| walk("", area));
    }

    #[test]
    fn the_order_of_a_list_counts_where_nothing_else_differs() {
        let mut comparison = Comparison::default();
        comparison.facts("order", &["a", "b"].as_slice().fact(), &["b", "a"].as_slice().fact());
        assert_eq!(comparison.found.len(), 1);
        let numbers = |items: &[i32]| items.fact();
        comparison.facts("numbers", &numbers(&[1, 2]), &numbers(&[1, 3]));
        assert_eq!(comparison.found.len(), 2);
    }
}
