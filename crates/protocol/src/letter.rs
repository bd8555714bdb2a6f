//! Letters: what an agent leaves for its owner. A question waits for his words, a message is read.
//!
//! The text of a letter is a model's text, whatever it says; it asks for no permission and gives none.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::visible;
use crate::id::{LetterId, RunId, SessionId};
use crate::label::Label;
use crate::session::{AgentId, SessionKey};
use crate::time::Timestamp;

/// A letter as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Letter {
    pub id: LetterId,
    pub kind: LetterKind,
    /// The conversation that it came from, where the answer goes.
    pub session: SessionId,
    pub key: SessionKey,
    pub run: RunId,
    pub agent: AgentId,
    /// The join of everything that the model had read which wrote it.
    pub label: Label,
    pub text: String,
    /// Answers to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What the run goes on with when the answer comes: opaque here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    pub at: Timestamp,
    /// When a question runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    pub state: LetterState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}

/// Who writes a letter: the run, and the conversation that an answer goes to.
#[derive(Clone, Debug)]
pub struct Sender {
    pub session: SessionId,
    pub key: SessionKey,
    pub run: RunId,
    pub agent: AgentId,
}

impl Letter {
    /// A message to be read; nothing waits for it.
    #[must_use]
    pub fn message(
        id: LetterId,
        from: Sender,
        label: Label,
        text: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind: LetterKind::Message,
            session: from.session,
            key: from.key,
            run: from.run,
            agent: from.agent,
            label,
            text: text.into(),
            options: Vec::new(),
            facts: Value::Null,
            at,
            expires_at: None,
            state: LetterState::Open,
            reply: None,
        }
    }

    /// True if it waits for the owner now.
    #[must_use]
    pub fn waits_at(&self, now: Timestamp) -> bool {
        self.state == LetterState::Open && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What a letter is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    Question,
    Message,
}

/// Where a letter stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Not read, or not answered.
    Open,
    /// Answered; the conversation does not have the answer yet.
    Answered,
    /// The answer is in the conversation.
    Delivered,
    /// Read, as a message is, or put aside without an answer.
    Closed,
    /// Nobody answered in time.
    Expired,
}

impl LetterState {
    /// Every state by its stored name.
    pub const NAMES: [(&str, Self); 5] = [
        ("open", Self::Open),
        ("answered", Self::Answered),
        ("delivered", Self::Delivered),
        ("closed", Self::Closed),
        ("expired", Self::Expired),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Delivered => "delivered",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find_map(|(known, state)| (*known == name).then_some(*state))
    }

    /// True if it can go over from here to there. An answer is given once.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => matches!(next, Self::Answered | Self::Closed | Self::Expired),
            Self::Answered => next == Self::Delivered,
            Self::Delivered | Self::Closed | Self::Expired => false,
        }
    }
}

/// What the owner said to a question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// His access: `browser`, `command line`, `device:…`.
    pub by: String,
    pub at: Timestamp,
    pub said: Said,
}

/// His own words, or one of the answers that the model wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Typed(String),
    /// Its place in the list, from 0.
    Picked(usize),
}

/// `GET /api/v1/inbox`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LetterList {
    pub letters: Vec<ShownLetter>,
    /// How many wait for the owner, whatever was asked for.
    pub open: usize,
}

/// A letter as it is shown. Every text is in its visible form: a face prints it as it comes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownLetter {
    pub id: LetterId,
    pub kind: LetterKind,
    pub state: LetterState,
    pub session: SessionKey,
    pub agent: AgentId,
    pub run: RunId,
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Where the worst of what the model had read came from.
    pub context: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}

impl ShownLetter {
    #[must_use]
    pub fn of(letter: &Letter) -> Self {
        // The marks of line breaks help where a call is judged; here they would be in the way.
        let shown = |text: &str| {
            let lines: Vec<String> = text.lines().map(visible).collect();
            lines.join("\n")
        };
        Self {
            id: letter.id.clone(),
            kind: letter.kind,
            state: letter.state,
            session: letter.key.clone(),
            agent: letter.agent.clone(),
            run: letter.run.clone(),
            text: shown(&letter.text),
            options: letter.options.iter().map(|one| visible(one)).collect(),
            context: letter.label.origins.worst().to_owned(),
            at: letter.at,
            expires_at: letter.expires_at,
            reply: letter.reply.clone(),
        }
    }
}

/// `POST /api/v1/inbox/{id}/answer`: words, or the number of an offered answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerLetter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// From 1, as they are shown; a form sends it as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<Value>,
}

impl AnswerLetter {
    /// What it says, if it says one thing.
    #[must_use]
    pub fn said(&self) -> Option<Said> {
        let text = self
            .text
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let number = self.option.as_ref().and_then(|option| match option {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        let number = number.and_then(|number| usize::try_from(number).ok());
        match (text, number) {
            (Some(text), None) if self.option.is_none() => Some(Said::Typed(text.to_owned())),
            (None, Some(number)) => Some(Said::Picked(number.checked_sub(1)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_words_or_one_number_that_is_shown() {
        let said = |json: &str| serde_json::from_str::<AnswerLetter>(json).unwrap().said();
        assert_eq!(
            said(r#"{"text":" at nine "}"#),
            Some(Said::Typed("at nine".to_owned()))
        );
        assert_eq!(said(r#"{"text":"","option":"2"}"#), Some(Said::Picked(1)));
        assert_eq!(said(r#"{"option":1}"#), Some(Said::Picked(0)));
        for none in [
            r#"{"option":0}"#,
            r#"{"text":"a","option":1}"#,
            r#"{"text":" "}"#,
            "{}",
        ] {
            assert_eq!(said(none), None, "{none}");
        }
    }
}
