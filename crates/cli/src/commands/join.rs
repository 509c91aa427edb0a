//! `kubeadm join` and `kubeadm join phase …`.

use std::path::Path;

use kubeadm_config::address;
use kubeadm_config::error::Notice;
use kubeadm_config::load::{self, Source};
use kubeadm_engine::join::{JoinSpec, Settings};
use kubeadm_engine::kubelet::installed;
use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::join::JOIN;
use kubeadm_pki::KeyAlgorithm;
use kubeadm_pki::inventory::CERTIFICATES;
use kubeadm_release::Release;

use super::run_phases;
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

/// cmd/kubeadm/app/cmd/join.go: joinControPlaneDoneTemp, 1.37.
fn control_plane_joined(spec: &JoinSpec) -> String {
    // With an external etcd the line stays, and is empty.
    let etcd = match spec.adds_etcd_member() {
        true => "* A new etcd member was added to the local/stacked etcd cluster.",
        false => "",
    };
    format!(
        "
This node has joined the cluster and a new control plane instance was created:

* Certificate signing request was sent to apiserver and approval was received.
* The Kubelet was informed of the new secure connection details.
* Control plane label and taint were applied to the new node.
* The Kubernetes control plane instances scaled up.
{etcd}

To start administering your cluster from this node, you need to run the following as a regular user:

\tmkdir -p $HOME/.kube
\tsudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
\tsudo chown $(id -u):$(id -g) $HOME/.kube/config

Run 'kubectl get nodes' to see this node join the cluster.
"
    )
}

/// Flags that mean a control plane.
const CONTROL_PLANE: [&str; 3] = ["apiserver-advertise-address", "apiserver-bind-port", "certificate-key"];

/// All phases but those left out.
pub(crate) fn run(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let (spec, skip) = resolve(call, true, &session)?;
    execute(&spec, &Selection::Skip(skip), &session)?;
    match spec.join.control_plane {
        None => output::line(JOINED),
        Some(_) => output::line(&control_plane_joined(&spec)),
    }
    Ok(())
}

/// One phase.
pub(crate) fn run_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let needs_discovery = call.node().flags.iter().any(|f| f.name == "token");
    let (spec, skip) = resolve(call, needs_discovery, &session)?;
    let selection = Selection::Only { path: path.to_owned(), skip };
    if !select(JOIN, &selection)?.iter().any(|s| (s.phase.applies)(&spec)) {
        // The original does nothing and reports success (Q2).
        return Err(CommandError::new(format!(
            "phase {path} is one of a control-plane node, and this node is to be a worker"
        ))
        .hint("Give --control-plane, or controlPlane in the configuration file."));
    }
    execute(&spec, &selection, &session)
}

fn execute(spec: &JoinSpec, selection: &Selection, session: &Session) -> Result<(), CommandError> {
    let context = spec.context();
    let missing = missing_keys(spec, selection, session)?;
    // A dry run makes one for all. The kind is the cluster's, which is not known yet: most clusters have the default.
    session.keys.prepare(KeyAlgorithm::default(), if context.dry { missing.min(1) } else { missing });
    run_phases(JOIN, selection, spec, &context, &spec.alone.layout, session)
}

/// How many keys of its own this control plane is going to need, so that they are made while the cluster is looked for.
fn missing_keys(spec: &JoinSpec, selection: &Selection, session: &Session) -> Result<usize, CommandError> {
    let selected = select(JOIN, selection)?;
    let selected = |path: &str| selected.iter().any(|s| (s.phase.applies)(spec) && s.path == path);
    let absent = |path: &Path| usize::from(!session.fx.files.exists(path));
    let layout = &spec.alone.layout;
    let mut missing = 0;
    if selected("control-plane-prepare/certs") {
        let leaves = CERTIFICATES.iter().filter(|certificate| !certificate.is_ca());
        missing += leaves.map(|c| absent(&layout.pki_file(&format!("{}.key", c.base)))).sum::<usize>();
    }
    if selected("control-plane-prepare/kubeconfig") {
        let files = ["admin.conf", "controller-manager.conf", "scheduler.conf"];
        missing += files.iter().map(|file| absent(&layout.kubeconfig(file))).sum::<usize>();
    }
    Ok(missing)
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
    // A phase without the flag and without a file is not one of a worker.
    let implied = !call.node().flags.iter().any(|f| ["control-plane", "config"].contains(&f.name));
    let control_plane = implied || flags.bool("control-plane");
    if !control_plane && CONTROL_PLANE.iter().any(|name| flags.given(name)) {
        notices.push(Notice::warning(format!(
            "[preflight] WARNING: --control-plane is also required when passing control-plane related flags such as [{}]",
            CONTROL_PLANE.join(", ")
        )));
    }
    let mut options = resolve::options(Needs { version: false, runtime: true });
    options.needs_discovery = needs_discovery;
    // The cluster's release is not known yet; that of the kubelet is near to it.
    let kubelet = session.block_on(installed(&*session.fx.system)).ok();
    if let Some((kubelet, release)) = kubelet.and_then(|k| Release::of(&k).ok().map(|release| (k, release))) {
        options.known_socket = session.socket_for(&release);
        options.target = Some(kubelet);
    }
    options.node_name = Some(flags.text("node-name")).filter(|n| !n.is_empty());
    let is_file = |path: &str| session.fx.files.exists(Path::new(path));
    let mut host = session;
    let path = flags.text("config");
    let endpoint = call.args.first().map(String::as_str);
    let loaded = if path.is_empty() {
        let wish = wish::join(flags, endpoint, control_plane);
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
    if let Some(control_plane) = &join.control_plane {
        address::verify_bind_address(&control_plane.local_api_endpoint.advertise_address)?;
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
        control_plane: join.control_plane.is_some(),
        proxy_env: resolve::proxy_env(&session.fx),
        kubeadm_version: wish::own_version(),
    };
    Ok((JoinSpec::new(join, loaded.version, loaded.release, settings), skip))
}
