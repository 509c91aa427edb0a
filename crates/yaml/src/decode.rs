//! Decoding a document into a type: unknown fields become warnings, a wrong type is an error at its place.

use serde::de::DeserializeOwned;
use serde_ignored::Path;

use crate::error::{ErrorKind, YamlError};
use crate::parse::Document;
use crate::tree::drop_nulls;

/// Something in a document that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The field's path, such as `networking.bar`.
    pub path: String,
    /// The line of the field in its text, from 1; 0 if unknown.
    pub line: usize,
    /// The column of the field in its text, from 1; 0 if unknown.
    pub column: usize,
    /// What is wrong, in the words of Go's strict decoder: `unknown field "networking.bar"`.
    pub text: String,
}

/// Decodes a document; the second value lists duplicate keys and the fields that the type does not know.
///
/// Null means "absent" in mappings, as for Go's JSON decoder.
pub fn decode<T: DeserializeOwned>(document: &Document) -> Result<(T, Vec<Warning>), YamlError> {
    let mut value = document.value.clone();
    drop_nulls(&mut value);
    let mut warnings: Vec<Warning> = document
        .duplicate_keys
        .iter()
        .map(|d| Warning {
            path: d.path.clone(),
            line: d.line,
            column: d.column,
            text: format!("key {:?} already set in map", d.key),
        })
        .collect();
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| {
        let path = path_text(&path);
        let position = document.positions.get(&path);
        warnings.push(Warning {
            line: position.map_or(0, |p| p.line),
            column: position.map_or(0, |p| p.column),
            text: format!("unknown field {path:?}"),
            path,
        });
    });
    match result {
        Ok(decoded) => Ok((decoded, warnings)),
        Err(error) => {
            let path = track.path().to_string();
            let path = if path == "." { String::new() } else { path };
            let shown = if path.is_empty() { "document".to_owned() } else { path.clone() };
            Err(document.error_at(&path, ErrorKind::Type { path: shown, problem: error.to_string() }))
        }
    }
}

/// The path in the form used everywhere else: `a.b[0].c`.
fn path_text(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", path_text(parent)),
        Path::Map { parent, key } => {
            let parent = path_text(parent);
            if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") }
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            path_text(parent)
        }
    }
}
