//! Values of flags: their kinds read as pflag reads them, and their defaults.

use std::collections::BTreeMap;

use kubeadm_config::duration::GoDuration;

use crate::flags::{self, Flag, Kind};

/// The value of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a string, and of `--vmodule`.
    Text(String),
    /// Of a boolean.
    Bool(bool),
    /// Of a number, and of the level.
    Int(i32),
    /// Of a list.
    List(Vec<String>),
    /// Of a duration.
    Duration(GoDuration),
}

/// The flags of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// Those that the command has: their defaults are not the same for all commands.
    known: Vec<&'static Flag>,
    given: BTreeMap<&'static str, Value>,
}

impl Values {
    /// None given, of a command that has these.
    pub(crate) fn of(known: Vec<&'static Flag>) -> Self {
        Self { known, given: BTreeMap::new() }
    }

    /// Whether the flag stood on the command line.
    pub fn given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The names of all flags that stood on the command line, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.keys().copied()
    }

    /// The text of a flag, or its default.
    pub fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::Text(text) => text,
            other => unreachable!("--{name} is {other:?}"),
        }
    }

    /// Whether a switch is on.
    pub fn bool(&self, name: &str) -> bool {
        self.value(name) == Value::Bool(true)
    }

    /// The number of a flag, or its default.
    pub fn int(&self, name: &str) -> i32 {
        match self.value(name) {
            Value::Int(number) => number,
            other => unreachable!("--{name} is {other:?}"),
        }
    }

    /// The items of a list, or its default.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::List(items) => items,
            other => unreachable!("--{name} is {other:?}"),
        }
    }

    /// The duration of a flag, or its default.
    pub fn duration(&self, name: &str) -> GoDuration {
        match self.value(name) {
            Value::Duration(duration) => duration,
            other => unreachable!("--{name} is {other:?}"),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Value {
        self.given.get(name).cloned().unwrap_or_else(|| {
            let own = self.known.iter().copied().find(|f| f.name == name);
            default(own.unwrap_or_else(|| flags::by_name(name)))
        })
    }

    /// Takes a value from the command line; an error holds Go's words.
    pub(crate) fn set(&mut self, flag: &'static Flag, text: &str) -> Result<(), String> {
        let value = read(flag.kind, text)?;
        match (self.given.get_mut(flag.name), value) {
            // The first list takes the place of the default, later ones are added.
            (Some(Value::List(items)), Value::List(more)) => items.extend(more),
            (_, value) => {
                self.given.insert(flag.name, value);
            }
        }
        Ok(())
    }
}

/// The value of a flag that isn't given.
pub fn default(flag: &Flag) -> Value {
    let text = match flag.kind {
        Kind::Bool if flag.default.is_empty() => "false",
        _ => flag.default,
    };
    // The catalogue's defaults are of their flag's kind; a test reads each.
    read(flag.kind, text).unwrap_or_else(|reason| unreachable!("--{}: {reason}", flag.name))
}

fn read(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::String => Value::Text(text.into()),
        Kind::ModuleSpec => {
            crate::logging::parse_modules(text)?;
            Value::Text(text.into())
        }
        Kind::Bool => Value::Bool(match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => return Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
        }),
        Kind::Int32 | Kind::Int => Value::Int(int32(text, true)?),
        Kind::Level => Value::Int(int32(text, false)?),
        Kind::Strings => Value::List(comma_list(text)?),
        Kind::Duration => Value::Duration(text.parse::<GoDuration>().map_err(|e| e.to_string())?),
    })
}

/// Go's `strconv.ParseInt` with 32 bits, with base 10 or the base that a prefix names.
fn int32(text: &str, prefixes: bool) -> Result<i32, String> {
    let fail = |what: &str| format!("strconv.ParseInt: parsing {text:?}: {what}");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let (base, digits) = match lower.as_str() {
        d if prefixes && d.starts_with("0x") => (16, d[2..].replace('_', "")),
        d if prefixes && d.starts_with("0b") => (2, d[2..].replace('_', "")),
        d if prefixes && d.starts_with("0o") => (8, d[2..].replace('_', "")),
        d if prefixes && d.len() > 1 && d.starts_with('0') => (8, d[1..].replace('_', "")),
        d => (10, d.to_owned()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(fail("invalid syntax"));
    }
    let number = i128::from_str_radix(&digits, base).map_err(|_| fail("value out of range"))?;
    i32::try_from(if negative { -number } else { number }).map_err(|_| fail("value out of range"))
}

/// One line of Go's `encoding/csv`.
fn comma_list(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = vec![String::new()];
    let mut chars = text.chars().enumerate().peekable();
    let (mut quoted, mut start) = (false, true);
    while let Some((at, c)) = chars.next() {
        let item = items.last_mut().ok_or_else(String::new)?;
        match c {
            '"' if quoted && matches!(chars.peek(), Some((_, '"'))) => {
                chars.next();
                item.push('"');
            }
            '"' if quoted => {
                quoted = false;
                if chars.peek().is_some_and(|(_, next)| *next != ',') {
                    let column = at + 1;
                    return Err(format!(
                        "parse error on line 1, column {column}: extraneous or missing \" in quoted-field"
                    ));
                }
            }
            '"' if start => quoted = true,
            '"' => {
                return Err(format!("parse error on line 1, column {}: bare \" in non-quoted field", at + 1));
            }
            ',' if !quoted => {
                items.push(String::new());
                start = true;
                continue;
            }
            c => item.push(c),
        }
        start = false;
    }
    match quoted {
        true => {
            Err("record on line 1; parse error on line 2, column 0: extraneous or missing \" in quoted-field"
                .into())
        }
        false => Ok(items),
    }
}
