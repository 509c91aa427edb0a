//! The kubeadm binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubeadm_cli::main()
}
