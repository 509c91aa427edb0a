//! Phases and workflows: a static tree that can be walked, printed and selected from.
//!
//! `kubeadm init`, `init phase certs etcd-server` and `--skip-phases` are one function, [`select`]. The command
//! line below `init phase` is built from the same tree, so help and completion need no second list.

use futures::future::BoxFuture;

use crate::phases::PhaseError;
use crate::plan::Step;
use crate::ports::View;

/// Plans a phase of a workflow over the spec `S`: looks at the view and returns what is to be done.
pub type Plan<S> = for<'a> fn(&'a S, View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>>;

/// A phase: a leaf with a plan, a group with children, or both (the plan of a group is its own work, before its
/// children's).
pub struct Phase<S: 'static> {
    /// Name, one word of the path.
    pub name: &'static str,
    /// Other names on the command line.
    pub aliases: &'static [&'static str],
    /// One line of help.
    pub about: &'static str,
    /// An example or a longer text for `--help`.
    pub details: &'static str,
    /// Flags of `init phase NAME`, by name, from the catalogue of the command line.
    pub flags: &'static [&'static str],
    /// Own work.
    pub plan: Option<Plan<S>>,
    /// Whether it does anything for this release and configuration.
    pub applies: fn(&S) -> bool,
    /// Children in order.
    pub children: &'static [Phase<S>],
    /// Whether the command line offers `all` beside the children, and with which flags.
    pub all: Option<&'static [&'static str]>,
    /// Whether it is no command of its own, and only `--skip-phases` names it.
    pub hidden: bool,
}

/// A phase that was selected, with its path.
pub struct Selected<S: 'static> {
    /// `certs/apiserver`.
    pub path: String,
    /// The phase. Only its own work counts; its children are selected for themselves.
    pub phase: &'static Phase<S>,
}

/// What to run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All but the paths given.
    Skip(Vec<String>),
    /// One path; a group runs with its own work and its children.
    Only {
        /// The path, as of a command of `init phase`.
        path: String,
        /// Children that are left out. What was asked for by name runs all the same.
        skip: Vec<String>,
    },
}

/// A selection that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectionError {
    /// A name that is no phase.
    #[error("invalid phase name: {name}; the known phases are: {}", known.join(", "))]
    Unknown {
        /// The name given.
        name: String,
        /// All paths.
        known: Vec<String>,
    },
}

/// Selects phases of a tree, in order.
pub fn select<S>(
    tree: &'static [Phase<S>],
    selection: &Selection,
) -> Result<Vec<Selected<S>>, SelectionError> {
    let known = paths(tree);
    let (only, skip) = match selection {
        Selection::Skip(names) => (None, names),
        Selection::Only { path, skip } => (Some(normal(path)), skip),
    };
    let skip: Vec<String> = skip.iter().map(|n| normal(n)).filter(|n| !n.is_empty()).collect();
    if let Some(name) = only.iter().chain(&skip).find(|n| !known.contains(n)) {
        let known = known.into_iter().filter(|k| !k.ends_with("/all")).collect();
        return Err(SelectionError::Unknown { name: name.clone(), known });
    }
    let only = only.as_deref().map(|path| path.strip_suffix("/all").unwrap_or(path));
    let mut all = Vec::new();
    walk(tree, "", &mut |path, phase| all.push(Selected { path, phase }));
    all.retain(|s| {
        let skipped = skip
            .iter()
            .filter(|w| only.is_none_or(|path| below(path, w)))
            .any(|w| *w == s.path || below(w, &s.path));
        !skipped && only.is_none_or(|path| path == s.path || below(path, &s.path))
    });
    Ok(all)
}

fn below(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// All paths of a tree, `…/all` included, in order.
pub fn paths<S>(tree: &'static [Phase<S>]) -> Vec<String> {
    let mut out = Vec::new();
    walk(tree, "", &mut |path, phase| {
        let all = phase.all.map(|_| format!("{path}/all"));
        out.push(path);
        out.extend(all);
    });
    out
}

fn walk<S>(tree: &'static [Phase<S>], above: &str, each: &mut dyn FnMut(String, &'static Phase<S>)) {
    for phase in tree {
        let path = if above.is_empty() { phase.name.to_owned() } else { format!("{above}/{}", phase.name) };
        each(path.clone(), phase);
        walk(phase.children, &path, each);
    }
}

/// Upstream lowers names and cuts them at the first blank (`preflight [endpoint]`); scripts write `certs/` too.
fn normal(name: &str) -> String {
    name.split_whitespace().next().unwrap_or_default().trim_end_matches('/').to_lowercase()
}

/// For phases that run for every release and configuration.
pub fn always<S>(_: &S) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::INIT;

    fn selected(selection: Selection) -> Vec<String> {
        select(INIT, &selection).unwrap().into_iter().map(|s| s.path).collect()
    }

    #[test]
    fn a_skipped_group_takes_its_children_along() {
        let rest = selected(Selection::Skip(vec!["certs".into(), "Addon/CoreDNS [x]".into(), String::new()]));
        assert!(!rest.iter().any(|p| p.starts_with("certs") || p == "addon/coredns"), "{rest:?}");
        assert!(["preflight", "addon", "addon/kube-proxy"].iter().all(|p| rest.iter().any(|r| r == p)));
    }

    #[test]
    fn children_of_a_group_are_left_out_but_never_what_was_named() {
        let only = |path: &str, skip: &[&str]| {
            let skip = skip.iter().map(|&s| s.to_owned()).collect();
            selected(Selection::Only { path: path.into(), skip })
        };
        let both = ["addon", "addon/coredns", "addon/kube-proxy"];
        assert_eq!(only("addon", &[]), both);
        assert_eq!(only("addon/all", &["addon", "certs"]), both);
        assert_eq!(only("addon", &["addon/coredns"]), ["addon", "addon/kube-proxy"]);
        assert_eq!(only("addon/coredns", &["addon/coredns", "addon"]), ["addon/coredns"]);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for selection in [
            Selection::Skip(vec!["cert".into()]),
            Selection::Only { path: "certs".into(), skip: vec!["cert".into()] },
        ] {
            let SelectionError::Unknown { name, known } = select(INIT, &selection).err().unwrap();
            assert_eq!(name, "cert");
            assert!(known.contains(&"certs/ca".to_owned()) && !known.contains(&"certs/all".to_owned()));
        }
    }
}
