//! `cleanup-node`: kubelet, pods, mounts and files of this node. cmd/kubeadm/app/cmd/phases/reset/cleanupnode.go, 1.37.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_config::defaults::CERTIFICATES_DIR;

use super::stop_kubelet;
use crate::mounts;
use crate::phases::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::{View, is_dockershim};
use crate::reset::ResetSpec;
use crate::spec::{KUBELET, KUBERNETES, MANIFESTS};
use crate::static_pods;

/// The kubeconfig files that kubeadm writes.
const KUBECONFIGS: [&str; 6] = [
    "admin.conf",
    "super-admin.conf",
    "kubelet.conf",
    "bootstrap-kubelet.conf",
    "controller-manager.conf",
    "scheduler.conf",
];

/// What the kubelet keeps of its sandboxes with Docker: a later one would look for them. cmd/kubeadm/app/cmd/reset.go, 1.13.
const DOCKERSHIM_STATE: &str = "/var/lib/dockershim";

/// Plans the phase. The cluster, if it can be asked, tells where its certificates lie; else the node's manifests do.
pub fn plan<'a>(spec: &'a ResetSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = Vec::new();
        let cluster = spec.cluster(view).await;
        let known = cluster.and_then(|c| c.as_ref().ok());
        let told = known.map(|c| PathBuf::from(&c.certificates_dir));
        let told = told.or_else(|| static_pods::certificates_dir(view.files));
        if let (None, None, Some(Err(reason))) = (&spec.certificates_dir, &told, cluster) {
            steps.push(Step::warn(format!(
                "[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: {reason}. Certificates are looked \
                 for in {CERTIFICATES_DIR}; if they lie elsewhere, name the folder with --cert-dir"
            )));
        }
        let pki = spec.certificates_dir.clone().or(told).unwrap_or_else(|| CERTIFICATES_DIR.into());
        let gate = known.is_some_and(|c| c.feature_gates.get("RootlessControlPlane") == Some(&true));
        let rootless = gate || static_pods::rootless(view.files);
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
        if is_dockershim(&spec.config.cri_socket) {
            folders.push(DOCKERSHIM_STATE.into());
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
        // The manifests go at the very end: until then they tell a second run what this node was.
        let manifests = folders.remove(0);
        steps.extend(folders.into_iter().map(empty));
        let files: Vec<PathBuf> = KUBECONFIGS.iter().map(|name| Path::new(KUBERNETES).join(name)).collect();
        steps.push(
            Step::say(format!("[reset] Deleting files: [{}]", list(&files)))
                .would(format!("[dryrun] Would delete files: [{}]", list(&files))),
        );
        for file in files {
            let words = format!("[reset] Failed to remove {:?}", file.display().to_string());
            steps.push(Step::new(Action::RemoveFile(file)).or_warn(words));
        }
        if rootless {
            steps.push(
                Step::new(Action::RemoveAccounts)
                    .would("[dryrun] Would remove users and groups created for rootless control-plane")
                    .or_warn("[reset] Failed to remove users and groups"),
            );
        }
        steps.push(empty(manifests));
        Ok(steps)
    })
}

fn empty(folder: PathBuf) -> Step {
    let words = format!("[reset] Failed to delete contents of {:?} directory", folder.display().to_string());
    Step::new(Action::EmptyDir(folder)).or_warn(words)
}
