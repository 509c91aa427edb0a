//! The detached signature by which `cluster-info` is proved to a joining node: compact JWS, HS256, keyed with
//! the secret of a bootstrap token, the payload left out (`header..signature`).
//! Form: RFC 7515 and `cluster-bootstrap/token/jws` of Kubernetes 1.37.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why a signature does not prove a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not `header..signature`.
    #[error("the signature is not a detached JWS: expected the form header..signature")]
    Form,
    /// Signed by another method or for another token.
    #[error("the signature's header is {found}, expected {expected}")]
    Header {
        /// The header found, decoded.
        found: String,
        /// The header of a signature by this token.
        expected: String,
    },
    /// The text or the token is another than that signed with.
    #[error("the signature does not belong to this content and token {token_id:?}")]
    Mismatch {
        /// Public part of the token.
        token_id: String,
    },
}

fn header(token_id: &str) -> String {
    format!("{{\"alg\":\"HS256\",\"kid\":{}}}", serde_json::Value::from(token_id))
}

fn signing_input(encoded_header: &str, content: &str) -> String {
    format!("{encoded_header}.{}", URL_SAFE_NO_PAD.encode(content))
}

fn key(token_secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token_secret.as_bytes())
}

/// Signs a text with a token.
pub fn sign(content: &str, token_id: &str, token_secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header(token_id));
    let tag = hmac::sign(&key(token_secret), signing_input(&header, content).as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Whether `signature` proves that `content` comes from a holder of the token. Takes as long for a wrong
/// signature as for the right one.
///
/// # Errors
/// [`JwsError`].
pub fn verify(content: &str, signature: &str, token_id: &str, token_secret: &str) -> Result<(), JwsError> {
    let (encoded_header, encoded_tag) = signature.split_once("..").ok_or(JwsError::Form)?;
    let found = URL_SAFE_NO_PAD.decode(encoded_header).map_err(|_| JwsError::Form)?;
    let tag = URL_SAFE_NO_PAD.decode(encoded_tag).map_err(|_| JwsError::Form)?;
    let expected = header(token_id);
    let same = serde_json::from_slice::<serde_json::Value>(&found)
        .is_ok_and(|value| value["alg"] == "HS256" && value["kid"] == token_id);
    if !same {
        return Err(JwsError::Header { found: String::from_utf8_lossy(&found).into_owned(), expected });
    }
    hmac::verify(&key(token_secret), signing_input(encoded_header, content).as_bytes(), &tag)
        .map_err(|_| JwsError::Mismatch { token_id: token_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The value that `cluster-bootstrap/token/jws/jws_test.go` of Kubernetes expects.
    #[test]
    fn the_known_answer_of_upstream() {
        let secret = "my voice is my passcode";
        let content = "Hello from the other side. I must have called a thousand times.";
        let signature = sign(content, "joshua", secret);
        assert_eq!(
            signature,
            "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"
        );
    }

    #[test]
    fn each_difference_has_its_own_error() {
        let good = sign("text", "abcdef", "0123456789abcdef");
        assert_eq!(verify("text", &good, "abcdef", "0123456789abcdef"), Ok(()));
        assert_eq!(
            verify("texts", &good, "abcdef", "0123456789abcdef"),
            Err(JwsError::Mismatch { token_id: "abcdef".to_owned() })
        );
        assert_eq!(
            verify("text", &good, "abcdef", "0123456789abcdeg"),
            Err(JwsError::Mismatch { token_id: "abcdef".to_owned() })
        );
        assert!(matches!(verify("text", &good, "abcdeg", "0123456789abcdef"), Err(JwsError::Header { .. })));
        assert_eq!(verify("text", "a.b.c", "abcdef", "s"), Err(JwsError::Form));
        // A header that claims no signature is needed.
        let none = format!("{}..", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"abcdef"}"#));
        assert!(matches!(verify("text", &none, "abcdef", "s"), Err(JwsError::Header { .. })));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_proved(content in "\\PC*", id in "[a-z0-9]{6}", secret in "[a-z0-9]{16}") {
            prop_assert_eq!(verify(&content, &sign(&content, &id, &secret), &id, &secret), Ok(()));
        }

        #[test]
        fn nothing_else_is(signature in "\\PC*") {
            prop_assert!(verify("text", &signature, "abcdef", "0123456789abcdef").is_err());
        }
    }
}
