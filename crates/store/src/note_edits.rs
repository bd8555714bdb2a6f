//! Notes that could be taken away, as it was proposed and decided.

use instar_protocol::amend::{EditState, NoteEdit};
use rusqlite::{Connection, Row, params};

use crate::apply::{change, json, run_sql, word};
use crate::error::StoreError;
use crate::read::{all, parsed, rows, text};
use crate::store::Store;

/// Proposals that are kept: the oldest that were refused or have become stale go first.
pub const NOTE_EDITS_MAX: usize = 500;

/// Stores a proposal. The batch is refused if one about the same note waits already.
pub(crate) fn put(connection: &Connection, edit: &NoteEdit) -> Result<(), StoreError> {
    change(
        connection,
        ("note that nothing is proposed about, by the path of", &edit.note.path),
        "INSERT INTO note_edits (id, agent, path, digest, state, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
        params![
            edit.id,
            edit.agent.as_str(),
            edit.note.path,
            edit.note.digest,
            word(&edit.state)?,
            json("note edit", &edit.id, edit)?,
        ],
    )?;
    run_sql(
        connection,
        "DELETE FROM note_edits WHERE state IN ('refused', 'stale', 'undone') AND seq <=
         (SELECT coalesce(max(seq), 0) FROM note_edits) - ?1",
        params![rows(NOTE_EDITS_MAX)],
    )
}

/// Moves a proposal on. The batch is refused if it is in another state than is said.
pub(crate) fn settle(
    connection: &Connection,
    edit: &NoteEdit,
    from: EditState,
) -> Result<(), StoreError> {
    change(
        connection,
        ("proposal in that state, by the name of", &edit.id),
        "UPDATE note_edits SET state = ?3, body = ?4 WHERE id = ?1 AND state = ?2",
        params![
            edit.id,
            word(&from)?,
            word(&edit.state)?,
            json("note edit", &edit.id, edit)?,
        ],
    )
}

fn edit_row(row: &Row<'_>) -> Result<NoteEdit, StoreError> {
    parsed("note edit", &text(row, 0)?, &text(row, 1)?)
}

impl Store {
    /// What was proposed about notes, the newest first.
    pub async fn note_edits(&self) -> Result<Vec<NoteEdit>, StoreError> {
        let wanted = "SELECT id, body FROM note_edits ORDER BY seq DESC LIMIT ?1";
        self.read(move |sql| all(sql, wanted, params![rows(2 * NOTE_EDITS_MAX)], edit_row))
            .await
    }

    /// Those that are on their way into or out of a file.
    pub async fn note_edits_under_way(&self) -> Result<Vec<NoteEdit>, StoreError> {
        let wanted = "SELECT id, body FROM note_edits
                      WHERE state IN ('taking', 'returning') ORDER BY seq";
        self.read(move |sql| all(sql, wanted, [], edit_row)).await
    }
}
