//! Reads the command line the way cobra and pflag do, over the tree of [`crate::cli`].
//!
//! clap draws help and completion from the same tree ([`crate::help`]) but does not parse: scripts of ten years rely
//! on pflag's habits (`--flag=false` but never `--flag false`, `-v5`, `_` for `-`, comma lists that replace the
//! default and then add up, flags of a command before its sub-command) and on its error texts, and bending clap to
//! each of them took more code than the parser below.

use crate::cli::{Args, Node};
use crate::flags::{self, Flag, Kind};
use crate::values::Values;

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
    let values = Values::of(known.clone());
    let mut call = Call { path, flags: values, args: Vec::new(), warnings: Vec::new() };
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

#[cfg(test)]
mod tests {
    use kubeadm_config::duration::GoDuration;

    use super::*;
    use crate::cli::tree;
    use crate::values::default;

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

    proptest::proptest! {
        #[test]
        fn any_words_are_understood_or_refused(
            words in proptest::collection::vec(
                proptest::prop_oneof![
                    "init|phase|certs|token|create|list|config|images|version|help|all",
                    "--?[a-z_-]{0,12}(=[\\PC]{0,6})?",
                    "-[vohx][=0-9a-z]{0,3}",
                    "--(ttl|v|usages|apiserver-bind-port|vmodule|dry-run)=[\\PC]{0,8}",
                    "\\PC{0,8}",
                ],
                0..6,
            )
        ) {
            let tree = tree();
            if let Ok(call) = parse(&tree, &words) {
                for flag in flags_of(&call.path) {
                    proptest::prop_assert!(call.flags.given(flag.name) || default(flag) == call.flags.value(flag.name));
                }
            }
        }
    }
}
