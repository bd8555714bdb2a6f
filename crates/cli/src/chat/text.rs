//! Text from elsewhere, made safe and cut into lines of a width.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::out::visible;

/// Text as it may stand on a screen: whoever wrote it, no character of it drives the terminal.
pub(crate) fn clean(text: &str) -> String {
    visible(&text.replace("\r\n", "\n")).replace('\t', "    ")
}

/// The same on one line, and no longer than this many columns.
pub(crate) fn clean_line(text: &str, columns: usize) -> String {
    let line = clean(text).replace('\n', " ");
    if line.width() <= columns {
        return line;
    }
    let mut cut = String::new();
    let mut used = 0;
    for piece in line.graphemes(true) {
        if used + piece.width() + 1 > columns {
            break;
        }
        used += piece.width();
        cut.push_str(piece);
    }
    cut.push('…');
    cut
}

/// Cuts text into lines of at most this many columns, between words where it can be.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        wrap_line(line, columns, &mut lines);
    }
    lines
}

fn wrap_line(line: &str, columns: usize, lines: &mut Vec<String>) {
    let (mut current, mut used) = (String::new(), 0);
    for word in line.split_word_bounds() {
        let width = word.width();
        if used + width <= columns {
            current.push_str(word);
            used += width;
            continue;
        }
        if used > 0 {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
            used = 0;
            if word.trim().is_empty() {
                continue;
            }
        }
        for piece in word.graphemes(true) {
            if used + piece.width() > columns && used > 0 {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push_str(piece);
            used += piece.width();
        }
    }
    lines.push(current);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_allowed_whatever_is_in_them() {
        let texts = [
            "the quick brown fox jumps over the lazy dog",
            "日本語のテキストは単語の間に空白がありません",
            "שלום עולם זה טקסט ארוך מאוד",
            "family 👨‍👩‍👧‍👦 and flags 🇩🇪🇫🇷 and e\u{301} accents",
            "averyveryverylongwordwithoutanyplacetobreakitatall",
        ];
        for text in texts {
            for columns in [2, 5, 9, 40] {
                for line in wrap(text, columns) {
                    assert!(line.width() <= columns, "{line:?} in {columns}");
                }
                let kept: String = wrap(text, columns).concat();
                let bare = |text: &str| text.replace(' ', "");
                assert_eq!(bare(&kept), bare(text));
            }
        }
        assert_eq!(wrap("one two\n\nthree", 5), ["one", "two", "", "three"]);
        assert_eq!(clean_line("a long title\nhere", 8), "a long …");
    }

    #[test]
    fn nothing_that_drives_a_terminal_is_left() {
        let hostile = "a\u{1b}[2Jb\u{7}c\u{9b}31md\u{202e}e\rf\u{61c}g";
        let clean = clean(hostile);
        assert!(!clean.chars().any(char::is_control), "{clean:?}");
        assert!(!clean.contains(['\u{202e}', '\u{61c}']), "{clean:?}");
    }
}
