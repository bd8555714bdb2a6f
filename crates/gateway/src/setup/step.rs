//! What is asked, and what can be answered.

use instar_protocol::Secret;
use serde::Serialize;
use serde_json::Value;

use super::words::{Tongue, Words, filled};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// One question. Ids and option values are stable; the words are for people.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub id: &'static str,
    #[serde(rename = "type")]
    pub kind: StepKind,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the last answer to this question did not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// What is taken if nothing is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// The answer is a secret: it is not shown while it is typed, and never given back.
    pub sensitive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    Confirm,
    Select,
    Text,
}

/// One option of a [`StepKind::Select`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub value: String,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Yes(bool),
    /// A text, or the value of an option.
    Text(String),
    Secret(Secret),
}

/// Why an answer does not do, for the person who gave it. Shown as it is, it is English.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.told(Tongue::English))]
pub struct Refused {
    row: fn(&Words) -> &'static str,
    name: String,
}

impl Refused {
    /// Named by its row in the catalogue.
    #[must_use]
    pub fn new(row: fn(&Words) -> &'static str) -> Self {
        Self::about(row, "")
    }

    /// With the name that the row speaks of.
    #[must_use]
    pub fn about(row: fn(&Words) -> &'static str, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { row, name }
    }

    /// In this language.
    #[must_use]
    pub fn told(&self, tongue: Tongue) -> String {
        filled((self.row)(tongue.words()), &self.name)
    }
}

impl Step {
    pub(crate) fn confirm(id: &'static str, title: &str, initially: bool) -> Self {
        Self {
            initial_value: Some(Value::Bool(initially)),
            ..Self::of(id, StepKind::Confirm, title)
        }
    }

    pub(crate) fn select(id: &'static str, title: &str, options: Vec<Choice>) -> Self {
        let first = options.first().map(|one| Value::String(one.value.clone()));
        Self {
            initial_value: first,
            options,
            ..Self::of(id, StepKind::Select, title)
        }
    }

    pub(crate) fn text(id: &'static str, title: &str) -> Self {
        Self::of(id, StepKind::Text, title)
    }

    pub(crate) fn secret(id: &'static str, title: &str) -> Self {
        Self {
            sensitive: true,
            ..Self::text(id, title)
        }
    }

    #[must_use]
    pub(crate) fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    #[must_use]
    pub(crate) fn initially(mut self, value: impl Into<Value>) -> Self {
        self.initial_value = Some(value.into());
        self
    }

    #[must_use]
    pub(crate) fn like(mut self, placeholder: &str) -> Self {
        self.placeholder = Some(placeholder.to_owned());
        self
    }

    fn of(id: &'static str, kind: StepKind, title: &str) -> Self {
        Self {
            id,
            kind,
            title: title.to_owned(),
            message: None,
            problem: None,
            options: Vec::new(),
            initial_value: None,
            placeholder: None,
            sensitive: false,
        }
    }

    /// Reads an answer that came as JSON; nothing means what the step suggests.
    pub fn answer(&self, value: Option<Value>) -> Result<Answer, Refused> {
        let value = value.or_else(|| self.initial_value.clone());
        match (self.kind, value) {
            (StepKind::Confirm, Some(Value::Bool(yes))) => Ok(Answer::Yes(yes)),
            (StepKind::Confirm, _) => Err(Refused::new(|w| w.yes_or_no)),
            (StepKind::Select | StepKind::Text, Some(Value::String(text))) => self.typed(text),
            (StepKind::Text, None) => self.typed(String::new()),
            (StepKind::Select | StepKind::Text, _) => Err(Refused::new(|w| w.a_text)),
        }
    }

    /// Reads an answer that was typed.
    pub fn typed(&self, text: String) -> Result<Answer, Refused> {
        if text.len() > ANSWER_BYTES_MAX {
            return Err(Refused::new(|w| w.too_long));
        }
        if self.sensitive {
            return Ok(Answer::Secret(Secret::new(text)));
        }
        if self.kind == StepKind::Select && !self.options.iter().any(|one| one.value == text) {
            return Err(Refused::new(|w| w.one_option));
        }
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(Refused::new(|w| w.one_line));
        }
        Ok(Answer::Text(text.to_owned()))
    }
}

impl Choice {
    pub(crate) fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
            hint: None,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
