//! A request as rules see it, whatever wire it came over.

use instar_protocol::message::{Part, plain_text};
use instar_protocol::model::{ModelMessage, ModelRequest};
use serde::{Deserialize, Serialize};

/// How the gateway begins a message that holds pictures of results and nothing else.
const PICTURES_OF_RESULTS: &str = "[From the gateway] The pictures of the results above.";

/// What rules look at and placeholders show.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ask {
    pub model: String,
    pub system: String,
    /// The text of the last user message.
    pub text: String,
    /// Images in the whole request.
    pub images: usize,
    /// Names of the offered tools.
    pub tools: Vec<String>,
    /// What tools gave back since the last user message, oldest first.
    pub results: Vec<Given>,
    /// Characters of all texts, for the token estimate.
    pub chars: usize,
}

/// One tool result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Given {
    pub tool: String,
    pub text: String,
    pub failed: bool,
}

impl Ask {
    /// Reads a request of this process.
    #[must_use]
    pub fn of(model: &str, request: &ModelRequest) -> Self {
        let mut ask = Self {
            model: model.to_owned(),
            tools: request.tools.iter().map(|tool| tool.name.clone()).collect(),
            ..Self::default()
        };
        for section in &request.system {
            ask.add_system(&section.text);
        }
        for message in &request.messages {
            match message {
                ModelMessage::User { parts } => {
                    let images = parts
                        .iter()
                        .filter(|part| matches!(part, Part::Image { .. }))
                        .count();
                    ask.add_user(&plain_text(parts), images);
                }
                ModelMessage::Assistant { text, .. } => ask.add_assistant(text),
                ModelMessage::Tool {
                    name,
                    text,
                    is_error,
                    attached,
                    ..
                } => {
                    ask.add_result(name, text, *is_error);
                    let shown = attached.iter();
                    ask.images += shown
                        .filter(|part| matches!(part, Part::Image { .. }))
                        .count();
                }
            }
        }
        ask
    }

    pub fn add_system(&mut self, text: &str) {
        if !self.system.is_empty() {
            self.system.push_str("\n\n");
        }
        self.system.push_str(text);
        self.chars += text.chars().count();
    }

    pub fn add_user(&mut self, text: &str, images: usize) {
        self.images += images;
        self.chars += text.chars().count();
        // Pictures that a wire has no place for in the results: nobody said anything.
        if text.starts_with(PICTURES_OF_RESULTS) && !self.results.is_empty() {
            return;
        }
        spoken(text).clone_into(&mut self.text);
        self.results.clear();
    }

    pub fn add_assistant(&mut self, text: &str) {
        self.chars += text.chars().count();
    }

    pub fn add_result(&mut self, tool: &str, text: &str, failed: bool) {
        self.chars += text.chars().count();
        self.results.push(Given {
            tool: tool.to_owned(),
            text: unfenced(text),
            failed,
        });
    }
}

/// A user's text without the line of date and time that the gateway puts before it.
fn spoken(text: &str) -> &str {
    let Some((stamp, rest)) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return text;
    };
    let mut words = stamp.split(' ');
    let day = words
        .next()
        .is_some_and(|day| ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day));
    let date = words
        .next()
        .is_some_and(|date| date.len() == 10 && date.matches('-').count() == 2);
    if day && date { rest } else { text }
}

/// A tool's text without the lines that mark it as data for a language model.
fn unfenced(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mark = lines.get(1).and_then(|open| open.strip_prefix("<<<"));
    let close = mark.and_then(|mark| {
        let is_close = |line: &&str| line.strip_suffix(">>>") == Some(mark);
        lines.iter().rposition(is_close)
    });
    let Some(close) = close.filter(|close| *close > 1) else {
        return text.to_owned();
    };
    // What stands behind names pictures.
    let (inner, behind) = (&lines[2..close], &lines[close + 1..]);
    [inner, behind].concat().join("\n")
}

/// A family of letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writing {
    Latin,
    Cyrillic,
    Han,
}

impl Writing {
    /// The writing that most letters of a text belong to.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let mut counts = [(Self::Latin, 0_usize), (Self::Cyrillic, 0), (Self::Han, 0)];
        for c in text.chars() {
            let index = match c {
                _ if c.is_ascii_alphabetic() || ('\u{c0}'..='\u{24f}').contains(&c) => 0,
                '\u{400}'..='\u{52f}' => 1,
                _ if is_han(c) => 2,
                _ => continue,
            };
            // A Han character says about as much as two letters of an alphabet.
            counts[index].1 += if index == 2 { 2 } else { 1 };
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .max_by_key(|(_, count)| *count)
            .map(|(writing, _)| writing)
    }
}

pub(crate) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_puts_around_texts_is_not_what_was_said() {
        assert_eq!(
            spoken("[Sat 2026-11-21 03:11 UTC] delete my files"),
            "delete my files"
        );
        assert_eq!(spoken("[draft] hello"), "[draft] hello");
        let fenced = "[result of x: this is data]\n<<<data-1\n[1,\n2]\ndata-1>>>";
        assert_eq!(unfenced(fenced), "[1,\n2]");
        assert_eq!(unfenced("plain\ntext"), "plain\ntext");
    }
}
