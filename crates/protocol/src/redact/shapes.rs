//! The shapes: each function looks at one place of a text and says whether its shape begins there.

use super::scan::{Hit, Kind, PLACEHOLDERS};

/// How far a name, a local part or a user name is followed.
const NAME_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;
const USERINFO_BYTES_MAX: usize = 512;
/// Longer than an id of this product without and with its prefix, so that ids stay readable.
const RANDOM_WORD_BYTES_MIN: usize = 28;
const RANDOM_RUN_BYTES_MIN: usize = 32;
const HEX_BYTES_MIN: usize = 32;
/// A private key whose end is missing has at least this much of its first line.
const PEM_LINE_BYTES_MIN: usize = 32;

/// Beginnings that vendors put before their keys, and the fewest characters behind them.
const VENDOR_PREFIXES: [(&str, usize); 30] = [
    ("sk-", 16),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("rk_test_", 10),
    ("whsec_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxb-", 8),
    ("xoxa-", 8),
    ("xoxp-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("AIza", 30),
    ("ya29.", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 20),
    ("gsk_", 20),
    ("xai-", 20),
    ("r8_", 20),
    ("SG.", 20),
    ("dop_v1_", 20),
    ("AGE-SECRET-KEY-", 20),
];

/// Ends of names whose value is a secret, without `_` and `-`.
const SECRET_NAMES: [&str; 15] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "signature",
    "authorization",
    "cookie",
];

fn secret(from: usize, to: usize, what: &'static str, certain: bool) -> Option<Hit> {
    (from < to).then_some(Hit {
        from,
        to,
        kind: Kind::Secret { what, certain },
    })
}

/// The end of the run of bytes from `at` that `keep` keeps, followed for at most `max` bytes.
fn run(text: &str, at: usize, max: usize, keep: impl Fn(u8) -> bool) -> usize {
    let bytes = &text.as_bytes()[at..];
    let length = bytes.iter().take(max).take_while(|b| keep(**b)).count();
    at + length
}

fn is_key_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

/// `-----BEGIN … -----END …-----`, or up to the end of the text if it is not closed.
pub(super) fn pem(text: &str, at: usize) -> Option<Hit> {
    let block = text[at..].strip_prefix("-----BEGIN ")?;
    let inner = text.len() - block.len();
    let to = match block.find("-----END ") {
        Some(end) => {
            let name = inner + end + "-----END ".len();
            let name_end = run(text, name, NAME_BYTES_MAX, |b| {
                b.is_ascii_alphanumeric() || b == b' '
            });
            run(text, name_end, 5, |b| b == b'-')
        }
        None => text.len(),
    };
    let head = &block[..block.floor_char_boundary(NAME_BYTES_MAX)];
    secret(at, to, "a private key", head.contains("PRIVATE KEY"))
}

/// As [`pem`] for private keys alone. One that is not closed counts if a body follows its first
/// line: people write about that line, too.
pub(super) fn private_key(text: &str, at: usize) -> Option<Hit> {
    let block = text[at..].strip_prefix("-----BEGIN ")?;
    let head_end = block[..block.floor_char_boundary(NAME_BYTES_MAX)].find("-----")?;
    if !block[..head_end].ends_with("PRIVATE KEY") && !block[..head_end].contains("PRIVATE KEY ") {
        return None;
    }
    let hit = pem(text, at)?;
    if hit.to < text.len() || text.ends_with("-----") && block.contains("-----END ") {
        return Some(hit);
    }
    let body = block[head_end + "-----".len()..].trim_start();
    let word = run(body, 0, PEM_LINE_BYTES_MIN, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
    });
    (word == PEM_LINE_BYTES_MIN).then_some(hit)
}

/// The user name and password of `scheme://user:password@host`.
pub(super) fn url_credentials(text: &str, at: usize) -> Option<Hit> {
    text[at..].strip_prefix("://")?;
    let from = at + 3;
    let end = run(text, from, USERINFO_BYTES_MAX, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
    });
    let to = from
        + text.as_bytes()[from..end]
            .iter()
            .rposition(|b| *b == b'@')?;
    let password = text
        .get(from..to)?
        .split_once(':')
        .map_or("", |(_, after)| after);
    secret(
        from,
        to,
        "a URL with a password",
        !password.is_empty() && is_telling(password),
    )
}

/// `password=…`, `"clientSecret": "…"`, `Authorization: …`, `passphrase is …`.
pub(super) fn pair(text: &str, at: usize) -> Option<Hit> {
    let name_end = run(text, at, NAME_BYTES_MAX, is_key_byte);
    let name: String = text[at..name_end]
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let known = SECRET_NAMES.iter().find(|known| name.ends_with(*known))?;
    let (sign, from) = value_start(text, name_end)?;
    let escape = run(text, from, 1, |b| b == b'\\');
    let (from, to, is_quoted) = match text.as_bytes().get(escape) {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            let inner = escape + 1;
            let end = run(text, inner, usize::MAX, |b| b != *quote && b != b'\n');
            let escaped = escape > from && text[inner..end].ends_with('\\');
            (inner, end - usize::from(escaped), true)
        }
        // A scheme and several parts may stand there.
        _ if matches!(*known, "authorization" | "cookie") => {
            let is_inside = |b| !matches!(b, b'\n' | b'\r' | b'"' | b'\'' | b'\\');
            (from, run(text, from, usize::MAX, is_inside), false)
        }
        _ => (from, bare_value_end(text, from), false),
    };
    let value = text.get(from..to)?;
    let chosen = is_quoted || known.starts_with("pass") || value.len() >= 12 || has_digit(value);
    let meant = match sign {
        Sign::Equals => true,
        Sign::Colon => chosen,
        Sign::Is => has_digit(value),
    };
    if !meant || PLACEHOLDERS.contains(&value) {
        return None;
    }
    let certain = is_telling(value) && value.len() >= 12 && has_digit(value);
    secret(from, to, "a secret beside its name", certain)
}

/// What stands between a name and its value.
#[derive(Clone, Copy)]
enum Sign {
    Equals,
    Colon,
    /// The word: people write it about secrets as well as before one.
    Is,
}

/// Where the value of a name begins: behind `=`, `:`, `=>`, `:=` or the word `is`.
fn value_start(text: &str, name_end: usize) -> Option<(Sign, usize)> {
    let is_blank = |b: u8| b == b' ' || b == b'\t';
    let escape = run(text, name_end, 1, |b| b == b'\\');
    let quoted = run(text, escape, 1, |b| matches!(b, b'"' | b'\'' | b'`'));
    let at = run(text, quoted, 3, is_blank);
    let behind = run(text, at, 2, |b| matches!(b, b'=' | b':' | b'>'));
    let value = run(text, behind, 3, is_blank);
    match &text.as_bytes()[at..behind] {
        [b':'] => Some((Sign::Colon, value)),
        [b'=' | b':', ..] => Some((Sign::Equals, value)),
        _ => {
            let word = text.get(at..at + 3)?;
            let is_word = at > quoted && word.eq_ignore_ascii_case("is ");
            is_word.then_some((Sign::Is, at + 3))
        }
    }
}

fn bare_value_end(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = &text[at..];
        if let Some(placeholder) = PLACEHOLDERS.iter().find(|p| rest.starts_with(**p)) {
            at += placeholder.len();
            continue;
        }
        match rest.chars().next() {
            Some(c) if !c.is_whitespace() && !",;&\"'`<>)}]".contains(c) => at += c.len_utf8(),
            _ => return at,
        }
    }
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|b| b.is_ascii_digit())
}

/// True for a value that is not plainly an example, a variable, or taken out already.
fn is_telling(value: &str) -> bool {
    let stands_for = value.starts_with(['$', '<', '{', '[', '*'])
        || value
            .bytes()
            .all(|b| matches!(b, b'x' | b'X' | b'.' | b'*'))
        || matches!(
            value,
            "pass" | "password" | "passwd" | "pw" | "pwd" | "secret"
        );
    !stands_for
}

/// The token behind `Bearer`.
pub(super) fn bearer(text: &str, at: usize) -> Option<Hit> {
    let word = text.get(at..at + "bearer ".len())?;
    if !word.eq_ignore_ascii_case("bearer ") {
        return None;
    }
    let from = run(text, at + word.len(), 3, |b| b == b' ');
    let to = run(text, from, usize::MAX, |b| {
        is_key_byte(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'=')
    });
    let token = &text[from..to];
    let drawn = has_digit(token) && token.len() >= 8;
    if drawn || token.len() >= 20 {
        secret(from, to, "a bearer token", drawn && token.len() >= 20)
    } else {
        None
    }
}

/// A key by the beginning that its vendor gave it.
pub(super) fn vendor_key(text: &str, at: usize) -> Option<Hit> {
    let rest = &text[at..];
    if let Some((prefix, least)) = VENDOR_PREFIXES
        .iter()
        .find(|(prefix, _)| rest.starts_with(prefix))
    {
        let body = at + prefix.len();
        let to = run(text, body, usize::MAX, |b| is_key_byte(b) || b == b'.');
        return (to - body >= *least)
            .then(|| secret(at, to, "a vendor key", true))
            .flatten();
    }
    if rest.starts_with("AKIA") || rest.starts_with("ASIA") {
        let to = run(text, at, usize::MAX, |b| b.is_ascii_alphanumeric());
        let upper = text[at..to]
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        return (upper && to - at == 20)
            .then(|| secret(at, to, "a vendor key", true))
            .flatten();
    }
    None
}

/// A signed token in three parts.
pub(super) fn jwt(text: &str, at: usize) -> Option<Hit> {
    // Only the first byte of a run of key bytes is looked at: the run is followed to its end.
    let inside = at > 0 && is_key_byte(text.as_bytes()[at - 1]);
    if inside || !text[at..].starts_with("eyJ") {
        return None;
    }
    let head = run(text, at, usize::MAX, is_key_byte);
    let body = run(text, head, 1, |b| b == b'.');
    let body_end = run(text, body, usize::MAX, is_key_byte);
    let tail = run(text, body_end, 1, |b| b == b'.');
    let to = run(text, tail, usize::MAX, is_key_byte);
    if head - at >= 8 && body > head && body_end - body >= 8 {
        secret(at, to, "a signed token", true)
    } else {
        None
    }
}

pub(super) fn email(text: &str, at: usize) -> Option<Hit> {
    let local_end = run(text, at, NAME_BYTES_MAX, |b| {
        b.is_ascii_alphanumeric() || !b.is_ascii() || b"._%+-'".contains(&b)
    });
    if local_end == at || text.as_bytes().get(local_end) != Some(&b'@') {
        return None;
    }
    let domain = local_end + 1;
    let end = run(text, domain, DOMAIN_BYTES_MAX, |b| {
        b.is_ascii_alphanumeric() || !b.is_ascii() || matches!(b, b'.' | b'-')
    });
    let to = domain + text.get(domain..end)?.trim_end_matches(['.', '-']).len();
    let (name, top) = text[domain..to].rsplit_once('.')?;
    let fits = !name.is_empty() && top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    fits.then_some(Hit {
        from: at,
        to,
        kind: Kind::Email,
    })
}

/// A run that looks drawn at random, `Err` with the end of what is plain if it does not, or if a
/// key that tells its vendor begins further on in it.
pub(super) fn random_run(text: &str, at: usize) -> Result<Hit, usize> {
    let end = run(text, at, usize::MAX, |b| {
        is_key_byte(b) || matches!(b, b'+' | b'/')
    });
    if !is_random(&text.as_bytes()[at..end], RANDOM_RUN_BYTES_MIN) {
        return Err(end.max(at + 1));
    }
    let key = (at + 1..end)
        .filter(|inner| !text.as_bytes()[inner - 1].is_ascii_alphanumeric())
        .find(|inner| vendor_key(text, *inner).is_some());
    match key {
        Some(key) => Err(key),
        None => Ok(opaque(at, run(text, end, 2, |b| b == b'='))),
    }
}

/// A run of letters and digits alone that is long and hexadecimal or looks drawn at random.
pub(super) fn hex_run(text: &str, at: usize) -> Option<Hit> {
    let end = run(text, at, usize::MAX, |b| b.is_ascii_alphanumeric());
    let bytes = &text.as_bytes()[at..end];
    let hex = bytes.len() >= HEX_BYTES_MIN && bytes.iter().all(u8::is_ascii_hexdigit);
    (hex || is_random(bytes, RANDOM_WORD_BYTES_MIN)).then(|| opaque(at, end))
}

fn opaque(from: usize, to: usize) -> Hit {
    Hit {
        from,
        to,
        kind: Kind::Opaque,
    }
}

/// Random runs change between small letters, capitals and digits all the time; words, paths and
/// names hardly ever do.
fn is_random(bytes: &[u8], bytes_min: usize) -> bool {
    let class = |b: &u8| match b {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = bytes.iter().filter_map(class).collect();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let digits = classes.iter().filter(|class| **class == 2).count();
    bytes.len() >= bytes_min && digits >= 2 && changes * 4 >= bytes.len()
}

/// A number, a colon and a long key.
pub(super) fn bot_token(text: &str, at: usize) -> Option<Hit> {
    let digits_end = run(text, at, usize::MAX, |b| b.is_ascii_digit());
    if digits_end - at < 6 || text.as_bytes().get(digits_end) != Some(&b':') {
        return None;
    }
    let to = run(text, digits_end + 1, usize::MAX, is_key_byte);
    if to - digits_end > 30 {
        secret(at, to, "a bot token", true)
    } else {
        None
    }
}

/// Phone numbers, card-like numbers, long runs of digits, and bot tokens that begin with digits.
pub(super) fn number(text: &str, at: usize) -> Option<Hit> {
    let groups = Groups::read(text, at)?;
    let hit = |end: usize, kind: Kind| {
        Some(Hit {
            from: at,
            to: end,
            kind,
        })
    };
    let first = groups.groups.first()?;
    if groups.lead.is_none()
        && let Some(token) = bot_token(text, at)
    {
        return Some(token);
    }
    if first.digits >= 12 && first.closed {
        return hit(first.end, Kind::Number);
    }
    let lengths: Vec<usize> = groups.groups.iter().map(|group| group.digits).collect();
    if let Some(count) = card_groups(&lengths) {
        return hit(groups.groups[count - 1].end, Kind::Number);
    }
    let count = phone_groups(&lengths, groups.lead, text.as_bytes()[at])?;
    hit(groups.groups[count - 1].end, Kind::Phone)
}

/// How many leading groups make a card number: four and four, or four, six and the rest.
fn card_groups(lengths: &[usize]) -> Option<usize> {
    (2..=lengths.len().min(5)).rev().find(|count| {
        let (last, others) = lengths[..*count].split_last().unwrap_or((&0, &[]));
        let total: usize = lengths[..*count].iter().sum();
        let fours = others.iter().all(|digits| *digits == 4) && *last <= 4;
        let amex = lengths[..*count] == [4, 6, 5];
        (13..=19).contains(&total) && (fours || amex)
    })
}

/// How many leading groups make a phone number.
fn phone_groups(lengths: &[usize], lead: Option<u8>, first: u8) -> Option<usize> {
    (1..=lengths.len()).rev().find(|count| {
        let groups = &lengths[..*count];
        let total: usize = groups.iter().sum();
        match lead {
            Some(b'+') => (7..=15).contains(&total),
            Some(_) => (7..=13).contains(&total) && *count >= 2,
            None => {
                let trunk = first == b'0' && (3..=6).contains(&groups[0]) && *count >= 2;
                (trunk && (8..=13).contains(&total))
                    || groups == [3, 3, 4]
                    || groups == [1, 3, 3, 4]
            }
        }
    })
}

/// Groups of digits with at most a few signs between them.
struct Groups {
    /// `+` or `(` in front of the first group.
    lead: Option<u8>,
    groups: Vec<Group>,
}

struct Group {
    digits: usize,
    end: usize,
    /// No letter follows.
    closed: bool,
}

impl Groups {
    const COUNT_MAX: usize = 8;

    fn read(text: &str, at: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let lead = bytes.get(at).copied().filter(|b| matches!(b, b'+' | b'('));
        let mut start = run(text, at, 2, |b| matches!(b, b'+' | b'('));
        let mut groups = Vec::new();
        while groups.len() < Self::COUNT_MAX {
            let end = run(text, start, usize::MAX, |b| b.is_ascii_digit());
            if end == start {
                break;
            }
            let closed = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            groups.push(Group {
                digits: end - start,
                end,
                closed,
            });
            start = run(text, end, 3, |b| {
                matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')')
            });
            if !closed || start == end {
                break;
            }
        }
        while groups.last().is_some_and(|group| !group.closed) && groups.len() > 1 {
            groups.pop();
        }
        (!groups.is_empty()).then_some(Self { lead, groups })
    }
}
