//! Templates into pieces, expressions into tokens.

use crate::error::Trouble;

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// What stands between `{{` and `}}`.
    Print(&'a str),
    /// What stands between `{%` and `%}`.
    Block(&'a str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
}

/// Cuts a template into pieces; comments are left out, whitespace control is obeyed.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, Trouble> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut trim_next = false;
    loop {
        let open = ["{{", "{%", "{#"]
            .iter()
            .filter_map(|tag| rest.find(tag).map(|at| (at, *tag)))
            .min();
        let (mut text, tag) = match open {
            Some((at, tag)) => (&rest[..at], Some((at, tag))),
            None => (rest, None),
        };
        if trim_next {
            text = text.trim_start();
        }
        let Some((at, tag)) = tag else {
            push_text(&mut pieces, text);
            return Ok(pieces);
        };
        let inner = &rest[at + 2..];
        if inner.starts_with('-') {
            text = text.trim_end();
        }
        push_text(&mut pieces, text);
        let close = match tag {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let Some(end) = end_of(inner, close) else {
            return Trouble::wrong(format!("the template has a {tag} without {close}"));
        };
        let body = &inner[..end];
        rest = &inner[end + 2..];
        trim_next = body.ends_with('-') && body.len() > 1;
        let body = body.strip_prefix('-').unwrap_or(body);
        let body = body.strip_suffix('-').unwrap_or(body).trim();
        match tag {
            "{{" => pieces.push(Piece::Print(body)),
            "{%" if body == "raw" || body == "verbatim" => {
                let (raw, after) = raw_until(rest, body)?;
                push_text(&mut pieces, raw);
                rest = after;
            }
            "{%" => pieces.push(Piece::Block(body)),
            _ => {}
        }
    }
}

fn push_text<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// Where a tag ends; what stands in quotes does not end it.
fn end_of(inner: &str, close: &str) -> Option<usize> {
    if close == "#}" {
        return inner.find(close);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if inner[at..].starts_with(close) => return Some(at),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    None
}

fn raw_until<'a>(rest: &'a str, word: &str) -> Result<(&'a str, &'a str), Trouble> {
    let end = format!("end{word}");
    for (at, _) in rest.match_indices("{%") {
        let inner = &rest[at + 2..];
        if let Some(close) = inner.find("%}")
            && inner[..close].trim_matches(['-', ' ', '\t', '\n', '\r']) == end
        {
            return Ok((&rest[..at], &inner[close + 2..]));
        }
    }
    Trouble::wrong(format!("the template has a {word} without {end}"))
}

/// Signs of templates, the longest first.
const SIGNS: [&str; 27] = [
    "===", "!==", "==", "!=", "<=", ">=", "//", "**", "<", ">", "+", "-", "*", "/", "%", "~", "|",
    "(", ")", "[", "]", "{", "}", ",", ":", ".", "=",
];

/// Signs that JavaScript has on top.
const SCRIPT_SIGNS: [&str; 5] = ["&&", "||", "??", "!", "?"];

/// The tokens of an expression in a template.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Trouble> {
    scan(source, false)
}

/// The tokens of an expression in JavaScript.
pub(super) fn script(source: &str) -> Result<Vec<Token>, Trouble> {
    scan(source, true)
}

fn scan(source: &str, script: bool) -> Result<Vec<Token>, Trouble> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(c) = rest.chars().next() {
        let taken = if c == '"' || c == '\'' {
            let (text, taken) = quoted(rest, c)?;
            tokens.push(Token::Text(text));
            taken
        } else if c.is_ascii_digit() {
            let taken = number_length(rest);
            let number = rest[..taken].parse();
            tokens.push(Token::Number(number.map_err(|_| {
                Trouble::Wrong(format!("{:?} is no number", &rest[..taken]))
            })?));
            taken
        } else if c.is_alphabetic() || c == '_' || c == '$' {
            let taken = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')
                .unwrap_or(rest.len());
            if script && tokens.last() != Some(&Token::Sign(".")) {
                is_a_name(&rest[..taken])?;
            }
            tokens.push(Token::Name(rest[..taken].to_owned()));
            taken
        } else {
            if script {
                is_done_here(rest, tokens.last())?;
            }
            let extra: &[&'static str] = if script { &SCRIPT_SIGNS } else { &[] };
            // `!==` and `!=` before `!`.
            let found = SIGNS
                .iter()
                .chain(extra)
                .find(|sign| rest.starts_with(**sign));
            let Some(sign) = found else {
                return Trouble::unsupported(format!("{c:?} in the expression {source:?}"));
            };
            // A pipe of a template is no operator of JavaScript.
            let sign = if script && rest.starts_with("||") {
                &"||"
            } else {
                sign
            };
            tokens.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// Words of JavaScript that are no names, or name what is not here, and words that mean something in
/// templates alone.
const NO_NAMES: &[&str] = &[
    "Array",
    "BigInt",
    "Boolean",
    "Buffer",
    "Date",
    "Infinity",
    "Intl",
    "Map",
    "Math",
    "NaN",
    "Object",
    "Promise",
    "RegExp",
    "Set",
    "and",
    "async",
    "await",
    "class",
    "const",
    "console",
    "delete",
    "do",
    "else",
    "for",
    "function",
    "globalThis",
    "if",
    "in",
    "instanceof",
    "is",
    "let",
    "new",
    "none",
    "not",
    "or",
    "process",
    "range",
    "require",
    "return",
    "switch",
    "this",
    "throw",
    "typeof",
    "var",
    "void",
    "while",
];

fn is_a_name(word: &str) -> Result<(), Trouble> {
    match NO_NAMES.contains(&word) {
        true => Trouble::unsupported(format!("{word:?} in an expression")),
        false => Ok(()),
    }
}

/// Signs of JavaScript that look like others.
fn is_done_here(rest: &str, before: Option<&Token>) -> Result<(), Trouble> {
    let what = match () {
        () if rest.starts_with("=>") => "a function",
        () if rest.starts_with("?.") => "`?.`",
        () if rest.starts_with("...") => "`...`",
        () if rest.starts_with("//") || rest.starts_with("/*") => "a remark",
        () if rest.starts_with('/') && !ends_a_value(before) => "a pattern",
        () if rest.starts_with('~') => "`~`",
        () if rest.starts_with('|') && !rest.starts_with("||") => "`|`",
        () => return Ok(()),
    };
    Trouble::unsupported(format!("{what} in an expression"))
}

/// Behind a value, a slash divides.
fn ends_a_value(token: Option<&Token>) -> bool {
    match token {
        None => false,
        Some(Token::Sign(sign)) => matches!(*sign, ")" | "]" | "}"),
        Some(_) => true,
    }
}

fn number_length(text: &str) -> usize {
    let digits = |from: usize| {
        text[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(text.len(), |at| from + at)
    };
    let whole = digits(0);
    let fraction = text[whole..].strip_prefix('.');
    match fraction {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => digits(whole + 1),
        _ => whole,
    }
}

fn quoted(text: &str, quote: char) -> Result<(String, usize), Trouble> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, at + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next().map(|(_, c)| c) {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => break,
        }
    }
    Trouble::wrong("a quoted text has no end")
}
