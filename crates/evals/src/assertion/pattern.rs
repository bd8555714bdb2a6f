//! Patterns as JavaScript writes them.
//!
//! They are rewritten for an engine whose time is linear in the text. What that engine cannot do (looking
//! ahead or behind, references to what was found) is told as unsupported.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{Asked, Verdict};
use crate::bounds::PATTERN_BYTES_MAX;
use crate::error::Trouble;

const SPACE: &str = r"\t\n\x0B\x0C\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";

pub(super) fn regex(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let Value::String(source) = &asked.value else {
        return Trouble::wrong("\"regex\" needs a text");
    };
    if source.is_empty() {
        return Trouble::wrong("\"regex\" needs a text");
    }
    match compiled(source) {
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

/// A pattern of JavaScript without flags.
pub(super) fn compiled(source: &str) -> Result<Regex, Trouble> {
    let rewritten = rewrite(source)?;
    RegexBuilder::new(&rewritten)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                Trouble::Unsupported(format!("a pattern as large as {source:?}"))
            }
            other => Trouble::Wrong(format!("{source:?} is no pattern: {other}")),
        })
}

fn rewrite(source: &str) -> Result<String, Trouble> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len() + 8);
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' => at = escape(&chars, at, None, &mut out)?,
            '[' => at = class(&chars, at, &mut out)?,
            '.' => out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            '(' if chars.get(at + 1) == Some(&'?') => {
                let rest: String = chars[at + 2..].iter().take(2).collect();
                if rest.starts_with(':') {
                    out.push_str("(?:");
                    at += 2;
                } else if rest.starts_with('=') || rest.starts_with('!') {
                    return Trouble::unsupported("looking ahead in a pattern");
                } else if rest.starts_with("<=") || rest.starts_with("<!") {
                    return Trouble::unsupported("looking behind in a pattern");
                } else if rest.starts_with('<') {
                    out.push_str("(?<");
                    at += 2;
                } else {
                    return Trouble::wrong(format!("{source:?} is no pattern"));
                }
            }
            '{' if !is_quantifier(&chars[at..]) => out.push_str(r"\{"),
            '{' => {
                // The quantifier as it is.
                while chars[at] != '}' {
                    out.push(chars[at]);
                    at += 1;
                }
                out.push('}');
            }
            '}' => out.push_str(r"\}"),
            ']' => out.push_str(r"\]"),
            other => out.push(other),
        }
        at += 1;
    }
    Ok(out)
}

/// `{2}`, `{2,}`, `{2,3}`; any other brace is a brace.
fn is_quantifier(chars: &[char]) -> bool {
    let Some(end) = chars.iter().position(|c| *c == '}') else {
        return false;
    };
    let inner: String = chars[1..end].iter().collect();
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

/// A character class; returns the place of its bracket.
fn class(chars: &[char], open: usize, out: &mut String) -> Result<usize, Trouble> {
    let negated = chars.get(open + 1) == Some(&'^');
    let mut at = open + 1 + usize::from(negated);
    if chars.get(at) == Some(&']') {
        // Nothing, or anything.
        out.push_str(if negated { r"[\s\S]" } else { r"[^\s\S]" });
        return Ok(at);
    }
    out.push_str(if negated { "[^" } else { "[" });
    while let Some(c) = chars.get(at) {
        match c {
            ']' => {
                out.push(']');
                return Ok(at);
            }
            '\\' => at = escape(chars, at, Some(()), out)?,
            '[' | '&' | '~' | '^' => {
                out.push('\\');
                out.push(*c);
            }
            '-' if chars.get(at + 1) == Some(&']') || out.ends_with('[') || out.ends_with("[^") => {
                out.push_str(r"\-");
            }
            other => out.push(*other),
        }
        at += 1;
    }
    Trouble::wrong("a class in a pattern has no end")
}

/// What stands behind a backslash; returns the place of its last character.
fn escape(
    chars: &[char],
    at: usize,
    in_class: Option<()>,
    out: &mut String,
) -> Result<usize, Trouble> {
    let Some(c) = chars.get(at + 1) else {
        return Trouble::wrong("a pattern ends with a backslash");
    };
    let inside = in_class.is_some();
    let set = |set: &str, negated: bool| match (inside, negated) {
        (true, false) => set.to_owned(),
        (_, true) => format!("[^{set}]"),
        (false, false) => format!("[{set}]"),
    };
    let mut end = at + 1;
    match c {
        'd' | 'D' => out.push_str(&set(DIGIT, *c == 'D')),
        'w' | 'W' => out.push_str(&set(WORD, *c == 'W')),
        's' | 'S' => out.push_str(&set(SPACE, *c == 'S')),
        'b' if inside => out.push_str(r"\x08"),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' if !inside => {
            return Trouble::unsupported("\\B in a pattern");
        }
        'n' | 't' | 'r' => {
            out.push('\\');
            out.push(*c);
        }
        'f' => out.push_str(r"\x0C"),
        'v' => out.push_str(r"\x0B"),
        '0' if !chars.get(at + 2).is_some_and(char::is_ascii_digit) => out.push_str(r"\x00"),
        '0'..='9' => return Trouble::unsupported("a reference to what was found in a pattern"),
        'k' => return Trouble::unsupported("a reference to what was found in a pattern"),
        'c' => return Trouble::unsupported("\\c in a pattern"),
        'p' | 'P' => out.push(*c),
        'x' | 'u' => {
            let length = if *c == 'x' { 2 } else { 4 };
            let digits: String = chars[at + 2..].iter().take(length).collect();
            match u32::from_str_radix(&digits, 16) {
                Ok(code) if digits.chars().count() == length => match char::from_u32(code) {
                    Some(_) => {
                        out.push_str(&format!(r"\u{{{code:x}}}"));
                        end = at + 1 + length;
                    }
                    None => return Trouble::unsupported("half of a character in a pattern"),
                },
                _ => out.push(*c),
            }
        }
        other if other.is_alphanumeric() => out.push(*other),
        other => {
            if other.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(*other);
        }
    }
    Ok(end)
}
