//! The certificates that kubeadm manages on a node: when they end, and how new ones like them are made.
//!
//! A renewal starts from the certificates that exist. What a certificate says is kept whatever release made it, so the
//! minor of the cluster plays no part, and neither the API server nor a configuration is needed: a node whose
//! certificates have all expired can be repaired from its own files. A configuration may choose key algorithm and
//! period. cmd/kubeadm/app/phases/certs/renewal, 1.37.

mod expiration;
mod inventory;
mod renew;
mod restart;

use std::path::PathBuf;

use jiff::Timestamp;
use kubeadm_pki::existing::{Authority, Existing, ExistingError};
use kubeadm_pki::inventory::CertificateSpec;
use kubeadm_pki::kubeconfig::{Kubeconfig, KubeconfigError};
use kubeadm_pki::{Certificate, CertificateError, IssueError, KeyAlgorithm, KeyError};

pub use expiration::{Expiration, State, Survey, survey};
pub use inventory::{MANAGED, Managed, Place};
pub use renew::{Failure, Planned, Renewal};
pub use restart::{Affected, RestartError, affected, restart};

use crate::phases::certs::Pair;
use crate::ports::{FileError, Files, View};
use crate::spec::Layout;

/// Where the certificates of a node are, and what new ones are to be like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directories of certificates and kubeconfig files.
    pub layout: Layout,
    /// Whether etcd runs on this node, with certificates of its own.
    pub local_etcd: bool,
    /// The algorithm of new keys; `None`: that of the old one.
    pub algorithm: Option<KeyAlgorithm>,
    /// The period of new certificates in seconds; `None`: that of the old one.
    pub period_seconds: Option<i64>,
}

impl Settings {
    /// The certificates that belong on this node, by name.
    pub fn certificates(&self, files: &dyn Files) -> Vec<&'static Managed> {
        let there = |item: &Managed| !item.optional || files.exists(&item.path(&self.layout));
        let ours = MANAGED.iter().filter(|item| self.local_etcd || !item.is_etcd());
        ours.filter(|item| there(item)).collect()
    }
}

/// Whether etcd runs on this node, where no configuration tells it: it does if it has a manifest or its own files are
/// there, and nothing speaks for a control plane without it.
pub fn local_etcd(layout: &Layout, files: &dyn Files) -> bool {
    let pki = |name: &str| files.exists(&layout.pki_file(name));
    let own = files.exists(&layout.manifest("etcd")) || pki("etcd/server.crt") || pki("etcd/ca.key");
    let control_plane = files.exists(&layout.manifest("kube-apiserver")) || pki("apiserver.crt");
    own || !control_plane
}

/// Why a certificate cannot be read or renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no certificate.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CertificateError,
    },
    /// The file is no kubeconfig.
    #[error("failed to load kubeconfig file {}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KubeconfigError,
    },
    /// The context in use, or its user, is not in the file.
    #[error("invalid kubeConfig file {}: missing context {context}", path.display())]
    NoContext {
        /// The file.
        path: PathBuf,
        /// The context.
        context: String,
    },
    /// Its user is somebody without a certificate, or with one in another file.
    #[error("kubeConfig file {} does not have an embedded client certificate", path.display())]
    NotEmbedded {
        /// The file.
        path: PathBuf,
    },
    /// The authority is not there.
    #[error(
        "the certificate authority {} does not exist: restore it from another control-plane node or a backup",
        path.display()
    )]
    NoAuthority {
        /// Path of its certificate.
        path: PathBuf,
    },
    /// The authority cannot be used.
    #[error(transparent)]
    Authority(ExistingError),
    /// The authority is at its end.
    #[error(
        "the certificate authority {} has expired on {}: what it signs now is not valid, so it has to be replaced itself",
        path.display(),
        kubeadm_pki::rfc3339(*until)
    )]
    AuthorityExpired {
        /// Path of its certificate.
        path: PathBuf,
        /// Its end.
        until: Timestamp,
    },
    /// No key could be made.
    #[error("unable to create a private key: {0}")]
    Key(#[from] KeyError),
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// A managed certificate as it is on disk.
struct Kept {
    certificate: Certificate,
    /// The certificates after it.
    chain: Vec<Certificate>,
    /// The file around it.
    kubeconfig: Option<Kubeconfig>,
}

impl Kept {
    /// Reads it; `None` if it is not there. Nothing is judged, least of all its dates or its key.
    fn read(item: &Managed, layout: &Layout, files: &dyn Files) -> Result<Option<Self>, RenewalError> {
        let path = item.path(layout);
        let Some(content) = files.read(&path)? else { return Ok(None) };
        if let Place::Pair(_) = item.place {
            let (certificate, chain) = Certificate::chain_from_pem(&content)
                .map_err(|source| RenewalError::Certificate { path, source })?;
            return Ok(Some(Self { certificate, chain, kubeconfig: None }));
        }
        let text = String::from_utf8_lossy(&content);
        let config = Kubeconfig::parse(&text, &path.display().to_string())
            .map_err(|source| RenewalError::Kubeconfig { path: path.clone(), source })?;
        let Some(user) = config.current_user() else {
            return Err(RenewalError::NoContext { path, context: config.current_context.clone() });
        };
        let mut chain = match user.certificates() {
            Ok(all) => all,
            Err(CertificateError::None) => return Err(RenewalError::NotEmbedded { path }),
            Err(source) => return Err(RenewalError::Certificate { path, source }),
        };
        let certificate = chain.remove(0);
        Ok(Some(Self { certificate, chain, kubeconfig: Some(config) }))
    }
}

/// Loads an authority; `None` if it is not there.
fn authority(
    spec: &CertificateSpec,
    layout: &Layout,
    view: View<'_>,
) -> Result<Option<Authority>, RenewalError> {
    match Pair::read(layout, view, spec.base)?.found().authority().map_err(RenewalError::Authority)? {
        Existing::Complete(authority) => Ok(Some(authority)),
        Existing::Absent | Existing::KeyOnly(_) => Ok(None),
    }
}
