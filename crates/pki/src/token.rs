//! Bootstrap tokens: what they look like, and new ones at random.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Letters of the public part.
const TOKEN_ID_LENGTH: usize = 6;
/// Letters of the secret part.
const TOKEN_SECRET_LENGTH: usize = 16;

/// A bootstrap token `id.secret`. Printing it for debugging does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: Zeroizing<String>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The form is another. The text is not repeated, since it may be a mistyped secret.
    #[error("the bootstrap token was not of the form \"\\\\A([a-z0-9]{{6}})\\\\.([a-z0-9]{{16}})\\\\z\"")]
    Form,
    /// The source of random numbers failed.
    #[error("failed to generate a bootstrap token: no random numbers")]
    Random,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.****************)", self.id)
    }
}

impl Token {
    /// Reads `id.secret`.
    ///
    /// # Errors
    /// [`TokenError::Form`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        match text.split_once('.') {
            Some((id, secret)) if is_token_id(id) && is_token_secret(secret) => {
                Ok(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
            }
            _ => Err(TokenError::Form),
        }
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret part.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// `id.secret`.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, *self.secret))
    }
}

/// A new token.
///
/// # Errors
/// [`TokenError::Random`].
pub fn random_token() -> Result<Token, TokenError> {
    Ok(Token {
        id: random_letters(TOKEN_ID_LENGTH)?,
        secret: Zeroizing::new(random_letters(TOKEN_SECRET_LENGTH)?),
    })
}

/// Whether a text is the public part of a token: `[a-z0-9]{6}`.
pub fn is_token_id(text: &str) -> bool {
    text.len() == TOKEN_ID_LENGTH && text.bytes().all(|b| ALPHABET.contains(&b))
}

/// Whether a text is the secret part of a token: `[a-z0-9]{16}`.
pub fn is_token_secret(text: &str) -> bool {
    text.len() == TOKEN_SECRET_LENGTH && text.bytes().all(|b| ALPHABET.contains(&b))
}

/// Letters of the alphabet, each as likely as any other.
fn random_letters(count: usize) -> Result<String, TokenError> {
    // The greatest multiple of the alphabet's size that a byte holds; bytes beyond would favour some letters.
    const LIMIT: u8 = 252;
    let mut letters = String::with_capacity(count);
    let mut bytes = [0; 32];
    while letters.len() < count {
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| TokenError::Random)?;
        let fair = bytes.iter().filter(|b| **b < LIMIT);
        letters.extend(fair.take(count - letters.len()).map(|b| char::from(ALPHABET[usize::from(b % 36)])));
    }
    bytes.zeroize();
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn random_tokens_are_tokens_and_use_every_letter() {
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let token = random_token().unwrap();
            assert_eq!(Token::parse(&token.reveal()), Ok(token.clone()));
            seen.extend(token.secret().bytes());
        }
        assert_eq!(seen.len(), ALPHABET.len());
    }

    #[test]
    fn other_forms_are_refused_and_secrets_not_shown() {
        for text in [
            "",
            "abcdef",
            "abcdef.0123456789abcde",
            "abcdef.0123456789abcdeF",
            "abcdeF.0123456789abcdef",
            "abcdef.0123456789abcdef0",
            "abcdef.0123456789abcdef\n",
            "abcdef..0123456789abcde",
        ] {
            assert_eq!(Token::parse(text), Err(TokenError::Form), "{text:?}");
        }
        let token = Token::parse("abcdef.0123456789abcdef").unwrap();
        assert!(!format!("{token:?}").contains("0123"));
        assert_eq!(
            TokenError::Form.to_string(),
            r#"the bootstrap token was not of the form "\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z""#
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[a-z0-9]{6}\\.[a-z0-9]{16}") {
            prop_assert_eq!(&*Token::parse(&text).unwrap().reveal(), &text);
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,30}") {
            let _ = Token::parse(&text);
        }
    }
}
