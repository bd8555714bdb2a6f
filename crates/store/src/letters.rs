//! Letters of agents to their owner, and what is kept of requests that several conversations serve.

use instar_protocol::letter::{Letter, LetterKind, LetterState};
use instar_protocol::{LetterId, RunId, SessionId, Timestamp};
use rusqlite::{Connection, params};

use crate::apply::{change, json, millis, run_sql};
use crate::error::StoreError;
use crate::maintain::sweep;
use crate::read::{all, parsed, rows, text};
use crate::store::Store;

pub(crate) fn put(connection: &Connection, letter: &Letter) -> Result<(), StoreError> {
    let kind = match letter.kind {
        LetterKind::Question => "question",
        LetterKind::Message => "message",
    };
    run_sql(
        connection,
        "INSERT INTO letters (id, kind, state, session, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            letter.id.as_str(),
            kind,
            letter.state.name(),
            letter.session.as_str(),
            millis(letter.at),
            json("letter", letter.id.as_str(), letter)?,
        ],
    )
}

/// Writes a letter in a new state. Refused if it is not in a state that may become this one: of two
/// answers only one goes through.
pub(crate) fn settle(
    connection: &Connection,
    letter: &Letter,
    at: Timestamp,
) -> Result<(), StoreError> {
    let from: Vec<&str> = LetterState::NAMES
        .iter()
        .filter_map(|(name, from)| from.may_become(letter.state).then_some(*name))
        .collect();
    change(
        connection,
        ("letter that can still be settled so", letter.id.as_str()),
        "UPDATE letters SET state = ?2, settled_at = ?3, body = ?4
         WHERE id = ?1 AND state IN (SELECT value FROM json_each(?5))",
        params![
            letter.id.as_str(),
            letter.state.name(),
            millis(at),
            json("letter", letter.id.as_str(), letter)?,
            serde_json::Value::from(from).to_string(),
        ],
    )
}

pub(crate) fn letter(connection: &Connection, id: &LetterId) -> Result<Option<Letter>, StoreError> {
    let sql = "SELECT id, body FROM letters WHERE id = ?1";
    Ok(all(connection, sql, [id.as_str()], letter_row)?.pop())
}

/// The newest first, those of one conversation from a moment on, or all in a state.
pub(crate) fn letters(
    connection: &Connection,
    state: Option<LetterState>,
    of: Option<(&SessionId, Timestamp)>,
    limit: usize,
) -> Result<Vec<Letter>, StoreError> {
    let sql = "SELECT id, body FROM letters WHERE (?1 IS NULL OR state = ?1)
         AND (?2 IS NULL OR session = ?2) AND at >= ?3 ORDER BY at DESC, id DESC LIMIT ?4";
    let values = params![
        state.map(LetterState::name),
        of.map(|(session, _)| session.as_str()),
        of.map_or(0, |(_, since)| millis(since)),
        rows(limit)
    ];
    all(connection, sql, values, letter_row)
}

fn letter_row(row: &rusqlite::Row<'_>) -> Result<Letter, StoreError> {
    parsed("letter", &text(row, 0)?, &text(row, 1)?)
}

pub(crate) fn put_request(
    connection: &Connection,
    run: &RunId,
    body: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO requests (run, changed_at, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (run) DO UPDATE SET changed_at = excluded.changed_at, body = excluded.body",
        params![run.as_str(), millis(at), body],
    )
}

pub(crate) fn request(connection: &Connection, run: &RunId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM requests WHERE run = ?1";
    Ok(all(connection, sql, [run.as_str()], |row| text(row, 0))?.pop())
}

/// Removes what is settled, or was left alone, for longer than the bound.
pub(crate) fn maintain(
    connection: &Connection,
    before: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let statements = [
        "DELETE FROM letters WHERE id IN (
             SELECT id FROM letters WHERE settled_at IS NOT NULL AND settled_at < ?1 LIMIT ?2)",
        "DELETE FROM requests WHERE run IN (
             SELECT run FROM requests WHERE changed_at < ?1 LIMIT ?2)",
    ];
    sweep(connection, &statements, before, limit)
}

impl Store {
    pub async fn letter(&self, id: &LetterId) -> Result<Option<Letter>, StoreError> {
        let id = id.clone();
        self.read(move |sql| letter(sql, &id)).await
    }

    /// The newest first: those in a state, or of one conversation from a moment on.
    pub async fn letters(
        &self,
        state: Option<LetterState>,
        of: Option<(&SessionId, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let of = of.map(|(session, since)| (session.clone(), since));
        self.read(move |sql| {
            let of = of.as_ref().map(|(session, since)| (session, *since));
            letters(sql, state, of, limit)
        })
        .await
    }

    /// What was kept of a request.
    pub async fn request(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        let run = run.clone();
        self.read(move |sql| request(sql, &run)).await
    }
}
