//! The frame that every page shares, and the words that people read.

use maud::{DOCTYPE, Markup, html};

/// The words of the page's script, handed to it as data attributes so that all strings live here.
pub(super) struct Words {
    pub(super) agent: &'static str,
    pub(super) working: &'static str,
    pub(super) asks: &'static str,
    pub(super) refused: &'static str,
    pub(super) lost: &'static str,
    pub(super) unreachable: &'static str,
}

pub(super) const WORDS: Words = Words {
    agent: "Agent",
    working: "Working…",
    asks: "Asks for",
    refused: "Refused:",
    lost: "The connection is gone; trying again…",
    unreachable: "The gateway does not answer. Is it still running?",
};

/// A whole page.
pub(super) fn page(title: &str, script: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content";
                meta name="color-scheme" content="light dark";
                // Without it a form's origin is sent as `null`, which the door refuses.
                meta name="referrer" content="same-origin";
                title { (title) " · Instar" }
                link rel="icon" type="image/svg+xml" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/app.css";
                @if let Some(script) = script {
                    script type="module" src=(script) {}
                }
            }
            body data-agent=(WORDS.agent) data-working=(WORDS.working) data-asks=(WORDS.asks)
                data-refused=(WORDS.refused)
                data-lost=(WORDS.lost) data-unreachable=(WORDS.unreachable) {
                (body)
            }
        }
    }
}
