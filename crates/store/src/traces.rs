//! What hands leave behind: who wrote a file, what stood in it before, and outputs too long to be
//! read in one piece.

use instar_protocol::{Label, ObjectHash, RunId, SessionId, Timestamp, UndoId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::apply::{json, millis, run_sql};
use crate::error::StoreError;
use crate::maintain::sweep;
use crate::read::{all, column, maybe, parsed, rows, text, time, unsigned};
use crate::store::Store;

/// Who wrote what stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileLabel {
    /// Relative to the root that the writer names.
    pub path: String,
    /// SHA-256 in hex of the whole content.
    pub digest: String,
    pub label: Label,
    /// The run, the owner, a program inside walls.
    pub writer: String,
    pub at: Timestamp,
}

/// A change of a file that can be undone.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoRow {
    pub id: UndoId,
    pub at: Timestamp,
    pub session: SessionId,
    pub run: RunId,
    pub path: String,
    /// What stood there; `None` if there was no file.
    pub before: Option<ObjectHash>,
    /// What was written; `None` if the file was removed.
    pub after: Option<ObjectHash>,
    pub undone_at: Option<Timestamp>,
}

/// An output that is read in pages.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptOutput {
    pub handle: String,
    pub session: SessionId,
    pub object: ObjectHash,
    pub label: Label,
    pub at: Timestamp,
}

pub(crate) fn put_label(connection: &Connection, row: &FileLabel) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO file_labels (path, digest, label, writer, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (path, digest) DO UPDATE SET label = excluded.label,
             writer = excluded.writer, at = excluded.at",
        params![
            row.path,
            row.digest,
            json("label", &row.path, &row.label)?,
            row.writer,
            millis(row.at)
        ],
    )
}

pub(crate) fn file_label(
    connection: &Connection,
    path: &str,
    digest: &str,
) -> Result<Option<FileLabel>, StoreError> {
    let sql = "SELECT path, digest, label, writer, at FROM file_labels
               WHERE path = ?1 AND digest = ?2";
    let found = all(connection, sql, params![path, digest], |row| {
        let path = text(row, 0)?;
        Ok(FileLabel {
            label: parsed("label", &path, &text(row, 2)?)?,
            path,
            digest: text(row, 1)?,
            writer: text(row, 3)?,
            at: time(row, 4)?,
        })
    })?;
    Ok(found.into_iter().next())
}

pub(crate) fn put_undo(connection: &Connection, row: &UndoRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO undo (id, at, session, run, path, before, after, undone_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET undone_at = excluded.undone_at",
        params![
            row.id.as_str(),
            millis(row.at),
            row.session.as_str(),
            row.run.as_str(),
            row.path,
            row.before.as_ref().map(ObjectHash::as_str),
            row.after.as_ref().map(ObjectHash::as_str),
            row.undone_at.map(millis),
        ],
    )
}

const UNDO: &str = "SELECT id, at, session, run, path, before, after, undone_at FROM undo";

pub(crate) fn undo(connection: &Connection, id: &UndoId) -> Result<Option<UndoRow>, StoreError> {
    let sql = format!("{UNDO} WHERE id = ?1");
    Ok(all(connection, &sql, [id.as_str()], undo_row)?.pop())
}

/// The newest first.
pub(crate) fn undo_rows(
    connection: &Connection,
    session: Option<&SessionId>,
    limit: usize,
) -> Result<Vec<UndoRow>, StoreError> {
    let sql = format!("{UNDO} WHERE (?1 IS NULL OR session = ?1) ORDER BY seq DESC LIMIT ?2");
    let values = params![session.map(SessionId::as_str), rows(limit)];
    all(connection, &sql, values, undo_row)
}

fn undo_row(row: &Row<'_>) -> Result<UndoRow, StoreError> {
    let undone: Option<i64> = row.get(7).map_err(column)?;
    Ok(UndoRow {
        id: UndoId::from_stored(text(row, 0)?),
        at: time(row, 1)?,
        session: SessionId::from_stored(text(row, 2)?),
        run: RunId::from_stored(text(row, 3)?),
        path: text(row, 4)?,
        before: maybe(row, 5)?.map(ObjectHash::from_hex),
        after: maybe(row, 6)?.map(ObjectHash::from_hex),
        undone_at: undone.map(|at| Timestamp::from_millis(unsigned(at))),
    })
}

pub(crate) fn put_output(connection: &Connection, row: &KeptOutput) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO kept_outputs (handle, session, object, label, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            row.handle,
            row.session.as_str(),
            row.object.as_str(),
            json("label", &row.handle, &row.label)?,
            millis(row.at)
        ],
    )
}

/// The output of this handle, for the conversation that it belongs to and no other.
pub(crate) fn output(
    connection: &Connection,
    session: &SessionId,
    handle: &str,
) -> Result<Option<KeptOutput>, StoreError> {
    let sql = "SELECT handle, session, object, label, at FROM kept_outputs
               WHERE handle = ?1 AND session = ?2";
    let found = all(connection, sql, params![handle, session.as_str()], |row| {
        let handle = text(row, 0)?;
        Ok(KeptOutput {
            label: parsed("label", &handle, &text(row, 3)?)?,
            handle,
            session: SessionId::from_stored(text(row, 1)?),
            object: ObjectHash::from_hex(text(row, 2)?),
            at: time(row, 4)?,
        })
    })?;
    Ok(found.into_iter().next())
}

/// Removes what is older than the bound. A label that says that somebody else's words are in a file
/// stays: without it they would pass for the owner's one day.
pub(crate) fn maintain(
    connection: &Connection,
    before: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let statements = [
        "DELETE FROM undo WHERE seq IN (
             SELECT seq FROM (SELECT seq, at FROM undo ORDER BY seq LIMIT ?2) WHERE at < ?1)",
        "DELETE FROM kept_outputs WHERE seq IN (
             SELECT seq FROM (SELECT seq, at FROM kept_outputs ORDER BY seq LIMIT ?2)
             WHERE at < ?1)",
        r#"DELETE FROM file_labels WHERE (path, digest) IN (
             SELECT path, digest FROM file_labels
             WHERE at < ?1 AND label NOT LIKE '%"stranger"%' AND label NOT LIKE '%"contact"%'
             ORDER BY at LIMIT ?2)"#,
    ];
    sweep(connection, &statements, before, limit)
}

/// True if a run with write access was stored since `since`: text without a label may be its work.
pub(crate) fn wrote_since(connection: &Connection, since: Timestamp) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM undo WHERE at >= ?1 LIMIT 1")
        .and_then(|mut statement| statement.query_row([millis(since)], |_| Ok(())).optional())
        .map(|found| found.is_some())
        .map_err(column)
}

impl Store {
    /// Who wrote a file with this content.
    pub async fn file_label(
        &self,
        path: &str,
        digest: &str,
    ) -> Result<Option<FileLabel>, StoreError> {
        let (path, digest) = (path.to_owned(), digest.to_owned());
        self.read(move |sql| file_label(sql, &path, &digest)).await
    }

    /// True if a tool changed a file since then.
    pub async fn wrote_since(&self, since: Timestamp) -> Result<bool, StoreError> {
        self.read(move |sql| wrote_since(sql, since)).await
    }

    pub async fn undo(&self, id: &UndoId) -> Result<Option<UndoRow>, StoreError> {
        let id = id.clone();
        self.read(move |sql| undo(sql, &id)).await
    }

    /// Changes of files that can be undone, the newest first.
    pub async fn undo_rows(
        &self,
        session: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<UndoRow>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| undo_rows(sql, session.as_ref(), limit))
            .await
    }

    /// A kept output, for the conversation that it belongs to.
    pub async fn kept_output(
        &self,
        session: &SessionId,
        handle: &str,
    ) -> Result<Option<KeptOutput>, StoreError> {
        let (session, handle) = (session.clone(), handle.to_owned());
        self.read(move |sql| output(sql, &session, &handle)).await
    }
}
