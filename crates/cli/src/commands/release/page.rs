//! docs/releases.md: every minor in a table, and what each changed, from the same tables as everything else.

use kubeadm_release::{Release, SERVED_MINORS, Version, listing};

use super::diff::change;
use super::list;

const INTRODUCTION: &str = "\
# Releases

What this kubeadm knows of the minors of Kubernetes, and what each of them changed for the files and objects of a cluster.
This page is made from the tables of `crates/release` (`UPDATE_GOLDEN=1 cargo test -p kubeadm --test it release`).
`kubeadm release show v1.36` shows all of a minor, `kubeadm release diff v1.28 v1.36` compares any two, and shows the
manifests and objects too.

A line with `~` is a fact that changed, with `-` one that went, with `+` one that came.
";

/// The page.
///
/// # Panics
/// When a minor that is listed has no facts: a mistake in the tables.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    text += &list::markdown();
    for pair in SERVED_MINORS.windows(2) {
        let [before, after] = pair else { continue };
        text += &format!("\n## v1.{after}\n");
        if after - before > 1 {
            text += &format!("\nSince v1.{before}:\n");
        }
        let (mut area, mut open) = (String::new(), false);
        for difference in listing::differences(&release(*before), &release(*after)) {
            let change = change(&difference);
            if change.area != area {
                area.clone_from(&change.area);
                text += if open { "```\n" } else { "" };
                text += &format!("\n**{area}**\n\n```diff\n");
                open = true;
            }
            text += &format!("{}\n", change.line);
        }
        text += if open { "```\n" } else { "\nNothing.\n" };
    }
    text
}

fn release(minor: u32) -> Release {
    Release::of(&Version::new(1, minor, 0)).expect("it is listed")
}
