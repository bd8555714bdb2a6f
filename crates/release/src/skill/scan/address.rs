//! Addresses that do not say where they lead, and links that lead out of the folder.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Hosts that stand for another address.
const SHORTENERS: [&str; 17] = [
    "bit.ly",
    "buff.ly",
    "cutt.ly",
    "goo.gl",
    "is.gd",
    "ow.ly",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "shorturl.at",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tinyurl.com",
    "tr.im",
    "v.gd",
    "x.gd",
];

/// The rules that an address in a line of small letters meets, with a sentence each.
pub(super) fn odd(line: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (at, mark) in line.match_indices("://") {
        let host = host(&line[at + mark.len()..]);
        if is_raw(host) {
            found.push(("raw-address", format!("an address without a name: {host}")));
        }
    }
    let words =
        line.split(|c: char| c.is_whitespace() || matches!(c, '(' | '<' | '"' | '\'' | '['));
    for word in words {
        let bare = word.split_once("://").map_or(word, |(_, rest)| rest);
        let Some((name, rest)) = bare.split_once('/') else {
            continue;
        };
        let name = name.strip_prefix("www.").unwrap_or(name);
        if !rest.is_empty() && SHORTENERS.contains(&name) {
            found.push((
                "shortener",
                format!("{name} stands for an address that is not shown"),
            ));
        }
    }
    found
}

fn host(rest: &str) -> &str {
    let end =
        |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | ')' | '>' | '`');
    let all = rest.split(end).next().unwrap_or_default();
    let all = all.rsplit('@').next().unwrap_or(all);
    match all.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => all.split(':').next().unwrap_or_default(),
    }
}

/// An address in numbers, other than of this machine.
fn is_raw(host: &str) -> bool {
    if let Ok(four) = host.parse::<Ipv4Addr>() {
        return !four.is_loopback();
    }
    if let Ok(six) = host.parse::<Ipv6Addr>() {
        return !six.is_loopback();
    }
    let digits = host.strip_prefix("0x").unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = |part: &str| {
        let digits = part.strip_prefix("0x").unwrap_or(part);
        !part.is_empty()
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
            && part.starts_with(|c: char| c.is_ascii_digit())
    };
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // Numbers in other notations: no name ends in one.
    is_whole || (host.contains('.') && is_number(last))
}

/// Where a Markdown link of a line leads, if that is outside of the folder.
pub(super) fn outside(line: &str) -> Option<&str> {
    line.match_indices("](").find_map(|(at, mark)| {
        let target = line[at + mark.len()..].split([')', ' ']).next()?;
        let target = target.trim_matches(['<', '>']);
        let is_address = target.contains("://") && !target.starts_with("file:");
        let leads_out = target.starts_with(['/', '~'])
            || target.starts_with("file:")
            || target.split('/').any(|part| part == "..");
        (leads_out && !is_address).then_some(target)
    })
}
