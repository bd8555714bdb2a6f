//! Takes keys and tokens out of a message before anything of it is stored.
//!
//! The inbox, the title, the event and the transcript are all made from the message that comes out,
//! and so is every request: a model sees the same words in each turn.

use instar_protocol::message::{Inbound, Part, Preamble};
use instar_protocol::redact::ContentMode;
use std::borrow::Cow;

/// Masks the words of a message, and those that an API caller sent along with it.
pub(crate) fn inbound(mode: ContentMode, inbound: &mut Inbound) {
    parts(mode, &mut inbound.parts);
    let overrides = &mut inbound.overrides;
    if let Some(instructions) = &mut overrides.instructions {
        text(mode, instructions);
    }
    for earlier in &mut overrides.preamble {
        match earlier {
            Preamble::User { parts: spoken } => parts(mode, spoken),
            Preamble::Assistant { text: words, .. } | Preamble::Tool { text: words, .. } => {
                text(mode, words);
            }
        }
    }
}

fn parts(mode: ContentMode, parts: &mut [Part]) {
    for part in parts {
        match part {
            Part::Text { text: words } | Part::File { text: words, .. } => text(mode, words),
            Part::Image { .. } => {}
        }
    }
}

/// Masks one text where it stands.
pub(crate) fn text(mode: ContentMode, words: &mut String) {
    if let Cow::Owned(masked) = mode.transcript(words) {
        *words = masked;
    }
}
