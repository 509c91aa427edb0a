//! `kubeadm reset` and `kubeadm reset phase …`.

use std::sync::OnceLock;

use kubeadm_config::defaults::CERTIFICATES_DIR;
use kubeadm_config::error::Notice;
use kubeadm_config::load::{self, Source};
use kubeadm_config::types::ResetConfiguration;
use kubeadm_engine::kubelet::runtime_socket;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::reset::RESET;
use kubeadm_engine::ports::{Access, UnmountFlag};
use kubeadm_engine::reset::ResetSpec;
use kubeadm_engine::spec::{ADMIN_CONF, KUBERNETES, Layout};

use super::run_phases;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::resolve::{self, Needs};
use crate::session::Session;

/// cmd/kubeadm/app/cmd/reset.go: manualCleanupInstructions, 1.37.
const DONE: &str = "
The reset process does not perform cleanup of CNI plugin configuration,
network filtering rules and kubeconfig files.

For information on how to perform this cleanup manually, please see:
    https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/
";

/// All phases but those left out.
pub(crate) fn run(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let (spec, skip) = resolve(call, &session)?;
    execute(&spec, &Selection::Skip(skip), &session)?;
    output::line(DONE);
    Ok(())
}

/// One phase.
pub(crate) fn run_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let (spec, skip) = resolve(call, &session)?;
    execute(&spec, &Selection::Only { path: path.to_owned(), skip }, &session)
}

fn execute(spec: &ResetSpec, selection: &Selection, session: &Session) -> Result<(), CommandError> {
    // A reset writes nothing, so the folder of a dry run is not needed.
    let layout = Layout { pki: CERTIFICATES_DIR.into(), kubeconfigs: KUBERNETES.into(), landing: None };
    run_phases(RESET, selection, spec, &spec.context(), &layout, session)
}

/// Flags and file to a spec, and the phases that are left out. Warnings are said even if it fails.
fn resolve(call: &Call<'_>, session: &Session) -> Result<(ResetSpec, Vec<String>), CommandError> {
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let mut notices = Vec::new();
    let spec = complete(call, session, &mut notices);
    session.tell(&notices);
    spec
}

fn complete(
    call: &Call<'_>,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<(ResetSpec, Vec<String>), CommandError> {
    let flags = &call.flags;
    let mut options = resolve::options(Needs { version: false, runtime: true });
    // What the kubelet is told, so that nobody has to choose among several that answer.
    options.known_socket = runtime_socket(&*session.fx.files).unwrap_or_default();
    let mut host = session;
    let path = flags.text("config");
    let mut config = if path.is_empty() {
        let wish = ResetConfiguration {
            cri_socket: flags.text("cri-socket"),
            certificates_dir: flags.text("cert-dir"),
            cleanup_tmp_dir: flags.bool("cleanup-tmp-dir"),
            ..ResetConfiguration::default()
        };
        load::reset_from_flags(wish, &options, &mut host, notices)?.config
    } else {
        let text = session.read_config(&path)?;
        load::load_reset(Source { text: &text, name: &path }, &options, &mut host, notices)?.config
    };
    config.force |= flags.bool("force");
    let skip = resolve::skip_phases(flags, &config.skip_phases);
    // The default is not what anybody said: then the cluster's own directory counts.
    let said = flags.given("cert-dir") || config.certificates_dir != CERTIFICATES_DIR;
    let kubeconfig = if flags.given("kubeconfig") { flags.text("kubeconfig") } else { ADMIN_CONF.into() };
    let spec = ResetSpec {
        certificates_dir: said.then(|| config.certificates_dir.clone().into()),
        // Unknown names are refused by validation.
        unmount_flags: config.unmount_flags.iter().filter_map(|name| UnmountFlag::of(name)).collect(),
        access: Access::new(kubeconfig),
        ignored: resolve::ignored_checks(flags, &config.ignore_preflight_errors)?,
        dry: resolve::is_dry(flags, config.dry_run),
        known: OnceLock::new(),
        config,
    };
    Ok((spec, skip))
}
