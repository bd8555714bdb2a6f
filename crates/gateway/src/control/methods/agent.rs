//! `agent`: a message whose reply comes in two stages, and `agent.wait`.

use std::time::Duration;

use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::Overrides;
use instar_protocol::{SessionId, SessionKey, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use super::say::{self, Attachment, Message};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::runs::Named;
use crate::control::show::message::usage_of;

/// How long `agent.wait` waits when nobody says how long, and at the most.
const WAIT_MS: u64 = 30_000;
const WAIT_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "agent",
        need: Need::Dynamic(need_of_agent),
        advertised: true,
        run: |call| Box::pin(agent(call)),
    },
    Method {
        name: "agent.wait",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(wait(call)),
    },
];

/// Words beside the agent's own instructions are an administrator's.
fn need_of_agent(params: &Value) -> Scope {
    if params["extraSystemPrompt"].is_null() {
        Scope::Write
    } else {
        Scope::Admin
    }
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AgentParams {
    message: String,
    idempotency_key: String,
    agent_id: Option<String>,
    session_key: Option<String>,
    session_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    extra_system_prompt: Option<String>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

/// Channels to deliver to there are none of, and a turn's bounds are the agent's own.
const AGENT_BESIDE: &[&str] = &[
    "to",
    "replyTo",
    "channel",
    "replyChannel",
    "accountId",
    "replyAccountId",
    "threadId",
    "deliver",
    "bestEffortDeliver",
    "thinking",
    "timeout",
    "lane",
    "label",
    "inputProvenance",
    "cleanupBundleMcpOnRunEnd",
];

async fn agent(call: Call) -> Result<Value, Refusal> {
    let params: AgentParams = call.read(AGENT_BESIDE)?;
    let app = &call.app;
    let key = conversation(app, &params).await?;
    let model = match (&params.provider, &params.model) {
        (Some(provider), Some(model)) => Some(say::model(app, &format!("{provider}/{model}"))?),
        (None, Some(model)) => Some(say::model(app, model)?),
        (Some(_), None) => return Err(Refusal::invalid("provider: it needs a model beside it")),
        (None, None) => None,
    };
    let mut said = say::say(
        &call,
        Message {
            key: key.clone(),
            text: params.message,
            attachments: params.attachments,
            name: params.idempotency_key,
            overrides: Overrides {
                model,
                instructions: params.extra_system_prompt,
                ..Overrides::default()
            },
        },
    )
    .await?;
    call.link.follow(&key);
    call.reply_first(json!({
        "runId": said.run.name,
        "sessionKey": key,
        "agentId": key.agent().unwrap_or_else(|| app.default_agent()),
        "status": "accepted",
        "acceptedAt": said.run.accepted_at.millis(),
    }));
    let (at, outcome) = said.run.ended().await.ok_or_else(lost)?;
    let session = key::find(app, &key).await?.map(|row| row.id);
    ended(&said.run, session.as_ref(), at, &outcome)
}

/// The conversation that is meant: by key, by id, or the agent's main one.
async fn conversation(app: &App, params: &AgentParams) -> Result<SessionKey, Refusal> {
    let agent = params.agent_id.as_deref();
    if let Some(key) = &params.session_key {
        return key::parse(app, key, agent);
    }
    if let Some(id) = &params.session_id {
        let row = app
            .store
            .session(&SessionId::from_stored(id.clone()))
            .await?;
        if let Some(row) = row.filter(|row| row.deleted_at.is_none()) {
            return Ok(row.key);
        }
        // Clients that name a new conversation send the name of their own choice.
        return key::parse(app, &format!("explicit:{id}"), agent);
    }
    Ok(SessionKey::main(&key::agent_or_default(app, agent)?))
}

fn lost() -> Refusal {
    Refusal::unavailable("the gateway is shutting down; the message is answered after its restart")
}

/// The second stage: what was answered, or why not.
fn ended(
    run: &Named,
    session: Option<&SessionId>,
    at: Timestamp,
    outcome: &Outcome,
) -> Result<Value, Refusal> {
    if outcome.status == OutcomeStatus::Failed {
        let why = outcome.error.as_ref().map_or_else(
            || "the turn failed".to_owned(),
            |error| format!("{} {}", error.message, error.next_step),
        );
        return Err(Refusal::unavailable(why.trim()));
    }
    let mut about = json!({
        "sessionId": session,
        "usage": usage_of(outcome.usage, outcome.cost_micros),
    });
    if let Some(model) = &outcome.model {
        about["provider"] = json!(model.provider());
        about["model"] = json!(model.model());
    }
    let aborted = outcome.status == OutcomeStatus::Aborted;
    let mut payloads = Vec::new();
    if !outcome.text.is_empty() {
        payloads.push(json!({ "text": outcome.text, "mediaUrl": null }));
    }
    let millis = at.since(run.accepted_at).as_millis();
    Ok(json!({
        "runId": run.name,
        "status": "ok",
        "summary": if aborted { "aborted" } else { "completed" },
        "result": {
            "payloads": payloads,
            "meta": {
                "durationMs": u64::try_from(millis).unwrap_or(u64::MAX),
                "aborted": aborted,
                "agentMeta": about,
            },
        },
    }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WaitParams {
    run_id: String,
    timeout_ms: Option<u64>,
}

/// How a run ended; after the time that the client gives it, that it has not.
async fn wait(call: Call) -> Result<Value, Refusal> {
    let params: WaitParams = call.params()?;
    let wait = params.timeout_ms.unwrap_or(WAIT_MS).min(WAIT_MS_MAX);
    let Some(mut run) = call.app.control.runs.find(&params.run_id) else {
        return Err(Refusal::invalid(
            "runId: no such run, or one of before the last restart",
        ));
    };
    let ended = tokio::time::timeout(Duration::from_millis(wait), run.ended()).await;
    let Ok(ended) = ended else {
        return Ok(json!({ "runId": run.name, "status": "timeout" }));
    };
    let (at, outcome) = ended.ok_or_else(lost)?;
    let status = match outcome.status {
        OutcomeStatus::Ok | OutcomeStatus::Aborted => "ok",
        OutcomeStatus::Failed => "error",
    };
    let mut answer = json!({
        "runId": run.name,
        "status": status,
        "startedAt": run.accepted_at.millis(),
        "endedAt": at.millis(),
        "terminalReply": { "disposition": if outcome.text.is_empty() { "none" } else { "text" }, "text": outcome.text },
    });
    if outcome.status == OutcomeStatus::Aborted {
        answer["stopReason"] = json!("aborted");
    }
    if let Some(error) = &outcome.error {
        answer["error"] = json!(format!("{} {}", error.message, error.next_step).trim());
    }
    Ok(answer)
}
