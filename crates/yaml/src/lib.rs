//! YAML as Kubernetes' Go tools read and write it.
//!
//! Reading gives a tree of [`serde_json::Value`] with the place of every field beside it, because the original goes
//! YAML → JSON → struct and that decides what null, duplicate keys and `yes` mean. Writing reproduces go-yaml byte for
//! byte, so that recorded output of the original can be compared as text.
//!
//! This crate knows nothing of Kubernetes types, and no other crate may name a YAML parser.

mod emit;
mod error;
mod parse;
mod scalar;
mod tree;

pub use emit::to_string;
pub use error::{ErrorKind, YamlError};
pub use parse::{Document, Duplicate, Position, parse_documents, parse_value};
pub use tree::{drop_nulls, get, get_bool, get_i64, get_str, remove, set, set_default};
