//! Takes secrets and identities out of text before it is stored for learning or logged.
//!
//! [`redact`] replaces what it knows the shape of by a short word in brackets, so that the text
//! stays readable. It is a net, not a proof: a secret without a shape passes. It runs in time
//! linear in a bounded input and compiles nothing from text. [`log_field`] makes outside text safe
//! to stand in a log line.

mod scan;
mod shapes;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use scan::{Kind, Scanner};

/// Text beyond this number of bytes is dropped before it is looked at.
pub const REDACT_BYTES_MAX: usize = 64 * 1024;

/// The most characters of content in one event.
pub const CONTENT_CHARS_MAX: usize = 4_000;

/// The most characters of outside text in one log field.
pub const LOG_FIELD_CHARS_MAX: usize = 200;

/// A replacement can make a shape whole that was none before; more rounds than this are taken for
/// an attack, and the text is withheld.
const ROUNDS_MAX: usize = 8;

const CUT: &str = " [cut]";
const WITHHELD: &str = "[withheld]";

/// Text that went through [`redact`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct Redacted(String);

impl Redacted {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much of what people and models say is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContentMode {
    /// Events carry no text. Keys and tokens are masked in transcripts.
    None,
    /// Events carry redacted text. Keys and tokens are masked in transcripts.
    #[default]
    Redacted,
    /// Transcripts keep every word, keys and tokens too. Events carry redacted text all the same.
    Full,
}

impl ContentMode {
    /// The text of a message or of a tool's result as a transcript may keep it.
    #[must_use]
    pub fn transcript(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None | Self::Redacted => mask_secrets(text),
            Self::Full => Cow::Borrowed(text),
        }
    }
}

/// Takes out keys, tokens, passwords, e-mail addresses, phone numbers, card-like numbers and long
/// random runs. Doing it twice changes nothing.
#[must_use]
pub fn redact(text: &str) -> Redacted {
    let mut text = bounded(text).into_owned();
    for _ in 0..ROUNDS_MAX {
        let next = bounded(&replaced(&text)).into_owned();
        if next == text {
            return Redacted(text);
        }
        text = next;
    }
    Redacted(WITHHELD.to_owned())
}

/// The content field of an event: absent or redacted, and short.
#[must_use]
pub fn content(mode: ContentMode, text: &str) -> Option<String> {
    match mode {
        ContentMode::None => None,
        ContentMode::Redacted | ContentMode::Full => {
            let redacted = redact(text).into_string();
            Some(match redacted.char_indices().nth(CONTENT_CHARS_MAX) {
                Some((end, _)) => format!("{}{CUT}", &redacted[..end]),
                None => redacted,
            })
        }
    }
}

/// A secret's place in a text. It does not hold the secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// What it looks like, for example `a vendor key`.
    pub what: &'static str,
    /// Counted from one.
    pub line: usize,
}

/// The first secret of a text that may hold none: a key, a token, a private key, a password in a
/// URL or beside its name. Addresses, numbers and random runs are not secrets here.
#[must_use]
pub fn find_secret(text: &str) -> Option<Found> {
    Scanner::over(text).find_map(|hit| match hit.kind {
        Kind::Secret {
            certain: true,
            what,
        } => Some(Found {
            what,
            line: 1 + text[..hit.from].bytes().filter(|b| *b == b'\n').count(),
        }),
        Kind::Secret { .. } | Kind::Email | Kind::Phone | Kind::Number | Kind::Opaque => None,
    })
}

/// Masks what is certainly a key: those whose beginning tells their vendor, private keys, signed
/// tokens, bot tokens and bearer tokens. Everything else stays as it is, also addresses, numbers and
/// passwords in prose. Doing it twice changes nothing.
#[must_use]
pub fn mask_secrets(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for hit in Scanner::for_keys(text) {
        out.push_str(&text[copied..hit.from]);
        out.push_str(hit.kind.placeholder());
        copied = hit.to;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn replaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for hit in Scanner::over(text) {
        out.push_str(&text[copied..hit.from]);
        out.push_str(hit.kind.placeholder());
        copied = hit.to;
    }
    out.push_str(&text[copied..]);
    out
}

/// Cuts at white space where there is some, so that no half of a secret stays unrecognised.
fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= REDACT_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(REDACT_BYTES_MAX - CUT.len());
    let near = text.floor_char_boundary(end.saturating_sub(1024));
    let end = text[near..end]
        .rfind(char::is_whitespace)
        .map_or(end, |space| near + space);
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

/// Text from outside as one bounded, quoted line that can forge neither a line, nor a field, nor
/// a marker in a log.
#[must_use]
pub fn log_field(text: &str) -> String {
    let mut out = String::from('"');
    let mut chars = text.chars();
    for c in chars.by_ref().take(LOG_FIELD_CHARS_MAX) {
        push_visible(&mut out, c);
    }
    let rest = chars.count();
    out.push('"');
    if rest > 0 {
        push(&mut out, format_args!(" (+{rest} characters)"));
    }
    out
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_hidden(c) => push(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        c => out.push(c),
    }
}

fn push(out: &mut String, pieces: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(pieces);
}

/// True for characters that change how the text around them is shown, or show nothing: controls,
/// direction marks, joiners, line separators, tag characters, variation selectors.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
