//! Reading: each question as SQL, and rows back as values.

use instar_protocol::event::Event;
use instar_protocol::message::{Entry, EntryBody, Inbound, Outbox};
use instar_protocol::{
    AgentId, EntryId, InboundId, ObjectHash, OutboxId, ReleaseId, RunId, SessionId, SessionKey,
    Timestamp,
};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serde::de::DeserializeOwned;

use crate::apply::{from_word, millis};
use crate::error::StoreError;
use crate::op::{
    AliasMove, EventFilter, OpenEffect, SessionFilter, SessionRow, Spend, StoredInbound,
    StoredRelease, Unfinished, WebSession,
};

/// Rows that one answer holds at the most, whatever was asked for.
pub const ROWS_MAX: usize = 10_000;

type Answer<T> = Result<T, StoreError>;

const SESSION: &str = "SELECT s.id, s.key, s.agent, s.title, s.created_at, s.updated_at, s.leaf,
    s.model, s.deleted_at, s.entries, s.input_tokens, s.output_tokens, s.cost_micros, s.parent
    FROM sessions s";
pub(crate) const ENTRY: &str = "SELECT id, session, parent, at, run, label, body FROM entries";
const OUTBOX: &str =
    "SELECT id, session, run, surface, idempotency_key, text, state, at FROM outbox";

pub(crate) fn session_by_key(
    connection: &Connection,
    key: &SessionKey,
) -> Answer<Option<SessionRow>> {
    let sql = format!(
        "{SESSION} JOIN session_keys k ON k.session = s.id
         WHERE k.key = ?1 AND s.deleted_at IS NULL"
    );
    Ok(all(connection, &sql, [key.as_str()], session_row)?.pop())
}

/// The conversations of the sub-agents that work for one, and of those that work for these.
pub(crate) fn sessions_under(connection: &Connection, id: &SessionId) -> Answer<Vec<SessionId>> {
    let sql = "WITH RECURSIVE under(id) AS (
            SELECT ?1 UNION
            SELECT s.id FROM under u JOIN session_keys k ON k.session = u.id
                JOIN sessions s ON s.parent = k.key)
        SELECT id FROM under WHERE id != ?1";
    all(connection, sql, [id.as_str()], |row| {
        Ok(SessionId::from_stored(text(row, 0)?))
    })
}

pub(crate) fn session(connection: &Connection, id: &SessionId) -> Answer<Option<SessionRow>> {
    let sql = format!("{SESSION} WHERE s.id = ?1");
    Ok(all(connection, &sql, [id.as_str()], session_row)?.pop())
}

/// The sessions of a page, the one changed last first.
pub(crate) fn sessions(connection: &Connection, filter: &SessionFilter) -> Answer<Vec<SessionRow>> {
    let mut sql = String::from(SESSION);
    sql.push_str(if filter.deleted {
        " WHERE s.deleted_at IS NOT NULL"
    } else {
        " WHERE s.deleted_at IS NULL"
    });
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(agent) = &filter.agent {
        values.push(Box::new(agent.as_str().to_owned()));
        sql.push_str(&format!(" AND s.agent = ?{}", values.len()));
    }
    if let Some(before) = filter.before {
        values.push(Box::new(millis(before)));
        sql.push_str(&format!(" AND s.updated_at < ?{}", values.len()));
    }
    if let Some(search) = &filter.search {
        values.push(Box::new(search.to_lowercase()));
        let n = values.len();
        sql.push_str(&format!(
            " AND (instr(lower(coalesce(s.title, '')), ?{n}) > 0 OR instr(lower(s.key), ?{n}) > 0)"
        ));
    }
    values.push(Box::new(rows(filter.limit)));
    sql.push_str(&format!(
        " ORDER BY s.updated_at DESC, s.id DESC LIMIT ?{}",
        values.len()
    ));
    all(
        connection,
        &sql,
        rusqlite::params_from_iter(values.iter()),
        session_row,
    )
}

pub(crate) fn session_count(connection: &Connection) -> Answer<u64> {
    let found = all(
        connection,
        "SELECT count(*) FROM sessions WHERE deleted_at IS NULL",
        [],
        |row| Ok(unsigned(row.get(0).map_err(column)?)),
    )?;
    Ok(found.first().copied().unwrap_or(0))
}

/// Walks from the leaf towards the root. Each step is one look-up by id, so the length of the
/// transcript beyond `limit` does not matter.
pub(crate) fn branch(
    connection: &Connection,
    session: &SessionId,
    from: Option<EntryId>,
    limit: usize,
) -> Answer<Vec<Entry>> {
    // One snapshot for the whole walk.
    let snapshot = connection
        .unchecked_transaction()
        .map_err(|source| StoreError::sql("starting a read", source))?;
    let mut next = match from {
        Some(leaf) => Some(leaf),
        None => self::session(&snapshot, session)?.and_then(|row| row.leaf),
    };
    let sql = format!("{ENTRY} WHERE id = ?1 AND session = ?2");
    let mut walked = Vec::new();
    while walked.len() < limit.min(ROWS_MAX)
        && let Some(id) = next.take()
    {
        let found = all(&snapshot, &sql, [id.as_str(), session.as_str()], entry_row)?.pop();
        let Some(entry) = found else { break };
        if !matches!(entry.body, EntryBody::Reset { .. }) {
            next.clone_from(&entry.parent);
        }
        walked.push(entry);
    }
    Ok(walked)
}

pub(crate) fn entries(
    connection: &Connection,
    session: &SessionId,
    after: Option<&EntryId>,
    limit: usize,
) -> Answer<Vec<Entry>> {
    let sql = format!(
        "{ENTRY} WHERE session = ?1
         AND seq > coalesce((SELECT seq FROM entries WHERE id = ?2), 0) ORDER BY seq LIMIT ?3"
    );
    let values = params![session.as_str(), after.map(EntryId::as_str), rows(limit)];
    all(connection, &sql, values, entry_row)
}

pub(crate) fn entries_of_run(connection: &Connection, run: &RunId) -> Answer<Vec<Entry>> {
    let sql = format!("{ENTRY} WHERE run = ?1 ORDER BY seq LIMIT ?2");
    all(
        connection,
        &sql,
        params![run.as_str(), rows(ROWS_MAX)],
        entry_row,
    )
}

pub(crate) fn unfinished(connection: &Connection) -> Answer<Unfinished> {
    let snapshot = connection
        .unchecked_transaction()
        .map_err(|source| StoreError::sql("starting a read", source))?;
    Ok(Unfinished {
        inbox: all(
            &snapshot,
            "SELECT id, state, run, body FROM inbox WHERE state = 'pending' ORDER BY seq",
            [],
            inbound_row,
        )?,
        effects: all(
            &snapshot,
            "SELECT run, session, call, at FROM effects WHERE outcome IS NULL ORDER BY seq",
            [],
            effect_row,
        )?,
        outbox: all(
            &snapshot,
            &format!("{OUTBOX} WHERE state IN ('pending', 'sending') ORDER BY seq"),
            [],
            outbox_row,
        )?,
    })
}

pub(crate) fn inbound(connection: &Connection, id: &InboundId) -> Answer<Option<StoredInbound>> {
    let sql = "SELECT id, state, run, body FROM inbox WHERE id = ?1";
    Ok(all(connection, sql, [id.as_str()], inbound_row)?.pop())
}

pub(crate) fn outbox_of_run(connection: &Connection, run: &RunId) -> Answer<Vec<Outbox>> {
    let sql = format!("{OUTBOX} WHERE run = ?1 ORDER BY seq LIMIT ?2");
    all(
        connection,
        &sql,
        params![run.as_str(), rows(ROWS_MAX)],
        outbox_row,
    )
}

pub(crate) fn uncertain(connection: &Connection, limit: usize) -> Answer<Vec<Outbox>> {
    let sql = format!("{OUTBOX} WHERE state = 'uncertain' ORDER BY seq DESC LIMIT ?1");
    all(connection, &sql, [rows(limit)], outbox_row)
}

/// Kinds of events that every turn leaves.
const EVERYDAY_KINDS: [&str; 5] = [
    "message_in",
    "message_out",
    "turn",
    "model_call",
    "tool_call",
];
const RARE: &str =
    " AND kind NOT IN ('message_in', 'message_out', 'turn', 'model_call', 'tool_call')";

/// Newest first without `after`; behind it, in the order in which they were stored.
pub(crate) fn events(connection: &Connection, filter: &EventFilter) -> Answer<Vec<Event>> {
    let mut sql = String::from("SELECT id, body FROM events WHERE true");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(after) = &filter.after {
        values.push(Box::new(event_seq(connection, after.as_str())?));
        sql.push_str(&format!(" AND seq > ?{}", values.len()));
    }
    if let Some(kind) = &filter.kind {
        values.push(Box::new(kind.clone()));
        sql.push_str(&format!(" AND kind = ?{}", values.len()));
        if !EVERYDAY_KINDS.contains(&kind.as_str()) {
            // The words of the index over rare kinds, so that the planner can use it.
            sql.push_str(RARE);
        }
    }
    if let Some(session) = &filter.session {
        values.push(Box::new(session.as_str().to_owned()));
        sql.push_str(&format!(" AND session = ?{}", values.len()));
    }
    if let Some(since) = filter.since {
        values.push(Box::new(millis(since)));
        sql.push_str(&format!(" AND at >= ?{}", values.len()));
    }
    values.push(Box::new(rows(filter.limit)));
    let order = if filter.after.is_some() {
        "ASC"
    } else {
        "DESC"
    };
    sql.push_str(&format!(" ORDER BY seq {order} LIMIT ?{}", values.len()));
    all(
        connection,
        &sql,
        rusqlite::params_from_iter(values.iter()),
        |row| {
            let id: String = row.get(0).map_err(column)?;
            parsed("event", &id, &text(row, 1)?)
        },
    )
}

/// The place of an event in the log; for one that retention removed, the place before its
/// successor.
fn event_seq(connection: &Connection, id: &str) -> Answer<i64> {
    let seq = |sql, values: [&str; 1]| {
        connection
            .prepare_cached(sql)
            .and_then(|mut found| {
                found
                    .query_row(values, |row| row.get::<_, i64>(0))
                    .optional()
            })
            .map_err(|source| StoreError::sql("finding an event", source))
    };
    if let Some(exact) = seq("SELECT seq FROM events WHERE id = ?1", [id])? {
        return Ok(exact);
    }
    let next = seq(
        "SELECT seq - 1 FROM events WHERE id > ?1 ORDER BY id LIMIT 1",
        [id],
    )?;
    Ok(next.unwrap_or(i64::MAX))
}

pub(crate) fn alias(connection: &Connection, alias: &str) -> Answer<Option<ReleaseId>> {
    let sql = "SELECT release FROM aliases WHERE alias = ?1";
    let found = all(connection, sql, [alias], |row| {
        Ok(ReleaseId::from_hex(text(row, 0)?))
    })?;
    Ok(found.into_iter().next())
}

/// The moves of one alias, or of all; the newest first.
pub(crate) fn alias_log(
    connection: &Connection,
    alias: Option<&str>,
    limit: usize,
) -> Answer<Vec<AliasMove>> {
    let columns =
        "SELECT alias, from_release, to_release, reason, by, at, seq, hash FROM alias_log";
    let limit = rows(limit);
    match alias {
        Some(name) => all(
            connection,
            &format!("{columns} WHERE alias = ?1 ORDER BY seq DESC LIMIT ?2"),
            params![name, limit],
            move_row,
        ),
        None => all(
            connection,
            &format!("{columns} ORDER BY seq DESC LIMIT ?1"),
            [limit],
            move_row,
        ),
    }
}

pub(crate) fn releases(connection: &Connection) -> Answer<Vec<StoredRelease>> {
    let sql = "SELECT id, object, at FROM releases ORDER BY rowid DESC LIMIT ?1";
    all(connection, sql, [rows(ROWS_MAX)], stored_release)
}

pub(crate) fn release(connection: &Connection, id: &ReleaseId) -> Answer<Option<StoredRelease>> {
    let sql = "SELECT id, object, at FROM releases WHERE id = ?1";
    let found = all(connection, sql, [id.as_str()], stored_release)?;
    Ok(found.into_iter().next())
}

fn stored_release(row: &Row<'_>) -> Answer<StoredRelease> {
    Ok(StoredRelease {
        id: ReleaseId::from_hex(text(row, 0)?),
        object: ObjectHash::from_hex(text(row, 1)?),
        at: time(row, 2)?,
    })
}

pub(crate) fn spend(connection: &Connection, from: &str, to: &str) -> Answer<Vec<Spend>> {
    let sql = "SELECT day, agent, model, calls, input_tokens, output_tokens, cost_micros
        FROM spend WHERE day BETWEEN ?1 AND ?2 ORDER BY day, agent, model LIMIT ?3";
    all(connection, sql, params![from, to, rows(ROWS_MAX)], |row| {
        let day = text(row, 0)?;
        Ok(Spend {
            agent: from_word::<AgentId>("spending", &day, &text(row, 1)?)?,
            day,
            model: text(row, 2)?,
            session: SessionId::from_stored(""),
            calls: counter(row, 3)?,
            input_tokens: counter(row, 4)?,
            output_tokens: counter(row, 5)?,
            cost_micros: counter(row, 6)?,
        })
    })
}

pub(crate) fn web_session(connection: &Connection, digest: &str) -> Answer<Option<WebSession>> {
    let sql = "SELECT digest, created_at, expires_at, via FROM web_sessions WHERE digest = ?1";
    let found = all(connection, sql, [digest], |row| {
        Ok(WebSession {
            digest: text(row, 0)?,
            created_at: time(row, 1)?,
            expires_at: time(row, 2)?,
            via: text(row, 3)?,
        })
    })?;
    Ok(found.into_iter().next())
}

fn session_row(row: &Row<'_>) -> Answer<SessionRow> {
    let id = text(row, 0)?;
    Ok(SessionRow {
        key: from_word("session", &id, &text(row, 1)?)?,
        agent: from_word("session", &id, &text(row, 2)?)?,
        title: row.get(3).map_err(column)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
        leaf: maybe(row, 6)?.map(EntryId::from_stored),
        model: maybe(row, 7)?,
        deleted_at: row
            .get::<_, Option<i64>>(8)
            .map_err(column)?
            .map(|at| Timestamp::from_millis(unsigned(at))),
        entries: counter(row, 9)?,
        input_tokens: counter(row, 10)?,
        output_tokens: counter(row, 11)?,
        cost_micros: counter(row, 12)?,
        parent: maybe(row, 13)?
            .map(|key| from_word("session", &id, &key))
            .transpose()?,
        id: SessionId::from_stored(id),
    })
}

pub(crate) fn entry_row(row: &Row<'_>) -> Answer<Entry> {
    let id = text(row, 0)?;
    Ok(Entry {
        session: SessionId::from_stored(text(row, 1)?),
        parent: maybe(row, 2)?.map(EntryId::from_stored),
        at: time(row, 3)?,
        run: maybe(row, 4)?.map(RunId::from_stored),
        label: parsed("entry", &id, &text(row, 5)?)?,
        body: parsed("entry", &id, &text(row, 6)?)?,
        id: EntryId::from_stored(id),
    })
}

fn inbound_row(row: &Row<'_>) -> Answer<StoredInbound> {
    let id = text(row, 0)?;
    Ok(StoredInbound {
        state: from_word("inbound message", &id, &text(row, 1)?)?,
        run: maybe(row, 2)?.map(RunId::from_stored),
        inbound: parsed::<Inbound>("inbound message", &id, &text(row, 3)?)?,
    })
}

fn outbox_row(row: &Row<'_>) -> Answer<Outbox> {
    let id = text(row, 0)?;
    Ok(Outbox {
        session: SessionId::from_stored(text(row, 1)?),
        run: RunId::from_stored(text(row, 2)?),
        surface: text(row, 3)?,
        idempotency_key: text(row, 4)?,
        text: text(row, 5)?,
        state: from_word("reply", &id, &text(row, 6)?)?,
        at: time(row, 7)?,
        id: OutboxId::from_stored(id),
    })
}

fn effect_row(row: &Row<'_>) -> Answer<OpenEffect> {
    let run = text(row, 0)?;
    Ok(OpenEffect {
        session: SessionId::from_stored(text(row, 1)?),
        call: parsed("tool call", &run, &text(row, 2)?)?,
        at: time(row, 3)?,
        run: RunId::from_stored(run),
    })
}

fn move_row(row: &Row<'_>) -> Answer<AliasMove> {
    Ok(AliasMove {
        alias: text(row, 0)?,
        from: maybe(row, 1)?.map(ReleaseId::from_hex),
        to: ReleaseId::from_hex(text(row, 2)?),
        reason: text(row, 3)?,
        by: text(row, 4)?,
        at: time(row, 5)?,
        seq: unsigned(row.get(6).map_err(column)?),
        hash: maybe(row, 7)?,
    })
}

/// Runs a question and reads every row.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Answer<T>,
) -> Answer<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(column)?;
    let mut rows = statement.query(values).map_err(column)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(column)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// A limit as SQLite takes it.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(ROWS_MAX)).unwrap_or(0)
}

pub(crate) fn column(source: rusqlite::Error) -> StoreError {
    StoreError::sql("reading", source)
}

pub(crate) fn text(row: &Row<'_>, index: usize) -> Answer<String> {
    row.get(index).map_err(column)
}

pub(crate) fn maybe(row: &Row<'_>, index: usize) -> Answer<Option<String>> {
    row.get(index).map_err(column)
}

pub(crate) fn time(row: &Row<'_>, index: usize) -> Answer<Timestamp> {
    Ok(Timestamp::from_millis(counter(row, index)?))
}

fn counter(row: &Row<'_>, index: usize) -> Answer<u64> {
    Ok(unsigned(row.get(index).map_err(column)?))
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn parsed<T: DeserializeOwned>(what: &'static str, id: &str, json: &str) -> Answer<T> {
    serde_json::from_str(json).map_err(|source| StoreError::Decode {
        what,
        id: id.to_owned(),
        source,
    })
}
