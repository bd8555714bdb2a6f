//! Whether a phrase is taken back by what stands around it: "no timeout occurred", "タイムアウトは発生しませんでした".

use super::taken_back::{
    CAME, CAME_WIDE, HAPPEN, HAPPEN_WIDE, NO_BEFORE, NO_BEFORE_WIDE, NO_BEHIND, NO_BEHIND_WIDE,
    OCCUR_WIDE, OPENERS, OPENERS_WIDE, PARTICLES, PASSED, SET_BEFORE, SET_BEHIND,
};

/// Words before a phrase that are looked at.
const BEFORE_MAX: usize = 2;
/// Words behind a phrase that are looked at.
const BEHIND_MAX: usize = 4;

/// Signs and particles between a phrase and what takes it back, in scripts without spaces.
const BETWEEN_MAX: usize = 4;

/// A phrase in its clause; all of it lower case.
pub(super) struct Place<'a> {
    before: &'a str,
    behind: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(text: &'a str, start: usize, end: usize) -> Self {
        let before = text.get(..start).unwrap_or_default();
        let behind = text.get(end..).unwrap_or_default();
        let from = before.rfind(ends_clause).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        Self {
            before: &before[from..],
            behind: &behind[..clause_end(behind)],
        }
    }

    /// It is said not to have happened.
    pub(super) fn is_denied(&self) -> bool {
        let before = self.before.split_whitespace().rev();
        let before = before.map(|word| word.trim_matches(|sign: char| !sign.is_alphanumeric()));
        // A quotation mark that stands alone is no word.
        let mut before = before.filter(|word| !word.is_empty()).take(BEFORE_MAX);
        before.any(|word| NO_BEFORE.contains(&word))
            || self.is_denied_behind()
            || self.is_denied_wide()
    }

    /// A fact that a program wrote is said not to have come about: "no HTTP 500 was seen", "finished
    /// without a TypeError". Nearer than words, for what stands before a fact is often another one.
    pub(super) fn is_denied_fact(&self) -> bool {
        let words = self.before.split_whitespace().rev().take(BEFORE_MAX);
        let plain = |word: &str| {
            let word = word.trim_matches(|sign: char| !sign.is_alphanumeric());
            word.to_lowercase()
        };
        let words: Vec<String> = words.map(plain).collect();
        let is_no = |word: &String| NO_BEFORE.contains(&word.as_str());
        let came = |word: &String| CAME.contains(&word.as_str());
        let is_denied = match words.as_slice() {
            [last, first, ..] => is_no(last) || came(last) && is_no(first),
            [last] => is_no(last),
            [] => false,
        };
        let before = self.before.trim_end();
        let came_wide = CAME_WIDE.iter().find_map(|came| before.strip_suffix(came));
        let before = came_wide.unwrap_or(before).trim_end();
        is_denied
            || NO_BEFORE_WIDE.iter().any(|no| before.ends_with(no))
            || self.is_denied_behind()
            || self.is_denied_wide()
    }

    /// Nothing stands before it in its clause but what may open a complaint: "no, this ...".
    pub(super) fn opens(&self) -> bool {
        let words = self.before.split_whitespace();
        let mut words = words.map(|word| word.trim_matches(|sign: char| !sign.is_alphanumeric()));
        let mut wide = self.before.trim();
        while let Some(rest) = OPENERS_WIDE.iter().find_map(|open| wide.strip_prefix(open)) {
            wide = rest.trim();
        }
        wide.is_empty() || words.all(|word| OPENERS.contains(&word))
    }

    fn is_denied_behind(&self) -> bool {
        let behind: Vec<&str> = self.behind.split_whitespace().take(BEHIND_MAX).collect();
        behind.iter().any(|word| NO_BEHIND.contains(word))
            && behind
                .iter()
                .any(|word| HAPPEN.iter().any(|happen| word.starts_with(happen)))
    }

    fn is_denied_wide(&self) -> bool {
        let before = self.before.trim_end();
        if NO_BEFORE_WIDE.iter().any(|no| before.ends_with(no)) || is_unheard(before) {
            return true;
        }
        let mut behind = self.behind.trim_start();
        for _ in 0..BETWEEN_MAX {
            behind = after_any(after_any(behind, PARTICLES), HAPPEN_WIDE);
        }
        NO_BEHIND_WIDE.iter().any(|no| behind.starts_with(no))
    }

    /// A thing that is set or spoken of, and is not said to have been passed.
    pub(super) fn is_setting(&self) -> bool {
        let passed = |text: &str| PASSED.iter().any(|word| text.contains(word));
        if passed(self.behind) || passed(self.before) {
            return false;
        }
        let behind = self.behind.trim_start();
        let before = self.before.trim_end();
        let mut words = before.split_whitespace().rev().take(BEFORE_MAX);
        SET_BEHIND.iter().any(|set| behind.starts_with(set))
            || words.any(|word| SET_BEFORE.contains(&word))
            || SET_BEFORE
                .iter()
                .any(|set| !set.is_ascii() && before.ends_with(set))
    }
}

/// "It did not come about that", with a word or two of what it is said of behind it.
fn is_unheard(before: &str) -> bool {
    let came = OCCUR_WIDE
        .iter()
        .filter_map(|came| before.rsplit_once(came));
    let mut near = came.filter(|(_, between)| between.trim().chars().count() <= BETWEEN_MAX);
    near.any(|(before, _)| {
        NO_BEFORE_WIDE
            .iter()
            .any(|no| before.trim_end().ends_with(no))
    })
}

fn after_any<'a>(text: &'a str, starts: &[&str]) -> &'a str {
    starts
        .iter()
        .find_map(|start| text.strip_prefix(start))
        .unwrap_or(text)
}

fn ends_clause(sign: char) -> bool {
    matches!(
        sign,
        ';' | ':'
            | ','
            | '!'
            | '?'
            | '\n'
            | '。'
            | '、'
            | '，'
            | '；'
            | '：'
            | '！'
            | '？'
            | '('
            | ')'
            | '"'
    )
}

/// A full stop ends a clause only where a word does.
fn clause_end(text: &str) -> usize {
    let mut signs = text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        let stop = sign == '.' && signs.peek().is_none_or(|(_, next)| next.is_whitespace());
        if stop || ends_clause(sign) {
            return at;
        }
    }
    text.len()
}
