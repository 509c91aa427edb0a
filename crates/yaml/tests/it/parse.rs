//! Reading: separators, YAML 1.1 meanings, places, and refusals.

use kubeadm_yaml::{Document, ErrorKind, Position, parse_documents, parse_value};
use serde_json::json;

fn one(text: &str) -> Document {
    let mut documents = parse_documents(text, "file.yaml").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0)
}

fn refused(text: &str) -> (ErrorKind, String) {
    let error = parse_documents(text, "file.yaml").expect_err(text);
    ((*error.kind).clone(), error.to_string())
}

#[test]
fn documents_are_split_at_separator_lines() {
    let text = "# licence\n---\na: 1\n--- # next\n\n---\r\nb: |\r\n  x\r\n  y\r\n---\n# end\n";
    let documents = parse_documents(text, "f").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].value, json!({"a": 1}));
    assert_eq!((documents[0].start_line, documents[0].positions["a"].line), (3, 3));
    assert_eq!(documents[1].value, json!({"b": "x\ny\n"}));
    assert_eq!((documents[1].start_line, documents[1].positions["b"].line), (7, 7));
    assert_eq!(parse_documents("", "f").unwrap(), Vec::new());
    assert_eq!(parse_documents("---\n---\n", "f").unwrap(), Vec::new());
    assert_eq!(one("\u{feff}a: 1").value, json!({"a": 1}));
}

#[test]
fn a_separator_with_content_is_refused() {
    let (kind, text) = refused("a: 1\n--- b: 2\n");
    assert_eq!(kind, ErrorKind::Separator("b: 2".to_owned()));
    assert_eq!(text, "file.yaml:2:4: invalid Yaml document separator: b: 2\n  2 | --- b: 2\n    |    ^");
}

#[test]
fn scalars_mean_what_they_mean_to_go() {
    let document = one("
bools: [y, Yes, ON, n, off, 'yes', !!str yes]
numbers: [0644, 0o17, 0x1F, 1_000, 1.0, 1.5, 12:30:45, 09]
nulls: [~, null, ]
empty:
strings: ['0644', \"null\", 2001-01-01, 1.2.3.4, +, '']
keys: {1: a, true: b, 1.5: c, on: d}
");
    assert_eq!(
        document.value,
        json!({
            "bools": [true, true, true, false, false, "yes", "yes"],
            "numbers": [420, 15, 31, 1000, 1, 1.5, "12:30:45", 9],
            "nulls": [null, null],
            "empty": null,
            "strings": ["0644", "null", "2001-01-01", "1.2.3.4", "+", ""],
            "keys": {"1": "a", "1.5": "c", "true": "d"},
        })
    );
}

#[test]
fn json_is_accepted() {
    assert_eq!(
        one("{\"a\": [1, {\"b\": \"c\\u00e9\"}],\n\t\"d\": null}").value,
        json!({"a": [1, {"b": "cé"}], "d": null})
    );
}

#[test]
fn places_are_kept_by_path() {
    let document = one("networking:\n  podSubnet: x\nbootstrapTokens:\n- token: t\n  ttl: 1h\n- ttl: 2h\n");
    let place = |path: &str| document.position(path).map(|p| (p.line, p.column));
    assert_eq!(place("networking.podSubnet"), Some((2, 3)));
    assert_eq!(place("bootstrapTokens[0].ttl"), Some((5, 3)));
    assert_eq!(place("bootstrapTokens[1]"), Some((6, 3)));
    assert_eq!(place("networking.missing.deep"), Some((1, 1)));
    assert_eq!(place(""), Some((1, 1)));
}

#[test]
fn the_last_of_equal_keys_counts_and_is_reported() {
    let document = one("a:\n  x: 1\n  z: 0\nb: 2\na:\n  x: 3\n");
    assert_eq!(document.value, json!({"a": {"x": 3}, "b": 2}));
    let duplicates: Vec<_> =
        document.duplicate_keys.iter().map(|d| (d.path.as_str(), d.line, d.column)).collect();
    assert_eq!(duplicates, [("a", 5, 1)]);
    assert_eq!(document.position("a.x"), Some(Position { line: 6, column: 3 }));
    assert_eq!(document.positions.get("a.z"), None);
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let document =
        one("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\nsame: *b\nboth:\n  <<: [{x: 9}, *b]\n");
    assert_eq!(
        document.value,
        json!({"base": {"x": 1, "z": 2}, "use": {"x": 1, "z": 3}, "same": {"x": 1, "z": 2}, "both": {"x": 9, "z": 2}})
    );
    assert_eq!(document.duplicate_keys, []);
}

#[test]
fn alias_bombs_and_cycles_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..9 {
        let items = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert_eq!(refused(&bomb).0, ErrorKind::ExcessiveAliasing);
    assert_eq!(refused("a: &a [*a]\n").0, ErrorKind::SelfReference);
    assert_eq!(refused("a: &a {<<: *a}\n").0, ErrorKind::SelfReference);
    let deep = format!("{}{}", "[".repeat(90), "]".repeat(90));
    assert!(matches!(
        refused(&format!("a: &a {deep}\nb: {}*a{}\n", "[".repeat(90), "]".repeat(90))).0,
        ErrorKind::TooDeep(_)
    ));
    assert!(parse_documents(&"[".repeat(100_000), "f").is_err());
    assert!(parse_documents(&"- ".repeat(100_000), "f").is_err());
}

#[test]
fn refusals_name_the_place_and_show_the_line() {
    let (kind, text) = refused("apiVersion: v1\nkind: [\n  a: b\nc: d\n");
    assert!(matches!(kind, ErrorKind::Syntax(_)));
    assert!(text.starts_with("file.yaml:"), "{text}");
    let (kind, text) = refused("---\na: 1\n---\nok: 1\nbad: \"open\n");
    assert!(matches!(kind, ErrorKind::Syntax(_)));
    assert!(text.contains("file.yaml:5:6: invalid YAML: "), "{text}");
    assert!(text.contains("\n  5 | bad: \"open\n"), "{text}");
    assert_eq!(
        refused("a: *nowhere\n").0,
        ErrorKind::Syntax("while parsing node, found unknown anchor".to_owned())
    );
    assert_eq!(refused("? [a]\n: b\n").0, ErrorKind::MapKey("a collection"));
    assert_eq!(refused("~: b\n").0, ErrorKind::MapKey("null"));
    assert_eq!(refused("<<: x\n").0, ErrorKind::Merge);
    assert_eq!(refused("a: .inf\n").0, ErrorKind::NotANumber(".inf".to_owned()));
    assert_eq!(refused("a: !!int x\n").0, ErrorKind::Tag { tag: "!!int".to_owned(), text: "x".to_owned() });
    assert_eq!(refused("a: 1\n...\nb: 2\n").0, ErrorKind::TrailingContent);
    assert_eq!(parse_value("a: 1\n---\nb: 2\n", "f").unwrap_err().kind, Box::new(ErrorKind::TrailingContent));
}

#[test]
fn a_no_break_space_is_a_text_and_not_a_blank_document() {
    assert_eq!(one("\u{a0}\n").value, json!("\u{a0}"));
    assert_eq!(parse_documents(" \t\r\n# nothing\n", "f").unwrap(), []);
}
