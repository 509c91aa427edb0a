//! Bootstrap tokens: `ID.SECRET`, six and sixteen characters of `0-9a-z`.

use std::fmt;
use std::str::FromStr;

/// The pattern of a whole token, as upstream prints it in messages (cluster-bootstrap,
/// `token/api.BootstrapTokenPattern`).
pub const TOKEN_PATTERN: &str = r"\A([a-z0-9]{6})\.([a-z0-9]{16})\z";
/// The pattern of a token's public part (`token/api.BootstrapTokenIDPattern`).
pub const TOKEN_ID_PATTERN: &str = r"\A([a-z0-9]{6})\z";
/// The pattern of a group that a token may put its bearer into (`BootstrapGroupPattern`).
pub const GROUP_PATTERN: &str = r"\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z";
/// The group of joining nodes (`constants.NodeBootstrapTokenAuthGroup`).
pub const NODE_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";
/// What a token may be used for, in upstream's order (`KnownTokenUsages`).
pub const USAGES: [&str; 2] = ["signing", "authentication"];

/// Characters of the public part.
const ID_LENGTH: usize = 6;
/// Characters of the secret part.
const SECRET_LENGTH: usize = 16;

/// A bootstrap token. Printing it for debugging shows its public part only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BootstrapTokenString {
    /// The public part, which names the Secret.
    pub id: String,
    /// The secret part.
    pub secret: String,
}

/// A text that is no bootstrap token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bootstrap token {text:?} was not of the form {pattern:?}", pattern = TOKEN_PATTERN)]
pub struct TokenError {
    /// The text as given.
    pub text: String,
}

impl BootstrapTokenString {
    /// A new token, every character as likely as any other; `fill` fills a buffer with bytes that nobody can guess.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn random<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        // The largest multiple of 36 in a byte: bytes from it on would favour the first characters.
        const FAIR: u8 = 252;
        let mut id = String::with_capacity(ID_LENGTH + SECRET_LENGTH);
        while id.len() < ID_LENGTH + SECRET_LENGTH {
            let mut bytes = [0_u8; 32];
            fill(&mut bytes)?;
            let fair = bytes.iter().filter(|byte| **byte < FAIR).take(ID_LENGTH + SECRET_LENGTH - id.len());
            id.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 36)])));
        }
        let secret = id.split_off(ID_LENGTH);
        Ok(Self { id, secret })
    }

    /// Whether no token was given, so that one has to be made.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty() && self.secret.is_empty()
    }

    /// Whether both parts have the right length and characters.
    pub fn is_valid(&self) -> bool {
        is_token_id(&self.id) && is_part(&self.secret, SECRET_LENGTH)
    }
}

impl fmt::Debug for BootstrapTokenString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.<redacted>", self.id)
    }
}

impl fmt::Display for BootstrapTokenString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => Ok(()),
            false => write!(f, "{}.{}", self.id, self.secret),
        }
    }
}

impl FromStr for BootstrapTokenString {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        text.split_once('.')
            .map(|(id, secret)| BootstrapTokenString { id: id.to_owned(), secret: secret.to_owned() })
            .filter(BootstrapTokenString::is_valid)
            .ok_or_else(|| TokenError { text: text.to_owned() })
    }
}

/// Whether a text is the public part of a token.
pub fn is_token_id(text: &str) -> bool {
    is_part(text, ID_LENGTH)
}

/// Whether a text is a group for bearers of tokens ([`GROUP_PATTERN`]).
pub fn is_bootstrap_group(text: &str) -> bool {
    let Some(name) = text.strip_prefix("system:bootstrappers:") else { return false };
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 256
        && name.bytes().all(|b| plain(&b) || b == b':' || b == b'-')
        && name.as_bytes().last().is_some_and(plain)
}

fn is_part(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_printed() {
        let token: BootstrapTokenString = "abcdef.0123456789abcdef".parse().unwrap();
        assert_eq!(token.to_string(), "abcdef.0123456789abcdef");
        assert_eq!(format!("{token:?}"), "abcdef.<redacted>");
        assert_eq!(BootstrapTokenString::default().to_string(), "");
    }

    #[test]
    fn random_tokens_skip_bytes_that_would_favour_characters() {
        let mut next = 0_u8;
        let mut descend = |buffer: &mut [u8]| {
            for byte in buffer {
                next = next.wrapping_sub(1);
                *byte = next;
            }
            Ok::<(), String>(())
        };
        // 255 to 252 are skipped; 251 is the last of its seven times through the alphabet.
        let token = BootstrapTokenString::random(&mut descend).unwrap();
        assert_eq!(token.to_string(), "zyxwvu.tsrqponmlkjihgfe");
        // 32 bytes are gone, and the next are 223 and below.
        assert_eq!(BootstrapTokenString::random(descend).unwrap().id, "765432");
        let failed = BootstrapTokenString::random(|_: &mut [u8]| Err("empty"));
        assert_eq!(failed, Err("empty"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "abcdef",
            "abcdef.",
            "ABCDEF.0123456789abcdef",
            "abcdef.0123456789abcdef ",
            "abcdef.0123456789abcdef\n",
            "abcdef.0123456789abcdef0",
            "abcdef.0123456789abcdeF",
            "abcdef..0123456789abcde",
        ] {
            assert!(text.parse::<BootstrapTokenString>().is_err(), "{text}");
        }
        let error = "bad.token".parse::<BootstrapTokenString>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the bootstrap token "bad.token" was not of the form "\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z""#
        );
    }

    #[test]
    fn groups_follow_the_pattern() {
        assert!(is_bootstrap_group(NODE_GROUP));
        for text in
            ["system:bootstrappers:", "system:bootstrappers:a-", "system:masters", "system:bootstrappers:A"]
        {
            assert!(!is_bootstrap_group(text), "{text}");
        }
    }
}
