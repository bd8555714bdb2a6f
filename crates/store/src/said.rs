//! The index of what was said: keeping it, and asking it.
//!
//! It follows the transcripts at its own pace. What it lacks is looked through by itself (see
//! [`crate::search`]), so that it never decides what is found, only how fast.

use instar_protocol::message::{EntryBody, plain_text};
use rusqlite::{Connection, params};

use crate::apply::run_sql;
use crate::error::StoreError;
use crate::read::{all, column, parsed, rows, text};

/// Entries that one step takes in, and bytes of text after which it ends: messages wait behind it.
const STEP_ROWS: usize = 256;
const STEP_BYTES: usize = 128 * 1024;
/// Letters that the index knows together. Shorter words it cannot find.
const GRAM: usize = 3;
/// Grams of one question: more make it no sharper.
const GRAMS_MAX: usize = 64;

/// What a person or an agent said in an entry.
pub(crate) fn words(body: &EntryBody) -> Option<String> {
    match body {
        EntryBody::User { parts, .. } => Some(plain_text(parts)),
        EntryBody::Assistant { text, .. } => Some(text.clone()),
        EntryBody::ToolResult { .. }
        | EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => None,
    }
}

/// The last entry that is in the index.
pub(crate) fn through(connection: &Connection) -> Result<i64, StoreError> {
    one(
        connection,
        "SELECT coalesce((SELECT value FROM meta WHERE name = 'said_through'), 0)",
    )
}

/// True if there are entries that it lacks.
pub(crate) fn is_behind(connection: &Connection) -> Result<bool, StoreError> {
    let newest = one(connection, "SELECT coalesce(max(seq), 0) FROM entries")?;
    Ok(newest > through(connection)?)
}

fn one(connection: &Connection, sql: &str) -> Result<i64, StoreError> {
    let found = all(connection, sql, [], |row| row.get(0).map_err(column))?;
    Ok(found.first().copied().unwrap_or(0))
}

/// Takes in some of what it lacks.
pub(crate) fn index(connection: &Connection) -> Result<(), StoreError> {
    let through = through(connection)?;
    let sql = "SELECT seq, id, body FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let next = all(connection, sql, params![through, rows(STEP_ROWS)], |row| {
        let seq: i64 = row.get(0).map_err(column)?;
        // One that cannot be read is damage, which the store tells elsewhere; others come after it.
        let body = parsed::<EntryBody>("entry", &text(row, 1)?, &text(row, 2)?);
        Ok((seq, body.ok().and_then(|body| words(&body))))
    })?;
    let (mut last, mut bytes) = (through, 0);
    for (seq, text) in next {
        if bytes > STEP_BYTES {
            break;
        }
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            bytes += text.len();
            let sql = "INSERT INTO said (rowid, text) VALUES (?1, ?2)";
            run_sql(connection, sql, params![seq, text])?;
        }
        last = seq;
    }
    set_through(connection, last)
}

fn set_through(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO meta (name, value) VALUES ('said_through', ?1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![seq],
    )
}

/// Forgets the entries of a session that are removed next: the first `limit` of them.
pub(crate) fn forget(connection: &Connection, session: &str, limit: u32) -> Result<(), StoreError> {
    run_sql(
        connection,
        "DELETE FROM said WHERE rowid IN (
             SELECT seq FROM entries WHERE session = ?1 LIMIT ?2)",
        params![session, limit],
    )
}

/// Numbers of entries that were removed from the end are given out again: what gets them is new.
pub(crate) fn rewind(connection: &Connection) -> Result<(), StoreError> {
    run_sql(
        connection,
        "UPDATE meta SET value = min(value, coalesce((SELECT max(seq) FROM entries), 0))
         WHERE name = 'said_through'",
        [],
    )
}

/// The question for entries that hold all trigrams of a text; `None` if the text is too short for
/// the index.
pub(crate) fn question(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut grams: Vec<String> = letters
        .windows(GRAM)
        .filter(|gram| !gram.contains(&'\0'))
        .map(|gram| gram.iter().collect::<String>().replace('"', "\"\""))
        .collect();
    grams.sort();
    grams.dedup();
    grams.truncate(GRAMS_MAX);
    let quoted: Vec<String> = grams.iter().map(|gram| format!("\"{gram}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" AND "))
}
