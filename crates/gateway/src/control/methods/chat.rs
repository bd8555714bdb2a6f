//! Saying something, and stopping the answer: `chat.send`, `chat.abort`, `chat.inject` and their
//! twins below `sessions.`.

use instar_protocol::SessionKey;
use instar_protocol::message::Overrides;
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use super::say::{self, Attachment, Message, Said};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "chat.send",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(send(call)),
    },
    Method {
        name: "chat.abort",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(abort(call)),
    },
    Method {
        name: "chat.inject",
        need: Need::Scope(Scope::Admin),
        advertised: false,
        run: |call| Box::pin(inject(call)),
    },
    Method {
        name: "sessions.send",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(session_send(call)),
    },
    Method {
        name: "sessions.abort",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(session_abort(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendParams {
    session_key: String,
    agent_id: Option<String>,
    session_id: Option<String>,
    message: String,
    idempotency_key: String,
    #[serde(default)]
    attachments: Vec<Attachment>,
    /// Where the client believes the conversation to stand.
    #[serde(default, deserialize_with = "super::config::present")]
    expected_leaf_entry_id: Option<Option<String>>,
    #[serde(default)]
    suppress_command_interpretation: bool,
}

/// How hard to think, where to deliver, how to queue: a turn's own settings decide here. What only
/// describes where a message came from changes nothing.
const SEND_BESIDE: &[&str] = &[
    "thinking",
    "fastMode",
    "fastAutoOnSeconds",
    "queueMode",
    "deliver",
    "originatingChannel",
    "originatingTo",
    "originatingAccountId",
    "originatingThreadId",
    "replyToId",
    "timeoutMs",
    "systemInputProvenance",
    "systemProvenanceReceipt",
    "expectedSessionRoutingContract",
    "expectedPermissionMode",
    "expectedToolOverrides",
];

async fn send(call: Call) -> Result<Value, Refusal> {
    let params: SendParams = call.read(SEND_BESIDE)?;
    let app = &call.app;
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    expect(app, &key, &params).await?;
    if params.suppress_command_interpretation && params.message.trim_start().starts_with('/') {
        return Err(Refusal::invalid(
            "suppressCommandInterpretation: a message that begins with a slash is read as a command",
        ));
    }
    let said = say::say(
        &call,
        Message {
            key: key.clone(),
            text: params.message,
            attachments: params.attachments,
            name: params.idempotency_key,
            overrides: Overrides::default(),
        },
    )
    .await?;
    call.link.follow(&key);
    Ok(accepted(&said))
}

/// A client that looks at an old state of the conversation is told so before anything happens.
async fn expect(app: &App, key: &SessionKey, params: &SendParams) -> Result<(), Refusal> {
    if params.session_id.is_none() && params.expected_leaf_entry_id.is_none() {
        return Ok(());
    }
    let row = key::find(app, key).await?;
    let is_other = |id: &String| row.as_ref().is_some_and(|row| row.id.as_str() != id);
    if params.session_id.as_ref().is_some_and(is_other) {
        return Err(
            Refusal::invalid("sessionId: the conversation under this key is another one")
                .details(json!({ "reason": "session-changed" })),
        );
    }
    if let Some(expected) = &params.expected_leaf_entry_id {
        let leaf = row.and_then(|row| row.leaf).map(|leaf| leaf.to_string());
        if leaf != *expected {
            return Err(
                Refusal::invalid("expectedLeafEntryId: the conversation has gone on")
                    .details(json!({ "reason": "leaf-changed", "activeLeafEntryId": leaf })),
            );
        }
    }
    Ok(())
}

fn accepted(said: &Said) -> Value {
    let status = match said.is_duplicate {
        false => "started",
        true if said.run.has_ended() => "ok",
        true => "in_flight",
    };
    json!({ "runId": said.run.name, "status": status })
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SessionSendParams {
    key: String,
    agent_id: Option<String>,
    message: String,
    idempotency_key: Option<String>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

async fn session_send(call: Call) -> Result<Value, Refusal> {
    let params: SessionSendParams = call.read(&["thinking", "timeoutMs"])?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    key::existing(app, &key).await?;
    let said = say::say(
        &call,
        Message {
            key: key.clone(),
            text: params.message,
            attachments: params.attachments,
            name: params.idempotency_key.unwrap_or_else(|| key::fresh(app)),
            overrides: Overrides::default(),
        },
    )
    .await?;
    call.link.follow(&key);
    Ok(accepted(&said))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AbortParams {
    session_key: String,
    agent_id: Option<String>,
    run_id: Option<String>,
}

async fn abort(call: Call) -> Result<Value, Refusal> {
    let params: AbortParams = call.read(&["preserveSideRuns"])?;
    let key = key::parse(&call.app, &params.session_key, params.agent_id.as_deref())?;
    let stopped = stop(&call.app, &key, params.run_id.as_deref()).await?;
    Ok(json!({ "ok": true, "aborted": stopped.is_some(), "runIds": Vec::from_iter(stopped) }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SessionAbortParams {
    key: Option<String>,
    run_id: Option<String>,
    agent_id: Option<String>,
}

async fn session_abort(call: Call) -> Result<Value, Refusal> {
    // What waits behind the running turn goes on: there is nothing that clears it.
    let params: SessionAbortParams = call.params()?;
    let app = &call.app;
    let key = match (&params.key, &params.run_id) {
        (Some(key), _) => key::parse(app, key, params.agent_id.as_deref())?,
        (None, Some(run)) => match app.control.runs.find(run) {
            Some(run) => run.key,
            None => {
                return Ok(json!({ "ok": true, "abortedRunId": null, "status": "no-active-run" }));
            }
        },
        (None, None) => return Err(Refusal::invalid("provide key or runId")),
    };
    let stopped = stop(app, &key, params.run_id.as_deref()).await?;
    let status = if stopped.is_some() {
        "aborted"
    } else {
        "no-active-run"
    };
    Ok(json!({ "ok": true, "abortedRunId": stopped, "status": status }))
}

/// Stops the running turn, if it is the one that is meant. Returns what clients call it.
async fn stop(app: &App, key: &SessionKey, named: Option<&str>) -> Result<Option<String>, Refusal> {
    if let Some(name) = named {
        let run = app.control.runs.find(name);
        if run.as_ref().is_some_and(|run| run.key != *key) {
            return Err(Refusal::invalid("runId does not match sessionKey"));
        }
        if run.is_none_or(|run| !run.is_going()) {
            return Ok(None);
        }
    }
    let active = app.control.runs.going(key).map(|run| run.name);
    if !app.sessions.stop(key).await {
        return Ok(None);
    }
    let name = named.map(str::to_owned).or(active);
    Ok(Some(name.unwrap_or_else(|| key.to_string())))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InjectParams {
    session_key: String,
    agent_id: Option<String>,
    message: String,
    label: Option<String>,
}

async fn inject(call: Call) -> Result<Value, Refusal> {
    let params: InjectParams = call.params()?;
    let key = key::parse(&call.app, &params.session_key, params.agent_id.as_deref())?;
    if params.message.trim().is_empty() {
        return Err(Refusal::invalid("message: words are expected"));
    }
    let text = match params.label {
        Some(label) => format!("[{label}]\n\n{}", params.message),
        None => params.message,
    };
    let entry = call.app.sessions.inject(&key, &text).await?;
    Ok(json!({ "ok": true, "messageId": entry }))
}
