//! Retention: removes a bounded number of rows per call, so that no commit waits long behind it.

use instar_protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use crate::apply::millis;
use crate::error::StoreError;
use crate::op::Retention;
use crate::{letters, questions, receipts, said, traces};

/// Rows of one table that one call removes at the most.
const ROWS_MAX: u32 = 500;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Removes what retention says and returns how many rows went. Call again while it is not zero.
pub(crate) fn maintain(
    connection: &Connection,
    now: Timestamp,
    keep: Retention,
) -> Result<u64, StoreError> {
    let events_before = bound(now, keep.events_days);
    let mut removed = deleted_sessions(connection, bound(now, keep.deleted_sessions_days))?;
    // The trigger on `events` lets go of what lies before this bound and of nothing else.
    run(
        connection,
        "INSERT INTO meta (name, value) VALUES ('events_kept_from', ?1)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        params![events_before],
    )?;
    // Rows lie in the order of time, so looking at the oldest ones is enough: no index is needed
    // that each turn would have to keep up. What is not settled is stepped over.
    let in_order = [
        "DELETE FROM events WHERE seq IN (
             SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT ?2) WHERE at < ?1)",
        "DELETE FROM inbox WHERE seq IN (
             SELECT seq FROM (SELECT seq, settled_at FROM inbox
                              WHERE settled_at IS NOT NULL ORDER BY seq LIMIT ?2)
             WHERE settled_at < ?1)",
        "DELETE FROM outbox WHERE seq IN (
             SELECT seq FROM (SELECT seq, settled_at FROM outbox
                              WHERE settled_at IS NOT NULL
                                  AND state IN ('sent', 'failed', 'uncertain')
                              ORDER BY seq LIMIT ?2)
             WHERE settled_at < ?1)",
        "DELETE FROM effects WHERE seq IN (
             SELECT seq FROM (SELECT seq, ended_at FROM effects
                              WHERE ended_at IS NOT NULL ORDER BY seq LIMIT ?2)
             WHERE ended_at < ?1)",
    ];
    removed += sweep(connection, &in_order, events_before, ROWS_MAX)?;
    removed += run(
        connection,
        "DELETE FROM web_sessions WHERE digest IN (
             SELECT digest FROM web_sessions WHERE expires_at <= ?1 LIMIT ?2)",
        params![millis(now), ROWS_MAX],
    )?;
    removed += questions::maintain(connection, events_before, ROWS_MAX)?;
    removed += letters::maintain(connection, events_before, ROWS_MAX)?;
    removed += receipts::maintain(connection, events_before)?;
    removed += traces::maintain(connection, events_before, ROWS_MAX)?;
    Ok(removed)
}

/// Removes what statements name that take a bound in time and one in rows; how many rows went.
pub(crate) fn sweep(
    connection: &Connection,
    statements: &[&str],
    before: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for sql in statements {
        removed += run(connection, sql, params![before, limit])?;
    }
    Ok(removed)
}

/// Removes one deleted session's entries, and the session when none are left.
fn deleted_sessions(connection: &Connection, before: i64) -> Result<u64, StoreError> {
    let mut removed = 0;
    while removed < u64::from(ROWS_MAX) {
        let Some(session) = oldest_deleted(connection, before)? else {
            break;
        };
        said::forget(connection, &session, ROWS_MAX)?;
        let gone = run(
            connection,
            "DELETE FROM entries WHERE seq IN (
                 SELECT seq FROM entries WHERE session = ?1 LIMIT ?2)",
            params![session, ROWS_MAX],
        )?;
        removed += gone;
        said::rewind(connection)?;
        if gone == 0 {
            receipts::erase(connection, &session)?;
            let _keys = run(
                connection,
                "DELETE FROM session_keys WHERE session = ?1
                     AND key = (SELECT key FROM sessions WHERE id = ?1)",
                params![session],
            )?;
            removed += run(
                connection,
                "DELETE FROM sessions WHERE id = ?1",
                params![session],
            )?;
        }
    }
    Ok(removed)
}

fn oldest_deleted(connection: &Connection, before: i64) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached(
            "SELECT id FROM sessions WHERE deleted_at IS NOT NULL AND deleted_at < ?1
             ORDER BY deleted_at LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([before], |row| row.get(0)).optional())
        .map_err(|source| StoreError::Sql {
            doing: "looking for deleted sessions",
            source,
        })
}

fn bound(now: Timestamp, days: u32) -> i64 {
    let age = u64::from(days).saturating_mul(DAY_MS);
    millis(Timestamp::from_millis(now.millis().saturating_sub(age)))
}

fn run(connection: &Connection, sql: &str, values: impl Params) -> Result<u64, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map(|rows| u64::try_from(rows).unwrap_or(u64::MAX))
        .map_err(|source| StoreError::Sql {
            doing: "removing what retention lets go",
            source,
        })
}
