//! UpgradeConfiguration: one block for each command of `upgrade`.

use super::init::{Patches, Timeouts};

/// What the commands of `upgrade` need to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpgradeConfiguration {
    /// `upgrade apply`.
    pub apply: UpgradeApply,
    /// `upgrade diff`.
    pub diff: UpgradeDiff,
    /// `upgrade node`.
    pub node: UpgradeNode,
    /// `upgrade plan`.
    pub plan: UpgradePlan,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// `upgrade apply`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpgradeApply {
    /// Target version.
    pub kubernetes_version: String,
    /// Allow alpha and beta versions.
    pub allow_experimental_upgrades: bool,
    /// Allow release candidates.
    pub allow_rc_upgrades: bool,
    /// Renew certificates; absent means yes.
    pub certificate_renewal: Option<bool>,
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// Upgrade etcd too; absent means yes.
    pub etcd_upgrade: Option<bool>,
    /// Go on although requirements are not met, and do not ask.
    pub force_upgrade: bool,
    /// Preflight checks whose errors become warnings.
    pub ignore_preflight_errors: Vec<String>,
    /// Folder of patches.
    pub patches: Option<Patches>,
    /// Print the configuration that is used.
    pub print_config: bool,
    /// Phases to leave out.
    pub skip_phases: Vec<String>,
    /// When images are pulled.
    pub image_pull_policy: String,
    /// Whether images are pulled one after the other; absent means yes.
    pub image_pull_serial: Option<bool>,
}

/// `upgrade diff`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeDiff {
    /// Target version.
    pub kubernetes_version: String,
    /// Lines around each difference.
    pub context_lines: i64,
}

/// `upgrade node`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpgradeNode {
    /// Renew certificates; absent means yes.
    pub certificate_renewal: Option<bool>,
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// Upgrade etcd too; absent means yes.
    pub etcd_upgrade: Option<bool>,
    /// Preflight checks whose errors become warnings.
    pub ignore_preflight_errors: Vec<String>,
    /// Phases to leave out.
    pub skip_phases: Vec<String>,
    /// Folder of patches.
    pub patches: Option<Patches>,
    /// When images are pulled.
    pub image_pull_policy: String,
    /// Whether images are pulled one after the other; absent means yes.
    pub image_pull_serial: Option<bool>,
}

/// `upgrade plan`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpgradePlan {
    /// Target version.
    pub kubernetes_version: String,
    /// Show alpha and beta versions.
    pub allow_experimental_upgrades: bool,
    /// Show release candidates.
    pub allow_rc_upgrades: bool,
    /// Print what would be done and change nothing.
    pub dry_run: bool,
    /// Upgrade etcd too; absent means yes.
    pub etcd_upgrade: Option<bool>,
    /// Preflight checks whose errors become warnings.
    pub ignore_preflight_errors: Vec<String>,
    /// Print the configuration that is used.
    pub print_config: bool,
}
