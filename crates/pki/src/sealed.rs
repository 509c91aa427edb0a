//! Seals the certificates that `upload-certs` stores: AES-256-GCM, a 12-byte nonce before the ciphertext, the
//! 16-byte tag after it, no additional data (kubeadm `app/util/crypto/crypto.go`, 1.37).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a certificate key; as text twice as many hexadecimal digits.
pub const CERTIFICATE_KEY_LENGTH: usize = 32;

/// The key that opens the stored certificates. Not shown when printed for debugging.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CertificateKey([u8; CERTIFICATE_KEY_LENGTH]);

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(..)")
    }
}

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a certificate key. The text is not repeated.
    #[error("the certificate key must be {} hexadecimal digits, found {found} characters{}", 2 * CERTIFICATE_KEY_LENGTH, if *hexadecimal { "" } else { " that are not all hexadecimal digits" })]
    Key {
        /// Length of the text.
        found: usize,
        /// Whether all of them are digits.
        hexadecimal: bool,
    },
    /// Too short for a nonce and a tag.
    #[error("the encrypted data has {found} bytes, expected {} at least", NONCE_LEN + TAG_LENGTH)]
    TooShort {
        /// Bytes found.
        found: usize,
    },
    /// The tag does not fit: another key, or the data was changed.
    #[error(
        "cannot decrypt: the certificate key is not the one the data was encrypted with, or the data was altered"
    )]
    Open,
    /// The library failed.
    #[error("failed to encrypt")]
    Seal,
}

const TAG_LENGTH: usize = 16;

impl CertificateKey {
    /// A new key.
    ///
    /// # Errors
    /// [`SealError::Seal`] when there are no random numbers.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = [0; CERTIFICATE_KEY_LENGTH];
        crate::random(&mut bytes).map_err(|_| SealError::Seal)?;
        Ok(Self(bytes))
    }

    /// From 64 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`SealError::Key`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let found = text.chars().count();
        let digits = Zeroizing::new(digits.ok_or(SealError::Key { found, hexadecimal: false })?);
        if digits.len() != 2 * CERTIFICATE_KEY_LENGTH {
            return Err(SealError::Key { found, hexadecimal: true });
        }
        let mut bytes = [0; CERTIFICATE_KEY_LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(crate::hex::encode(&self.0))
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| SealError::Seal)
    }

    /// Encrypts under a nonce of its own.
    ///
    /// # Errors
    /// [`SealError::Seal`].
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plain.to_vec();
        let nonce =
            self.cipher()?.seal_in_place_append_tag(Aad::empty(), &mut body).map_err(|_| SealError::Seal)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`SealError::TooShort`] or [`SealError::Open`].
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let too_short = SealError::TooShort { found: sealed.len() };
        if sealed.len() < NONCE_LEN + TAG_LENGTH {
            return Err(too_short);
        }
        let (nonce, body) = sealed.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| too_short)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain =
            self.cipher()?.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| SealError::Open)?.len();
        body.truncate(plain);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made with Go 1.26's crypto/cipher from the same key.
    #[test]
    fn what_go_sealed_is_opened() {
        let key = CertificateKey::parse(&"0F".repeat(32)).unwrap();
        let sealed: Vec<u8> = GO_SEALED.as_bytes().chunks(2).map(hex_byte).collect();
        assert_eq!(&**key.open(&sealed).unwrap(), b"certificate\n");
    }

    const GO_SEALED: &str =
        "6e6f6e63652d6f662d3132626350346eebac6111e809cfddd205866175ee88f42530b220054e16a5";

    fn hex_byte(pair: &[u8]) -> u8 {
        u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
    }

    #[test]
    fn each_failure_has_its_own_error() {
        let key = CertificateKey::generate().unwrap();
        let mut sealed = key.seal(b"x").unwrap();
        assert_eq!(sealed.len(), 12 + 1 + 16);
        assert_eq!(CertificateKey::generate().unwrap().open(&sealed), Err(SealError::Open));
        sealed[20] ^= 1;
        assert_eq!(key.open(&sealed), Err(SealError::Open));
        assert_eq!(key.open(&sealed[..27]), Err(SealError::TooShort { found: 27 }));
        assert_eq!(
            CertificateKey::parse("abc").unwrap_err().to_string(),
            "the certificate key must be 64 hexadecimal digits, found 3 characters"
        );
        assert_eq!(
            CertificateKey::parse(&"g".repeat(64)),
            Err(SealError::Key { found: 64, hexadecimal: false })
        );
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(plain in prop::collection::vec(any::<u8>(), 0..200)) {
            let key = CertificateKey::generate().unwrap();
            let again = CertificateKey::parse(&key.reveal()).unwrap();
            prop_assert_eq!(&*again.open(&key.seal(&plain).unwrap()).unwrap(), &plain);
        }
    }
}
