//! What a user may write where a Kubernetes version is asked for: a version, or a label to look up.
//!
//! Looking a label up is not done here: this module only says what the text means and which address answers it.

use std::fmt;

use crate::version::Version;

/// Where published version labels live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// Releases: no prefix, or `release/`.
    Release,
    /// Continuous builds: `ci/`.
    Ci,
    /// Continuous builds for all architectures: `ci-cross/`. Gone since 1.22; older releases know it.
    CiCross,
}

impl Bucket {
    /// The base address of the bucket (upstream: `kubeReleaseBucketURL`).
    pub fn url(self) -> &'static str {
        match self {
            Self::Release => "https://dl.k8s.io/release",
            Self::Ci => "https://dl.k8s.io/ci",
            Self::CiCross => "https://dl.k8s.io/ci-cross",
        }
    }

    /// Whether images of this bucket come from the registry of continuous builds.
    pub fn is_ci(self) -> bool {
        !matches!(self, Self::Release)
    }
}

/// A version as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The version itself; no look-up is needed.
    Exact {
        /// The version.
        version: Version,
        /// Where its images come from.
        bucket: Bucket,
    },
    /// A label such as `stable-1.37`, to be fetched.
    Label {
        /// Where the label lives.
        bucket: Bucket,
        /// The label without prefix.
        label: String,
    },
}

/// A text that names no version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceError {
    /// Not even made of the right characters.
    Invalid(String),
    /// Neither a version nor a label.
    NeitherVersionNorLabel(String),
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "invalid version {text:?}"),
            Self::NeitherVersionNorLabel(text) => write!(
                f,
                "version {text:?} doesn't match patterns for neither semantic version nor labels (stable, latest, ...)"
            ),
        }
    }
}

impl std::error::Error for ReferenceError {}

impl Reference {
    /// Says what a text means (upstream: `splitVersion` and `KubernetesReleaseVersion`).
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Ok(version) = text.parse() {
            return Ok(Self::Exact { version, bucket: Bucket::Release });
        }
        let (bucket, rest) = split(text);
        if rest.is_empty() || !rest.chars().all(is_word) {
            return Err(ReferenceError::Invalid(text.to_owned()));
        }
        if let Ok(version) = rest.parse() {
            return Ok(Self::Exact { version, bucket });
        }
        if is_label(rest) {
            return Ok(Self::Label { bucket, label: rest.to_owned() });
        }
        Err(ReferenceError::NeitherVersionNorLabel(text.to_owned()))
    }
}

fn split(text: &str) -> (Bucket, &str) {
    let prefixes = [("release/", Bucket::Release), ("ci-cross/", Bucket::CiCross), ("ci/", Bucket::Ci)];
    prefixes
        .into_iter()
        .find_map(|(prefix, bucket)| text.strip_prefix(prefix).map(|rest| (bucket, rest)))
        .unwrap_or((Bucket::Release, text))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+')
}

/// Lower-case letters, then perhaps a hyphen and a qualifier: `stable`, `latest-1`, `stable-1.37`.
fn is_label(text: &str) -> bool {
    let (name, qualifier) = text.split_once('-').map_or((text, None), |(name, rest)| (name, Some(rest)));
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase())
        && qualifier.is_none_or(|q| !q.is_empty() && q.chars().all(|c| is_word(c) && c != '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_versions_from_labels() {
        let exact = |version: &str, bucket| Reference::Exact { version: version.parse().unwrap(), bucket };
        let label = |label: &str, bucket| Reference::Label { bucket, label: label.into() };
        for (text, expected) in [
            ("v1.37.2", exact("v1.37.2", Bucket::Release)),
            ("1.13.12", exact("v1.13.12", Bucket::Release)),
            ("release/v1.13.12", exact("v1.13.12", Bucket::Release)),
            ("ci/v1.13.0-alpha.1.123+abc", exact("v1.13.0-alpha.1.123+abc", Bucket::Ci)),
            ("stable", label("stable", Bucket::Release)),
            ("stable-1.37", label("stable-1.37", Bucket::Release)),
            ("ci/latest", label("latest", Bucket::Ci)),
            ("ci-cross/latest-1.12", label("latest-1.12", Bucket::CiCross)),
        ] {
            assert_eq!(Reference::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "stable 1", "a/b", "ci/", "vé"] {
            assert_eq!(Reference::parse(text), Err(ReferenceError::Invalid(text.into())), "{text}");
        }
        for text in ["1.37", "Stable", "stable-", "stable+1", "v1"] {
            assert_eq!(
                Reference::parse(text),
                Err(ReferenceError::NeitherVersionNorLabel(text.into())),
                "{text}"
            );
        }
    }
}
