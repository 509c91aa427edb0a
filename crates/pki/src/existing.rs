//! Judges certificates and keys that are there already, from their bytes. Where the original accepts what
//! cannot work, or names the wrong reason, each case has an error of its own here:
//! a certificate without its key, a key of another certificate, an expired certificate, missing names, an
//! authority that is none, `sa.key` without `sa.pub`.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::certificate::{Certificate, CertificateError};
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::time::rfc3339;
use crate::verify::VerifyError;

/// The bytes of a certificate and its key, as far as the files exist, and what they are called.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// Base name, for messages: `etcd/server`.
    pub base: &'a str,
    /// Path of the certificate, for messages.
    pub certificate_path: &'a str,
    /// Path of the key, for messages.
    pub key_path: &'a str,
    /// Content of the certificate's file.
    pub certificate: Option<&'a [u8]>,
    /// Content of the key's file.
    pub key: Option<&'a [u8]>,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Existing<T> {
    /// Neither file.
    Absent,
    /// A good key alone, as an interrupted run leaves it: the certificate may be made for this key.
    KeyOnly(PrivateKey),
    /// All that is needed.
    Complete(T),
}

/// An authority that is there.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate: that of its key, else the first of the file.
    pub certificate: Certificate,
    /// The other certificates of the file.
    pub chain: Vec<Certificate>,
    /// Its key; `None` if it is kept elsewhere.
    pub key: Option<PrivateKey>,
}

/// A leaf that is there.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its certificate.
    pub certificate: Certificate,
    /// The certificates after it in the file.
    pub intermediates: Vec<Certificate>,
    /// Its key.
    pub key: PrivateKey,
}

/// What an existing leaf has to fulfil.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its authority.
    pub ca: &'a Certificate,
    /// Base name of the authority, for messages.
    pub ca_base: &'a str,
    /// DNS names it must be valid for.
    pub dns_names: &'a [String],
    /// Addresses it must be valid for.
    pub ips: &'a [IpAddr],
    /// The time to judge for.
    pub at: Timestamp,
}

/// Why something existing can't be used. Texts follow kubeadm `app/phases/certs/certs.go` and
/// `app/util/pkiutil/pki_helpers.go` (1.37) where the original has the case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExistingError {
    /// The certificate's file is no certificate.
    #[error(
        "failure loading {base} certificate: failed to load certificate: couldn't load the certificate file {path}: error reading {path}: {source}"
    )]
    Certificate {
        /// Base name.
        base: String,
        /// Path of the file.
        path: String,
        /// What is wrong.
        source: CertificateError,
    },
    /// The key's file is no key.
    #[error(
        "failure loading {base} key: couldn't load the private key file {path}: error reading private key file {path}: {source}"
    )]
    Key {
        /// Base name.
        base: String,
        /// Path of the file.
        path: String,
        /// What is wrong.
        source: KeyError,
    },
    /// The public key's file is no public key.
    #[error(
        "failure loading {base} public key: couldn't load the public key file {path}: error reading public key file {path}: {source}"
    )]
    PublicKey {
        /// Base name.
        base: String,
        /// Path of the file.
        path: String,
        /// What is wrong.
        source: KeyError,
    },
    /// There is none, where there must be one.
    #[error(
        "failure loading certificate for {base}: couldn't load the certificate file {path}: open {path}: no such file or directory"
    )]
    Missing {
        /// Base name.
        base: String,
        /// Path of the certificate.
        path: String,
    },
    /// A certificate without its key.
    #[error(
        "the certificate {certificate_path} exists, but its private key {key_path} does not: restore the key, or remove the certificate to have both made anew"
    )]
    KeyMissing {
        /// Path of the certificate.
        certificate_path: String,
        /// Path of the key.
        key_path: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the private key {key_path} does not belong to the certificate {certificate_path}: the certificate holds another public key"
    )]
    KeyMismatch {
        /// Path of the certificate, or of the public key.
        certificate_path: String,
        /// Path of the key.
        key_path: String,
    },
    /// The key of a leaf is another's, as a renewal leaves it that was killed between the two files.
    #[error(
        "the private key {key_path} does not belong to the certificate {certificate_path}: the certificate holds another public key; have both made anew with `kubeadm certs renew`"
    )]
    LeafKeyMismatch {
        /// Path of the certificate.
        certificate_path: String,
        /// Path of the key.
        key_path: String,
    },
    /// What should be an authority is none.
    #[error("{base} certificate is not a certificate authority: {path} has the subject {subject:?}")]
    NotAuthority {
        /// Base name.
        base: String,
        /// Path of the certificate.
        path: String,
        /// Its subject.
        subject: String,
    },
    /// Another authority signed.
    #[error("[certs] certificate {base} not signed by CA certificate {ca_base}: {source}")]
    NotSigned {
        /// Base name.
        base: String,
        /// Base name of the authority.
        ca_base: String,
        /// What is wrong.
        source: VerifyError,
    },
    /// It, or a certificate above it, is out of date.
    #[error("[certs] certificate {base} can't be used: {}", dates(source))]
    Dates {
        /// Base name.
        base: String,
        /// Which certificate, and its dates.
        source: VerifyError,
    },
    /// It is not valid for what it is to serve.
    #[error(
        "certificate {base} is invalid: x509: certificate is valid for {}, not {}: remove {path} and its key to have them made anew",
        list(valid),
        list(missing)
    )]
    Sans {
        /// Base name.
        base: String,
        /// Path of the certificate.
        path: String,
        /// Names and addresses it has.
        valid: Vec<String>,
        /// Names and addresses it lacks.
        missing: Vec<String>,
    },
    /// `sa.key` without `sa.pub`, where the latter has to be given.
    #[error(
        "the private key {key_path} exists, but its public key {public_path} does not: write it with `openssl pkey -in {key_path} -pubout -out {public_path}`"
    )]
    PublicKeyMissing {
        /// Path of the private key.
        key_path: String,
        /// Path of the public key.
        public_path: String,
    },
    /// `sa.pub` without `sa.key`.
    #[error(
        "the public key {public_path} exists, but its private key {key_path} does not: restore the private key, or remove the public key to have both made anew"
    )]
    PrivateKeyMissing {
        /// Path of the private key.
        key_path: String,
        /// Path of the public key.
        public_path: String,
    },
}

fn dates(error: &VerifyError) -> String {
    match error {
        VerifyError::Expired { subject, not_after, at } => {
            format!(
                "{subject:?} has expired: it was valid until {}, now is {}",
                rfc3339(*not_after),
                rfc3339(*at)
            )
        }
        VerifyError::NotYetValid { subject, not_before, at } => {
            format!(
                "{subject:?} is not valid yet: it is valid from {}, now is {}",
                rfc3339(*not_before),
                rfc3339(*at)
            )
        }
        other => other.to_string(),
    }
}

fn list(entries: &[String]) -> String {
    if entries.is_empty() { "no names".to_owned() } else { entries.join(", ") }
}

impl Files<'_> {
    fn certificates(&self) -> Result<Option<(Certificate, Vec<Certificate>)>, ExistingError> {
        self.certificate.map(Certificate::chain_from_pem).transpose().map_err(|source| {
            ExistingError::Certificate {
                base: self.base.to_owned(),
                path: self.certificate_path.to_owned(),
                source,
            }
        })
    }

    fn private_key(&self) -> Result<Option<PrivateKey>, ExistingError> {
        self.key.map(PrivateKey::from_pem).transpose().map_err(|source| self.key_error(source))
    }

    fn key_error(&self, source: KeyError) -> ExistingError {
        ExistingError::Key { base: self.base.to_owned(), path: self.key_path.to_owned(), source }
    }

    fn check_pair(&self, certificate: &Certificate, key: &PrivateKey) -> Result<(), ExistingError> {
        if key.public_key().map_err(|source| self.key_error(source))? == *certificate.public_key() {
            return Ok(());
        }
        Err(ExistingError::KeyMismatch {
            certificate_path: self.certificate_path.to_owned(),
            key_path: self.key_path.to_owned(),
        })
    }

    /// Judges the files as those of an authority. Its dates are not judged: see [`bounds_warning`].
    ///
    /// # Errors
    /// [`ExistingError`].
    pub fn authority(&self) -> Result<Existing<Authority>, ExistingError> {
        let key = self.private_key()?;
        let Some((mut certificate, mut chain)) = self.certificates()? else {
            return Ok(key.map_or(Existing::Absent, Existing::KeyOnly));
        };
        // While an authority is being replaced its file holds two: the one that signs is that of the key.
        if let Some(key) = &key
            && self.check_pair(&certificate, key).is_err()
            && let Some(signer) = chain.iter_mut().find(|c| c.is_ca() && self.check_pair(c, key).is_ok())
        {
            std::mem::swap(&mut certificate, signer);
        }
        if !certificate.is_ca() {
            return Err(ExistingError::NotAuthority {
                base: self.base.to_owned(),
                path: self.certificate_path.to_owned(),
                subject: certificate.subject().to_string(),
            });
        }
        if let Some(key) = &key {
            self.check_pair(&certificate, key)?;
        }
        Ok(Existing::Complete(Authority { certificate, chain, key }))
    }

    /// Judges the files as those of a leaf.
    ///
    /// # Errors
    /// [`ExistingError`]; of several reasons the signature comes first, then dates, key and names.
    pub fn leaf(&self, wanted: Wanted<'_>) -> Result<Existing<Leaf>, ExistingError> {
        let Some((certificate, intermediates)) = self.certificates()? else {
            return Ok(self.private_key()?.map_or(Existing::Absent, Existing::KeyOnly));
        };
        self.check_signature(&certificate, &intermediates, wanted)?;
        let key = self.private_key()?.ok_or_else(|| ExistingError::KeyMissing {
            certificate_path: self.certificate_path.to_owned(),
            key_path: self.key_path.to_owned(),
        })?;
        self.check_pair(&certificate, &key).map_err(|error| match error {
            ExistingError::KeyMismatch { certificate_path, key_path } => {
                ExistingError::LeafKeyMismatch { certificate_path, key_path }
            }
            other => other,
        })?;
        let missing = missing_sans(&certificate, wanted.dns_names, wanted.ips);
        if !missing.is_empty() {
            let ips = certificate.ips().iter().map(ToString::to_string);
            return Err(ExistingError::Sans {
                base: self.base.to_owned(),
                path: self.certificate_path.to_owned(),
                valid: certificate.dns_names().iter().cloned().chain(ips).collect(),
                missing,
            });
        }
        Ok(Existing::Complete(Leaf { certificate, intermediates, key }))
    }

    /// Like [`Self::leaf`] where nothing may be made: with an external authority.
    ///
    /// # Errors
    /// [`ExistingError`]; also when there is none.
    pub fn required_leaf(&self, wanted: Wanted<'_>) -> Result<Leaf, ExistingError> {
        self.leaf(wanted).and_then(|found| self.required(found))
    }

    /// Like [`Self::authority`] where nothing may be made: when joining.
    ///
    /// # Errors
    /// [`ExistingError`]; also when there is none.
    pub fn required_authority(&self) -> Result<Authority, ExistingError> {
        self.authority().and_then(|found| self.required(found))
    }

    fn required<T>(&self, found: Existing<T>) -> Result<T, ExistingError> {
        match found {
            Existing::Complete(whole) => Ok(whole),
            Existing::Absent | Existing::KeyOnly(_) => Err(ExistingError::Missing {
                base: self.base.to_owned(),
                path: self.certificate_path.to_owned(),
            }),
        }
    }

    fn check_signature(
        &self,
        certificate: &Certificate,
        intermediates: &[Certificate],
        wanted: Wanted<'_>,
    ) -> Result<(), ExistingError> {
        let base = self.base.to_owned();
        // An expired certificate of another authority is first of all one of another authority.
        let at_its_time =
            wanted.at.clamp(certificate.not_before(), certificate.not_after().max(certificate.not_before()));
        let of_other_authority =
            |e: &VerifyError| !matches!(e, VerifyError::Expired { .. } | VerifyError::NotYetValid { .. });
        let result = match certificate.verify(intermediates, wanted.ca, at_its_time) {
            Err(error) if of_other_authority(&error) => Err(error),
            _ => certificate.verify(intermediates, wanted.ca, wanted.at),
        };
        result.map_err(|source| match source {
            VerifyError::Expired { .. } | VerifyError::NotYetValid { .. } => {
                ExistingError::Dates { base, source }
            }
            _ => ExistingError::NotSigned { base, ca_base: wanted.ca_base.to_owned(), source },
        })
    }
}

/// The names and addresses that a certificate is not valid for. A wildcard stands for one label.
pub fn missing_sans(certificate: &Certificate, dns_names: &[String], ips: &[IpAddr]) -> Vec<String> {
    let covers = |pattern: &String, name: &str| {
        pattern.eq_ignore_ascii_case(name)
            || pattern.strip_prefix("*.").is_some_and(|domain| {
                name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
            })
    };
    let has_ip = |ip: &IpAddr| certificate.ips().iter().any(|c| c.to_canonical() == ip.to_canonical());
    let names =
        dns_names.iter().filter(|name| !certificate.dns_names().iter().any(|p| covers(p, name))).cloned();
    names.chain(ips.iter().filter(|ip| !has_ip(ip)).map(ToString::to_string)).collect()
}

/// The warning upstream prints of a certificate that is out of its dates, if it is.
pub fn bounds_warning(base: &str, certificate: &Certificate, at: Timestamp) -> Option<String> {
    let reason = match certificate.check_dates(at).err()? {
        VerifyError::NotYetValid { .. } => "the certificate is not valid yet",
        _ => "the certificate has expired",
    };
    let date = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string();
    Some(format!(
        "WARNING: could not validate bounds for certificate {base}: {reason}: NotBefore: {}, NotAfter: {}",
        date(certificate.not_before()),
        date(certificate.not_after()),
    ))
}

/// The bytes of the service account keys, as far as the files exist.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAccountFiles<'a> {
    /// Path of `sa.key`, for messages.
    pub key_path: &'a str,
    /// Path of `sa.pub`, for messages.
    pub public_path: &'a str,
    /// Content of `sa.key`.
    pub key: Option<&'a [u8]>,
    /// Content of `sa.pub`.
    pub public: Option<&'a [u8]>,
}

impl ServiceAccountFiles<'_> {
    /// Judges the two files. [`Existing::KeyOnly`] says that `sa.pub` has to be written from the key.
    ///
    /// # Errors
    /// [`ExistingError`]; also for `sa.pub` alone, since tokens signed by its lost half would die with it.
    pub fn keys(&self) -> Result<Existing<PrivateKey>, ExistingError> {
        let base = || crate::inventory::SERVICE_ACCOUNT_BASE.to_owned();
        let (key_path, public_path) = (self.key_path.to_owned(), self.public_path.to_owned());
        let key = self.key.map(PrivateKey::from_pem).transpose().map_err(|source| ExistingError::Key {
            base: base(),
            path: key_path.clone(),
            source,
        })?;
        let public = self
            .public
            .map(PublicKey::from_pem)
            .transpose()
            .map_err(|source| ExistingError::PublicKey { base: base(), path: public_path.clone(), source })?;
        match (key, public) {
            (None, None) => Ok(Existing::Absent),
            (None, Some(_)) => Err(ExistingError::PrivateKeyMissing { key_path, public_path }),
            (Some(key), None) => Ok(Existing::KeyOnly(key)),
            (Some(key), Some(public)) => {
                let own = key.public_key().map_err(|source| ExistingError::Key {
                    base: base(),
                    path: key_path.clone(),
                    source,
                })?;
                if own == public {
                    Ok(Existing::Complete(key))
                } else {
                    Err(ExistingError::KeyMismatch { certificate_path: public_path, key_path })
                }
            }
        }
    }

    /// Like [`Self::keys`] where nothing may be made: with an external authority, and when joining. `None` if
    /// there is neither file.
    ///
    /// # Errors
    /// [`ExistingError`]; also when only one of the files exists.
    pub fn required_keys(&self) -> Result<Option<PrivateKey>, ExistingError> {
        match self.keys()? {
            Existing::Absent => Ok(None),
            Existing::Complete(key) => Ok(Some(key)),
            Existing::KeyOnly(_) => Err(ExistingError::PublicKeyMissing {
                key_path: self.key_path.to_owned(),
                public_path: self.public_path.to_owned(),
            }),
        }
    }
}

/// Whether an authority is external: its certificate can be read and is an authority's, and there is no key.
/// Any other state of the files is not external; [`Files::authority`] says what it is.
pub fn is_external_ca(certificate: Option<&[u8]>, key_exists: bool) -> bool {
    !key_exists && certificate.is_some_and(|text| Certificate::from_pem(text).is_ok_and(|c| c.is_ca()))
}
