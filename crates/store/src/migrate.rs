//! The schema's versions: numbered SQL files, each applied in one transaction.
//!
//! The version stands in `PRAGMA user_version`. A file of a newer version is refused before
//! anything opens it for writing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;

/// One file per version, in order; a shipped file is never edited.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_spine.sql")];

/// The schema version that this build reads and writes.
#[expect(clippy::cast_possible_truncation, reason = "a list in this file")]
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Refuses a store that a newer version wrote. Opens the file read-only: it stays as it is.
pub(crate) fn refuse_newer(file: &Path, state: &Path) -> Result<(), OpenError> {
    let open = |source| OpenError::Open {
        path: state.to_owned(),
        source,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(open)?;
    let found = version(&connection).map_err(open)?;
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            path: state.to_owned(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// Brings the schema to [`SCHEMA_VERSION`].
pub(crate) fn migrate(connection: &mut Connection, state: &Path) -> Result<(), OpenError> {
    let found = version(connection).map_err(|source| OpenError::Open {
        path: state.to_owned(),
        source,
    })?;
    for (to, sql) in (1..).zip(MIGRATIONS).filter(|(to, _)| *to > found) {
        step(connection, to, sql).map_err(|source| OpenError::Migrate {
            path: state.to_owned(),
            to,
            source,
        })?;
    }
    Ok(())
}

fn step(connection: &mut Connection, to: u32, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
