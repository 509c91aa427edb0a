//! The binary from outside: its tree against the recorded one, its output against recorded commands, its habits.

// Tests start processes and read files.
#![allow(clippy::disallowed_methods, missing_docs)]

mod api;
mod certs;
mod env;
mod golden_commands;
mod golden_tree;
mod habits;
mod init;
mod release;
mod tokens;
mod upgrade;
