//! The command line of kubeadm: its commands, output and errors. What kubeadm does is in `kubeadm-engine`, what it
//! touches in `kubeadm-host`; nothing is done before the command line is understood.
//!
//! A library so that tests and the documentation can walk the same tree of commands as the binary.

// This crate owns the streams and the command line.
#![allow(clippy::disallowed_methods)]

pub mod cli;
mod columns;
mod commands;
pub mod error;
pub mod flags;
pub mod help;
mod known;
mod logging;
pub mod man;
mod output;
pub mod parse;
mod resolve;
mod session;
mod structured;
pub mod values;
mod wish;

pub use commands::releases_page;

use std::process::ExitCode;

use error::CommandError;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut level = 0;
    match run(&mut level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&error.render(level));
            ExitCode::FAILURE
        }
    }
}

fn run(level: &mut i32) -> Result<(), CommandError> {
    let mut words = Vec::new();
    for word in std::env::args_os().skip(1) {
        words.push(
            word.into_string()
                .map_err(|w| CommandError::new(format!("argument {w:?} is not valid UTF-8")))?,
        );
    }
    let root = cli::tree();
    let call = parse::parse(&root, &words)?;
    *level = call.flags.int("v");
    logging::start(*level, &call.flags.text("vmodule"));
    for warning in &call.warnings {
        output::note(&format!("{warning}\n"));
    }
    let rootfs = call.flags.text("rootfs");
    if !rootfs.is_empty() {
        kubeadm_host::chroot::enter(std::path::Path::new(&rootfs))?;
    }
    commands::run(&call, &root)
}
