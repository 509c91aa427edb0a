//! Help and completion, drawn by clap from the tree of [`crate::cli`]. Nothing is parsed here.

use clap::{Arg, ArgAction, Command};

use crate::cli::{Node, Verb};
use crate::flags::{Flag, Kind};
use crate::parse::flags_of;

/// Flags that every command has.
pub(crate) const GLOBAL: [&str; 4] = ["rootfs", "v", "vmodule", "help"];

/// The help of the last command of a path.
pub fn render(path: &[&Node]) -> String {
    let words = path.iter().map(|n| n.name).collect::<Vec<_>>().join(" ");
    let mut command = command(path, false).bin_name(&words);
    // Without this clap leaves the path out of the usage line.
    command = command.display_name(&words);
    command.render_long_help().to_string()
}

/// The whole tree as a clap command, for completion scripts.
pub fn complete_tree(root: &Node) -> Command {
    command(&[root], true)
}

fn command(path: &[&Node], deep: bool) -> Command {
    let Some((node, parents)) = path.split_last() else { return Command::new("kubeadm") };
    let mut flags = flags_of(path);
    flags.sort_by_key(|f| f.name);
    let mut command = Command::new(node.name)
        .about(fold(node.about))
        .visible_aliases(node.aliases.iter().copied())
        .hide(node.hidden)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .subcommand_required(node.verb == Verb::Group);
    if !node.details.is_empty() {
        command = command.after_long_help(node.details.clone());
    }
    for flag in flags.iter().filter(|f| parents.is_empty() || !deep || !GLOBAL.contains(&f.name)) {
        let heading = GLOBAL.contains(&flag.name).then_some("Global options");
        command =
            command.arg(argument(flag).help_heading(heading).global(deep && GLOBAL.contains(&flag.name)));
    }
    if !node.usage.is_empty() {
        let mut words =
            Arg::new("words").value_name(node.usage.trim_matches(['[', ']'])).num_args(0..).hide(true);
        if node.verb == Verb::Completion {
            words = words.value_parser(["bash", "zsh", "fish"]);
        }
        command = command.arg(words);
        if !deep {
            let words: Vec<&str> = path.iter().map(|n| n.name).collect();
            command = command.override_usage(format!("{} {} [OPTIONS]", words.join(" "), node.usage));
        }
    }
    for child in &node.children {
        let below: Vec<&Node> = path.iter().copied().chain([child]).collect();
        command = command.subcommand(if deep {
            self::command(&below, true)
        } else {
            Command::new(child.name).about(child.about).hide(child.hidden)
        });
    }
    command
}

fn argument(flag: &'static Flag) -> Arg {
    let mut arg = Arg::new(flag.name).long(flag.name).help(text_of(flag)).hide(flag.deprecated.is_some());
    if let Some(letter) = flag.short {
        arg = arg.short(letter);
    }
    if flag.kind == Kind::Bool {
        return arg.action(ArgAction::SetTrue);
    }
    if flag.name.contains("config") || flag.name.contains("dir") || matches!(flag.name, "patches" | "rootfs")
    {
        arg = arg.value_hint(clap::ValueHint::AnyPath);
    }
    if !flag.default.is_empty() {
        arg = arg.default_value(flag.default);
    }
    arg.value_name(flag.kind.name())
}

fn text_of(flag: &Flag) -> String {
    let mut text = fold(flag.help);
    let choices = choices(flag);
    if !choices.is_empty() {
        text += "\nOptions are:";
    }
    for line in choices {
        text += &format!("\n{line}");
    }
    text
}

/// What a flag chooses from, a line each: the gates of the newest release.
pub(crate) fn choices(flag: &Flag) -> Vec<String> {
    match flag.name {
        "feature-gates" => kubeadm_config::features::help(&kubeadm_release::Release::newest()),
        _ => Vec::new(),
    }
}

/// Columns of help text; clap leaves folding to a library of its own.
const WIDTH: usize = 90;

fn fold(text: &str) -> String {
    let mut folded = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            folded.push('\n');
            column = 0;
        } else if column > 0 {
            folded.push(' ');
            column += 1;
        }
        folded += word;
        column += length;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_folded_between_words() {
        let folded = fold(&"word ".repeat(40));
        assert!(folded.lines().count() > 1 && folded.lines().all(|l| l.len() <= WIDTH), "{folded}");
        assert_eq!(folded.replace('\n', " "), "word ".repeat(40));
    }
}
