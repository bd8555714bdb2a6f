//! Links, addresses, numbers and codes in a text: what stands in the owner's words, what somebody else
//! wrote, and what would be passed on, however it is spelt.

use std::collections::{BTreeMap, BTreeSet};

use crate::disguise::undisguised;
use crate::typed::{Kind, Typed, normal};
use crate::words::trimmed;

/// The typed values in a piece of text between two spaces.
#[must_use]
pub fn literals(piece: &str) -> Vec<Typed> {
    let piece = trimmed(sentence_end(trimmed(piece)));
    let mut found = Vec::new();
    for kind in [Kind::Address, Kind::Phone] {
        found.extend(normal(kind, piece));
    }
    let looks_like_address = found.iter().any(|typed| typed.kind == Kind::Address);
    if !looks_like_address && looks_like_url(piece) {
        found.extend(normal(Kind::Url, piece));
        let host = piece.split_once("://").map_or(piece, |(_, rest)| rest);
        let host = host.split(['/', '?', '#', ':']).next().unwrap_or(host);
        found.extend(normal(Kind::Host, host));
    }
    if piece.contains('/') || has_extension(piece) {
        found.extend(normal(Kind::Path, piece));
    }
    if piece.len() >= 8 && piece.bytes().filter(u8::is_ascii_digit).count() >= 4 {
        found.extend(normal(Kind::Account, piece));
    }
    found
}

/// Where a sentence ends without a space behind it, the rest is not part of the address:
/// `www.example.com.They` says `www.example.com`.
fn sentence_end(piece: &str) -> &str {
    if piece.contains("://") && piece.matches('/').count() > 2 {
        return piece;
    }
    let mut chars = piece.char_indices().peekable();
    let mut before = None;
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let ends = c == '.'
            && before.is_some_and(|c: char| c.is_lowercase() || c.is_ascii_digit())
            && next.is_some_and(char::is_uppercase);
        if ends {
            return &piece[..at];
        }
        before = Some(c);
    }
    piece
}

fn looks_like_url(piece: &str) -> bool {
    let begin = piece.split_once("://").map_or("", |(scheme, _)| scheme);
    if begin.eq_ignore_ascii_case("http") || begin.eq_ignore_ascii_case("https") {
        return true;
    }
    let host = piece.split(['/', '?', '#', ':']).next().unwrap_or(piece);
    let Some((rest, last)) = host.rsplit_once('.') else {
        return false;
    };
    let is_domain = (2..=24).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_alphabetic());
    !rest.is_empty()
        && is_domain
        && (host.starts_with("www.") || !is_file_ending(last) || piece.contains('/'))
}

fn has_extension(piece: &str) -> bool {
    piece
        .rsplit_once('.')
        .is_some_and(|(stem, last)| !stem.is_empty() && is_file_ending(last))
}

fn is_file_ending(last: &str) -> bool {
    matches!(
        last.to_ascii_lowercase().as_str(),
        "txt"
            | "md"
            | "pdf"
            | "doc"
            | "docx"
            | "xls"
            | "xlsx"
            | "ppt"
            | "pptx"
            | "csv"
            | "json"
            | "yaml"
            | "yml"
            | "toml"
            | "xml"
            | "html"
            | "htm"
            | "png"
            | "jpg"
            | "jpeg"
            | "gif"
            | "svg"
            | "zip"
            | "gz"
            | "tar"
            | "rs"
            | "py"
            | "js"
            | "ts"
            | "sh"
            | "log"
            | "odt"
            | "ods"
            | "eml"
            | "ics"
    )
}

/// What leads somewhere in a text that somebody wrote, as it is compared.
pub(crate) fn carried(text: &str) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = pieces(text).into_keys().collect();
    for piece in text.split(breaks) {
        // A sentence may end without a space behind it.
        let typed = literals(piece).into_iter();
        found.extend(typed.filter(leads).map(|typed| typed.form));
    }
    found
}

/// What leads somewhere in a text that would go along, as it is compared, and as it stands where nobody
/// can tell what it leads to. True for what may as well be the end of a sentence.
pub(crate) fn pieces(text: &str) -> BTreeMap<String, bool> {
    let shown: String = text
        .chars()
        .filter(|c| !is_hidden(*c))
        .map(narrow)
        .collect();
    let mut found = BTreeMap::new();
    plainly(&shown, &mut found);
    if let Some(plain) = undisguised(&shown) {
        let mut more = BTreeMap::new();
        plainly(&plain, &mut more);
        more.append(&mut found);
        found = more;
    }
    found
}

/// What leads somewhere as it is written.
fn plainly(shown: &str, found: &mut BTreeMap<String, bool>) {
    links(shown, found);
    phones(shown, found);
    for piece in shown.split(breaks) {
        let bare = piece.trim_matches(|c: char| !c.is_alphanumeric());
        if is_code(bare) {
            found.insert(bare.to_lowercase(), false);
        }
    }
    let parts = |c: char| breaks(c) || ",;=\\".contains(c);
    for piece in shown.split(parts).filter(|piece| !piece.contains("://")) {
        // `link:www.example.com` is a place behind a word; the colon itself is trimmed away.
        let behind = piece.match_indices(':').map(|(at, _)| &piece[at..]);
        for piece in std::iter::once(piece).chain(behind) {
            place(trimmed(piece), found);
        }
    }
}

fn breaks(c: char) -> bool {
    c.is_whitespace() || "()<>[]\"'`|{}".contains(c)
}

fn leads(typed: &Typed) -> bool {
    matches!(
        typed.kind,
        Kind::Url | Kind::Host | Kind::Address | Kind::Phone
    )
}

/// Characters that nobody sees.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A wide letter or sign as the narrow one that it stands for.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            let narrow = u32::from(c) - 0xff01 + 0x21;
            char::from_u32(narrow).unwrap_or(c)
        }
        '\u{3002}' | '\u{ff61}' => '.',
        c => c,
    }
}

/// Everything with a scheme, wherever it stands.
fn links(text: &str, found: &mut BTreeMap<String, bool>) {
    for (at, _) in text.match_indices("://") {
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let before = text[..at].trim_end_matches(is_of_scheme).len();
        let end = text[at..].find(breaks).map_or(text.len(), |end| at + end);
        let whole = trimmed(&text[before..end]);
        link(whole, false, found);
    }
}

/// A link with its host; one that has no normal form stands for itself.
fn link(text: &str, is_sentence: bool, found: &mut BTreeMap<String, bool>) {
    let Some(typed) = normal(Kind::Url, text) else {
        found.insert(text.to_lowercase(), is_sentence);
        return;
    };
    let host = typed.form.split(['/', ':']).next().unwrap_or_default();
    found.extend(normal(Kind::Host, host).map(|host| (host.form, is_sentence)));
    found.insert(typed.form, is_sentence);
}

fn phones(text: &str, found: &mut BTreeMap<String, bool>) {
    for (at, _) in text.match_indices('+') {
        let is_of_it = |c: char| c.is_ascii_digit() || "+ -().\u{a0}".contains(c);
        let rest = text[at..].trim_start_matches(is_of_it).len();
        let number = normal(Kind::Phone, &text[at..text.len() - rest]);
        found.extend(number.map(|typed| (typed.form, false)));
    }
}

/// An address or a host without a scheme.
fn place(piece: &str, found: &mut BTreeMap<String, bool>) {
    if let Some((local, domain)) = piece.rsplit_once('@') {
        if !local.is_empty() && domain.contains('.') {
            let typed = normal(Kind::Address, piece);
            found.insert(
                typed.map_or_else(|| piece.to_lowercase(), |typed| typed.form),
                false,
            );
        }
        return;
    }
    found.extend(normal(Kind::Phone, piece).map(|typed| (typed.form, false)));
    if looks_like_url(piece) {
        let is_sentence = !piece.contains('/') && !sentence_end(piece).contains('.');
        link(piece, is_sentence, found);
    }
}

/// Something that opens a door when it is passed on: digits and letters that are no word, no date,
/// no time and no plain number.
fn is_code(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let letters = piece.bytes().filter(u8::is_ascii_alphabetic).count();
    let other = piece.chars().count() - digits - letters;
    if other > 0 {
        return false;
    }
    let is_year = piece.starts_with("19") || piece.starts_with("20");
    match letters {
        0 => digits >= 5 || (digits == 4 && !is_year),
        _ => digits >= 2 && letters + digits >= 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_however_it_is_spelt() {
        for (text, form) in [
            ("see https://trap.example/x.", "trap.example/x"),
            ("HTTPS://Trap.example/x", "trap.example/x"),
            ("Link:https://trap.example/x", "trap.example/x"),
            ("url=https://trap.example/x", "trap.example/x"),
            ("a,https://trap.example/x", "trap.example/x"),
            ("\u{200b}ht\u{200b}tps://trap.example/x", "trap.example/x"),
            ("https：／／trap．example／x", "trap.example/x"),
            ("link:www.trap.example", "trap.example"),
            ("https://user@trap.example/", "https://user@trap.example/"),
            ("http://2130706433/", "http://2130706433/"),
            ("https://träp.example/", "https://träp.example/"),
            ("ftp://trap.example/x", "ftp://trap.example/x"),
            ("mail:eve@trap.example", "eve@trap.example"),
            ("a@x.example,eve@trap.example", "eve@trap.example"),
            ("eve@träp.example", "eve@träp.example"),
            (
                "www.our.example.Evil.trap.example",
                "www.our.example.evil.trap.example",
            ),
            ("call +49 (30) 123-4567 now", "+49301234567"),
            ("the code is AB12CD", "ab12cd"),
            ("www[.]trap[.]example", "trap.example"),
            ("hxxps://trap(.)example/x", "trap.example/x"),
            ("www dot trap dot example", "trap.example"),
        ] {
            let found = pieces(text);
            let is_found = found.keys().any(|piece| piece.contains(form));
            assert!(is_found, "{text}: {found:?}");
            assert!(
                carried(text).iter().any(|piece| piece.contains(form)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_leads_to_exactly_these() {
        for (text, expected) in [
            (
                "see (https://trap.example/x) now",
                &[("trap.example", false), ("trap.example/x", false)][..],
            ),
            (
                "git+ssh://trap.example/x",
                &[("git+ssh://trap.example/x", false)],
            ),
            (
                "a@x.example,eve@trap.example",
                &[("a@x.example", false), ("eve@trap.example", false)],
            ),
            (
                "www\u{3002}trap\u{ff61}example",
                &[("www.trap.example", false), ("www.trap.example/", false)],
            ),
            (
                "+49 30 1234567",
                &[("+49301234567", false), ("1234567", false)],
            ),
            // What nobody sees parts nothing.
            (
                "https://tr\u{200b}ap.exam\u{ad}ple/x",
                &[("trap.example", false), ("trap.example/x", false)],
            ),
            ("call x+4930123456", &[("+4930123456", false)]),
            (
                "004930123456;",
                &[("004930123456", false), ("+4930123456", false)],
            ),
            // The end of a sentence has no way behind it.
            (
                "It ended.They left",
                &[("ended.they", true), ("ended.they/", true)],
            ),
            (
                "it.ended.They",
                &[("it.ended.they", false), ("it.ended.they/", false)],
            ),
            (
                "ended.They/x",
                &[("ended.they", false), ("ended.they/x", false)],
            ),
            ("me@home and @home.example", &[]),
        ] {
            let found = pieces(text);
            let found: BTreeSet<(&str, bool)> = found
                .iter()
                .map(|(piece, is_sentence)| (piece.as_str(), *is_sentence))
                .collect();
            assert_eq!(found, expected.iter().copied().collect(), "{text}");
        }
    }

    #[test]
    fn what_a_writer_names_is_known_also_where_his_sentence_ends_early() {
        let found = carried("see www.our.example.They say so; notes/a.md, AB-12-34-CD");
        let hosts = ["www.our.example", "www.our.example.they"];
        assert!(hosts.iter().all(|host| found.contains(*host)), "{found:?}");
        // A path leads nowhere, and an account is a code or nothing.
        let known = |piece: &String| piece.starts_with("www.our.example");
        assert!(found.iter().all(known), "{found:?}");
    }

    #[test]
    fn a_code_is_no_word_no_year_and_no_short_number() {
        for (text, is_code) in [
            ("AB12CD", true),
            ("a12345", true),
            ("1ab2ab", true),
            ("12345", true),
            ("123456", true),
            ("4711", true),
            ("*4711*", true),
            ("1987", false),
            ("2024", false),
            ("123", false),
            ("abc12", false),
            ("abcdef1", false),
            ("abcdefgh", false),
            ("10:30", false),
            ("2024-05-11", false),
            ("ab12cd\u{fc}", false),
        ] {
            let bare = text.trim_matches('*').to_lowercase();
            assert_eq!(pieces(text).contains_key(&bare), is_code, "{text}");
        }
    }

    #[test]
    fn plain_words_lead_nowhere() {
        let text = "It ended.They left at 10:30, e.g. with Dr.Smith; 3.5 of 12 files (notes/a.md, b.txt) \
            say so: a+b, yes/no, me@home";
        let found = pieces(text);
        assert!(found.values().all(|is_sentence| *is_sentence), "{found:?}");
    }
}
