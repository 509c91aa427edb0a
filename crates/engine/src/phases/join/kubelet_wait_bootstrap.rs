//! `kubelet-wait-bootstrap`: until the kubelet answers and has a certificate of its own.
//!
//! Needs nothing but this node, so that it runs alone on a worker too (Q1 of the original).
//! cmd/kubeadm/app/cmd/phases/join/kubelet.go, 1.37.

use std::path::Path;

use futures::future::BoxFuture;

use crate::join::JoinSpec;
use crate::phases::PhaseError;
use crate::phases::upload_config;
use crate::phases::wait_control_plane::kubelet_health;
use crate::plan::{Action, Step, WaitBootstrap, WaitKubelet};
use crate::ports::View;
use crate::preflight::own::BOOTSTRAP_CONF;
use crate::spec::KUBERNETES;
use crate::static_pods;

/// Plans the phase. The credentials of the bootstrap go only once the kubelet has better ones: until then it may still
/// need them.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let timeouts = &spec.join.timeouts;
        // A control plane's are there by now; a worker has none.
        let manifests = ["etcd", "kube-apiserver"].map(|component| spec.alone.layout.manifest(component));
        let manifests: Vec<_> = manifests.into_iter().filter(|path| view.files.exists(path)).collect();
        let wait = WaitBootstrap {
            kubelet: WaitKubelet {
                health: kubelet_health(&spec.alone, view)?,
                limit: timeouts.kubelet_health_check.to_std(),
            },
            node_name: spec.alone.node_name().to_owned(),
            api_server: manifests.last().and_then(|manifest| static_pods::health(view, manifest)),
            manifests,
            kubelet_conf: spec.kubelet_conf(),
            bootstrap_limit: timeouts.tls_bootstrap.to_std(),
        };
        let wait = Step::new(Action::WaitBootstrap(wait))
            .would("[kubelet-wait] Would wait for the kubelet to be bootstrapped");
        let remove = Step::new(Action::RemoveFile(Path::new(KUBERNETES).join(BOOTSTRAP_CONF)));
        Ok([wait, remove].into_iter().chain(upload_config::cri_socket(&spec.alone)).collect())
    })
}
