//! Signals in the text of an error, and corrections in what a user wrote.

use instar_protocol::fault::SignalKind;

use super::denial::Place;
use super::words::{COMPLAINTS, CORRECTIONS, LEXICONS};

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
    let stands = |phrase: &&str, counts: fn(&Place<'_>) -> bool| {
        places(&lower, phrase).any(|(start, end)| {
            let place = Place::of(&lower, start, end);
            !place.is_denied_fact() && counts(&place)
        })
    };
    CORRECTIONS.iter().any(|phrase| stands(phrase, |_| true))
        || COMPLAINTS
            .iter()
            .any(|phrase| stands(phrase, |place| place.opens()))
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
    let words = words_and_numbers(lower);
    let skipped = |word: &str| {
        matches!(
            word,
            "code"
                | "error"
                | "status"
                | "is"
                | "was"
                | "1"
                | "0"
                | "2"
                | "http"
                | "von"
                | "de"
                | "код"
                | "ошибка"
        )
    };
    for (at, (start, word)) in words.iter().enumerate() {
        let Some(within) = announces_status(word) else {
            continue;
        };
        let mut next = words[at + 1..].iter().take(4);
        let Some((from, number)) = next.find(|(_, word)| !skipped(word)) else {
            continue;
        };
        let status = Some(number).filter(|number| number.len() == 3);
        let status = status.and_then(|number| number.parse::<u16>().ok());
        let status = status.filter(|status| (400..600).contains(status));
        if status.is_some()
            && !Place::of(lower, start + within, from + number.len()).is_denied_fact()
        {
            return status;
        }
    }
    None
}

/// Where in a word that begins which announces a status.
fn announces_status(word: &str) -> Option<usize> {
    let plain = word.trim_end_matches(['は', 'が', '为', '為', '是', '了']);
    let is_one = matches!(
        plain,
        "http"
            | "https"
            | "status"
            | "statuscode"
            | "статус"
            | "статуса"
            | "статусом"
            | "состояния"
            | "ответа"
    );
    let wide = STATUS_WIDE.iter().find(|words| plain.ends_with(*words));
    let begins = |words: &&str| plain.len() - words.len();
    is_one.then_some(0).or_else(|| wide.map(begins))
}

/// What announces a status in scripts without spaces.
const STATUS_WIDE: &[&str] = &[
    "状态码",
    "狀態碼",
    "状态代码",
    "狀態代碼",
    "响应码",
    "回應碼",
    "回應代碼",
    "ステータス",
    "ステータスコード",
];

/// Words with the places where they begin; a number is a word of its own also where no space is put
/// before it.
fn words_and_numbers(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut begun: Option<(usize, char)> = None;
    for (at, sign) in text.char_indices().chain([(text.len(), ' ')]) {
        let goes_on = |last: char| {
            sign.is_alphanumeric() && (last.is_ascii() == sign.is_ascii() || !is_wide(last, sign))
        };
        match begun {
            Some((start, last)) if goes_on(last) => begun = Some((start, sign)),
            _ => {
                if let Some((start, _)) = begun {
                    words.push((start, &text[start..at]));
                }
                begun = sign.is_alphanumeric().then_some((at, sign));
            }
        }
    }
    words
}

/// One of two neighbours is of a script without spaces.
fn is_wide(one: char, two: char) -> bool {
    !is_spaced(one) && !one.is_ascii() || !is_spaced(two) && !two.is_ascii()
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
    let happened =
        |start: usize, words: &str| !Place::of(text, start, start + words.len()).is_denied_fact();
    let panic = "panicked at";
    if text.match_indices(panic).any(|(at, _)| happened(at, panic)) {
        return Some("panic".to_owned());
    }
    let is_class = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.' | ':');
    let mut at = 0;
    for word in text.split(|sign: char| !is_class(sign)) {
        let start = at;
        // What parts two words is one sign of any length.
        at += word.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        let class = word.trim_matches(['.', ':']);
        let name = class.rsplit(['.', ':']).next().unwrap_or(class);
        let ends = ["Error", "Exception", "Panic"]
            .iter()
            .any(|end| name.ends_with(end) && name.len() > end.len());
        let (inner, whole) = (class, word);
        let start = start + whole.find(inner).unwrap_or_default();
        if ends
            && happened(start, class)
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
            let is_failure = digits
                .trim_start_matches('-')
                .bytes()
                .any(|digit| digit != b'0');
            let end = lower.len() - rest.len() + digits.len();
            if is_failure && !Place::of(lower, start, end).is_denied_fact() {
                return Some(digits);
            }
        }
    }
    ["killed by signal", "terminated by signal", "убит сигналом"]
        .into_iter()
        .find(|words| lower.contains(words))
        .map(|_| "signal".to_owned())
}
