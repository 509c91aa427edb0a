//! From a file, or from flags, to a configuration that can be acted on: read, decoded, defaulted for its release and
//! validated.
//!
//! The release follows from the version the configuration asks for. Nothing here touches the host except through
//! [`Detect`].

use kubeadm_release::facts::config_api::Api;
use kubeadm_release::{Reference, Release, Version};

use crate::address;
use crate::api::{self, Kind};
use crate::components;
use crate::defaults;
use crate::detect::Detect;
use crate::documents::{ComponentDocument, Decoded, Documents, Reading};
use crate::error::{ConfigError, Notice, Placed};
use crate::features;
use crate::form;
use crate::types::{
    ClusterConfiguration, InitConfiguration, JoinConfiguration, ResetConfiguration, UpgradeConfiguration,
};
use crate::validate::{self, FieldErrors, Findings};
use crate::version;
use crate::write;

/// What a command wants of a configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// How files are taken.
    pub reading: Reading,
    /// kubeadm's own version, which limits what labels stand for.
    pub client: Version,
    /// Whether a version label may be looked up; without it, kubeadm's own version stands for every label. For
    /// commands that need no version (upstream asks the network even for those).
    pub look_up_version: bool,
    /// Whether the host is searched for a container runtime when none is configured.
    pub detect_runtime: bool,
    /// The container runtime that this node is known to use, where nobody names another; empty when it is not known.
    pub known_socket: String,
    /// `--node-name`, which may stand beside `--config`.
    pub node_name: Option<String>,
    /// `--feature-gates` as typed: which gates there are depends on the release.
    pub feature_gates: String,
    /// Whether `join` has to be told how to find its cluster; some of its phases need no cluster.
    pub needs_discovery: bool,
    /// The release whose facts count, where it is not that of the configured version (join, whose cluster decides).
    pub target: Option<Version>,
}

impl Options {
    /// What `init` wants.
    pub fn new(client: Version) -> Self {
        Options {
            reading: Reading::default(),
            client,
            look_up_version: true,
            detect_runtime: true,
            known_socket: String::new(),
            node_name: None,
            feature_gates: String::new(),
            needs_discovery: true,
            target: None,
        }
    }
}

/// A configuration with what was found on the way.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The configuration, complete.
    pub config: T,
    /// The version of the cluster.
    pub version: Version,
    /// Facts of its release.
    pub release: Release,
    /// Configurations of components, as written.
    pub components: Vec<ComponentDocument>,
}

/// An InitConfiguration with its cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitConfig {
    /// The node's part.
    pub init: InitConfiguration,
    /// The cluster's part.
    pub cluster: ClusterConfiguration,
}

/// A text and the name of its file, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The text.
    pub text: &'a str,
    /// The file.
    pub name: &'a str,
}

const INIT_KINDS: [Kind; 3] = [Kind::Cluster, Kind::Init, Kind::Master];
const JOIN_KINDS: [Kind; 2] = [Kind::Join, Kind::Node];

/// Loads the configuration of `init` from a file. Either of its kinds is enough.
pub fn load_init(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, ConfigError> {
    let documents = Documents::read(source.text, source.name, options.reading, notices)?;
    init_from_documents(&documents, options, host, notices)
}

/// Completes the configuration of `init` that flags gave.
pub fn init_from_flags(
    config: InitConfig,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, ConfigError> {
    complete_init(config, None, None, options, host, notices)
}

/// Loads the configuration of `init` from documents already read.
pub fn init_from_documents(
    documents: &Documents,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, ConfigError> {
    documents.say_ignored(&INIT_KINDS, notices);
    let (mut config, api) = decode_init(documents)?;
    if api < Api::V1Beta4
        && let Some(timeout) = config.cluster.api_server.timeout_for_control_plane
    {
        config.init.timeouts.control_plane_component_health_check = timeout;
    }
    let mut loaded = complete_init(config, Some(documents), Some(api), options, host, notices)?;
    loaded.components = documents.components()?;
    components::check(&loaded.components, &loaded.release, options.reading, notices)?;
    Ok(loaded)
}

/// Reads the configuration of `init` as it is written: nothing is filled in, looked up or held against a release. For
/// what must work for a cluster of any minor, and needs to know what was said and what was not.
pub fn init_as_written(
    source: Source<'_>,
    reading: Reading,
    notices: &mut Vec<Notice>,
) -> Result<InitConfig, ConfigError> {
    let documents = Documents::read(source.text, source.name, reading, notices)?;
    documents.say_ignored(&INIT_KINDS, notices);
    Ok(decode_init(&documents)?.0)
}

/// The configuration of `init` and the API it is written in.
fn decode_init(documents: &Documents) -> Result<(InitConfig, Api), ConfigError> {
    if !documents.has(&INIT_KINDS) {
        return Err(ConfigError::Missing {
            wanted: "InitConfiguration or ClusterConfiguration kind was",
            where_: "configuration file",
        });
    }
    if let Some(Decoded { value, api }) = documents.master()? {
        return Ok((InitConfig { init: value.init, cluster: value.cluster }, api));
    }
    let cluster = documents.decode(Kind::Cluster, api::cluster)?;
    let init = documents.decode(Kind::Init, api::init)?;
    let api = cluster.as_ref().map(|d| d.api).or(init.as_ref().map(|d| d.api)).unwrap_or(Api::V1Beta4);
    let init = init.map(|d| d.value).unwrap_or_default();
    Ok((InitConfig { init, cluster: cluster.map(|d| d.value).unwrap_or_default() }, api))
}

fn complete_init(
    mut config: InitConfig,
    documents: Option<&Documents>,
    api: Option<Api>,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, ConfigError> {
    let InitConfig { init, cluster } = &mut config;
    defaults::init(init);
    defaults::random_tokens(&mut init.bootstrap_tokens, host)?;
    let name = options.node_name.as_deref().unwrap_or(&init.node_registration.name);
    init.node_registration.name = defaults::node_name(name, host)?;
    let endpoint = &mut init.local_api_endpoint;
    endpoint.advertise_address =
        address::choose_advertise_address(&endpoint.advertise_address, host, notices)?.to_string();

    let (version, ci) = resolve_version(&cluster.kubernetes_version, options, host, notices)?;
    let release = Release::of(options.target.as_ref().unwrap_or(&version))?;
    warn_of_old_versions(documents, &release, notices);
    cluster.feature_gates.extend(features::parse(&options.feature_gates, &release, notices)?);
    cluster.kubernetes_version = version.to_string();
    let timeout = init.timeouts.control_plane_component_health_check;
    cluster.api_server.timeout_for_control_plane.get_or_insert(timeout);
    defaults::cluster(cluster, &release);
    if ci && cluster.image_repository == release.images.default_repository {
        cluster.ci_image_repository = release.images.ci_repository.into();
    }
    if ci {
        cluster.ci_kubernetes_version = format!("ci/{version}");
    }
    settle(cluster, api, &release, &version, documents)?;

    let node = &mut init.node_registration;
    defaults::taints(node, &release);
    node.cri_socket =
        defaults::cri_socket(&node.cri_socket, options.detect_runtime, &release, host, notices)?;
    defaults::control_plane_endpoint(&mut cluster.control_plane_endpoint, init.local_api_endpoint.bind_port)?;
    defaults::lower_case_sans(&mut cluster.api_server.cert_sans, notices);
    conclude(validate::init(init, cluster, api, &release), &INIT_KINDS, documents, notices)?;
    for path in write::lost_when_stored(cluster, &release) {
        notices.push(Notice::warning(format!(
            "the configuration that a cluster of Kubernetes {version} keeps has no field for {path}: it is left out \
             wherever the configuration is written, and has to be given again"
        )));
    }
    Ok(Loaded { config, version, release, components: Vec::new() })
}

/// Says what each label stands for, or what stands for every label where nothing may be looked up.
fn resolve_version(
    text: &str,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<(Version, bool), ConfigError> {
    let text = if text.is_empty() { Release::newest().config_api.default_version_label } else { text };
    if !options.look_up_version && matches!(version::parse(text)?, Reference::Label { .. }) {
        return Ok((kubeadm_release::skew::cleaned(&options.client), false));
    }
    let resolved = version::resolve(text, &options.client, &mut |url| host.fetch(url), notices)?;
    Ok((resolved.version, resolved.ci))
}

fn settle(
    cluster: &mut ClusterConfiguration,
    api: Option<Api>,
    release: &Release,
    version: &Version,
    documents: Option<&Documents>,
) -> Result<(), ConfigError> {
    form::settle(cluster, api, release, version).map_err(|form::NoCounterpart { path, text }| {
        ConfigError::Conversion(Placed {
            place: documents.and_then(|documents| documents.place(&INIT_KINDS, path)),
            text,
        })
    })
}

/// Warns of documents in an older API than the release's own.
fn warn_of_old_versions(documents: Option<&Documents>, release: &Release, notices: &mut Vec<Notice>) {
    for (api, kind) in documents.into_iter().flat_map(Documents::versions) {
        if api < release.config_api.written {
            notices.push(Notice::warning(format!(
                "your configuration file uses a deprecated API spec: {:?} (kind: {:?}). Please use 'kubeadm config \
                 migrate --old-config old-config-file --new-config new-config-file', which will write the new, \
                 similar spec using a newer API version.",
                api.group_version(),
                kind.name()
            )));
        }
    }
}

/// Ends validation: notices are passed on, errors get their places.
fn conclude(
    findings: Findings,
    kinds: &[Kind],
    documents: Option<&Documents>,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    notices.extend(findings.notices);
    let mut errors = findings.errors;
    if errors.is_empty() {
        return Ok(());
    }
    for error in &mut errors {
        error.place = documents.and_then(|documents| documents.place(kinds, &error.path));
    }
    Err(ConfigError::Invalid(FieldErrors(errors)))
}

/// Loads the configuration of `join` from a file. `is_file` says whether a path exists.
pub fn load_join(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<JoinConfiguration>, ConfigError> {
    let documents = Documents::read(source.text, source.name, options.reading, notices)?;
    join_from_documents(&documents, options, host, is_file, notices)
}

/// Completes the configuration of `join` that flags gave.
pub fn join_from_flags(
    config: JoinConfiguration,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<JoinConfiguration>, ConfigError> {
    complete_join(config, None, None, options, host, is_file, notices)
}

/// Loads the configuration of `join` from documents already read.
pub fn join_from_documents(
    documents: &Documents,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<JoinConfiguration>, ConfigError> {
    documents.say_ignored(&JOIN_KINDS, notices);
    let join = documents.decode(Kind::Join, api::join)?;
    let Some(found) = join.or(documents.decode(Kind::Node, api::join)?) else {
        return Err(missing("JoinConfiguration"));
    };
    complete_join(found.value, Some(documents), Some(found.api), options, host, is_file, notices)
}

fn complete_join(
    mut config: JoinConfiguration,
    documents: Option<&Documents>,
    api: Option<Api>,
    options: &Options,
    host: &mut dyn Detect,
    is_file: &dyn Fn(&str) -> bool,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<JoinConfiguration>, ConfigError> {
    let (version, release) = own_release(options)?;
    warn_of_old_versions(documents, &release, notices);
    defaults::join(&mut config);
    let node = &mut config.node_registration;
    let name = options.node_name.as_deref().unwrap_or(&node.name);
    node.name = defaults::node_name(name, host)?;
    if node.cri_socket.is_empty() {
        node.cri_socket = known_socket(options);
    }
    node.cri_socket =
        defaults::cri_socket(&node.cri_socket, options.detect_runtime, &release, host, notices)?;
    if let Some(control_plane) = &mut config.control_plane {
        defaults::taints(node, &release);
        let endpoint = &mut control_plane.local_api_endpoint;
        endpoint.advertise_address =
            address::choose_advertise_address(&endpoint.advertise_address, host, notices)?.to_string();
    }
    conclude(
        validate::join(&config, api, &release, options.needs_discovery, is_file),
        &JOIN_KINDS,
        documents,
        notices,
    )?;
    Ok(Loaded { config, version, release, components: Vec::new() })
}

/// Loads the configuration of `reset` from documents.
pub fn reset_from_documents(
    documents: &Documents,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<ResetConfiguration>, ConfigError> {
    documents.say_ignored(&[Kind::Reset], notices);
    let Some(found) = documents.decode(Kind::Reset, api::reset)? else {
        return Err(missing("ResetConfiguration"));
    };
    complete_reset(found.value, Some(documents), options, host, notices)
}

/// Loads the configuration of `reset` from a file.
pub fn load_reset(
    source: Source<'_>,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<ResetConfiguration>, ConfigError> {
    let documents = Documents::read(source.text, source.name, options.reading, notices)?;
    reset_from_documents(&documents, options, host, notices)
}

/// Completes the configuration of `reset` that flags gave.
pub fn reset_from_flags(
    config: ResetConfiguration,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<ResetConfiguration>, ConfigError> {
    complete_reset(config, None, options, host, notices)
}

fn complete_reset(
    mut config: ResetConfiguration,
    documents: Option<&Documents>,
    options: &Options,
    host: &mut dyn Detect,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<ResetConfiguration>, ConfigError> {
    let (version, release) = own_release(options)?;
    defaults::reset(&mut config);
    if config.cri_socket.is_empty() {
        config.cri_socket = known_socket(options);
    }
    config.cri_socket =
        defaults::cri_socket(&config.cri_socket, options.detect_runtime, &release, host, notices)?;
    conclude(validate::reset(&config, &release), &[Kind::Reset], documents, notices)?;
    Ok(Loaded { config, version, release, components: Vec::new() })
}

/// Loads the configuration of `upgrade` from documents.
pub fn upgrade_from_documents(
    documents: &Documents,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<UpgradeConfiguration>, ConfigError> {
    documents.say_ignored(&[Kind::Upgrade], notices);
    let Some(mut found) = documents.decode(Kind::Upgrade, api::upgrade)? else {
        return Err(missing("UpgradeConfiguration"));
    };
    let (version, release) = own_release(options)?;
    defaults::upgrade(&mut found.value);
    conclude(validate::upgrade(&found.value), &[Kind::Upgrade], Some(documents), notices)?;
    Ok(Loaded { config: found.value, version, release, components: Vec::new() })
}

/// Loads the configuration of `upgrade` from a file.
pub fn load_upgrade(
    source: Source<'_>,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<UpgradeConfiguration>, ConfigError> {
    let documents = Documents::read(source.text, source.name, options.reading, notices)?;
    upgrade_from_documents(&documents, options, notices)
}

/// The configuration of `upgrade` where there is no file.
pub fn upgrade_defaults() -> UpgradeConfiguration {
    let mut config = UpgradeConfiguration::default();
    defaults::upgrade(&mut config);
    config
}

/// The socket that the node tells. Kubelets of old are told paths; nobody is to be warned of what he did not say.
fn known_socket(options: &Options) -> String {
    let path = options.known_socket.starts_with('/');
    format!("{}{}", if path { "unix://" } else { "" }, options.known_socket)
}

/// The release of commands whose configuration names no version.
fn own_release(options: &Options) -> Result<(Version, Release), ConfigError> {
    let version = options.target.clone().unwrap_or_else(|| options.client.clone());
    let release = Release::of(&version)?;
    Ok((version, release))
}

fn missing(wanted: &'static str) -> ConfigError {
    ConfigError::Missing { wanted, where_: "supplied config" }
}
