//! Sentences for the prompt, from a closed set of templates with typed slots.
//!
//! No word of a lesson comes from anybody: the templates stand here, and what is filled in is a tool, an
//! argument or a number. So a lesson carries no instruction that was not written in this file.

use serde::{Deserialize, Serialize};

/// A lesson: which template, and what is filled in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lesson {
    ArgumentIs {
        tool: String,
        argument: String,
        shape: Shape,
    },
    ArgumentNeeded {
        tool: String,
        argument: String,
    },
    AtMost {
        tool: String,
        argument: String,
        most: u32,
    },
    NotTwiceTheSame {
        tool: String,
    },
    InsteadOf {
        tool: String,
        over: String,
    },
    LookFirst {
        tool: String,
        before: String,
    },
    PlainName {
        tool: String,
        argument: String,
    },
}

/// What an argument looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Number,
    Text,
    Switch,
    List,
    /// `2026-03-01`.
    Date,
}

impl Shape {
    fn words(self) -> &'static str {
        match self {
            Self::Number => "a plain number, without quotation marks",
            Self::Text => "a text, in quotation marks",
            Self::Switch => "true or false, without quotation marks",
            Self::List => "a list, also where it has one member",
            Self::Date => "a date like 2026-03-01",
        }
    }
}

impl Lesson {
    /// The sentence.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::ArgumentIs {
                tool,
                argument,
                shape,
            } => format!("In calls of {tool}, {argument} is {}.", shape.words()),
            Self::ArgumentNeeded { tool, argument } => {
                format!("A call of {tool} always needs {argument}.")
            }
            Self::AtMost {
                tool,
                argument,
                most,
            } => format!("Ask {tool} for at most {most} in {argument} at a time."),
            Self::NotTwiceTheSame { tool } => format!(
                "When {tool} has failed, do not call it again with the same arguments: change them, or say \
                 what you could not do."
            ),
            Self::InsteadOf { tool, over } => {
                format!("Use {tool} rather than {over} where both would do.")
            }
            Self::LookFirst { tool, before } => {
                format!("Call {tool} before {before}, and use what it says.")
            }
            Self::PlainName { tool, argument } => format!(
                "In calls of {tool}, write {argument} as it is: a space stays a space, without %20, \
                 backslashes or quotation marks."
            ),
        }
    }

    /// The tools that it names.
    #[must_use]
    pub fn tools(&self) -> Vec<&str> {
        match self {
            Self::ArgumentIs { tool, .. }
            | Self::ArgumentNeeded { tool, .. }
            | Self::AtMost { tool, .. }
            | Self::NotTwiceTheSame { tool }
            | Self::PlainName { tool, .. } => vec![tool],
            Self::InsteadOf { tool, over } => vec![tool, over],
            Self::LookFirst { tool, before } => vec![tool, before],
        }
    }

    pub(super) fn argument(&self) -> Option<&str> {
        match self {
            Self::ArgumentIs { argument, .. }
            | Self::ArgumentNeeded { argument, .. }
            | Self::AtMost { argument, .. }
            | Self::PlainName { argument, .. } => Some(argument),
            Self::NotTwiceTheSame { .. } | Self::InsteadOf { .. } | Self::LookFirst { .. } => None,
        }
    }
}
