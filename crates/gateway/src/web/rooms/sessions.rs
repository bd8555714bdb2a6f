//! Conversations: found by name and by what was said, opened, renamed, exported, deleted and taken
//! back.

use axum::extract::{Query, State};
use instar_protocol::SessionKey;
use instar_protocol::api::{SearchHit, SearchReport, SessionInfo};
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::queries::{self, SessionsQuery};
use crate::api::search::{self, SearchQuery};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::act::{Act, Forms};
use crate::web::frame::{Frame, Tab, dollars, empty, moment, number};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Rows of one page: with their forms they stay within what a first visit may load.
const ROWS: usize = 30;
/// Places where words were said that one page shows.
const SAID: usize = 30;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    search: String,
    deleted: Option<String>,
    before: Option<u64>,
    /// A conversation that was deleted just now.
    undo: String,
}

impl Asked {
    fn deleted(&self) -> bool {
        self.deleted.as_deref() == Some("1")
    }

    /// What to look for in what was said; nothing on later pages of the names, and nothing in
    /// conversations that were deleted.
    fn words(&self) -> Option<&str> {
        let words = self.search.trim();
        let fits = (1..=search::TEXT_BYTES_MAX).contains(&words.len());
        (fits && self.before.is_none() && !self.deleted()).then_some(words)
    }
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    forms: Forms,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let query = SessionsQuery {
        search: Some(asked.search.clone()).filter(|text| !text.is_empty()),
        deleted: asked.deleted(),
        limit: Some(ROWS),
        before: asked.before,
        ..SessionsQuery::default()
    };
    let list = queries::sessions(&app.store, &query)
        .await
        .map_err(ApiProblem::from)?;
    let said = match asked.words() {
        Some(text) => Some(said(&app, text).await?),
        None => None,
    };
    let is_said = said.as_ref().is_some_and(|said| !said.found.is_empty());
    let body = html! {
        (tools(words, &asked))
        @if !asked.undo.is_empty() { (undo(words, &forms, &asked.undo)) }
        @if list.sessions.is_empty() && is_said {
        } @else if list.sessions.is_empty() {
            @if asked.search.is_empty() && !asked.deleted() {
                (empty(words.no_sessions, words.no_sessions_do))
            } @else {
                (empty(words.none_found, words.none_found_do))
            }
        } @else {
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr {
                    th scope="col" { (words.session) } th scope="col" { (words.agent) }
                    th scope="col" class="num" { (words.messages) } th scope="col" class="num" { (words.cost) }
                    th scope="col" { (words.last_used) } th scope="col" { span class="sr" { (words.what) } }
                } }
                tbody { @for row in &list.sessions { (line(&app, words, &forms, row)) } }
            } }
            @if let Some(next) = list.next {
                p { a href={ "/sessions?before=" (next.millis()) "&deleted=" (if asked.deleted() { "1" } else { "" }) "&search=" (encoded(&asked.search)) } { (words.older) } }
            }
        }
        @if let Some(said) = said.filter(|_| is_said) { (places(words, &asked.search, &said)) }
    };
    Ok(Frame::new(&app, words, Tab::Sessions).await.around(&body))
}

async fn said(app: &AppState, text: &str) -> Result<SearchReport, ApiProblem> {
    let query = SearchQuery {
        text: text.to_owned(),
        limit: Some(SAID),
        ..SearchQuery::default()
    };
    Ok(search::search(&app.store, &query).await?)
}

/// Where the words were said, the latest first.
fn places(words: &Words, text: &str, said: &SearchReport) -> Markup {
    html! {
        section class="said" aria-labelledby="said" {
            h2 id="said" { (words.in_what_was_said) }
            ol { @for hit in &said.found { (place(words, text, hit)) } }
            @if said.cut { p class="soft" { (words.more_was_said) } }
        }
    }
}

fn place(words: &Words, text: &str, hit: &SearchHit) -> Markup {
    html! {
        li {
            a href={ "/chat?session=" (encoded(&hit.session)) "#" (hit.entry) } {
                @for (piece, is_them) in search::pieces(&hit.excerpt, text) {
                    @if is_them { mark { (piece) } } @else { (piece) }
                }
            }
            p class="soft" {
                @if hit.by_agent { (words.agent_says) } @else { (words.you) }
                " · " span class="key" { (hit.session) } " · " (moment(hit.at))
                @if !hit.current { " · " (words.on_another_branch) }
            }
        }
    }
}

fn tools(words: &Words, asked: &Asked) -> Markup {
    html! {
        form class="tools" method="get" role="search" {
            label { (words.search) " "
                input type="search" name="search" value=(asked.search) placeholder=(words.sessions_hint) maxlength="200" data-search="";
            }
            label { (words.show) " "
                select name="deleted" {
                    option value="" selected[!asked.deleted()] { (words.present) }
                    option value="1" selected[asked.deleted()] { (words.deleted) }
                }
            }
            button { (words.search) }
        }
        p class="undo hidden" role="status" data-undo="" {
            (words.session_deleted) " " button type="button" { (words.undo) }
        }
    }
}

/// The way back of a page that was loaded anew after deleting.
fn undo(words: &Words, forms: &Forms, id: &str) -> Markup {
    let restore = Act {
        method: "POST",
        path: &format!("/api/v1/sessions/{}/restore", encoded(id)),
        then: "/sessions",
        script: "reload",
    };
    html! {
        div class="undo" role="status" {
            (words.session_deleted) " "
            (forms.form(restore, &html! { button autofocus { (words.undo) } }))
        }
    }
}

fn line(app: &AppState, words: &Words, forms: &Forms, row: &SessionInfo) -> Markup {
    let running = SessionKey::parse(&row.key).is_ok_and(|key| app.sessions.is_running(&key));
    let path = format!("/api/v1/sessions/{}", row.id);
    let act = |method, path, then, script| Act {
        method,
        path,
        then,
        script,
    };
    let restore = format!("{path}/restore");
    let undone = format!("/sessions?undo={}", row.id);
    html! {
        tr data-row=(row.id) {
            td class="main" {
                @if row.deleted { span { (row.title) } }
                @else { a href={ "/chat?session=" (encoded(&row.key)) } { (row.title) } }
                @if running { " " span class="mark" { (words.running) } }
                div class="soft key" { (row.key) }
                @if let Some(parent) = &row.parent {
                    div class="soft" { (words.works_for) " " a href={ "/chat?session=" (encoded(parent)) } { (parent) } }
                }
            }
            td { (row.agent) }
            td class="num" data-name=(words.messages) { (number(row.entries)) }
            td class="num" { (dollars(row.cost_micros)) }
            td { (moment(row.updated_at)) }
            td class="acts" {
                @if row.deleted {
                    (forms.form(act("POST", &restore, "/sessions", "reload"), &html! { button { (words.restore) } }))
                } @else {
                    details class="act" {
                        summary { (words.rename) }
                        (forms.form(act("PATCH", &path, "/sessions", "reload"), &html! {
                            label { (words.name) " " input name="title" value=(row.title) maxlength="80" required; }
                            button class="primary" { (words.save) }
                        }))
                    }
                    a class="button" href={ (path) "/export" } download="" { (words.export) }
                    (forms.form(act("DELETE", &path, &undone, "undo"), &html! { button class="bad" { (words.delete) } }))
                }
            }
        }
    }
}

/// As a value in an address.
pub(in crate::web) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
