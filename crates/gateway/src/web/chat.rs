//! The chat page and the fragments that its script fetches.

use instar_protocol::api::{SessionInfo, SessionList};
use instar_protocol::message::{Entry, EntryBody, NoticeKind, Part};
use instar_protocol::model::StopReason;
use instar_protocol::tool::ToolDecision;
use maud::{Markup, html};

use super::markdown;
use super::page::{WORDS, page};

/// Tool output and arguments are shown up to this many characters; the transcript has them whole.
const TOOL_CHARS_SHOWN: usize = 4_000;

/// What the chat page shows.
#[derive(Debug)]
pub(super) struct Chat<'a> {
    pub(super) key: &'a str,
    pub(super) title: &'a str,
    pub(super) model: &'a str,
    pub(super) entries: &'a [Entry],
    pub(super) truncated: bool,
    /// A turn is under way; the script of the page will hear its end.
    pub(super) running: bool,
    pub(super) sessions: &'a SessionList,
    /// Something the owner should know whatever page is open, such as a refused configuration.
    pub(super) banner: Option<&'a str>,
}

/// The whole page.
#[must_use]
pub(super) fn chat(chat: &Chat<'_>) -> Markup {
    let body = html! {
        a class="skip" href="#say" { "Skip to the message box" }
        div class="shell" {
            (side(chat))
            main {
                header class="head" {
                    h1 { (chat.title) }
                    span class="model" { (chat.model) }
                }
                div class="banners" {
                    @if let Some(banner) = chat.banner {
                        p class="banner" role="alert" { (banner) }
                    }
                }
                section class="log" role="log" aria-live="polite" aria-label="Conversation" tabindex="0" {
                    div class="inner" {
                        @if chat.truncated {
                            p class="entry notice" { "Earlier messages are not shown here; `instar sessions export` has them all." }
                        }
                        @if chat.entries.is_empty() { (empty(chat.model)) }
                        (entries(chat.entries))
                    }
                }
                div class="say" {
                    form data-session=(chat.key) data-running=(chat.running) {
                        label class="skip" for="say" { "Message" }
                        textarea id="say" rows="1" maxlength="200000" placeholder="Write a message" {}
                        button type="button" class="hidden" data-stop="" { "Stop" }
                        button class="primary" data-send="" disabled { "Send" }
                    }
                    p class="hint" {
                        span data-status="" role="status" {}
                        noscript { "Reading works without JavaScript; writing needs it, or " code { "instar agent --message" } "." }
                    }
                }
            }
        }
    };
    page(chat.title, Some("/assets/chat.js"), &body)
}

fn side(chat: &Chat<'_>) -> Markup {
    html! {
        nav class="side" aria-label="Conversations" {
            p class="brand" { "Instar" }
            h2 { "Conversations" }
            ul {
                @if !chat.sessions.sessions.iter().any(|row| row.key == chat.key) {
                    li { a href={ "/chat?session=" (chat.key) } aria-current="page" { (chat.title) } }
                }
                @for row in &chat.sessions.sessions {
                    li { (conversation(row, chat.key)) }
                }
            }
            div class="foot" {
                p { "Type " code { "/help" } " for commands, " code { "/new" } " for a fresh start." }
                form method="post" action="/sign-out" { button { "Sign out" } }
            }
        }
    }
}

fn conversation(row: &SessionInfo, open: &str) -> Markup {
    let current = (row.key == open).then_some("page");
    html! {
        a href={ "/chat?session=" (row.key) } aria-current=[current] title=(row.key) { (row.title) }
    }
}

fn empty(model: &str) -> Markup {
    let tries = [
        "hello",
        "what can you do?",
        "how do I connect a model?",
        "delete my files",
    ];
    html! {
        div class="empty" {
            h2 { "Nothing said yet" }
            @if model.starts_with("demo/") {
                p { "You are talking to a small scripted model that runs offline. It is not a language model; it shows you around until you connect one." }
            } @else {
                p { "Write below, or begin with one of these." }
            }
            div class="tries" {
                @for text in tries { button type="button" data-try=(text) { (text) } }
            }
        }
    }
}

/// Stored entries as fragments, oldest first.
#[must_use]
pub(super) fn entries(entries: &[Entry]) -> Markup {
    html! { @for entry in entries { (one(entry)) } }
}

fn one(entry: &Entry) -> Markup {
    let id = entry.id.as_str();
    match &entry.body {
        EntryBody::User { parts, .. } => html! {
            article class="entry user" data-entry=(id) {
                div class="who" { "You" }
                @for part in parts { (user_part(part)) }
            }
        },
        EntryBody::Assistant {
            text,
            tool_calls,
            model,
            stop,
            ..
        } => html! {
            article class="entry assistant" data-entry=(id) {
                @if !text.is_empty() {
                    div class="who" { (WORDS.agent) }
                    div class="text" { (markdown::render(text)) }
                }
                @if tool_calls.is_empty() {
                    p class="meta" {
                        (model.as_str())
                        @match stop {
                            StopReason::Aborted => " · stopped",
                            StopReason::Length => " · cut at the length limit",
                            StopReason::Refusal => " · refused by the model",
                            StopReason::Stop | StopReason::ToolUse => "",
                        }
                    }
                }
            }
        },
        EntryBody::ToolResult {
            tool,
            text,
            is_error,
            decision,
            ..
        } => tool_result(id, tool, text, *is_error, decision),
        EntryBody::Compaction { summary, .. } => html! {
            details class="entry tool" data-entry=(id) {
                summary { "Earlier messages were summarised for the model" }
                (markdown::render(summary))
            }
        },
        EntryBody::Reset { reason } => {
            html! { p class="entry notice" data-entry=(id) { (reason) } }
        }
        EntryBody::ModelChange { model } => html! {
            p class="entry notice" data-entry=(id) {
                @match model {
                    Some(model) => { "From here on " (model.as_str()) " answers." },
                    None => "From here on the agent's usual model answers.",
                }
            }
        },
        EntryBody::Notice { kind, text } => {
            let class = match kind {
                NoticeKind::Error => "entry notice error",
                NoticeKind::Command
                | NoticeKind::Interrupted
                | NoticeKind::Uncertain
                | NoticeKind::Aborted => "entry notice",
            };
            html! { div class=(class) data-entry=(id) { (markdown::render(text)) } }
        }
    }
}

fn user_part(part: &Part) -> Markup {
    match part {
        Part::Text { text } => markdown::render(text),
        Part::Image { mime, .. } => html! { p class="meta" { "An image (" (mime) ")" } },
        Part::File { name, .. } => html! { p class="meta" { "The file " (name) } },
    }
}

fn tool_result(
    id: &str,
    tool: &str,
    text: &str,
    is_error: bool,
    decision: &ToolDecision,
) -> Markup {
    match decision {
        ToolDecision::Denied { rule, reason } => html! {
            details class="entry tool denied" data-entry=(id) open {
                summary { "Refused: " (tool) }
                p { (reason) }
                p class="meta" { "Rule: " (rule) }
            }
        },
        ToolDecision::Allowed { rule } => html! {
            details class="entry tool" data-entry=(id) {
                summary { @if is_error { "Failed: " } @else { "Used " } (tool) }
                pre { code { (shown(text)) } }
                p class="meta" { "Allowed by rule " (rule) }
            }
        },
        ToolDecision::Handed => html! {
            details class="entry tool" data-entry=(id) {
                summary { "Handed to the calling program: " (tool) }
                pre { code { (shown(text)) } }
            }
        },
    }
}

/// A bounded piece of tool output; what is left out is said.
fn shown(text: &str) -> String {
    match text.char_indices().nth(TOOL_CHARS_SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}\n… {} more bytes", &text[..at], text.len() - at),
    }
}
