//! The routes of the pages.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use instar_protocol::api::ForkInfo;
use instar_protocol::event::{EventKind, FeedbackVerdict};
use instar_protocol::message::Entry;
use instar_protocol::session::SessionKey;
use instar_protocol::{RunId, SessionId};
use instar_store::EventFilter;
use maud::Markup;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::chat::{self, Chat};
use super::composer::Composer;
use super::entries::Shown;
use super::frame::{banner, waiting};
use super::page::page;
use super::ways::Ways;
use super::words::{Reader, Words};
use super::{act, assets, attached, rooms, say, ways};
use crate::api::queries::{self, QueryError, SessionsQuery};
use crate::app::AppState;
use crate::control;
use crate::door::{Caller, form_token};
use crate::http::Routes;
use crate::problem::ApiProblem;
use crate::setup::Setup;

/// Conversations listed beside the chat.
const LISTED: usize = 40;
/// Models that a menu offers.
const MODELS: usize = 200;
/// Words about answers that are looked at.
const VERDICTS: usize = 500;
/// New entries that one fragment holds at most.
const FRAGMENT: usize = 200;

/// Every page. Who may see which is the router's business.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .route("/", get(home))
        .route("/chat", get(show))
        .route("/chat/entries", get(fragment))
        .route("/chat/attached", get(attached::attached))
        .route("/chat/say", post(say::say))
        .route("/chat/stop", post(say::stop))
        .route("/chat/anew", get(ways::anew))
        .route("/chat/edit", post(ways::edit))
        .route("/chat/retry", post(ways::retry))
        .route("/chat/switch", post(ways::switch))
        .route("/chat/fork", post(ways::fork))
        .route("/assets/{name}", get(asset))
        .route(act::PATH, post(act::act))
        .merge(rooms::routes())
}

/// The one address that both browsers and clients of the control plane are given.
async fn home(state: State<AppState>, request: Request) -> Response {
    if control::is_upgrade(request.headers()) {
        return control::upgrade(state, request).await;
    }
    let State(app) = state;
    let caller = request.extensions().get::<Caller>();
    let owner = caller.is_some_and(|caller| caller.principal.is_owner());
    let first = owner && Setup::is_wanted(&app);
    Redirect::to(if first { "/setup" } else { "/chat" }).into_response()
}

async fn asset(Path(name): Path<String>) -> Response {
    assets::find(&name).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

#[derive(Deserialize, Debug)]
struct Open {
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    after: Option<String>,
    /// The message that is being written anew.
    #[serde(default)]
    edit: Option<String>,
}

impl Open {
    fn key(&self) -> Result<SessionKey, ApiProblem> {
        SessionKey::parse(self.session.as_deref().unwrap_or("main"))
            .map_err(|error| ApiProblem::invalid(error.to_string()))
    }
}

async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    query: axum::extract::Query<Open>,
) -> Result<Markup, Refused> {
    let open = query.0;
    let key = open.key()?;
    let opened = entries(&app, words, &key, None).await?;
    let query = SessionsQuery {
        limit: Some(LISTED),
        ..SessionsQuery::default()
    };
    let sessions = queries::sessions(&app.store, &query)
        .await
        .map_err(ApiProblem::from)?;
    let verdicts = verdicts(&app, opened.id.as_ref()).await?;
    let token = form_token(&headers).ok_or_else(ApiProblem::internal)?;
    let models = choices(&app);
    let banner = banner(&app);
    let running = app.sessions.is_running(&key);
    Ok(chat::chat(&Chat {
        words,
        shown: Shown {
            words,
            key: key.as_str(),
            verdicts: &verdicts,
            ways: Ways::new(&opened.forks).editing(open.edit.as_deref(), &token, running),
        },
        composer: Composer {
            words,
            key: key.as_str(),
            token: &token,
            once: &hex::encode(app.random()),
            model: opened.model.as_deref().unwrap_or(&app.default_model()),
            models: &models,
            running,
        },
        title: &opened.title,
        entries: &opened.entries,
        truncated: opened.truncated,
        sessions: &sessions,
        fresh: &format!(
            "agent:{}:chat-{}",
            app.default_agent(),
            hex::encode(app.random())
        ),
        banner: banner.as_deref(),
        waiting: waiting(&app).await,
    }))
}

/// The models that can answer, for a menu.
fn choices(app: &AppState) -> Vec<String> {
    let all = app.models.list().into_iter();
    all.filter(|model| model.configured)
        .map(|model| model.id)
        .take(MODELS)
        .collect()
}

/// What the owner said of the answers of a conversation, the last word on each.
async fn verdicts(
    app: &AppState,
    session: Option<&SessionId>,
) -> Result<BTreeMap<RunId, FeedbackVerdict>, ApiProblem> {
    let Some(session) = session else {
        return Ok(BTreeMap::new());
    };
    let filter = EventFilter {
        kind: Some("feedback".to_owned()),
        session: Some(session.clone()),
        limit: VERDICTS,
        ..EventFilter::default()
    };
    let mut events = app.store.events(filter).await?;
    events.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Feedback { run, verdict, .. } => Some((run, verdict)),
            _ => None,
        })
        .collect())
}

/// A conversation as far as it is shown; an empty one if nothing was said in it yet.
struct Opened {
    id: Option<SessionId>,
    title: String,
    model: Option<String>,
    entries: Vec<Entry>,
    truncated: bool,
    forks: Vec<ForkInfo>,
}

async fn entries(
    app: &AppState,
    words: &Words,
    key: &SessionKey,
    limit: Option<usize>,
) -> Result<Opened, ApiProblem> {
    match queries::session_detail(&app.store, key.as_str(), limit).await {
        Ok(detail) => Ok(Opened {
            id: Some(detail.session.id),
            title: detail.session.title,
            model: detail.session.model,
            entries: detail.entries,
            truncated: detail.truncated,
            forks: detail.forks,
        }),
        Err(QueryError::NotFound { .. }) => Ok(Opened {
            id: None,
            title: if key.is_main() {
                words.main_conversation.to_owned()
            } else {
                key.to_string()
            },
            model: None,
            entries: Vec::new(),
            truncated: false,
            forks: Vec::new(),
        }),
        Err(other) => Err(other.into()),
    }
}

/// The entries behind one that the page has, as HTML for the page's script.
async fn fragment(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    query: axum::extract::Query<Open>,
) -> Result<Response, ApiProblem> {
    let key = query.key()?;
    let opened = entries(&app, words, &key, Some(FRAGMENT)).await?;
    let after = query.after.as_deref().and_then(|after| {
        opened
            .entries
            .iter()
            .position(|entry| entry.id.as_str() == after)
    });
    let new = after.map_or(opened.entries.as_slice(), |at| &opened.entries[at + 1..]);
    let verdicts = verdicts(&app, opened.id.as_ref()).await?;
    let shown = Shown {
        words,
        key: key.as_str(),
        verdicts: &verdicts,
        ways: Ways::new(&opened.forks),
    };
    // What the page shows is on another branch: the script shows this instead.
    let is_elsewhere = query.after.is_some() && after.is_none();
    let elsewhere = is_elsewhere.then_some([("instar-branch", "another")]);
    Ok((elsewhere.map(AppendHeaders), shown.entries(new)).into_response())
}

/// A refusal that is read as a page.
pub(super) struct Refused(ApiProblem);

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Self(error.into())
    }
}

impl From<ApiProblem> for Refused {
    fn from(problem: ApiProblem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0.status, refusal(&self.0)).into_response()
    }
}

/// In English, as the refusal itself is.
fn refusal(problem: &ApiProblem) -> Markup {
    refusal_with_way_back(Words::of(&HeaderMap::new()), problem, "/chat")
}

/// The same, for somebody who comes from a page and wants to go back there.
pub(super) fn refusal_with_way_back(words: &Words, problem: &ApiProblem, back: &str) -> Markup {
    let label = if back == "/chat" {
        words.back_to_chat
    } else {
        words.back_to_page
    };
    let body = maud::html! {
        main class="door" id="main" {
            h1 { "Instar" }
            p class="wrong" role="alert" lang="en" { (problem.message) }
            @if let Some(step) = &problem.next_step { p lang="en" { (step) } }
            p { a href=(back) { (label) } }
        }
    };
    page(words, words.refused_title, "/assets/ui.js", &body)
}
