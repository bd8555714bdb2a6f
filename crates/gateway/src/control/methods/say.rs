//! A message's way from a client into a conversation, shared by every method that takes one.

use std::sync::Arc;

use instar_agent::Submitted;
use instar_protocol::message::{Inbound, OnRestart, Overrides, Part};
use instar_protocol::model::ModelRef;
use instar_protocol::{InboundId, SessionKey};
use serde::Deserialize;

use crate::api::media::{Allowance, Draft, store_drafts};
use crate::app::AppState;
use crate::control::method::{Call, Refusal};
use crate::control::runs::{Ending, Named};

/// The longest text of one message.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The longest name that a client gives a run.
const KEY_BYTES_MAX: usize = 200;
/// The most attachments of one message.
const ATTACHMENTS_MAX: usize = 16;

/// A message as a client sends it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) key: SessionKey,
    pub(super) text: String,
    pub(super) attachments: Vec<Attachment>,
    /// The client's name for the run.
    pub(super) name: String,
    pub(super) overrides: Overrides,
}

/// A file or picture. Only its bytes are believed.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attachment {
    mime_type: Option<String>,
    file_name: Option<String>,
    content: Option<String>,
}

/// A message that is stored, and whether it was before.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) run: Named,
    pub(super) is_duplicate: bool,
}

/// Stores a message and queues it. Durable when this returns.
pub(super) async fn say(call: &Call, message: Message) -> Result<Said, Refusal> {
    let app = &call.app;
    check(&message)?;
    if let Some(run) = app.control.runs.find(&message.name) {
        return again(run, &message.key);
    }
    let parts = parts(app, message.text, message.attachments).await?;
    let at = app.clock.now();
    let id = InboundId::new(at, app.random());
    let inbound = Inbound {
        id: id.clone(),
        session_key: message.key.clone(),
        principal: call.who.principal.clone(),
        received_at: at,
        idempotency_key: Some(format!("control:{}", message.name)),
        surface: "control".to_owned(),
        parts,
        on_restart: OnRestart::Resume,
        overrides: message.overrides,
    };
    let ending = app.control.runs.name(&message.name, &id, &message.key, at);
    let submitted = match app.sessions.submit(inbound).await {
        Ok(submitted) => submitted,
        Err(error) => {
            app.control.runs.forget(&id);
            return Err(error.into());
        }
    };
    let is_duplicate = submitted.is_duplicate;
    follow(app, ending, submitted);
    let run = app.control.runs.find(&message.name);
    let run = run.ok_or_else(|| Refusal::unavailable("too many runs at once"))?;
    Ok(Said { run, is_duplicate })
}

/// The same name is the same message: nothing runs twice.
fn again(run: Named, key: &SessionKey) -> Result<Said, Refusal> {
    if run.key != *key {
        return Err(Refusal::invalid(
            "idempotencyKey: it names a message in another conversation",
        ));
    }
    Ok(Said {
        run,
        is_duplicate: true,
    })
}

/// Waits for the end of a run on a task of its own, whatever becomes of the client.
fn follow(app: &AppState, ending: Ending, submitted: Submitted) {
    let clock = Arc::clone(&app.clock);
    app.tasks.spawn(async move {
        // Else the gateway goes away, and so does the ending.
        if let Ok(outcome) = submitted.outcome.await {
            ending.tell(clock.now(), outcome);
        }
    });
}

fn check(message: &Message) -> Result<(), Refusal> {
    let key = &message.name;
    let fine =
        (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if !fine {
        return Err(Refusal::invalid(format!(
            "idempotencyKey: 1 to {KEY_BYTES_MAX} visible ASCII characters"
        )));
    }
    if message.text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "message: at most {TEXT_BYTES_MAX} bytes"
        )));
    }
    if message.text.trim().is_empty() && message.attachments.is_empty() {
        return Err(Refusal::invalid("message or attachment required"));
    }
    if message.attachments.len() > ATTACHMENTS_MAX {
        return Err(Refusal::invalid(format!(
            "attachments: at most {ATTACHMENTS_MAX}"
        )));
    }
    Ok(())
}

async fn parts(
    app: &AppState,
    text: String,
    attachments: Vec<Attachment>,
) -> Result<Vec<Part>, Refusal> {
    let mut allowance = Allowance::default();
    let mut drafts = Vec::with_capacity(attachments.len() + 1);
    if !text.trim().is_empty() {
        drafts.push(Draft::Text(text));
    }
    for attachment in &attachments {
        let content = attachment
            .content
            .as_deref()
            .ok_or_else(|| Refusal::invalid("attachments: content in base 64 is expected"))?;
        let mime = attachment.mime_type.as_deref().unwrap_or_default();
        let name = attachment.file_name.as_deref().unwrap_or("attachment");
        drafts.push(if mime.trim().to_ascii_lowercase().starts_with("image/") {
            allowance.image(content)?
        } else {
            allowance.file(name, mime, content)?
        });
    }
    Ok(store_drafts(&app.store, drafts).await?)
}

/// A model that is set up, by its whole name.
pub(super) fn model(app: &AppState, name: &str) -> Result<ModelRef, Refusal> {
    app.models
        .list()
        .into_iter()
        .find(|model| model.configured && model.id == name)
        .and_then(|model| ModelRef::parse(&model.id))
        .ok_or_else(|| {
            let name: String = name.chars().take(120).collect();
            Refusal::invalid(format!(
                "model not allowed: {name}; models.list shows those that are"
            ))
        })
}
