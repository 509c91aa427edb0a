//! `kubeadm init` and `kubeadm init phase …`.

use kubeadm_engine::dryrun;
use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::{INIT, PhaseError, addon};
use kubeadm_engine::run::{ActionError, RunError, run as run_phases};
use kubeadm_engine::spec::InitSpec;
use kubeadm_pki::inventory::{CertificateSpec, SERVICE_ACCOUNT_BASE};

use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::resolve::{self, Needs, Resolved};
use crate::session::Session;

/// All phases but those left out.
pub(crate) fn run(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let needs = Needs { version: true, runtime: true };
    let Resolved { spec, skip } = resolve::init(&call.flags, needs, &session)?;
    let selection = Selection::Skip(skip);
    // A wrong name in --skip-phases is told before the first line.
    select(INIT, &selection)?;
    session.fx.output.say(&format!("[init] Using Kubernetes version: {}", spec.version));
    execute(&spec, &selection, &session)
}

/// One phase, with its children where it has some.
pub(crate) fn run_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let has = |flag: &str| call.node().flags.iter().any(|f| f.name == flag);
    // Certificates and kubeconfig files have the flag, but hold nothing of the patch level.
    let named = ["control-plane", "addon"].iter().any(|group| path.starts_with(group));
    let needs = Needs { version: has("kubernetes-version") && named, runtime: has("cri-socket") };
    // What `skipPhases` says of add-ons is in the spec by now; the phase itself was asked for by name.
    let Resolved { spec, skip: _ } = resolve::init(&call.flags, needs, &session)?;
    if has("print-manifest") && call.flags.bool("print-manifest") {
        return print_manifest(&spec, path, &session);
    }
    for (addon, disabled) in
        [("coredns", spec.cluster.dns.disabled), ("kube-proxy", spec.cluster.proxy.disabled)]
    {
        if disabled && (path == "addon" || path == format!("addon/{addon}")) {
            let text = format!("[addons] Not installing {addon}: the configuration disables it");
            session.fx.output.warn(&text);
        }
    }
    execute(&spec, &Selection::Only(path.to_owned()), &session)
}

/// Prints what an add-on is made of; no cluster is asked.
fn print_manifest(spec: &InitSpec, path: &str, session: &Session) -> Result<(), CommandError> {
    let files = &*session.fx.files;
    let text = match path {
        "addon/coredns" => addon::print_coredns(spec, files),
        _ => addon::print_kube_proxy(spec, files),
    };
    let text = text.map_err(|source| RunError::Phase { path: path.to_owned(), source: Box::new(source) })?;
    output::text_as_is(&text);
    Ok(())
}

fn execute(spec: &InitSpec, selection: &Selection, session: &Session) -> Result<(), CommandError> {
    let context = resolve::context(spec);
    let effects = match context.dry {
        true => dryrun::over(&session.fx, &spec.layout),
        false => session.fx.clone(),
    };
    session.keys.prepare(spec.algorithm, missing_keys(spec, selection, session)?);
    session.block_on(run_phases(INIT, selection, spec, &context, &effects)).map_err(explain)
}

/// How many keys the selected phases are going to make, so that all processors can make them ahead of their use.
fn missing_keys(spec: &InitSpec, selection: &Selection, session: &Session) -> Result<usize, CommandError> {
    let files = &session.fx.files;
    let absent = |name: String| !files.exists(&spec.layout.pki_file(&name));
    let makes_key = |path: &str| match path.split_once('/') {
        Some(("certs", SERVICE_ACCOUNT_BASE)) => {
            !spec.external_ca && absent(format!("{SERVICE_ACCOUNT_BASE}.key"))
        }
        Some(("certs", name)) => CertificateSpec::named(name).is_some_and(|certificate| {
            let needed = spec.local_etcd() || !certificate.is_etcd();
            needed && ["crt", "key"].iter().all(|ending| absent(format!("{}.{ending}", certificate.base)))
        }),
        Some(("kubeconfig", name)) => {
            !spec.external_ca && !files.exists(&spec.layout.kubeconfig(&format!("{name}.conf")))
        }
        _ => false,
    };
    let selected = select(INIT, selection)?;
    Ok(selected.iter().filter(|s| (s.phase.applies)(spec) && makes_key(&s.path)).count())
}

/// Adds to a failed run what its error line has no room for.
fn explain(error: RunError) -> CommandError {
    let RunError::Phase { source, .. } = &error else { return error.into() };
    match &**source {
        PhaseError::Preflight(report) => {
            let block = report.block();
            CommandError::from(error).report(block)
        }
        PhaseError::Action(ActionError::Wait(wait)) => {
            let help = wait.help();
            CommandError::from(error).hint(help)
        }
        _ => error.into(),
    }
}
