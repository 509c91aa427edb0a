//! ResetConfiguration.

use super::init::Timeouts;

/// What `reset` needs to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResetConfiguration {
    /// Empty `/etc/kubernetes/tmp` too.
    pub cleanup_tmp_dir: bool,
    /// Folder of certificates and keys.
    pub certificates_dir: String,
    /// Endpoint of the container runtime.
    pub cri_socket: String,
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub force: bool,
    /// Preflight checks whose errors become warnings.
    pub ignore_preflight_errors: Vec<String>,
    /// Phases to leave out.
    pub skip_phases: Vec<String>,
    /// Flags of umount2(2) by name.
    pub unmount_flags: Vec<String>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}
