//! Commands of 1.11 to 1.13 that have no other name today: self-hosting and dynamic kubelet configuration.
//! cmd/kubeadm/app/cmd/alpha, 1.13.

use kubeadm_config::features;
use kubeadm_engine::kubelet;
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::dynamic_kubelet::{ENABLE, Enable};
use kubeadm_engine::phases::self_hosting::{Conversion, PIVOT, STORE_CERTS_IN_SECRETS};
use kubeadm_engine::ports::Access;
use kubeadm_engine::run::Context;
use kubeadm_engine::spec::{KUBERNETES, Layout};
use kubeadm_release::facts::kubelet::DOCKERSHIM;
use kubeadm_release::{Release, Version};

use super::run_phases;
use super::upgrade::node_name;
use crate::error::CommandError;
use crate::known::Known;
use crate::parse::Call;
use crate::session::Session;

const WARNING: &str = "WARNING: this converts the control plane of this node into DaemonSets of the cluster. A cluster \
    with one control plane does not come back by itself after a reboot.";

/// `alpha selfhosting pivot` of 1.13.
pub(crate) fn pivot(call: &Call<'_>) -> Result<(), CommandError> {
    let question = (!call.flags.bool("force"))
        .then(|| format!("{WARNING}\n[pivot] are you sure you want to proceed? [y/N]: "));
    convert(call, call.flags.bool("store-certs-in-secrets"), question)
}

/// `alpha phase selfhosting convert-from-staticpods` of 1.11 and 1.12.
pub(crate) fn convert_from_static_pods(call: &Call<'_>) -> Result<(), CommandError> {
    // The last minor that has these gates without calling them deprecated knows them all.
    let release = Release::of(&Version::new(1, 11, 0))?;
    let gates = features::parse(&call.flags.text("feature-gates"), &release, &mut Vec::new())?;
    convert(call, gates.get(STORE_CERTS_IN_SECRETS) == Some(&true), None)
}

fn convert(call: &Call<'_>, secrets: bool, question: Option<String>) -> Result<(), CommandError> {
    let flags = &call.flags;
    let session = Session::start()?;
    let known = Known::of_file(&flags.text("config"), &session)?;
    let pki = match &known {
        Some(known) if !flags.given("cert-dir") => known.layout().pki,
        _ => flags.text("cert-dir").into(),
    };
    let named = known.map(|known| known.config.init.node_registration.name).filter(|name| !name.is_empty());
    let spec = Conversion {
        layout: Layout { pki, kubeconfigs: KUBERNETES.into(), landing: None },
        node_name: named.unwrap_or_else(|| node_name(&session)),
        secrets,
        question,
    };
    let context = context(call, &session);
    run_phases(PIVOT, &Selection::Skip(Vec::new()), &spec, &context, &spec.layout, &session)
}

/// `alpha kubelet config enable-dynamic` of 1.11 to 1.13.
pub(crate) fn enable_dynamic_kubelet(call: &Call<'_>) -> Result<(), CommandError> {
    let flags = &call.flags;
    let missing: Vec<String> = ["kubelet-version", "node-name"]
        .into_iter()
        .filter(|name| flags.text(name).is_empty())
        .map(|name| format!("{name:?}"))
        .collect();
    if !missing.is_empty() {
        return Err(CommandError::new(format!("required flag(s) {} not set", missing.join(", "))));
    }
    let version: Version = flags.text("kubelet-version").parse()?;
    let release = Release::of(&version)?;
    let session = Session::start()?;
    let spec = Enable { node_name: flags.text("node-name"), version, release };
    let layout = Layout { pki: KUBERNETES.into(), kubeconfigs: KUBERNETES.into(), landing: None };
    run_phases(ENABLE, &Selection::Skip(Vec::new()), &spec, &context(call, &session), &layout, &session)
}

fn context(call: &Call<'_>, session: &Session) -> Context {
    Context {
        access: Access::new(call.flags.text("kubeconfig")),
        socket: kubelet::runtime_socket(&*session.fx.files).unwrap_or_else(|| DOCKERSHIM.into()),
        api_limit: std::time::Duration::from_secs(60),
        dry: false,
    }
}
