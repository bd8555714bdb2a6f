//! What can go wrong, and how SQLite's and the file system's errors are told apart.

use std::io;
use std::path::{Path, PathBuf};

use instar_protocol::ObjectHash;
use rusqlite::ErrorCode;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the state folder {path} was written by a newer Instar (schema {found}, this one knows {known})"
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("the state folder {path} is read-only; make it writable and start again")]
    NotWritable { path: PathBuf },
    #[error("the disk of the state folder {path} is full; free some space and start again")]
    Full { path: PathBuf },
    #[error(
        "the store in {path} was overwritten while a gateway had it open; to go on with what was \
         copied over it, remove instar.sqlite-wal and instar.sqlite-shm there and copy once more; \
         if nothing was copied, remove instar.sqlite-overwritten"
    )]
    Overwritten { path: PathBuf },
    #[error("cannot open the store in {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot bring the store in {path} to schema {to}")]
    Migrate {
        path: PathBuf,
        to: u32,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot prepare the folder {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Why a read or a write failed. Nothing of a failed batch is stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full")]
    Full,
    #[error("the state folder is read-only")]
    ReadOnly,
    /// Nothing that is written would ever be found again.
    #[error("the file of the store was moved, removed or replaced while it is in use")]
    Gone,
    /// What is written now would be mixed with what somebody copied over it.
    #[error("the file of the store was overwritten while it is in use")]
    Overwritten,
    #[error("the store is closed")]
    Closed,
    #[error("too many writes are waiting")]
    Busy,
    /// The batch changes something that is not stored.
    #[error("there is no {what} {id}")]
    Missing { what: &'static str, id: String },
    #[error("{doing} failed")]
    Sql {
        doing: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("stored {what} {id} cannot be read")]
    Decode {
        what: &'static str,
        id: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("object {0} is not stored or was changed on disk")]
    Object(ObjectHash),
    #[error("object store: {doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// An error of opening, told apart from a folder that cannot be written: SQLite reports a full
    /// and a read-only disk in several ways, so the folder itself is asked.
    pub(crate) fn open(state: &Path, source: rusqlite::Error) -> Self {
        let path = state.to_owned();
        match probe(state) {
            Err(found) if found.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path }
            }
            Err(found) if found.kind() == io::ErrorKind::StorageFull => Self::Full { path },
            _ => Self::Open { path, source },
        }
    }

    pub(crate) fn migrate(state: &Path, to: u32, source: rusqlite::Error) -> Self {
        match Self::open(state, source) {
            Self::Open { path, source } => Self::Migrate { path, to, source },
            known => known,
        }
    }
}

impl StoreError {
    /// True if the disk, not the batch, is at fault: the same write may work later.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Full | Self::ReadOnly | Self::Gone | Self::Overwritten | Self::Io { .. } => true,
            Self::Sql { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                )
            ),
            Self::Closed
            | Self::Busy
            | Self::Missing { .. }
            | Self::Decode { .. }
            | Self::Object(_) => false,
        }
    }

    /// What the owner can do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Full => "free some space on the disk of the state folder; it recovers by itself",
            Self::ReadOnly => "make the state folder writable; it recovers by itself",
            Self::Gone => {
                "put the file back, or restart the gateway to go on with what is there now"
            }
            Self::Overwritten => {
                "stop the gateway; the next start says how to go on with either of the two"
            }
            Self::Busy => "try again shortly",
            Self::Closed
            | Self::Missing { .. }
            | Self::Sql { .. }
            | Self::Decode { .. }
            | Self::Object(_)
            | Self::Io { .. } => "`instar doctor` says more",
        }
    }

    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io { doing, source },
        }
    }

    /// Sorts an error of a read or of one statement.
    pub(crate) fn sql(doing: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sql { doing, source },
        }
    }

    /// Sorts an error of the writer. SQLite reports a full or read-only disk as a plain I/O error
    /// in some places (growing the shared index, a file system that turned read-only under an
    /// open file), so the folder itself is asked.
    pub(crate) fn write(doing: &'static str, source: rusqlite::Error, folder: &Path) -> Self {
        let vague = matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
        );
        if vague && let Err(found) = probe(folder) {
            match Self::io(doing, found) {
                known @ (Self::Full | Self::ReadOnly) => return known,
                _ => return Self::Sql { doing, source },
            }
        }
        Self::sql(doing, source)
    }

    /// The same error once more: a failed group commit is the answer to each of its batches.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::ReadOnly => Self::ReadOnly,
            Self::Gone => Self::Gone,
            Self::Overwritten => Self::Overwritten,
            Self::Busy => Self::Busy,
            Self::Sql { doing, source } => Self::Sql {
                doing,
                source: copy(source),
            },
            Self::Closed
            | Self::Missing { .. }
            | Self::Decode { .. }
            | Self::Object(_)
            | Self::Io { .. } => Self::Closed,
        }
    }
}

fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}

/// Writes a few bytes below `folder` and takes them away again.
pub(crate) fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(".write-probe");
    let written = std::fs::write(&path, [0_u8; 4096]);
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}
