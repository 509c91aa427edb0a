//! The component configurations that belong to a loaded configuration: checked, and completed from the cluster's.
//!
//! What the fields mean is the business of [`crate::component`].

use std::collections::BTreeMap;

use kubeadm_release::Release;
use kubeadm_release::facts::component_config;
use serde_json::Value;

use crate::component::{
    self, FieldProblemKind, FieldWarning, KubeletInputs, ProxyInputs, default_kube_proxy, default_kubelet,
};
use crate::documents::{ComponentDocument, KUBE_PROXY_API, KUBELET_API, Reading};
use crate::error::{ConfigError, GroupVersionKind, Notice, Place, Placed, Problems, StrictProblem};
use crate::load::{InitConfig, Loaded};

/// A component's complete configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentConfig {
    /// The object.
    pub value: Value,
    /// Whether any of it came from the user; such an object carries no checksum.
    pub user_supplied: bool,
}

/// The complete configurations of both components.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentConfigs {
    /// KubeletConfiguration, as stored for all kubelets.
    pub kubelet: ComponentConfig,
    /// KubeProxyConfiguration.
    pub kube_proxy: ComponentConfig,
}

/// Completes the component configurations of a loaded configuration.
pub fn complete(loaded: &Loaded<InitConfig>, notices: &mut Vec<Notice>) -> ComponentConfigs {
    complete_for(&loaded.config, &loaded.components, &loaded.release, notices)
}

/// The same from parts.
pub(crate) fn complete_for(
    config: &InitConfig,
    documents: &[ComponentDocument],
    release: &Release,
    notices: &mut Vec<Notice>,
) -> ComponentConfigs {
    let user = |group_version| documents.iter().find(|document| document.group_version == group_version);
    let (users_kubelet, users_proxy) = (user(KUBELET_API), user(KUBE_PROXY_API));
    let value = |document: Option<&ComponentDocument>| document.map(|document| document.value.clone());
    let cluster = &config.cluster;
    let inputs = ProxyInputs {
        advertise_address: &config.init.local_api_endpoint.advertise_address,
        pod_subnet: &cluster.networking.pod_subnet,
    };
    let (mut kube_proxy, proxy_warnings) = default_kube_proxy(value(users_proxy), &inputs, release);
    let inputs = KubeletInputs {
        service_subnet: &cluster.networking.service_subnet,
        dns_domain: &cluster.networking.dns_domain,
        certificates_dir: &cluster.certificates_dir,
    };
    let (mut kubelet, kubelet_warnings) = default_kubelet(value(users_kubelet), &inputs, release);
    hand_on(&component_config::kube_proxy(release).gates, &cluster.feature_gates, &mut kube_proxy);
    hand_on(&component_config::kubelet(release).gates, &cluster.feature_gates, &mut kubelet);
    for (document, warnings) in [(users_proxy, proxy_warnings), (users_kubelet, kubelet_warnings)] {
        notices.extend(warnings.into_iter().map(|FieldWarning { path, text }| {
            let place = document.and_then(|document| place(document, path));
            Notice::warning(Placed { text, place }.to_string())
        }));
    }
    let supplied = |document: Option<&ComponentDocument>| document.is_some_and(|d| !d.generated);
    ComponentConfigs {
        kubelet: ComponentConfig { value: kubelet, user_supplied: supplied(users_kubelet) },
        kube_proxy: ComponentConfig { value: kube_proxy, user_supplied: supplied(users_proxy) },
    }
}

/// Sets kubeadm's own gates in a component's configuration, where the cluster's sets them.
pub(crate) fn hand_on(gates: &[&str], set: &BTreeMap<String, bool>, document: &mut Value) {
    for gate in gates {
        if let Some(on) = set.get(*gate) {
            kubeadm_yaml::set(document, &format!("featureGates.{gate}"), *on);
        }
    }
}

/// Refuses values that a component's type does not allow; fields it does not know are warned of, or refused where
/// reading is strict.
pub(crate) fn check(
    documents: &[ComponentDocument],
    release: &Release,
    how: Reading,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    for document in documents {
        let table = match document.group_version {
            KUBELET_API => component_config::kubelet(release),
            _ => component_config::kube_proxy(release),
        };
        let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
        for problem in component::problems(&document.value, &table) {
            let text = match &problem.kind {
                FieldProblemKind::Unknown(_) => problem.kind.to_string(),
                FieldProblemKind::Form { .. } => format!("{}.{}: {}", table.kind, problem.path, problem.kind),
            };
            let placed = Placed { text, place: place(document, &problem.path) };
            match problem.kind {
                FieldProblemKind::Unknown(_) => unknown.push(placed),
                FieldProblemKind::Form { .. } => wrong.push(placed),
            }
        }
        if !wrong.is_empty() {
            return Err(ConfigError::Types(Problems(wrong)));
        }
        if unknown.is_empty() {
            continue;
        }
        let problem = StrictProblem::Fields { gvk: identify(document, table.kind), problems: unknown };
        if how.strict {
            return Err(ConfigError::Strict(problem));
        }
        notices.push(Notice::warning(problem.to_string()));
    }
    Ok(())
}

fn place(document: &ComponentDocument, path: &str) -> Option<Place> {
    let position = document.positions.get(path)?;
    let source = document.source_name.clone();
    Some(Place { source, line: position.line, column: position.column })
}

fn identify(document: &ComponentDocument, kind: &str) -> GroupVersionKind {
    let (group, version) = document.group_version.split_once('/').unwrap_or_default();
    GroupVersionKind { group: group.into(), version: version.into(), kind: kind.into() }
}
