//! Makes certificates in the form the releases of kubeadm write them. Time and keys come from the
//! caller; only serial numbers are drawn here.

use std::net::IpAddr;

use aws_lc_rs::digest;
use der::asn1::{Any, BitString, Ia5String, Int, OctetString, Uint};
use der::flagset::FlagSet;
use der::oid::ObjectIdentifier;
use der::{DateTime, Decode as _, Encode, Sequence};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::time::Time;

use crate::certificate::{Certificate, CertificateError, Period, Tbs, Usage};
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::name::Name;
use crate::oid;
use crate::random;

/// How the certificates of a release are made. Which release has which form is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertForm {
    /// The serial number of an authority is drawn; before, it was 0.
    pub random_ca_serial: bool,
    /// An authority has its common name as a DNS name too (from 1.22).
    pub ca_san: bool,
    /// A leaf says that it is no authority (from 1.21).
    pub leaf_basic_constraints: bool,
    /// DNS names are sorted, and double names and addresses left out (from 1.19).
    pub distinct_sans: bool,
    /// How long before now a certificate begins, in seconds. `None`: an authority begins now, and its
    /// leaves begin with it.
    pub back_dated_seconds: Option<i64>,
}

impl CertForm {
    /// The validity of an authority, or of a leaf of `ca`, made at `now` for `period_seconds`.
    pub fn validity(&self, now: Timestamp, period_seconds: i64, ca: Option<&Certificate>) -> Validity {
        match (self.back_dated_seconds, ca) {
            (None, Some(ca)) => {
                Validity { not_before: ca.not_before(), not_after: shifted(now, period_seconds) }
            }
            (back, _) => Validity {
                not_before: shifted(now, back.unwrap_or(0).saturating_neg()),
                not_after: shifted(now, period_seconds),
            },
        }
    }
}

/// A timestamp moved by seconds, at most to the ends of what can be said.
fn shifted(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(time)
}

/// From when to when, both included, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// CN of the subject; must not be empty.
    pub common_name: String,
    /// O of the subject, any number.
    pub organizations: Vec<String>,
    /// DNS names, in the order to be written.
    pub dns_names: Vec<String>,
    /// Addresses, in the order to be written.
    pub ips: Vec<IpAddr>,
    /// Extended key usages; a leaf needs one at least.
    pub usages: Vec<Usage>,
    /// Its dates.
    pub validity: Validity,
}

/// Why a certificate could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Without a name (kubeadm `pkiutil.NewSignedCert`, 1.37).
    #[error("must specify a CommonName")]
    NoCommonName,
    /// Without a usage (as above).
    #[error("must specify at least one ExtKeyUsage")]
    NoUsage,
    /// What is to be renewed may sign certificates itself.
    #[error(
        "the certificate {subject:?} is a certificate authority: another one like it would be an authority below the cluster's"
    )]
    IsAuthority {
        /// Its subject.
        subject: String,
    },
    /// The authority may not sign.
    #[error("the certificate {subject:?} is not a certificate authority")]
    NotAuthority {
        /// Its subject.
        subject: String,
    },
    /// The authority's key is another than its certificate's.
    #[error("the private key does not belong to the certificate authority {subject:?}")]
    KeyMismatch {
        /// Subject of the authority.
        subject: String,
    },
    /// A date before 1970 or after 9999.
    #[error("the date {date} can't be written in a certificate")]
    Date {
        /// The date.
        date: Timestamp,
    },
    /// A serial number could not be drawn.
    #[error("failed to draw a serial number")]
    Random,
    /// A value that no certificate can hold.
    #[error("can't encode the certificate: {0}")]
    Encode(#[from] der::Error),
    /// What was made can't be read.
    #[error(transparent)]
    Read(#[from] CertificateError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes an authority that signs itself. Usages and alternative names of the request are not used; its
/// only DNS name, if the form has one, is its common name.
///
/// # Errors
/// [`IssueError`].
pub fn self_signed_ca(
    request: &CertificateRequest,
    key: &PrivateKey,
    form: CertForm,
) -> Result<Certificate, IssueError> {
    let public = key.public_key()?;
    let subject = request.subject()?;
    let own_name = std::slice::from_ref(&request.common_name);
    let mut extensions = vec![
        key_usage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment | KeyUsages::KeyCertSign)?,
        basic_constraints(true)?,
        subject_key_id(&public)?,
    ];
    extensions.extend(alternative_names(if form.ca_san { own_name } else { &[] }, &[])?);
    let serial = if form.random_ca_serial { random_serial()? } else { 0 };
    let issuer = subject.clone();
    let validity = request.validity;
    sign(Content { validity, issuer: &issuer, subject: &subject, key: &public, extensions, serial }, key)
}

/// Makes a leaf signed by `ca`. The identifier of the authority is taken from its certificate, as it is.
///
/// # Errors
/// [`IssueError`].
pub fn issue(
    request: &CertificateRequest,
    key: &PublicKey,
    ca: &Certificate,
    ca_key: &PrivateKey,
    form: CertForm,
) -> Result<Certificate, IssueError> {
    if request.usages.is_empty() {
        return Err(IssueError::NoUsage);
    }
    check_signer(ca, ca_key)?;
    let subject = request.subject()?;
    let usages = ExtendedKeyUsage(request.usages.iter().map(|u| u.oid()).collect());
    // The order of Go's `x509.CreateCertificate`.
    let mut extensions = vec![
        key_usage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment)?,
        extension(oid::EXT_KEY_USAGE, false, &usages)?,
    ];
    if form.leaf_basic_constraints {
        extensions.push(basic_constraints(false)?);
    }
    extensions.extend(authority_key_id(ca)?);
    extensions.extend(alternative_names(&request.dns_names, &request.ips)?);
    let (validity, serial) = (request.validity, random_serial()?);
    sign(Content { validity, issuer: ca.subject(), subject: &subject, key, extensions, serial }, ca_key)
}

/// What a certificate says of its issuer and of the act of issuing: these extensions hold for that one only.
const OF_THE_ISSUER: [ObjectIdentifier; 5] = [
    oid::ISSUER_ALT_NAME,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::FRESHEST_CRL,
    oid::AUTHORITY_INFORMATION_ACCESS,
    oid::SIGNED_TIMESTAMPS,
];

/// Makes a certificate like `old` for a new key: the subject with all its attributes and every extension stay as they
/// are encoded, but for key identifiers and what tells of the issuer. Neither the dates nor the signature of `old`
/// are looked at.
///
/// # Errors
/// [`IssueError`]; also when `old` is an authority.
pub fn renew(
    old: &Certificate,
    key: &PublicKey,
    ca: &Certificate,
    ca_key: &PrivateKey,
    validity: Validity,
) -> Result<Certificate, IssueError> {
    check_signer(ca, ca_key)?;
    if old.is_ca() {
        return Err(IssueError::IsAuthority { subject: old.subject().to_string() });
    }
    let mut authority = authority_key_id(ca)?;
    let mut extensions = Vec::new();
    for kept in Tbs::from_der(old.signed())?.extensions.unwrap_or_default() {
        extensions.extend(match kept.extn_id {
            oid::AUTHORITY_KEY_IDENTIFIER => authority.take(),
            oid::SUBJECT_KEY_IDENTIFIER => Some(subject_key_id(key)?),
            id if OF_THE_ISSUER.contains(&id) => None,
            _ => Some(kept),
        });
    }
    extensions.extend(authority);
    let (issuer, subject, serial) = (ca.subject(), old.subject(), random_serial()?);
    sign(Content { validity, issuer, subject, key, extensions, serial }, ca_key)
}

fn check_signer(ca: &Certificate, ca_key: &PrivateKey) -> Result<(), IssueError> {
    let subject = || ca.subject().to_string();
    if !ca.is_ca() {
        return Err(IssueError::NotAuthority { subject: subject() });
    }
    if ca_key.public_key()? != *ca.public_key() {
        return Err(IssueError::KeyMismatch { subject: subject() });
    }
    Ok(())
}

impl CertificateRequest {
    pub(crate) fn subject(&self) -> Result<Name, IssueError> {
        if self.common_name.is_empty() {
            return Err(IssueError::NoCommonName);
        }
        Ok(Name::new(&self.common_name, &self.organizations)?)
    }
}

struct Content<'a> {
    validity: Validity,
    issuer: &'a Name,
    subject: &'a Name,
    key: &'a PublicKey,
    extensions: Vec<Extension>,
    serial: u64,
}

fn sign(content: Content<'_>, signer: &PrivateKey) -> Result<Certificate, IssueError> {
    let validity = content.validity;
    let tbs = Tbs {
        version: 2,
        serial: Int::from(Uint::new(&content.serial.to_be_bytes())?),
        signature: signer.signature_algorithm(),
        issuer: content.issuer.encoded().clone(),
        validity: Period { not_before: time(validity.not_before)?, not_after: time(validity.not_after)? },
        subject: content.subject.encoded().clone(),
        key: Any::from_der(content.key.spki())?,
        issuer_id: None,
        subject_id: None,
        extensions: Some(content.extensions),
    };
    Ok(Certificate::from_der(&signed(&tbs, signer)?)?)
}

/// Content, method and signature in one sequence: the outer form of certificates and of requests.
pub(crate) fn signed(content: &impl Encode, signer: &PrivateKey) -> Result<Vec<u8>, IssueError> {
    #[derive(Sequence)]
    struct Signed {
        content: Any,
        method: AlgorithmIdentifierOwned,
        signature: BitString,
    }
    let bytes = content.to_der()?;
    let (signature, method) = signer.sign(&bytes)?;
    let whole =
        Signed { content: Any::from_der(&bytes)?, method, signature: BitString::from_bytes(&signature)? };
    Ok(whole.to_der()?)
}

/// The subject key identifier of Go 1.25 and later: 160 bits of the SHA-256 of the key (RFC 7093, method 1).
fn subject_key_id(key: &PublicKey) -> der::Result<Extension> {
    let id = &digest::digest(&digest::SHA256, key.bits()).as_ref()[..20].to_vec();
    extension(oid::SUBJECT_KEY_IDENTIFIER, false, &OctetString::new(id.as_slice())?)
}

/// The identifier of the authority's key, as the authority itself has it.
fn authority_key_id(ca: &Certificate) -> der::Result<Option<Extension>> {
    let Some(id) = ca.subject_key_id() else { return Ok(None) };
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(id)?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority).map(Some)
}

/// Uniform in 1 to 2^63 - 2, as upstream draws it.
fn random_serial() -> Result<u64, IssueError> {
    loop {
        let mut bytes = [0; 8];
        random(&mut bytes).map_err(|_| IssueError::Random)?;
        let serial = u64::from_be_bytes(bytes) >> 1;
        if serial != 0 && serial != i64::MAX as u64 {
            return Ok(serial);
        }
    }
}

fn time(date: Timestamp) -> Result<Time, IssueError> {
    let error = IssueError::Date { date };
    let seconds = u64::try_from(date.as_second()).map_err(|_| error.clone())?;
    let date = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).map_err(|_| error)?;
    // UTCTime through 2049, GeneralizedTime after.
    Ok(Time::from(date))
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn key_usage(usages: impl Into<FlagSet<KeyUsages>>) -> der::Result<Extension> {
    extension(oid::KEY_USAGE, true, &KeyUsage(usages.into()))
}

fn basic_constraints(ca: bool) -> der::Result<Extension> {
    extension(oid::BASIC_CONSTRAINTS, true, &BasicConstraints { ca, path_len_constraint: None })
}

/// The alternative names, or nothing when there are none.
pub(crate) fn alternative_names(dns_names: &[String], ips: &[IpAddr]) -> der::Result<Option<Extension>> {
    if dns_names.is_empty() && ips.is_empty() {
        return Ok(None);
    }
    let mut names = Vec::with_capacity(dns_names.len() + ips.len());
    for name in dns_names {
        names.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    names.extend(ips.iter().map(|ip| GeneralName::from(*ip)));
    extension(oid::SUBJECT_ALT_NAME, false, &names).map(Some)
}
