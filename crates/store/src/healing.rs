//! Rows about fixes: trials, recipes, what was learned.

use instar_protocol::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::apply::{millis, run_sql};
use crate::error::StoreError;
use crate::read::{all, rows, text, time};
use crate::store::Store;

/// Rows of one kind that are kept; those not touched for longest go first.
const KIND_ROWS_MAX: usize = 2_000;

/// A row about fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealingRow {
    /// What it is: `trial`, `gene`, and what else its keeper tells apart.
    pub kind: String,
    pub id: String,
    /// When it was written last.
    pub at: Timestamp,
    pub body: String,
}

pub(crate) fn put(connection: &Connection, row: &HealingRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT OR REPLACE INTO healing (kind, id, at, body) VALUES (?1, ?2, ?3, ?4)",
        params![row.kind, row.id, millis(row.at), row.body],
    )?;
    run_sql(
        connection,
        "DELETE FROM healing WHERE kind = ?1 AND id IN
         (SELECT id FROM healing WHERE kind = ?1 ORDER BY at DESC, id LIMIT -1 OFFSET ?2)",
        params![row.kind, rows(KIND_ROWS_MAX)],
    )
}

pub(crate) fn remove(connection: &Connection, kind: &str, id: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "DELETE FROM healing WHERE kind = ?1 AND id = ?2",
        params![kind, id],
    )
}

/// The rows of a kind, by id.
pub(crate) fn of_kind(connection: &Connection, kind: &str) -> Result<Vec<HealingRow>, StoreError> {
    let sql = "SELECT kind, id, at, body FROM healing WHERE kind = ?1 ORDER BY id";
    all(connection, sql, [kind], row)
}

fn row(row: &Row<'_>) -> Result<HealingRow, StoreError> {
    Ok(HealingRow {
        kind: text(row, 0)?,
        id: text(row, 1)?,
        at: time(row, 2)?,
        body: text(row, 3)?,
    })
}

impl Store {
    /// Rows about fixes of one kind, by id.
    pub async fn healing(&self, kind: &str) -> Result<Vec<HealingRow>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |sql| of_kind(sql, &kind)).await
    }
}
