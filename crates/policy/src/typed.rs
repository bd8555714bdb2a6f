//! Values with their kinds, in one normal form each. Evidence compares these, never substrings.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of value it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A mail address.
    Address,
    Url,
    Host,
    Phone,
    /// An id within its connector.
    Id,
    Path,
    Amount,
    /// The name of a person or a thing.
    Name,
    /// A channel, a room, a list.
    Channel,
    /// An account: an IBAN, a card, a wallet.
    Account,
    Date,
    Number,
    Bool,
    Enum,
    Text,
}

impl Kind {
    /// True if the kind cannot carry instructions.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Date | Self::Number | Self::Bool | Self::Enum)
    }
}

/// A value in its normal form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Typed {
    pub kind: Kind,
    pub form: String,
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.form)
    }
}

/// The longest value that is brought into a normal form.
const FORM_BYTES_MAX: usize = 2_048;

/// The normal form of a text as this kind; `None` if it is none of that kind.
#[must_use]
pub fn normal(kind: Kind, text: &str) -> Option<Typed> {
    let text = text.trim();
    if text.is_empty() || text.len() > FORM_BYTES_MAX {
        return None;
    }
    let form = match kind {
        Kind::Address => address(text)?,
        Kind::Url => url(text)?,
        Kind::Host => host(text)?,
        Kind::Phone => phone(text)?,
        Kind::Account => account(text)?,
        Kind::Amount => amount(text)?,
        Kind::Path => path(text)?,
        Kind::Id => plain(text)?,
        Kind::Name | Kind::Channel => name(text)?,
        Kind::Date | Kind::Number | Kind::Bool | Kind::Enum | Kind::Text => return None,
    };
    Some(Typed { kind, form })
}

/// Local part as written, domain in lower case and in ASCII.
fn address(text: &str) -> Option<String> {
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let (local, domain) = text.rsplit_once('@')?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    if !local_ok {
        return None;
    }
    let domain = host(domain)?;
    domain
        .contains('.')
        .then(|| format!("{}@{domain}", local.to_ascii_lowercase()))
}

/// A host name in lower-case ASCII. One that is written in other letters has no normal form: it
/// could look like another.
fn host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= 253 && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
}

/// Scheme, host, port and path; a query is part of the address, a fragment is not.
fn url(text: &str) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), text),
    };
    if !matches!(scheme.as_str(), "http" | "https") {
        return None;
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or(rest);
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(cut);
    // Who names a user in an address wants it to look like another one.
    if authority.contains('@') {
        return None;
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok()?)),
        None => (authority, None),
    };
    let name = host(name)?;
    if !name.contains('.') && name != "localhost" {
        return None;
    }
    let port = port
        .filter(|port| !matches!((scheme.as_str(), *port), ("http", 80) | ("https", 443)))
        .map_or_else(String::new, |port| format!(":{port}"));
    let tail = match tail {
        "" | "/" => "/".to_owned(),
        tail if tail.starts_with('?') => format!("/{tail}"),
        tail => tail.to_owned(),
    };
    // Whether somebody wrote `http` or `https` says nothing about whom he meant.
    Some(format!("{name}{port}{tail}"))
}

/// Digits with a plus: an international number.
fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let rest_ok = text
        .chars()
        .all(|c| c.is_ascii_digit() || " +-().\u{a0}".contains(c));
    let international = text.starts_with('+') || text.starts_with("00");
    (rest_ok && international && (7..=17).contains(&digits.len()))
        .then(|| format!("+{}", digits.trim_start_matches("00")))
}

/// Letters and digits without spaces: an IBAN, a card, a wallet.
fn account(text: &str) -> Option<String> {
    let form: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .collect::<String>();
    let ok = (4..=64).contains(&form.len()) && form.bytes().all(|b| b.is_ascii_alphanumeric());
    ok.then(|| form.to_ascii_uppercase())
}

/// A number with two digits behind the point, and a currency if one is named.
fn amount(text: &str) -> Option<String> {
    let (mut currency, mut number) = (String::new(), String::new());
    for c in text.chars() {
        match c {
            '0'..='9' | '.' | '-' => number.push(c),
            ',' | ' ' | '\u{a0}' | '\'' => {}
            '$' => currency.push_str("USD"),
            '€' => currency.push_str("EUR"),
            '£' => currency.push_str("GBP"),
            '¥' => currency.push_str("JPY"),
            c if c.is_ascii_alphabetic() => currency.push(c.to_ascii_uppercase()),
            _ => return None,
        }
    }
    let value: f64 = number.parse().ok()?;
    (value.abs() < 1e12 && matches!(currency.len(), 0 | 3)).then(|| format!("{value:.2}{currency}"))
}

/// A path under its root: parts without dots, joined by one slash.
fn path(text: &str) -> Option<String> {
    if text.contains('\0') || text.contains('\\') || text.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return None;
    }
    let root = if text.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}

fn plain(text: &str) -> Option<String> {
    let ok = text.len() <= 256 && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    ok.then(|| text.to_owned())
}

/// A name with its spaces evened out and in one case. Without a mark in front that says what it is
/// the name of.
fn name(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['@', '#']);
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let form = words.join(" ");
    let ok = !form.is_empty() && form.chars().count() <= 200 && !form.chars().any(char::is_control);
    ok.then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: Kind, text: &str) -> Option<String> {
        normal(kind, text).map(|typed| typed.form)
    }

    #[test]
    fn one_value_has_one_form_and_others_have_another_or_none() {
        let same = |kind, one, two| assert_eq!(form(kind, one), form(kind, two), "{one} {two}");
        same(Kind::Address, "Bob@Example.COM", "mailto:bob@example.com");
        same(Kind::Url, "https://Example.com", "example.com/");
        same(
            Kind::Url,
            "http://example.com:80/a?b=1#c",
            "example.com/a?b=1",
        );
        same(Kind::Phone, "+49 (30) 123-4567", "0049 30 1234567");
        same(
            Kind::Account,
            "GB29 NWBK 6016 1331 9268 19",
            "gb29nwbk60161331926819",
        );
        same(Kind::Amount, "$1,200", "1200.00 USD");
        same(Kind::Path, "./notes//a.md", "notes/x/../a.md");
        same(Kind::Channel, "#General", "general");
        for (kind, text) in [
            (Kind::Address, "bob@exаmple.com"),
            (Kind::Address, "bob"),
            (Kind::Address, "bob@localhost"),
            (Kind::Url, "https://example.com@evil.example/"),
            (Kind::Url, "javascript:alert(1)"),
            (Kind::Url, "https://exämple.com"),
            (Kind::Url, "https://example.com\\@evil.example"),
            (Kind::Path, "../secret"),
            (Kind::Path, "a/../../b"),
            (Kind::Phone, "12345678"),
            (Kind::Id, "1 2"),
        ] {
            assert_eq!(form(kind, text), None, "{text}");
        }
        assert_ne!(
            form(Kind::Url, "example.com/a"),
            form(Kind::Url, "example.com/a?b")
        );
        assert_ne!(form(Kind::Amount, "100"), form(Kind::Amount, "100 EUR"));
    }
}
