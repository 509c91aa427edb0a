//! The version of a Kubernetes component. It can be read, printed and turned into an image tag, but not ordered:
//! comparing versions is the business of [`crate::skew`] alone.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A semantic version such as `v1.37.2`, `v1.13.0-alpha.1` or `v1.36.3+abc`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// Major number.
    pub major: u32,
    /// Minor number: what releases are told apart by.
    pub minor: u32,
    /// Patch number.
    pub patch: u32,
    /// Pre-release, without its hyphen; empty for a release.
    pub pre: String,
    /// Build metadata, without its plus; empty if none.
    pub build: String,
}

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionError {
    /// The text as given.
    pub text: String,
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not parse {:?} as version", self.text)
    }
}

impl std::error::Error for VersionError {}

impl Version {
    /// A release without pre-release and build metadata.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, pre: String::new(), build: String::new() }
    }

    /// The tag of images built for this version: every character that a tag cannot hold becomes `_`, so
    /// `v1.37.2+abc` is found as `v1.37.2_abc` (upstream: `KubernetesVersionToImageTag`).
    pub fn image_tag(&self) -> String {
        self.to_string()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
            .collect()
    }

    /// The version as components print it in URLs and user agents: without the leading `v`.
    pub fn bare(&self) -> String {
        self.to_string().split_off(1)
    }

    /// `1.37`, as it appears in labels like `stable-1.37` and names like `kubelet-config-1.13`.
    pub fn major_minor(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// The first release of the minor that a text names: `v1.37`, `1.37`, or any version of it.
    pub fn first_of_minor(text: &str) -> Result<Self, VersionError> {
        let version = text.parse().or_else(|_| format!("{text}.0").parse::<Self>());
        let Self { major, minor, .. } = version.map_err(|_| VersionError { text: text.to_owned() })?;
        Ok(Self::new(major, minor, 0))
    }

    /// Semantic-version precedence: build metadata does not count, a pre-release precedes its release.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| pre_release_precedence(&self.pre, &other.pre))
    }
}

fn pre_release_precedence(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let (l, r) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(l), Some(r)) => (l, r),
        };
        let order = match (l.parse::<u64>(), r.parse::<u64>()) {
            (Ok(l), Ok(r)) => l.cmp(&r),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => l.cmp(r),
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError { text: text.to_owned() };
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut numbers = numbers.split('.');
        let mut number = || numbers.next().and_then(number).ok_or_else(error);
        let (major, minor, patch) = (number()?, number()?, number()?);
        if numbers.next().is_some() || [pre, build].into_iter().flatten().any(|part| !identifiers(part)) {
            return Err(error());
        }
        let owned = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Ok(Self { major, minor, patch, pre: owned(pre), build: owned(build) })
    }
}

/// A number without sign and without superfluous zeros.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Whether a text is a dot-separated list of non-empty identifiers.
fn identifiers(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints() {
        for text in ["v1.37.2", "v1.13.0-alpha.1", "v1.36.3+abc", "v1.8.0-alpha.2.1231+afabd012389d53a"] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(parse(&text[1..]).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_semantic_version() {
        for text in [
            "",
            "v",
            "1.37",
            "v1.37.2.1",
            "v01.2.3",
            "1.02.3",
            "banana",
            "v1.37.2-",
            "v1.37.2+",
            "v1.37.2-a..b",
            "1.37.x",
            "+1.2.3",
            "v1.2.3-é",
            "1.2.99999999999",
        ] {
            assert_eq!(text.parse::<Version>(), Err(VersionError { text: text.into() }), "{text}");
        }
    }

    #[test]
    fn minors_are_named_with_or_without_a_patch() {
        for text in ["v1.37", "1.37", "v1.37.2", "1.37.0-rc.1"] {
            assert_eq!(Version::first_of_minor(text), Ok(Version::new(1, 37, 0)), "{text}");
        }
        for text in ["37", "v1", "1.37.", "stable-1.37", ""] {
            assert_eq!(Version::first_of_minor(text), Err(VersionError { text: text.into() }));
        }
    }

    #[test]
    fn image_tags_hold_no_plus() {
        assert_eq!(parse("v1.37.2+abc.1").image_tag(), "v1.37.2_abc.1");
        assert_eq!(parse("1.37.2-beta.0").image_tag(), "v1.37.2-beta.0");
    }

    #[test]
    fn precedence_follows_semver() {
        let rising = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.1.0",
            "2.0.0",
        ];
        for pair in rising.windows(2) {
            assert_eq!(parse(pair[0]).precedence(&parse(pair[1])), Ordering::Less, "{pair:?}");
            assert_eq!(parse(pair[1]).precedence(&parse(pair[0])), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(parse("1.0.0+a").precedence(&parse("1.0.0+b")), Ordering::Equal);
    }
}
