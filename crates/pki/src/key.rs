//! Private and public keys: making, reading, writing, signing. All cryptography is aws-lc-rs.
//! Must not touch files: a key's text leaves this crate only as a string that wipes itself.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use crate::{oid, pem};

/// The kinds of key kubeadm makes: `encryptionAlgorithm` of the configuration
/// (kubeadm.k8s.io/v1beta4, `EncryptionAlgorithmType`; the 3072, 4096 and P384 forms since 1.31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits, what every release takes when nothing is said.
    #[default]
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// ECDSA on the curve P-256.
    EcdsaP256,
    /// ECDSA on the curve P-384.
    EcdsaP384,
}

impl KeyAlgorithm {
    /// Every algorithm, in upstream's order.
    pub const ALL: [Self; 5] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::EcdsaP256 => "ECDSA-P256",
            Self::EcdsaP384 => "ECDSA-P384",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == name)
            .ok_or_else(|| KeyError::UnknownAlgorithm { name: name.to_owned() })
    }
}

/// Why a key could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name that is none of [`KeyAlgorithm::ALL`].
    #[error(
        "unknown encryption algorithm {name:?}: expected one of ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096"
    )]
    UnknownAlgorithm {
        /// What was given.
        name: String,
    },
    /// The random source or the library failed.
    #[error("failed to generate a private key of type {algorithm}")]
    Generate {
        /// What was to be made.
        algorithm: KeyAlgorithm,
    },
    /// The text holds no private key (client-go `keyutil.ParsePrivateKeyPEM`, 1.37).
    #[error("data does not contain a valid RSA or ECDSA private key")]
    NoPrivateKey,
    /// There is a block of a private key, but it is encrypted.
    #[error("the private key is encrypted: remove its passphrase, for example with `openssl pkey`")]
    Encrypted,
    /// There is a block of a private key, but it can't be used.
    #[error(
        "the {label:?} block holds no usable key: expected RSA with 2048 to 8192 bits, or ECDSA on P-256, P-384 or P-521"
    )]
    UnusablePrivateKey {
        /// Type of the PEM block.
        label: String,
    },
    /// The text holds no public key (client-go `keyutil.ParsePublicKeysPEM`, 1.37).
    #[error("data does not contain any valid RSA or ECDSA public keys")]
    NoPublicKey,
    /// The signature could not be computed.
    #[error("failed to sign with the private key")]
    Sign,
}

/// Where new private keys come from: made ahead of time, on the spot, or by a test.
pub trait KeySource: Send + Sync {
    /// A new key.
    ///
    /// # Errors
    /// When none can be made.
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError>;
}

enum Pair {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair, Curve),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }
}

/// A private key. Cheap to clone; its memory is wiped by the library when the last clone goes.
#[derive(Clone)]
pub struct PrivateKey(Arc<Pair>);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

const RSA_LABEL: &str = "RSA PRIVATE KEY";
const EC_LABEL: &str = "EC PRIVATE KEY";
const PKCS8_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_PKCS8_LABEL: &str = "ENCRYPTED PRIVATE KEY";

impl PrivateKey {
    /// A new key from the random source of the system. Code with a [`KeySource`] at hand asks that instead.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let rsa = |size| rsa::KeyPair::generate(size).map(Pair::Rsa);
        let ec = |curve: Curve| EcdsaKeyPair::generate(curve.signing()).map(|pair| Pair::Ecdsa(pair, curve));
        let pair = match algorithm {
            KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096),
            KeyAlgorithm::EcdsaP256 => ec(Curve::P256),
            KeyAlgorithm::EcdsaP384 => ec(Curve::P384),
        };
        pair.map(|p| Self(Arc::new(p))).map_err(|_| KeyError::Generate { algorithm })
    }

    /// The first private key of a PEM text: PKCS#1, SEC 1 or PKCS#8. Other blocks, such as
    /// `EC PARAMETERS`, are skipped.
    ///
    /// # Errors
    /// When there is none, or only encrypted or unusable ones.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let mut failure = KeyError::NoPrivateKey;
        for block in pem::blocks(text) {
            let pair = match block.label.as_str() {
                RSA_LABEL | EC_LABEL if block.has_headers => {
                    failure = KeyError::Encrypted;
                    continue;
                }
                ENCRYPTED_PKCS8_LABEL => {
                    failure = KeyError::Encrypted;
                    continue;
                }
                RSA_LABEL => rsa::KeyPair::from_der(&block.der).ok().map(Pair::Rsa),
                EC_LABEL => ecdsa(|a| EcdsaKeyPair::from_private_key_der(a, &block.der).ok()),
                PKCS8_LABEL => rsa::KeyPair::from_pkcs8(&block.der)
                    .ok()
                    .map(Pair::Rsa)
                    .or_else(|| ecdsa(|a| EcdsaKeyPair::from_pkcs8(a, &block.der).ok())),
                _ => continue,
            };
            match pair {
                Some(pair) => return Ok(Self(Arc::new(pair))),
                None => failure = KeyError::UnusablePrivateKey { label: block.label },
            }
        }
        Err(failure)
    }

    /// The key as upstream writes it: `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC 1).
    ///
    /// # Errors
    /// Only when the library can't encode its own key.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        match &*self.0 {
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Sign)?;
                // PKCS#1 is the body of PKCS#8.
                let info = pkcs8::PrivateKeyInfoRef::from_der(document.as_ref())
                    .map_err(|_| KeyError::NoPrivateKey)?;
                Ok(pem::encode(RSA_LABEL, info.private_key.as_bytes()))
            }
            Pair::Ecdsa(pair, _) => {
                let document: EcPrivateKeyRfc5915Der<'_> =
                    pair.private_key().as_der().map_err(|_| KeyError::NoPrivateKey)?;
                Ok(pem::encode(EC_LABEL, document.as_ref()))
            }
        }
    }

    /// The public half.
    ///
    /// # Errors
    /// Only when the library can't encode its own key.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let document: PublicKeyX509Der<'_> = match &*self.0 {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ecdsa(pair, _) => pair.public_key().as_der(),
        }
        .map_err(|_| KeyError::NoPublicKey)?;
        PublicKey::from_spki(document.as_ref())
    }

    /// Signs with the hash Go takes for the kind of key: SHA-256 for RSA and P-256, SHA-384 for P-384,
    /// SHA-512 for P-521. Returns the signature and the name of the method.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<(Vec<u8>, AlgorithmIdentifierOwned), KeyError> {
        let random = SystemRandom::new();
        match &*self.0 {
            Pair::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut bytes)
                    .map_err(|_| KeyError::Sign)?;
                Ok((bytes, self.signature_algorithm()))
            }
            Pair::Ecdsa(pair, _) => {
                let bytes = pair.sign(&random, message).map_err(|_| KeyError::Sign)?;
                Ok((bytes.as_ref().to_vec(), self.signature_algorithm()))
            }
        }
    }

    /// The method of [`Self::sign`], which a certificate names inside of what is signed.
    pub(crate) fn signature_algorithm(&self) -> AlgorithmIdentifierOwned {
        match &*self.0 {
            // RFC 4055: NULL parameters for RSA; RFC 5758: none for ECDSA.
            Pair::Rsa(_) => {
                AlgorithmIdentifierOwned { oid: oid::RSA_SHA256, parameters: Some(der::asn1::Any::null()) }
            }
            Pair::Ecdsa(_, curve) => AlgorithmIdentifierOwned {
                oid: match curve {
                    Curve::P256 => oid::ECDSA_SHA256,
                    Curve::P384 => oid::ECDSA_SHA384,
                    Curve::P521 => oid::ECDSA_SHA512,
                },
                parameters: None,
            },
        }
    }
}

fn ecdsa(read: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>) -> Option<Pair> {
    Curve::ALL.into_iter().find_map(|curve| read(curve.signing()).map(|pair| Pair::Ecdsa(pair, curve)))
}

/// What sort of public key a certificate carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, with the length of the modulus.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519: may verify (an external CA), never signs here.
    Ed25519,
    /// Anything else, by its identifier.
    Other(ObjectIdentifier),
}

impl KeyKind {
    /// `RSA`, `ECDSA` or the like: the family, for comparing `sa.key` with `sa.pub`.
    pub fn family(self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Other(_) => "unknown",
        }
    }

    /// The algorithm that makes keys most like this one.
    pub fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Rsa { bits: ..=2048 } => KeyAlgorithm::Rsa2048,
            Self::Rsa { bits: 2049..=3072 } => KeyAlgorithm::Rsa3072,
            Self::Rsa { bits: 3073.. } => KeyAlgorithm::Rsa4096,
            Self::EcdsaP256 | Self::Ed25519 => KeyAlgorithm::EcdsaP256,
            // kubeadm makes no keys on P-521.
            Self::EcdsaP384 | Self::EcdsaP521 => KeyAlgorithm::EcdsaP384,
            Self::Other(_) => KeyAlgorithm::default(),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::EcdsaP256 => f.write_str("ECDSA-P256"),
            Self::EcdsaP384 => f.write_str("ECDSA-P384"),
            Self::EcdsaP521 => f.write_str("ECDSA-P521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "{oid}"),
        }
    }
}

/// A public key, kept as it was encoded.
#[derive(Clone, Debug)]
pub struct PublicKey {
    spki: Vec<u8>,
    /// The content of the bit string: what verifies, and what the key identifier is a digest of.
    bits: Vec<u8>,
    kind: KeyKind,
}

impl PartialEq for PublicKey {
    /// Compares the keys themselves: parameters may be encoded in more than one way.
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.bits == other.bits
    }
}

impl Eq for PublicKey {}

const PUBLIC_LABEL: &str = "PUBLIC KEY";

impl PublicKey {
    /// From the DER of a SubjectPublicKeyInfo (PKIX).
    ///
    /// # Errors
    /// [`KeyError::NoPublicKey`] when it is malformed.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| KeyError::NoPublicKey)?;
        let bits = info.subject_public_key.as_bytes().ok_or(KeyError::NoPublicKey)?.to_vec();
        let kind = match info.algorithm.oid {
            oid::RSA_ENCRYPTION => KeyKind::Rsa { bits: modulus_bits(&bits).ok_or(KeyError::NoPublicKey)? },
            oid::EC_PUBLIC_KEY => match info.algorithm.parameters_oid() {
                Ok(oid::CURVE_P256) => KeyKind::EcdsaP256,
                Ok(oid::CURVE_P384) => KeyKind::EcdsaP384,
                Ok(oid::CURVE_P521) => KeyKind::EcdsaP521,
                Ok(curve) => KeyKind::Other(curve),
                Err(_) => return Err(KeyError::NoPublicKey),
            },
            oid::ED25519 => KeyKind::Ed25519,
            other => KeyKind::Other(other),
        };
        Ok(Self { spki: spki.to_vec(), bits, kind })
    }

    /// The first public key of a PEM text: PKIX, or that of a certificate or a private key, as Go allows.
    ///
    /// # Errors
    /// [`KeyError::NoPublicKey`] when there is none.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let found = pem::blocks(text).into_iter().find_map(|block| match block.label.as_str() {
            PUBLIC_LABEL => Self::from_spki(&block.der).ok(),
            _ => None,
        });
        if let Some(key) = found {
            return Ok(key);
        }
        if let Ok(key) = PrivateKey::from_pem(text) {
            return key.public_key();
        }
        crate::Certificate::from_pem(text).map(|c| c.public_key().clone()).map_err(|_| KeyError::NoPublicKey)
    }

    /// `PUBLIC KEY` (PKIX).
    pub fn to_pem(&self) -> String {
        pem::encode(PUBLIC_LABEL, &self.spki).to_string()
    }

    /// Sort and size.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The DER of the SubjectPublicKeyInfo, as it was read.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }
}

fn modulus_bits(pkcs1: &[u8]) -> Option<usize> {
    #[derive(der::Sequence)]
    struct RsaPublicKey {
        modulus: der::asn1::Uint,
        #[allow(dead_code, reason = "part of the form")]
        exponent: der::asn1::Uint,
    }
    let key = RsaPublicKey::from_der(pkcs1).ok()?;
    key.exponent.encoded_len().ok()?;
    let bytes = key.modulus.as_bytes();
    let first = bytes.first()?;
    Some(bytes.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_the_configuration() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        assert_eq!(
            "rsa".parse::<KeyAlgorithm>().unwrap_err().to_string(),
            "unknown encryption algorithm \"rsa\": expected one of ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096"
        );
    }

    #[test]
    fn a_key_is_read_as_written_and_not_shown() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let text = key.to_pem().unwrap();
        let read = PrivateKey::from_pem(text.as_bytes()).unwrap();
        assert_eq!(read.public_key().unwrap(), key.public_key().unwrap());
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
        let public = key.public_key().unwrap();
        assert_eq!(PublicKey::from_pem(public.to_pem().as_bytes()).unwrap(), public);
        assert_eq!(PublicKey::from_pem(text.as_bytes()).unwrap(), public);
        assert_eq!(PublicKey::from_pem(b"x").unwrap_err(), KeyError::NoPublicKey);
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(
            label in prop::sample::select(vec!["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "PUBLIC KEY"]),
            der in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let text = pem::encode(label, &der);
            let _ = PrivateKey::from_pem(text.as_bytes());
            let _ = PublicKey::from_pem(text.as_bytes());
        }
    }
}
