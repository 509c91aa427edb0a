//! `kubeadm token`: bootstrap tokens.

use crate::error::CommandError;
use crate::output;

/// `token generate`: prints a random token.
pub(crate) fn generate() -> Result<(), CommandError> {
    output::line(&kubeadm_pki::random_token()?.reveal());
    Ok(())
}
