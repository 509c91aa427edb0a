//! Facts of releases as text for people and as JSON.

use kubeadm_release::listing::{Fact, Named};
use serde_json::{Map, Value};

/// Areas and their facts, one a line.
pub(super) fn text(areas: &[Named]) -> String {
    let mut text = String::new();
    for area in areas {
        entry(area, 0, &mut text);
        if matches!(area.fact, Fact::Group(_)) && !text.ends_with("\n\n") {
            text.push('\n');
        }
    }
    text.truncate(text.trim_end_matches('\n').len());
    text + "\n"
}

/// From so many items on only their names are shown.
const MANY: usize = 40;

fn entry(named: &Named, depth: usize, text: &mut String) {
    let (indent, name) = ("  ".repeat(depth), words(named.name));
    match &named.fact {
        Fact::Group(entries) => {
            *text += &format!("{indent}{name}:\n");
            entries.iter().for_each(|below| entry(below, depth + 1, text));
        }
        Fact::List(items) if items.len() >= MANY => {
            let names: Vec<&str> = items.iter().filter_map(Fact::key).collect();
            *text += &format!("{indent}{name}: {}\n", names.join(", "));
        }
        Fact::List(items) if items.iter().any(has_parts) => {
            *text += &format!("{indent}{name}:\n");
            for item in items {
                *text += &format!("{indent}  {}\n", item_line(item));
            }
        }
        Fact::Bool(holds) => {
            *text += &format!("{indent}{name}: {} ({})\n", yes_or_no(*holds), lowered(named.about));
        }
        fact => *text += &format!("{indent}{name}: {}\n", inline(fact)),
    }
}

fn has_parts(fact: &Fact) -> bool {
    matches!(fact, Fact::Group(_) | Fact::List(_))
}

/// An item of a list: its name, and what else is said of it.
pub(super) fn item_line(item: &Fact) -> String {
    match (item.key(), rest(item)) {
        (Some(key), Some(rest)) => format!("{key}: {rest}"),
        _ => inline(item),
    }
}

/// What an item says besides its name.
pub(super) fn rest(item: &Fact) -> Option<String> {
    item.key()?;
    match item {
        Fact::Group(entries) => match entries.get(1..)? {
            [] => None,
            [one] => Some(inline(&one.fact)),
            several => Some(several.iter().map(worded).collect::<Vec<_>>().join(", ")),
        },
        Fact::List(items) => match items.get(1..)? {
            [] => None,
            several => Some(several.iter().map(inline).collect::<Vec<_>>().join(", ")),
        },
        Fact::Absent | Fact::Bool(_) | Fact::Number(_) | Fact::Text(_) | Fact::Choice { .. } => None,
    }
}

fn worded(named: &Named) -> String {
    format!("{} {}", words(named.name), inline(&named.fact))
}

/// A fact in a line.
pub(super) fn inline(fact: &Fact) -> String {
    match fact {
        Fact::Absent => "none".into(),
        Fact::Bool(holds) => yes_or_no(*holds).into(),
        Fact::Number(number) => number.to_string(),
        Fact::Text("") => "\"\"".into(),
        Fact::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Fact::Choice { about, of: None, .. } => lowered(about),
        Fact::Choice { about, of: Some(of), .. } => format!("{} ({})", lowered(about), inline(of)),
        Fact::List(items) if items.is_empty() => "none".into(),
        Fact::List(items) => items.iter().map(item_line).collect::<Vec<_>>().join(", "),
        Fact::Group(entries) => entries.iter().map(worded).collect::<Vec<_>>().join(", "),
    }
}

fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

/// `default_repository` as `default repository`.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A sentence that stands amid a line: its first letter is small, unless the word has others that are not.
pub(super) fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(sentence.chars().skip(1)).collect()
        }
        _ => sentence.into(),
    }
}

/// Areas and their facts as an object.
pub(super) fn json_of(entries: &[Named]) -> Value {
    let fields: Map<String, Value> =
        entries.iter().map(|named| (camel(named.name), json(&named.fact))).collect();
    Value::Object(fields)
}

/// A fact: choices by their names, groups as objects.
pub(super) fn json(fact: &Fact) -> Value {
    match fact {
        Fact::Absent => Value::Null,
        Fact::Bool(holds) => (*holds).into(),
        Fact::Number(number) => (*number).into(),
        Fact::Text(text) => (*text).into(),
        Fact::Choice { word, of: None, .. } => (*word).into(),
        Fact::Choice { word, of: Some(of), .. } => {
            Value::Object(std::iter::once(((*word).to_owned(), json(of))).collect())
        }
        Fact::List(items) => items.iter().map(json).collect(),
        Fact::Group(entries) => json_of(entries),
    }
}

/// `default_repository` as `defaultRepository`.
pub(super) fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &first.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &'static str, fact: Fact) -> Named {
        Named { name, about: "Whether it is so", fact }
    }

    #[test]
    fn facts_are_lines_for_people() {
        let flag = Fact::Group(vec![named("name", Fact::Text("bind")), named("value", Fact::Text("::1"))]);
        let choice = Fact::Choice { word: "Plain", about: "One name", of: Some(Box::new(Fact::Number(3))) };
        let areas = [named(
            "pods",
            Fact::Group(vec![
                named("seccomp", Fact::Bool(true)),
                named("flags", Fact::List(vec![flag])),
                named("naming", choice),
                named("none_at_all", Fact::List(Vec::new())),
            ]),
        )];
        let expected = "\
pods:
  seccomp: yes (whether it is so)
  flags:
    bind: ::1
  naming: one name (3)
  none at all: none
";
        assert_eq!(text(&areas), expected);
        assert_eq!(
            json_of(&areas),
            serde_json::json!({"pods": {
                "seccomp": true,
                "flags": [{"name": "bind", "value": "::1"}],
                "naming": {"Plain": 3},
                "noneAtAll": [],
            }})
        );
    }

    #[test]
    fn sentences_begin_small_but_names_do_not() {
        assert_eq!(lowered("The address"), "the address");
        assert_eq!(lowered("HTTP requests"), "HTTP requests");
        assert_eq!(lowered("`Swap`"), "`Swap`");
        assert_eq!(inline(&Fact::Text("gone\n\tuse that")), "gone use that");
    }
}
