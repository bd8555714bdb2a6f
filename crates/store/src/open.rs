//! Opening: the folder, the file, and how connections are set up.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{OpenError, probe};
use crate::migrate;

/// How long SQLite waits for another process that holds the file (a backup, say).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The log file keeps its size when it is used again from its start, which spares the file system
/// the bookkeeping of a growing file; after an exceptional burst it is cut back to this.
const WAL_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// Prepared statements kept per connection; more than there are.
const STATEMENTS_MAX: usize = 96;
/// Pages that a connection keeps, negative as SQLite wants it for KiB. The system caches the file, too.
const CACHE_KIB: i64 = -1_024;

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub readers: usize,
    /// How long a lazy batch may wait for company before it is committed on its own.
    pub lazy_ms: u64,
    pub synchronous: Synchronous,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 2,
            lazy_ms: 50,
            synchronous: Synchronous::Full,
        }
    }
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Each commit is flushed before it is answered. The write-ahead rule stands on it.
    #[default]
    Full,
    /// Never flushes: loses data at a power cut. For measuring, and for the test that must notice.
    Off,
}

pub(crate) fn file(state: &Path) -> PathBuf {
    state.join("instar.sqlite")
}

/// The write-ahead log, which is there as long as the file is open.
pub(crate) fn log(state: &Path) -> PathBuf {
    state.join("instar.sqlite-wal")
}

/// Stands beside a file that was overwritten while it was in use.
pub(crate) fn overwritten(state: &Path) -> PathBuf {
    state.join("instar.sqlite-overwritten")
}

/// Refuses to mix the log of one file with another that was copied over it. Without a log there is
/// nothing to mix, and what was copied is the store from now on.
fn refuse_overwritten(state: &Path) -> Result<(), OpenError> {
    let path = state.to_owned();
    if !overwritten(state).exists() {
        return Ok(());
    }
    if log(state).exists() {
        return Err(OpenError::Overwritten { path });
    }
    fs::remove_file(overwritten(state)).map_err(|source| OpenError::Folder { path, source })
}

/// Prepares the folder and the file and returns the writer's connection, migrated.
pub(crate) fn writer(state: &Path, options: &Options) -> Result<Connection, OpenError> {
    refuse_overwritten(state)?;
    if file(state).exists() {
        migrate::refuse_newer(&file(state), state)?;
    }
    prepare(state).map_err(|source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => OpenError::NotWritable {
            path: state.to_owned(),
        },
        io::ErrorKind::StorageFull => OpenError::Full {
            path: state.to_owned(),
        },
        _ => OpenError::Folder {
            path: state.to_owned(),
            source,
        },
    })?;
    let open = |source| OpenError::open(state, source);
    let mut connection = connect(state).map_err(open)?;
    writer_settings(&connection, options.synchronous).map_err(open)?;
    migrate::migrate(&mut connection, state)?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(state: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(state)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that only copies the log into the file.
pub(crate) fn checkpointer(state: &Path, synchronous: Synchronous) -> rusqlite::Result<Connection> {
    let connection = connect(state)?;
    writer_settings(&connection, synchronous)?;
    Ok(connection)
}

fn connect(state: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file(state), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    Ok(connection)
}

fn writer_settings(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(
        None,
        "synchronous",
        match synchronous {
            Synchronous::Full => "full",
            Synchronous::Off => "off",
        },
    )?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))
}

/// Makes the folder (0700) and an empty file (0600; SQLite gives the log the same mode).
fn prepare(state: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)?;
    tighten(state, 0o700)?;
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file(state));
    match created {
        Ok(file) => {
            file.sync_all()?;
            sync_folder(state)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            tighten(&file(state), 0o600)?;
            match probe(state) {
                // Reading still works, and space may come back.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
                other => other,
            }
        }
        Err(error) => Err(error),
    }
}

fn tighten(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Makes a new name in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}
