//! Each [`Op`] as SQL. Runs inside the writer's transaction.

use instar_protocol::event::Event;
use instar_protocol::message::{Entry, Inbound, InboxState, Outbox};
use instar_protocol::{EntryId, InboundId, RunId, SessionId, SessionKey, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::devices;
use crate::error::StoreError;
use crate::op::{Accepted, Op, SessionPatch, SessionRow, Spend, WebSession};
use crate::{
    aliases, candidates, contacts, faults, healing, letters, note_edits, notes, programs,
    questions, receipts, rollouts, said, traces,
};

/// Browser sessions that are kept; the ones that end first make room for new ones.
pub const WEB_SESSIONS_MAX: u32 = 256;

/// Applies one change.
pub(crate) fn apply(connection: &Connection, op: &Op) -> Result<(), StoreError> {
    match op {
        Op::PutSession(row) => put_session(connection, row),
        Op::PatchSession { id, patch } => patch_session(connection, id, patch),
        Op::DeleteSession { id, at } => change(
            connection,
            ("session", id.as_str()),
            "UPDATE sessions SET deleted_at = ?2 WHERE id = ?1",
            params![id.as_str(), millis(*at)],
        ),
        Op::RestoreSession { id } => change(
            connection,
            ("session", id.as_str()),
            "UPDATE sessions SET deleted_at = NULL WHERE id = ?1",
            params![id.as_str()],
        ),
        Op::AppendEntry(entry) => append_entry(connection, entry),
        Op::IndexSaid => said::index(connection),
        Op::AppendEvent(event) => append_event(connection, event),
        Op::Accept(message) => accept(connection, &message.0, &message.1).map(|_| ()),
        Op::SettleInbound { id, run, state, at } => change(
            connection,
            ("inbound message", id.as_str()),
            "UPDATE inbox SET state = ?2, run = coalesce(?3, run), settled_at = ?4 WHERE id = ?1",
            params![
                id.as_str(),
                word(state)?,
                run.as_ref().map(RunId::as_str),
                (*state != InboxState::Pending).then_some(millis(*at)),
            ],
        ),
        Op::PutOutbox(row) => put_outbox(connection, row),
        Op::SettleOutbox { id, state, at } => change(
            connection,
            ("reply", id.as_str()),
            "UPDATE outbox SET state = ?2, settled_at = ?3 WHERE id = ?1",
            params![id.as_str(), word(state)?, millis(*at)],
        ),
        Op::BeginEffect {
            run,
            session,
            call,
            at,
        } => run_sql(
            connection,
            "INSERT INTO effects (run, call_id, session, call, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                run.as_str(),
                call.id,
                session.as_str(),
                json("tool call", &call.id, call)?,
                millis(*at)
            ],
        ),
        Op::EndEffect {
            run,
            call_id,
            outcome,
            at,
        } => change(
            connection,
            ("tool call", call_id),
            "UPDATE effects SET outcome = ?3, ended_at = ?4 WHERE run = ?1 AND call_id = ?2",
            params![run.as_str(), call_id, outcome.name(), millis(*at)],
        ),
        Op::MoveAlias {
            alias,
            to,
            reason,
            by,
            at,
        } => aliases::move_to(connection, (alias, to.as_str()), reason, by, *at),
        Op::PutRelease { id, object, at } => run_sql(
            connection,
            "INSERT INTO releases (id, object, at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
            params![id.as_str(), object.as_str(), millis(*at)],
        ),
        Op::AddSpend(spend) => add_spend(connection, spend),
        Op::PutWebSession(row) => put_web_session(connection, row),
        Op::DropWebSession { digest } => run_sql(
            connection,
            "DELETE FROM web_sessions WHERE digest = ?1",
            params![digest],
        ),
        Op::PutDevice(row) => devices::put(connection, row),
        Op::RenameDevice { id, name } => devices::rename(connection, id, name),
        Op::SeenDevice { id, at } => devices::seen(connection, id, *at),
        Op::ForgetDevice { id } => devices::forget(connection, id),
        Op::PutDeviceToken(token) => devices::put_token(connection, token),
        Op::RevokeDeviceToken { device, at } => devices::revoke_token(connection, device, *at),
        Op::PutQuestion(question) => questions::put(connection, question),
        Op::SettleQuestion { question, at } => questions::settle(connection, question, *at),
        Op::PutRule(rule) => questions::put_rule(connection, rule),
        Op::AppendReceipt(receipt) => receipts::append(connection, receipt),
        Op::PutFileLabel(row) => traces::put_label(connection, row),
        Op::PutUndo(row) => traces::put_undo(connection, row),
        Op::PutOutput(row) => traces::put_output(connection, row),
        Op::PutProgramRun(row) => programs::put(connection, row),
        Op::DropProgramRun { id } => programs::drop_run(connection, id),
        Op::PutCandidate(row) => candidates::put(connection, row),
        Op::PutEnvelope(row) => candidates::put_envelope(connection, row),
        Op::PutLetter(letter) => letters::put(connection, letter),
        Op::SettleLetter { letter, at } => letters::settle(connection, letter, *at),
        Op::PutFault(row) => faults::put(connection, row),
        Op::PutOccasions(row) => faults::put_place(connection, row),
        Op::EditFaults { edit, who, at } => faults::edit(connection, *at, who, edit),
        Op::PutLabRun { body, at } => faults::put_run(connection, *at, body),
        Op::PutLabMemory { name, body } => faults::remember(connection, name, body),
        Op::PutHealing(row) => healing::put(connection, row),
        Op::RemoveHealing { kind, id } => healing::remove(connection, kind, id),
        Op::PutRollout(row) => rollouts::put(connection, row),
        Op::PutUnit(row) => rollouts::put_unit(connection, row),
        Op::PutNote(row) => notes::put(connection, row),
        Op::SettleNote { id, from, to } => notes::settle(connection, id, (*from, *to)),
        Op::DropNote { id } => notes::remove(connection, id),
        Op::PutNoteEdit(edit) => note_edits::put(connection, edit),
        Op::SettleNoteEdit { edit, from } => note_edits::settle(connection, edit, *from),
        Op::MeetContact(contact) => contacts::put(connection, contact),
        Op::ForgetContact { text } => contacts::forget(connection, text),
        Op::PutRequest { run, body, at } => letters::put_request(connection, run, body, *at),
    }
}

/// Adds a browser session within [`WEB_SESSIONS_MAX`].
fn put_web_session(connection: &Connection, row: &WebSession) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO web_sessions (digest, created_at, expires_at, via) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (digest) DO UPDATE SET expires_at = excluded.expires_at",
        params![
            row.digest,
            millis(row.created_at),
            millis(row.expires_at),
            row.via
        ],
    )?;
    run_sql(
        connection,
        "DELETE FROM web_sessions WHERE digest <> ?1 AND digest IN (
             SELECT digest FROM web_sessions WHERE digest <> ?1
             ORDER BY expires_at DESC, digest LIMIT -1 OFFSET ?2)",
        params![row.digest, WEB_SESSIONS_MAX - 1],
    )
}

/// Stores an inbound message with its event, unless its idempotency key was seen before.
pub(crate) fn accept(
    connection: &Connection,
    inbound: &Inbound,
    event: &Event,
) -> Result<Accepted, StoreError> {
    if let Some(seen) = seen_before(connection, inbound)? {
        return Ok(seen);
    }
    run_sql(
        connection,
        "INSERT INTO inbox (id, session_key, idempotency_key, state, received_at, body)
         VALUES (?1, ?2, ?3, 'pending', ?4, ?5)",
        params![
            inbound.id.as_str(),
            inbound.session_key.as_str(),
            inbound.idempotency_key,
            millis(inbound.received_at),
            json("inbound message", inbound.id.as_str(), inbound)?,
        ],
    )?;
    append_event(connection, event)?;
    Ok(Accepted::Fresh)
}

fn seen_before(connection: &Connection, inbound: &Inbound) -> Result<Option<Accepted>, StoreError> {
    let Some(key) = &inbound.idempotency_key else {
        return Ok(None);
    };
    let row: Option<(String, String, Option<String>)> = connection
        .prepare_cached(
            "SELECT id, state, run FROM inbox WHERE session_key = ?1 AND idempotency_key = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![inbound.session_key.as_str(), key], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })
        .map_err(|source| StoreError::sql("looking for the idempotency key", source))?;
    row.map(|(id, state, run)| {
        Ok(Accepted::Duplicate {
            state: from_word("inbound message", &id, &state)?,
            id: InboundId::from_stored(id),
            run: run.map(RunId::from_stored),
        })
    })
    .transpose()
}

fn put_session(connection: &Connection, row: &SessionRow) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO sessions (id, key, agent, title, created_at, updated_at, leaf, model,
             deleted_at, entries, input_tokens, output_tokens, cost_micros, parent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE SET key = ?2, agent = ?3, title = ?4, created_at = ?5,
             updated_at = ?6, leaf = ?7, model = ?8, deleted_at = ?9, entries = ?10,
             input_tokens = ?11, output_tokens = ?12, cost_micros = ?13, parent = ?14",
        params![
            row.id.as_str(),
            row.key.as_str(),
            row.agent.as_str(),
            row.title,
            millis(row.created_at),
            millis(row.updated_at),
            row.leaf.as_ref().map(EntryId::as_str),
            row.model,
            row.deleted_at.map(millis),
            number(row.entries),
            number(row.input_tokens),
            number(row.output_tokens),
            number(row.cost_micros),
            row.parent.as_ref().map(SessionKey::as_str),
        ],
    )?;
    run_sql(
        connection,
        "INSERT INTO session_keys (key, session) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET session = excluded.session",
        params![row.key.as_str(), row.id.as_str()],
    )
}

fn patch_session(
    connection: &Connection,
    id: &SessionId,
    patch: &SessionPatch,
) -> Result<(), StoreError> {
    change(
        connection,
        ("session", id.as_str()),
        "UPDATE sessions SET title = coalesce(?2, title),
             leaf = CASE WHEN ?10 THEN ?3 ELSE leaf END,
             model = CASE WHEN ?4 THEN ?5 ELSE model END, updated_at = coalesce(?6, updated_at),
             input_tokens = input_tokens + ?7, output_tokens = output_tokens + ?8,
             cost_micros = cost_micros + ?9
         WHERE id = ?1",
        params![
            id.as_str(),
            patch.title,
            patch
                .leaf
                .as_ref()
                .and_then(Option::as_ref)
                .map(EntryId::as_str),
            patch.model.is_some(),
            patch.model.as_ref().and_then(Option::as_ref),
            patch.updated_at.map(millis),
            number(patch.add_input_tokens),
            number(patch.add_output_tokens),
            number(patch.add_cost_micros),
            patch.leaf.is_some(),
        ],
    )
}

fn append_entry(connection: &Connection, entry: &Entry) -> Result<(), StoreError> {
    change(
        connection,
        ("session", entry.session.as_str()),
        "UPDATE sessions SET entries = entries + 1 WHERE id = ?1",
        params![entry.session.as_str()],
    )?;
    run_sql(
        connection,
        "INSERT INTO entries (id, session, parent, at, run, label, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            entry.id.as_str(),
            entry.session.as_str(),
            entry.parent.as_ref().map(EntryId::as_str),
            millis(entry.at),
            entry.run.as_ref().map(RunId::as_str),
            json("entry", entry.id.as_str(), &entry.label)?,
            json("entry", entry.id.as_str(), &entry.body)?,
        ],
    )
}

fn append_event(connection: &Connection, event: &Event) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO events (id, at, kind, session, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            event.id.as_str(),
            millis(event.at),
            event.kind.name(),
            event.session.as_ref().map(SessionId::as_str),
            json("event", event.id.as_str(), event)?,
        ],
    )
}

fn put_outbox(connection: &Connection, row: &Outbox) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO outbox (id, session, run, surface, idempotency_key, text, state, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            row.id.as_str(),
            row.session.as_str(),
            row.run.as_str(),
            row.surface,
            row.idempotency_key,
            row.text,
            word(&row.state)?,
            millis(row.at),
        ],
    )
}

fn add_spend(connection: &Connection, spend: &Spend) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO spend (day, agent, model, calls, input_tokens, output_tokens, cost_micros)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (day, agent, model) DO UPDATE SET
             calls = calls + excluded.calls,
             input_tokens = input_tokens + excluded.input_tokens,
             output_tokens = output_tokens + excluded.output_tokens,
             cost_micros = cost_micros + excluded.cost_micros",
        params![
            spend.day,
            spend.agent.as_str(),
            spend.model,
            number(spend.calls),
            number(spend.input_tokens),
            number(spend.output_tokens),
            number(spend.cost_micros),
        ],
    )
}

pub(crate) fn run_sql(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<(), StoreError> {
    count(connection, sql, values).map(drop)
}

/// Runs a statement that must find its row.
pub(crate) fn change(
    connection: &Connection,
    (what, id): (&'static str, &str),
    sql: &str,
    values: impl Params,
) -> Result<(), StoreError> {
    if count(connection, sql, values)? == 0 {
        return Err(StoreError::Missing {
            what,
            id: id.to_owned(),
        });
    }
    Ok(())
}

fn count(connection: &Connection, sql: &str, values: impl Params) -> Result<usize, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(|source| StoreError::Sql {
            doing: "writing a change",
            source,
        })
}

/// SQLite's integers are signed; no counter or time of ours comes near the bound.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn millis(at: Timestamp) -> i64 {
    number(at.millis())
}

pub(crate) fn json(
    what: &'static str,
    id: &str,
    value: &impl Serialize,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Decode {
        what,
        id: id.to_owned(),
        source,
    })
}

/// The serialised name of a plain enum, without its quotes.
pub(crate) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(json("state", "", value)?.trim_matches('"').to_owned())
}

/// Reads what [`word`] wrote.
pub(crate) fn from_word<T: DeserializeOwned>(
    what: &'static str,
    id: &str,
    word: &str,
) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|source| StoreError::Decode {
        what,
        id: id.to_owned(),
        source,
    })
}
