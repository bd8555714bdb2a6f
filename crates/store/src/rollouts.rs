//! Rollouts and the units that they count.

use instar_protocol::event::Arm;
use instar_protocol::memory::NoteState;
use instar_protocol::{SessionId, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::apply::{from_word, millis, run_sql, word};
use crate::error::StoreError;
use crate::notes;
use crate::read::{all, column, maybe, rows, text, time, unsigned};
use crate::store::Store;

/// Units that wait to be settled, at the most: an episode each.
const UNSETTLED_MAX: usize = 10_000;

/// A rollout, with the state of the machine that decides it.
#[derive(Clone, PartialEq, Eq)]
pub struct RolloutRow {
    pub id: String,
    pub is_open: bool,
    /// The key of its coin. Whoever knows it knows the arm of a unit before the unit begins.
    pub coin: [u8; 32],
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// What becomes of the notes that turns of its candidate wrote. Storing the row moves them there.
    pub notes: NoteState,
    /// What it decides about and how it stands: JSON of whoever drives it.
    pub body: String,
}

impl std::fmt::Debug for RolloutRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RolloutRow")
            .field("id", &self.id)
            .field("is_open", &self.is_open)
            .field("at", &self.at)
            .field("ended_at", &self.ended_at)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// One episode on its arm.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitRow {
    pub id: String,
    pub rollout: String,
    pub session: SessionId,
    pub arm: Arm,
    /// The share of the new arm at its assignment.
    pub share: f64,
    pub at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    /// How bad it was, by metric: JSON of whoever settled it.
    pub bad: Option<String>,
}

/// Stores a rollout, or its next state; the open notes of its candidate's turns go the way that it says.
pub(crate) fn put(connection: &Connection, row: &RolloutRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO rollouts (id, is_open, coin, at, ended_at, body, notes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open,
         ended_at = excluded.ended_at, body = excluded.body, notes = excluded.notes",
        params![
            row.id,
            row.is_open,
            row.coin.as_slice(),
            millis(row.at),
            row.ended_at.map(millis),
            row.body,
            word(&row.notes)?,
        ],
    )?;
    notes::follow(connection, &row.id, row.notes)
}

/// Stores a unit, or its next state. Its arm and its share stay as they were recorded first.
pub(crate) fn put_unit(connection: &Connection, row: &UnitRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO units (id, rollout, session, arm, share, at, closed_at, settled_at, bad)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET closed_at = excluded.closed_at,
         settled_at = excluded.settled_at, bad = excluded.bad
         WHERE units.settled_at IS NULL",
        params![
            row.id,
            row.rollout,
            row.session.as_str(),
            word(&row.arm)?,
            row.share,
            millis(row.at),
            row.closed_at.map(millis),
            row.settled_at.map(millis),
            row.bad,
        ],
    )
}

/// The newest first.
pub(crate) fn rollouts(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<RolloutRow>, StoreError> {
    let sql = "SELECT id, is_open, coin, at, ended_at, body, notes FROM rollouts
               ORDER BY seq DESC LIMIT ?1";
    all(connection, sql, [rows(limit)], rollout_row)
}

/// Units of a rollout: those that wait in the order of their beginning, or the newest settled first.
pub(crate) fn units(
    connection: &Connection,
    rollout: &str,
    is_settled: bool,
    limit: usize,
) -> Result<Vec<UnitRow>, StoreError> {
    let sql = if is_settled {
        "SELECT id, rollout, session, arm, share, at, closed_at, settled_at, bad FROM units
         WHERE rollout = ?1 AND settled_at IS NOT NULL ORDER BY settled_at DESC, seq DESC LIMIT ?2"
    } else {
        "SELECT id, rollout, session, arm, share, at, closed_at, settled_at, bad FROM units
         WHERE rollout = ?1 AND settled_at IS NULL ORDER BY seq LIMIT ?2"
    };
    let limit = limit.min(UNSETTLED_MAX);
    all(connection, sql, params![rollout, rows(limit)], unit_row)
}

fn rollout_row(row: &Row<'_>) -> Result<RolloutRow, StoreError> {
    let ended: Option<i64> = row.get(4).map_err(column)?;
    let id = text(row, 0)?;
    Ok(RolloutRow {
        is_open: row.get(1).map_err(column)?,
        coin: row.get(2).map_err(column)?,
        at: time(row, 3)?,
        ended_at: ended.map(|at| Timestamp::from_millis(unsigned(at))),
        body: text(row, 5)?,
        notes: from_word("rollout", &id, &text(row, 6)?)?,
        id,
    })
}

fn unit_row(row: &Row<'_>) -> Result<UnitRow, StoreError> {
    let id = text(row, 0)?;
    let moment = |index| -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = row.get(index).map_err(column)?;
        Ok(at.map(|at| Timestamp::from_millis(unsigned(at))))
    };
    Ok(UnitRow {
        rollout: text(row, 1)?,
        session: SessionId::from_stored(text(row, 2)?),
        arm: from_word("unit", &id, &text(row, 3)?)?,
        share: row.get(4).map_err(column)?,
        at: time(row, 5)?,
        closed_at: moment(6)?,
        settled_at: moment(7)?,
        bad: maybe(row, 8)?,
        id,
    })
}

impl Store {
    /// The newest first.
    pub async fn rollouts(&self, limit: usize) -> Result<Vec<RolloutRow>, StoreError> {
        self.read(move |sql| rollouts(sql, limit)).await
    }

    /// Units of a rollout: those that wait, the oldest first, or those that are settled, the newest first.
    pub async fn units(
        &self,
        rollout: &str,
        is_settled: bool,
        limit: usize,
    ) -> Result<Vec<UnitRow>, StoreError> {
        let rollout = rollout.to_owned();
        self.read(move |sql| units(sql, &rollout, is_settled, limit))
            .await
    }
}
