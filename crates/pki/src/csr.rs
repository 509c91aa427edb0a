//! Certificate signing requests (PKCS#10): made for an authority that is not at hand, and read again.
//! A request names subject and alternative names only; usages are the signer's affair, as upstream.

use std::net::IpAddr;

use der::asn1::{Any, BitString, SetOfVec};
use der::{Decode as _, Encode as _, Reader as _, Sequence, SliceReader};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;

use crate::certificate::{self, CertificateError};
use crate::issue::{self, CertificateRequest, IssueError};
use crate::key::{PrivateKey, PublicKey};
use crate::name::Name;
use crate::verify::{VerifyError, check_signature};
use crate::{oid, pem};

const LABEL: &str = "CERTIFICATE REQUEST";

/// A signing request that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    /// Whom the certificate is to be for.
    pub subject: Name,
    /// The key to be certified.
    pub public_key: PublicKey,
    /// DNS names asked for.
    pub dns_names: Vec<String>,
    /// Addresses asked for.
    pub ips: Vec<IpAddr>,
}

#[derive(Sequence)]
struct Info {
    version: u8,
    subject: Any,
    key: Any,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    attributes: SetOfVec<Attribute>,
}

/// Why a signing request is no good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningRequestError {
    /// The text has no such block.
    #[error("data does not contain a certificate request")]
    None,
    /// The block is malformed.
    #[error(transparent)]
    Malformed(#[from] CertificateError),
    /// It was not signed by the key it is about.
    #[error("the certificate request is not signed by its own key: {0}")]
    Signature(#[from] VerifyError),
}

/// Makes a signing request for `key`, as PEM. Usages and validity of `request` have no place in it.
///
/// # Errors
/// [`IssueError`].
pub fn signing_request(request: &CertificateRequest, key: &PrivateKey) -> Result<String, IssueError> {
    let mut attributes = SetOfVec::new();
    if let Some(names) = issue::alternative_names(&request.dns_names, &request.ips)? {
        let mut values = SetOfVec::new();
        values.insert(Any::encode_from(&vec![names])?)?;
        attributes.insert(Attribute { oid: oid::EXTENSION_REQUEST, values })?;
    }
    let info = Info {
        version: 0,
        subject: request.subject()?.encoded().clone(),
        key: Any::from_der(key.public_key()?.spki())?,
        attributes,
    };
    Ok(pem::encode(LABEL, &issue::signed(&info, key)?).to_string())
}

impl SigningRequest {
    /// The first signing request of a PEM text, its signature checked.
    ///
    /// # Errors
    /// [`SigningRequestError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningRequestError> {
        let block = pem::blocks(text)
            .into_iter()
            .find(|b| b.label == LABEL || b.label == "NEW CERTIFICATE REQUEST")
            .ok_or(SigningRequestError::None)?;
        let malformed = |e: der::Error| SigningRequestError::Malformed(e.into());
        let (signed, method, signature) = SliceReader::new(&block.der)
            .and_then(|mut outer| {
                outer.sequence(|inner| {
                    Ok::<_, der::Error>((
                        inner.tlv_bytes()?,
                        AlgorithmIdentifierOwned::decode(inner)?,
                        BitString::decode(inner)?,
                    ))
                })
            })
            .map_err(malformed)?;
        let info = Info::from_der(signed).map_err(malformed)?;
        let key = info
            .key
            .to_der()
            .ok()
            .and_then(|der| PublicKey::from_spki(&der).ok())
            .ok_or_else(|| CertificateError::Malformed { reason: "invalid public key".to_owned() })?;
        check_signature(&method, &key, signed, signature.raw_bytes(), "")?;
        let mut request = Self {
            subject: Name::from_encoded(info.subject).map_err(malformed)?,
            public_key: key,
            dns_names: Vec::new(),
            ips: Vec::new(),
        };
        for attribute in info.attributes.iter().filter(|a| a.oid == oid::EXTENSION_REQUEST) {
            for value in attribute.values.iter() {
                let extensions: Vec<Extension> = value.decode_as().map_err(malformed)?;
                for extension in extensions.iter().filter(|e| e.extn_id == oid::SUBJECT_ALT_NAME) {
                    (request.dns_names, request.ips) =
                        certificate::alternative_names(extension.extn_value.as_bytes()).map_err(malformed)?;
                }
            }
        }
        Ok(request)
    }
}
