//! The content of `kubeadm config validate`, `config migrate` and `config print`.
//!
//! Nothing is printed here: texts are returned.

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::Api;
use serde_json::Value;

use crate::api::Kind;
use crate::components;
use crate::defaults;
use crate::detect::Detect;
use crate::documents::Documents;
use crate::error::{ConfigError, Notice};
use crate::load::{self, InitConfig, Loaded, Options, Source};
use crate::token::BootstrapTokenString;
use crate::types::{
    ApiEndpoint, BootstrapToken, BootstrapTokenDiscovery, Discovery, JoinConfiguration, JoinControlPlane,
    NodeRegistration, ResetConfiguration, SecretText,
};
use crate::write::{self, Components};

/// Families of kinds that are loaded together, in the order of the commands.
const INIT: [Kind; 3] = [Kind::Init, Kind::Cluster, Kind::Master];
const JOIN: [Kind; 2] = [Kind::Join, Kind::Node];

/// Checks everything in a file; the first family with a problem ends it. Call with strict [`Options::reading`].
pub fn validate(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    rewrite(source, options, host, is_file, notices).map(drop)
}

/// The file in the newest API of its release. Call with strict [`Options::reading`].
pub fn migrate(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<String, ConfigError> {
    let (objects, documents) = rewrite(source, options, host, is_file, notices)?;
    let written = |kind: &str| objects.iter().any(|object| object["kind"] == kind);
    for component in documents.components()? {
        let kind = component.value.get("kind").and_then(Value::as_str).unwrap_or_default();
        if written(kind) || written(Kind::Master.name()) {
            continue;
        }
        notices.push(Notice::warning(format!(
            "[config] WARNING: {kind} is not part of the new file: it is not kubeadm's own API. Copy the document as \
             it is"
        )));
    }
    Ok(write::to_text(&objects))
}

/// Loads every family that a file has and writes it as the release does.
fn rewrite(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<(Vec<Value>, Documents), ConfigError> {
    let documents = Documents::read(source.text, source.name, options.reading, notices)?;
    let mut options = options.clone();
    let mut objects = Vec::new();
    if documents.has(&INIT) {
        let loaded = load::init_from_documents(&documents, &options, host, notices)?;
        let api = loaded.release.config_api.written;
        let find = |kind: &str| {
            let mut components = loaded.components.iter().map(|component| &component.value);
            components.find(|value| value.get("kind").and_then(Value::as_str) == Some(kind))
        };
        let components =
            Components { kubelet: find("KubeletConfiguration"), kube_proxy: find("KubeProxyConfiguration") };
        objects.extend(write::init_and_cluster(&loaded.config, api, components));
        if loaded.release.config_api.migrates_components && !matches!(api, Api::V1Alpha1 | Api::V1Alpha2) {
            objects.extend(unusual_components(&loaded, notices));
        }
        // What stands in one file is meant for one cluster.
        options.target.get_or_insert(loaded.version);
    }
    if documents.has(&JOIN) {
        let loaded = load::join_from_documents(&documents, &options, host, is_file, notices)?;
        objects.push(write::join(&loaded.config, loaded.release.config_api.written));
    }
    // These two kinds began with v1beta4; no release has them in an older form.
    if documents.has(&[Kind::Reset]) {
        let loaded = load::reset_from_documents(&documents, &options, host, notices)?;
        objects.push(write::reset(&loaded.config, Api::V1Beta4));
    }
    if documents.has(&[Kind::Upgrade]) {
        let loaded = load::upgrade_from_documents(&documents, &options, notices)?;
        objects.push(write::upgrade(&loaded.config, Api::V1Beta4));
    }
    Ok((objects, documents))
}

/// The component configurations that are not as they would be by default, the proxy's first.
/// cmd/kubeadm/app/util/config/cluster.go MarshalClusterConfigurationToBytes, 1.13.
fn unusual_components(loaded: &Loaded<InitConfig>, notices: &mut Vec<Notice>) -> Vec<Value> {
    let complete = components::complete(loaded, notices);
    let usual = component_defaults(&[ComponentKind::KubeProxy, ComponentKind::Kubelet], &loaded.release);
    let ours = [complete.kube_proxy.value, complete.kubelet.value];
    ours.into_iter().zip(usual).filter(|(ours, usual)| ours != usual).map(|(ours, _)| ours).collect()
}

/// The InitConfiguration and ClusterConfiguration of `config print init-defaults`, to be marshalled, or to default
/// component configurations from.
pub fn init_defaults(release: &Release, hostname: &str) -> InitConfig {
    let mut config = InitConfig::default();
    config.init.bootstrap_tokens =
        vec![BootstrapToken { token: placeholder_token(), ..BootstrapToken::default() }];
    config.init.local_api_endpoint.advertise_address = "1.2.3.4".into();
    let placeholders = release.config_api.prints_placeholders;
    config.init.node_registration = node(if placeholders { "node" } else { hostname }, release);
    if !placeholders {
        defaults::taints(&mut config.init.node_registration, release);
    }
    config.cluster.kubernetes_version =
        format!("{}1.{}.0", if placeholders { "" } else { "v" }, release.minor);
    defaults::init(&mut config.init);
    defaults::cluster(&mut config.cluster, release);
    config
}

/// The defaulted objects that `--component-configs` asks for, in its order.
pub fn component_defaults(kinds: &[ComponentKind], release: &Release) -> Vec<Value> {
    let config = init_defaults(release, "");
    let completed = components::complete_for(&config, &[], release, &mut Vec::new());
    let value = |kind: &ComponentKind| match kind {
        ComponentKind::Kubelet => completed.kubelet.value.clone(),
        ComponentKind::KubeProxy => completed.kube_proxy.value.clone(),
    };
    kinds.iter().map(value).collect()
}

/// The text of `config print init-defaults`; `components` are the objects asked for by `--component-configs`.
pub fn print_init_defaults(release: &Release, hostname: &str, components: &[Value]) -> String {
    let config = init_defaults(release, hostname);
    let mut objects = write::init_and_cluster(&config, release.config_api.written, Components::default());
    objects.extend_from_slice(components);
    write::to_text(&objects)
}

/// The text of `config print join-defaults`.
pub fn print_join_defaults(release: &Release, hostname: &str) -> String {
    write::to_text(&[join_defaults(release, hostname, "")])
}

fn join_defaults(release: &Release, hostname: &str, address: &str) -> Value {
    let token = SecretText(placeholder_token().to_string());
    let mut config = JoinConfiguration {
        node_registration: node(hostname, release),
        discovery: Discovery {
            bootstrap_token: Some(BootstrapTokenDiscovery {
                token,
                api_server_endpoint: "kube-apiserver:6443".into(),
                unsafe_skip_ca_verification: true,
                ..BootstrapTokenDiscovery::default()
            }),
            ..Discovery::default()
        },
        ..JoinConfiguration::default()
    };
    defaults::join(&mut config);
    // Fields of the alpha versions, which say even of a worker where its API server would be.
    config.cluster_name = "kubernetes".into();
    if release.config_api.written == Api::V1Alpha3 {
        let local_api_endpoint =
            ApiEndpoint { advertise_address: address.into(), bind_port: defaults::BIND_PORT.into() };
        config.control_plane = Some(JoinControlPlane { local_api_endpoint, ..JoinControlPlane::default() });
    }
    let mut object = write::join(&config, release.config_api.written);
    if let Some(object) = object.as_object_mut() {
        object.remove("controlPlane");
    }
    object
}

/// The kinds of `config print-default`, in the order of all; those of a group are names of the same object.
const PRINTED: [&[&str]; 5] = [
    &["InitConfiguration", "MasterConfiguration"],
    &["ClusterConfiguration"],
    &["JoinConfiguration", "NodeConfiguration"],
    &["KubeProxyConfiguration"],
    &["KubeletConfiguration"],
];

/// The text of `config print-default`: the objects of these kinds, or of all, for a host with a name and an address.
/// cmd/kubeadm/app/cmd/config.go, 1.12.
///
/// # Errors
/// A kind that is none.
pub fn print_default(
    kinds: &[String],
    release: &Release,
    hostname: &str,
    address: &str,
) -> Result<String, ConfigError> {
    let all: Vec<String> = PRINTED.iter().map(|names| names[0].to_owned()).collect();
    let mut objects: Vec<Value> = Vec::new();
    for kind in if kinds.is_empty() { &all } else { kinds } {
        let known = PRINTED.iter().find(|names| names.contains(&kind.as_str()));
        let config = init_defaults(release, hostname);
        let written = write::init_and_cluster(&config, release.config_api.written, Components::default());
        objects.extend(match known.map(|names| names[0]) {
            // v1alpha2 has one object for both.
            Some("ClusterConfiguration") if kinds.is_empty() && written.len() == 1 => None,
            Some("InitConfiguration") => written.into_iter().next(),
            Some("ClusterConfiguration") => written.into_iter().next_back(),
            Some("JoinConfiguration") => Some(join_defaults(release, hostname, address)),
            Some("KubeProxyConfiguration") => component_defaults(&[ComponentKind::KubeProxy], release).pop(),
            Some(_) => component_defaults(&[ComponentKind::Kubelet], release).pop(),
            None => return Err(ConfigError::PrintedKind(kind.clone())),
        });
    }
    Ok(write::to_text(&objects))
}

/// The text of `config print reset-defaults`.
pub fn print_reset_defaults(release: &Release) -> String {
    let mut config = ResetConfiguration {
        cri_socket: release.kubelet.sockets.default.into(),
        ..ResetConfiguration::default()
    };
    defaults::reset(&mut config);
    write::to_text(&[write::reset(&config, Api::V1Beta4)])
}

/// The text of `config print upgrade-defaults`.
pub fn print_upgrade_defaults() -> String {
    write::to_text(&[write::upgrade(&load::upgrade_defaults(), Api::V1Beta4)])
}

/// The placeholder of printed defaults, which is no secret (`constants.PlaceholderToken` of `config print`).
fn placeholder_token() -> BootstrapTokenString {
    BootstrapTokenString { id: "abcdef".into(), secret: "0123456789abcdef".into() }
}

fn node(name: &str, release: &Release) -> NodeRegistration {
    NodeRegistration {
        name: name.into(),
        cri_socket: release.kubelet.sockets.default.into(),
        ..NodeRegistration::default()
    }
}

/// A component with a configuration of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentKind {
    /// `KubeletConfiguration`.
    Kubelet,
    /// `KubeProxyConfiguration`.
    KubeProxy,
}

/// The kinds that `--component-configs` names, in its order.
pub fn component_kinds(names: &[String]) -> Result<Vec<ComponentKind>, ConfigError> {
    let kind = |name: &String| match name.as_str() {
        "KubeletConfiguration" => Ok(ComponentKind::Kubelet),
        "KubeProxyConfiguration" => Ok(ComponentKind::KubeProxy),
        _ => Err(ConfigError::ComponentName),
    };
    names.iter().map(kind).collect()
}
