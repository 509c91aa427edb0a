//! `kubeadm upgrade`: what its commands have in common.

mod apply;
mod diff;
mod network;
mod path;
mod plan;
mod stops;
mod through;

use std::path::Path;
use std::sync::OnceLock;

use kubeadm_config::error::Notice;
use kubeadm_config::load::{self, Options, Source};
use kubeadm_config::types::{ImagePullPolicy, UpgradeConfiguration};
use kubeadm_config::version;
use kubeadm_engine::kubelet;
use kubeadm_engine::ports::Access;
use kubeadm_engine::spec::{ADMIN_CONF, Ignored, KUBERNETES, MANIFESTS};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_release::Version;

pub(crate) use apply::{apply, apply_phase, node, node_phase};
pub(crate) use diff::diff;
pub(crate) use plan::plan;

use crate::error::CommandError;
use crate::parse::Call;
use crate::resolve;
use crate::session::Session;
use crate::values::Values;
use crate::wish;

/// The configuration of the file, or the defaults.
fn configuration(
    flags: &Values,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<UpgradeConfiguration, CommandError> {
    let path = flags.text("config");
    if path.is_empty() {
        return Ok(load::upgrade_defaults());
    }
    let text = session.read_config(&path)?;
    let options = Options::new(wish::own_version());
    Ok(load::load_upgrade(Source { text: &text, name: &path }, &options, notices)?.config)
}

/// The version that a text stands for. Labels are looked up.
fn version_of(text: &str, session: &Session, notices: &mut Vec<Notice>) -> Result<Version, CommandError> {
    let mut host = session;
    let mut fetch = |url: &str| kubeadm_config::detect::Detect::fetch(&mut host, url);
    let found = version::resolve(text, &wish::own_version(), &mut fetch, notices)?;
    if found.ci {
        return Err(CommandError::new(format!(
            "{text}: this build of kubeadm does not upgrade to continuous builds; name a released version"
        )));
    }
    Ok(found.version)
}

/// How the cluster is asked; a file that is not there is told before anything else.
fn access(flags: &Values, default: &str, session: &Session) -> Result<Access, CommandError> {
    let path = if flags.given("kubeconfig") { flags.text("kubeconfig") } else { default.into() };
    if !session.fx.files.exists(Path::new(&path)) {
        return Err(CommandError::new(format!(
            "couldn't create a Kubernetes client from file {path:?}: failed to load admin kubeconfig: open {path}: no such file or directory"
        )));
    }
    Ok(Access::new(path))
}

/// Whether this is a control-plane node. cmd/kubeadm/app/util/staticpod/utils.go: IsControlPlaneNode, 1.37.
fn is_control_plane(session: &Session) -> bool {
    session.fx.files.exists(&Path::new(MANIFESTS).join("kube-apiserver.yaml"))
}

/// The file with the credentials of this node.
fn own_kubeconfig(session: &Session) -> String {
    match is_control_plane(session) {
        true => ADMIN_CONF.into(),
        false => format!("{KUBERNETES}/kubelet.conf"),
    }
}

/// The name of this node: that of its kubelet's certificate, else the host's.
pub(crate) fn node_name(session: &Session) -> String {
    let files = &*session.fx.files;
    let certificate = kubelet::client_certificate(files);
    let named = certificate.map(|c| c.subject().common_name().to_owned());
    let known = named.and_then(|name| name.strip_prefix("system:node:").map(str::to_owned));
    known.unwrap_or_else(|| session.fx.system.hostname().to_lowercase())
}

/// A spec that only looks; commands that act say more.
fn spec(
    target: Option<Version>,
    config: &UpgradeConfiguration,
    access: Access,
    prefix: &'static str,
    session: &Session,
) -> UpgradeSpec {
    UpgradeSpec {
        target,
        prefix,
        policy: Policy::default(),
        interactive: false,
        renew_certificates: false,
        upgrade_etcd: true,
        pull_policy: ImagePullPolicy::Never,
        pull_serial: true,
        print_config: false,
        timeouts: config.timeouts.clone(),
        access,
        node_name: node_name(session),
        socket: String::new(),
        control_plane: is_control_plane(session),
        ignored: Ignored::default(),
        patches: None,
        landing: None,
        proxy_env: resolve::proxy_env(&session.fx),
        kubeadm_version: wish::own_version(),
        found: OnceLock::new(),
    }
}

/// The word after the command.
fn argument<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.args.first().map(String::as_str)
}
