//! Every command and flag against `cli.json` of the newest release: names, shorthands, types and defaults.

use std::collections::BTreeMap;

use kubeadm_cli::cli::{Node, tree};
use kubeadm_cli::flags::{self, Flag, Kind};
use serde_json::Value;

/// Commands that the recorded binary does not list, or the recording left out because of the dot in their names.
const UNLISTED: &[&str] =
    &["help", "admin.conf", "controller-manager.conf", "scheduler.conf", "super-admin.conf"];
/// Flags that only this kubeadm has. docs/differences.md tells of each.
const OUR_OWN: &[(&str, &str)] = &[
    ("kubeadm certs renew ", "restart"),
    ("kubeadm config migrate", "kubernetes-version"),
    ("kubeadm config print ", "kubernetes-version"),
    ("kubeadm config validate", "kubernetes-version"),
    ("kubeadm upgrade apply", "through"),
    ("kubeadm upgrade plan", "to"),
];

/// Commands that only this kubeadm has.
const OUR_OWN_COMMANDS: &[&str] = &["release"];

#[test]
fn commands_are_known_by_their_other_names() {
    let root = tree();
    let renew = root.child("certificates").unwrap().child("renew").unwrap();
    // The names the recording left out.
    let one = |name: &str| renew.child(name).unwrap();
    for name in UNLISTED.iter().filter(|name| name.ends_with(".conf")) {
        assert_eq!(one(name).flags, one("apiserver").flags, "{name}");
    }
    assert_eq!(renew.children.len(), 12);
}

#[test]
fn every_command_has_the_recorded_flags() {
    let text = std::fs::read_to_string(super::env::fixtures().join("golden/kubeadm-1.37/cli.json")).unwrap();
    let recorded: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let root = tree();
    let mut seen = 0;
    compare(&root, "kubeadm", &recorded, &mut seen);
    assert_eq!(seen, recorded.keys().filter(|k| *k != "(global)").count());
}

fn compare(node: &Node, path: &str, recorded: &BTreeMap<String, Value>, seen: &mut usize) {
    *seen += 1;
    let wanted = &recorded.get(path).unwrap_or_else(|| panic!("{path} was not recorded"));
    let mut ours: Vec<&Flag> = node.flags.iter().chain(&node.persistent).copied().collect();
    ours.push(&flags::HELP);
    if path == "kubeadm" {
        ours.extend([&flags::ROOTFS, &flags::V, &flags::VMODULE]);
    }
    ours.retain(|f| f.deprecated.is_none());
    ours.retain(|f| !OUR_OWN.iter().any(|(command, flag)| path.starts_with(command) && *flag == f.name));
    ours.sort_by_key(|f| f.name);
    let ours: Vec<Value> = ours.into_iter().map(as_recorded).collect();
    let mut theirs = wanted["flags"].as_array().unwrap().clone();
    theirs.sort_by_key(|f| f["name"].as_str().unwrap().to_owned());
    assert_eq!(ours, theirs, "{path}");

    let mut names: Vec<&str> = listed(node).map(|c| c.name).collect();
    names.sort_unstable();
    let mut theirs: Vec<&str> =
        wanted["subcommands"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    theirs.sort_unstable();
    assert_eq!(names, theirs, "{path}");
    for child in listed(node) {
        compare(child, &format!("{path} {}", child.name), recorded, seen);
    }
}

/// The commands that the recording has: not those of old, which are hidden.
fn listed(node: &Node) -> impl Iterator<Item = &Node> {
    let ours = |c: &Node| UNLISTED.contains(&c.name) || OUR_OWN_COMMANDS.contains(&c.name);
    node.children.iter().filter(move |c| !c.hidden && !ours(c))
}

fn as_recorded(flag: &Flag) -> Value {
    let mut value = serde_json::json!({"name": flag.name, "type": flag.kind.name()});
    if flag.kind == Kind::Bool {
        value["type"] = "bool".into();
    }
    if let Some(short) = flag.short {
        value["short"] = short.to_string().into();
    }
    // The recording shows no zero level, and lists in brackets.
    let default = match flag.kind {
        Kind::Level => String::new(),
        Kind::Strings if !flag.default.is_empty() => format!("[{}]", flag.default),
        _ => flag.default.to_owned(),
    };
    if !default.is_empty() {
        value["default"] = default.into();
    }
    value
}
