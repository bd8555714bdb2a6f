//! The chat page.

use instar_protocol::api::{SessionInfo, SessionList};
use instar_protocol::message::Entry;
use maud::{DOCTYPE, Markup, html};

use super::composer::{Composer, model_menu};
use super::entries::Shown;
use super::frame::{Tab, bar, coded, head, shortcuts};
use super::rooms::encoded;
use super::ways;
use super::words::Words;

/// How often the page is loaded again while an answer is made, where no script can follow it.
const RELOAD_SECONDS: &str = "3";

/// What the chat page shows.
#[derive(Debug)]
pub(super) struct Chat<'a> {
    pub(super) words: &'static Words,
    pub(super) shown: Shown<'a>,
    pub(super) composer: Composer<'a>,
    pub(super) title: &'a str,
    pub(super) entries: &'a [Entry],
    pub(super) truncated: bool,
    pub(super) sessions: &'a SessionList,
    /// The key of a conversation that does not exist yet.
    pub(super) fresh: &'a str,
    /// Something the owner should know whatever page is open, such as a refused configuration.
    pub(super) banner: Option<&'a str>,
    /// Questions that wait for an answer.
    pub(super) waiting: usize,
}

/// The whole page.
#[must_use]
pub(super) fn chat(chat: &Chat<'_>) -> Markup {
    let words = chat.words;
    html! {
        (DOCTYPE)
        html lang=(words.tag) {
            (head(chat.title, &["/assets/ui.js", "/assets/chat.js"], chat.composer.running.then_some(RELOAD_SECONDS)))
            body class="framed" data-agent=(words.agent_says) data-working=(words.working)
                data-asks=(words.asks_for) data-refused=(words.refused_call)
                data-lost=(words.lost) data-unreachable=(words.unreachable)
                data-copy=(words.copy) data-copied=(words.copied) data-detach=(words.detach)
                data-attach-many=(words.attach_many) data-attach-large=(words.attach_large)
                data-attach-together=(words.attach_together) data-edit-waits=(words.edit_waits) {
                a class="skip" href="#say" { (words.skip_to_say) }
                (bar(words, Tab::Chat, chat.waiting))
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
                    (model_menu(&chat.composer))
                }
                div class="banners" {
                    @if let Some(banner) = chat.banner {
                        p class="banner" role="alert" { (banner) }
                    }
                }
                (ways::form(chat.shown.key, chat.composer.token, chat.composer.once))
                section class="log" role="log" aria-live="polite" aria-label=(words.conversation) tabindex="0" {
                    div class="inner" {
                        @if chat.truncated {
                            p class="entry notice" { (coded(words.earlier)) }
                        }
                        @if chat.entries.is_empty() { (empty(words, chat.composer.model)) }
                        (chat.shown.entries(chat.entries))
                    }
                }
                (chat.composer.draw())
            }
    }
}

fn side(chat: &Chat<'_>) -> Markup {
    let words = chat.words;
    html! {
        nav class="side" aria-label=(words.conversations) {
            h2 { (words.conversations) }
            a class="fresh" href={ "/chat?session=" (encoded(chat.fresh)) } { (words.new_conversation) }
            ul {
                @if !chat.sessions.sessions.iter().any(|row| row.key == chat.shown.key) {
                    li { a href={ "/chat?session=" (encoded(chat.shown.key)) } aria-current="page" { (chat.title) } }
                }
                @for row in &chat.sessions.sessions {
                    li { (conversation(row, chat.shown.key)) }
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
        a href={ "/chat?session=" (encoded(&row.key)) } aria-current=[current] title=(row.key) { (row.title) }
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
