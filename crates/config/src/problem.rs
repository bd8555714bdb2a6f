//! What is wrong with a configuration, and how it is told.

use std::fmt;
use std::path::PathBuf;

use jsonc_parser::errors::ParseErrorKind;

/// What a plain text at a secret's place is told.
pub(crate) const SECRET_EXPECTED: &str = "a reference to a secret";

/// One thing that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; zero for a value that is in no file yet.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Dotted, `gateway.port`; empty for the root.
    pub path: String,
    pub message: String,
    pub expected: Option<String>,
    /// The nearest known key, or another way out.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration has {} problem(s)", .0.len())]
    Invalid(Vec<Problem>),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no key {path}")]
    UnknownKey { path: String, hint: Option<String> },
    #[error(transparent)]
    Path(#[from] crate::path::PathError),
    #[error("{path} was changed by somebody else while it was being edited: run the command again")]
    Changed { path: PathBuf },
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    #[error("{path} cannot be edited here: {reason}")]
    Uneditable { path: PathBuf, reason: String },
}

impl ConfigError {
    /// The problems with their places, if that is what it is.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::UnknownKey { .. }
            | Self::Path(_)
            | Self::State(_)
            | Self::Changed { .. }
            | Self::Uneditable { .. } => &[],
        }
    }
}

/// A parse error in words for whoever edits the file.
pub(crate) fn syntax_message(kind: &ParseErrorKind, found: &str) -> String {
    match kind {
        ParseErrorKind::UnexpectedWord | ParseErrorKind::UnexpectedToken
            if bare_word(found).is_some() =>
        {
            "a word stands where a value belongs".to_owned()
        }
        ParseErrorKind::ExpectedComma => "a comma is missing".to_owned(),
        ParseErrorKind::UnterminatedObject => "this '{' is never closed".to_owned(),
        ParseErrorKind::UnterminatedArray => "this '[' is never closed".to_owned(),
        ParseErrorKind::UnterminatedCommentBlock => "this comment is never closed".to_owned(),
        ParseErrorKind::ExpectedColonAfterObjectKey => "a ':' is missing after the key".to_owned(),
        ParseErrorKind::ExpectedObjectValue => "a value is missing after the ':'".to_owned(),
        ParseErrorKind::MultipleRootJsonValues => {
            "something follows after the end of the document".to_owned()
        }
        ParseErrorKind::NestingDepthExceeded => "the document is nested too deeply".to_owned(),
        other => {
            let text = other.to_string();
            let mut characters = text.chars();
            let first = characters.next().map(|c| c.to_lowercase().to_string());
            first.unwrap_or_default() + characters.as_str()
        }
    }
}

pub(crate) fn syntax_hint(kind: &ParseErrorKind, found: &str) -> Option<String> {
    match kind {
        ParseErrorKind::UnexpectedWord | ParseErrorKind::UnexpectedToken => {
            bare_word(found).map(|_| "text needs quotes".to_owned())
        }
        _ => None,
    }
}

/// The word that stands first in what could not be read.
fn bare_word(found: &str) -> Option<&str> {
    let end = found
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .unwrap_or(found.len());
    Some(&found[..end]).filter(|word| word.starts_with(char::is_alphabetic))
}

/// True for keys whose values are probably secrets.
pub(crate) fn is_sensitive(path: &crate::path::KeyPath) -> bool {
    let Some(crate::path::Step::Key(key)) = path.0.last() else {
        return false;
    };
    is_sensitive_key(key)
}

pub(crate) fn is_sensitive_key(key: &str) -> bool {
    let key = key.to_lowercase();
    [
        "token",
        "secret",
        "password",
        "passphrase",
        "key",
        "credential",
        "authorization",
        "cookie",
    ]
    .iter()
    .any(|word| key.contains(word))
}

/// What to do about a secret that was written into the file.
pub(crate) fn secret_hint(path: &crate::path::KeyPath) -> String {
    let name = path.words().join("-").to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    format!(
        "secrets never sit in the configuration: run `instar secrets set {name}` and use {{source: \"store\", id: \"{name}\"}}"
    )
}
