//! One pass over a message: words, delimiters, and the places where a value stands.
//!
//! A value is known by its form (number, hexadecimal, path, address, date, identifier with digits) or
//! by its place (behind `key=`). What is left are words; which of those vary is learnt from what was
//! seen ([`super::bucket`]). Nothing here knows a word of any system's messages.

use super::form::{
    DIGIT, Form, HEX, LETTER, MARK, SPACE, WIDE, class, form, is_date_word, is_unit,
};

/// Bytes of a message that are looked at; the rest does not tell messages apart.
pub(super) const BYTES_MAX: usize = 2_048;
/// Pieces of a message that are looked at.
pub(super) const PIECES_MAX: usize = 192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A word that is compared.
    Word,
    /// A value, by its form.
    Value,
    /// A value, by its place behind a key; may be empty.
    Keyed,
    /// A mark between words.
    Mark,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) start: u16,
    pub(super) end: u16,
    /// Whether white space stood before it.
    pub(super) spaced: bool,
}

impl Piece {
    pub(super) fn text<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line.get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }

    pub(super) fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Value | Kind::Keyed)
    }
}

/// A reusable list of pieces, so that the pass allocates nothing.
#[derive(Default, Debug)]
pub(super) struct Scan {
    pub(super) pieces: Vec<Piece>,
    /// A key and its `=` were read: a value comes next.
    pair: Option<Pair>,
    /// The last piece is a date that further numbers belong to.
    date: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Where the `=` ends.
    end: usize,
    /// `key = value`, with white space on both sides.
    wide: bool,
}

impl Scan {
    /// Takes a message apart.
    pub(super) fn read(&mut self, line: &[u8]) {
        self.pieces.clear();
        self.pair = None;
        self.date = false;
        let line = cut(line);
        let mut at = 0;
        let mut spaced = false;
        while at < line.len() && self.pieces.len() < PIECES_MAX {
            let byte = line[at];
            if class(byte) & SPACE != 0 {
                spaced = true;
                at += 1;
                continue;
            }
            at = if class(byte) & MARK != 0 {
                self.mark(line, at, spaced)
            } else {
                if at > 1 && spaced && class(line[at - 2]) & SPACE != 0 {
                    self.gap(line, at);
                }
                self.word(line, at, spaced)
            };
            spaced = false;
        }
        if let Some(pair) = self.pair.take() {
            self.push(Kind::Keyed, pair.end, pair.end, false);
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, spaced: bool) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a line is cut at BYTES_MAX"
        )]
        self.pieces.push(Piece {
            kind,
            start: start as u16,
            end: end as u16,
            spaced,
        });
        self.date = false;
    }

    /// Two spaces between words: a word that is empty here and may not be elsewhere.
    fn gap(&mut self, line: &[u8], at: usize) {
        let after_word = self
            .pieces
            .last()
            .is_some_and(|piece| piece.kind == Kind::Word);
        if after_word && class(line[at]) & LETTER != 0 {
            self.push(Kind::Word, at - 1, at - 1, false);
        }
    }

    fn mark(&mut self, line: &[u8], at: usize, spaced: bool) -> usize {
        let byte = line[at];
        let next = line.get(at + 1).copied().unwrap_or(b' ');
        if matches!(byte, b'<' | b'>') && class(next) & DIGIT != 0 && (spaced || at == 0) {
            // Less than so many; `name<0>` is none of that.
            return self.word(line, at + 1, spaced);
        }
        if let Some(pair) = self.pair
            && (!spaced || pair.wide)
            && let Some(end) = enclosed(line, at)
        {
            self.pair = None;
            self.push(Kind::Keyed, at, end + 1, spaced);
            return end + 1;
        }
        if let Some(pair) = self.pair.take()
            && (spaced || matches!(byte, b',' | b';' | b')' | b']' | b'}'))
            && !pair.wide
        {
            self.push(Kind::Keyed, pair.end, pair.end, false);
        }
        let before = self.pieces.last().map(|piece| piece.kind);
        self.push(Kind::Mark, at, at + 1, spaced);
        if byte == b'(' && spaced && next == b')' {
            // Brackets that stand alone and are empty hold an empty value.
            self.push(Kind::Keyed, at + 1, at + 1, false);
        }
        let key = before.is_some_and(|kind| kind != Kind::Mark);
        if byte == b'=' && key && !matches!(next, b'=' | b'>') {
            self.pair = Some(Pair {
                end: at + 1,
                wide: spaced,
            });
        }
        at + 1
    }

    fn word(&mut self, line: &[u8], start: usize, spaced: bool) -> usize {
        let mut end = word_end(line, start);
        let keyed = match self.pair.take() {
            None => false,
            Some(pair) if spaced && !pair.wide => {
                self.push(Kind::Keyed, pair.end, pair.end, false);
                false
            }
            Some(_) => true,
        };
        if keyed && let Some(close) = enclosed(line, end) {
            // `key=Name{...}` is one value.
            self.push(Kind::Keyed, start, close + 1, spaced);
            return close + 1;
        }
        let mut form = form(&line[start..end]);
        if matches!(form, Form::Value) && names_code(line, start, end) {
            form = Form::Word;
        }
        if matches!(form, Form::Value) && line[start..end].contains(&b'/') {
            end = address_end(line, end);
        }
        if let Some(port) = port_end(line, start, end) {
            end = port;
            form = Form::Value;
        }
        if matches!(form, Form::Word)
            && self.pieces.last().is_some_and(Piece::is_value)
            && is_unit(&line[start..end])
        {
            self.push(Kind::Keyed, start, end, spaced);
            return end;
        }
        match form {
            Form::Mark => self.push(Kind::Mark, start, end, spaced),
            _ if keyed => self.push(Kind::Keyed, start, end, spaced),
            Form::Word => self.push(Kind::Word, start, end, spaced),
            Form::Value => self.push(Kind::Value, start, end, spaced),
            Form::Number => self.number(line, start, end, spaced),
        }
        end
    }

    /// A number, which belongs to the date before it if there is one.
    fn number(&mut self, line: &[u8], start: usize, end: usize, spaced: bool) {
        let clock = line[start..end].contains(&b':');
        if self.date
            && let Some(last) = self.pieces.last_mut()
            && (clock || class(line[usize::from(last.start)]) & LETTER != 0)
        {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a line is cut at BYTES_MAX"
            )]
            {
                last.end = end as u16;
            }
            return;
        }
        let mut from = start;
        let mut spaced = spaced;
        while let Some(last) = self.pieces.last()
            && last.kind == Kind::Word
            && is_date_word(last.text(line))
        {
            from = usize::from(last.start);
            spaced = last.spaced;
            self.pieces.pop();
        }
        self.push(Kind::Value, from, end, spaced);
        let text = &line[start..end];
        let day = |mark| text.iter().filter(|byte| **byte == mark).count() == 2;
        self.date = from != start || (text.len() >= 8 && (day(b'-') || day(b'/')));
    }
}

/// The part of a line that is looked at; no word is cut in two.
fn cut(line: &[u8]) -> &[u8] {
    let Some(head) = line.get(..BYTES_MAX) else {
        return line;
    };
    let end = head.iter().rposition(|byte| class(*byte) & SPACE != 0);
    &head[..end.unwrap_or(BYTES_MAX)]
}

/// Where the bracket or quote that opens here is closed.
fn enclosed(line: &[u8], open: usize) -> Option<usize> {
    let opening = *line.get(open)?;
    let closing = match opening {
        b'{' => b'}',
        b'[' => b']',
        b'(' => b')',
        b'"' | b'\'' => {
            let rest = &line[open + 1..];
            return rest
                .iter()
                .position(|byte| *byte == opening)
                .map(|at| open + 1 + at);
        }
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, &byte) in line.iter().enumerate().skip(open) {
        if byte == opening {
            depth += 1;
        } else if byte == closing {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// A function that is called, or a name with its scope: digits in it are a part of its name.
fn names_code(line: &[u8], start: usize, end: usize) -> bool {
    let text = &line[start..end];
    let plain = |byte: &u8| {
        class(*byte) & (LETTER | DIGIT) != 0 || matches!(byte, b'_' | b':' | b'.' | b'~')
    };
    class(text[0]) & LETTER != 0
        && text.iter().all(plain)
        && (line.get(end) == Some(&b'(') || text.windows(2).any(|pair| pair == b"::"))
}

/// Where an address ends that has a query behind its path.
fn address_end(line: &[u8], end: usize) -> usize {
    if !matches!(line.get(end), Some(b'?' | b'#' | b'=')) {
        return end;
    }
    let stop = |byte: &u8| {
        class(*byte) & SPACE != 0 || matches!(byte, b'"' | b'\'' | b')' | b']' | b'}' | b'>')
    };
    line[end..]
        .iter()
        .position(stop)
        .map_or(line.len(), |at| end + at)
}

/// Where a host with a port, or a file with a line, ends: `name.name:80`.
fn port_end(line: &[u8], start: usize, end: usize) -> Option<usize> {
    if line.get(end) != Some(&b':') || !line[start..end].contains(&b'.') {
        return None;
    }
    let digits = line[end + 1..]
        .iter()
        .take_while(|byte| class(**byte) & DIGIT != 0)
        .count();
    (digits > 0).then_some(end + 1 + digits)
}

/// Where the word that begins here ends.
fn word_end(line: &[u8], start: usize) -> usize {
    let first = line[start];
    let wide = class(first) & WIDE;
    let mut end = start;
    if matches!(first, b'.' | b':' | b'-' | b'*' | b'@' | b'~' | b'_') {
        // Runs of marks, and a mark before a word.
        while line.get(end) == Some(&first) {
            end += 1;
        }
        let next = line.get(end).copied().unwrap_or(b' ');
        let alone = class(next) & (SPACE | MARK) != 0;
        let short = first == b':' && end == start + 2 && is_address(line, start);
        let climbs = first == b'.' && end <= start + 2 && next == b'/';
        if !short && !climbs && (alone || end > start + 1 || matches!(first, b':' | b'@')) {
            return end;
        }
    }
    while let Some(&byte) = line.get(end) {
        let kind = class(byte);
        if kind & (SPACE | MARK) != 0 || (kind & WIDE) != wide {
            break;
        }
        if byte == b':' && !inside(line, start, end) {
            break;
        }
        if byte == b'.' && end > start {
            let next = line.get(end + 1).copied().unwrap_or(b' ');
            if next == b'.' || next == b':' || class(next) & (SPACE | MARK) != 0 {
                break;
            }
        }
        end += 1;
    }
    end.max(start + 1)
}

/// Whether the colon at `at` is a part of the word: of a time, a host with a port, an address, a path.
fn inside(line: &[u8], start: usize, at: usize) -> bool {
    let before = if at > start { line[at - 1] } else { b' ' };
    let next = line.get(at + 1).copied().unwrap_or(b' ');
    if class(before) & DIGIT != 0 && class(next) & DIGIT != 0 {
        return true;
    }
    if next == b':' || before == b':' {
        return class(next) & (SPACE | MARK) == 0 || is_address(line, start);
    }
    match next {
        b'/' => line.get(at + 2) == Some(&b'/'),
        b'\\' => at == start + 1,
        _ => class(before) & class(next) & HEX != 0 && is_address(line, start),
    }
}

/// Groups of hexadecimal digits between colons.
fn is_address(line: &[u8], start: usize) -> bool {
    let mut colons = 0;
    let mut digits = 0;
    let mut run = 0;
    // Zeros that are left out make it an address with fewer groups.
    let mut short = false;
    for &byte in &line[start..] {
        if byte == b':' {
            short |= run == 0 && colons > 0;
            colons += 1;
            run = 0;
        } else if class(byte) & HEX != 0 && run < 4 {
            run += 1;
            digits += usize::from(class(byte) & DIGIT != 0);
        } else {
            break;
        }
    }
    (colons >= 3 || short) && digits >= 1
}
