//! What both endpoints make of a request: one conversation, its options, and the inbound message
//! that comes of them.

use instar_protocol::message::{Overrides, Preamble};
use instar_protocol::model::{Sampling, ToolChoice};
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_store::Store;

use super::names::Target;
use super::problem::Problem;
use crate::api::media::{Draft, store_drafts};

/// The most messages or items in one request.
pub(crate) const MESSAGES_MAX: usize = 2_000;

/// A request that was read and found sound; its attachments are not stored yet.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ask {
    /// The model name as the caller wrote it; answers repeat it.
    pub(crate) model: String,
    pub(crate) target: Target,
    pub(crate) user: Option<String>,
    pub(crate) stream: bool,
    pub(crate) messages: Vec<DraftMessage>,
    pub(crate) instructions: Option<String>,
    pub(crate) sampling: Sampling,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) tool_choice: ToolChoice,
}

/// One message of the caller's conversation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum DraftMessage {
    User(Vec<Draft>),
    Assistant {
        text: String,
        tool_calls: Vec<ToolCall>,
    },
    Tool {
        call_id: String,
        text: String,
    },
}

/// How much of the conversation the gateway remembers by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Memory {
    /// Nothing is stored yet: everything the caller sent counts.
    Fresh,
    /// The transcript is the history: only what is new counts.
    Stored,
}

/// The new message and what goes with it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Turn {
    /// Empty if the request hands in tool results and nothing else.
    pub(crate) parts: Vec<instar_protocol::message::Part>,
    pub(crate) overrides: Overrides,
}

impl Ask {
    /// Refuses a conversation that asks nothing.
    pub(crate) fn check(&self, param: &str) -> Result<(), Problem> {
        if self.messages.len() > MESSAGES_MAX {
            return Err(Problem::invalid(
                param,
                format!("at most {MESSAGES_MAX} messages are accepted"),
            ));
        }
        match self.messages.last() {
            Some(DraftMessage::User(parts)) if parts.iter().any(is_something) => Ok(()),
            Some(DraftMessage::User(_)) => {
                Err(Problem::invalid(param, "the last user message is empty"))
            }
            Some(DraftMessage::Tool { .. }) => Ok(()),
            Some(DraftMessage::Assistant { .. }) => Err(Problem::invalid(
                param,
                "the last message has to come from the user or be a tool result",
            )),
            None => Err(Problem::invalid(param, "a user message is missing")),
        }
    }

    /// Stores the attachments and splits the conversation into the new message and what came before.
    pub(crate) async fn into_turn(self, store: &Store, memory: Memory) -> Result<Turn, Problem> {
        let (earlier, new) = split(self.messages, memory);
        let mut preamble = Vec::with_capacity(earlier.len());
        for message in earlier {
            preamble.push(match message {
                DraftMessage::User(drafts) => Preamble::User {
                    parts: store_drafts(store, drafts)
                        .await
                        .map_err(|error| Problem::store(&error))?,
                },
                DraftMessage::Assistant { text, tool_calls } => {
                    Preamble::Assistant { text, tool_calls }
                }
                DraftMessage::Tool { call_id, text } => Preamble::Tool { call_id, text },
            });
        }
        let parts = store_drafts(store, new)
            .await
            .map_err(|error| Problem::store(&error))?;
        Ok(Turn {
            parts,
            overrides: Overrides {
                model: self.target.model,
                sampling: self.sampling,
                client_tools: self.tools,
                tool_choice: self.tool_choice,
                preamble,
                instructions: self.instructions,
                place: None,
                answers: None,
                approved: None,
                errand: None,
            },
        })
    }
}

/// The messages before, and the parts of the new user message (none if tool results come last).
fn split(mut messages: Vec<DraftMessage>, memory: Memory) -> (Vec<DraftMessage>, Vec<Draft>) {
    let new = match messages.last() {
        Some(DraftMessage::User(_)) => match messages.pop() {
            Some(DraftMessage::User(parts)) => parts,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    if memory == Memory::Stored {
        // What the caller repeats is in the transcript already; only tool results are news.
        let known = messages
            .iter()
            .rposition(|message| !matches!(message, DraftMessage::Tool { .. }))
            .map_or(0, |at| at + 1);
        messages.drain(..known);
    }
    (messages, new)
}

fn is_something(draft: &Draft) -> bool {
    match draft {
        Draft::Text(text) => !text.trim().is_empty(),
        Draft::Image { .. } | Draft::File { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> DraftMessage {
        DraftMessage::User(vec![Draft::Text(text.to_owned())])
    }

    fn assistant() -> DraftMessage {
        DraftMessage::Assistant {
            text: "yes".to_owned(),
            tool_calls: Vec::new(),
        }
    }

    fn tool(call_id: &str) -> DraftMessage {
        DraftMessage::Tool {
            call_id: call_id.to_owned(),
            text: "42".to_owned(),
        }
    }

    #[test]
    fn a_fresh_conversation_keeps_everything_that_came_before() {
        let (before, new) = split(vec![user("a"), assistant(), user("b")], Memory::Fresh);
        assert_eq!(before, vec![user("a"), assistant()]);
        assert_eq!(new, vec![Draft::Text("b".to_owned())]);
    }

    #[test]
    fn a_stored_conversation_takes_only_what_is_new() {
        let (before, new) = split(vec![user("a"), assistant(), user("b")], Memory::Stored);
        assert_eq!(before, vec![]);
        assert_eq!(new, vec![Draft::Text("b".to_owned())]);

        let handed = vec![user("a"), assistant(), tool("1"), tool("2")];
        let (before, new) = split(handed.clone(), Memory::Stored);
        assert_eq!(before, vec![tool("1"), tool("2")]);
        assert!(new.is_empty());
        assert_eq!(split(handed.clone(), Memory::Fresh).0, handed);
    }
}
