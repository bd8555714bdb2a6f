//! Whether an answer is one that can be sent: what the house asks of every answer, and what its owner does.
//!
//! The house's own questions need no model and hold always. The owner's are looked at elsewhere, behind
//! [`AnswersPort`], and whoever looks is not told whose answers they are.

use futures_util::future::BoxFuture;
use instar_protocol::judge::Held;
use instar_protocol::model::StopReason;
use instar_protocol::{AgentId, Label, ReleaseId, SessionId};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// How models write calls of tools where they should have made them.
const CALLS: [&str; 7] = [
    "<tool_call",
    "<|tool_call",
    "<function_call",
    "<function=",
    "<invoke name=",
    "[TOOL_CALLS]",
    "<\u{ff5c}tool\u{2581}call",
];
/// What begins and ends a stretch of code, in which a call may well be shown.
const FENCE: &str = "```";

/// Some answers to one question, in an order that says nothing.
#[derive(Clone, Debug)]
pub struct Answers {
    pub agent: AgentId,
    pub question: String,
    pub texts: Vec<String>,
    /// Of all that they were made from.
    pub label: Label,
}

/// An answer of a candidate that nobody was sent.
#[derive(Clone, Debug)]
pub struct Unsent {
    pub release: ReleaseId,
    pub session: SessionId,
    pub text: String,
}

/// Looks at answers for the owner.
pub trait AnswersPort: Send + Sync + fmt::Debug {
    /// For each of them whether everything holds that its owner asks for; none where that could not be said.
    fn look(&self, answers: Answers) -> BoxFuture<'static, Vec<Held>>;

    /// Looks for what never stands in an answer of a sound release.
    fn watch(&self, answer: Unsent) -> BoxFuture<'static, ()>;
}

/// The port, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Judges(OnceLock<Arc<dyn AnswersPort>>);

impl Judges {
    pub(crate) fn connect(&self, port: Arc<dyn AnswersPort>) {
        // Who comes second changes nothing: there is one gateway.
        let _is_second = self.0.set(port).is_err();
    }

    pub(crate) async fn watch(&self, answer: Unsent) {
        if let Some(port) = self.0.get() {
            port.watch(answer).await;
        }
    }

    /// As the port says; where nobody asks for anything everything holds.
    pub(crate) async fn look(&self, answers: Answers) -> Vec<Held> {
        let count = answers.texts.len();
        let Some(port) = self.0.get() else {
            return vec![Held::sound(); count];
        };
        let mut said = port.look(answers).await;
        // Who says less than he was asked has said nothing of the rest.
        said.resize(count, Held::undecided("nothing was said of it"));
        said
    }
}

/// An answer with how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) stop: StopReason,
}

impl Answer {
    /// What is wrong with it, to anybody.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let text = self.text.trim();
        let is_cut = text.chars().next_back().is_some_and(char::is_alphanumeric);
        if text.is_empty() {
            Some("it is empty")
        } else if self.stop == StopReason::Length && is_cut {
            Some("it is cut off in a word")
        } else if is_call(text) {
            Some("it has the call of a tool as text")
        } else {
            None
        }
    }
}

fn is_call(text: &str) -> bool {
    // Every second stretch is code.
    let mut prose = text.split(FENCE).step_by(2);
    prose.any(|words| CALLS.iter().any(|call| words.contains(call)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wants_to_be_sent_is_found_and_the_rest_is_let_be() {
        let flaw = |text: &str, stop| {
            let text = text.to_owned();
            Answer { text, stop }.flaw()
        };
        for (text, stop, wrong) in [
            ("Fine.", StopReason::Stop, false),
            ("Fine", StopReason::Stop, false),
            (" \n", StopReason::Stop, true),
            ("It is a win", StopReason::Length, true),
            ("It is windy.", StopReason::Length, false),
            ("So: <tool_call>{}</tool_call>", StopReason::Stop, true),
            ("[TOOL_CALLS][{}]", StopReason::Stop, true),
            (
                "They write\n```\n<tool_call>{}</tool_call>\n```\nfor it.",
                StopReason::Stop,
                false,
            ),
            ("```\nx\n``` <function=read>", StopReason::Stop, true),
        ] {
            assert_eq!(flaw(text, stop).is_some(), wrong, "{text:?}");
        }
    }
}
