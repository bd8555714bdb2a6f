//! Answers that are HTML, or hold some.

use regex::RegexBuilder;

use super::{Asked, Verdict};
use crate::error::Trouble;

/// Elements that a browser knows.
const KNOWN: &str = " html head title base link meta style body article section nav aside h1 h2 h3 h4 h5 h6 \
    header footer address p hr pre blockquote ol ul li dl dt dd figure figcaption main div a em strong small s \
    cite q dfn abbr ruby rt rp data time code var samp kbd sub sup i b u mark bdi bdo span br wbr img iframe \
    embed object param picture source video audio track map area svg math script noscript canvas ins del table \
    caption colgroup col tbody thead tfoot tr td th form label input button select datalist optgroup option \
    textarea output progress meter fieldset legend details summary dialog menu slot template ";
/// Elements without content.
const EMPTY: &str = " area base br col embed hr img input link meta param source track wbr ";
/// Elements that end an open paragraph.
const BLOCKS: &str = " address article aside blockquote details dialog div dl fieldset figcaption figure footer \
    form h1 h2 h3 h4 h5 h6 header hr main menu nav ol p pre section table ul ";
/// Elements whose content is text.
const TEXTS: &str = " script style textarea title ";

fn among(list: &str, name: &str) -> bool {
    list.contains(&format!(" {name} "))
}

pub(super) fn is_html(asked: &Asked<'_>) -> Verdict {
    let problem = problem(asked.text.trim());
    asked.decide(problem.is_none(), || {
        format!("be HTML; {}", problem.unwrap_or("it is"))
    })
}

enum Tag<'a> {
    Open { name: String },
    Close { name: String },
    Text(&'a str),
    Other,
}

/// Why a text is no HTML: text outside of elements, or no element at all.
fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("<?xml"))
    {
        return Some("it is XML");
    }
    let mut open: Vec<String> = Vec::new();
    let mut has_body = false;
    let mut known = false;
    let mut bare_text = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (tag, after) = next(rest);
        rest = after;
        match tag {
            Tag::Open { name } => {
                known |= among(KNOWN, &name) || name.contains('-');
                has_body |= name == "body";
                if among(BLOCKS, &name)
                    && let Some(at) = open.iter().rposition(|one| one == "p")
                {
                    open.truncate(at);
                }
                if among(TEXTS, &name) {
                    let lower = rest.to_ascii_lowercase();
                    let end = lower.find(&format!("</{name}")).unwrap_or(rest.len());
                    rest = &rest[end..];
                    let close = rest.find('>').map_or(rest.len(), |at| at + 1);
                    rest = &rest[close..];
                } else if !among(EMPTY, &name) && !among(" html head body ", &name) {
                    open.push(name);
                }
            }
            Tag::Close { name } => {
                if let Some(at) = open.iter().rposition(|one| *one == name) {
                    open.truncate(at);
                }
            }
            Tag::Text(text) => bare_text |= open.is_empty() && !text.trim().is_empty(),
            Tag::Other => {}
        }
    }
    if bare_text && !has_body {
        return Some("text stands outside of its elements");
    }
    (!known).then_some("it has no known element")
}

/// The tag or the text that a text begins with, and what follows.
fn next(text: &str) -> (Tag<'_>, &str) {
    let until = |from: usize, end: &str| {
        let at = text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len());
        (Tag::Other, &text[at..])
    };
    if text.starts_with("<!--") {
        return until(4, "-->");
    }
    if text.starts_with("<!") || text.starts_with("<?") {
        return until(2, ">");
    }
    let closes = text.starts_with("</");
    let from = 1 + usize::from(closes);
    let begins =
        text.starts_with('<') && text[from..].starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins {
        let mut later = text.char_indices().skip(1);
        let end = later
            .find(|(_, c)| *c == '<')
            .map_or(text.len(), |(at, _)| at);
        return (Tag::Text(&text[..end]), &text[end..]);
    }
    let name_end = text[from..]
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .map_or(text.len(), |at| from + at);
    let name = text[from..name_end].to_ascii_lowercase();
    let end = tag_end(text, name_end);
    let tag = match closes {
        true => Tag::Close { name },
        false => Tag::Open { name },
    };
    (tag, &text[end..])
}

fn tag_end(text: &str, from: usize) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text[from..].char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '>' => return from + at + 1,
            None if (c == '"' || c == '\'') && before == '=' => quote = Some(c),
            None => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    text.len()
}

/// Signs of HTML with their weight; two are enough.
const SIGNS: [(&str, u32); 6] = [
    (r"<[a-z][a-z0-9-]*(?:\s[^>]*)?/>", 1),
    (r"&(?:[a-z]+|#[0-9]+|#x[0-9a-f]+);", 1),
    (r"<!doctype\s+html", 2),
    (r"<!--[^-]*(?:-[^-]+)*-->", 1),
    (r#"\s[a-z-]+=\s*["'][^"']*["']"#, 1),
    (
        r"<(?:html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input|button|script|style|link|meta|br|hr)\b",
        2,
    ),
];

pub(super) fn contains_html(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let has = |pattern: &str| match RegexBuilder::new(pattern).case_insensitive(true).build() {
        Ok(pattern) => Ok(pattern.is_match(asked.text)),
        Err(error) => Trouble::wrong(error.to_string()),
    };
    let opens = has(r"<[a-z][a-z0-9-]*(?:\s[^>]*)?>")?;
    let closes = has(r"</[a-z][a-z0-9-]*\s*>")?;
    let mut weight = u32::from(opens) + u32::from(closes);
    for (pattern, counts) in SIGNS {
        if has(pattern)? {
            weight += counts;
        }
    }
    Ok(asked.decide(weight >= 2, || "contain HTML".to_owned()))
}
