//! What can go wrong beneath a root.

use super::NameError;
use rustix::io::Errno;

/// A failure, worded so that the reader knows what to do next.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("there is no such file or folder")]
    Missing,
    #[error("it is there already")]
    Exists,
    #[error("a link is on the way, and links are not followed: name the real file")]
    Link,
    #[error("it is not an ordinary file")]
    NotAFile,
    #[error("it is not a folder")]
    NotAFolder,
    #[error("the folder is not empty")]
    NotEmpty,
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("there is more than {limit} entries in it")]
    TooMany { limit: usize },
    #[error("the root itself cannot be changed")]
    TheRoot,
    #[error("access is denied by its permissions")]
    Denied,
    #[error("cannot {doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl RootError {
    pub(super) fn io(doing: &'static str, source: std::io::Error) -> Self {
        Self::Io { doing, source }
    }

    pub(super) fn from_errno(doing: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing,
            Errno::EXIST => Self::Exists,
            // Beneath a root: `XDEV` is a way out, `LOOP` a link. Both are links here, as names
            // hold neither `..` nor a leading slash.
            Errno::LOOP | Errno::XDEV => Self::Link,
            Errno::NOTDIR => Self::NotAFolder,
            Errno::ISDIR => Self::NotAFile,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            other => Self::io(doing, other.into()),
        }
    }
}
