//! Programs that may write in a workspace, and what is known of files beyond one name.

use std::collections::BTreeSet;

use instar_protocol::{Label, SessionId};
use rusqlite::{Connection, params};

use crate::apply::{json, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, parsed, text, unsigned};
use crate::store::Store;

/// A program that may write in a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramRun {
    pub id: String,
    /// Whose workspace it is.
    pub agent: String,
    pub session: SessionId,
    /// On the clock of the file system, in nanoseconds.
    pub began: u64,
    /// `None`: it runs, or its end was never written down. Else what it changed was not looked at as a
    /// whole.
    pub ended: Option<u64>,
    /// Of what it writes.
    pub label: Label,
    /// The names at the top of the workspace that shape the agent, as they were there.
    pub present: BTreeSet<String>,
}

pub(crate) fn put(connection: &Connection, row: &ProgramRun) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO program_runs (id, agent, session, began, ended, label, present)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET began = excluded.began, ended = excluded.ended,
             label = excluded.label",
        params![
            row.id,
            row.agent,
            row.session.as_str(),
            signed(row.began),
            row.ended.map(signed),
            json("label", &row.id, &row.label)?,
            json("present", &row.id, &row.present)?,
        ],
    )
}

pub(crate) fn drop_run(connection: &Connection, id: &str) -> Result<(), StoreError> {
    run_sql(
        connection,
        "DELETE FROM program_runs WHERE id = ?1",
        params![id],
    )
}

/// The oldest first.
pub(crate) fn runs(
    connection: &Connection,
    agent: Option<&str>,
) -> Result<Vec<ProgramRun>, StoreError> {
    let sql = "SELECT id, agent, session, began, ended, label, present FROM program_runs
               WHERE ?1 IS NULL OR agent = ?1 ORDER BY agent, began, id";
    all(connection, sql, params![agent], |row| {
        let id = text(row, 0)?;
        let ended = row.get::<_, Option<i64>>(4).map_err(column)?;
        Ok(ProgramRun {
            agent: text(row, 1)?,
            session: SessionId::from_stored(text(row, 2)?),
            began: unsigned(row.get(3).map_err(column)?),
            ended: ended.map(unsigned),
            label: parsed("label", &id, &text(row, 5)?)?,
            present: parsed("present", &id, &text(row, 6)?)?,
            id,
        })
    })
}

/// The labels of a content below a root, under whichever name it was written.
pub(crate) fn labels_of_content(
    connection: &Connection,
    root: &str,
    digest: &str,
) -> Result<Vec<Label>, StoreError> {
    let sql = "SELECT DISTINCT label FROM file_labels
               WHERE digest = ?1 AND path > ?2 || '/' AND path < ?2 || '0'";
    let found = |row: &rusqlite::Row<'_>| parsed("label", digest, &text(row, 0)?);
    all(connection, sql, params![digest, root], found)
}

/// The labels of everything that was ever written below a root.
pub(crate) fn labels_below(connection: &Connection, root: &str) -> Result<Vec<Label>, StoreError> {
    // `0` comes right after `/`.
    let sql = "SELECT DISTINCT label FROM file_labels
               WHERE path >= ?1 || '/' AND path < ?1 || '0'";
    let found = |row: &rusqlite::Row<'_>| parsed("label", root, &text(row, 0)?);
    all(connection, sql, params![root], found)
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

impl Store {
    /// The labels of a content anywhere below a root of file labels.
    pub async fn labels_of_content(
        &self,
        root: &str,
        digest: &str,
    ) -> Result<Vec<Label>, StoreError> {
        let (root, digest) = (root.to_owned(), digest.to_owned());
        self.read(move |sql| labels_of_content(sql, &root, &digest))
            .await
    }

    /// The labels of everything below a root of file labels.
    pub async fn labels_below(&self, root: &str) -> Result<Vec<Label>, StoreError> {
        let root = root.to_owned();
        self.read(move |sql| labels_below(sql, &root)).await
    }

    /// Programs that may have written in an agent's workspace and are not settled; of all agents
    /// without one.
    pub async fn program_runs(&self, agent: Option<&str>) -> Result<Vec<ProgramRun>, StoreError> {
        let agent = agent.map(str::to_owned);
        self.read(move |sql| runs(sql, agent.as_deref())).await
    }
}
