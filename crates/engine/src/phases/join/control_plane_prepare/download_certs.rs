//! `download-certs`: what control planes share, out of the Secret that `upload-certs` made.
//! cmd/kubeadm/app/phases/copycerts/copycerts.go: DownloadCerts, 1.37.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use kubeadm_pki::{Certificate, CertificateKey, SealError};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::join::{JoinSpec, Joined};
use crate::objects::KUBE_SYSTEM;
use crate::phases::PhaseError;
use crate::phases::upload_certs::{SECRET, sources};
use crate::plan::{Action, Step};
use crate::ports::{ApiError, FileError, NewFile, View};
use crate::resource::SECRETS;
use crate::stored;

/// Why the certificates are not there.
#[derive(Debug, thiserror::Error)]
pub enum DownloadCertsError {
    /// The key is none.
    #[error("error downloading certs: error decoding certificate key: {0}")]
    Key(SealError),
    /// The Secret is gone.
    #[error(
        "error downloading certs: error downloading the secret: Secret {SECRET:?} was not found in the {KUBE_SYSTEM:?} \
         Namespace. This Secret might have expired. Please, run `kubeadm init phase upload-certs --upload-certs` on a \
         control plane to generate a new one"
    )]
    Gone,
    /// It cannot be read.
    #[error("error downloading certs: error downloading the secret: {0}")]
    Secret(ApiError),
    /// An entry cannot be opened.
    #[error("error downloading certs: error decoding secret data with provided key: entry {entry}: {reason}")]
    Open {
        /// Its key in the Secret.
        entry: &'static str,
        /// Why.
        reason: String,
    },
    /// An entry is not there.
    #[error(
        "error downloading certs: the Secret does not include the required certificate or key - name: {entry}, path: {}",
        path.display()
    )]
    Missing {
        /// Its key in the Secret.
        entry: &'static str,
        /// Where it would go.
        path: PathBuf,
    },
    /// The authority on this machine is another one.
    #[error(
        "error downloading certs: {} holds another authority than the cluster's; if it is left from another cluster, run \
         `kubeadm reset` or remove it",
        .0.display()
    )]
    OtherAuthority(PathBuf),
    /// A file.
    #[error("error downloading certs: {0}")]
    File(#[from] FileError),
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a JoinSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let given = spec.join.control_plane.as_ref().map(|c| c.certificate_key.0.as_str());
        let Some(key) = given.filter(|key| !key.is_empty()) else {
            tracing::debug!("no certificate key: the certificates on this machine are used");
            return Ok(Vec::new());
        };
        let (joined, mut steps) = spec.joined(view).await?;
        let key = CertificateKey::parse(key).map_err(DownloadCertsError::Key)?;
        if !joined.seen() {
            let text = format!("[dryrun] Would download the certificates in Secret {SECRET:?}");
            steps.push(Step::new(Action::Nothing).would(text));
            return Ok(steps);
        }
        steps.push(Step::say(format!(
            "[download-certs] Downloading the certificates in Secret {SECRET:?} in the {KUBE_SYSTEM:?} Namespace"
        )));
        let secret = secret(spec, joined, view).await?;
        let folder = joined.node.layout.shown(&joined.node.layout.pki).display().to_string();
        steps.push(Step::say(format!("[download-certs] Saving the certificates to the folder: {folder:?}")));
        // All are opened before the first is written.
        let files = files(joined, &secret, &key)?;
        same_authority(joined, view)?;
        steps.extend(files.into_iter().map(|file| Step::new(Action::WriteFile(file))));
        Ok(steps)
    })
}

/// The Secret, asked for again while that may help.
async fn secret(spec: &JoinSpec, joined: &Joined, view: View<'_>) -> Result<Value, DownloadCertsError> {
    let api = view.cluster.reader(&joined.access());
    let limit = spec.patience(spec.join.timeouts.kubernetes_api_call);
    let mut tries = Backoff::start(view.clock);
    loop {
        match api.get(SECRETS, KUBE_SYSTEM, SECRET).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if stored::again(&mut tries, None, limit) => {}
            Err(error) if stored::again(&mut tries, Some(&error), limit) => {}
            // The Role that lets it be read goes with it.
            Ok(None) | Err(ApiError::Forbidden(_)) => return Err(DownloadCertsError::Gone),
            Err(error) => return Err(DownloadCertsError::Secret(error)),
        }
        tries.pause().await;
    }
}

/// The files, keys before what belongs to them: an interrupted run never leaves a certificate whose key is missing for
/// that reason. An entry without a value was not there when the certificates were uploaded.
fn files(joined: &Joined, secret: &Value, key: &CertificateKey) -> Result<Vec<NewFile>, DownloadCertsError> {
    let mut files = Vec::new();
    for (entry, path) in sources(&joined.node) {
        if path.as_os_str().is_empty() {
            continue;
        }
        let data = secret["data"]
            .get(entry)
            .ok_or_else(|| DownloadCertsError::Missing { entry, path: path.clone() })?;
        let data = data.as_str().unwrap_or_default();
        if data.is_empty() {
            continue;
        }
        let failed = |reason: String| DownloadCertsError::Open { entry, reason };
        let sealed = STANDARD.decode(data).map_err(|e| failed(e.to_string()))?;
        let content: Zeroizing<Vec<u8>> = key.open(&sealed).map_err(|e| failed(e.to_string()))?;
        let secret = entry.ends_with(".key");
        if !secret && !content.starts_with(b"-----BEGIN ") {
            return Err(failed("unknown data found in Secret entry".into()));
        }
        let mode = if secret { 0o600 } else { 0o644 };
        files.push(NewFile { path, content: content.to_vec(), mode, secret });
    }
    files.sort_by_key(|file| !file.secret);
    Ok(files)
}

/// An authority of another cluster is not overwritten: its key may be the only one.
fn same_authority(joined: &Joined, view: View<'_>) -> Result<(), DownloadCertsError> {
    let path: &Path = &joined.node.layout.pki_file("ca.crt");
    let Some(there) = view.files.read(path)? else { return Ok(()) };
    match Certificate::all_from_pem(&there) {
        Ok(found) if found.iter().any(|ca| joined.authorities.contains(ca)) => Ok(()),
        _ => Err(DownloadCertsError::OtherAuthority(path.to_owned())),
    }
}
