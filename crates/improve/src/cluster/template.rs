//! Templates in words: the message of a group with `<*>` where values stand.

use super::scan::{Kind, Piece};

const VALUE: &str = "<*>";

/// Values in a row that are written one by one; of more only as many are.
const ROW_MAX: usize = 8;

/// Writes a template. `words` says which words vary; `keyed` which values behind keys never did.
pub(super) fn write(
    line: &[u8],
    pieces: &[Piece],
    words: &[Option<Box<[u8]>>],
    keyed: &[Option<u64>],
) -> String {
    let mut words = words.iter();
    let mut keyed = keyed.iter();
    let mut out = Out::default();
    for piece in pieces {
        let text = piece.text(line);
        let fixed = match piece.kind {
            Kind::Mark => true,
            Kind::Word => words.next().is_none_or(Option::is_some),
            Kind::Value => false,
            Kind::Keyed => {
                let same = keyed.next().is_some_and(Option::is_some);
                text.is_empty() || (same && !text.iter().any(u8::is_ascii_digit))
            }
        };
        if fixed {
            out.text(piece.spaced, text);
        } else {
            out.value(piece.spaced, name(text));
        }
    }
    if pieces
        .last()
        .is_some_and(|last| usize::from(last.end) < trimmed(line).len())
    {
        out.value(true, b"");
    }
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
    /// Values that were written in a row.
    run: usize,
}

impl Out {
    fn text(&mut self, spaced: bool, text: &[u8]) {
        if spaced && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.run = 0;
        self.text.push_str(&String::from_utf8_lossy(text));
    }

    fn value(&mut self, spaced: bool, name: &[u8]) {
        if spaced && self.run >= ROW_MAX {
            return;
        }
        // `<*>:<*>` without a space is one value: a host and its port, a file and its line.
        let joined = self
            .text
            .strip_suffix(':')
            .is_some_and(|text| text.ends_with(VALUE));
        if !spaced && joined {
            self.text.pop();
            return;
        }
        let run = self.run + 1;
        self.text(spaced, name);
        self.text.push_str(VALUE);
        self.run = run;
    }
}

/// The name before the number in `name.123`.
fn name(text: &[u8]) -> &[u8] {
    let letters = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    match text.get(letters) {
        Some(b'.') if letters > 1 && text[letters + 1..].iter().all(u8::is_ascii_digit) => {
            &text[..=letters]
        }
        _ => b"",
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}
