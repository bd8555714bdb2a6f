//! Conversations: making, changing and removing them.

use instar_protocol::message::{EntryBody, NoticeKind, Overrides};
use instar_protocol::{SessionId, SessionKey};
use instar_store::{Op, SessionPatch, SessionRow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::say::{self, Attachment, Message};
use super::{key, sessions};
use crate::app::{App, AppState};
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::session as show;

/// The longest title.
const LABEL_CHARS_MAX: usize = 512;
/// How far back summaries are looked for.
const LOOK_BACK: usize = 5_000;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "sessions.create",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(create(call)),
    },
    Method {
        name: "sessions.patch",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(patch(call)),
    },
    Method {
        name: "sessions.reset",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(reset(call)),
    },
    Method {
        name: "sessions.delete",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(delete(call)),
    },
    Method {
        name: "sessions.compact",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(compact(call)),
    },
    Method {
        name: "sessions.compaction.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(compactions(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct CreateParams {
    key: Option<String>,
    agent_id: Option<String>,
    label: Option<String>,
    display_name: Option<String>,
    model: Option<String>,
    message: Option<String>,
    task: Option<String>,
    attachments: Vec<Attachment>,
    idempotency_key: Option<String>,
}

/// A conversation under a key of its own, or under the one that is named. One that is there already
/// is taken as it is.
async fn create(call: Call) -> Result<Value, Refusal> {
    let params: CreateParams = call.read(&[
        "emitCommandHooks",
        "parentSessionKey",
        "spawnDepth",
        "visibility",
    ])?;
    let app = &call.app;
    let key = match &params.key {
        Some(key) => key::parse(app, key, params.agent_id.as_deref())?,
        None => {
            let tail = format!("dashboard:{}", key::fresh(app));
            key::parse(app, &tail, params.agent_id.as_deref())?
        }
    };
    let model = params
        .model
        .as_deref()
        .map(|name| say::model(app, name))
        .transpose()?;
    let title = params.label.or(params.display_name);
    let row = match key::find(app, &key).await? {
        Some(row) => row,
        None => open(app, &key, title.as_deref()).await?,
    };
    if let Some(model) = model {
        app.sessions.choose_model(&key, Some(model)).await?;
    }
    let mut answer = json!({
        "ok": true,
        "key": key,
        "sessionId": row.id,
        "entry": entry(app, &key).await?,
        "resolved": resolved(app, &key).await?,
        "runStarted": false,
    });
    if let Some(text) = params.message.or(params.task) {
        let message = Message {
            key: key.clone(),
            text,
            attachments: params.attachments,
            name: params.idempotency_key.unwrap_or_else(|| key::fresh(app)),
            overrides: Overrides::default(),
        };
        call.link.follow(&key);
        match say::say(&call, message).await {
            Ok(said) => {
                answer["runStarted"] = json!(true);
                answer["runId"] = json!(said.run.name);
            }
            Err(refusal) => answer["runError"] = refusal.to_json(),
        }
    }
    Ok(answer)
}

/// Stores an empty conversation.
async fn open(
    app: &AppState,
    key: &SessionKey,
    title: Option<&str>,
) -> Result<SessionRow, Refusal> {
    let now = app.clock.now();
    let row = SessionRow {
        id: SessionId::new(now, app.random()),
        key: key.clone(),
        agent: key.agent().unwrap_or_else(|| app.default_agent()),
        title: title.map(label).transpose()?,
        created_at: now,
        updated_at: now,
        leaf: None,
        model: None,
        deleted_at: None,
        entries: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_micros: 0,
        parent: None,
    };
    app.store.commit(vec![Op::PutSession(row.clone())]).await?;
    app.sessions.refresh(key).await;
    Ok(row)
}

fn label(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    let fine = !text.is_empty() && text.chars().count() <= LABEL_CHARS_MAX;
    if !fine || text.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "label: 1 to {LABEL_CHARS_MAX} characters on one line"
        )));
    }
    Ok(text.to_owned())
}

async fn entry(app: &App, key: &SessionKey) -> Result<Value, Refusal> {
    let row = key::existing(app, key).await?;
    Ok(show::plain(app, &row))
}

async fn resolved(app: &App, key: &SessionKey) -> Result<Value, Refusal> {
    let row = key::existing(app, key).await?;
    Ok(match show::model_of(app, &row) {
        Some(model) => json!({ "modelProvider": model.provider(), "model": model.model() }),
        None => json!({ "modelProvider": null, "model": null }),
    })
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchParams {
    key: String,
    agent_id: Option<String>,
    expected_session_id: Option<String>,
    label: Option<String>,
    /// `null` goes back to the agent's own.
    #[serde(default, deserialize_with = "super::config::present")]
    model: Option<Option<String>>,
}

async fn patch(call: Call) -> Result<Value, Refusal> {
    let params: PatchParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    let title = params.label.as_deref().map(label).transpose()?;
    let model = match &params.model {
        None => None,
        Some(None) => Some(None),
        Some(Some(name)) => Some(Some(say::model(app, name)?)),
    };
    let row = match key::find(app, &key).await? {
        Some(row) => row,
        None => open(app, &key, None).await?,
    };
    if params
        .expected_session_id
        .is_some_and(|id| id != row.id.as_str())
    {
        return Err(Refusal::invalid(
            "expectedSessionId: the conversation under this key is another one",
        )
        .details(json!({ "reason": "session-changed" })));
    }
    if title.is_some() {
        let patch = SessionPatch {
            title,
            ..SessionPatch::default()
        };
        app.store
            .commit(vec![Op::PatchSession { id: row.id, patch }])
            .await?;
    }
    if let Some(model) = model {
        app.sessions.choose_model(&key, model).await?;
    }
    Ok(json!({
        "ok": true,
        "path": sessions::STORE,
        "key": key,
        "entry": entry(app, &key).await?,
        "resolved": resolved(app, &key).await?,
    }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResetParams {
    key: String,
    agent_id: Option<String>,
    reason: Option<ResetReason>,
    expected_session_id: Option<String>,
}

#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ResetReason {
    New,
    Reset,
}

/// Begins a new window in the same conversation. A turn that runs is stopped first.
async fn reset(call: Call) -> Result<Value, Refusal> {
    let params: ResetParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    let row = key::find(app, &key).await?;
    let is_other = |id: &str| row.as_ref().is_some_and(|row| row.id.as_str() != id);
    if params.expected_session_id.as_deref().is_some_and(is_other) {
        return Err(Refusal::invalid(
            "expectedSessionId: the conversation under this key is another one",
        )
        .details(json!({ "reason": "session-changed" })));
    }
    let reason = match params.reason {
        Some(ResetReason::New) => "a client began anew",
        Some(ResetReason::Reset) | None => "a client asked for it",
    };
    let _was_running = app.sessions.stop(&key).await;
    quiet(app, &key).await;
    app.sessions.start_over(&key, reason).await?;
    Ok(
        json!({ "ok": true, "key": key, "entry": entry(app, &key).await?, "resolved": resolved(app, &key).await? }),
    )
}

/// Waits a moment for a stopped turn to write down where it was.
async fn quiet(app: &App, key: &SessionKey) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while app.sessions.is_running(key) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteParams {
    key: String,
    agent_id: Option<String>,
    expected_session_id: Option<String>,
}

/// Out of sight; maintenance removes it later, so the transcript goes with it.
async fn delete(call: Call) -> Result<Value, Refusal> {
    let params: DeleteParams = call.read(&[
        "deleteTranscript",
        "emitLifecycleHooks",
        "archivedOnly",
        "expectedLifecycleRevision",
        "expectedSessionUpdatedAt",
    ])?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    let Some(row) = key::find(app, &key).await? else {
        return Ok(json!({ "ok": true, "key": key, "deleted": false, "archived": [] }));
    };
    if params
        .expected_session_id
        .is_some_and(|id| id != row.id.as_str())
    {
        return Err(Refusal::invalid(
            "expectedSessionId: the conversation under this key is another one",
        )
        .details(json!({ "reason": "session-changed" })));
    }
    crate::api::delete_session(app, row).await?;
    Ok(json!({ "ok": true, "key": key, "deleted": true, "archived": [] }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyParams {
    key: String,
    agent_id: Option<String>,
}

/// The owner's command for it, sent like any message: it needs a model and is a turn of its own.
async fn compact(call: Call) -> Result<Value, Refusal> {
    let params: KeyParams = call.read(&["maxLines"])?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    if key::find(app, &key).await?.is_none() {
        return Ok(json!({
            "ok": true, "key": key, "compacted": false, "reason": "nothing was said yet",
        }));
    }
    if !app.config.current().value.commands.text {
        return Err(Refusal::invalid(
            "commands are switched off: see commands.text in the configuration",
        ));
    }
    let message = Message {
        key: key.clone(),
        text: "/compact".to_owned(),
        attachments: Vec::new(),
        name: key::fresh(app),
        overrides: Overrides::default(),
    };
    let mut said = say::say(&call, message).await?;
    let (_, outcome) = said
        .run
        .ended()
        .await
        .ok_or_else(|| Refusal::unavailable("the gateway is shutting down"))?;
    let compacted = outcome
        .entries
        .iter()
        .any(|entry| matches!(entry.body, EntryBody::Compaction { .. }));
    let mut answer = json!({ "ok": true, "key": key, "compacted": compacted });
    if !compacted {
        let error = outcome.error.as_ref().map(|error| error.message.clone());
        answer["reason"] = json!(error.unwrap_or_else(|| outcome.text.clone()));
    }
    Ok(answer)
}

/// Summaries on the present branch, the newest first.
async fn compactions(call: Call) -> Result<Value, Refusal> {
    let params: KeyParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.key, params.agent_id.as_deref())?;
    let Some(row) = key::find(app, &key).await? else {
        return Ok(json!({ "ok": true, "key": key, "checkpoints": [] }));
    };
    let entries = app.store.branch(&row.id, None, LOOK_BACK).await?;
    let by_hand = |run: &Option<instar_protocol::RunId>| {
        let is_command = |body: &EntryBody| {
            matches!(
                body,
                EntryBody::Notice {
                    kind: NoticeKind::Command,
                    ..
                }
            )
        };
        run.is_some()
            && entries
                .iter()
                .any(|entry| entry.run == *run && is_command(&entry.body))
    };
    let mut checkpoints = Vec::new();
    for entry in &entries {
        let EntryBody::Compaction {
            summary,
            first_kept,
            tokens_before,
        } = &entry.body
        else {
            continue;
        };
        let mut shown = json!({
            "checkpointId": entry.id,
            "sessionKey": key,
            "sessionId": row.id,
            "createdAt": entry.at.millis(),
            "reason": if by_hand(&entry.run) { "manual" } else { "auto-threshold" },
            "tokensBefore": tokens_before,
            "summary": summary,
            "preCompaction": { "sessionId": row.id },
            "postCompaction": { "sessionId": row.id, "entryId": entry.id },
        });
        if let Some(parent) = &entry.parent {
            shown["preCompaction"]["entryId"] = json!(parent);
        }
        if let Some(kept) = first_kept {
            shown["firstKeptEntryId"] = json!(kept);
        }
        checkpoints.push(shown);
    }
    Ok(json!({ "ok": true, "key": key, "checkpoints": checkpoints }))
}
