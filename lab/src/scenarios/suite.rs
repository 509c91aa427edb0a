//! Upstream's own check of a finished cluster.

use std::time::Duration;

use crate::command::Run;
use crate::error::check;
use crate::join::JoinCommands;
use crate::kubectl::Shape;
use crate::scenario::{Context, Scenario};
use crate::{Result, components, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "e2e-kubeadm",
    about: "upstream's suite e2e_kubeadm passes on a cluster of two control planes and a worker",
    run,
    ..Scenario::PLAIN
};

/// All specs but the one that looks at networks of two families.
const WANTED: [&str; 3] = ["38 Passed", "0 Failed", "1 Skipped"];

fn run(context: &Context<'_>) -> Result<()> {
    let suite = components::suite(context.lab, context.release)?;
    let first = context.node("suite1")?;
    let (second, worker) = (context.node("suite2")?, context.node("suite3")?);
    let commands = JoinCommands::printed(&context.init(&first, &["--upload-certs"])?.stdout);
    let joining = context.start_join(&second, commands.control_plane()?, &[])?;
    context.join(&worker, commands.worker()?, &[])?;
    context.finish(&second, joining)?;
    let kubectl = context.ready_as(&first, Shape::of(2, 1))?;
    let said = progress::during("run upstream's suite", || {
        Run::limited(Duration::from_secs(300), &suite)
            .args(["--ginkgo.no-color", "--kubeconfig"])
            .args([kubectl.kubeconfig()])
            .dir(first.path("/tmp").as_path())
            .output()
    })?
    .success()?;
    let result = said.stdout.lines().find(|line| line.contains(" Passed ")).unwrap_or_default();
    progress::detail(result);
    check("the suite's result", WANTED.iter().all(|w| result.contains(w)), WANTED.join(", "), said.tail(40))
}
