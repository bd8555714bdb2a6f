//! Why a suite cannot be run.

/// A suite that is not run, with the reason in the reader's words.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    #[error("{path}: {problem}")]
    File { path: String, problem: String },
    #[error("{place}: {problem}")]
    Content { place: String, problem: String },
    #[error("there is no suite {0:?} built in; `instar eval list` names them")]
    NoBuiltin(String),
    #[error("a candidate needs exactly one baseline to be compared with, not {0} arms")]
    Arms(usize),
}

impl SuiteError {
    pub(crate) fn content(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Content {
            place: place.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn file(path: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.into(),
            problem: problem.to_string(),
        }
    }
}

/// Why something could not be decided: the suite asks for something impossible, or for something that is
/// not done here. Neither ever counts as passed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    Wrong(String),
    #[error("unsupported: {0}")]
    Unsupported(String),
}

impl Trouble {
    pub(crate) fn wrong<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Wrong(what.into()))
    }

    pub(crate) fn unsupported<T>(what: impl Into<String>) -> Result<T, Self> {
        Err(Self::Unsupported(what.into()))
    }
}
