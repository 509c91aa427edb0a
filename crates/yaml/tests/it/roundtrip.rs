//! What is written is read back as the same value, whatever it is.

use kubeadm_yaml::{parse_value, to_string};
use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// Strings that lean towards what YAML treats specially.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a-zA-Z0-9:#&*!|>'\"%@`,\\[\\]{}?<=~._+-]{0,12}",
        "[ \\n\\tab:#-]{0,10}",
        "(y|n|yes|no|on|off|null|~|true|0x1f|0o17|0b1|1_0|1e3|[.]5|12:30:45|2001-01-01|<<|=|---|[.]{3})",
        "[0-9_.:eE+-]{1,10}",
        "([a-z]{1,9} {1,2}){10,30}",
        "[a \\n\\r\u{85}\u{2028}\u{2029}\u{feff}\u{a0}:-]{0,8}",
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // A whole float is the same JSON number as the integer, so only others can come back unchanged.
        any::<f64>()
            .prop_filter("finite, not whole", |f| f.is_finite() && f.fract() != 0.0)
            .prop_map(|f| Value::Number(Number::from_f64(f).unwrap_or(Number::from(0)))),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_values_are_read_back(value in value()) {
        let written = to_string(&value);
        let read = parse_value(&written, "written");
        prop_assert_eq!(read.as_ref(), Ok(&value), "{}", written);
        prop_assert_eq!(to_string(&value), written);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(error) = parse_value(&text, "text") {
            prop_assert!(error.to_string().starts_with("text"));
        }
    }
}
