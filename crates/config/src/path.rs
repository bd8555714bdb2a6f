//! The way to a value: `agents.entries["my.agent"].models[0].id`.

use std::fmt;

use serde_json::Value;

/// The longest path that is read.
const PATH_BYTES_MAX: usize = 1024;

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A dotted path; keys that are not plain words stand in `["…"]`, list positions in `[0]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPath(pub Vec<Step>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the path {path:?} cannot be read at character {at}: {problem}")]
pub struct PathError {
    pub path: String,
    pub at: usize,
    pub problem: &'static str,
}

impl KeyPath {
    /// Reads a path as people type it. The empty text is the root.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { text, at: 0 };
        if text.len() > PATH_BYTES_MAX {
            return Err(reader.error("it is too long"));
        }
        let mut steps = Vec::new();
        while reader.at < text.len() {
            if reader.eat('[') {
                steps.push(reader.bracket()?);
            } else {
                if !steps.is_empty() && !reader.eat('.') {
                    return Err(reader.error("expected '.' or '['"));
                }
                steps.push(Step::Key(reader.word()?));
            }
        }
        Ok(Self(steps))
    }

    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The value at this path; a numeric key also names a list position.
    #[must_use]
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0
            .iter()
            .try_fold(document, |value, step| match (step, value) {
                (Step::Key(key), Value::Object(members)) => members.get(key),
                (Step::Key(key), Value::Array(items)) => items.get(key.parse::<usize>().ok()?),
                (Step::Index(index), Value::Array(items)) => items.get(*index),
                _ => None,
            })
    }

    /// The keys on the way, list positions left out.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect()
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => {
                    write!(f, "[{}]", Value::String(key.clone()))?;
                }
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// True for keys that stand in a dotted path as they are.
pub(crate) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_word)
}

fn is_word(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '"' | '\'' | '\\') && !c.is_whitespace() && !c.is_control()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn word(&mut self) -> Result<String, PathError> {
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error("expected a key"));
        }
        let word = rest[..end].to_owned();
        self.at += end;
        Ok(word)
    }

    /// What stands between brackets: a position or a quoted key.
    fn bracket(&mut self) -> Result<Step, PathError> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let step = if let Some(quote) = quote {
            let end = closing_quote(rest, quote).ok_or_else(|| self.error("the quote is open"))?;
            let key = crate::document::text_literal(&rest[..=end])
                .ok_or_else(|| self.error("the quoted key has a bad escape"))?;
            self.at += end + 1;
            Step::Key(key)
        } else {
            let end = rest
                .find(']')
                .ok_or_else(|| self.error("the bracket is open"))?;
            let index = rest[..end]
                .parse()
                .map_err(|_| self.error("expected a list position or a quoted key"))?;
            self.at += end;
            Step::Index(index)
        };
        if self.eat(']') {
            Ok(step)
        } else {
            Err(self.error("the bracket is open"))
        }
    }

    fn error(&self, problem: &'static str) -> PathError {
        PathError {
            path: self.text.chars().take(200).collect(),
            at: self.text[..self.at].chars().count() + 1,
            problem,
        }
    }
}

fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}
