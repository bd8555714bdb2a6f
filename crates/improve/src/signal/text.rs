//! Signals in the text of an error, and corrections in what a user wrote.

use instar_protocol::fault::SignalKind;

use super::denial::Place;
use super::words::{CORRECTIONS, LEXICONS};

/// Text beyond this is not read.
const BYTES_MAX: usize = 8 * 1024;
/// A class name is cut here.
const DETAIL_MAX: usize = 80;

/// One sign in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    pub kind: SignalKind,
    /// The exit code, the class of the exception, the status; else empty.
    pub detail: String,
}

/// The signs in the text of an error, what it is counted as first.
///
/// Facts that a program wrote (status, class, code) are read by their form; words by what they say and
/// by whether that is taken back. What names a cause stands before what only wraps one.
#[must_use]
pub fn read(text: &str) -> Vec<Reading> {
    let text = cut(text);
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    if let Some(status) = http_status(&lower) {
        found.push(reading(SignalKind::HttpStatus, status.to_string()));
        if let Some(kind) = of_status(status) {
            found.push(reading(kind, String::new()));
        }
    }
    for lexicon in LEXICONS {
        let said = lexicon
            .phrases
            .iter()
            .any(|phrase| says(&lower, phrase, false))
            || lexicon.nouns.iter().any(|noun| says(&lower, noun, true));
        if said
            && found
                .iter()
                .all(|reading: &Reading| reading.kind != lexicon.kind)
        {
            found.push(reading(lexicon.kind, String::new()));
        }
    }
    if let Some(class) = exception(text) {
        found.push(reading(SignalKind::Exception, class));
    }
    if let Some(code) = exit_code(&lower) {
        found.push(reading(SignalKind::ExitCode, code));
    }
    found
}

/// Whether somebody says that an answer was wrong.
#[must_use]
pub fn corrects(text: &str) -> bool {
    let lower = cut(text).to_lowercase().replace('\u{2019}', "'");
    CORRECTIONS
        .iter()
        .any(|phrase| places(&lower, phrase).next().is_some())
}

fn reading(kind: SignalKind, detail: String) -> Reading {
    Reading { kind, detail }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether a phrase stands somewhere and is not taken back there.
fn says(lower: &str, phrase: &str, is_noun: bool) -> bool {
    places(lower, phrase).any(|(start, end)| {
        let place = Place::of(lower, start, end);
        !(place.is_denied() || is_noun && place.is_setting())
    })
}

/// Where a phrase stands as words of their own.
fn places<'a>(lower: &'a str, phrase: &'a str) -> impl Iterator<Item = (usize, usize)> {
    let open = phrase.ends_with('*');
    let phrase = phrase.trim_end_matches('*');
    lower
        .match_indices(phrase)
        .filter_map(move |(start, found)| {
            let end = start + found.len();
            let before = lower[..start].chars().next_back();
            let behind = lower[end..].chars().next();
            let first = phrase.chars().next()?;
            let last = phrase.chars().next_back()?;
            let bound = |edge: char, next: Option<char>| {
                !is_spaced(edge) || next.is_none_or(|next| !is_spaced(next))
            };
            (bound(first, before) && (open || bound(last, behind))).then_some((start, end))
        })
}

/// A letter of a script that puts spaces between words.
fn is_spaced(sign: char) -> bool {
    sign.is_alphabetic() && (sign as u32) < 0x2e80
}

/// A status of 400 to 599 behind a word that announces one.
fn http_status(lower: &str) -> Option<u16> {
    let words: Vec<&str> = lower
        .split(|sign: char| !sign.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let announces = |word: &str| {
        matches!(word, "http" | "https" | "status" | "statuscode" | "статус")
            || word.ends_with("状态码")
            || word.ends_with("狀態碼")
            || word.ends_with("ステータス")
            || word.ends_with("ステータスコード")
    };
    let skipped = |word: &str| {
        matches!(
            word,
            "code" | "error" | "status" | "is" | "was" | "1" | "0" | "2" | "http" | "von" | "de"
        )
    };
    for (at, word) in words.iter().enumerate() {
        if !announces(word) {
            continue;
        }
        let next = words[at + 1..].iter().take(4).find(|word| !skipped(word));
        let status = next
            .filter(|word| word.len() == 3)
            .and_then(|word| word.parse::<u16>().ok());
        if let Some(status) = status.filter(|status| (400..600).contains(status)) {
            return Some(status);
        }
    }
    None
}

fn of_status(status: u16) -> Option<SignalKind> {
    match status {
        401 | 403 => Some(SignalKind::Permission),
        404 | 410 => Some(SignalKind::NotFound),
        408 | 504 => Some(SignalKind::Timeout),
        429 => Some(SignalKind::RateLimit),
        400 | 422 => Some(SignalKind::ArgumentShape),
        507 => Some(SignalKind::Storage),
        _ => None,
    }
}

/// The class of an exception, or what stands for one.
fn exception(text: &str) -> Option<String> {
    if text.contains("panicked at") {
        return Some("panic".to_owned());
    }
    for word in
        text.split(|sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '.' | ':')))
    {
        let class = word.trim_matches(['.', ':']);
        let name = class.rsplit(['.', ':']).next().unwrap_or(class);
        let ends = ["Error", "Exception", "Panic"]
            .iter()
            .any(|end| name.ends_with(end) && name.len() > end.len());
        if ends
            && name
                .chars()
                .next()
                .is_some_and(|first| first.is_ascii_uppercase())
        {
            return Some(class.chars().take(DETAIL_MAX).collect());
        }
    }
    let lower = text.to_lowercase();
    [
        "segmentation fault",
        "core dumped",
        "traceback (most recent call last)",
    ]
    .into_iter()
    .find(|words| lower.contains(words))
    .map(|words| words.split(' ').next().unwrap_or(words).to_owned())
}

/// What announces an exit code.
const CODES: &[&str] = &[
    "exit code",
    "exited with code",
    "exited with status",
    "exit status",
    "exited with",
    "returned non-zero exit status",
    "exited unsuccessfully with",
    "код возврата",
    "код завершения",
    "кодом возврата",
    "кодом завершения",
    "с кодом",
    "退出码",
    "退出代码",
    "退出碼",
    "退出代碼",
    "結束代碼",
    "終了コード",
    "exit-code",
    "rückgabewert",
    "código de salida",
    "code de sortie",
    "code de retour",
];

/// An exit code other than zero, or a signal.
fn exit_code(lower: &str) -> Option<String> {
    for words in CODES {
        for (start, found) in lower.match_indices(words) {
            let rest = lower[start + found.len()..]
                .trim_start_matches([' ', ':', '=', '为', '為', 'は', '：']);
            let rest = rest.strip_prefix("is ").unwrap_or(rest);
            let digits: String = rest
                .chars()
                .take_while(|sign| sign.is_ascii_digit() || *sign == '-')
                .take(12)
                .collect();
            if digits
                .trim_start_matches('-')
                .bytes()
                .any(|digit| digit != b'0')
            {
                return Some(digits);
            }
        }
    }
    ["killed by signal", "terminated by signal", "убит сигналом"]
        .into_iter()
        .find(|words| lower.contains(words))
        .map(|_| "signal".to_owned())
}
