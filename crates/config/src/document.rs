//! JSON5 text as a tree whose every node knows where it was written.

use std::collections::HashSet;
use std::path::PathBuf;

use jsonc_parser::ast;
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Number, Value};

use crate::path::{KeyPath, Step};
use crate::problem::Problem;

/// Integers above this lose digits as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// One file's text, kept for positions.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A stretch of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) start: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text {
        text: String,
        /// True if a variable's value is part of it: such text is never shown.
        substituted: bool,
    },
    List(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Source {
    /// Line and column of a byte, both from 1, columns in characters.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[start..].chars().filter(|c| *c != '\u{feff}').count() + 1;
        (line, column)
    }

    pub(crate) fn problem(
        &self,
        offset: usize,
        path: &KeyPath,
        message: impl Into<String>,
    ) -> Problem {
        let (line, column) = self.position(offset);
        Problem {
            file: self.path.clone(),
            line,
            column,
            path: path.to_string(),
            message: message.into(),
            expected: None,
            hint: None,
        }
    }
}

impl Node {
    pub(crate) fn empty_object(place: Place) -> Self {
        Self {
            kind: Kind::Object(Vec::new()),
            place,
        }
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|member| member.key == key),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text { .. } | Kind::List(_) => {
                None
            }
        }
    }

    /// The node at a path, or the deepest one above it that exists.
    pub(crate) fn nearest(&self, path: &KeyPath) -> &Self {
        let mut node = self;
        for step in &path.0 {
            let next = match (step, &node.kind) {
                (Step::Key(key), Kind::Object(_)) => node.member(key).map(|member| &member.value),
                (Step::Index(index), Kind::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text { text, .. } => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|member| (member.key.clone(), member.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// What JSON5 allows and nothing more: a comma between members is not optional.
pub(crate) fn options() -> ParseOptions {
    ParseOptions {
        allow_missing_commas: false,
        ..ParseOptions::default()
    }
}

/// Splits a leading byte-order mark off.
pub(crate) fn split_mark(text: &str) -> (&str, &str) {
    let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
    text.split_at(mark)
}

/// Reads one source. A text of white space and comments alone is an empty object.
pub(crate) fn parse(source: &Source, number: usize) -> Result<Node, Vec<Problem>> {
    let (mark, text) = split_mark(&source.text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options()).map_err(|error| {
        let found = text.get(error.range().start..).unwrap_or_default();
        let message = crate::problem::syntax_message(error.kind(), found);
        let at = mark.len() + error.range().start;
        let mut problem = source.problem(at, &KeyPath::default(), message);
        problem.hint = crate::problem::syntax_hint(error.kind(), found);
        vec![problem]
    })?;
    let mut reader = Reader {
        source,
        number,
        text,
        shift: mark.len(),
        problems: Vec::new(),
    };
    let node = match &parsed.value {
        Some(value) => reader.node(value, &KeyPath::default()),
        None => Node::empty_object(reader.place(0)),
    };
    if reader.problems.is_empty() {
        Ok(node)
    } else {
        Err(reader.problems)
    }
}

/// The value of a quoted JSON5 string.
pub(crate) fn text_literal(quoted: &str) -> Option<String> {
    let parsed = parse_to_ast(quoted, &CollectOptions::default(), &options()).ok()?;
    match parsed.value? {
        ast::Value::StringLit(literal) => Some(literal.value.into_owned()),
        _ => None,
    }
}

struct Reader<'a> {
    source: &'a Source,
    number: usize,
    text: &'a str,
    /// Bytes of the byte-order mark before `text`.
    shift: usize,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, start: usize) -> Place {
        Place {
            source: self.number,
            start: start + self.shift,
        }
    }

    fn complain(&mut self, start: usize, path: &KeyPath, message: impl Into<String>) {
        let problem = self.source.problem(start + self.shift, path, message);
        self.problems.push(problem);
    }

    fn node(&mut self, value: &ast::Value<'_>, path: &KeyPath) -> Node {
        let kind = match value {
            ast::Value::NullKeyword(_) => Kind::Null,
            ast::Value::BooleanLit(literal) => Kind::Bool(literal.value),
            ast::Value::NumberLit(literal) => match number(literal.value) {
                Ok(number) => Kind::Number(number),
                Err(message) => {
                    self.complain(literal.range.start, path, message);
                    Kind::Null
                }
            },
            ast::Value::StringLit(literal) => {
                self.check_line_ends(literal.range, path);
                Kind::Text {
                    text: literal.value.to_string(),
                    substituted: false,
                }
            }
            ast::Value::Array(array) => Kind::List(
                array
                    .elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| self.node(element, &path.index(index)))
                    .collect(),
            ),
            ast::Value::Object(object) => Kind::Object(self.members(object, path)),
        };
        Node {
            kind,
            place: self.place(value.start()),
        }
    }

    fn members(&mut self, object: &ast::Object<'_>, path: &KeyPath) -> Vec<Member> {
        let mut seen = HashSet::new();
        let mut members = Vec::with_capacity(object.properties.len());
        for property in &object.properties {
            let key = property.name.as_str().to_owned();
            let start = property.name.start();
            let below = path.key(&key);
            if let ast::ObjectPropName::String(literal) = &property.name {
                self.check_line_ends(literal.range, &below);
            }
            if !seen.insert(key.clone()) {
                self.complain(start, &below, format!("the key {key:?} stands here twice"));
                continue;
            }
            members.push(Member {
                key_place: self.place(start),
                value: self.node(&property.value, &below),
                key,
            });
        }
        members
    }

    /// A line may end inside a string only after a backslash; otherwise a quote is missing.
    fn check_line_ends(&mut self, range: Range, path: &KeyPath) {
        let raw = &self.text[range.start..range.end];
        let mut escaped = false;
        for c in raw.chars() {
            if matches!(c, '\n' | '\r') && !escaped {
                let message = "the string does not end on its line";
                self.complain(range.start, path, message);
                return;
            }
            // A carriage return after a backslash leaves its line feed escaped too.
            escaped = (c == '\\' && !escaped) || (c == '\r' && escaped);
        }
    }
}

/// Reads a JSON5 number. Whole numbers stay whole; what a computer cannot hold exactly or at all is refused.
fn number(text: &str) -> Result<Number, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, "Infinity" | "NaN") {
        return Err(format!("{text} is not a configuration value"));
    }
    let too_large = || format!("the number {text} is too large");
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let whole = match hexadecimal {
        Some(digits) => Some(u64::from_str_radix(digits, 16).map_err(|_| too_large())?),
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| too_large())?)
        }
        None => None,
    };
    match whole {
        Some(whole) if negative => {
            let signed = 0_i64.checked_sub_unsigned(whole).ok_or_else(too_large)?;
            Ok(Number::from(signed))
        }
        Some(whole) => Ok(Number::from(whole)),
        None => {
            let float: f64 = digits.parse().map_err(|_| format!("{text} is no number"))?;
            fractional(if negative { -float } else { float }).ok_or_else(too_large)
        }
    }
}

/// `1e3` and `5.0` are whole numbers to whoever writes them.
fn fractional(float: f64) -> Option<Number> {
    if float.fract() == 0.0 && float.abs() < EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}
