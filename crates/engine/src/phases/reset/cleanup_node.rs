//! `cleanup-node`: kubelet, pods, mounts and files of this node. cmd/kubeadm/app/cmd/phases/reset/cleanupnode.go, 1.37.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_config::defaults::CERTIFICATES_DIR;

use super::stop_kubelet;
use crate::mounts;
use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::View;
use crate::reset::ResetSpec;
use crate::spec::{KUBELET, KUBERNETES, MANIFESTS};

/// The kubeconfig files that kubeadm writes.
const KUBECONFIGS: [&str; 6] = [
    "admin.conf",
    "super-admin.conf",
    "kubelet.conf",
    "bootstrap-kubelet.conf",
    "controller-manager.conf",
    "scheduler.conf",
];

/// Plans the phase. The cluster, if it can be asked, tells where its certificates lie.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = Vec::new();
        let cluster = match (&spec.certificates_dir, spec.cluster(view).await) {
            (_, Some(Ok(cluster))) => Some(cluster),
            (None, Some(Err(reason))) => {
                steps.push(Step::warn(format!(
                    "[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: {reason}. Certificates are \
                     looked for in {CERTIFICATES_DIR}; if they lie elsewhere, name the folder with --cert-dir"
                )));
                None
            }
            _ => None,
        };
        let told = cluster.as_ref().map(|c| PathBuf::from(&c.certificates_dir));
        let pki = spec.certificates_dir.clone().or(told).unwrap_or_else(|| CERTIFICATES_DIR.into());
        if cluster.is_some_and(|c| c.feature_gates.get("RootlessControlPlane") == Some(&true)) {
            steps.push(Step::warn(
                "[reset] The users and groups of the rootless control plane (kubeadm-*) are left in /etc/passwd and \
                 /etc/group",
            ));
        }
        steps.push(stop_kubelet());
        // Pods hold what is mounted for them, so they go first.
        steps.push(
            Step::new(Action::RemovePods { only: None })
                .would("[dryrun] Would remove Kubernetes-managed containers")
                .or_warn("[reset] Failed to remove containers"),
        );
        let kubelet = Path::new(KUBELET);
        steps.push(
            Step::new(Action::Unmount {
                paths: mounts::below(view.files, kubelet)?,
                flags: spec.unmount_flags.clone(),
            })
            .saying(format!("[reset] Unmounting mounted directories in {KUBELET:?}"))
            .would(format!("[dryrun] Would unmount mounted directories in {KUBELET:?}")),
        );
        let mut folders = vec![PathBuf::from(MANIFESTS), kubelet.to_owned(), pki.clone()];
        if spec.config.cleanup_tmp_dir {
            folders.push(Path::new(KUBERNETES).join("tmp"));
        }
        let list =
            |paths: &[PathBuf]| paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
        steps.push(
            Step::say(format!("[reset] Deleting contents of directories: [{}]", list(&folders)))
                .would(format!("[dryrun] Would delete contents of directories: [{}]", list(&folders))),
        );
        if pki != Path::new(CERTIFICATES_DIR) {
            let text = format!(
                "[reset] WARNING: Cleaning a non-default certificates directory: {:?}",
                pki.display().to_string()
            );
            steps.push(Step::warn(text).silent_when_dry());
        }
        for folder in folders {
            let shown = folder.display().to_string();
            let words = format!("[reset] Failed to delete contents of {shown:?} directory");
            steps.push(Step::new(Action::EmptyDir(folder)).or_warn(words));
        }
        let files: Vec<PathBuf> = KUBECONFIGS.iter().map(|name| Path::new(KUBERNETES).join(name)).collect();
        steps.push(
            Step::say(format!("[reset] Deleting files: [{}]", list(&files)))
                .would(format!("[dryrun] Would delete files: [{}]", list(&files))),
        );
        for file in files {
            let words = format!("[reset] Failed to remove {:?}", file.display().to_string());
            steps.push(Step::new(Action::RemoveFile(file)).or_warn(words));
        }
        Ok(steps)
    })
}
