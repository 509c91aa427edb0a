//! What can be wrong with a YAML text, always with its place.

use std::fmt;

use crate::parse::Position;

/// A YAML text could not be read, or does not have the expected form.
///
/// Displays as `file:line:column: what`, followed by the offending line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct YamlError {
    /// The name of the source as given by the caller: a path, or words such as "the kubeadm-config ConfigMap".
    pub source_name: String,
    /// Where the problem is; `None` if it concerns the text as a whole.
    pub position: Option<Position>,
    /// The line at `position`, without its line break.
    pub line_text: String,
    /// What is wrong.
    pub kind: Box<ErrorKind>,
}

/// The kinds of [`YamlError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// A line begins with `---` and goes on with something else than blanks or a comment.
    #[error("invalid Yaml document separator: {0}")]
    Separator(String),
    /// The text is not YAML; holds the parser's words.
    #[error("invalid YAML: {0}")]
    Syntax(String),
    /// After `...` another document follows without `---`.
    #[error("unexpected content after the end of the document; separate documents with ---")]
    TrailingContent,
    /// Aliases expand to more nodes than any configuration needs.
    #[error("document contains excessive aliasing")]
    ExcessiveAliasing,
    /// An anchor's value contains an alias to itself.
    #[error("anchor value contains itself")]
    SelfReference,
    /// Nested deeper than the stated number of levels.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// A mapping key is null, a list or a mapping.
    #[error("unsupported map key: {0}")]
    MapKey(&'static str),
    /// `<<` with a value that is not a mapping.
    #[error("map merge requires map or sequence of maps as the value")]
    Merge,
    /// An explicit tag does not fit its value, or is one that JSON has no form for.
    #[error("cannot decode {text:?} as {tag}")]
    Tag {
        /// The tag, with its prefix shortened to `!!`.
        tag: String,
        /// The scalar as written.
        text: String,
    },
    /// Infinity or not-a-number, which JSON has no form for.
    #[error("unsupported value: {0}")]
    NotANumber(String),
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source_name)?;
        let Some(Position { line, column }) = self.position else {
            return write!(f, ": {}", self.kind);
        };
        write!(f, ":{line}:{column}: {}", self.kind)?;
        if self.line_text.is_empty() {
            return Ok(());
        }
        let number = line.to_string();
        let blank = " ".repeat(number.len());
        // Tabs stay tabs so that the caret stands below its character on any terminal.
        let lead: String = self
            .line_text
            .chars()
            .take(column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "\n  {number} | {}\n  {blank} | {lead}^", self.line_text)
    }
}
