//! Keys, certificates, kubeconfig files and the seals of the certificate Secret: everything that
//! turns bytes into bytes and is secret or signed.
//!
//! Must not touch files, the network, or the clock: time is a parameter, and so is the place new keys come
//! from ([`KeySource`]). The only provider of cryptography is aws-lc-rs. What differs between releases comes
//! from the caller ([`CertForm`]).

mod certificate;
mod csr;
pub mod existing;
mod hex;
pub mod inventory;
mod issue;
pub mod jws;
mod key;
pub mod kubeconfig;
mod name;
mod oid;
mod pem;
mod random;
mod sans;
mod sealed;
mod time;
mod verify;

pub use certificate::{Certificate, CertificateError, Usage};
pub use csr::{SigningRequest, SigningRequestError, signing_request};
pub use existing::{
    Authority, Existing, ExistingError, Files, Leaf, ServiceAccountFiles, Wanted, bounds_warning,
    is_external_ca, missing_sans,
};
pub use hex::sha256_hex;
pub use issue::{CertForm, CertificateRequest, IssueError, Validity, issue, renew, self_signed_ca};
pub use key::{KeyAlgorithm, KeyError, KeyKind, KeySource, PrivateKey, PublicKey};
pub use name::Name;
pub use random::{NoRandom, random};
pub use sans::Sans;
pub use sealed::{CERTIFICATE_KEY_LENGTH, CertificateKey, SealError};
pub use time::rfc3339;
pub use verify::VerifyError;
