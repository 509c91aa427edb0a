//! Becoming root where the lab needs it: building stays with the user who called.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use kubeadm_lab::command::Run;
use kubeadm_lab::{Error, Result};

/// Tells whether this process is root's.
pub(crate) fn have() -> bool {
    Run::new("id").args(["-u"]).read().is_ok_and(|id| id.trim() == "0")
}

/// Becomes the same program under sudo with other arguments. Returns only when that fails.
pub(crate) fn again(args: &[&str]) -> Result<bool> {
    let unfit = |e: std::io::Error| Error::Unfit(format!("this needs root, and sudo cannot be run: {e}"));
    let program = std::env::current_exe().map_err(unfit)?;
    let mut sudo = Command::new("sudo");
    sudo.arg("env");
    for name in ["PATH", "KUBEADM_LAB"] {
        if let Some(value) = std::env::var_os(name) {
            sudo.arg([name.as_ref(), value.as_os_str()].join("=".as_ref()));
        }
    }
    Err(unfit(sudo.arg(program).args(args).exec()))
}
