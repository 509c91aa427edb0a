//! What `init` makes of a release for a cluster that leaves everything to its defaults, as texts: to see how two releases
//! differ. Nothing is asked and nothing is changed.

use kubeadm_config::commands::init_defaults;
use kubeadm_config::load::Loaded;
use kubeadm_release::{Release, Version};

use crate::manifests::{self, Component, HostFacts};
use crate::objects::config_maps::{kubeadm_config, kubelet_config};
use crate::phases::{PhaseError, addon};
use crate::ports::{Access, Files};
use crate::spec::{ADMIN_CONF, Ignored, InitSpec, NodeSettings, manifest};

/// The name of the only node.
const NODE: &str = "node";

/// Files by path and objects by kind and name, each as its text. `files` is where patches would come from; there are none.
///
/// # Errors
/// Add-ons that cannot be rendered.
pub fn rendered(version: &Version, files: &dyn Files) -> Result<Vec<(String, String)>, PhaseError> {
    let release = Release::of(version).map_err(kubeadm_config::error::ConfigError::from);
    let release = release.map_err(crate::upgrade::UpgradeError::from)?;
    let spec = spec(version, release);
    let mut rendered = Vec::new();
    for component in
        [Component::Etcd, Component::ApiServer, Component::ControllerManager, Component::Scheduler]
    {
        let pod = manifests::pod(&spec, &HostFacts::default(), component);
        rendered.push((manifest(component.name()).display().to_string(), manifests::to_yaml(&pod)));
    }
    for map in [kubeadm_config(&spec, None), kubelet_config(&spec, &spec.kubelet.value)] {
        let name = map["metadata"]["name"].as_str().unwrap_or_default();
        // The name may have the minor in it.
        let key = name.trim_end_matches(&format!("-{}", version.major_minor()));
        rendered.push((format!("ConfigMap kube-system/{key}"), kubeadm_yaml::to_string(&map)));
    }
    rendered.push(("the add-on CoreDNS".into(), addon::print_coredns(&spec, files)?));
    rendered.push(("the add-on kube-proxy".into(), addon::print_kube_proxy(&spec, files)?));
    Ok(rendered)
}

fn spec(version: &Version, release: Release) -> InitSpec {
    let mut config = init_defaults(&release, NODE);
    config.cluster.kubernetes_version = version.to_string();
    let loaded = Loaded { config, version: version.clone(), release, components: Vec::new() };
    let settings = NodeSettings {
        access: Access::new(ADMIN_CONF),
        joins: false,
        landing: None,
        ignored: Ignored::default(),
        patches: None,
        proxy_env: Vec::new(),
        kubeadm_version: version.clone(),
    };
    InitSpec::of_cluster(loaded, settings, &mut Vec::new())
}
