//! Decoding into types: warnings for what has no effect, errors with path and place.

use kubeadm_yaml::{ErrorKind, decode, parse_documents};
use serde::Deserialize;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sample {
    cluster_name: String,
    networking: Networking,
    tokens: Vec<Token>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Networking {
    pod_subnet: String,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Token {
    ttl: Option<String>,
    groups: Vec<String>,
}

#[test]
fn unknown_and_duplicate_fields_are_warnings_with_places() {
    let text = "---\nclusterName: a\nnetworking:\n  bar: 1\n  podSubnet: null\ntokens:\n- ttl: 1h\n  foo: {x: 1}\nclusterName: b\n";
    let document = &parse_documents(text, "f.yaml").unwrap()[0];
    let (sample, warnings) = decode::<Sample>(document).unwrap();
    assert_eq!(sample.cluster_name, "b");
    assert_eq!(sample.networking.pod_subnet, "");
    assert_eq!(sample.tokens[0].ttl.as_deref(), Some("1h"));
    let mut shown: Vec<_> =
        warnings.iter().map(|w| (w.text.as_str(), w.path.as_str(), w.line, w.column)).collect();
    shown.sort_by_key(|w| w.2);
    assert_eq!(
        shown,
        [
            ("unknown field \"networking.bar\"", "networking.bar", 4, 3),
            ("unknown field \"tokens[0].foo\"", "tokens[0].foo", 8, 3),
            ("key \"clusterName\" already set in map", "clusterName", 9, 1),
        ]
    );
}

#[test]
fn a_wrong_type_names_path_types_and_place() {
    let document = &parse_documents("clusterName: a\ntokens:\n- groups: [x, 5]\n", "f.yaml").unwrap()[0];
    let error = decode::<Sample>(document).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f.yaml:3:15: tokens[0].groups[1]: invalid type: integer `5`, expected a string\n  3 | - groups: [x, 5]\n    |               ^"
    );
    let document = &parse_documents("- a\n- b\n", "f.yaml").unwrap()[0];
    assert!(matches!(*decode::<Sample>(document).unwrap_err().kind, ErrorKind::Type { .. }));
}
