//! The commands that kubeadm prints for the nodes that shall join.

use crate::{Error, Result};

/// What `init` and `token create --print-join-command` tell a person to run on other nodes.
#[derive(Debug, Clone)]
pub struct JoinCommands {
    commands: Vec<Vec<String>>,
}

impl JoinCommands {
    /// Finds the commands in what kubeadm printed.
    #[must_use]
    pub fn printed(output: &str) -> Self {
        let joined = output.replace("\\\n", " ");
        let commands = joined.lines().filter_map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            words.starts_with(&["kubeadm".to_owned(), "join".to_owned()]).then_some(words)
        });
        Self { commands: commands.collect() }
    }

    /// Returns the command for a worker.
    pub fn worker(&self) -> Result<&[String]> {
        self.find(false)
    }

    /// Returns the command for a control plane.
    pub fn control_plane(&self) -> Result<&[String]> {
        self.find(true)
    }

    fn find(&self, control_plane: bool) -> Result<&[String]> {
        let is_it = |c: &&Vec<String>| c.iter().any(|word| word == "--control-plane") == control_plane;
        self.commands.iter().find(is_it).map(Vec::as_slice).ok_or_else(|| {
            let kind = if control_plane { "control plane" } else { "worker" };
            Error::Unfit(format!("kubeadm printed no command with which a {kind} joins: {:?}", self.commands))
        })
    }
}

/// Returns the word after a flag of a join command, empty without it.
#[must_use]
pub fn value<'a>(command: &'a [String], flag: &str) -> &'a str {
    let at = command.iter().position(|word| word == flag);
    at.and_then(|at| command.get(at + 1)).map_or("", String::as_str)
}

/// Returns the server that a join command names.
#[must_use]
pub fn endpoint(command: &[String]) -> &str {
    command.get(2).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_over_several_lines() {
        let output = "You can now join:\n\n\tkubeadm join 1.2.3.4:6443 --token a.b \\\n\t--discovery-token-ca-cert-hash \
                      sha256:c \\\n\t--control-plane --certificate-key d\n\nThen:\n\nkubeadm join 1.2.3.4:6443 --token \
                      a.b \\\n\t--discovery-token-ca-cert-hash sha256:c \n";
        let found = JoinCommands::printed(output);
        assert_eq!(
            found.worker().unwrap().join(" "),
            "kubeadm join 1.2.3.4:6443 --token a.b --discovery-token-ca-cert-hash sha256:c"
        );
        assert_eq!(value(found.worker().unwrap(), "--token"), "a.b");
        assert_eq!(endpoint(found.worker().unwrap()), "1.2.3.4:6443");
        assert!(found.control_plane().unwrap().ends_with(&["--certificate-key".to_owned(), "d".to_owned()]));
        assert!(JoinCommands::printed("nothing").worker().is_err());
    }
}
