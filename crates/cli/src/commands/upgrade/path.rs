//! `kubeadm upgrade plan --to`: the whole way to a version, what each hop changes, and what blocks it.

use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::ports::Effects;
use kubeadm_engine::run::Executor;
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::outlook::{self, Block, Outlook};
use kubeadm_engine::upgrade::walk::{self, Walk};
use kubeadm_release::{Release, Version};
use serde::Serialize;

use super::stops::{Stops, Wished};
use crate::commands::failure;
use crate::commands::release::{Change, changes, lines};
use crate::error::CommandError;
use crate::session::Session;
use crate::structured::{API_VERSION, Format};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpgradePath {
    kind: &'static str,
    api_version: &'static str,
    from: String,
    to: String,
    hops: Vec<Hop>,
}

#[derive(Serialize)]
struct Hop {
    from: String,
    to: String,
    /// Whether `to` is only the minor: nobody tells the newest version of it.
    #[serde(rename = "minorOnly")]
    minor_only: bool,
    changes: Vec<Change>,
    notes: Vec<String>,
    blocks: Vec<String>,
}

/// Looks at the whole way, and prints it.
pub(super) fn print(
    spec: &UpgradeSpec,
    wished: &Wished,
    format: Format,
    fx: &Effects,
    session: &Session,
) -> Result<(), CommandError> {
    let context = spec.context();
    let executor = Executor::new(&context, fx);
    let explain = |error: PhaseError| failure::explain_alone(error, &*fx.output);
    let (from, state) = session.block_on(walk::look(spec, &executor)).map_err(explain)?;
    let Stops { mut between, to, unknown } = wished.look_up(&from, session, &*fx.output)?;
    between.extend(unknown.iter().cloned());
    let walk = Walk::new(from, &between, to)?;
    let mut ahead = session.block_on(outlook::look(&walk, spec, executor.view())).map_err(explain)?;
    let judged = walk.judge(&state, &spec.kubeadm_version, spec.policy);
    for (at, (outlook, mut found)) in ahead.iter_mut().zip(judged).enumerate() {
        // Kubelets may follow on the way, but not before its first hop.
        if let Some(text) = found.old_kubelets.take_if(|_| at > 0) {
            outlook.notes.push(format!("{text}: upgrade them before this hop"));
        }
        let texts = found.fatal.iter().cloned().chain(found.all_forceable());
        outlook.blocks.splice(0..0, texts.map(|text| Block { check: None, text }));
    }
    let path = path(&walk, ahead, &unknown)?;
    format.print(&[path], |paths| paths.iter().map(text).collect())
}

fn path(walk: &Walk, outlooks: Vec<Outlook>, unknown: &[Version]) -> Result<UpgradePath, CommandError> {
    let name = |version: &Version| match unknown.contains(version) {
        true => format!("v{}", version.major_minor()),
        false => version.to_string(),
    };
    let mut before = &walk.from;
    let mut hops = Vec::new();
    for (hop, Outlook { blocks, notes }) in walk.hops.iter().zip(outlooks) {
        hops.push(Hop {
            from: name(before),
            to: name(hop),
            minor_only: unknown.contains(hop),
            changes: changes(&Release::of(before)?, &Release::of(hop)?),
            notes,
            blocks: blocks.into_iter().map(|block| block.text).collect(),
        });
        before = hop;
    }
    let (from, to) = (walk.from.to_string(), name(walk.to()));
    Ok(UpgradePath { kind: "UpgradePath", api_version: API_VERSION, from, to, hops })
}

fn text(path: &UpgradePath) -> String {
    let mut text = format!("The way from {} to {}:\n", path.from, path.to);
    for (at, hop) in path.hops.iter().enumerate() {
        text += &format!("\n{}. {} to {}", at + 1, hop.from, hop.to);
        text += if hop.minor_only { " (the newest version of it is not known)\n" } else { "\n" };
        text += &indented(&lines(&hop.changes));
        for (heading, items) in [("to know", &hop.notes), ("BLOCKED", &hop.blocks)] {
            if !items.is_empty() {
                text += &format!("\n   {heading}:\n");
                text.extend(items.iter().map(|item| format!("     - {item}\n")));
            }
        }
    }
    let named: Vec<&str> = path.hops.iter().map(|hop| hop.to.as_str()).collect();
    let free = path.hops.iter().take_while(|hop| hop.blocks.is_empty()).count();
    let command = |hops: &[&str]| format!("\n\n\tkubeadm upgrade apply --through {}\n\n", hops.join(","));
    text += "\n";
    text += &match free {
        0 => "Remove what blocks it, then look again.\n".to_owned(),
        free if free < named.len() => format!(
            "Remove what blocks it, then look again. Until there you can go by executing the following command:{}",
            command(&named[..free])
        ),
        _ => format!("You can go this way by executing the following command:{}", command(&named)),
    };
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("   {line}\n") }).collect()
}
