//! The bound on what a tool may say to the model.

/// The most characters of a tool's output that go to the model in one piece.
pub const OUTPUT_CHARS_MAX: usize = 16_000;

/// Room for the line that says how much was left out.
const NOTE_CHARS: usize = 100;

/// Cuts out the middle of a text that is too long, and says so where it was cut: the head and the
/// end of an output say more than its middle.
pub(crate) fn bound(text: String, chars_max: usize) -> String {
    if text.len() <= chars_max {
        return text;
    }
    let chars = text.chars().count();
    if chars <= chars_max {
        return text;
    }
    let kept = chars_max.saturating_sub(NOTE_CHARS);
    let head: String = text.chars().take(kept * 3 / 4).collect();
    let tail: String = text.chars().skip(chars - kept / 4).collect();
    let cut = chars - head.chars().count() - tail.chars().count();
    format!("{head}\n[… {cut} characters left out; ask for less to see them …]\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_head_and_tail_and_counts_what_is_missing() {
        let long: String = ('a'..='z').cycle().take(50_000).collect();
        let cut = bound(long.clone(), OUTPUT_CHARS_MAX);
        assert!(cut.chars().count() <= OUTPUT_CHARS_MAX);
        assert!(cut.starts_with("abc") && cut.ends_with(&long[long.len() - 50..]));
        assert!(
            cut.contains("34100 characters left out"),
            "{}",
            &cut[11_900..12_100]
        );
        let umlauts = "ä".repeat(OUTPUT_CHARS_MAX);
        assert_eq!(bound(umlauts.clone(), OUTPUT_CHARS_MAX), umlauts);
    }
}
