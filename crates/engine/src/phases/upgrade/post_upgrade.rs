//! `post-upgrade`: what a release wants done on a node once everything runs. Flags that kubeadm itself gave to the kubelet
//! go where kubelets of the release do not know them: a kubelet that is upgraded next would not start with them.
//! cmd/kubeadm/app/cmd/phases/upgrade/postupgrade.go, 1.35.

use futures::future::BoxFuture;
use kubeadm_release::facts::gone;

use super::control_plane::backup_folder;
use crate::phases::PhaseError;
use crate::phases::kubelet_start::env_file;
use crate::plan::{Action, Step};
use crate::ports::{NewFile, View};
use crate::upgrade::UpgradeSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (node, mut steps) = spec.node(view).await?;
        let path = env_file();
        let Some(content) = view.files.read(&path)? else { return Ok(steps) };
        let flags = gone::environment_flags(&node.release);
        let text = String::from_utf8_lossy(&content);
        let (kept, removed) = without(&text, &flags);
        if removed.is_empty() {
            return Ok(steps);
        }
        let to = backup_folder("kubeadm-kubelet-env", view).join("kubeadm-flags.env");
        let mode = view.files.stat(&path)?.map_or(0o644, |meta| meta.mode);
        let (shown, removed) = (path.display(), removed.join(", "));
        steps.push(Step::new(Action::BackUp { file: path.clone(), to: to.clone() }));
        let file = NewFile { path: path.clone(), content: kept.into_bytes(), mode, secret: false };
        steps.push(
            Step::new(Action::WriteFile(file))
                .saying(format!(
                    "[upgrade/post-upgrade] Removing {removed} from {shown}, which kubelets of v{} do not know; the file of before is kept as {}",
                    node.version.major_minor(),
                    to.display()
                ))
                .would(format!("[dryrun] Would remove {removed} from {shown}")),
        );
        Ok(steps)
    })
}

/// The text of the environment file without flags, and those that were there. Flags stand as `--name=value`.
fn without(text: &str, flags: &[&str]) -> (String, Vec<String>) {
    let mut removed = Vec::new();
    let mut unwanted = |word: &str| {
        let name = word.strip_prefix("--").and_then(|rest| rest.split('=').next()).unwrap_or_default();
        let unwanted = flags.contains(&name);
        if unwanted {
            removed.push(format!("--{name}"));
        }
        unwanted
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.starts_with('#')) else {
            lines.push(line.to_owned());
            continue;
        };
        let bare = value.trim_matches('"');
        let words: Vec<&str> = bare.split_whitespace().filter(|word| !unwanted(word)).collect();
        let quote = if value.starts_with('"') { "\"" } else { "" };
        lines.push(format!("{name}={quote}{}{quote}", words.join(" ")));
    }
    lines.push(String::new());
    (lines.join("\n"), removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gone_goes() {
        let flags = ["pod-infra-container-image"];
        let quoted =
            "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 --pod-infra-container-image=r/pause:3.10 --v=2\"\n";
        let (kept, removed) = without(quoted, &flags);
        assert_eq!(kept, "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 --v=2\"\n");
        assert_eq!(removed, ["--pod-infra-container-image"]);
        let (kept, _) = without("KUBELET_KUBEADM_ARGS=--pod-infra-container-image=r/pause:3.1\n", &flags);
        assert_eq!(kept, "KUBELET_KUBEADM_ARGS=\n");
        let other = "# mine\nKUBELET_KUBEADM_ARGS=\"--pod-infra-container-image-x=1\"\n";
        assert_eq!(without(other, &flags), (other.to_owned(), Vec::new()));
    }
}
