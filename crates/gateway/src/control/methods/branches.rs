//! Ways on from what was said: back to a message, over to another branch, a conversation of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use instar_protocol::EntryId;
use instar_protocol::message::{Entry, EntryBody, Part, plain_text};
use instar_store::SessionRow;
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::api::{fork_session, queries};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

/// The most branches of one list.
const BRANCHES_MAX: usize = 200;
/// Files of a message that come back with its words, in bytes together: they have to fit a frame.
const FILES_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "sessions.rewind",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(rewind(call)),
    },
    Method {
        name: "sessions.branches.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "sessions.branches.switch",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(switch(call)),
    },
    Method {
        name: "sessions.fork",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(fork(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryParams {
    session_key: String,
    agent_id: Option<String>,
    entry_id: String,
}

/// The conversation and the entry of it that a client names.
async fn named(app: &App, params: EntryParams) -> Result<(SessionRow, Entry), Refusal> {
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let row = key::existing(app, &key).await?;
    let id = EntryId::from_stored(params.entry_id);
    let found = app.store.branch(&row.id, Some(id.clone()), 1).await?;
    let entry = found
        .into_iter()
        .find(|entry| entry.id == id && entry.session == row.id)
        .ok_or_else(|| Refusal::invalid("entryId: it is not in this conversation"))?;
    Ok((row, entry))
}

/// Back to before one of the user's messages, whose words are given back to be written anew.
async fn rewind(call: Call) -> Result<Value, Refusal> {
    let app = &call.app;
    let (row, entry) = named(app, call.params()?).await?;
    if !matches!(entry.body, EntryBody::User { .. }) {
        return Err(Refusal::invalid(
            "entryId: only one of the user's messages can be gone back to",
        ));
    }
    let words = editor(app, &entry).await?;
    app.sessions.rewind(&row.id, entry.parent.as_ref()).await?;
    Ok(words)
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListParams {
    session_key: String,
    agent_id: Option<String>,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let params: ListParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let Some(row) = key::find(app, &key).await? else {
        return Ok(json!({ "branches": [] }));
    };
    let list = queries::branches(&app.store, row.id.as_str(), Some(BRANCHES_MAX)).await?;
    let branches = list.branches.iter().map(|branch| {
        json!({
            "leafEntryId": branch.leaf,
            "headline": branch.headline,
            "messageCount": branch.messages,
            "updatedAt": crate::api::export::iso(branch.updated_at),
            "active": branch.active,
        })
    });
    Ok(json!({ "branches": branches.collect::<Vec<_>>() }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SwitchParams {
    session_key: String,
    agent_id: Option<String>,
    leaf_entry_id: String,
}

async fn switch(call: Call) -> Result<Value, Refusal> {
    let params: SwitchParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let row = key::existing(app, &key).await?;
    let leaf = EntryId::from_stored(params.leaf_entry_id);
    // A branch that grew since it was listed is meant all the same; the active one is where it is.
    if row.leaf.as_ref() != Some(&leaf) {
        app.sessions.switch(&row.id, &leaf).await?;
    }
    Ok(json!({}))
}

/// A conversation of its own; the words of a message that the branch is cut before come along.
async fn fork(call: Call) -> Result<Value, Refusal> {
    let app = &call.app;
    let (row, entry) = named(app, call.params()?).await?;
    let forked = fork_session(app, &row, &entry.id).await?;
    let mut answer = match &forked.cut_before {
        Some(message) => editor(app, message).await?,
        None => json!({}),
    };
    answer["sessionKey"] = json!(forked.key);
    Ok(answer)
}

/// What a message was made of, for its writer to change: the words, and the files as far as they fit.
async fn editor(app: &App, entry: &Entry) -> Result<Value, Refusal> {
    let EntryBody::User { parts, .. } = &entry.body else {
        return Ok(json!({}));
    };
    let mut files = Vec::new();
    let mut room = FILES_BYTES_MAX;
    for part in parts {
        let (object, mime) = match part {
            Part::Text { .. } => continue,
            Part::Image { object, mime } | Part::File { object, mime, .. } => (object, mime),
        };
        let bytes = app.store.object(object).await?;
        if bytes.len() > room {
            break;
        }
        room -= bytes.len();
        files.push(json!({ "mimeType": mime, "data": STANDARD.encode(bytes) }));
    }
    let mut answer = json!({ "editorText": plain_text(parts) });
    if !files.is_empty() {
        answer["editorAttachments"] = Value::Array(files);
    }
    Ok(answer)
}
