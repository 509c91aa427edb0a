//! Judges a chain of certificates the way Go's `crypto/x509` does for an unnamed host and any usage,
//! and tells apart the reasons Go throws together. Names are compared as encoded.
//! Name constraints and revocation are not looked at.

use aws_lc_rs::signature::{self as alg, UnparsedPublicKey, VerificationAlgorithm};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _, Sequence};
use jiff::Timestamp;
use spki::AlgorithmIdentifierOwned;

use crate::certificate::Certificate;
use crate::key::{KeyKind, PublicKey};
use crate::oid;
use crate::time::rfc3339;

/// Why a chain is not good. The texts are those of Go 1.26's `crypto/x509`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The issuer is some other authority.
    #[error("x509: certificate signed by unknown authority")]
    WrongAuthority {
        /// Issuer of the last certificate that could be followed.
        issuer: String,
        /// Subject of the authority it was held against.
        authority: String,
    },
    /// The issuer has the authority's name, but another key signed.
    #[error(
        "x509: certificate signed by unknown authority (possibly because of {reason:?} while trying to verify candidate authority certificate {authority:?})"
    )]
    BadSignature {
        /// What failed, in Go's words.
        reason: &'static str,
        /// Common name of the authority.
        authority: String,
    },
    /// A certificate of the chain has expired.
    #[error(
        "x509: certificate has expired or is not yet valid: current time {} is after {}",
        rfc3339(*at),
        rfc3339(*not_after)
    )]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// End of its validity.
        not_after: Timestamp,
        /// The time it was judged for.
        at: Timestamp,
    },
    /// A certificate of the chain is not valid yet.
    #[error(
        "x509: certificate has expired or is not yet valid: current time {} is before {}",
        rfc3339(*at),
        rfc3339(*not_before)
    )]
    NotYetValid {
        /// Subject of the certificate.
        subject: String,
        /// Start of its validity.
        not_before: Timestamp,
        /// The time it was judged for.
        at: Timestamp,
    },
    /// What should have signed is no authority.
    #[error("x509: certificate is not authorized to sign other certificates")]
    NotAuthority {
        /// Subject of the certificate.
        subject: String,
    },
    /// More intermediates than an authority allows.
    #[error("x509: too many intermediates for path length constraint")]
    PathTooLong {
        /// Subject of the authority.
        subject: String,
    },
    /// Signed by a method that is not trusted or not known.
    #[error("x509: cannot verify signature: algorithm unimplemented")]
    UnknownMethod {
        /// Identifier of the method.
        method: String,
    },
}

impl Certificate {
    /// Whether `ca` vouches for this certificate at the time `at`, directly or through `intermediates`,
    /// which may stand in any order.
    ///
    /// # Errors
    /// The reason. When several ways were tried, that of the way that came closest.
    pub fn verify(
        &self,
        intermediates: &[Certificate],
        ca: &Certificate,
        at: Timestamp,
    ) -> Result<(), VerifyError> {
        self.check_dates(at)?;
        if self == ca {
            return Ok(());
        }
        let mut unused: Vec<&Certificate> = intermediates.iter().collect();
        verify_from(self, &mut unused, ca, at, 0)
    }

    /// Whether the time `at` lies in its validity.
    ///
    /// # Errors
    /// [`VerifyError::Expired`] or [`VerifyError::NotYetValid`].
    pub fn check_dates(&self, at: Timestamp) -> Result<(), VerifyError> {
        if at < self.not_before() {
            return Err(VerifyError::NotYetValid {
                subject: self.subject().to_string(),
                not_before: self.not_before(),
                at,
            });
        }
        // The end is a whole second and belongs to the validity.
        if at.as_second() > self.not_after().as_second() {
            return Err(VerifyError::Expired {
                subject: self.subject().to_string(),
                not_after: self.not_after(),
                at,
            });
        }
        Ok(())
    }

    /// Whether `signer`'s key made the signature of this certificate; nothing else is looked at.
    ///
    /// # Errors
    /// [`VerifyError::BadSignature`] or [`VerifyError::UnknownMethod`].
    pub fn check_signature(&self, signer: &Certificate) -> Result<(), VerifyError> {
        check_signature(
            &self.signature_algorithm,
            signer.public_key(),
            self.signed(),
            &self.signature,
            signer.subject().common_name(),
        )
    }

    /// Whether it may sign the certificate of a chain that has `below` intermediates under it.
    fn check_authority(&self, below: usize) -> Result<(), VerifyError> {
        let subject = || self.subject().to_string();
        // Certificates of version 1 and 2 could not say whether they are an authority, yet Go refuses them.
        if !self.is_ca() || !self.may_sign_certificates() {
            return Err(VerifyError::NotAuthority { subject: subject() });
        }
        if self.path_length().is_some_and(|limit| below > usize::from(limit)) {
            return Err(VerifyError::PathTooLong { subject: subject() });
        }
        Ok(())
    }
}

/// Verifies the way up from `lower`, which is good itself but for its signature.
fn verify_from(
    lower: &Certificate,
    unused: &mut Vec<&Certificate>,
    ca: &Certificate,
    at: Timestamp,
    depth: usize,
) -> Result<(), VerifyError> {
    let signed_by = |upper: &Certificate| {
        lower.check_signature(upper)?;
        upper.check_authority(depth)?;
        upper.check_dates(at)
    };
    let mut failure = None;
    if lower.issuer().encoded() == ca.subject().encoded() {
        match signed_by(ca) {
            Ok(()) => return Ok(()),
            Err(error) => failure = Some(error),
        }
    }
    for i in 0..unused.len() {
        if unused[i].subject().encoded() != lower.issuer().encoded() {
            continue;
        }
        let upper = unused.swap_remove(i);
        let result = signed_by(upper).and_then(|()| verify_from(upper, unused, ca, at, depth + 1));
        if result.is_ok() {
            return result;
        }
        failure = failure.or(result.err());
        // Put back where it was, so that the other ways see the same list.
        unused.push(upper);
        let last = unused.len() - 1;
        unused.swap(i, last);
    }
    Err(failure.unwrap_or_else(|| VerifyError::WrongAuthority {
        issuer: lower.issuer().to_string(),
        authority: ca.subject().to_string(),
    }))
}

pub(crate) fn check_signature(
    method: &AlgorithmIdentifierOwned,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
    signer: &str,
) -> Result<(), VerifyError> {
    let algorithm = algorithm(method, key.kind())
        .ok_or_else(|| VerifyError::UnknownMethod { method: method.oid.to_string() })?;
    UnparsedPublicKey::new(algorithm, key.bits()).verify(message, signature).map_err(|_| {
        VerifyError::BadSignature {
            reason: match key.kind() {
                KeyKind::Rsa { .. } => "crypto/rsa: verification error",
                KeyKind::Ed25519 => "x509: Ed25519 verification failure",
                _ => "x509: ECDSA verification failure",
            },
            authority: signer.to_owned(),
        }
    })
}

/// The library's name for a method of signing together with a kind of key. MD5 and SHA-1 have none: Go
/// refuses them too.
fn algorithm(method: &AlgorithmIdentifierOwned, key: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (method.oid, key) {
        (oid::RSA_SHA256, KeyKind::Rsa { .. }) => &alg::RSA_PKCS1_2048_8192_SHA256,
        (oid::RSA_SHA384, KeyKind::Rsa { .. }) => &alg::RSA_PKCS1_2048_8192_SHA384,
        (oid::RSA_SHA512, KeyKind::Rsa { .. }) => &alg::RSA_PKCS1_2048_8192_SHA512,
        (oid::RSA_PSS, KeyKind::Rsa { .. }) => match pss_hash(method)? {
            oid::SHA256 => &alg::RSA_PSS_2048_8192_SHA256,
            oid::SHA384 => &alg::RSA_PSS_2048_8192_SHA384,
            oid::SHA512 => &alg::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
        (oid::ECDSA_SHA256, KeyKind::EcdsaP256) => &alg::ECDSA_P256_SHA256_ASN1,
        (oid::ECDSA_SHA384, KeyKind::EcdsaP256) => &alg::ECDSA_P256_SHA384_ASN1,
        (oid::ECDSA_SHA512, KeyKind::EcdsaP256) => &alg::ECDSA_P256_SHA512_ASN1,
        (oid::ECDSA_SHA256, KeyKind::EcdsaP384) => &alg::ECDSA_P384_SHA256_ASN1,
        (oid::ECDSA_SHA384, KeyKind::EcdsaP384) => &alg::ECDSA_P384_SHA384_ASN1,
        (oid::ECDSA_SHA512, KeyKind::EcdsaP384) => &alg::ECDSA_P384_SHA512_ASN1,
        (oid::ECDSA_SHA256, KeyKind::EcdsaP521) => &alg::ECDSA_P521_SHA256_ASN1,
        (oid::ECDSA_SHA384, KeyKind::EcdsaP521) => &alg::ECDSA_P521_SHA384_ASN1,
        (oid::ECDSA_SHA512, KeyKind::EcdsaP521) => &alg::ECDSA_P521_SHA512_ASN1,
        (oid::ED25519, KeyKind::Ed25519) => &alg::ED25519,
        _ => return None,
    })
}

/// The hash of RSASSA-PSS parameters (RFC 4055), if the salt is as long as the hash: Go takes no other.
fn pss_hash(method: &AlgorithmIdentifierOwned) -> Option<ObjectIdentifier> {
    #[derive(Sequence)]
    struct Parameters {
        #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
        hash: Option<AlgorithmIdentifierOwned>,
        #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
        #[allow(dead_code, reason = "part of the form; the library demands the same hash here")]
        mask: Option<AlgorithmIdentifierOwned>,
        #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
        salt_length: Option<u32>,
    }
    let encoded = method.parameters.as_ref()?.to_der().ok()?;
    let parameters = Parameters::from_der(&encoded).ok()?;
    let hash = parameters.hash?.oid;
    let length = match hash {
        oid::SHA256 => 32,
        oid::SHA384 => 48,
        _ => 64,
    };
    (parameters.salt_length == Some(length)).then_some(hash)
}
