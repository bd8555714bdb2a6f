//! Looking whether the file is whole.

use rusqlite::Connection;

use crate::error::StoreError;

/// Damage that one answer names at the most.
const FOUND_MAX: u32 = 20;
/// A longer file is not compared with its indexes, which would take minutes.
const WHOLE_BYTES_MAX: i64 = 256 * 1024 * 1024;

/// What is wrong with the file, in SQLite's words; empty if nothing is.
pub(crate) fn damage(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::sql("checking the file", source);
    let number = |pragma: &str| {
        connection
            .query_row(pragma, [], |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    let check = if bytes <= WHOLE_BYTES_MAX {
        format!("PRAGMA integrity_check({FOUND_MAX})")
    } else {
        format!("PRAGMA quick_check({FOUND_MAX})")
    };
    let mut statement = connection.prepare(&check).map_err(failed)?;
    let found: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(failed)?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}
