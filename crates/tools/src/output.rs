//! The bound on what a tool may say to the model, and where the rest goes.

use futures_util::future::BoxFuture;
use instar_protocol::Label;
use std::fmt;
use std::time::Duration;

use crate::tool::{Caller, ToolError};

/// How a call is run, where that is not as the tool has it by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// How long it may take.
    pub patience: Option<Duration>,
    /// Characters of its result that are shown at once.
    pub chars: Option<usize>,
    /// Tries after one that failed, where the call leaves no traces.
    pub again: u8,
    /// Before the first of these tries; twice as long before each one more.
    pub pause: Duration,
}

impl Bounds {
    pub(crate) fn chars(self) -> usize {
        self.chars.map_or(OUTPUT_CHARS_MAX, |chars| {
            chars.clamp(OUTPUT_CHARS_MIN, OUTPUT_CHARS_MAX)
        })
    }
}

/// The most characters of a tool's output that go to the model in one piece.
pub const OUTPUT_CHARS_MAX: usize = 16_000;
/// Fewer would not hold the note that tells of the rest.
const OUTPUT_CHARS_MIN: usize = 500;
/// The longest output that is kept for paging; what is beyond is gone, and that is said.
pub const KEPT_CHARS_MAX: usize = 4_000_000;

pub(crate) const HANDLE_CHARS_MAX: usize = 64;

/// Room for the line that says how much was left out.
const NOTE_CHARS: usize = 200;

/// Keeps outputs that are too long to be read in one piece; supplied by the gateway.
pub trait OutputsPort: Send + Sync + fmt::Debug {
    /// Keeps a text and gives it a handle, for this conversation alone.
    fn keep<'a>(
        &'a self,
        caller: &'a Caller,
        text: String,
        label: &'a Label,
    ) -> BoxFuture<'a, Result<String, ToolError>>;

    /// The whole text of a handle of this conversation.
    fn kept<'a>(
        &'a self,
        caller: &'a Caller,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<(String, Label), ToolError>>;
}

/// True if the text has to be cut.
pub(crate) fn is_long(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().count() > chars_max
}

/// Cuts out the middle of a text that is too long, and says so where it was cut: the head and the
/// end of an output say more than its middle. With a handle the note tells how to see the rest.
pub(crate) fn bound(text: String, chars_max: usize, handle: Option<&str>) -> String {
    if !is_long(&text, chars_max) {
        return text;
    }
    let chars = text.chars().count();
    let kept = chars_max.saturating_sub(NOTE_CHARS);
    let head: String = text.chars().take(kept * 3 / 4).collect();
    let tail: String = text.chars().skip(chars - kept / 4).collect();
    let shown = head.chars().count();
    let cut = chars - shown - tail.chars().count();
    let how = match handle {
        Some(handle) => {
            format!("see them with output_page, handle {handle}, offset {shown}")
        }
        None => "ask for less to see them".to_owned(),
    };
    format!("{head}\n[… {cut} characters left out; {how} …]\n{tail}")
}

/// As much of a text as is kept for paging.
pub(crate) fn keepable(text: &str) -> String {
    match text.char_indices().nth(KEPT_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!(
            "{}\n[the output went on; no more of it was kept]",
            &text[..end]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_head_and_tail_and_counts_what_is_missing() {
        let long: String = ('a'..='z').cycle().take(50_000).collect();
        let cut = bound(long.clone(), OUTPUT_CHARS_MAX, None);
        assert!(cut.chars().count() <= OUTPUT_CHARS_MAX);
        assert!(cut.starts_with("abc") && cut.ends_with(&long[long.len() - 50..]));
        assert!(
            cut.contains("34200 characters left out"),
            "{}",
            &cut[11_800..12_100]
        );
        let umlauts = "ä".repeat(OUTPUT_CHARS_MAX);
        assert_eq!(bound(umlauts.clone(), OUTPUT_CHARS_MAX, None), umlauts);
    }

    #[test]
    fn the_note_tells_handle_and_offset_of_what_is_missing() {
        let long: String = ('a'..='z').cycle().take(50_000).collect();
        let cut = bound(long.clone(), OUTPUT_CHARS_MAX, Some("out_1"));
        let (head, rest) = cut.split_once("\n[… ").unwrap();
        let offset = head.chars().count();
        assert!(
            rest.contains(&format!("handle out_1, offset {offset}")),
            "{}",
            &rest[..120]
        );
        assert!(long.starts_with(head));
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let long = "ü".repeat(KEPT_CHARS_MAX + 7);
        let kept = keepable(&long);
        assert!(kept.starts_with(&"ü".repeat(1_000)) && kept.ends_with("no more of it was kept]"));
        assert_eq!(keepable("short"), "short");
    }
}
