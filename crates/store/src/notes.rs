//! Notes that turns of a candidate wrote, until there is a verdict over it.

use instar_protocol::memory::NoteState;
use instar_protocol::{AgentId, Label, ReleaseId, RunId, SessionId, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::apply::{change, from_word, json, millis, run_sql, word};
use crate::error::StoreError;
use crate::read::{all, parsed, rows, text, time};
use crate::store::Store;

/// Notes of one rollout that are kept.
pub const NOTES_MAX: usize = 500;

/// A note that a turn of a candidate wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct NoteRow {
    /// As it stands in the heading of the entry.
    pub id: String,
    pub rollout: String,
    pub release: ReleaseId,
    pub agent: AgentId,
    pub session: SessionId,
    pub run: RunId,
    /// Local calendar day, `2026-11-21`, and time, `14:03`.
    pub day: String,
    pub time: String,
    pub text: String,
    pub label: Label,
    /// Stored as what becomes of the notes of its rollout, whatever stands here.
    pub state: NoteState,
    pub at: Timestamp,
}

/// Stores a note. It goes the way of the others of its rollout; the batch is refused if there are too many.
pub(crate) fn put(connection: &Connection, row: &NoteRow) -> Result<(), StoreError> {
    change(
        connection,
        ("rollout that takes notes, by the name of", &row.rollout),
        "INSERT INTO notes (id, rollout, release, agent, session, run, day, time, text, label, state, at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, rollouts.notes, ?11 FROM rollouts
         WHERE rollouts.id = ?2 AND (SELECT count(*) FROM notes WHERE rollout = ?2) < ?12",
        params![
            row.id,
            row.rollout,
            row.release.as_str(),
            row.agent.as_str(),
            row.session.as_str(),
            row.run.as_str(),
            row.day,
            row.time,
            row.text,
            json("label", &row.id, &row.label)?,
            millis(row.at),
            rows(NOTES_MAX),
        ],
    )
}

/// Moves one note on. The batch is refused if it is in another state than is said.
pub(crate) fn settle(
    connection: &Connection,
    id: &str,
    (from, to): (NoteState, NoteState),
) -> Result<(), StoreError> {
    change(
        connection,
        ("note in that state, by the name of", id),
        "UPDATE notes SET state = ?3 WHERE id = ?1 AND state = ?2",
        params![id, word(&from)?, word(&to)?],
    )
}

/// Forgets a note that is in quarantine.
pub(crate) fn remove(connection: &Connection, id: &str) -> Result<(), StoreError> {
    change(
        connection,
        ("note in quarantine, by the name of", id),
        "DELETE FROM notes WHERE id = ?1 AND state = 'quarantined'",
        params![id],
    )
}

/// The open notes of a rollout go where its verdict sends them.
pub(crate) fn follow(
    connection: &Connection,
    rollout: &str,
    to: NoteState,
) -> Result<(), StoreError> {
    if to == NoteState::Open {
        return Ok(());
    }
    run_sql(
        connection,
        "UPDATE notes SET state = ?2 WHERE rollout = ?1 AND state = 'open'",
        params![rollout, word(&to)?],
    )
}

const NOTES: &str =
    "SELECT id, rollout, release, agent, session, run, day, time, text, label, state, at
                     FROM notes";

fn note_row(row: &Row<'_>) -> Result<NoteRow, StoreError> {
    let id = text(row, 0)?;
    Ok(NoteRow {
        rollout: text(row, 1)?,
        release: ReleaseId::from_hex(text(row, 2)?),
        agent: from_word("note", &id, &text(row, 3)?)?,
        session: SessionId::from_stored(text(row, 4)?),
        run: RunId::from_stored(text(row, 5)?),
        day: text(row, 6)?,
        time: text(row, 7)?,
        text: text(row, 8)?,
        label: parsed("label", &id, &text(row, 9)?)?,
        state: from_word("note", &id, &text(row, 10)?)?,
        at: time(row, 11)?,
        id,
    })
}

impl Store {
    /// Notes in a state, the oldest first; of one rollout, if it is named.
    pub async fn notes(
        &self,
        state: NoteState,
        rollout: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NoteRow>, StoreError> {
        let rollout = rollout.map(str::to_owned);
        self.read(move |sql| {
            let wanted = format!(
                "{NOTES} WHERE state = ?1 AND (?2 IS NULL OR rollout = ?2) ORDER BY seq LIMIT ?3"
            );
            all(
                sql,
                &wanted,
                params![word(&state)?, rollout, rows(limit)],
                note_row,
            )
        })
        .await
    }

    /// One note, whatever became of it.
    pub async fn note(&self, id: &str) -> Result<Option<NoteRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| {
            let wanted = format!("{NOTES} WHERE id = ?1");
            Ok(all(sql, &wanted, [id], note_row)?.pop())
        })
        .await
    }
}
