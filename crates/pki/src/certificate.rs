//! Certificates as they are read. What was signed is kept as the bytes that came, never encoded anew.
//! Judges nothing: see [`crate::verify`].

use std::net::IpAddr;

use der::asn1::{Any, BitString, Int, OctetString};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode as _, Reader as _, Sequence, SliceReader};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::time::Time;

use crate::key::PublicKey;
use crate::name::Name;
use crate::{oid, pem};

pub(crate) const LABEL: &str = "CERTIFICATE";

/// Why a certificate could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text has no such block (client-go `cert.ParseCertsPEM`, 1.37).
    #[error("data does not contain any valid RSA or ECDSA certificates")]
    None,
    /// A block is not a certificate.
    #[error("x509: malformed certificate: {reason}")]
    Malformed {
        /// What the decoder met.
        reason: String,
    },
}

impl From<der::Error> for CertificateError {
    fn from(error: der::Error) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}

/// What a certificate may be used for (extended key usage).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Usage {
    /// `serverAuth`.
    Server,
    /// `clientAuth`.
    Client,
    /// Any other, by identifier.
    Other(ObjectIdentifier),
}

impl Usage {
    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Server => oid::SERVER_AUTH,
            Self::Client => oid::CLIENT_AUTH,
            Self::Other(oid) => oid,
        }
    }

    fn from_oid(oid: ObjectIdentifier) -> Self {
        match oid {
            oid::SERVER_AUTH => Self::Server,
            oid::CLIENT_AUTH => Self::Client,
            other => Self::Other(other),
        }
    }
}

/// The signed part, both for reading and for writing. Names and key stay as encoded.
#[derive(Clone, Debug, Sequence)]
pub(crate) struct Tbs {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub(crate) version: u8,
    pub(crate) serial: Int,
    pub(crate) signature: AlgorithmIdentifierOwned,
    pub(crate) issuer: Any,
    pub(crate) validity: Period,
    pub(crate) subject: Any,
    pub(crate) key: Any,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) issuer_id: Option<BitString>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) subject_id: Option<BitString>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension>>,
}

#[derive(Clone, Debug, Sequence)]
pub(crate) struct Period {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    pub(crate) signature_algorithm: AlgorithmIdentifierOwned,
    pub(crate) signature: Vec<u8>,
    serial: Vec<u8>,
    version: u8,
    subject: Name,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    key: PublicKey,
    extensions: Facts,
}

#[derive(Clone, Debug, Default)]
struct Facts {
    basic: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    usages: Vec<Usage>,
    dns_names: Vec<String>,
    ips: Vec<IpAddr>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl Certificate {
    /// The first certificate of a PEM text.
    ///
    /// # Errors
    /// As [`Self::all_from_pem`].
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self::chain_from_pem(text)?.0)
    }

    /// The first certificate of a PEM text, and those after it, which upstream takes for intermediates.
    ///
    /// # Errors
    /// As [`Self::all_from_pem`].
    pub fn chain_from_pem(text: &[u8]) -> Result<(Self, Vec<Self>), CertificateError> {
        let mut all = Self::all_from_pem(text)?;
        let first = all.remove(0);
        Ok((first, all))
    }

    /// Every certificate of a PEM text, at least one.
    ///
    /// # Errors
    /// When there is none, or one of them can't be read.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let all = pem::blocks(text)
            .iter()
            .filter(|block| block.label == LABEL && !block.has_headers)
            .map(|block| Self::from_der(&block.der))
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err(CertificateError::None) } else { Ok(all) }
    }

    /// From DER.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let mut outer = SliceReader::new(der)?;
        let (signed, signature_algorithm, signature) = outer.sequence(|inner| {
            Ok::<_, der::Error>((
                inner.tlv_bytes()?,
                AlgorithmIdentifierOwned::decode(inner)?,
                BitString::decode(inner)?,
            ))
        })?;
        if !outer.is_finished() {
            return Err(CertificateError::Malformed { reason: "trailing data".to_owned() });
        }
        let tbs = Tbs::from_der(signed)?;
        if tbs.signature != signature_algorithm {
            return Err(CertificateError::Malformed {
                reason: "inner and outer signature algorithm identifiers don't match".to_owned(),
            });
        }
        let key = PublicKey::from_spki(&tbs.key.to_der()?)
            .map_err(|_| CertificateError::Malformed { reason: "invalid public key".to_owned() })?;
        Ok(Self {
            der: der.to_vec(),
            signed: signed.to_vec(),
            signature_algorithm,
            signature: signature
                .as_bytes()
                .ok_or(CertificateError::Malformed { reason: "signature of broken bytes".to_owned() })?
                .to_vec(),
            serial: tbs.serial.as_bytes().to_vec(),
            version: tbs.version + 1,
            subject: Name::from_encoded(tbs.subject)?,
            issuer: Name::from_encoded(tbs.issuer)?,
            not_before: timestamp(tbs.validity.not_before),
            not_after: timestamp(tbs.validity.not_after),
            key,
            extensions: Facts::read(tbs.extensions.as_deref().unwrap_or_default())?,
        })
    }

    /// The certificate alone, as a PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der).to_string()
    }

    /// DER, as read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The bytes the signature is over.
    pub(crate) fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Whom it is for.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The serial number, big-endian, without leading zeros beyond what its sign needs.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// 3 for every certificate made today.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Start of its validity. A date beyond what a timestamp can hold is the greatest timestamp.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of its validity, which is still valid. Out of range as for [`Self::not_before`].
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whose key it certifies.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it says to be an authority (basic constraints).
    pub fn is_ca(&self) -> bool {
        self.extensions.basic.as_ref().is_some_and(|b| b.ca)
    }

    /// The basic constraints, if it has any: authority or not, and the path length.
    pub fn basic_constraints(&self) -> Option<(bool, Option<u8>)> {
        self.extensions.basic.as_ref().map(|b| (b.ca, b.path_len_constraint))
    }

    /// How many intermediate authorities may follow below it.
    pub(crate) fn path_length(&self) -> Option<u8> {
        self.extensions.basic.as_ref().and_then(|b| b.path_len_constraint)
    }

    /// Whether its key usage, if any is given, allows signing certificates.
    pub(crate) fn may_sign_certificates(&self) -> bool {
        self.extensions.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    /// The key usage, if it names one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// Extended key usages; none means any.
    pub fn usages(&self) -> &[Usage] {
        &self.extensions.usages
    }

    /// DNS names of the subject alternative name, in order.
    pub fn dns_names(&self) -> &[String] {
        &self.extensions.dns_names
    }

    /// Addresses of the subject alternative name, in order.
    pub fn ips(&self) -> &[IpAddr] {
        &self.extensions.ips
    }

    /// Its own key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// The key identifier of its issuer.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions.authority_key_id.as_deref()
    }

    /// The text by which a joining node pins this authority: `sha256:` and the digest of its public key.
    pub fn pin(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.key.spki());
        format!("sha256:{}", crate::hex::encode(digest.as_ref()))
    }
}

impl Facts {
    fn read(extensions: &[Extension]) -> Result<Self, der::Error> {
        let mut facts = Self::default();
        for extension in extensions {
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                oid::BASIC_CONSTRAINTS => facts.basic = Some(BasicConstraints::from_der(value)?),
                oid::KEY_USAGE => facts.key_usage = Some(KeyUsage::from_der(value)?),
                oid::EXT_KEY_USAGE => {
                    facts.usages =
                        ExtendedKeyUsage::from_der(value)?.0.into_iter().map(Usage::from_oid).collect();
                }
                oid::SUBJECT_ALT_NAME => (facts.dns_names, facts.ips) = alternative_names(value)?,
                oid::SUBJECT_KEY_IDENTIFIER => {
                    facts.subject_key_id = Some(OctetString::from_der(value)?.as_bytes().to_vec());
                }
                oid::AUTHORITY_KEY_IDENTIFIER => {
                    facts.authority_key_id = AuthorityKeyIdentifier::from_der(value)?
                        .key_identifier
                        .map(|id| id.as_bytes().to_vec());
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

/// DNS names and addresses of an encoded subject alternative name; other kinds are passed over.
pub(crate) fn alternative_names(value: &[u8]) -> der::Result<(Vec<String>, Vec<IpAddr>)> {
    let (mut names, mut ips) = (Vec::new(), Vec::new());
    for name in Vec::<Any>::from_der(value)? {
        // Kinds the library does not know (x400Address) may stand in a corporate certificate.
        match GeneralName::from_der(&name.to_der()?) {
            Ok(GeneralName::DnsName(name)) => names.push(name.to_string()),
            Ok(GeneralName::IpAddress(octets)) => ips.push(address(octets.as_bytes())?),
            _ => {}
        }
    }
    Ok((names, ips))
}

fn address(octets: &[u8]) -> der::Result<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| der::Tag::OctetString.length_error().into())
}

fn timestamp(time: Time) -> Timestamp {
    let seconds = time.to_unix_duration().as_secs();
    // RFC 5280 writes "no end" as the last second of the year 9999, which is beyond the greatest timestamp.
    i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Certificate {
        Certificate::from_pem(include_bytes!("../tests/data/two-units-ca.crt")).unwrap()
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!(Certificate::from_pem(b""), Err(CertificateError::None));
        let mut der = sample().der().to_vec();
        der.push(0);
        assert!(matches!(Certificate::from_der(&der), Err(CertificateError::Malformed { .. })));
        let text = pem::encode(LABEL, b"x");
        let both = format!("{}{}", sample().to_pem(), *text);
        assert!(matches!(Certificate::from_pem(both.as_bytes()), Err(CertificateError::Malformed { .. })));
    }

    #[test]
    fn the_rest_of_a_file_is_its_chain() {
        let text = format!("# ours\n{}\n{}", sample().to_pem(), sample().to_pem());
        let (first, rest) = Certificate::chain_from_pem(text.as_bytes()).unwrap();
        assert_eq!(first, sample());
        assert_eq!(rest, [sample()]);
        assert_eq!(first.to_pem().as_bytes(), include_bytes!("../tests/data/two-units-ca.crt"));
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_never_verifies(at in 0_usize..10_000, flip in 1_u8..=255) {
            let whole = sample();
            let mut der = whole.der().to_vec();
            let at = at % der.len();
            der[at] ^= flip;
            if let Ok(read) = Certificate::from_der(&der) {
                let _ = read.subject().to_string();
                prop_assert!(read.check_signature(&whole).is_err());
            }
        }
    }
}
