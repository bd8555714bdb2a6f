//! Reading a conversation: `chat.history`, `chat.startup`, `chat.metadata`, `chat.message.get`.

use instar_protocol::message::Entry;
use instar_protocol::{AgentId, EntryId, SessionKey};
use instar_store::SessionRow;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{catalog, commands, key};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::message::{self, CHARS};
use crate::control::show::session::{self as show, Extras};

/// Messages when nobody says how many, and the most of one answer.
const MESSAGES: usize = 200;
const MESSAGES_MAX: usize = 1_000;
/// How far back one message is looked for.
const LOOK_BACK: usize = 10_000;
/// The most characters of a message that is asked for by itself.
const WHOLE_CHARS: usize = 2_000_000;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "chat.history",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(history(call)),
    },
    Method {
        name: "chat.startup",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(startup(call)),
    },
    Method {
        name: "chat.metadata",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(metadata(call)),
    },
    Method {
        name: "chat.message.get",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(message_get(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HistoryParams {
    session_key: String,
    agent_id: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
    message_id: Option<String>,
    session_id: Option<String>,
    max_chars: Option<usize>,
}

/// A queue of inputs is not part of a transcript here: what waits is answered in its turn.
const HISTORY_BESIDE: &[&str] = &["pendingBefore", "inputRunIds"];

async fn history(call: Call) -> Result<Value, Refusal> {
    let params: HistoryParams = call.read(HISTORY_BESIDE)?;
    page(&call.app, &params).await
}

/// The same page with what a chat window needs beside it.
async fn startup(call: Call) -> Result<Value, Refusal> {
    let params: HistoryParams = call.read(HISTORY_BESIDE)?;
    let app = &call.app;
    let mut answer = page(app, &params).await?;
    if answer["kind"].is_null() {
        let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
        let agent = key.agent().unwrap_or_else(|| app.default_agent());
        answer["metadata"] = metadata_of(app, &agent);
        answer["agentsList"] = super::agents::list_of(app);
    }
    Ok(answer)
}

async fn page(app: &App, params: &HistoryParams) -> Result<Value, Refusal> {
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let row = key::find(app, &key).await?;
    if let Some(cursor) = &params.cursor {
        return since(app, row.as_ref(), cursor, params.max_chars).await;
    }
    let agent = key.agent().unwrap_or_else(|| app.default_agent());
    let mut answer = json!({
        "sessionKey": key,
        "messages": [],
        "pendingInputs": { "items": [], "total": 0 },
        "hasMore": false,
        "totalMessages": 0,
        "defaults": show::defaults(app, &agent),
        "sessionInfo": empty_info(app, &key, &agent),
    });
    let Some(row) = row else { return Ok(answer) };
    if params
        .session_id
        .as_deref()
        .is_some_and(|id| id != row.id.as_str())
    {
        return Err(Refusal::invalid(
            "sessionId: the conversation under this key is another one",
        ));
    }
    let (messages, next_offset) = messages(app, &row, params).await?;
    answer["sessionId"] = json!(row.id);
    answer["messages"] = Value::Array(messages);
    answer["hasMore"] = json!(next_offset.is_some());
    if let Some(next_offset) = next_offset {
        answer["nextOffset"] = json!(next_offset);
    }
    answer["totalMessages"] = json!(row.entries);
    answer["sessionInfo"] = info(app, &row).await?;
    answer["deltaCursor"] = json!(cursor(&row));
    Ok(answer)
}

async fn info(app: &App, row: &SessionRow) -> Result<Value, Refusal> {
    let mut info = show::row(app, row, Extras::default()).await?;
    info["activeLeafEntryId"] = json!(row.leaf);
    Ok(info)
}

/// Where a conversation stands, for a client that comes back to it: what came since is told from
/// there. It names what its holder may read anyway, and means nothing in another conversation.
fn cursor(row: &SessionRow) -> String {
    let leaf = row.leaf.as_ref().map_or("", EntryId::as_str);
    format!("{}.{leaf}", row.id)
}

/// What was said since a cursor was given out. A conversation that was wound back, begun anew or
/// exchanged since, or that has gone on for too long, is to be read from its end again.
async fn since(
    app: &App,
    row: Option<&SessionRow>,
    given: &str,
    chars_max: Option<usize>,
) -> Result<Value, Refusal> {
    let reset = json!({ "kind": "reset" });
    let Some(row) = row else { return Ok(reset) };
    let Some(from) = given.strip_prefix(&format!("{}.", row.id)) else {
        return Ok(reset);
    };
    let newest = app.store.branch(&row.id, None, MESSAGES_MAX + 1).await?;
    let new = match newest.iter().position(|entry| entry.id.as_str() == from) {
        Some(new) => new,
        // Given out when nothing was said yet: everything is new, if everything is here.
        None if from.is_empty() && newest.last().is_none_or(|first| first.parent.is_none()) => {
            newest.len()
        }
        None => return Ok(reset),
    };
    Ok(json!({
        "kind": "delta",
        "messages": shown(app, row, &newest[..new], 0, limit_of(chars_max)),
        "deltaCursor": cursor(row),
        "sessionInfo": info(app, row).await?,
        "pendingInputs": { "items": [], "total": 0 },
    }))
}

fn limit_of(chars_max: Option<usize>) -> usize {
    chars_max.unwrap_or(CHARS).min(500_000)
}

/// Entries, given newest first, as messages, oldest first. The first of them stands `back` entries
/// behind the newest of the conversation.
fn shown(
    app: &App,
    row: &SessionRow,
    entries: &[Entry],
    back: usize,
    chars_max: usize,
) -> Vec<Value> {
    let count = usize::try_from(row.entries).unwrap_or(usize::MAX);
    let mut shown: Vec<Value> = entries
        .iter()
        .zip(back..)
        .filter_map(|(entry, back)| {
            let seq = count.saturating_sub(back);
            message::message(&app.control.runs, entry, seq, chars_max)
        })
        .collect();
    shown.reverse();
    shown
}

/// One page of the branch, oldest first, and where the page before it begins, if there is one.
async fn messages(
    app: &App,
    row: &SessionRow,
    params: &HistoryParams,
) -> Result<(Vec<Value>, Option<usize>), Refusal> {
    let limit = params.limit.unwrap_or(MESSAGES).clamp(1, MESSAGES_MAX);
    let skipped = match &params.message_id {
        None => params.offset,
        Some(id) => {
            let place = place_of(app, row, id).await?;
            let place = place
                .ok_or_else(|| Refusal::invalid("messageId: it is not in this conversation"))?;
            place.saturating_sub(limit / 2)
        }
    };
    let wanted = skipped.saturating_add(limit).min(LOOK_BACK);
    let newest = app.store.branch(&row.id, None, wanted + 1).await?;
    let has_more = newest.len() > wanted && wanted < LOOK_BACK;
    let page = newest.get(skipped..wanted.min(newest.len()));
    let chars_max = limit_of(params.max_chars);
    let shown = shown(app, row, page.unwrap_or_default(), skipped, chars_max);
    Ok((shown, has_more.then_some(wanted)))
}

/// How far back from the newest an entry stands.
async fn place_of(app: &App, row: &SessionRow, id: &str) -> Result<Option<usize>, Refusal> {
    let newest = app.store.branch(&row.id, None, LOOK_BACK).await?;
    Ok(newest.iter().position(|entry| entry.id.as_str() == id))
}

/// A conversation in which nothing was said yet.
fn empty_info(app: &App, key: &SessionKey, agent: &AgentId) -> Value {
    let mut info = show::defaults(app, agent);
    if info["model"].is_null() {
        info = json!({});
    }
    for (name, value) in [
        ("key", json!(key)),
        ("kind", json!("direct")),
        ("agentId", json!(agent)),
        ("isMain", json!(key.is_main())),
        ("updatedAt", Value::Null),
        ("archived", json!(false)),
        ("hasActiveRun", json!(app.sessions.is_running(key))),
        ("activeLeafEntryId", Value::Null),
    ] {
        info[name] = value;
    }
    info
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct MetadataParams {
    agent_id: Option<String>,
    session_key: Option<String>,
}

async fn metadata(call: Call) -> Result<Value, Refusal> {
    let params: MetadataParams = call.params()?;
    let app = &call.app;
    let agent = match &params.session_key {
        Some(key) => key::parse(app, key, params.agent_id.as_deref())?
            .agent()
            .unwrap_or_else(|| app.default_agent()),
        None => key::agent_or_default(app, params.agent_id.as_deref())?,
    };
    Ok(metadata_of(app, &agent))
}

/// What a chat window offers to choose from.
fn metadata_of(app: &App, agent: &AgentId) -> Value {
    json!({ "agentId": agent, "models": catalog::choices(app, false), "commands": commands::all() })
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageParams {
    session_key: String,
    agent_id: Option<String>,
    message_id: String,
    max_chars: Option<usize>,
}

async fn message_get(call: Call) -> Result<Value, Refusal> {
    let params: MessageParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let chars_max = params.max_chars.unwrap_or(WHOLE_CHARS).min(WHOLE_CHARS);
    let missing = || json!({ "ok": false, "unavailableReason": "not_found" });
    let Some(row) = key::find(app, &key).await? else {
        return Ok(missing());
    };
    let Some(entry) = entry(app, &row, &params.message_id).await? else {
        return Ok(missing());
    };
    match message::message(&app.control.runs, &entry, 0, chars_max) {
        Some(message) => Ok(json!({ "ok": true, "message": message })),
        None => Ok(json!({ "ok": false, "unavailableReason": "not_visible" })),
    }
}

/// An entry of this very conversation.
async fn entry(app: &App, row: &SessionRow, id: &str) -> Result<Option<Entry>, Refusal> {
    let id = EntryId::from_stored(id);
    let found = app.store.branch(&row.id, Some(id.clone()), 1).await?;
    Ok(found
        .into_iter()
        .find(|entry| entry.id == id && entry.session == row.id))
}
