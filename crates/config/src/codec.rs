//! The mechanism that reads and writes API objects: each kind describes its fields once, and the description
//! serves both directions and every version.
//!
//! Reading keeps going after a fault, so that all of a file's faults are known at once. Which field exists in which
//! version is the business of [`crate::api`], not of this module.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use kubeadm_release::facts::config_api::Api;
use serde_json::{Map, Value};

use crate::duration::GoDuration;
use crate::token::BootstrapTokenString;
use crate::types::{Arg, MergeMethod};

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Even when empty.
    Always,
    /// Unless empty (Go's `omitempty`).
    Set,
}

/// A value that a field cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeFault {
    /// The field, e.g. `networking.podSubnet`.
    pub(crate) path: String,
    /// What is wrong, in Go's words.
    pub(crate) text: String,
}

/// What was wrong with an object, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Values of the wrong type or form.
    pub(crate) types: Vec<TypeFault>,
    /// Paths of fields that do not exist.
    pub(crate) unknown: Vec<String>,
}

/// One object being read or written.
pub(crate) struct Codec<'a> {
    api: Api,
    mode: Mode<'a>,
}

enum Mode<'a> {
    Read {
        map: &'a Map<String, Value>,
        kind: &'a str,
        path: String,
        known: BTreeSet<&'static str>,
        faults: &'a mut Faults,
    },
    Write {
        map: Map<String, Value>,
    },
}

/// The description of a type's fields.
pub(crate) type Describe<T> = fn(&mut T, &mut Codec<'_>);

/// Reads a whole document of a kind; whatever could not be read keeps its zero value.
pub(crate) fn read<T: Default>(api: Api, kind: &str, document: &Value, describe: Describe<T>) -> (T, Faults) {
    let mut faults = Faults::default();
    let mut value = T::default();
    let empty = Map::new();
    let map = match document {
        Value::Object(map) => map,
        other => {
            let text = format!(
                "json: cannot unmarshal {} into Go value of type {}.{kind}",
                json_type(other),
                api.version()
            );
            faults.types.push(TypeFault { path: String::new(), text });
            &empty
        }
    };
    read_object(api, kind, map, String::new(), &mut faults, &mut value, describe, &["apiVersion", "kind"]);
    (value, faults)
}

/// Writes a whole document of a kind.
pub(crate) fn write<T>(api: Api, kind: &str, value: &mut T, describe: Describe<T>) -> Value {
    let mut map = write_object(api, value, describe);
    map.insert("apiVersion".into(), Value::String(api.group_version()));
    map.insert("kind".into(), Value::String(kind.into()));
    Value::Object(map)
}

#[allow(clippy::too_many_arguments, reason = "one private recursion with its whole context")]
fn read_object<T>(
    api: Api,
    kind: &str,
    map: &Map<String, Value>,
    path: String,
    faults: &mut Faults,
    value: &mut T,
    describe: Describe<T>,
    known: &[&'static str],
) {
    let known = known.iter().copied().collect();
    let mut codec = Codec { api, mode: Mode::Read { map, kind, path, known, faults } };
    describe(value, &mut codec);
    if let Mode::Read { map, path, known, faults, .. } = codec.mode {
        let unknown = map.keys().filter(|key| !known.contains(key.as_str()));
        faults.unknown.extend(unknown.map(|key| join(&path, key)));
    }
}

fn write_object<T>(api: Api, value: &mut T, describe: Describe<T>) -> Map<String, Value> {
    let mut codec = Codec { api, mode: Mode::Write { map: Map::new() } };
    describe(value, &mut codec);
    match codec.mode {
        Mode::Write { map } => map,
        Mode::Read { .. } => Map::new(),
    }
}

impl<'a> Codec<'a> {
    /// Whether the object's version is `first` or a later one.
    pub(crate) fn since(&self, first: Api) -> bool {
        self.api >= first
    }

    /// `Set` from version `first` on, `Always` before: fields that became optional.
    pub(crate) fn set_since(&self, first: Api) -> Keep {
        if self.since(first) { Keep::Set } else { Keep::Always }
    }

    /// Whether the object is being written.
    pub(crate) fn writing(&self) -> bool {
        matches!(self.mode, Mode::Write { .. })
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &'static str, value: &mut String, keep: Keep) {
        match self.take(name) {
            Some(Value::String(text)) => *value = text.clone(),
            Some(other) => self.fault(name, other, "string"),
            None => self.put(name, keep, value.is_empty(), || Value::String(value.clone())),
        }
    }

    /// A boolean whose absence is false.
    pub(crate) fn flag(&mut self, name: &'static str, value: &mut bool, keep: Keep) {
        match self.take(name) {
            Some(Value::Bool(flag)) => *value = *flag,
            Some(other) => self.fault(name, other, "bool"),
            None => self.put(name, keep, !*value, || Value::Bool(*value)),
        }
    }

    /// A boolean whose absence means something else.
    pub(crate) fn optional_flag(&mut self, name: &'static str, value: &mut Option<bool>) {
        match self.take(name) {
            Some(Value::Bool(flag)) => *value = Some(*flag),
            Some(other) => self.fault(name, other, "bool"),
            None => self.put(name, Keep::Set, value.is_none(), || (*value).into()),
        }
    }

    /// A 32-bit integer.
    pub(crate) fn int32(&mut self, name: &'static str, value: &mut i32, keep: Keep) {
        match self.take(name) {
            Some(found) => match found.as_i64().and_then(|n| i32::try_from(n).ok()) {
                Some(number) => *value = number,
                None => self.fault(name, found, "int32"),
            },
            None => self.put(name, keep, *value == 0, || (*value).into()),
        }
    }

    /// A 32-bit integer that may be absent.
    pub(crate) fn optional_int32(&mut self, name: &'static str, value: &mut Option<i32>) {
        match self.take(name) {
            Some(found) => match found.as_i64().and_then(|n| i32::try_from(n).ok()) {
                Some(number) => *value = Some(number),
                None => self.fault(name, found, "int32"),
            },
            None => self.put(name, Keep::Set, value.is_none(), || (*value).into()),
        }
    }

    /// A 64-bit integer.
    pub(crate) fn int64(&mut self, name: &'static str, value: &mut i64, keep: Keep) {
        match self.take(name) {
            Some(found) => match found.as_i64() {
                Some(number) => *value = number,
                None => self.fault(name, found, "int"),
            },
            None => self.put(name, keep, *value == 0, || (*value).into()),
        }
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, name: &'static str, value: &mut Vec<String>, keep: Keep) {
        match self.take(name) {
            Some(Value::Array(items)) => {
                value.clear();
                for (index, item) in items.iter().enumerate() {
                    match item {
                        Value::String(text) => value.push(text.clone()),
                        Value::Null => value.push(String::new()),
                        other => self.fault_at(format!("{name}[{index}]"), other, "string"),
                    }
                }
            }
            Some(other) => self.fault(name, other, "[]string"),
            // Go prints a list that was never made as null.
            None => self.put(name, keep, value.is_empty(), || match value.is_empty() {
                true => Value::Null,
                false => Value::from(value.clone()),
            }),
        }
    }

    /// A duration whose absence keeps the value it has.
    pub(crate) fn duration(&mut self, name: &'static str, value: &mut GoDuration) {
        let mut optional = Some(*value);
        self.optional_duration(name, &mut optional);
        *value = optional.unwrap_or(*value);
    }

    /// A duration that may be absent.
    pub(crate) fn optional_duration(&mut self, name: &'static str, value: &mut Option<GoDuration>) {
        self.parsed(name, value, "Duration");
    }

    /// A point in time that may be absent.
    pub(crate) fn optional_time(&mut self, name: &'static str, value: &mut Option<jiff::Timestamp>) {
        self.parsed(name, value, "Time");
    }

    fn parsed<T>(&mut self, name: &'static str, value: &mut Option<T>, go_type: &str)
    where
        T: FromStr + ToString,
        T::Err: ToString,
    {
        match self.take(name) {
            Some(Value::String(text)) => match text.parse() {
                Ok(parsed) => *value = Some(parsed),
                Err(error) => self.fault_text(name.into(), error.to_string()),
            },
            Some(other) => self.fault(name, other, go_type),
            None => self.put(name, Keep::Set, value.is_none(), || match value {
                Some(value) => Value::String(value.to_string()),
                None => Value::Null,
            }),
        }
    }

    /// A bootstrap token; an empty text is no absent one.
    pub(crate) fn token(&mut self, name: &'static str, value: &mut BootstrapTokenString) {
        match self.take(name) {
            Some(Value::String(text)) => match text.parse() {
                Ok(token) => *value = token,
                Err(error) => self.fault_text(name.into(), error.to_string()),
            },
            Some(other) => self.fault(name, other, "BootstrapTokenString"),
            None => self.put(name, Keep::Always, false, || Value::String(value.to_string())),
        }
    }

    /// A mapping of names to booleans.
    pub(crate) fn flags(&mut self, name: &'static str, value: &mut BTreeMap<String, bool>) {
        match self.take(name) {
            Some(Value::Object(map)) => {
                value.clear();
                for (key, item) in map {
                    match item {
                        Value::Bool(flag) => drop(value.insert(key.clone(), *flag)),
                        Value::Null => drop(value.insert(key.clone(), false)),
                        other => self.fault_at(format!("{name}.{key}"), other, "bool"),
                    }
                }
            }
            Some(other) => self.fault(name, other, "map[string]bool"),
            None => self.put(name, Keep::Set, value.is_empty(), || {
                Value::Object(value.iter().map(|(key, flag)| (key.clone(), (*flag).into())).collect())
            }),
        }
    }

    /// Arguments: a list of pairs since v1beta4, a mapping (sorted, the last of equal names) before.
    pub(crate) fn args(&mut self, name: &'static str, value: &mut Vec<Arg>) {
        if self.since(Api::V1Beta4) {
            self.list(name, value, "Arg", Keep::Set, arg);
            return;
        }
        match self.take(name) {
            Some(Value::Object(map)) => {
                value.clear();
                for (key, item) in map {
                    match item {
                        Value::String(text) => value.push(Arg::new(key, text)),
                        Value::Null => value.push(Arg::new(key, "")),
                        other => self.fault_at(format!("{name}.{key}"), other, "string"),
                    }
                }
            }
            Some(other) => self.fault(name, other, "map[string]string"),
            None => self.put(name, Keep::Set, value.is_empty(), || {
                Value::Object(value.iter().map(|a| (a.name.clone(), a.value.clone().into())).collect())
            }),
        }
    }

    /// A value that is passed on as it is.
    pub(crate) fn raw(&mut self, name: &'static str, value: &mut Option<Value>) {
        match self.take(name) {
            Some(found) => *value = Some(found.clone()),
            None => self.put(name, Keep::Set, value.is_none(), || value.clone().unwrap_or_default()),
        }
    }

    /// An object that is always there.
    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        value: &mut T,
        go_type: &str,
        describe: Describe<T>,
    ) {
        match self.take(name) {
            Some(Value::Object(map)) => self.nested(name.into(), map, value, describe),
            Some(other) => self.fault(name, other, &self.go_type(go_type)),
            None => {
                let api = self.api;
                self.put(name, Keep::Always, false, || Value::Object(write_object(api, value, describe)));
            }
        }
    }

    /// An object that may be absent.
    pub(crate) fn optional_object<T: Default>(
        &mut self,
        name: &'static str,
        value: &mut Option<T>,
        go_type: &str,
        describe: Describe<T>,
    ) {
        match self.take(name) {
            Some(Value::Object(map)) => {
                self.nested(name.into(), map, value.get_or_insert_default(), describe);
            }
            Some(other) => self.fault(name, other, &self.go_type(go_type)),
            None => {
                let api = self.api;
                let Some(value) = value else { return };
                self.put(name, Keep::Always, false, || Value::Object(write_object(api, value, describe)));
            }
        }
    }

    /// A list of objects.
    pub(crate) fn list<T: Default>(
        &mut self,
        name: &'static str,
        value: &mut Vec<T>,
        go_type: &str,
        keep: Keep,
        describe: Describe<T>,
    ) {
        let mut optional = Some(std::mem::take(value));
        let absent = optional.as_ref().is_none_or(Vec::is_empty) && keep == Keep::Set;
        if absent && self.writing() {
            return;
        }
        self.optional_list(name, &mut optional, go_type, keep, describe);
        *value = optional.unwrap_or_default();
    }

    /// A list of objects whose absence differs from an empty list; `Keep::Always` writes an absent one as null.
    pub(crate) fn optional_list<T: Default>(
        &mut self,
        name: &'static str,
        value: &mut Option<Vec<T>>,
        go_type: &str,
        keep: Keep,
        describe: Describe<T>,
    ) {
        match self.take(name) {
            Some(Value::Array(found)) => {
                let mut list = Vec::with_capacity(found.len());
                for (index, item) in found.iter().enumerate() {
                    let mut element = T::default();
                    match item {
                        Value::Object(map) => {
                            self.nested(format!("{name}[{index}]"), map, &mut element, describe);
                        }
                        Value::Null => {}
                        other => self.fault_at(format!("{name}[{index}]"), other, &self.go_type(go_type)),
                    }
                    list.push(element);
                }
                *value = Some(list);
            }
            Some(other) => self.fault(name, other, &format!("[]{}", self.go_type(go_type))),
            None => {
                let api = self.api;
                // Upstream's `omitempty` leaves an empty list out, and so turns "none" into "the usual".
                self.put(name, keep, value.is_none(), || match value {
                    Some(items) => items
                        .iter_mut()
                        .map(|item| Value::Object(write_object(api, item, describe)))
                        .collect(),
                    None => Value::Null,
                });
            }
        }
    }

    /// The value to read, if there is one to be read; null is none.
    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        match &mut self.mode {
            Mode::Read { map, known, .. } => {
                known.insert(name);
                map.get(name).filter(|value| !value.is_null())
            }
            Mode::Write { .. } => None,
        }
    }

    /// Refuses the value of a field whose type was right.
    pub(crate) fn refuse(&mut self, name: &str, text: String) {
        self.fault_text(name.into(), text);
    }

    fn go_type(&self, name: &str) -> String {
        format!("{}.{name}", self.api.version())
    }

    fn nested<T>(&mut self, name: String, map: &Map<String, Value>, value: &mut T, describe: Describe<T>) {
        let api = self.api;
        if let Mode::Read { kind, path, faults, .. } = &mut self.mode {
            read_object(api, kind, map, join(path, &name), faults, value, describe, &[]);
        }
    }

    fn put(&mut self, name: &'static str, keep: Keep, empty: bool, value: impl FnOnce() -> Value) {
        if let Mode::Write { map } = &mut self.mode
            && (keep == Keep::Always || !empty)
        {
            map.insert(name.into(), value());
        }
    }

    fn fault(&mut self, name: &str, found: &Value, go_type: &str) {
        self.fault_at(name.into(), found, go_type);
    }

    fn fault_at(&mut self, name: String, found: &Value, go_type: &str) {
        let Mode::Read { kind, path, .. } = &self.mode else { return };
        let text = format!(
            "json: cannot unmarshal {} into Go struct field {kind}.{} of type {go_type}",
            json_type(found),
            join(path, &name)
        );
        self.fault_text(name, text);
    }

    fn fault_text(&mut self, name: String, text: String) {
        if let Mode::Read { path, faults, .. } = &mut self.mode {
            faults.types.push(TypeFault { path: join(path, &name), text });
        }
    }
}

fn arg(value: &mut Arg, c: &mut Codec<'_>) {
    c.text("name", &mut value.name, Keep::Always);
    c.text("value", &mut value.value, Keep::Always);
    if c.since(Api::V1) {
        let mut merge = match &value.merge {
            MergeMethod::Replace => String::new(),
            MergeMethod::Append => "append".into(),
            MergeMethod::Prepend => "prepend".into(),
            MergeMethod::Unknown(word) => word.clone(),
        };
        c.text("mergeMethod", &mut merge, Keep::Set);
        value.merge = match merge.as_str() {
            "" => MergeMethod::Replace,
            "append" => MergeMethod::Append,
            "prepend" => MergeMethod::Prepend,
            _ => MergeMethod::Unknown(merge),
        };
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
