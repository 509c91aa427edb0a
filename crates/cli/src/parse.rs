//! Reads the command line the way cobra and pflag do, over the tree of [`crate::cli`].
//!
//! clap draws help and completion from the same tree ([`crate::help`]) but does not parse: scripts of ten years rely
//! on pflag's habits (`--flag=false` but never `--flag false`, `-v5`, `_` for `-`, comma lists that replace the
//! default and then add up, flags of a command before its sub-command) and on its error texts, and bending clap to
//! each of them took more code than the parser below.

use std::collections::BTreeMap;

use kubeadm_config::duration::GoDuration;

use crate::cli::{Args, Node};
use crate::flags::{self, Flag, Kind};

/// A command line that cannot be used. The texts are cobra's and pflag's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsageError {
    /// A word that is no command.
    #[error("unknown command {word:?} for {path:?}{}", suggestion(similar))]
    UnknownCommand {
        /// The word.
        word: String,
        /// The command it was given to.
        path: String,
        /// Commands that look like it.
        similar: Vec<&'static str>,
    },
    /// A group was given without one of its commands.
    #[error("subcommand is required")]
    NoSubcommand,
    /// More words than the command takes.
    #[error("accepts at most {limit} arg(s), received {given}")]
    TooManyArgs {
        /// How many it takes.
        limit: usize,
        /// How many there were.
        given: usize,
    },
    /// `--nope`
    #[error("unknown flag: --{0}")]
    UnknownFlag(String),
    /// `-x`
    #[error("unknown shorthand flag: {letter:?} in -{word}")]
    UnknownShorthand {
        /// The letter.
        letter: char,
        /// The letters it stood among.
        word: String,
    },
    /// `---x`, `--=x`
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    /// A flag that takes a value stood last.
    #[error("flag needs an argument: {0}")]
    NoArgument(String),
    /// A value that the flag does not take.
    #[error("invalid argument {value:?} for {flag:?} flag: {reason}")]
    Invalid {
        /// The value.
        value: String,
        /// The flag with its dashes.
        flag: String,
        /// What is wrong with it, in Go's words.
        reason: String,
    },
}

fn suggestion(similar: &[&str]) -> String {
    if similar.is_empty() {
        return String::new();
    }
    let lines: String = similar.iter().map(|s| format!("\t{s}\n")).collect();
    format!("\n\nDid you mean this?\n{lines}")
}

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Whether the flag stood on the command line.
    pub fn given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all flags that stood on the command line, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
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

    fn value(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_else(|| {
            let global = [&flags::HELP, &flags::ROOTFS, &flags::V, &flags::VMODULE];
            let flag = global.into_iter().find(|f| f.name == name).unwrap_or_else(|| flags::by_name(name));
            default(flag)
        })
    }

    fn set(&mut self, flag: &'static Flag, text: &str) -> Result<(), String> {
        let value = read(flag.kind, text)?;
        match (self.0.get_mut(flag.name), value) {
            // The first list takes the place of the default, later ones are added.
            (Some(Value::List(items)), Value::List(more)) => items.extend(more),
            (_, value) => {
                self.0.insert(flag.name, value);
            }
        }
        Ok(())
    }
}

/// A command with its flags and words.
#[derive(Debug)]
pub struct Call<'t> {
    /// The commands from the root to the one that is meant.
    pub path: Vec<&'t Node>,
    /// Flags.
    pub flags: Values,
    /// Other words.
    pub args: Vec<String>,
    /// What is to be said of deprecated flags.
    pub warnings: Vec<String>,
}

impl<'t> Call<'t> {
    /// The command that is meant.
    pub fn node(&self) -> &'t Node {
        // The root is always there.
        self.path[self.path.len() - 1]
    }

    /// `kubeadm init phase`.
    pub fn command(&self) -> String {
        command_path(&self.path)
    }
}

fn command_path(path: &[&Node]) -> String {
    path.iter().map(|n| n.name).collect::<Vec<_>>().join(" ")
}

/// Flags of a command: its own, those its parents hand down, and the global ones.
pub fn flags_of(path: &[&Node]) -> Vec<&'static Flag> {
    let mut all = vec![&flags::HELP, &flags::ROOTFS, &flags::V, &flags::VMODULE];
    if let Some((node, parents)) = path.split_last() {
        all.extend(parents.iter().flat_map(|p| p.persistent.iter().copied()));
        all.extend(node.persistent.iter().chain(&node.flags).copied());
    }
    all
}

/// Reads a command line (without the program's name).
pub fn parse<'t>(root: &'t Node, words: &[String]) -> Result<Call<'t>, UsageError> {
    let mut path = vec![root];
    let mut rest = words.to_vec();
    while let Some(at) = command_word(&flags_of(&path), &rest) {
        let Some(child) = path[path.len() - 1].child(&rest[at]) else { break };
        path.push(child);
        rest.remove(at);
    }
    if path.len() == 1
        && let Some(at) = command_word(&flags_of(&path), &rest)
    {
        return Err(unknown(&path, &rest[at]));
    }
    let known = flags_of(&path);
    let mut call = Call { path, flags: Values::default(), args: Vec::new(), warnings: Vec::new() };
    parse_flags(&known, rest, &mut call)?;
    if call.flags.bool("help") {
        return Ok(call);
    }
    match call.node().args {
        Args::None => match call.args.first() {
            Some(word) => Err(unknown(&call.path, word)),
            None => Ok(call),
        },
        Args::AtMost(limit) if call.args.len() > limit => {
            Err(UsageError::TooManyArgs { limit, given: call.args.len() })
        }
        Args::AtMost(_) | Args::Any => Ok(call),
    }
}

fn unknown(path: &[&Node], word: &str) -> UsageError {
    let node = path[path.len() - 1];
    let similar = node.children.iter().filter(|c| !c.hidden).map(|c| c.name);
    let similar = similar.filter(|n| n.starts_with(&word.to_lowercase()) || distance(n, word) <= 2).collect();
    UsageError::UnknownCommand { word: word.into(), path: command_path(path), similar }
}

/// Levenshtein's distance, upper and lower case alike.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let change = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// Where the next word stands that is neither a flag nor a flag's value. cobra: `stripFlags`.
fn command_word(known: &[&'static Flag], words: &[String]) -> Option<usize> {
    let takes_none = |found: Option<&&'static Flag>| found.is_some_and(|f| f.kind == Kind::Bool);
    let mut at = 0;
    while at < words.len() {
        let word = &words[at];
        if word == "--" {
            return None;
        }
        let value_follows = match word.strip_prefix("--") {
            _ if word.contains('=') => false,
            Some(name) => !takes_none(find(known, name)),
            None if word.starts_with('-') && word.chars().count() == 2 => {
                let letter = word.chars().nth(1);
                !takes_none(known.iter().find(|f| f.short == letter))
            }
            None => false,
        };
        if !word.is_empty() && !word.starts_with('-') {
            return Some(at);
        }
        at += if value_follows { 2 } else { 1 };
    }
    None
}

fn find<'a>(known: &'a [&'static Flag], name: &str) -> Option<&'a &'static Flag> {
    let name = name.replace('_', "-");
    known.iter().find(|f| f.name == name)
}

fn parse_flags(known: &[&'static Flag], words: Vec<String>, call: &mut Call<'_>) -> Result<(), UsageError> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            call.args.extend(words);
            return Ok(());
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            if name.is_empty() || name.starts_with('-') {
                return Err(UsageError::BadSyntax(word));
            }
            let flag = *find(known, name).ok_or_else(|| UsageError::UnknownFlag(name.into()))?;
            let value = match (value, flag.kind) {
                (Some(value), _) => value,
                (None, Kind::Bool) => "true".into(),
                (None, _) => words.next().ok_or_else(|| UsageError::NoArgument(word.clone()))?,
            };
            set(call, flag, &value)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parse_shorthands(known, &word[1..], &mut words, call)?;
        } else {
            call.args.push(word);
        }
    }
    Ok(())
}

/// `-h`, `-v5`, `-v=5`, `-v 5`, `-ojson`, `-hv5`. pflag: `parseSingleShortArg`.
fn parse_shorthands(
    known: &[&'static Flag],
    word: &str,
    words: &mut std::vec::IntoIter<String>,
    call: &mut Call<'_>,
) -> Result<(), UsageError> {
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        let rest = letters.as_str();
        let flag = *known
            .iter()
            .find(|f| f.short == Some(letter))
            .ok_or_else(|| UsageError::UnknownShorthand { letter, word: format!("{letter}{rest}") })?;
        let value = match rest.strip_prefix('=') {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ if flag.kind == Kind::Bool => {
                set(call, flag, "true")?;
                continue;
            }
            _ if !rest.is_empty() => rest.to_owned(),
            _ => words
                .next()
                .ok_or_else(|| UsageError::NoArgument(format!("'{letter}' in -{letter}{rest}")))?,
        };
        return set(call, flag, &value);
    }
    Ok(())
}

fn set(call: &mut Call<'_>, flag: &'static Flag, text: &str) -> Result<(), UsageError> {
    call.flags.set(flag, text).map_err(|reason| {
        let short = flag.short.map(|s| format!("-{s}, ")).unwrap_or_default();
        UsageError::Invalid { value: text.into(), flag: format!("{short}--{}", flag.name), reason }
    })?;
    if let Some(instead) = flag.deprecated {
        call.warnings.push(format!(
            "Flag --{} has been deprecated, use '{instead}' instead. This flag will be removed in a future version",
            flag.name
        ));
    }
    Ok(())
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
        Kind::Int32 => Value::Int(int32(text, true)?),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tree;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|w| !w.is_empty()).map(|w| w.replace('~', " ")).collect()
    }

    fn flags(line: &str) -> Values {
        parse(&tree(), &words(line)).unwrap().flags
    }

    fn fails(line: &str) -> String {
        parse(&tree(), &words(line)).unwrap_err().to_string()
    }

    #[test]
    fn every_default_is_of_its_kind() {
        for flag in flags::CATALOGUE {
            default(flag);
        }
    }

    #[test]
    fn booleans_take_a_value_only_behind_an_equals_sign() {
        assert!(flags("init --dry-run").bool("dry-run"));
        assert!(!flags("init --dry-run=false").bool("dry-run"));
        assert!(flags("init --dry-run=false").given("dry-run"));
        assert!(!flags("init --dry-run --dry-run=F").bool("dry-run"));
        assert_eq!(fails("init --dry-run false"), "unknown command \"false\" for \"kubeadm init\"");
        assert_eq!(
            fails("init --dry-run=no"),
            "invalid argument \"no\" for \"--dry-run\" flag: strconv.ParseBool: parsing \"no\": invalid syntax"
        );
    }

    #[test]
    fn lists_replace_the_default_and_then_add_up() {
        assert_eq!(flags("token create").list("usages"), ["signing", "authentication"]);
        assert_eq!(flags("token create --usages signing --usages a,b").list("usages"), ["signing", "a", "b"]);
        assert_eq!(flags("init --skip-phases= --skip-phases a").list("skip-phases"), ["a"]);
        assert_eq!(flags("init --skip-phases \"a,b\",c").list("skip-phases"), ["a,b", "c"]);
        assert!(fails("init --skip-phases a\"b").ends_with("column 2: bare \" in non-quoted field"));
    }

    #[test]
    fn shorthands_and_levels() {
        for line in
            ["version -v5", "version -v 5", "version -v=5", "version --v=5", "-v 5 version", "--v=5 version"]
        {
            assert_eq!(flags(line).int("v"), 5, "{line}");
        }
        assert_eq!(flags("version -ojson").text("output"), "json");
        assert_eq!(fails("version -x"), "unknown shorthand flag: 'x' in -x");
        assert_eq!(fails("version -v"), "flag needs an argument: 'v' in -v");
        assert_eq!(
            fails("version -v five"),
            "invalid argument \"five\" for \"-v, --v\" flag: strconv.ParseInt: parsing \"five\": invalid syntax"
        );
    }

    #[test]
    fn underscores_are_hyphens() {
        assert_eq!(flags("init --node_name n").text("node-name"), "n");
        assert_eq!(flags("init --token_ttl=0").duration("token-ttl"), GoDuration::ZERO);
    }

    #[test]
    fn numbers_and_durations() {
        assert_eq!(flags("init --apiserver-bind-port 0x10").int("apiserver-bind-port"), 16);
        assert_eq!(
            fails("init --apiserver-bind-port abc"),
            "invalid argument \"abc\" for \"--apiserver-bind-port\" flag: strconv.ParseInt: parsing \"abc\": invalid syntax"
        );
        assert!(fails("init --apiserver-bind-port 3000000000").ends_with("value out of range"));
        assert_eq!(
            fails("init --token-ttl 5"),
            "invalid argument \"5\" for \"--token-ttl\" flag: time: missing unit in duration \"5\""
        );
    }

    #[test]
    fn unknown_words_and_flags() {
        assert_eq!(fails("frobnicate"), "unknown command \"frobnicate\" for \"kubeadm\"");
        assert_eq!(
            fails("versoin"),
            "unknown command \"versoin\" for \"kubeadm\"\n\nDid you mean this?\n\tversion\n"
        );
        assert_eq!(fails("init --nope"), "unknown flag: --nope");
        assert_eq!(fails("init --nope version"), "unknown flag: --nope");
        assert_eq!(fails("init --token"), "flag needs an argument: --token");
        assert_eq!(fails("init ---x"), "bad flag syntax: ---x");
        assert_eq!(fails("token generate now"), "unknown command \"now\" for \"kubeadm token generate\"");
        assert_eq!(fails("token nope"), "unknown command \"nope\" for \"kubeadm token\"");
    }

    #[test]
    fn flags_may_stand_before_the_command() {
        assert_eq!(flags("--rootfs /r init --token-ttl 1h").text("rootfs"), "/r");
        assert_eq!(flags("token --kubeconfig k list").text("kubeconfig"), "k");
        let tree = tree();
        let call = parse(&tree, &words("completion -- --not-a-flag")).unwrap();
        assert_eq!((call.command(), call.args), ("kubeadm completion".into(), vec!["--not-a-flag".into()]));
    }
}
