//! `kubeadm join` and `kubeadm join phase …`, for workers.

use std::path::Path;

use kubeadm_config::error::Notice;
use kubeadm_config::load::{self, Source};
use kubeadm_engine::dryrun;
use kubeadm_engine::join::{JoinSpec, Settings};
use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::join::JOIN;
use kubeadm_engine::run::run as run_phases;

use super::failure;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::resolve::{self, Needs};
use crate::session::Session;
use crate::wish;

/// cmd/kubeadm/app/cmd/join.go: joinWorkerNodeDoneMsg, 1.37.
const JOINED: &str = "
This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
";

/// Flags that mean a control plane.
const CONTROL_PLANE: [&str; 3] = ["apiserver-advertise-address", "apiserver-bind-port", "certificate-key"];

/// All phases but those left out.
pub(crate) fn run(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let (spec, skip) = resolve(call, true, &session)?;
    execute(&spec, &Selection::Skip(skip), &session)?;
    output::line(JOINED);
    Ok(())
}

/// One phase.
pub(crate) fn run_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let needs_discovery = call.node().flags.iter().any(|f| f.name == "token");
    let (spec, skip) = resolve(call, needs_discovery, &session)?;
    execute(&spec, &Selection::Only { path: path.to_owned(), skip }, &session)
}

fn execute(spec: &JoinSpec, selection: &Selection, session: &Session) -> Result<(), CommandError> {
    let context = spec.context();
    let effects = match context.dry {
        true => dryrun::over(&session.fx, &spec.alone.layout),
        false => session.fx.clone(),
    };
    session
        .block_on(run_phases(JOIN, selection, spec, &context, &effects))
        .map_err(|error| failure::explain(error, &*effects.output))
}

/// Flags and file to a spec, and the phases that are left out. Warnings are said even if it fails.
fn resolve(
    call: &Call<'_>,
    needs_discovery: bool,
    session: &Session,
) -> Result<(JoinSpec, Vec<String>), CommandError> {
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let mut notices = Vec::new();
    let spec = complete(call, needs_discovery, session, &mut notices);
    session.tell(&notices);
    spec
}

fn complete(
    call: &Call<'_>,
    needs_discovery: bool,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<(JoinSpec, Vec<String>), CommandError> {
    let flags = &call.flags;
    if flags.given("control-plane") && flags.bool("control-plane") {
        return Err(no_control_plane("--control-plane"));
    }
    let stray: Vec<&str> = CONTROL_PLANE.into_iter().filter(|name| flags.given(name)).collect();
    if !stray.is_empty() {
        notices.push(Notice::warning(format!(
            "[preflight] WARNING: --control-plane is also required when passing control-plane related flags such as [{}]",
            CONTROL_PLANE.join(", ")
        )));
    }
    let mut options = resolve::options(Needs { version: false, runtime: true });
    options.needs_discovery = needs_discovery;
    options.node_name = flags.given("node-name").then(|| flags.text("node-name")).filter(|n| !n.is_empty());
    let is_file = |path: &str| session.fx.files.exists(Path::new(path));
    let mut host = session;
    let path = if flags.given("config") { flags.text("config") } else { String::new() };
    let endpoint = call.args.first().map(String::as_str);
    let loaded = if path.is_empty() {
        let wish = wish::join(flags, endpoint);
        load::join_from_flags(wish, &options, &mut host, &is_file, notices)?
    } else {
        if let Some(endpoint) = endpoint {
            notices.push(Notice::warning(format!(
                "the argument {endpoint:?} is ignored: the configuration file says how the cluster is found"
            )));
        }
        let text = session.read_config(&path)?;
        load::load_join(Source { text: &text, name: &path }, &options, &mut host, &is_file, notices)?
    };
    let join = loaded.config;
    if join.control_plane.is_some() {
        return Err(no_control_plane("controlPlane"));
    }
    let skip = resolve::skip_phases(flags, &join.skip_phases);
    // A wrong name is refused before a dry run makes its folder.
    select(JOIN, &Selection::Skip(skip.clone()))?;
    let ignored = resolve::ignored_checks(flags, &join.node_registration.ignore_preflight_errors)?;
    let landing = match resolve::is_dry(flags, join.dry_run) {
        true => Some(resolve::dry_run_folder(&session.fx, "join", notices)?),
        false => None,
    };
    let settings = Settings {
        ignored,
        patches: resolve::patches(flags, join.patches.as_ref()),
        landing,
        kubeadm_version: wish::own_version(),
    };
    Ok((JoinSpec::new(join, loaded.version, loaded.release, settings), skip))
}

fn no_control_plane(given: &str) -> CommandError {
    CommandError::new(format!(
        "{given}: this build of kubeadm joins workers only; it cannot add a control-plane node yet"
    ))
    .hint("Leave it out to join this machine as a worker.")
}
