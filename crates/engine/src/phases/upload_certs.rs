//! `upload-certs`: the certificates that another control-plane node needs, sealed with the certificate key, in a
//! Secret that goes away after two hours. cmd/kubeadm/app/phases/copycerts/copycerts.go, 1.37.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use kubeadm_config::token::BootstrapTokenString;
use kubeadm_config::types::BootstrapToken;
use kubeadm_pki::{CertificateKey, NoRandom, SealError, random};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::PhaseError;
use crate::objects::{KUBE_SYSTEM, apply, create_or_update, object, rbac, tokens};
use crate::plan::{Apply, Step};
use crate::ports::{FileError, Files, View};
use crate::resource::SECRETS;
use crate::spec::InitSpec;

/// Name of the Secret.
pub const SECRET: &str = "kubeadm-certs";
/// The Role of those who may read it.
const READERS: &str = "kubeadm:kubeadm-certs";
/// How long the certificates stay.
const LIFETIME: SignedDuration = SignedDuration::from_hours(2);

/// Why certificates cannot be uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadCertsError {
    /// There is no key to seal them with.
    #[error("error uploading certs: there is no certificate key to encrypt them with")]
    NoKey,
    /// The key is none.
    #[error("error decoding certificate key: {0}")]
    Key(SealError),
    /// A file cannot be read.
    #[error("error uploading certs: {0}")]
    File(#[from] FileError),
    /// A file cannot be sealed.
    #[error("error uploading certs: {}: {source}", path.display())]
    Seal {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: SealError,
    },
    /// The token that owns the Secret cannot be made.
    #[error("error uploading certs: error to get token reference: {0}")]
    Token(#[from] NoRandom),
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move { Ok(upload(spec, view)?) })
}

fn upload(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, UploadCertsError> {
    if !spec.upload_certs {
        return Ok(vec![Step::say("[upload-certs] Skipping phase. Please see --upload-certs")]);
    }
    let text = spec.certificate_key.as_deref().ok_or(UploadCertsError::NoKey)?;
    let key = CertificateKey::parse(text).map_err(UploadCertsError::Key)?;
    let owner = owner(view.clock.now())?;
    let mut secret = object(SECRETS, KUBE_SYSTEM, SECRET);
    secret["data"] = Value::Object(data(spec, view.files, &key)?);
    // The uid is the cluster's to give: the executor fills it in.
    secret["metadata"]["ownerReferences"] = json!([{
        "apiVersion": SECRETS.api_version(),
        "kind": SECRETS.kind,
        "name": owner["metadata"]["name"],
        "uid": "",
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
    steps.push(Step::say(format!(
        "[upload-certs] Storing the certificates in Secret {SECRET:?} in the {KUBE_SYSTEM:?} Namespace"
    )));
    steps.push(apply(Apply::CreateOnly, SECRETS, owner));
    steps.push(create_or_update(SECRETS, secret));
    steps.extend(rbac::let_read(READERS, KUBE_SYSTEM, SECRETS, SECRET, vec![rbac::joining_nodes()]));
    if !spec.skip_certificate_key_print {
        steps.push(Step::say(format!("[upload-certs] Using certificate key:\n{text}")));
    }
    Ok(steps)
}

/// The token that owns the Secret. It is good for nothing but ending: the token cleaner removes it when it expires,
/// and the garbage collector then removes what it owns.
fn owner(now: Timestamp) -> Result<Value, NoRandom> {
    let token = BootstrapToken {
        token: BootstrapTokenString::random(random)?,
        description: format!("Proxy for managing TTL for the {SECRET} secret"),
        expires: Some(now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX)),
        ..BootstrapToken::default()
    };
    Ok(tokens::secret(&token, now))
}

/// The sealed files. One that does not exist (an external CA's key) has no value.
fn data(
    spec: &InitSpec,
    files: &dyn Files,
    key: &CertificateKey,
) -> Result<Map<String, Value>, UploadCertsError> {
    let mut data = Map::new();
    for (name, path) in sources(spec) {
        let sealed = match files.read(&path)?.map(Zeroizing::new) {
            None => Value::Null,
            Some(content) => {
                let sealed = key.seal(&content).map_err(|source| UploadCertsError::Seal { path, source })?;
                STANDARD.encode(sealed).into()
            }
        };
        data.insert(name.to_owned(), sealed);
    }
    Ok(data)
}

/// Keys of the Secret, and the files they come from and go to.
pub(super) fn sources(spec: &InitSpec) -> Vec<(&'static str, PathBuf)> {
    let pki = |name: &'static str| (name, spec.layout.pki_file(name));
    let mut sources = ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key"]
        .map(pki)
        .to_vec();
    match &spec.cluster.etcd.external {
        None => sources.extend([
            ("etcd-ca.crt", spec.layout.pki_file("etcd/ca.crt")),
            ("etcd-ca.key", spec.layout.pki_file("etcd/ca.key")),
        ]),
        Some(external) => sources.extend(
            [
                ("external-etcd-ca.crt", &external.ca_file),
                ("external-etcd.crt", &external.cert_file),
                ("external-etcd.key", &external.key_file),
            ]
            .map(|(name, path)| (name, PathBuf::from(path))),
        ),
    }
    sources
}
