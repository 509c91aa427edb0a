//! Every scenario, one file each. The list here is what runs and what `cargo xtask test --list` prints.

mod checks;
mod dry_run;
mod failures;
mod init;
mod rerun;
mod variants;

use crate::scenario::Scenario;

/// All scenarios in the order in which they run.
pub const ALL: &[&Scenario] = &[
    &init::NEWEST,
    &init::OLDEST,
    &dry_run::SCENARIO,
    &failures::SCENARIO,
    &rerun::HEALTHY,
    &failures::MORE,
    &failures::OLD,
    &rerun::KILLED,
    &rerun::OLD,
    &variants::PHASES,
    &variants::ECDSA,
    &variants::EXTERNAL_CA,
    &variants::ROOTLESS,
    &variants::ROOTFS,
    &variants::PULL,
];
