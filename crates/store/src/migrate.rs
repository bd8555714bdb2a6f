//! The schema's versions: numbered SQL files, each applied in one transaction.
//!
//! The version stands in `PRAGMA user_version`. A file of a newer version is refused before
//! anything opens it for writing.

use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;

/// One file per version, in order; a shipped file is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_spine.sql"),
    include_str!("../migrations/0002_devices.sql"),
    include_str!("../migrations/0003_tree.sql"),
    include_str!("../migrations/0004_objects.sql"),
    include_str!("../migrations/0005_said.sql"),
    include_str!("../migrations/0006_hands.sql"),
    include_str!("../migrations/0007_parents.sql"),
    include_str!("../migrations/0008_programs.sql"),
    include_str!("../migrations/0009_releases.sql"),
    include_str!("../migrations/0010_letters.sql"),
    include_str!("../migrations/0011_rollouts.sql"),
    include_str!("../migrations/0012_faults.sql"),
    include_str!("../migrations/0013_healing.sql"),
    include_str!("../migrations/0014_attested.sql"),
    include_str!("../migrations/0015_notes.sql"),
    include_str!("../migrations/0016_under.sql"),
    include_str!("../migrations/0017_note_edits.sql"),
    include_str!("../migrations/0018_contacts.sql"),
];

/// The schema version that this build reads and writes.
#[expect(clippy::cast_possible_truncation, reason = "a list in this file")]
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Where `user_version` ends in the header of an SQLite file.
const HEADER_VERSION_END: usize = 64;

/// Refuses a store that a newer version wrote. Nothing is written: not into the file, and not
/// beside it either.
pub(crate) fn refuse_newer(file: &Path, state: &Path) -> Result<(), OpenError> {
    let found = found_version(file).map_err(|source| OpenError::open(state, source))?;
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            path: state.to_owned(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// The version of a file that is not open. With a log beside it SQLite has to be asked, because
/// the newest header may be in the log; without one the header says it, and reading that leaves
/// no trace, while a read-only connection would leave an index of the log behind.
fn found_version(file: &Path) -> rusqlite::Result<u32> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        return version(&Connection::open_with_flags(file, flags)?);
    }
    // A file that cannot be read, or is no database, is refused with a better word when it is
    // opened for writing.
    let mut header = [0; HEADER_VERSION_END];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut header));
    let (rest, version) = header.split_at(HEADER_VERSION_END - 4);
    match (read, <[u8; 4]>::try_from(version)) {
        (Ok(()), Ok(version)) if rest.starts_with(b"SQLite format 3\0") => {
            Ok(u32::from_be_bytes(version))
        }
        _ => Ok(0),
    }
}

/// Brings the schema to [`SCHEMA_VERSION`].
pub(crate) fn migrate(connection: &mut Connection, state: &Path) -> Result<(), OpenError> {
    let found = version(connection).map_err(|source| OpenError::open(state, source))?;
    for (to, sql) in (1..).zip(MIGRATIONS).filter(|(to, _)| *to > found) {
        step(connection, to, sql).map_err(|source| OpenError::migrate(state, to, source))?;
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
