//! What can be wrong with a configuration, and what is merely worth saying.
//!
//! Texts are upstream's where upstream has one; the place in the file follows in parentheses.

use std::fmt;

use kubeadm_release::{ReferenceError, ReleaseError};
use kubeadm_yaml::{ErrorKind, YamlError};

use crate::address::{AddressError, EndpointError};
use crate::features::FeatureGateError;
use crate::token::TokenError;
use crate::validate::FieldErrors;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub source: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// A problem with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What is wrong.
    pub text: String,
    /// Where; absent when the object did not come from a file.
    pub place: Option<Place>,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// Several problems, printed as Go's error aggregates are: one bare, more in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Placed>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_aggregate(f, &self.0)
    }
}

/// Writes one item bare and several in brackets, each text once (upstream: `errors.Aggregate`).
pub(crate) fn write_aggregate<T: ToString>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    let mut texts: Vec<String> = Vec::with_capacity(items.len());
    for text in items.iter().map(T::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => f.write_str(one),
        many => write!(f, "[{}]", many.join(", ")),
    }
}

/// Group, version and kind as Go's `%#v` shows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl GroupVersionKind {
    /// `group/version`.
    pub fn group_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

/// The same in Go syntax.
struct GoSyntax<'a>(&'a GroupVersionKind);

impl fmt::Display for GoSyntax<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupVersionKind { group, version, kind } = self.0;
        write!(f, "schema.GroupVersionKind{{Group:{group:?}, Version:{version:?}, Kind:{kind:?}}}")
    }
}

/// A document that says things nobody understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrictProblem {
    /// Unknown fields and duplicate keys.
    Fields {
        /// The document.
        gvk: GroupVersionKind,
        /// What it says.
        problems: Vec<Placed>,
    },
    /// Nobody knows the kind.
    UnknownKind {
        /// The document.
        gvk: GroupVersionKind,
        /// Where it begins.
        place: Place,
    },
}

impl fmt::Display for StrictProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StrictProblem::Fields { gvk, problems } => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "error unmarshaling configuration {}: strict decoding error: {}",
                    GoSyntax(gvk),
                    texts.join(", ")
                )
            }
            StrictProblem::UnknownKind { gvk, place } => {
                write!(f, "unknown configuration {} ({place})", GoSyntax(gvk))
            }
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not YAML.
    #[error("{}", not_yaml(.0))]
    Yaml(#[from] Box<YamlError>),
    /// A document does not say what it is.
    #[error(
        "invalid configuration for GroupVersionKind {gvk}: kind and apiVersion is mandatory information that must be specified ({place})"
    )]
    Anonymous {
        /// What is known of it.
        gvk: GroupVersionKind,
        /// Where it begins.
        place: Place,
    },
    /// A kind comes more than once.
    #[error("{0}")]
    Twice(Problems),
    /// `MasterConfiguration` beside the kinds it was split into.
    #[error("kind \"MasterConfiguration\" holds everything and cannot stand beside kind {other:?} ({place})")]
    BesideMaster {
        /// The other kind.
        other: &'static str,
        /// Where it begins.
        place: Place,
    },
    /// An API that is no longer read.
    #[error(
        "your configuration file uses an old API spec: {group_version:?} (kind: {kind:?}). Please use kubeadm {kubeadm} instead and run 'kubeadm config migrate --old-config old-config-file --new-config new-config-file', which will write the new, similar spec using a newer API version. ({place})"
    )]
    OldApi {
        /// Group and version.
        group_version: String,
        /// Kind.
        kind: String,
        /// The release that still reads it.
        kubeadm: &'static str,
        /// Where it begins.
        place: Place,
    },
    /// An API that has to be allowed.
    #[error(
        "experimental API spec: {group_version:?} (kind: {kind:?}) is not allowed. You can use the --allow-experimental-api flag if the command supports it. ({place})"
    )]
    Experimental {
        /// Group and version.
        group_version: String,
        /// Kind.
        kind: String,
        /// Where it begins.
        place: Place,
    },
    /// Things nobody understands, where that is an error.
    #[error("{0}")]
    Strict(StrictProblem),
    /// Values of the wrong type.
    #[error("{0}")]
    Types(Problems),
    /// A file without what was looked for.
    #[error("no {wanted} found in the {where_}")]
    Missing {
        /// The kind or kinds.
        wanted: &'static str,
        /// How upstream calls the file here.
        where_: &'static str,
    },
    /// A component configuration of a version that is not read.
    #[error(
        "unsupported apiVersion {found:?}, you may have to do manual conversion to {wanted:?} and run kubeadm again ({place})"
    )]
    ComponentVersion {
        /// As written.
        found: String,
        /// As needed.
        wanted: &'static str,
        /// Where it begins.
        place: Place,
    },
    /// An old field that has no counterpart for this release.
    #[error("{0}")]
    Conversion(Placed),
    /// A token given as a flag.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Feature gates given as a flag.
    #[error(transparent)]
    FeatureGates(#[from] FeatureGateError),
    /// A text that names no version.
    #[error(transparent)]
    Version(#[from] ReferenceError),
    /// A look-up that answered, but not with a version.
    #[error("unable to fetch file. {0}")]
    Lookup(String),
    /// A release without exact facts.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A bad control-plane endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No host name.
    #[error("empty hostname is invalid")]
    NoHostname,
    /// The host name could not be read.
    #[error("could not read the host name: {0}")]
    Hostname(String),
    /// Several container runtimes.
    #[error(
        "found multiple CRI endpoints on the host. Please define which one do you wish to use by setting the 'criSocket' field in the kubeadm configuration file: {}",
        .0.join(", ")
    )]
    ManyRuntimes(Vec<String>),
    /// No randomness for a token.
    #[error("couldn't generate random token: {0}")]
    Random(String),
    /// Values that are refused, all of them.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// Flags that cannot stand beside `--config`.
    #[error("can not mix '--config' with arguments [{}]", .0.join(" "))]
    MixedArguments(Vec<String>),
    /// An unknown name in `--component-configs`.
    #[error("--component-configs needs to contain some of [KubeProxyConfiguration KubeletConfiguration]")]
    ComponentName,
    /// An unknown name in `--api-objects`.
    #[error(
        "unknown API object {0:?}: expected some of [InitConfiguration ClusterConfiguration JoinConfiguration KubeProxyConfiguration KubeletConfiguration]"
    )]
    PrintedKind(String),
}

/// Upstream splits a file before it looks at YAML, so a bad separator has words of its own.
fn not_yaml(error: &YamlError) -> String {
    match &*error.kind {
        ErrorKind::Separator(_) => error.to_string(),
        _ => format!(
            "could not interpret GroupVersionKind; unmarshal error: error converting YAML to JSON: {error}"
        ),
    }
}

impl From<YamlError> for ConfigError {
    fn from(error: YamlError) -> Self {
        ConfigError::Yaml(Box::new(error))
    }
}

/// How loudly a notice is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Always shown.
    Warning,
    /// Shown at `-v` of that number and above.
    Info(u8),
}

/// Something worth saying that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loudly.
    pub severity: Severity,
    /// The text.
    pub text: String,
}

impl Notice {
    /// A warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Notice { severity: Severity::Warning, text: text.into() }
    }

    /// Something shown at `-v=LEVEL` and above.
    pub fn info(level: u8, text: impl Into<String>) -> Self {
        Notice { severity: Severity::Info(level), text: text.into() }
    }
}
