//! The owner's words: which bytes are his own, and which values stand in them.
//!
//! What he pasted is not his word: quoted and fenced parts, forwarded mail, and anything longer than
//! anybody types are the words of whoever wrote them. [`stretches`] decides it, for everybody who asks.

use std::collections::BTreeSet;

use crate::links::literals;
use crate::typed::{Kind, Typed};

/// A message with more than this beside its quoted and fenced parts was pasted, not typed.
pub const TYPED_CHARS_MAX: usize = 400;

/// What was typed by the owner, taken apart once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The typed text itself, the pasted parts left out.
    text: String,
    /// Its tokens in order, in lower case.
    tokens: Vec<String>,
    /// Addresses, URLs, hosts, numbers of phones and accounts, paths.
    literals: BTreeSet<Typed>,
    /// What stands in quotation marks, as names.
    quoted: BTreeSet<String>,
}

impl Words {
    /// Takes a text of the owner's apart.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut words = Self::default();
        words.add(text);
        words
    }

    /// Adds another message of the same request.
    pub fn add(&mut self, text: &str) {
        let own = typed_part(text);
        self.quoted.extend(quoted(&own));
        for piece in own.split_whitespace() {
            self.literals.extend(literals(piece));
        }
        self.tokens.extend(tokens(&own));
        // Phrases do not reach from one message into the next.
        self.tokens.push(String::new());
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&own);
    }

    /// The typed text, as a planner may read it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// True if exactly this stands in quotation marks.
    pub(crate) fn is_quoted(&self, text: &str) -> bool {
        self.quoted.contains(&text.to_lowercase())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// True if exactly this value stands in the words.
    #[must_use]
    pub fn has(&self, value: &Typed) -> bool {
        match value.kind {
            Kind::Name | Kind::Channel => self.says(&value.form),
            // A bare id is a number or a word like any other: it counts only in quotation marks or
            // behind a word that says that it is one.
            Kind::Id => self.names_id(&value.form),
            Kind::Amount => self.says_amount(value),
            Kind::Path => {
                self.literals.contains(value) || self.quoted.contains(&value.form.to_lowercase())
            }
            _ => self.literals.contains(value),
        }
    }

    /// True if the text stands there as whole words.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        let wanted: Vec<String> = tokens(text);
        !wanted.is_empty()
            && self
                .tokens
                .windows(wanted.len())
                .any(|found| found == wanted)
    }

    /// True if the text stands there as a key that selects something: quoted, or more than one word,
    /// or one word that is no everyday one.
    #[must_use]
    pub fn keys(&self, text: &str) -> bool {
        let form = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if form.is_empty() {
            return false;
        }
        if self.quoted.contains(&form.to_lowercase()) {
            return true;
        }
        let wanted = tokens(&form);
        (wanted.len() > 1 || wanted.iter().any(|word| word.chars().count() >= 4))
            && self.says(&form)
    }

    /// True if one of these words stands there.
    #[must_use]
    pub fn any_of(&self, words: &[&str]) -> bool {
        self.tokens
            .iter()
            .any(|token| words.contains(&token.as_str()))
    }

    /// True if one of these words stands there right in front of one of these nouns: `largest file`.
    #[must_use]
    pub fn says_of(&self, words: &[&str], nouns: &BTreeSet<String>) -> bool {
        let pieces: Vec<String> = self
            .text
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let opened = |piece: &str| piece.trim_start_matches(['\'', '"', '(', '*']).to_owned();
        words.iter().any(|word| {
            let wanted: Vec<&str> = word.split_whitespace().collect();
            pieces.windows(wanted.len() + 1).any(|found| {
                // A sign behind the word parts it from what follows.
                let is_word = found.iter().zip(&wanted).enumerate();
                let mut is_word = is_word.map(|(at, (piece, word))| match at {
                    0 => opened(piece) == *word,
                    _ => piece == word,
                });
                let noun = found.last().map(|piece| trimmed(piece).to_owned());
                is_word.all(|one| one) && noun.is_some_and(|noun| nouns.contains(&noun))
            })
        })
    }

    fn names_id(&self, id: &str) -> bool {
        let id = id.to_lowercase();
        if self.quoted.contains(&id) {
            return true;
        }
        let wanted = tokens(&id);
        !wanted.is_empty()
            && self
                .tokens
                .windows(wanted.len() + 1)
                .any(|found| is_id_word(&found[0]) && found[1..] == wanted)
    }
}

fn is_id_word(token: &str) -> bool {
    matches!(
        token,
        "id" | "number"
            | "no"
            | "nr"
            | "file"
            | "event"
            | "mail"
            | "email"
            | "message"
            | "order"
            | "ticket"
            | "issue"
            | "invoice"
            | "job"
            | "task"
            | "номер"
            | "编号"
    )
}

/// A stretch of a message, and whether its sender typed it himself as far as anybody can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch<'a> {
    pub text: &'a str,
    pub is_typed: bool,
}

/// Cuts a message into what its sender typed and what he carried here from elsewhere: quoted lines,
/// everything between its first and its last code fence, what stands behind the head of a forwarded
/// mail. Where what is left is longer than anybody types, all of it was pasted.
///
/// This is the one place where that is decided: for labels, for the owner's words and for the planner.
#[must_use]
pub fn stretches(text: &str) -> Vec<Stretch<'_>> {
    let mut all = marked(text);
    let typed = all.iter().filter(|stretch| stretch.is_typed);
    let typed: usize = typed
        .map(|stretch| stretch.text.trim().chars().count())
        .sum();
    if typed > TYPED_CHARS_MAX {
        // Short lines, quotes and fences between them do not make a paste a word of the owner's.
        all.iter_mut().for_each(|stretch| stretch.is_typed = false);
    }
    all
}

/// The parts of a text that its sender typed himself.
#[must_use]
pub fn typed_part(text: &str) -> String {
    let typed = stretches(text)
        .into_iter()
        .filter(|stretch| stretch.is_typed)
        .map(|stretch| stretch.text.trim_matches(LINE_ENDS));
    typed.collect::<Vec<_>>().join("\n")
}

/// True if more is in a text than its sender typed.
#[must_use]
pub fn is_pasted(text: &str) -> bool {
    stretches(text).iter().any(|stretch| !stretch.is_typed)
}

/// What begins a new line somewhere.
const LINE_ENDS: [char; 6] = ['\n', '\r', '\u{b}', '\u{c}', '\u{2028}', '\u{2029}'];

/// Cuts a text where a mark says that somebody else speaks.
fn marked(text: &str) -> Vec<Stretch<'_>> {
    let lines: Vec<&str> = text.split_inclusive(LINE_ENDS).collect();
    let fenced = fenced(&lines);
    let forwarded = forwarded(&lines);
    let mut all: Vec<Stretch<'_>> = Vec::new();
    let (mut start, mut at) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        let is_foreign =
            fenced.contains(&number) || number >= forwarded || line.trim_start().starts_with('>');
        if all.last().is_none_or(|last| last.is_typed == is_foreign) {
            start = at;
            all.push(Stretch {
                text: "",
                is_typed: !is_foreign,
            });
        }
        at += line.len();
        if let Some(last) = all.last_mut() {
            last.text = &text[start..at];
        }
    }
    all
}

/// The lines from the first code fence to the last one, and to the end if one is left open: what
/// stands in a fence could hold fences of its own.
fn fenced(lines: &[&str]) -> std::ops::Range<usize> {
    let is_fence = |line: &&str| {
        let bare = line.trim_start();
        bare.starts_with("```") || bare.starts_with("~~~")
    };
    let Some(first) = lines.iter().position(is_fence) else {
        return 0..0;
    };
    let last = lines.iter().rposition(is_fence).unwrap_or(first);
    let is_open = lines.iter().filter(|line| is_fence(line)).count() % 2 == 1;
    first..if is_open { lines.len() } else { last + 1 }
}

/// The line with which a forwarded mail begins.
fn forwarded(lines: &[&str]) -> usize {
    let next_is_header = |number: usize| {
        let mut rest = lines.iter().skip(number + 1);
        let next = rest.find(|line| !line.trim().is_empty());
        next.is_some_and(|next| is_header(next))
    };
    let begins = |(number, line): (usize, &&str)| {
        begins_foreign(line.trim()) || (is_header(line) && next_is_header(number))
    };
    let found = lines.iter().enumerate().position(begins);
    found.unwrap_or(lines.len())
}

/// A line behind which somebody else speaks.
fn begins_foreign(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.starts_with("-----original message")
        || lower.starts_with("---------- forwarded message")
        || lower.starts_with("begin forwarded message")
        || lower.starts_with("-----begin ")
        || [
            " wrote:",
            " schrieb:",
            " a écrit :",
            " escribió:",
            " пишет:",
            " написал:",
        ]
        .iter()
        .any(|end| lower.ends_with(end))
}

fn is_header(line: &str) -> bool {
    let lower = line.trim_start().to_lowercase();
    [
        "from:",
        "to:",
        "cc:",
        "subject:",
        "date:",
        "reply-to:",
        "received:",
        "message-id:",
        "sent:",
        "von:",
        "an:",
        "betreff:",
        "de:",
        "от:",
        "кому:",
        "тема:",
        "发件人",
        "收件人",
        "主题",
    ]
    .iter()
    .any(|name| lower.starts_with(name))
}

/// What stands between quotation marks of any kind, in lower case with even spaces.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    for (at, open) in chars.iter().enumerate() {
        let close = match open {
            '\'' | '"' | '`' => *open,
            '\u{2018}' => '\u{2019}',
            '\u{201c}' | '\u{201e}' => '\u{201d}',
            '\u{ab}' => '\u{bb}',
            '\u{300c}' => '\u{300d}',
            _ => continue,
        };
        // An apostrophe inside a word opens nothing.
        if at > 0 && chars[at - 1].is_alphanumeric() {
            continue;
        }
        let end = chars[at + 1..]
            .iter()
            .position(|c| *c == close || (*open == '\u{201e}' && *c == '\u{201c}'));
        if let Some(length) = end.filter(|length| (1..=200).contains(length)) {
            let inner: String = chars[at + 1..at + 1 + length].iter().collect();
            let inner = inner.split_whitespace().collect::<Vec<_>>().join(" ");
            if !inner.is_empty() {
                found.push(inner.to_lowercase());
            }
        }
    }
    found
}

/// Words and numbers; what stands inside a word (dots, hyphens, at signs) stays with it.
#[must_use]
pub fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| {
        c.is_whitespace() || c.is_control() || "\"'`,;:!?()[]{}<>“”‘’«»„「」，。！？、#".contains(c)
    })
    .map(|piece| piece.trim_matches(['.', '-', '*', '@']).to_lowercase())
    .filter(|piece| !piece.is_empty())
    .collect()
}

pub(crate) fn trimmed(piece: &str) -> &str {
    let piece = piece.trim_matches(|c: char| "\"'`,;:!?()[]{}<>“”‘’«»„「」，。！？、*".contains(c));
    piece.trim_end_matches('.')
}
