//! Conversations: finding and reading them.

use instar_protocol::message::Entry;
use instar_protocol::{AgentId, SessionId, SessionKey, Timestamp};
use instar_store::{SessionFilter, SessionRow, TextSearch};
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::cut;
use crate::control::show::message::{self, words};
use crate::control::show::session::{self as show, Extras};

/// Rows when nobody says how many.
const ROWS: usize = 100;
/// The most rows of one answer.
const ROWS_MAX: usize = 500;
/// Rows that a search by name looks through.
const LOOKED_AT: usize = 10_000;
/// The most conversations of one preview.
const PREVIEWS_MAX: usize = 64;
/// Messages of a preview and of `sessions.get`.
const PREVIEW_MESSAGES: usize = 12;
const MESSAGES_MAX: usize = 1_000;
/// Hits of one search, and the part of a message that is shown of each.
const HITS_MAX: usize = 25;
const SNIPPET_CHARS: usize = 160;
/// The longest text that is searched for.
const QUERY_BYTES_MAX: usize = 4_096;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "sessions.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "sessions.describe",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(describe(call)),
    },
    Method {
        name: "sessions.preview",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(preview(call)),
    },
    Method {
        name: "sessions.search",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(search(call)),
    },
    Method {
        name: "sessions.subscribe",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(subscribe(call)),
    },
    Method {
        name: "sessions.messages.subscribe",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(messages_subscribe(call)),
    },
    Method {
        name: "sessions.messages.unsubscribe",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(messages_unsubscribe(call)),
    },
    Method {
        name: "sessions.resolve",
        need: Need::Scope(Scope::Read),
        advertised: false,
        run: |call| Box::pin(resolve(call)),
    },
    Method {
        name: "sessions.get",
        need: Need::Scope(Scope::Read),
        advertised: false,
        run: |call| Box::pin(get(call)),
    },
];

/// What of `sessions.list` changes the answer. The other filters of the protocol are about several
/// owners and boards: with one owner and none of these they hold for every row or none.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct ListParams {
    limit: Option<usize>,
    offset: usize,
    active_minutes: Option<u64>,
    include_derived_titles: bool,
    include_last_message: bool,
    label: Option<String>,
    spawned_by: Option<String>,
    agent_id: Option<String>,
    search: Option<String>,
    archived: Option<Value>,
    board_face: Option<String>,
}

/// Filters that every row of a gateway with one owner passes.
pub(crate) const LIST_BESIDE: &[&str] = &[
    "requireLastInteraction",
    "sortBy",
    "includeGlobal",
    "includeUnknown",
    "configuredAgentsOnly",
    "creatorId",
    "ownerId",
    "ownerFirst",
    "involvingMe",
    "involvingProfileId",
    "includePeople",
];

async fn list(call: Call) -> Result<Value, Refusal> {
    let params: ListParams = call.read(LIST_BESIDE)?;
    page(&call.app, params).await
}

/// One page of the list, the conversation that was used last first.
pub(crate) async fn page(app: &App, params: ListParams) -> Result<Value, Refusal> {
    let limit = params.limit.unwrap_or(ROWS).min(ROWS_MAX);
    let agent = params
        .agent_id
        .as_deref()
        .map(|id| key::agent(app, id))
        .transpose()?;
    let now = app.clock.now();
    let (mut rows, total) = matching(app, &params, agent.as_ref(), limit, now).await?;
    let rest = rows.split_off(params.offset.min(rows.len()));
    let has_more = rest.len() > limit;
    let extras = Extras {
        title: params.include_derived_titles,
        last_message: params.include_last_message,
    };
    let mut sessions = Vec::with_capacity(limit.min(rest.len()));
    for row in rest.iter().take(limit) {
        sessions.push(show::row(app, row, extras).await?);
    }
    let next = params.offset + sessions.len();
    Ok(json!({
        "ts": now.millis(),
        "path": STORE,
        "count": sessions.len(),
        "totalCount": total,
        "limitApplied": limit,
        "nextOffset": has_more.then_some(next),
        "hasMore": has_more,
        "owners": [],
        "defaults": show::defaults(app, &agent.unwrap_or_else(|| app.default_agent())),
        "sessions": sessions,
    }))
}

/// The rows that pass the filters, at least up to one behind the page, and how many there are in
/// all. Nothing is archived here, so that asking for it finds nothing.
async fn matching(
    app: &App,
    params: &ListParams,
    agent: Option<&AgentId>,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<SessionRow>, usize), Refusal> {
    let none_is_asked = params.archived == Some(Value::Bool(true))
        || params.board_face.as_deref() == Some("dashboard");
    if none_is_asked {
        return Ok((Vec::new(), 0));
    }
    let search = params.search.as_deref().map(str::trim);
    let mut filter = SessionFilter {
        agent: agent.cloned(),
        search: search.filter(|text| !text.is_empty()).map(str::to_owned),
        deleted: false,
        limit: LOOKED_AT,
        before: None,
    };
    let every = filter.agent.is_none()
        && filter.search.is_none()
        && params.active_minutes.is_none()
        && params.label.is_none()
        && params.spawned_by.is_none();
    if every {
        // The page is enough: the store counts the rest faster than it reads it.
        filter.limit = params.offset.saturating_add(limit + 1).min(LOOKED_AT);
        let total = usize::try_from(app.store.session_count().await?).unwrap_or(usize::MAX);
        return Ok((app.store.sessions(filter).await?, total));
    }
    let mut rows = app.store.sessions(filter).await?;
    if let Some(minutes) = params.active_minutes {
        let span = std::time::Duration::from_secs(minutes.saturating_mul(60));
        rows.retain(|row| now.since(row.updated_at) <= span);
    }
    if let Some(label) = &params.label {
        rows.retain(|row| row.title.as_ref() == Some(label));
    }
    if let Some(parent) = &params.spawned_by {
        let parent = key::parse(app, parent, None)?;
        rows.retain(|row| row.parent.as_ref() == Some(&parent));
    }
    let total = rows.len();
    Ok((rows, total))
}

/// What stands where a path of the store is expected: where it lies is the owner's business.
pub(crate) const STORE: &str = "instar";

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeParams {
    key: String,
    #[serde(default)]
    include_derived_titles: bool,
    #[serde(default)]
    include_last_message: bool,
}

async fn describe(call: Call) -> Result<Value, Refusal> {
    let params: DescribeParams = call.params()?;
    let key = key::parse(&call.app, &params.key, None)?;
    let extras = Extras {
        title: params.include_derived_titles,
        last_message: params.include_last_message,
    };
    let session = match key::find(&call.app, &key).await? {
        Some(row) => Some(show::row(&call.app, &row, extras).await?),
        None => None,
    };
    Ok(json!({ "session": session }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreviewParams {
    keys: Vec<String>,
    limit: Option<usize>,
    max_chars: Option<usize>,
}

async fn preview(call: Call) -> Result<Value, Refusal> {
    let params: PreviewParams = call.params()?;
    if params.keys.len() > PREVIEWS_MAX {
        return Err(Refusal::invalid(format!(
            "keys: at most {PREVIEWS_MAX} conversations are previewed at once"
        )));
    }
    let limit = params.limit.unwrap_or(PREVIEW_MESSAGES).min(50);
    let chars_max = params.max_chars.unwrap_or(240).clamp(20, 2_000);
    let mut previews = Vec::with_capacity(params.keys.len());
    for name in &params.keys {
        previews.push(preview_of(&call.app, name, limit, chars_max).await?);
    }
    Ok(json!({ "ts": call.app.clock.now().millis(), "previews": previews }))
}

async fn preview_of(
    app: &App,
    name: &str,
    limit: usize,
    chars_max: usize,
) -> Result<Value, Refusal> {
    let found = match key::parse(app, name, None) {
        Ok(key) => key::find(app, &key).await?,
        Err(_) => None,
    };
    let Some(row) = found else {
        return Ok(json!({ "key": name, "status": "missing", "items": [] }));
    };
    let entries = app.store.branch(&row.id, None, limit * 4).await?;
    let mut items: Vec<Value> = entries
        .iter()
        .filter_map(words)
        .take(limit)
        .map(|(role, text)| json!({ "role": role, "text": cut(text.trim(), chars_max) }))
        .collect();
    items.reverse();
    let status = if items.is_empty() { "empty" } else { "ok" };
    Ok(json!({ "key": name, "status": status, "items": items }))
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResolveParams {
    key: Option<String>,
    session_id: Option<String>,
    label: Option<String>,
    short_id: Option<String>,
    agent_id: Option<String>,
    allow_missing: bool,
}

/// From whatever names a conversation to its key.
async fn resolve(call: Call) -> Result<Value, Refusal> {
    let params: ResolveParams =
        call.read(&["slugHint", "spawnedBy", "includeGlobal", "includeUnknown"])?;
    let found = found_rows(&call.app, &params).await?;
    match found.as_slice() {
        [row] => {
            let mut answer = candidate(row);
            answer["ok"] = json!(true);
            Ok(answer)
        }
        [] if params.allow_missing => Ok(json!({ "ok": false })),
        [] => Err(Refusal::invalid("no session found")),
        many => Ok(json!({
            "ok": false,
            "candidates": many.iter().map(candidate).collect::<Vec<_>>(),
        })),
    }
}

fn candidate(row: &SessionRow) -> Value {
    let mut shown = json!({ "key": row.key, "agentId": row.agent });
    if let Some(title) = &row.title {
        shown["displayName"] = json!(title);
    }
    shown
}

async fn found_rows(app: &App, params: &ResolveParams) -> Result<Vec<SessionRow>, Refusal> {
    let ways = [
        &params.key,
        &params.session_id,
        &params.label,
        &params.short_id,
    ];
    if ways.into_iter().flatten().count() != 1 {
        return Err(Refusal::invalid(
            "provide one of key, sessionId, label or shortId",
        ));
    }
    let agent = params.agent_id.as_deref();
    if let Some(name) = &params.key {
        let key = key::parse(app, name, agent)?;
        return Ok(key::find(app, &key).await?.into_iter().collect());
    }
    if let Some(id) = &params.session_id {
        let row = app
            .store
            .session(&SessionId::from_stored(id.clone()))
            .await?;
        return Ok(row
            .filter(|row| row.deleted_at.is_none())
            .into_iter()
            .collect());
    }
    let filter = SessionFilter {
        agent: agent.map(|id| key::agent(app, id)).transpose()?,
        limit: LOOKED_AT,
        ..SessionFilter::default()
    };
    let mut rows = app.store.sessions(filter).await?;
    rows.retain(|row| match (&params.label, &params.short_id) {
        (Some(label), _) => row.title.as_ref() == Some(label),
        (None, Some(short)) => short.len() >= 6 && row.id.as_str().ends_with(short.as_str()),
        (None, None) => false,
    });
    rows.truncate(10);
    Ok(rows)
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetParams {
    key: String,
    agent_id: Option<String>,
    limit: Option<usize>,
}

async fn get(call: Call) -> Result<Value, Refusal> {
    let params: GetParams = call.params()?;
    let key = key::parse(&call.app, &params.key, params.agent_id.as_deref())?;
    let Some(row) = key::find(&call.app, &key).await? else {
        return Ok(json!({ "messages": [] }));
    };
    let limit = params.limit.unwrap_or(200).clamp(1, MESSAGES_MAX);
    let mut entries = call.app.store.branch(&row.id, None, limit).await?;
    entries.reverse();
    let messages: Vec<Value> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| {
            message::message(&call.app.control.runs, entry, at + 1, message::CHARS)
        })
        .collect();
    Ok(json!({ "messages": messages }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SearchParams {
    query: String,
    agent_id: Option<String>,
    #[serde(default)]
    session_keys: Vec<String>,
    limit: Option<usize>,
}

async fn search(call: Call) -> Result<Value, Refusal> {
    let params: SearchParams = call.params()?;
    let app = &call.app;
    let query = params.query.trim();
    if query.is_empty() || query.len() > QUERY_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "query: 1 to {QUERY_BYTES_MAX} bytes"
        )));
    }
    if params.session_keys.len() > PREVIEWS_MAX {
        return Err(Refusal::invalid(format!(
            "sessionKeys: at most {PREVIEWS_MAX}"
        )));
    }
    let agent = params.agent_id.as_deref();
    let keys = params
        .session_keys
        .iter()
        .map(|key| key::parse(app, key, agent));
    let found = app
        .store
        .search(TextSearch {
            text: query.to_owned(),
            agent: agent.map(|id| key::agent(app, id)).transpose()?,
            keys: keys.collect::<Result<_, _>>()?,
            limit: params.limit.unwrap_or(10).clamp(1, HITS_MAX),
        })
        .await?;
    let hits: Vec<Value> = found
        .entries
        .iter()
        // The protocol has no word for what was left behind on another branch.
        .filter(|found| found.is_current)
        .filter_map(|found| hit(&found.key, &found.entry, query))
        .collect();
    Ok(json!({
        "results": hits, "indexing": found.is_indexing, "truncated": found.is_cut,
    }))
}

/// One place where the words were said. The score is the share of them in what was said.
fn hit(key: &SessionKey, entry: &Entry, query: &str) -> Option<Value> {
    let (role, text) = words(entry)?;
    let lower = text.to_lowercase();
    let at = lower.find(&query.to_lowercase()).unwrap_or(0);
    let before = lower[..at]
        .chars()
        .count()
        .saturating_sub(SNIPPET_CHARS / 3);
    let snippet: String = text.chars().skip(before).take(SNIPPET_CHARS).collect();
    #[expect(clippy::cast_precision_loss, reason = "lengths of texts, for an order")]
    let score = query.len() as f64 / text.len().max(1) as f64;
    Some(json!({
        "sessionKey": key,
        "sessionId": entry.session,
        "messageId": entry.id,
        "role": role,
        "timestamp": entry.at.millis(),
        "snippet": snippet.split_whitespace().collect::<Vec<_>>().join(" "),
        "score": score.min(1.0),
    }))
}

/// From now on this connection hears how the list changes. With the parameters of the list, the
/// list comes along.
async fn subscribe(call: Call) -> Result<Value, Refusal> {
    let wants_list = call
        .params
        .as_object()
        .is_some_and(|members| !members.is_empty());
    let params: ListParams = call.read(LIST_BESIDE)?;
    call.link.follow_changes();
    if !wants_list {
        return Ok(json!({ "subscribed": true }));
    }
    let list = page(&call.app, params).await?;
    Ok(json!({ "subscribed": true, "list": list }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WatchParams {
    key: String,
    agent_id: Option<String>,
}

async fn messages_subscribe(call: Call) -> Result<Value, Refusal> {
    // Nothing asks for approval here, so that no approvals come along.
    let params: WatchParams = call.read(&["includeApprovals"])?;
    let key = key::parse(&call.app, &params.key, params.agent_id.as_deref())?;
    call.link.follow(&key);
    Ok(json!({ "subscribed": true, "key": key }))
}

async fn messages_unsubscribe(call: Call) -> Result<Value, Refusal> {
    let params: WatchParams = call.params()?;
    let key = key::parse(&call.app, &params.key, params.agent_id.as_deref())?;
    call.link.unfollow(&key);
    Ok(json!({ "subscribed": false, "key": key }))
}
