//! When the certificates of a node end. Each is looked at for itself: one that is missing or broken takes no other with
//! it, as it does upstream with external authorities (quirk Q37).

use jiff::Timestamp;
use kubeadm_pki::existing::is_external_ca;
use kubeadm_pki::inventory::{CERTIFICATES, CertificateSpec};
use kubeadm_pki::{Certificate, CertificateError};

use super::{Kept, RenewalError, Settings};
use crate::ports::{FileError, Files};

/// What is known of a certificate's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its last second.
    Until(Timestamp),
    /// It is not there.
    Missing,
    /// It is there, but cannot be read; why.
    Unreadable(String),
}

/// A certificate and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiration {
    /// Its name.
    pub name: &'static str,
    /// Name of its authority; `None` for an authority.
    pub authority: Option<&'static str>,
    /// Its end.
    pub state: State,
    /// Whether the key of the authority is elsewhere, so that it cannot be renewed here.
    pub external: bool,
}

/// The certificates of a node, each list by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Those that can be renewed.
    pub certificates: Vec<Expiration>,
    /// Their authorities.
    pub authorities: Vec<Expiration>,
}

/// Looks at all certificates of a node.
///
/// # Errors
/// When a file may not be read: then nothing is known of it, not even that it is broken.
pub fn survey(settings: &Settings, files: &dyn Files) -> Result<Survey, FileError> {
    let mut authorities = Vec::new();
    for spec in CERTIFICATES.iter().filter(|c| c.is_ca() && (settings.local_etcd || !c.is_etcd())) {
        authorities.push(authority(spec, settings, files)?);
    }
    authorities.sort_by_key(|a| a.name);
    let mut certificates = Vec::new();
    for item in settings.certificates(files) {
        let state = match Kept::read(item, &settings.layout, files) {
            Ok(Some(kept)) => State::Until(kept.certificate.not_after()),
            Ok(None) => State::Missing,
            Err(RenewalError::File(error)) => return Err(error),
            Err(error) => State::Unreadable(error.to_string()),
        };
        let authority = item.authority().name;
        let external = authorities.iter().any(|a| a.name == authority && a.external);
        certificates.push(Expiration { name: item.name, authority: Some(authority), state, external });
    }
    Ok(Survey { certificates, authorities })
}

fn authority(
    spec: &CertificateSpec,
    settings: &Settings,
    files: &dyn Files,
) -> Result<Expiration, FileError> {
    let file = |ending: &str| settings.layout.pki_file(&format!("{}.{ending}", spec.base));
    let path = file("crt");
    let content = files.read(&path)?;
    let external = is_external_ca(content.as_deref(), files.exists(&file("key")));
    let state = match content.as_deref().map(Certificate::from_pem) {
        None => State::Missing,
        Some(Ok(certificate)) => State::Until(certificate.not_after()),
        Some(Err(source)) => State::Unreadable(unreadable(&path, source)),
    };
    Ok(Expiration { name: spec.name, authority: None, state, external })
}

fn unreadable(path: &std::path::Path, source: CertificateError) -> String {
    RenewalError::Certificate { path: path.to_owned(), source }.to_string()
}
