//! A real cluster from one command, for the newest release and for the one of 2018, and everything in it at work.

use crate::Result;
use crate::scenario::{Context, Scenario};
use crate::scenarios::checks;

pub(super) const NEWEST: Scenario = Scenario {
    name: "init-v1.37",
    about: "init makes a working cluster of v1.37",
    default: true,
    run: newest,
    ..Scenario::PLAIN
};

pub(super) const OLDEST: Scenario = Scenario {
    name: "init-v1.13",
    about: "init makes a working cluster of v1.13",
    release: "v1.13.12",
    default: true,
    run: oldest,
    ..Scenario::PLAIN
};

fn newest(context: &Context<'_>) -> Result<()> {
    let node = context.node("init37")?;
    context.init(&node, &[])?;
    let kubectl = context.ready(&node)?;
    checks::serving_certificate(&node)?;
    checks::kubelet_conf_rotates(&node)?;
    checks::common(context, &node, &kubectl, checks::NEW_CSR)
}

fn oldest(context: &Context<'_>) -> Result<()> {
    let node = context.node("init13")?;
    context.init(&node, &[])?;
    let kubectl = context.ready(&node)?;
    checks::serving_certificate(&node)?;
    checks::common(context, &node, &kubectl, checks::OLD_CSR)
}
