//! External authorities: `ca.crt` or `front-proxy-ca.crt` without its key. Then what it should sign must be given,
//! complete and right, before anything is changed.
//!
//! cmd/kubeadm/app/phases/certs/certs.go: UsingExternalCA, UsingExternalFrontProxyCA, 1.37.

use kubeadm_pki::existing::{Wanted, is_external_ca};
use kubeadm_pki::inventory::CertificateSpec;

use super::certs::{CertsError, Pair, authority};
use super::kubeconfig::{self, KubeconfigError};
use crate::ports::{FileError, Files, View};
use crate::spec::{InitSpec, Layout};

/// Which authorities are external.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct External {
    /// That of the cluster.
    pub ca: bool,
    /// That of the front proxy.
    pub front_proxy: bool,
}

/// Why external authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExternalCaError {
    /// The cluster's authority.
    #[error("invalid or incomplete external CA: {0}")]
    Ca(CertsError),
    /// The front proxy's authority.
    #[error("invalid or incomplete external front-proxy CA: {0}")]
    FrontProxy(CertsError),
    /// kubeconfig files.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// Certificates cannot be shared without the keys of their authorities.
    #[error("can't use upload-certs with an external CA or an external front-proxy CA")]
    UploadCerts,
}

/// Looks which authorities are external.
pub fn detect(layout: &Layout, files: &dyn Files) -> Result<External, FileError> {
    let external = |base: &str| -> Result<bool, FileError> {
        let crt = files.read(&layout.pki_file(&format!("{base}.crt")))?;
        Ok(is_external_ca(crt.as_deref(), files.exists(&layout.pki_file(&format!("{base}.key")))))
    };
    Ok(External { ca: external("ca")?, front_proxy: external("front-proxy-ca")? })
}

/// A node of a cluster, with what the files on it tell of its authorities.
///
/// # Errors
/// A file that cannot be read.
pub fn noted(node: InitSpec, files: &dyn Files) -> Result<InitSpec, FileError> {
    let External { ca, front_proxy } = detect(&node.layout, files)?;
    Ok(InitSpec { external_ca: ca, external_front_proxy_ca: front_proxy, ..node })
}

/// Checks that all that external authorities demand is there.
pub fn validate(spec: &InitSpec, view: View<'_>) -> Result<(), ExternalCaError> {
    if spec.external_ca {
        for name in ["apiserver", "apiserver-kubelet-client"] {
            given(spec, view, name).map_err(ExternalCaError::Ca)?;
        }
        kubeconfig::validate_given(spec, view)?;
    }
    if spec.external_front_proxy_ca {
        given(spec, view, "front-proxy-client").map_err(ExternalCaError::FrontProxy)?;
    }
    if spec.upload_certs && (spec.external_ca || spec.external_front_proxy_ca) {
        return Err(ExternalCaError::UploadCerts);
    }
    Ok(())
}

/// A leaf that must be there. Its names are judged by its phase, which comes before anything is started.
fn given(spec: &InitSpec, view: View<'_>, name: &str) -> Result<(), CertsError> {
    let Some(item) = CertificateSpec::named(name) else { return Ok(()) };
    let Some(parent) = item.authority() else { return Ok(()) };
    let ca = authority(spec, view, parent)?;
    let pair = Pair::read(&spec.layout, view, item.base)?;
    let at = view.clock.started();
    let wanted = Wanted { ca: &ca.certificate, ca_base: parent.base, dns_names: &[], ips: &[], at };
    pair.found().required_leaf(wanted)?;
    Ok(())
}
