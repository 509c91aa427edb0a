//! Every scenario, one file each. The list here is what runs and what `cargo xtask test --list` prints.

mod checks;
mod control_planes;
mod cri;
mod docker;
mod dry_run;
mod etcd;
mod expired;
mod external;
mod failures;
mod features;
mod init;
mod joins;
mod kill;
mod killed;
mod minors;
mod mixed;
mod network;
mod packages;
mod page;
mod rerun;
mod reset;
mod self_hosting;
mod suite;
mod upgrade;
mod variants;
mod walk;
mod worker;

use crate::scenario::Scenario;

/// All scenarios in the order in which they run.
pub const ALL: &[&Scenario] = &[
    &init::NEWEST,
    &init::OLDEST,
    &dry_run::SCENARIO,
    &failures::SCENARIO,
    &rerun::HEALTHY,
    &worker::SCENARIO,
    &worker::BY_URL,
    &control_planes::SCENARIO,
    &mixed::SCENARIO,
    &reset::SCENARIO,
    &failures::MORE,
    &failures::OLD,
    &rerun::KILLED,
    &rerun::OLD,
    &joins::ECDSA,
    &joins::ROOTLESS,
    &joins::DUAL_STACK,
    &external::ETCD,
    &external::AUTHORITY,
    &expired::ONE,
    &expired::TWO,
    &killed::WORKER,
    &killed::CONTROL_PLANE,
    &suite::SCENARIO,
    &packages::SCENARIO,
    &packages::OLD,
    &variants::PHASES,
    &variants::ECDSA,
    &variants::EXTERNAL_CA,
    &variants::ROOTLESS,
    &variants::ROOTFS,
    &variants::PULL,
    &docker::SCENARIO,
    &cri::SCENARIO,
    &upgrade::UNDER_LOAD,
    &upgrade::BROKEN,
    &upgrade::EXTERNAL_CA,
    &upgrade::KILLED,
    &upgrade::MIXED,
    &upgrade::OF_2018,
    &worker::OF_2018,
    &page::FLAGS,
    &variants::EXTERNAL_CA_OF_2018,
    &features::ONE_BINARY,
    &features::GATES,
    &features::GATES_OF_1_11,
    &features::KUBE_DNS,
    &self_hosting::PIVOT,
    &self_hosting::CONVERT,
    &self_hosting::GATES,
    &walk::HOP_BY_HOP,
    &walk::THROUGH,
    &walk::PAST_MASTER,
    &minors::of("minor-v1.36", "v1.36.3"),
    &minors::of("minor-v1.35", "v1.35.4"),
    &minors::of("minor-v1.34", "v1.34.4"),
    &minors::of("minor-v1.31", "v1.31.14"),
    &minors::of("minor-v1.28", "v1.28.15"),
    &minors::of("minor-v1.24", "v1.24.17"),
    &minors::of("minor-v1.20", "v1.20.15"),
    &minors::of("minor-v1.16", "v1.16.15"),
    &minors::of("minor-v1.12", "v1.12.10"),
    &minors::of("minor-v1.11", "v1.11.10"),
];
