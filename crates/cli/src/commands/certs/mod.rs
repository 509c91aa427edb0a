//! `kubeadm certs`. cmd/kubeadm/app/cmd/certs.go, 1.37.

mod expiration;
mod renew;

use std::path::Path;

use kubeadm_engine::csr;
use kubeadm_engine::ports::FileError;
use kubeadm_engine::renewal::{Settings, local_etcd};
use kubeadm_engine::run::Executor;
use kubeadm_pki::CertificateKey;

pub(crate) use expiration::check_expiration;
pub(crate) use renew::renew;

use crate::error::CommandError;
use crate::known::{Known, Origin};
use crate::parse::Call;
use crate::session::Session;
use crate::values::Values;
use crate::{output, resolve};

/// `certs certificate-key`: prints a random key.
pub(crate) fn certificate_key() -> Result<(), CommandError> {
    output::line(&CertificateKey::generate()?.reveal());
    Ok(())
}

/// `certs generate-csr`: keys and signing requests for everything, or nothing.
pub(crate) fn generate_csr(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let spec = resolve::signing_requests(&call.flags, &session)?;
    let context = spec.context();
    let executor = Executor::new(&context, &session.fx);
    let steps = csr::plan(&spec, executor.view()).map_err(CommandError::from)?;
    session.block_on(executor.all(steps)).map_err(|e| as_root(e.into(), &session))
}

/// What the commands know of the certificates of this node: from the file, else from the cluster if it answers soon,
/// else from what is on disk. `tell` gets the lines about it.
fn settings(
    flags: &Values,
    prefix: &str,
    session: &Session,
    tell: &dyn Fn(&str),
) -> Result<Settings, CommandError> {
    let known = match Known::of_file(&flags.text("config"), session)? {
        Some(known) => known,
        None => of_cluster(Path::new(&flags.text("kubeconfig")), prefix, session, tell),
    };
    let mut layout = known.layout();
    // A default must not replace what the cluster says (quirk Q34).
    if flags.given("cert-dir") {
        layout.pki = flags.text("cert-dir").into();
    }
    let cluster = &known.config.cluster;
    let local_etcd = match known.origin {
        Origin::Nowhere => local_etcd(&layout, &*session.fx.files),
        Origin::File | Origin::Cluster => cluster.etcd.external.is_none(),
    };
    let period_seconds = cluster.certificate_validity_period.map(|period| period.seconds());
    if let Some(period) = cluster.certificate_validity_period.filter(|period| period.seconds() <= 0) {
        return Err(CommandError::new(format!(
            "certificateValidityPeriod: Invalid value: {:?}: must be at least one second",
            period.to_string()
        )));
    }
    Ok(Settings { algorithm: known.algorithm()?, layout, local_etcd, period_seconds })
}

fn of_cluster(kubeconfig: &Path, prefix: &str, session: &Session, tell: &dyn Fn(&str)) -> Known {
    let asking = || {
        tell(&format!(
            "[{prefix}] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"..."
        ));
        tell(&format!(
            "[{prefix}] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it."
        ));
    };
    match Known::of_cluster(kubeconfig, session, asking) {
        None => Known::nothing(),
        Some(Ok(known)) => {
            tell("");
            known
        }
        Some(Err(error)) => {
            tracing::info!("the configuration of the cluster is not known: {}", error.message());
            tell(&format!(
                "[{prefix}] Error reading configuration from the Cluster. Falling back to default configuration\n"
            ));
            Known::nothing()
        }
    }
}

/// Says who may do it, of an error about rights.
fn as_root(error: CommandError, session: &Session) -> CommandError {
    let denied = error.message().contains("permission denied") && session.fx.system.uid() != 0;
    if denied { error.hint("Run this command as root.") } else { error }
}

fn file_error(error: FileError, session: &Session) -> CommandError {
    as_root(error.into(), session)
}
