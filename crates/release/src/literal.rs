//! What a text names that is no word: addresses, hosts, numbers, paths, and runs that may be something
//! encoded. A text of a behaviour that names something new is for a person to read.

use instar_policy::Kind;
use instar_policy::links;
use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::behaviour::PROMPT_FILES;

/// A run of letters and digits of this length may be something encoded.
const ENCODED_CHARS_MIN: usize = 16;
/// A run of small letters of this length is no word of a language.
const WORD_CHARS_MAX: usize = 40;
/// So many digits, whatever stands between them, may be a number that can be called.
const PHONE_DIGITS_MIN: usize = 7;
/// A literal is told up to here.
const TOLD_CHARS: usize = 64;

pub(crate) fn literals(text: &str) -> BTreeSet<String> {
    let mut all = numbers(text);
    for piece in text.split_whitespace() {
        let bare = piece.trim_matches(|c: char| !c.is_alphanumeric());
        if PROMPT_FILES.contains(&bare) {
            continue;
        }
        for typed in links::literals(piece) {
            let outside = typed.form.starts_with(['/', '~']) || typed.form.contains("..");
            if typed.kind != Kind::Path || outside {
                all.insert(typed.form);
            }
        }
        if leads_outside(piece) || is_address(piece) || is_host(bare) {
            all.insert(piece.chars().take(TOLD_CHARS).collect());
        }
        let runs = piece.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=_".contains(c)));
        for run in runs.filter(|run| run.len() >= ENCODED_CHARS_MIN && !is_word(run)) {
            all.insert(run.chars().take(TOLD_CHARS).collect());
        }
    }
    all
}

/// Small letters as a language has them: not only those that are digits of a number in base 16.
fn is_word(run: &str) -> bool {
    run.len() <= WORD_CHARS_MAX
        && run.bytes().all(|byte| byte.is_ascii_lowercase())
        && run.bytes().any(|byte| !byte.is_ascii_hexdigit())
}

/// A path upwards, of a drive, or of another machine.
fn leads_outside(piece: &str) -> bool {
    let mut parts = piece
        .split(['/', '\\'])
        .map(|part| part.trim_matches(|c: char| !(c.is_alphanumeric() || c == '.')));
    let up = piece.contains(['/', '\\']) && parts.any(|part| part == "..");
    let inside = piece.trim_start_matches(|c: char| !(c.is_alphanumeric() || c == '\\'));
    let mut begin = inside.chars();
    let drive = begin.next().is_some_and(|c| c.is_ascii_alphabetic())
        && begin.next() == Some(':')
        && matches!(begin.next(), Some('\\' | '/'))
        && !begin.as_str().starts_with('/');
    up || drive || inside.starts_with("\\\\")
}

/// An address of the network, with a port or without.
fn is_address(piece: &str) -> bool {
    let bare = piece.trim_matches(|c: char| !(c.is_ascii_hexdigit() || c == ':'));
    let first = bare.split(['/', ']']).next().unwrap_or(bare);
    let is = |text: &str| match text.parse::<IpAddr>() {
        // "::" alone is punctuation.
        Ok(IpAddr::V6(_)) => text.chars().any(|c| c.is_ascii_hexdigit()),
        Ok(IpAddr::V4(_)) => true,
        Err(_) => false,
    };
    let without_port = first.rsplit_once(':').map_or(first, |(host, _)| host);
    is(first) || is(first.trim_end_matches(':')) || is(without_port)
}

/// A host whose name is written in letters of its language.
fn is_host(bare: &str) -> bool {
    let host = bare.rsplit_once("://").map_or(bare, |(_, rest)| rest);
    let host = host.split(['/', ':', '?', '#']).next().unwrap_or(host);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let labels: Vec<&str> = host.split(['.', '。', '．', '｡']).collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let Some(last) = labels.last() else {
        return false;
    };
    // Two sentences without a space between them are no host: their full stop is not the one of hosts,
    // or the second begins with a capital letter.
    host.contains('.')
        && labels.len() >= 2
        && !host.is_ascii()
        && labels.iter().all(is_label)
        && last.chars().count() >= 2
        && last.chars().all(|c| c.is_alphabetic() && !c.is_uppercase())
}

/// Digits with what people write between those of a telephone number.
fn numbers(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() || "+()-./ \u{a0}".contains(c) {
            run.push(c);
            continue;
        }
        let digits: String = run.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= PHONE_DIGITS_MIN {
            all.insert(digits.chars().take(TOLD_CHARS).collect());
        }
        run.clear();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::literals;

    #[test]
    fn what_can_be_reached_called_or_read_is_a_literal_however_it_is_written() {
        for text in [
            "write to anna@example.com",
            "ask example.com first",
            "ask 192.168.1.5 first",
            "ask 192.168.1.5:8080, then go on",
            "ask [2001:db8::7]:80",
            "ask fe80::1",
            "ask münchen.de",
            "ask https://пример.рф/x",
            "ask 例え.jp",
            "call 0664 1234567",
            "call +43 (664) 123-45-67",
            "read /etc/passwd",
            "read ~/.ssh/id",
            "read ../secret",
            "read notes/../../secret",
            "read \"..\\\\secret\"",
            "read C:\\Users",
            "read \\\\server\\share",
            "say deadbeefdeadbeef",
            "say aGVsbG8gd29ybGQhISE=",
        ] {
            assert!(!literals(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn words_small_numbers_and_files_of_the_workspace_are_none() {
        for text in [
            "Answer in two or three sentences.",
            "At most 20 lines, 5 to 10 words each, in 2026.",
            "and/or; either/or... well. Then: stop::now",
            "internationalization and responsibilities",
            "Look into notes/today.md and SOUL.md.",
            "Fasse dich kurz.Sei höflich.",
            "回答要简短。保持礼貌。",
            "Отвечай коротко. Будь вежлив...",
            "a: b, c - d (e)",
        ] {
            assert_eq!(literals(text), [].into(), "{text}");
        }
    }
}
