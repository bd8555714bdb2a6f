//! The box that is typed in: some lines, a cursor, and what was sent before.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::text::clean;

/// The most that can be typed or pasted; the gateway takes no more.
const BYTES_MAX: usize = 1 << 20;
/// Sent messages that are kept for the arrow keys.
const HISTORY_MAX: usize = 200;

#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// A place between two graphemes.
    cursor: usize,
    history: Vec<String>,
    /// Which of the history is shown, and what was being typed before.
    recalled: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Puts text in at the cursor; false if it did not fit whole.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let text = clean(&text.replace("\r\n", "\n").replace('\r', "\n"));
        let mut room = BYTES_MAX.saturating_sub(self.text.len()).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.text.insert_str(self.cursor, &text[..room]);
        self.cursor += room;
        self.recalled = None;
        room == text.len()
    }

    pub(crate) fn set(&mut self, text: &str) {
        self.text = clean(text);
        self.cursor = self.text.len();
    }

    pub(crate) fn clear(&mut self) {
        self.set("");
        self.recalled = None;
    }

    /// Takes what was typed, to be sent.
    pub(crate) fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.clear();
        self.remember(&text);
        text
    }

    /// Keeps a message for the arrow keys.
    pub(crate) fn remember(&mut self, text: &str) {
        if self.history.last().is_none_or(|last| last != text) {
            self.history.push(clean(text));
        }
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
    }

    pub(crate) fn backspace(&mut self) {
        let to = self.cursor;
        self.left();
        self.text.replace_range(self.cursor..to, "");
    }

    pub(crate) fn delete(&mut self) {
        let from = self.cursor;
        self.right();
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    pub(crate) fn left(&mut self) {
        let mut before = self.text[..self.cursor].grapheme_indices(true);
        self.cursor = before.next_back().map_or(0, |(at, _)| at);
    }

    pub(crate) fn right(&mut self) {
        let next = self.text[self.cursor..].graphemes(true).next();
        self.cursor += next.map_or(0, str::len);
    }

    pub(crate) fn word_left(&mut self) {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        self.cursor = words.next_back().map_or(0, |(at, _)| at);
    }

    pub(crate) fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let end = rest.unicode_word_indices().next();
        self.cursor += end.map_or(rest.len(), |(at, word)| at + word.len());
    }

    pub(crate) fn home(&mut self) {
        self.cursor = self.line_start(self.cursor);
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.line_end(self.cursor);
    }

    pub(crate) fn kill_word(&mut self) {
        let to = self.cursor;
        self.word_left();
        self.text.replace_range(self.cursor..to, "");
    }

    pub(crate) fn kill_to_start(&mut self) {
        let start = self.line_start(self.cursor);
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    pub(crate) fn kill_to_end(&mut self) {
        let end = self.line_end(self.cursor);
        self.text.replace_range(self.cursor..end, "");
    }

    /// One line up; on the first line, one message back in the history.
    pub(crate) fn up(&mut self) {
        let start = self.line_start(self.cursor);
        if start > 0 {
            let above = self.line_start(start - 1);
            return self.go_to_column(above, self.text[start..self.cursor].width());
        }
        let (at, draft) = match self.recalled.take() {
            Some((at, draft)) => (at.saturating_sub(1), draft),
            None => (self.history.len().saturating_sub(1), self.text.clone()),
        };
        if let Some(text) = self.history.get(at).cloned() {
            self.set(&text);
            self.recalled = Some((at, draft));
        }
    }

    /// One line down; on the last line, one message forward in the history.
    pub(crate) fn down(&mut self) {
        let end = self.line_end(self.cursor);
        if end < self.text.len() {
            let column = self.text[self.line_start(self.cursor)..self.cursor].width();
            return self.go_to_column(end + 1, column);
        }
        if let Some((at, draft)) = self.recalled.take() {
            match self.history.get(at + 1).cloned() {
                Some(text) => {
                    self.set(&text);
                    self.recalled = Some((at + 1, draft));
                }
                None => self.set(&draft),
            }
        }
    }

    fn go_to_column(&mut self, start: usize, column: usize) {
        self.cursor = start;
        let end = self.line_end(start);
        while self.cursor < end && self.text[start..self.cursor].width() < column {
            self.right();
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let newline = self.text[at..].find('\n');
        newline.map_or(self.text.len(), |newline| at + newline)
    }

    /// The text in rows of at most this many columns, and the cursor's row and column.
    pub(crate) fn rows(&self, columns: usize) -> (Vec<String>, (usize, usize)) {
        let columns = columns.max(2);
        let mut rows = vec![String::new()];
        let (mut used, mut cursor) = (0, (0, 0));
        for (at, piece) in self.text.grapheme_indices(true) {
            let width = piece.width();
            if piece != "\n" && used + width > columns {
                rows.push(String::new());
                used = 0;
            }
            if at == self.cursor {
                cursor = (rows.len() - 1, used);
            }
            if piece == "\n" {
                rows.push(String::new());
                used = 0;
                continue;
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(piece);
            }
            used += width;
        }
        if self.at_end() {
            if used >= columns {
                rows.push(String::new());
                used = 0;
            }
            cursor = (rows.len() - 1, used);
        }
        (rows, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_moves_over_whole_characters_and_lines() {
        let mut editor = Editor::default();
        assert!(editor.insert("日本 👨‍👩‍👧‍👦e\u{301}"));
        editor.backspace();
        assert_eq!(editor.text(), "日本 👨‍👩‍👧‍👦");
        editor.backspace();
        assert_eq!(editor.text(), "日本 ");
        editor.insert("\nzwei");
        assert_eq!(
            editor.rows(10),
            (vec!["日本 ".into(), "zwei".into()], (1, 4))
        );
        editor.up();
        assert_eq!(editor.rows(10).1, (0, 4));
        editor.home();
        editor.delete();
        assert_eq!(editor.text(), "本 \nzwei");
        editor.down();
        editor.end();
        editor.kill_word();
        assert_eq!(editor.text(), "本 \n");
        assert_eq!(editor.rows(2).0, ["本", " ", ""]);
    }

    #[test]
    fn history_comes_back_and_so_does_the_draft() {
        let mut editor = Editor::default();
        for text in ["one", "two", "two"] {
            editor.insert(text);
            assert_eq!(editor.take(), text);
        }
        editor.insert("draft");
        editor.up();
        assert_eq!(editor.text(), "two");
        editor.up();
        editor.up();
        assert_eq!(editor.text(), "one");
        editor.down();
        editor.down();
        assert_eq!(editor.text(), "draft");
    }

    #[test]
    fn what_is_pasted_cannot_drive_the_terminal_and_has_an_end() {
        let mut editor = Editor::default();
        assert!(editor.insert("a\rb\u{1b}[31m\tc"));
        assert_eq!(editor.text(), "a\nb\u{fffd}[31m    c");
        assert!(!editor.insert(&"x".repeat(BYTES_MAX)));
        assert_eq!(editor.text().len(), BYTES_MAX);
    }
}
