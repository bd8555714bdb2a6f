//! Candidates, and signed statements about releases.

use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use crate::apply::{from_word, millis, run_sql, word};
use crate::error::StoreError;
use crate::read::{all, column, rows, text, time, unsigned};
use crate::store::Store;

/// Rows that one answer has at the most.
const ROWS_MAX: usize = 1_000;

/// A release that nothing serves yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateRow {
    /// The object that says what it is made of.
    pub id: ObjectHash,
    /// The behaviour that it would be; an object, too.
    pub release: ReleaseId,
    pub state: CandidateState,
    pub at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// Statements that gates have made about it.
    pub said: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateState {
    Open,
    Withdrawn,
    /// It is stable now, or was.
    Promoted,
    /// It was served to some and taken back.
    RolledBack,
}

impl CandidateState {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Withdrawn => "withdrawn",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
        }
    }
}

/// A signed statement about a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeRow {
    pub release: ReleaseId,
    pub kind: String,
    pub object: ObjectHash,
    pub at: Timestamp,
}

pub(crate) fn put(connection: &Connection, row: &CandidateRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO candidates (id, release, state, at, settled_at, said)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, settled_at = excluded.settled_at,
         said = max(said, excluded.said)",
        params![
            row.id.as_str(),
            row.release.as_str(),
            word(&row.state)?,
            millis(row.at),
            row.settled_at.map(millis),
            i64::try_from(row.said).unwrap_or(i64::MAX),
        ],
    )
}

/// The newest first.
pub(crate) fn candidates(connection: &Connection) -> Result<Vec<CandidateRow>, StoreError> {
    let sql = "SELECT id, release, state, at, settled_at, said FROM candidates ORDER BY seq DESC LIMIT ?1";
    all(connection, sql, [rows(ROWS_MAX)], |row| {
        let id = text(row, 0)?;
        let settled: Option<i64> = row.get(4).map_err(column)?;
        Ok(CandidateRow {
            release: ReleaseId::from_hex(text(row, 1)?),
            state: from_word("candidate", &id, &text(row, 2)?)?,
            at: time(row, 3)?,
            settled_at: settled.map(|at| Timestamp::from_millis(unsigned(at))),
            said: unsigned(row.get(5).map_err(column)?),
            id: ObjectHash::from_hex(id),
        })
    })
}

pub(crate) fn put_envelope(connection: &Connection, row: &EnvelopeRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO envelopes (release, kind, object, at) VALUES (?1, ?2, ?3, ?4)",
        params![
            row.release.as_str(),
            row.kind,
            row.object.as_str(),
            millis(row.at)
        ],
    )
}

/// Those of one release, or of all; the newest first.
pub(crate) fn envelopes(
    connection: &Connection,
    release: Option<&ReleaseId>,
) -> Result<Vec<EnvelopeRow>, StoreError> {
    let sql = "SELECT release, kind, object, at FROM envelopes
               WHERE ?1 IS NULL OR release = ?1 ORDER BY seq DESC LIMIT ?2";
    let release = release.map(ReleaseId::as_str);
    all(
        connection,
        sql,
        params![release, rows(ROWS_MAX)],
        envelope_row,
    )
}

/// Those of one kind, the oldest first.
pub(crate) fn envelopes_of(
    connection: &Connection,
    kind: &str,
) -> Result<Vec<EnvelopeRow>, StoreError> {
    let sql =
        "SELECT release, kind, object, at FROM envelopes WHERE kind = ?1 ORDER BY seq LIMIT ?2";
    all(connection, sql, params![kind, rows(ROWS_MAX)], envelope_row)
}

/// The objects of all of them, in order, each once.
pub(crate) fn envelope_objects(connection: &Connection) -> Result<Vec<ObjectHash>, StoreError> {
    let sql = "SELECT DISTINCT object FROM envelopes ORDER BY object";
    all(connection, sql, [], |row| {
        Ok(ObjectHash::from_hex(text(row, 0)?))
    })
}

fn envelope_row(row: &Row<'_>) -> Result<EnvelopeRow, StoreError> {
    Ok(EnvelopeRow {
        release: ReleaseId::from_hex(text(row, 0)?),
        kind: text(row, 1)?,
        object: ObjectHash::from_hex(text(row, 2)?),
        at: time(row, 3)?,
    })
}

impl Store {
    /// The newest first.
    pub async fn candidates(&self) -> Result<Vec<CandidateRow>, StoreError> {
        self.read(candidates).await
    }

    /// Signed statements of one kind, the oldest first.
    pub async fn envelopes_of(&self, kind: &str) -> Result<Vec<EnvelopeRow>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |sql| envelopes_of(sql, &kind)).await
    }

    /// The objects of all signed statements, in order, each once.
    pub async fn envelope_objects(&self) -> Result<Vec<ObjectHash>, StoreError> {
        self.read(envelope_objects).await
    }

    /// Signed statements about a release, or about all; the newest first.
    pub async fn envelopes(
        &self,
        release: Option<&ReleaseId>,
    ) -> Result<Vec<EnvelopeRow>, StoreError> {
        let release = release.cloned();
        self.read(move |sql| envelopes(sql, release.as_ref())).await
    }
}
