//! `sessions_send` and `sessions_spawn`: a word to another conversation of the agent's, and a task for
//! a sub-agent. Neither gives away more than the run itself has; that is held where the message is made.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::{Annotation, Kind, Reach, SlotRole};
use instar_protocol::session::KEY_BYTES_MAX;
use instar_protocol::tool::Effect;
use instar_protocol::{Label, SessionKey};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::sessions_history::own_key;
use crate::annotate::{own, slots};
use crate::plain::{Plain, number, spec, text};
use crate::tool::{Caller, Output, ToolError};

/// The longest that a call waits for the answer, in seconds: below the deadline of a tool.
pub(crate) const WAIT_SECONDS_MAX: usize = 50;
const WAIT_SECONDS_DEFAULT: usize = 30;
const TEXT_CHARS_MAX: usize = 20_000;
const TITLE_CHARS_MAX: usize = 80;
const TOOLS_MAX: usize = 64;

/// A task for a sub-agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub text: String,
    pub title: Option<String>,
    /// The only tools it may use: names, groups, names with `*`. Never more than the run has itself.
    pub tools: Option<Vec<String>>,
    pub model: Option<String>,
}

/// What became of a message to another conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub session: SessionKey,
    /// What was answered within the time, with the label of everything that its writer had read.
    pub answer: Option<(String, Label)>,
    /// What the model is told beside it.
    pub note: String,
}

/// The other conversations of an agent, for tools; supplied by the house.
pub trait ErrandsPort: Send + Sync + fmt::Debug {
    /// Says something in another conversation of this agent.
    fn send<'a>(
        &'a self,
        caller: &'a Caller,
        to: &'a SessionKey,
        text: &'a str,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Sent, ToolError>>;

    /// Opens a conversation under this one and gives it a task.
    fn spawn<'a>(
        &'a self,
        caller: &'a Caller,
        task: Task,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Sent, ToolError>>;
}

pub(crate) fn send(port: Arc<dyn ErrandsPort>) -> Plain<dyn ErrandsPort> {
    Plain {
        spec: spec(
            "sessions_send",
            "Says something in another of your conversations and waits for what you answer there. It runs \
             with no more rights than this conversation has.",
            &json!({
                "session": { "type": "string", "minLength": 1, "maxLength": KEY_BYTES_MAX,
                    "description": "The key as sessions_list shows it, or main." },
                "text": { "type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX },
                "waitSeconds": wait_schema("0 does not wait"),
            }),
            &["session", "text"],
        ),
        annotation: Annotation {
            effect: Effect::Send,
            reach: Reach::Own,
            connector: "sessions".to_owned(),
            slots: slots(&[
                ("session", SlotRole::Where, Kind::Channel),
                ("text", SlotRole::Payload, Kind::Text),
                ("waitSeconds", SlotRole::Plain, Kind::Number),
            ]),
            ..Annotation::reads(own())
        },
        port,
        run: |port, arguments, caller| {
            async move {
                let to = own_key(arguments, &caller.agent)?;
                let words = text(arguments, "text").unwrap_or_default();
                let sent = port
                    .send(caller, &to, words, wait(arguments, WAIT_SECONDS_DEFAULT))
                    .await?;
                Ok(told(sent))
            }
            .boxed()
        },
    }
}

pub(crate) fn spawn(port: Arc<dyn ErrandsPort>) -> Plain<dyn ErrandsPort> {
    Plain {
        spec: spec(
            "sessions_spawn",
            "Gives a task to a sub-agent: a conversation of its own with a fresh history, that knows only \
             the task. It has your tools or fewer, and its answer comes back as a message.",
            &json!({
                "task": { "type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX,
                    "description": "All that it needs to know." },
                "title": { "type": "string", "minLength": 1, "maxLength": TITLE_CHARS_MAX },
                "tools": { "type": "array", "maxItems": TOOLS_MAX,
                    "items": { "type": "string", "minLength": 1, "maxLength": 128 },
                    "description": "The only tools it may use; all of yours if left out." },
                "model": { "type": "string", "minLength": 1, "maxLength": 200,
                    "description": "One of the models that you may use." },
                "waitSeconds": wait_schema("0, as when left out, does not wait"),
            }),
            &["task"],
        ),
        // What the sub-agent does is judged call by call; beginning one can be taken back.
        annotation: Annotation {
            effect: Effect::Write,
            reach: Reach::Own,
            undoable: true,
            connector: "sessions".to_owned(),
            slots: slots(&[
                ("task", SlotRole::Payload, Kind::Text),
                ("title", SlotRole::Payload, Kind::Text),
                ("tools", SlotRole::Plain, Kind::Text),
                ("model", SlotRole::Plain, Kind::Text),
                ("waitSeconds", SlotRole::Plain, Kind::Number),
            ]),
            ..Annotation::reads(own())
        },
        port,
        run: |port, arguments, caller| {
            async move {
                let owned = |key| text(arguments, key).map(str::to_owned);
                let task = Task {
                    text: owned("task").unwrap_or_default(),
                    title: owned("title"),
                    tools: arguments.get("tools").map(names),
                    model: owned("model"),
                };
                Ok(told(port.spawn(caller, task, wait(arguments, 0)).await?))
            }
            .boxed()
        },
    }
}

fn wait_schema(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": WAIT_SECONDS_MAX,
        "description": format!("How long to wait for the answer; {about}.") })
}

fn wait(arguments: &Value, default: usize) -> Duration {
    let seconds = number(arguments, "waitSeconds", default).min(WAIT_SECONDS_MAX);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn names(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

fn told(sent: Sent) -> Output {
    let (answer, label) = match sent.answer {
        Some((answer, label)) => (Some(answer), label),
        None => (None, own()),
    };
    let mut value = json!({ "session": sent.session, "note": sent.note });
    if let Some(answer) = answer {
        value["answer"] = json!(answer);
    }
    Output::structured(value, label)
}
