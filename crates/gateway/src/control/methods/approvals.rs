//! Questions to the owner: seen and answered by clients that hold the approvals scope. What a client
//! says of a reviewer decides nothing; the connection proved who it is.

use instar_agent::AnswerError;
use instar_protocol::approval::{Question, QuestionState};
use instar_protocol::approvals::OwnersWord;
use instar_protocol::{QuestionId, RuleId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{asked, said};
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::approval::{details, grant, requested, snapshot};

/// Items of the history when nobody says how many, and the most.
const ITEMS: usize = 50;
const ITEMS_MAX: usize = 100;
/// How far back the history is gone through.
const HISTORY_MAX: usize = 5_000;
const GRANTS_MAX: usize = 500;
/// How long a rule is kept: what the house allows.
const RULE_DAYS: u32 = 30;

macro_rules! approval_methods {
    ($($name:literal => $run:ident),* $(,)?) => {
        pub(super) const METHODS: &[Method] = &[$(Method {
            name: $name,
            need: Need::Scope(Scope::Approvals),
            advertised: true,
            run: |call| Box::pin($run(call)),
        }),*];
    };
}

approval_methods! {
    "exec.approval.list" => list,
    "exec.approval.get" => get,
    "exec.approval.resolve" => resolve,
    "exec.approval.grants.list" => grants,
    "exec.approval.grants.revoke" => revoke,
    "approval.get" => shown,
    "approval.resolve" => settle,
    "approval.history" => history,
}

impl From<AnswerError> for Refusal {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Unknown(_) => Self::invalid(format!("unknown approval: {error}")),
            AnswerError::Store(error) => error.into(),
            error => Self::invalid(error.to_string()),
        }
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct One {
    id: String,
}

async fn open_one(call: &Call) -> Result<Question, Refusal> {
    let One { id } = call.params()?;
    Ok(asked(&call.app, &QuestionId::from_stored(id)).await?)
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let open = call.app.sessions.asking().open().await?;
    Ok(open.iter().map(requested).collect())
}

async fn get(call: Call) -> Result<Value, Refusal> {
    Ok(details(&open_one(&call).await?))
}

async fn shown(call: Call) -> Result<Value, Refusal> {
    Ok(json!({ "approval": snapshot(&open_one(&call).await?) }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resolve {
    id: String,
    decision: String,
    #[serde(default)]
    grant_expires_in_days: Option<u32>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settle {
    id: String,
    kind: String,
    decision: String,
    #[serde(default)]
    grant_expires_in_days: Option<u32>,
}

fn word(decision: &str, days: Option<u32>) -> Result<OwnersWord, Refusal> {
    if days.is_some_and(|days| days != RULE_DAYS) {
        return Err(Refusal::invalid(format!(
            "a rule is kept for {RULE_DAYS} days: leave grantExpiresInDays out"
        )));
    }
    match decision {
        "allow-once" => Ok(OwnersWord::Once),
        "allow-always" => Ok(OwnersWord::Always),
        "deny" => Ok(OwnersWord::No),
        _ => Err(Refusal::invalid(
            "decision must be allow-once, allow-always or deny",
        )),
    }
}

/// Whose word it is: a device that the owner let in, or the owner's browser.
fn by(call: &Call) -> String {
    match &call.who.device {
        Some(device) => format!("device:{device}"),
        None => "browser".to_owned(),
    }
}

async fn resolve(call: Call) -> Result<Value, Refusal> {
    let given: Resolve = call.read(&["reviewer"])?;
    let word = word(&given.decision, given.grant_expires_in_days)?;
    let id = QuestionId::from_stored(given.id);
    let answered = said(&call.app, &id, word, &by(&call)).await?;
    Ok(json!({ "ok": true, "id": answered.id, "decision": given.decision }))
}

async fn settle(call: Call) -> Result<Value, Refusal> {
    let given: Settle = call.read(&["reviewer"])?;
    let word = word(&given.decision, given.grant_expires_in_days)?;
    let id = QuestionId::from_stored(given.id);
    if given.kind != "exec" {
        return Err(AnswerError::Unknown(id).into());
    }
    match said(&call.app, &id, word, &by(&call)).await {
        Ok(answered) => Ok(json!({ "applied": true, "approval": snapshot(&answered) })),
        // Somebody was first: what he said is the answer.
        Err(AnswerError::Settled { .. } | AnswerError::TooLate(_)) => {
            let stands = asked(&call.app, &id).await?;
            Ok(json!({ "applied": false, "approval": snapshot(&stands) }))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct History {
    cursor: Option<String>,
    limit: Option<usize>,
    kind: Option<String>,
}

async fn history(call: Call) -> Result<Value, Refusal> {
    let given: History = call.params()?;
    let from: usize = match &given.cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Refusal::invalid("unknown cursor: begin again without one"))?,
    };
    if given.kind.as_deref().is_some_and(|kind| kind != "exec") {
        return Ok(json!({ "items": [] }));
    }
    let limit = given.limit.unwrap_or(ITEMS).clamp(1, ITEMS_MAX);
    let mut all = call.app.store.questions(None, None, HISTORY_MAX).await?;
    all.retain(|question| question.state != QuestionState::Open);
    let items: Vec<Value> = all.iter().skip(from).take(limit).map(snapshot).collect();
    let next = from.saturating_add(limit);
    let mut answer = json!({ "items": items });
    if next < all.len() {
        answer["nextCursor"] = next.to_string().into();
    }
    Ok(answer)
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct Grants {
    limit: Option<usize>,
}

async fn grants(call: Call) -> Result<Value, Refusal> {
    let given: Grants = call.params()?;
    let limit = given.limit.unwrap_or(GRANTS_MAX).clamp(1, GRANTS_MAX);
    let rules = call.app.sessions.asking().rules().await?;
    let asked = call.app.store.questions(None, None, HISTORY_MAX).await?;
    let agent = call.app.default_agent();
    let rows = rules.iter().take(limit).map(|rule| {
        let made = asked.iter().find(|question| {
            let answer = question.answer.as_ref();
            answer.and_then(|answer| answer.rule.as_ref()) == Some(&rule.id)
        });
        grant(rule, agent.as_str(), made)
    });
    Ok(json!({ "grants": rows.collect::<Vec<_>>() }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revoke {
    grant_id: String,
}

async fn revoke(call: Call) -> Result<Value, Refusal> {
    let given: Revoke = call.params()?;
    let id = RuleId::from_stored(given.grant_id);
    let changed = call.app.sessions.asking().revoke(&id, &by(&call)).await?;
    let outcome = match (changed, call.app.store.rule(&id).await?) {
        (true, _) => "revoked",
        (false, Some(_)) => "already-revoked",
        (false, None) => "not-found",
    };
    Ok(json!({ "outcome": outcome }))
}
