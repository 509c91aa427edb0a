//! `upload-config`: the configuration of the cluster and of its kubelets, for nodes that join and for upgrades.
//! cmd/kubeadm/app/phases/uploadconfig and app/phases/kubelet/config.go, 1.37.

use futures::future::BoxFuture;
use kubeadm_release::facts::control_plane::DYNAMIC_KUBELET_CONFIG;
use kubeadm_release::facts::objects::StoredConfig;

use super::kubelet_start::of_runtime;
use super::{PhaseError, dynamic_kubelet};
use crate::objects::{KUBE_SYSTEM, apply, config_maps, create_or_update, rbac};
use crate::plan::{Action, Apply, NodeMarks, Step};
use crate::ports::View;
use crate::resource::CONFIG_MAPS;
use crate::spec::InitSpec;

/// Where the runtime's socket was noted before nodes kept it for themselves. app/constants: AnnotationKubeadmCRISocket.
pub(crate) const CRI_SOCKET: &str = "kubeadm.alpha.kubernetes.io/cri-socket";

/// Plans `upload-config kubeadm`.
pub fn plan_kubeadm<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let name = config_maps::KUBEADM_CONFIG;
        let existing = match spec.release.objects.stored_config {
            StoredConfig::ClusterConfigurationAndStatus => {
                view.api.get(CONFIG_MAPS, KUBE_SYSTEM, name).await.map_err(|source| PhaseError::Api {
                    verb: "get",
                    object: format!("ConfigMap {KUBE_SYSTEM}/{name}"),
                    source,
                })?
            }
            StoredConfig::MasterConfiguration | StoredConfig::ClusterConfiguration => None,
        };
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        let map = config_maps::kubeadm_config(spec, existing.as_ref());
        steps.push(apply(Apply::CreateOrMerge, CONFIG_MAPS, map).saying(format!(
            "[upload-config] Storing the configuration used in ConfigMap {name:?} in the {KUBE_SYSTEM:?} Namespace"
        )));
        if spec.release.objects.stored_config.readable_by_nodes() {
            let readers = vec![rbac::joining_nodes(), rbac::group(rbac::NODES_GROUP)];
            let role = "kubeadm:nodes-kubeadm-config";
            steps.extend(rbac::let_read(role, KUBE_SYSTEM, CONFIG_MAPS, name, readers));
        }
        Ok(steps)
    })
}

/// Plans `upload-config kubelet`.
pub fn plan_kubelet<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let name = spec.kubelet_config_map();
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        // What there is to say of it was said when the kubelet got it.
        let config = of_runtime(spec, view, &mut Vec::new()).await;
        steps.push(create_or_update(CONFIG_MAPS, config_maps::kubelet_config(spec, &config)).saying(format!(
            "[kubelet] Creating a ConfigMap {name:?} in namespace {KUBE_SYSTEM} with the configuration for the kubelets in the cluster"
        )));
        let readers = vec![rbac::group(rbac::NODES_GROUP), rbac::joining_nodes()];
        steps.extend(rbac::let_read(&format!("kubeadm:{name}"), KUBE_SYSTEM, CONFIG_MAPS, &name, readers));
        steps.extend(cri_socket(spec));
        if spec.gate(DYNAMIC_KUBELET_CONFIG) {
            steps.extend(dynamic_kubelet::follow(spec.node_name(), &name));
        }
        Ok(steps)
    })
}

/// The annotation that tells of a node's container runtime, where no file does.
pub(super) fn cri_socket(spec: &InitSpec) -> Option<Step> {
    (!spec.instance_config()).then(|| {
        Step::new(Action::MarkNode(NodeMarks {
            name: spec.node_name().to_owned(),
            annotations: vec![(CRI_SOCKET.to_owned(), spec.init.node_registration.cri_socket.clone())],
            ..NodeMarks::default()
        }))
    })
}
