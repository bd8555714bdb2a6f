//! Patterns as JavaScript writes them.
//!
//! They are rewritten for an engine whose time is linear in the text. What that engine cannot do (looking
//! ahead or behind, references to what was found) is told as unsupported.
//!
//! Without its flag for Unicode, JavaScript counts a character above U+FFFF as two. Each half is written as
//! a character of a private plane, in the pattern and in the text, so that counts agree.

use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::borrow::Cow;

use super::{Asked, Verdict};
use crate::bounds::PATTERN_BYTES_MAX;
use crate::error::Trouble;

const SPACE: &str = r"\t\n\x0B\x0C\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";

/// Halves of characters, and where they are put.
const HALVES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
const PRIVATE: u32 = 0xf_0000;

/// What one character is to a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counted {
    /// A unit of UTF-16: JavaScript without flags.
    Units,
    /// A whole character: with the flag `u`, as schemas have it.
    Characters,
}

pub(super) struct Pattern {
    regex: Regex,
    counted: Counted,
}

impl Pattern {
    pub(super) fn new(source: &str, counted: Counted) -> Result<Self, Trouble> {
        let rewritten = Rewriter::of(source, counted).whole()?;
        let regex = RegexBuilder::new(&rewritten)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    Trouble::Unsupported(format!("a pattern as large as {source:?}"))
                }
                other => Trouble::Wrong(format!("{source:?} is no pattern: {other}")),
            })?;
        Ok(Self { regex, counted })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self.counted {
            Counted::Units => self.regex.is_match(&in_units(text)),
            Counted::Characters => self.regex.is_match(text),
        }
    }
}

pub(super) fn regex(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let Value::String(source) = &asked.value else {
        return Trouble::wrong("\"regex\" needs a text");
    };
    if source.is_empty() {
        return Trouble::wrong("\"regex\" needs a text");
    }
    match Pattern::new(source, Counted::Units) {
        Ok(pattern) => {
            let found = pattern.is_match(asked.text);
            Ok(asked.decide(found, || format!("match {source:?}")))
        }
        // A pattern that is none holds of nothing, and neither does its opposite.
        Err(Trouble::Wrong(problem)) => Ok(Verdict {
            pass: false,
            score: 0.0,
            reason: problem,
        }),
        Err(unsupported) => Err(unsupported),
    }
}

/// A text in which both halves of a character above U+FFFF stand by themselves.
fn in_units(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c.len_utf16() == 1) {
        return Cow::Borrowed(text);
    }
    let units = text.encode_utf16().map(|unit| stand_in(unit.into()));
    Cow::Owned(units.collect())
}

/// The character that stands for a unit of UTF-16, or for a character.
fn stand_in(unit: u32) -> char {
    let code = match HALVES.contains(&unit) {
        true => PRIVATE + (unit - HALVES.start()),
        false => unit,
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// What may stand before a quantifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that could be repeated.
    Nothing,
    Something,
    /// A quantifier, which one question mark may follow.
    Quantifier,
}

/// What an escape stands for.
enum Escaped {
    One(u32),
    /// What belongs to a class, or what does not.
    Set(&'static str, bool),
    Boundary,
}

struct Rewriter<'a> {
    source: &'a str,
    counted: Counted,
    signs: Vec<u32>,
    at: usize,
    out: String,
    names: Vec<String>,
}

impl<'a> Rewriter<'a> {
    fn of(source: &'a str, counted: Counted) -> Self {
        let signs = match counted {
            Counted::Units => source.encode_utf16().map(u32::from).collect(),
            Counted::Characters => source.chars().map(u32::from).collect(),
        };
        Self {
            source,
            counted,
            signs,
            at: 0,
            out: String::with_capacity(source.len() + 8),
            names: Vec::new(),
        }
    }

    /// The sign so far ahead; what is no character is none that means anything.
    fn ahead(&self, by: usize) -> Option<char> {
        let sign = *self.signs.get(self.at + by)?;
        Some(char::from_u32(sign).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn starts_with(&self, text: &str) -> bool {
        (0..)
            .zip(text.chars())
            .all(|(by, c)| self.ahead(by) == Some(c))
    }

    fn wrong<T>(&self, problem: &str) -> Result<T, Trouble> {
        Trouble::wrong(format!("{:?} is no pattern: {problem}", self.source))
    }

    fn whole(mut self) -> Result<String, Trouble> {
        let mut before = Before::Nothing;
        while let Some(sign) = self.ahead(0) {
            before = match sign {
                '\\' => self.escape_outside()?,
                '[' => {
                    self.class()?;
                    Before::Something
                }
                '(' => self.group()?,
                '|' | '^' | '$' => self.as_it_is(sign, Before::Nothing),
                ')' => self.as_it_is(sign, Before::Something),
                '*' | '+' => match before {
                    Before::Something => self.as_it_is(sign, Before::Quantifier),
                    _ => return self.wrong("nothing to repeat"),
                },
                '?' => match before {
                    Before::Something => self.as_it_is(sign, Before::Quantifier),
                    Before::Quantifier => self.as_it_is(sign, Before::Nothing),
                    Before::Nothing => return self.wrong("nothing to repeat"),
                },
                '{' => self.brace(before)?,
                '}' | ']' => self.lone_bracket()?,
                '.' => {
                    self.out.push_str(r"[^\n\r\u{2028}\u{2029}]");
                    self.at += 1;
                    Before::Something
                }
                _ => self.itself_outside(),
            };
        }
        Ok(self.out)
    }

    fn brace(&mut self, before: Before) -> Result<Before, Trouble> {
        match self.quantifier() {
            Some(text) if before == Before::Something => {
                self.at += text.len();
                self.out.push_str(&text);
                Ok(Before::Quantifier)
            }
            Some(_) => self.wrong("nothing to repeat"),
            None => self.lone_bracket(),
        }
    }

    /// A bracket that closes or opens nothing stands for itself, unless the flag is there.
    fn lone_bracket(&mut self) -> Result<Before, Trouble> {
        match self.counted {
            Counted::Units => Ok(self.itself_outside()),
            Counted::Characters => self.wrong("a lone bracket"),
        }
    }

    fn itself_outside(&mut self) -> Before {
        push(&mut self.out, self.signs[self.at]);
        self.at += 1;
        Before::Something
    }

    fn as_it_is(&mut self, sign: char, then: Before) -> Before {
        self.out.push(sign);
        self.at += 1;
        then
    }

    fn group(&mut self) -> Result<Before, Trouble> {
        if !self.starts_with("(?") {
            return Ok(self.as_it_is('(', Before::Nothing));
        }
        if self.starts_with("(?:") {
            self.out.push_str("(?:");
            self.at += 3;
        } else if self.starts_with("(?=") || self.starts_with("(?!") {
            return Trouble::unsupported("looking ahead in a pattern");
        } else if self.starts_with("(?<=") || self.starts_with("(?<!") {
            return Trouble::unsupported("looking behind in a pattern");
        } else if self.starts_with("(?<") {
            self.at += 3;
            self.name()?;
            self.out.push('(');
        } else {
            return self.wrong("a group of no known kind");
        }
        Ok(Before::Nothing)
    }

    /// The name of a group. Nothing asks for it, so it only has to be one.
    fn name(&mut self) -> Result<(), Trouble> {
        let mut name = String::new();
        while let Some(c) = self.ahead(0) {
            self.at += 1;
            match c {
                '>' if !name.is_empty() && !self.names.contains(&name) => {
                    self.names.push(name);
                    return Ok(());
                }
                c if c.is_alphabetic() || c == '_' || c == '$' => name.push(c),
                c if c.is_alphanumeric() && !name.is_empty() => name.push(c),
                _ => break,
            }
        }
        self.wrong("a group whose name is none, or is there already")
    }

    /// `{2}`, `{2,}`, `{2,3}`; any other brace is a brace.
    fn quantifier(&self) -> Option<String> {
        let mut text = String::new();
        for by in 0.. {
            let c = self.ahead(by)?;
            text.push(c);
            if c == '}' {
                break;
            }
            if by > 0 && !c.is_ascii_digit() && c != ',' {
                return None;
            }
        }
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
        (!low.is_empty() && !high.contains(',')).then_some(text)
    }

    fn escape_outside(&mut self) -> Result<Before, Trouble> {
        match self.escape(false)? {
            Escaped::One(sign) => push(&mut self.out, sign),
            Escaped::Set(set, false) => self.out.push_str(&format!("[{set}]")),
            Escaped::Set(set, true) => self.out.push_str(&format!("[^{set}]")),
            Escaped::Boundary => {
                self.out.push_str(r"(?-u:\b)");
                return Ok(Before::Nothing);
            }
        }
        Ok(Before::Something)
    }

    /// A class, to its end. A range needs a sign on both sides; elsewhere a dash is a dash.
    fn class(&mut self) -> Result<(), Trouble> {
        self.at += 1;
        let negated = self.starts_with("^");
        self.at += usize::from(negated);
        if self.starts_with("]") {
            // Nothing, or anything.
            self.out
                .push_str(if negated { r"[\s\S]" } else { r"[^\s\S]" });
            self.at += 1;
            return Ok(());
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        while let Some(sign) = self.ahead(0) {
            if sign == ']' {
                self.out.push(']');
                self.at += 1;
                return Ok(());
            }
            let first = self.member()?;
            let ranges = self.ahead(0) == Some('-') && !matches!(self.ahead(1), None | Some(']'));
            if !ranges {
                self.push_member(&first);
                continue;
            }
            self.at += 1;
            let last = self.member()?;
            match (&first, &last) {
                (Escaped::One(low), Escaped::One(high)) if low <= high => {
                    push_range(&mut self.out, *low, *high, self.counted);
                }
                (Escaped::One(_), Escaped::One(_)) => {
                    return self.wrong("a range that goes backwards");
                }
                _ if self.counted == Counted::Characters => {
                    return self.wrong("a range of what is not one character");
                }
                _ => {
                    self.push_member(&first);
                    push(&mut self.out, u32::from('-'));
                    self.push_member(&last);
                }
            }
        }
        self.wrong("a class has no end")
    }

    fn member(&mut self) -> Result<Escaped, Trouble> {
        if self.starts_with("\\") {
            return self.escape(true);
        }
        let Some(sign) = self.signs.get(self.at) else {
            return self.wrong("a class has no end");
        };
        self.at += 1;
        Ok(Escaped::One(*sign))
    }

    fn push_member(&mut self, member: &Escaped) {
        match member {
            Escaped::One(sign) => push(&mut self.out, *sign),
            Escaped::Set(set, false) => self.out.push_str(set),
            Escaped::Set(set, true) => self.out.push_str(&format!("[^{set}]")),
            Escaped::Boundary => self.out.push_str(r"\x08"),
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escaped, Trouble> {
        let Some(c) = self.ahead(1) else {
            return self.wrong("it ends with a backslash");
        };
        let sign = self.signs[self.at + 1];
        self.at += 2;
        Ok(match c {
            'd' | 'D' => Escaped::Set(DIGIT, c == 'D'),
            'w' | 'W' => Escaped::Set(WORD, c == 'W'),
            's' | 'S' => Escaped::Set(SPACE, c == 'S'),
            'b' => Escaped::Boundary,
            'B' if !in_class => return Trouble::unsupported("\\B in a pattern"),
            'n' => Escaped::One(0x0a),
            't' => Escaped::One(0x09),
            'r' => Escaped::One(0x0d),
            'f' => Escaped::One(0x0c),
            'v' => Escaped::One(0x0b),
            '0' if !self.ahead(0).is_some_and(|next| next.is_ascii_digit()) => Escaped::One(0),
            '0'..='9' | 'k' => {
                return Trouble::unsupported("a reference to what was found in a pattern");
            }
            'c' => return Trouble::unsupported("\\c in a pattern"),
            'p' | 'P' if self.counted == Counted::Characters => {
                return Trouble::unsupported("\\p in a pattern");
            }
            'x' => match self.by_number(2) {
                Some(code) => Escaped::One(code),
                None => return self.itself(c, sign, in_class),
            },
            'u' if self.counted == Counted::Characters && self.starts_with("{") => {
                return Trouble::unsupported("\\u{} in a pattern");
            }
            'u' => match self.by_number(4) {
                Some(half) if self.counted == Counted::Characters && HALVES.contains(&half) => {
                    return Trouble::unsupported("half of a character in a pattern");
                }
                Some(code) => Escaped::One(code),
                None => return self.itself(c, sign, in_class),
            },
            _ => return self.itself(c, sign, in_class),
        })
    }

    /// What stands for itself behind a backslash: with the flag, only what would mean something else without.
    fn itself(&self, c: char, sign: u32, in_class: bool) -> Result<Escaped, Trouble> {
        const MEAN_SOMETHING: &str = r"^$\.*+?()[]{}|/";
        if self.counted == Counted::Units || MEAN_SOMETHING.contains(c) || (in_class && c == '-') {
            return Ok(Escaped::One(sign));
        }
        self.wrong("an escape that means nothing")
    }

    /// So many hexadecimal digits.
    fn by_number(&mut self, digits: usize) -> Option<u32> {
        let text: Option<String> = (0..digits).map(|by| self.ahead(by)).collect();
        let text = text.filter(|text| text.chars().all(|c| c.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(&text, 16).ok()?;
        self.at += digits;
        Some(code)
    }
}

/// A sign that stands for itself.
fn push(out: &mut String, sign: u32) {
    match stand_in(sign) {
        c if c.is_ascii_alphanumeric() || c == '_' => out.push(c),
        c => out.push_str(&format!(r"\u{{{:x}}}", u32::from(c))),
    }
}

/// All signs of a range; the halves of characters have been moved out of it.
fn push_range(out: &mut String, low: u32, high: u32, counted: Counted) {
    let (from, to) = (*HALVES.start(), *HALVES.end());
    let halves = (low.max(from), high.min(to));
    let parts = [
        Some((low, high.min(from - 1))),
        (counted == Counted::Units).then_some(halves),
        Some((low.max(to + 1), high)),
    ];
    for (low, high) in parts
        .into_iter()
        .flatten()
        .filter(|(low, high)| low <= high)
    {
        push(out, low);
        out.push('-');
        push(out, high);
    }
}
