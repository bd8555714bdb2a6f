//! Ways on from an entry of the transcript: another answer, the message in another form, a
//! conversation of its own, and the versions that there are already.
//!
//! What the buttons say is drawn by the style sheet, so that it is not copied along with the message.
//! All of it is buttons of one plain form, `ways`, that stands before the transcript and carries the
//! token; the script of the page sends the same as JSON instead.

use std::collections::HashMap;
use std::time::Duration;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Redirect;
use instar_protocol::EntryId;
use instar_protocol::api::{ForkInfo, Retry, SendMessage};
use instar_protocol::message::{Entry, EntryBody, Inbound, NoticeKind, Part, plain_text};
use maud::{Markup, html};
use serde::Deserialize;

use super::pages::Refused;
use super::rooms::encoded;
use super::words::{Reader, Words};
use crate::api::queries::find_session;
use crate::api::{Keys, again, entry_of, fork_session, inbound};
use crate::app::AppState;
use crate::door::{Caller, FORM_FIELD, form_token};
use crate::problem::ApiProblem;

/// How long the next page waits for the answer, so that a short one is there at once.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// The id of the form whose buttons stand at the entries.
const FORM: &str = "ways";

/// Where the shown branch could go another way.
#[derive(Debug, Default)]
pub(super) struct Ways<'a> {
    /// By each child of a fork: its place among the children, from 0, and all of them.
    versions: HashMap<&'a EntryId, (usize, &'a [EntryId])>,
    /// The message that is being written anew, where no script does it.
    editing: Option<&'a str>,
    /// What the form for it carries.
    token: &'a str,
    /// A turn is under way: what is sent waits.
    waits: bool,
}

impl<'a> Ways<'a> {
    pub(super) fn new(forks: &'a [ForkInfo]) -> Self {
        let versions = forks.iter().flat_map(|fork| {
            let all = fork.children.as_slice();
            let placed = all.iter().enumerate();
            placed.map(move |(at, child)| (child, (at, all)))
        });
        Self {
            versions: versions.collect(),
            ..Self::default()
        }
    }

    /// Opens the form for one message.
    pub(super) fn editing(mut self, entry: Option<&'a str>, token: &'a str, waits: bool) -> Self {
        self.editing = entry;
        self.token = token;
        self.waits = waits;
        self
    }

    /// True if the entry is shown as a form.
    pub(super) fn is_edited(&self, entry: &Entry) -> bool {
        self.editing == Some(entry.id.as_str())
    }

    /// The form for the message that is being written anew.
    pub(super) fn editor(&self, words: &Words, key: &str, entry: &Entry) -> Markup {
        editor(words, key, self.token, entry, self.waits)
    }

    /// What can be done about an entry; nothing for most.
    pub(super) fn of(&self, words: &Words, key: &str, entry: &Entry) -> Markup {
        let versions = self.versions.get(&entry.id);
        let what = what(&entry.body);
        html! {
            @if versions.is_some() || what != What::Nothing {
                div class="ways" {
                    @if let Some((at, all)) = versions { (switcher(words, *at, all)) }
                    @match what {
                        What::Edit => {
                            a class="way" href={ "/chat?session=" (encoded(key)) "&edit=" (entry.id) "#anew" }
                                data-edit=(entry.id) aria-label=(words.edit) data-says=(words.edit) {}
                        },
                        What::Retry => {
                            button class="way" form=(FORM) formaction="/chat/retry" name="entry" value=(entry.id)
                                data-retry="" aria-label=(words.retry) data-says=(words.retry)
                                title=(words.another_answer) {}
                            @if matches!(entry.body, EntryBody::Assistant { .. }) {
                                button class="way" form=(FORM) formaction="/chat/fork" name="entry" value=(entry.id)
                                    data-fork="" aria-label=(words.fork) data-says=(words.fork)
                                    title=(words.fork_about) {}
                            }
                        },
                        What::Nothing => {},
                    }
                }
            }
        }
    }
}

/// What can be done about an entry beside going over to another version of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Edit,
    Retry,
    Nothing,
}

fn what(body: &EntryBody) -> What {
    match body {
        EntryBody::User { .. } => What::Edit,
        EntryBody::Assistant { tool_calls, .. } if tool_calls.is_empty() => What::Retry,
        EntryBody::Notice {
            kind: NoticeKind::Error | NoticeKind::Interrupted | NoticeKind::Uncertain,
            ..
        } => What::Retry,
        EntryBody::Assistant { .. }
        | EntryBody::ToolResult { .. }
        | EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => What::Nothing,
    }
}

/// `‹ 2 / 3 ›`: the version before, and the one behind.
fn switcher(words: &Words, at: usize, all: &[EntryId]) -> Markup {
    let told = format!("{} {} {} {}", words.variant, at + 1, words.of, all.len());
    let to = |place: Option<usize>, sign: &str, label: &str, name: &str| {
        let target = place.and_then(|place| all.get(place));
        html! {
            button class="way" form=(FORM) formaction="/chat/switch" name="entry"
                value=[target] disabled[target.is_none()] aria-label=(label) title=(label)
                data-way=(name) data-says=(sign) {}
        }
    };
    html! {
        span class="versions" role="group" aria-label=(told) {
            (to(at.checked_sub(1), "‹", words.version_before, "before"))
            span aria-hidden="true" data-says=(format!("{} / {}", at + 1, all.len())) {}
            (to(Some(at + 1), "›", words.version_behind, "behind"))
        }
    }
}

/// The form that the buttons at the entries belong to. It stands before them, so that the token is
/// the first of its fields.
pub(super) fn form(key: &str, token: &str, once: &str) -> Markup {
    html! {
        form id=(FORM) method="post" hidden {
            input type="hidden" name=(FORM_FIELD) value=(token);
            input type="hidden" name="session" value=(key);
            input type="hidden" name="once" value=(once);
        }
    }
}

/// A message as it can be written anew.
fn editor(words: &Words, key: &str, token: &str, entry: &Entry, waits: bool) -> Markup {
    let text = text_of(entry);
    let files = has_files(entry);
    let rows = text.lines().count().clamp(2, 12);
    html! {
        form class="anew" id="anew" method="post" action="/chat/edit" data-anew=(entry.id)
            data-parent=[entry.parent.as_ref()] data-files[files] {
            input type="hidden" name=(FORM_FIELD) value=(token);
            input type="hidden" name="session" value=(key);
            input type="hidden" name="entry" value=(entry.id);
            textarea name="text" rows=(rows) maxlength="200000" aria-label=(words.edit_message) { (text) }
            @if files { p class="meta" { (words.files_stay) } }
            @if waits { p class="meta" { (words.edit_waits) } }
            div class="ways" {
                a class="way" href={ "/chat?session=" (encoded(key)) "#say" } data-leave="" { (words.cancel) }
                button class="primary" { (words.send) }
            }
        }
    }
}

fn text_of(entry: &Entry) -> String {
    match &entry.body {
        EntryBody::User { parts, .. } => plain_text(parts),
        _ => String::new(),
    }
}

fn has_files(entry: &Entry) -> bool {
    match &entry.body {
        EntryBody::User { parts, .. } => {
            parts.iter().any(|part| !matches!(part, Part::Text { .. }))
        }
        _ => false,
    }
}

#[derive(Deserialize, Debug)]
pub(super) struct Named {
    session: String,
    entry: String,
}

/// The form for one message, for the page's script.
pub(super) async fn anew(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    headers: HeaderMap,
    Query(named): Query<Named>,
) -> Result<Markup, ApiProblem> {
    let (row, entry) = entry_of(&app, &named.session, &named.entry).await?;
    let token = form_token(&headers).ok_or_else(ApiProblem::internal)?;
    let waits = app.sessions.is_running(&row.key);
    Ok(editor(words, &named.session, &token, &entry, waits))
}

/// The first field, the form's token, was checked at the door.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Wanted {
    session: String,
    entry: String,
    once: Option<String>,
    text: String,
}

impl Wanted {
    /// The same form sent twice for the same entry asks once.
    fn key(&self) -> Option<String> {
        let once = self.once.as_ref()?;
        Some(format!("{once}-{}", self.entry))
    }
}

pub(super) async fn switch(
    State(app): State<AppState>,
    _caller: Caller,
    Form(wanted): Form<Wanted>,
) -> Result<Redirect, Refused> {
    let row = find_session(&app.store, &wanted.session)
        .await
        .map_err(ApiProblem::from)?;
    let entry = EntryId::from_stored(wanted.entry);
    let _changed = app
        .sessions
        .switch(&row.id, &entry)
        .await
        .map_err(ApiProblem::from)?;
    Ok(back(&wanted.session))
}

/// Makes a conversation of its own that goes on behind an entry, and opens it.
pub(super) async fn fork(
    State(app): State<AppState>,
    _caller: Caller,
    Form(wanted): Form<Wanted>,
) -> Result<Redirect, Refused> {
    let row = find_session(&app.store, &wanted.session)
        .await
        .map_err(ApiProblem::from)?;
    let entry = EntryId::from_stored(wanted.entry);
    let forked = fork_session(&app, &row, &entry).await?;
    Ok(back(forked.key.as_str()))
}

pub(super) async fn retry(
    State(app): State<AppState>,
    caller: Caller,
    Form(wanted): Form<Wanted>,
) -> Result<Redirect, Refused> {
    let row = find_session(&app.store, &wanted.session)
        .await
        .map_err(ApiProblem::from)?;
    let asked = Retry {
        idempotency_key: wanted.key(),
        entry: EntryId::from_stored(wanted.entry.as_str()),
        model: None,
    };
    let inbound = again(&app, &caller, &row, asked)?;
    sent(&app, inbound, &wanted.session).await
}

pub(super) async fn edit(
    State(app): State<AppState>,
    caller: Caller,
    Form(wanted): Form<Wanted>,
) -> Result<Redirect, Refused> {
    let (_, entry) = entry_of(&app, &wanted.session, &wanted.entry).await?;
    let message = SendMessage {
        session: Some(wanted.session.clone()),
        // Browsers send the lines of a text with carriage returns.
        text: wanted.text.replace("\r\n", "\n"),
        idempotency_key: None,
        model: None,
        attachments: Vec::new(),
        attachments_of: has_files(&entry).then(|| entry.id.clone()),
        parent: Some(entry.parent),
    };
    let inbound = inbound(&app, &caller, Keys::Plain, message).await?;
    sent(&app, inbound, &wanted.session).await
}

/// Sends it, and waits a little for the answer: answered or not, the page shows how far it is.
async fn sent(app: &AppState, inbound: Inbound, session: &str) -> Result<Redirect, Refused> {
    let submitted = app
        .sessions
        .submit(inbound)
        .await
        .map_err(ApiProblem::from)?;
    drop(tokio::time::timeout(ANSWER_WAIT, submitted.outcome).await);
    Ok(back(session))
}

fn back(session: &str) -> Redirect {
    Redirect::to(&format!("/chat?session={}#say", encoded(session)))
}
