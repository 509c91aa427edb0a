//! `kubeadm completion`: scripts for the shells, made from the tree of commands.

use clap_complete::Shell;

use crate::cli::Node;
use crate::error::CommandError;
use crate::parse::Call;
use crate::{help, output};

/// Prints the script. Texts: cmd/kubeadm/app/cmd/completion.go, 1.37; fish is ours.
pub(crate) fn run(call: &Call<'_>, root: &Node) -> Result<(), CommandError> {
    let shell = match call.args.as_slice() {
        [] => return Err(CommandError::new("shell not specified")),
        [shell] => shell,
        _ => return Err(CommandError::new("too many arguments. expected only the shell type")),
    };
    let shell = match shell.as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        other => {
            return Err(CommandError::new(format!(
                "unsupported shell type {other:?}, the supported shell types are [bash zsh fish]"
            )));
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::complete_tree(root), "kubeadm", &mut script);
    output::text_as_is(&String::from_utf8_lossy(&script));
    Ok(())
}
