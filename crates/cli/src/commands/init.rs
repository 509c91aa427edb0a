//! `kubeadm init` and `kubeadm init phase …`.

use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::{INIT, addon};
use kubeadm_engine::run::RunError;
use kubeadm_engine::spec::InitSpec;
use kubeadm_pki::inventory::{CertificateSpec, SERVICE_ACCOUNT_BASE};

use super::run_phases;
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
    session.fx.output.say(&format!("[init] Using Kubernetes version: {}", spec.version));
    execute(&spec, &selection, &session)
}

/// One phase, with its children where it has some.
pub(crate) fn run_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let has = |flag: &str| call.node().flags.iter().any(|f| f.name == flag);
    // Other phases with the flag make nothing that holds the patch level: CoreDNS and certificates follow the minor.
    let holds_version = path.starts_with("control-plane") || matches!(path, "addon" | "addon/kube-proxy");
    let needs = Needs { version: holds_version, runtime: has("cri-socket") };
    let Resolved { spec, skip } = resolve::init(&call.flags, needs, &session)?;
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
    execute(&spec, &Selection::Only { path: path.to_owned(), skip }, &session)
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
    let context = spec.context();
    let missing = missing_keys(spec, selection, session)?;
    // A dry run makes one for all.
    session.keys.prepare(spec.algorithm, if context.dry { missing.min(1) } else { missing });
    run_phases(INIT, selection, spec, &context, &spec.layout, session)
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
