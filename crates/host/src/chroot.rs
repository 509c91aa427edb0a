//! `--rootfs`: makes another directory the root of everything this process sees.

use std::path::{Path, PathBuf};

use crate::files::words;

/// Why the root could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChrootError {
    /// `chroot(2)` failed.
    #[error("unable to chroot to {}: {reason}", root.display())]
    Chroot {
        /// The new root.
        root: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The new root cannot be entered.
    #[error("unable to chdir to /: {reason}")]
    Chdir {
        /// The system's words.
        reason: String,
    },
}

/// Changes the root. To be called before anything else looks at the file system and before the first thread starts.
pub fn enter(root: &Path) -> Result<(), ChrootError> {
    rustix::process::chroot(root)
        .map_err(|e| ChrootError::Chroot { root: root.into(), reason: words(&e.into()) })?;
    rustix::process::chdir("/").map_err(|e| ChrootError::Chdir { reason: words(&e.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_root_that_is_missing() {
        let error = enter(Path::new("/no/such/root")).unwrap_err().to_string();
        // Without privileges the kernel may refuse before it looks.
        assert!(error.starts_with("unable to chroot to /no/such/root: "), "{error}");
    }
}
