//! `ask_owner` and `message`: what the model has to say to its owner, or to ask him.
//!
//! The port is the owner's inbox, the one place that every house has. Channels that reach other
//! people are ports of the same kind; none is there yet, and a recipient who cannot be reached is
//! refused before anybody is asked about him.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::{Annotation, Kind, OWNER, OWNERS_INBOX, Reach, SlotRole};
use instar_protocol::tool::{Effect, ToolSpec};
use instar_protocol::{Label, LetterId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::annotate::slots;
use crate::plain::{Plain, Running, spec, text};
use crate::tool::{Caller, Output, Tool, ToolError};

const TEXT_CHARS_MAX: u64 = 4_000;
const QUESTION_CHARS_MAX: u64 = 1_000;
const OPTION_CHARS_MAX: u64 = 120;
const OPTIONS_MAX: u64 = 6;

/// The owner's inbox; supplied by the gateway.
pub trait OwnerPort: Send + Sync + fmt::Debug {
    /// Leaves a question. The run may wait for the answer, which comes as a message.
    fn ask<'a>(
        &'a self,
        caller: &'a Caller,
        question: &'a str,
        options: &'a [String],
    ) -> BoxFuture<'a, Result<LetterId, ToolError>>;

    /// Leaves a message.
    fn tell<'a>(
        &'a self,
        caller: &'a Caller,
        text: &'a str,
    ) -> BoxFuture<'a, Result<LetterId, ToolError>>;
}

/// The tools over the owner's inbox.
#[must_use]
pub fn tools(owner: &Arc<dyn OwnerPort>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(ask_owner(Arc::clone(owner))),
        Arc::new(Message::new(Arc::clone(owner))),
    ]
}

fn ask_owner(owner: Arc<dyn OwnerPort>) -> Plain<dyn OwnerPort> {
    Plain {
        spec: spec(
            "ask_owner",
            "Asks the owner a question that only he can answer, in your own words, with answers to choose \
             from if you like. Ask rarely, one thing at a time. It permits nothing: calls that need his \
             permission ask by themselves.",
            &json!({
                "question": { "type": "string", "minLength": 1, "maxLength": QUESTION_CHARS_MAX },
                "options": { "type": "array", "maxItems": OPTIONS_MAX,
                    "items": { "type": "string", "minLength": 1, "maxLength": OPTION_CHARS_MAX },
                    "description": "Answers that he can pick; he can always write another." },
            }),
            &["question"],
        ),
        // It reaches the owner alone and changes nothing.
        annotation: Annotation {
            effect: Effect::None,
            connector: OWNERS_INBOX.to_owned(),
            slots: slots(&[
                ("question", SlotRole::Payload, Kind::Text),
                ("options", SlotRole::Payload, Kind::Text),
            ]),
            ..Annotation::reads(Label::system())
        },
        port: owner,
        run: |owner, arguments, caller| {
            async move {
                let question = text(arguments, "question").unwrap_or_default().trim();
                let options: Vec<String> = arguments
                    .get("options")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|option| option.as_str().map(|text| text.trim().to_owned()))
                    .collect();
                let is_said = |one: &str| !one.is_empty();
                let apart: BTreeSet<&String> = options.iter().collect();
                if !is_said(question)
                    || !options.iter().all(|one| is_said(one))
                    || apart.len() < options.len()
                {
                    let why = "question and options: words are needed, and no option twice";
                    return Err(ToolError::Arguments(why.to_owned()));
                }
                let id = owner.ask(caller, question, &options).await?;
                Ok(Output::structured(
                    json!({ "question": id }),
                    Label::system(),
                ))
            }
            .boxed()
        },
    }
}

/// `message`: to somebody by name.
#[derive(Debug)]
struct Message {
    spec: ToolSpec,
    owner: Arc<dyn OwnerPort>,
}

impl Message {
    fn new(owner: Arc<dyn OwnerPort>) -> Self {
        Self {
            spec: spec(
                "message",
                "Leaves a message for the owner in his inbox, beside the conversation. No channel to other \
                 people is configured.",
                &json!({
                    "to": { "type": "string", "minLength": 1, "maxLength": 200,
                        "description": "owner" },
                    "text": { "type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX },
                }),
                &["to", "text"],
            ),
            owner,
        }
    }
}

/// Why nobody can be reached under a name; `None` for the owner.
fn unreachable(to: &str) -> Option<String> {
    (to != OWNER).then(|| {
        format!(
            "nobody can be reached as {to:?}: no channel is configured. The one recipient is {OWNER:?}"
        )
    })
}

impl Tool for Message {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        Annotation {
            effect: Effect::Send,
            reach: Reach::Own,
            connector: OWNERS_INBOX.to_owned(),
            slots: slots(&[
                ("to", SlotRole::Who, Kind::Account),
                ("text", SlotRole::Payload, Kind::Text),
            ]),
            ..Annotation::reads(Label::system())
        }
    }

    fn environment<'a>(
        &'a self,
        arguments: &'a Value,
        _caller: &'a Caller,
    ) -> BoxFuture<'a, Value> {
        let why = unreachable(text(arguments, "to").unwrap_or_default());
        let value = why.map_or(Value::Null, |why| json!({ "cannot": why }));
        Box::pin(std::future::ready(value))
    }

    fn run<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> Running<'a> {
        async move {
            if let Some(why) = unreachable(text(arguments, "to").unwrap_or_default()) {
                return Err(ToolError::Failed(why));
            }
            let said = text(arguments, "text").unwrap_or_default();
            let id = self.owner.tell(caller, said).await?;
            Ok(Output::system(format!(
                "it is in the owner's inbox as {id}"
            )))
        }
        .boxed()
    }
}
