//! UpgradeConfiguration, since v1beta4.

use super::parts;
use crate::codec::{Codec, Keep};
use crate::types::{UpgradeApply, UpgradeConfiguration, UpgradeDiff, UpgradeNode, UpgradePlan};

pub(crate) fn upgrade(x: &mut UpgradeConfiguration, c: &mut Codec<'_>) {
    c.object("apply", &mut x.apply, "UpgradeApplyConfiguration", apply);
    c.object("diff", &mut x.diff, "UpgradeDiffConfiguration", diff);
    c.object("node", &mut x.node, "UpgradeNodeConfiguration", node);
    c.object("plan", &mut x.plan, "UpgradePlanConfiguration", plan);
    c.object("timeouts", &mut x.timeouts, "Timeouts", parts::timeouts);
}

fn apply(x: &mut UpgradeApply, c: &mut Codec<'_>) {
    c.text("kubernetesVersion", &mut x.kubernetes_version, Keep::Set);
    c.flag("allowExperimentalUpgrades", &mut x.allow_experimental_upgrades, Keep::Set);
    c.flag("allowRCUpgrades", &mut x.allow_rc_upgrades, Keep::Set);
    c.optional_flag("certificateRenewal", &mut x.certificate_renewal);
    c.flag("dryRun", &mut x.dry_run, Keep::Set);
    c.optional_flag("etcdUpgrade", &mut x.etcd_upgrade);
    c.flag("forceUpgrade", &mut x.force_upgrade, Keep::Set);
    c.texts("ignorePreflightErrors", &mut x.ignore_preflight_errors, Keep::Set);
    c.optional_object("patches", &mut x.patches, "Patches", parts::patches);
    c.flag("printConfig", &mut x.print_config, Keep::Set);
    c.texts("skipPhases", &mut x.skip_phases, Keep::Set);
    c.text("imagePullPolicy", &mut x.image_pull_policy, Keep::Set);
    c.optional_flag("imagePullSerial", &mut x.image_pull_serial);
}

fn diff(x: &mut UpgradeDiff, c: &mut Codec<'_>) {
    c.text("kubernetesVersion", &mut x.kubernetes_version, Keep::Set);
    c.int64("contextLines", &mut x.context_lines, Keep::Set);
}

fn node(x: &mut UpgradeNode, c: &mut Codec<'_>) {
    c.optional_flag("certificateRenewal", &mut x.certificate_renewal);
    c.flag("dryRun", &mut x.dry_run, Keep::Set);
    c.optional_flag("etcdUpgrade", &mut x.etcd_upgrade);
    c.texts("ignorePreflightErrors", &mut x.ignore_preflight_errors, Keep::Set);
    c.texts("skipPhases", &mut x.skip_phases, Keep::Set);
    c.optional_object("patches", &mut x.patches, "Patches", parts::patches);
    c.text("imagePullPolicy", &mut x.image_pull_policy, Keep::Set);
    c.optional_flag("imagePullSerial", &mut x.image_pull_serial);
}

fn plan(x: &mut UpgradePlan, c: &mut Codec<'_>) {
    c.text("kubernetesVersion", &mut x.kubernetes_version, Keep::Set);
    c.flag("allowExperimentalUpgrades", &mut x.allow_experimental_upgrades, Keep::Set);
    c.flag("allowRCUpgrades", &mut x.allow_rc_upgrades, Keep::Set);
    c.flag("dryRun", &mut x.dry_run, Keep::Set);
    c.optional_flag("etcdUpgrade", &mut x.etcd_upgrade);
    c.texts("ignorePreflightErrors", &mut x.ignore_preflight_errors, Keep::Set);
    c.flag("printConfig", &mut x.print_config, Keep::Set);
}
