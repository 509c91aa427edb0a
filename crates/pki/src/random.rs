//! Random numbers for whatever must not be guessed.

/// The system's source of random numbers failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers")]
pub struct NoRandom;

/// Fills a buffer with bytes that nobody can guess.
///
/// # Errors
/// [`NoRandom`].
pub fn random(buffer: &mut [u8]) -> Result<(), NoRandom> {
    aws_lc_rs::rand::fill(buffer).map_err(|_| NoRandom)
}
