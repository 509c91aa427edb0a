//! `post-upgrade`: what a release wants done on a node once everything runs. Flags that kubeadm itself gave to the kubelet
//! go where kubelets of the release do not know them: a kubelet that is upgraded next would not start with them. And the
//! socket of the runtime becomes a URL, where these want one.
//! cmd/kubeadm/app/cmd/phases/upgrade/postupgrade.go, 1.35; app/phases/upgrade/postupgrade.go:
//! updateKubeletDynamicEnvFileWithURLScheme, 1.24.

use futures::future::BoxFuture;
use kubeadm_release::Release;
use kubeadm_release::facts::gone::{self, Unfit};
use kubeadm_release::facts::kubelet::{RuntimeSockets, is_dockershim};

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
        let text = String::from_utf8_lossy(&content);
        let (text, changes) = Fit::of(&node.release, &node.init.node_registration.cri_socket).fit(&text);
        if changes.is_empty() {
            return Ok(steps);
        }
        let to = backup_folder("kubeadm-kubelet-env", view).join("kubeadm-flags.env");
        let mode = view.files.stat(&path)?.map_or(0o644, |meta| meta.mode);
        let (shown, changes) = (path.display(), changes.join(", "));
        let minor = node.version.major_minor();
        steps.push(Step::new(Action::BackUp { file: path.clone(), to: to.clone() }));
        let file = NewFile { path: path.clone(), content: text.into_bytes(), mode, secret: false };
        steps.push(
            Step::new(Action::WriteFile(file))
                .saying(format!(
                    "[upgrade/post-upgrade] Making {shown} fit for kubelets of v{minor}: {changes}; the file of before is kept as {}",
                    to.display()
                ))
                .would(format!("[dryrun] Would make {shown} fit for kubelets of v{minor}: {changes}")),
        );
        Ok(steps)
    })
}

/// What kubelets of a release start with.
struct Fit {
    unfit: Vec<Unfit>,
    sockets: RuntimeSockets,
}

impl Fit {
    /// Kubelets that speak to Docker themselves keep what they need for that. The release's own do not: they need another
    /// runtime before they start, and then the rest goes too.
    fn of(release: &Release, socket: &str) -> Self {
        let docker = is_dockershim(socket);
        let mut unfit = gone::environment(release);
        unfit.retain(|unfit| !(unfit.for_dockershim && docker));
        Self { unfit, sockets: release.kubelet.sockets }
    }

    /// The text of the environment file with only what fits, and what was changed. Flags stand as `--name=value`.
    fn fit(&self, text: &str) -> (String, Vec<String>) {
        let mut changes = Vec::new();
        let mut lines = Vec::new();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.starts_with('#')) else {
                lines.push(line.to_owned());
                continue;
            };
            let words = value.trim_matches('"').split_whitespace();
            let words: Vec<String> = words.filter_map(|word| self.word(word, &mut changes)).collect();
            let quote = if value.starts_with('"') { "\"" } else { "" };
            lines.push(format!("{name}={quote}{}{quote}", words.join(" ")));
        }
        lines.push(String::new());
        (lines.join("\n"), changes)
    }

    /// A word of the file as it is to be; `None` where it goes.
    fn word(&self, word: &str, changes: &mut Vec<String>) -> Option<String> {
        let Some((flag, value)) =
            word.strip_prefix("--").map(|rest| rest.split_once('=').unwrap_or((rest, "")))
        else {
            return Some(word.to_owned());
        };
        let written = self.sockets.written(value);
        if flag == "container-runtime-endpoint" && written != value {
            changes.push(format!("--{flag} is {written}"));
            return Some(format!("--{flag}={written}"));
        }
        match self.unfit.iter().find(|unfit| unfit.flag == flag) {
            None => Some(word.to_owned()),
            Some(Unfit { gate: None, .. }) => {
                changes.push(format!("--{flag} goes"));
                None
            }
            Some(Unfit { gate: Some(gate), .. }) => {
                let is_it = |pair: &&str| pair.split('=').next() == Some(*gate);
                let kept: Vec<&str> = value.split(',').filter(|pair| !is_it(pair)).collect();
                if kept.len() == value.split(',').count() {
                    return Some(word.to_owned());
                }
                changes.push(format!("{gate} goes from --{flag}"));
                (!kept.is_empty()).then(|| format!("--{flag}={}", kept.join(",")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_release::Version;

    const SOCKET: &str = "unix:///run/containerd/containerd.sock";

    fn fit(minor: u32, socket: &str, text: &str) -> (String, Vec<String>) {
        Fit::of(&Release::of(&Version::new(1, minor, 0)).unwrap(), socket).fit(text)
    }

    #[test]
    fn only_what_is_gone_goes() {
        let quoted =
            "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 --pod-infra-container-image=r/pause:3.10 --v=2\"\n";
        let (kept, changes) = fit(35, SOCKET, quoted);
        assert_eq!(kept, "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 --v=2\"\n");
        assert_eq!(changes, ["--pod-infra-container-image goes"]);
        let (kept, _) = fit(35, SOCKET, "KUBELET_KUBEADM_ARGS=--pod-infra-container-image=r/pause:3.1\n");
        assert_eq!(kept, "KUBELET_KUBEADM_ARGS=\n");
        let other = "# mine\nKUBELET_KUBEADM_ARGS=\"--pod-infra-container-image-x=1\"\n";
        assert_eq!(fit(35, SOCKET, other), (other.to_owned(), Vec::new()));
    }

    #[test]
    fn what_docker_needs_stays_while_it_is_spoken_to() {
        let text = "KUBELET_KUBEADM_ARGS=\"--network-plugin=cni --pod-infra-container-image=k8s.gcr.io/pause:3.5\"\n";
        assert_eq!(fit(24, "/var/run/dockershim.sock", text).1, [""; 0]);
        assert_eq!(fit(23, SOCKET, text).1, [""; 0]);
        assert_eq!(fit(24, SOCKET, text).1, ["--network-plugin goes"]);
    }

    #[test]
    fn a_socket_becomes_a_url_and_a_gate_goes_alone() {
        let text = "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=/run/x.sock --feature-gates=A=true,IPv6DualStack=true\"\n";
        let (kept, changes) = fit(24, "/run/x.sock", text);
        assert_eq!(
            kept,
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/x.sock --feature-gates=A=true\"\n"
        );
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert_eq!(fit(22, "/run/x.sock", text).1, [""; 0]);
        let alone = "KUBELET_KUBEADM_ARGS=\"--feature-gates=IPv6DualStack=false\"\n";
        assert_eq!(fit(24, SOCKET, alone).0, "KUBELET_KUBEADM_ARGS=\"\"\n");
    }
}
