//! Questions to the owner and the standing rules that were made of answers.

use instar_protocol::approval::{Question, QuestionState, StandingRule};
use instar_protocol::{QuestionId, RuleId, SessionId, Timestamp};
use rusqlite::{Connection, params};

use crate::apply::{change, json, millis, run_sql};
use crate::error::StoreError;
use crate::maintain::sweep;
use crate::read::{all, parsed, rows, text};
use crate::store::Store;

/// Standing rules that are kept, revoked ones included. Each was made by hand.
pub const RULES_MAX: u32 = 1_000;

pub(crate) fn put(connection: &Connection, question: &Question) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO questions (id, state, digest, session, asked_at, expires_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            question.id.as_str(),
            question.state.name(),
            question.digest,
            question.session.as_str(),
            millis(question.asked_at),
            millis(question.expires_at),
            json("question", question.id.as_str(), question)?,
        ],
    )
}

/// Writes a question in a new state. Refused if it is not in a state that may become this one: two
/// answers, or two uses of one answer, cannot both go through.
pub(crate) fn settle(
    connection: &Connection,
    question: &Question,
    at: Timestamp,
) -> Result<(), StoreError> {
    let from: Vec<&str> = QuestionState::NAMES
        .iter()
        .filter_map(|(name, from)| from.may_become(question.state).then_some(*name))
        .collect();
    change(
        connection,
        (
            "question that can still be settled so",
            question.id.as_str(),
        ),
        "UPDATE questions SET state = ?2, settled_at = ?3, body = ?4
         WHERE id = ?1 AND state IN (SELECT value FROM json_each(?5))",
        params![
            question.id.as_str(),
            question.state.name(),
            millis(at),
            json("question", question.id.as_str(), question)?,
            serde_json::Value::from(from).to_string(),
        ],
    )
}

pub(crate) fn question(
    connection: &Connection,
    id: &QuestionId,
) -> Result<Option<Question>, StoreError> {
    let sql = "SELECT id, body FROM questions WHERE id = ?1";
    Ok(all(connection, sql, [id.as_str()], question_row)?.pop())
}

/// Open ones oldest first, so that who waits longest is seen first; others newest first.
pub(crate) fn questions(
    connection: &Connection,
    state: Option<QuestionState>,
    session: Option<&SessionId>,
    limit: usize,
) -> Result<Vec<Question>, StoreError> {
    let order = if state == Some(QuestionState::Open) {
        "asked_at, id"
    } else {
        "asked_at DESC, id DESC"
    };
    let sql = format!(
        "SELECT id, body FROM questions WHERE (?1 IS NULL OR state = ?1)
         AND (?2 IS NULL OR session = ?2) ORDER BY {order} LIMIT ?3"
    );
    let values = params![
        state.map(QuestionState::name),
        session.map(SessionId::as_str),
        rows(limit)
    ];
    all(connection, &sql, values, question_row)
}

fn question_row(row: &rusqlite::Row<'_>) -> Result<Question, StoreError> {
    parsed("question", &text(row, 0)?, &text(row, 1)?)
}

pub(crate) fn put_rule(connection: &Connection, rule: &StandingRule) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO standing_rules (id, created_at, created_by, expires_at, revoked_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at,
             revoked_at = coalesce(standing_rules.revoked_at, excluded.revoked_at),
             body = excluded.body",
        params![
            rule.id.as_str(),
            millis(rule.created_at),
            rule.created_by,
            rule.expires_at.map(millis),
            rule.revoked_at.map(millis),
            json("rule", rule.id.as_str(), rule)?,
        ],
    )
}

pub(crate) fn rule(
    connection: &Connection,
    id: &RuleId,
) -> Result<Option<StandingRule>, StoreError> {
    let sql = "SELECT id, body FROM standing_rules WHERE id = ?1";
    Ok(all(connection, sql, [id.as_str()], rule_row)?.pop())
}

/// The newest first, revoked and spent ones included.
pub(crate) fn rules(connection: &Connection) -> Result<Vec<StandingRule>, StoreError> {
    let sql = "SELECT id, body FROM standing_rules ORDER BY created_at DESC, id DESC LIMIT ?1";
    all(connection, sql, [RULES_MAX], rule_row)
}

fn rule_row(row: &rusqlite::Row<'_>) -> Result<StandingRule, StoreError> {
    parsed("rule", &text(row, 0)?, &text(row, 1)?)
}

/// Removes settled questions and dead rules that are older than the bound.
pub(crate) fn maintain(
    connection: &Connection,
    before: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let statements = [
        "DELETE FROM questions WHERE id IN (
             SELECT id FROM questions WHERE settled_at IS NOT NULL AND settled_at < ?1 LIMIT ?2)",
        "DELETE FROM standing_rules WHERE id IN (
             SELECT id FROM standing_rules
             WHERE coalesce(revoked_at, expires_at) < ?1 LIMIT ?2)",
    ];
    sweep(connection, &statements, before, limit)
}

impl Store {
    pub async fn question(&self, id: &QuestionId) -> Result<Option<Question>, StoreError> {
        let id = id.clone();
        self.read(move |sql| question(sql, &id)).await
    }

    /// Open ones oldest first, others newest first.
    pub async fn questions(
        &self,
        state: Option<QuestionState>,
        session: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<Question>, StoreError> {
        let session = session.cloned();
        self.read(move |sql| questions(sql, state, session.as_ref(), limit))
            .await
    }

    pub async fn rule(&self, id: &RuleId) -> Result<Option<StandingRule>, StoreError> {
        let id = id.clone();
        self.read(move |sql| rule(sql, &id)).await
    }

    /// The newest first, revoked and spent ones included.
    pub async fn rules(&self) -> Result<Vec<StandingRule>, StoreError> {
        self.read(rules).await
    }
}
