//! The image of a static pod.

use super::Component;
use crate::spec::InitSpec;

/// The full name of a component's image.
pub(super) fn image(spec: &InitSpec, component: Component) -> String {
    match component {
        Component::Etcd => etcd(spec),
        Component::ApiServer | Component::ControllerManager | Component::Scheduler => {
            kubernetes(spec, component.name())
        }
    }
}

/// An image built with Kubernetes itself. One hyperkube image may stand in for all of them.
fn kubernetes(spec: &InitSpec, name: &str) -> String {
    let (cluster, images) = (&spec.cluster, &spec.release.images);
    if images.hyperkube && !cluster.unified_control_plane_image.is_empty() {
        return cluster.unified_control_plane_image.clone();
    }
    let repository = non_empty(&cluster.ci_image_repository).unwrap_or(&cluster.image_repository);
    let name = if images.hyperkube && cluster.use_hyperkube_image {
        "hyperkube".to_owned()
    } else {
        images.name(name, architecture())
    };
    format!("{repository}/{name}:{}", spec.version.image_tag())
}

fn etcd(spec: &InitSpec) -> String {
    let (cluster, images) = (&spec.cluster, &spec.release.images);
    let local = cluster.etcd.local.as_ref();
    let given =
        |field: fn(&kubeadm_config::types::LocalEtcd) -> &String| local.map(field).and_then(non_empty_owned);
    if let Some(image) = given(|etcd| &etcd.image) {
        return image.clone();
    }
    let repository = given(|etcd| &etcd.image_repository).unwrap_or(&cluster.image_repository);
    let tag = given(|etcd| &etcd.image_tag).map_or(images.etcd, String::as_str);
    format!("{repository}/{}:{tag}", images.name("etcd", architecture()))
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn non_empty_owned(text: &String) -> Option<&String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Go's name of the architecture this binary was built for, as old image names carry it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
