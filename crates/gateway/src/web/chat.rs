//! The chat page and the fragments that its script fetches.

use instar_protocol::api::{SessionInfo, SessionList};
use instar_protocol::message::{Entry, EntryBody, NoticeKind, Part};
use instar_protocol::model::StopReason;
use instar_protocol::tool::ToolDecision;
use maud::{DOCTYPE, Markup, html};

use super::frame::{Tab, bar, coded, dollars, head, moment, number, shortcuts};
use super::markdown;
use super::words::Words;

/// Tool output and arguments are shown up to this many characters; the transcript has them whole.
const TOOL_CHARS_SHOWN: usize = 4_000;

/// What the chat page shows.
#[derive(Debug)]
pub(super) struct Chat<'a> {
    pub(super) words: &'static Words,
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
    let words = chat.words;
    html! {
        (DOCTYPE)
        html lang=(words.tag) {
            (head(chat.title, &["/assets/ui.js", "/assets/chat.js"]))
            body class="framed" data-agent=(words.agent_says) data-working=(words.working)
                data-asks=(words.asks_for) data-refused=(words.refused_call)
                data-lost=(words.lost) data-unreachable=(words.unreachable) {
                a class="skip" href="#say" { (words.skip_to_say) }
                (bar(words, Tab::Chat))
                div class="shell" { (side(chat)) (conversation_of(chat)) }
                (shortcuts(words))
            }
        }
    }
}

fn conversation_of(chat: &Chat<'_>) -> Markup {
    let words = chat.words;
    html! {
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
                section class="log" role="log" aria-live="polite" aria-label=(words.conversation) tabindex="0" {
                    div class="inner" {
                        @if chat.truncated {
                            p class="entry notice" { (coded(words.earlier)) }
                        }
                        @if chat.entries.is_empty() { (empty(words, chat.model)) }
                        (entries(words, chat.entries))
                    }
                }
                div class="say" {
                    form data-session=(chat.key) data-running=(chat.running) {
                        label class="skip" for="say" { (words.message) }
                        textarea id="say" rows="1" maxlength="200000" placeholder=(words.write) {}
                        button type="button" class="hidden" data-stop="" { (words.stop) }
                        button class="primary" data-send="" disabled { (words.send) }
                    }
                    p class="hint" {
                        span data-status="" role="status" {}
                        noscript { (coded(words.chat_needs_script)) }
                    }
                }
            }
    }
}

fn side(chat: &Chat<'_>) -> Markup {
    let words = chat.words;
    html! {
        nav class="side" aria-label=(words.conversations) {
            h2 { (words.conversations) }
            ul {
                @if !chat.sessions.sessions.iter().any(|row| row.key == chat.key) {
                    li { a href={ "/chat?session=" (chat.key) } aria-current="page" { (chat.title) } }
                }
                @for row in &chat.sessions.sessions {
                    li { (conversation(row, chat.key)) }
                }
            }
            div class="foot" {
                p { (coded(words.commands_hint)) }
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

fn empty(words: &Words, model: &str) -> Markup {
    let tries = [
        "hello",
        "what can you do?",
        "how do I connect a model?",
        "delete my files",
    ];
    html! {
        div class="empty" {
            h2 { (words.nothing_said) }
            @if model.starts_with("demo/") {
                p { (words.demo_says) }
            } @else {
                p { (words.begin_below) }
            }
            div class="tries" {
                @for text in tries { button type="button" data-try=(text) { (text) } }
            }
        }
    }
}

/// Stored entries as fragments, oldest first.
#[must_use]
pub(super) fn entries(words: &Words, entries: &[Entry]) -> Markup {
    html! { @for entry in entries { (one(words, entry)) } }
}

fn one(words: &Words, entry: &Entry) -> Markup {
    let id = entry.id.as_str();
    match &entry.body {
        EntryBody::User { parts, .. } => html! {
            article class="entry user" data-entry=(id) {
                div class="who" { (words.you) }
                @for part in parts { (user_part(words, part)) }
            }
        },
        EntryBody::Assistant {
            text,
            tool_calls,
            model,
            stop,
            usage,
            cost_micros,
            ..
        } => html! {
            article class="entry assistant" data-entry=(id) {
                @if !text.is_empty() {
                    div class="who" { (words.agent_says) }
                    div class="text" { (markdown::render(text)) }
                }
                @if tool_calls.is_empty() {
                    p class="meta" {
                        (model.as_str()) " · " (moment(entry.at))
                        @if usage.input_tokens + usage.output_tokens > 0 {
                            " · " span title={ (words.tokens_in) " / " (words.tokens_out) } {
                                (number(usage.input_tokens)) " / " (number(usage.output_tokens))
                            }
                        }
                        @if *cost_micros > 0 { " · " (dollars(*cost_micros)) }
                        @match stop {
                            StopReason::Aborted => { " · " (words.stopped) },
                            StopReason::Length => { " · " (words.cut_at_length) },
                            StopReason::Refusal => { " · " (words.refused_by_model) },
                            StopReason::Stop | StopReason::ToolUse => {},
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
        } => tool_result(words, id, tool, text, *is_error, decision),
        EntryBody::Compaction { summary, .. } => html! {
            details class="entry tool" data-entry=(id) {
                summary { (words.summarised) }
                (markdown::render(summary))
            }
        },
        EntryBody::Reset { reason } => {
            html! { p class="entry notice" data-entry=(id) { (reason) } }
        }
        EntryBody::ModelChange { model } => html! {
            p class="entry notice" data-entry=(id) {
                @match model {
                    Some(model) => { (words.now_answers) " " code { (model.as_str()) } },
                    None => (words.usual_answers),
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

fn user_part(words: &Words, part: &Part) -> Markup {
    match part {
        Part::Text { text } => markdown::render(text),
        Part::Image { mime, .. } => html! { p class="meta" { (words.an_image) " (" (mime) ")" } },
        Part::File { name, .. } => html! { p class="meta" { (words.the_file) " " (name) } },
    }
}

fn tool_result(
    words: &Words,
    id: &str,
    tool: &str,
    text: &str,
    is_error: bool,
    decision: &ToolDecision,
) -> Markup {
    match decision {
        ToolDecision::Denied { rule, reason } => html! {
            details class="entry tool denied" data-entry=(id) open {
                summary { (words.refused_call) " " (tool) }
                p { (reason) }
                p class="meta" { (words.rule) " " (rule) }
            }
        },
        ToolDecision::Allowed { rule } => html! {
            details class="entry tool" data-entry=(id) {
                summary { @if is_error { (words.failed_call) } @else { (words.used_call) } " " (tool) }
                pre { code { (shown(words, text)) } }
                p class="meta" { (words.allowed_by) " " (rule) }
            }
        },
        ToolDecision::Handed => html! {
            details class="entry tool" data-entry=(id) {
                summary { (words.handed_call) " " (tool) }
                pre { code { (shown(words, text)) } }
            }
        },
    }
}

/// A bounded piece of tool output; what is left out is said.
fn shown(words: &Words, text: &str) -> String {
    match text.char_indices().nth(TOOL_CHARS_SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!(
            "{}\n… {} {}",
            &text[..at],
            text.len() - at,
            words.more_bytes
        ),
    }
}
