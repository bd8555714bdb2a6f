//! The tool trait, what it is given, what it gives back, and the port of the session tools.

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::tool::ToolSpec;
use instar_protocol::{AgentId, Label, Principal, ReleaseId, RunId, SessionId, SessionKey};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::builtin::SkillsPort;
use crate::picture::Picture;

/// Who is calling, for the tool's own use. Says nothing about what is allowed.
#[derive(Clone, Debug)]
pub struct Caller {
    pub agent: AgentId,
    pub session: SessionId,
    /// The key of that session. It may be stored nowhere yet: a turn is stored when it ends.
    pub key: SessionKey,
    pub run: RunId,
    pub principal: Principal,
    /// The join of everything the model had in its context when it asked: who wrote the arguments.
    /// The toolbox takes it from the permit, whatever stood here before.
    pub context: Label,
    /// Where a candidate serves the run, its rollout and its release: what is noted waits for the verdict.
    pub overlay: Option<(String, ReleaseId)>,
    /// The skills of the release that serves the turn.
    pub skills: Option<Arc<dyn SkillsPort>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// What the model reads.
    pub text: String,
    /// The same in its structure, for the evidence that policy reads.
    pub value: Option<Value>,
    pub label: Label,
    pub is_error: bool,
    /// What the model is shown beside the text, where it takes pictures.
    pub pictures: Vec<Picture>,
}

impl Output {
    /// A result in words.
    #[must_use]
    pub fn words(text: impl Into<String>, label: Label) -> Self {
        Self {
            text: text.into(),
            value: None,
            label,
            is_error: false,
            pictures: Vec::new(),
        }
    }

    /// A structured result. The model reads its JSON.
    #[must_use]
    pub fn structured(value: Value, label: Label) -> Self {
        Self {
            text: value.to_string(),
            value: Some(value),
            label,
            is_error: false,
            pictures: Vec::new(),
        }
    }

    /// The machine's own words.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::words(text, Label::system())
    }

    /// The same with a picture that goes along.
    #[must_use]
    pub fn with_picture(mut self, picture: Picture) -> Self {
        self.pictures.push(picture);
        self
    }

    /// Words for the model, and the same in its structure.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = Some(value);
        self
    }
}

/// A tool's failure, worded for the model: short, actionable, no secrets.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("bad arguments: {0}")]
    Arguments(String),
    #[error("{0}")]
    Failed(String),
}

/// Something the agent can do. Built-ins and adapters implement it; only
/// [`crate::Toolbox::run`] calls `run`.
///
/// The arguments that `run` is given fit the schema of `spec`. Dropping the future of a call must
/// be harmless for effects up to reading: that is how a deadline or a stopped turn ends it.
pub trait Tool: Send + Sync + std::fmt::Debug {
    fn spec(&self) -> &ToolSpec;
    fn annotation(&self) -> Annotation;
    /// What a call would run in, where that is part of what is judged: an executable by its content,
    /// a folder. It is asked for before the decision, and again before the call runs.
    fn environment<'a>(
        &'a self,
        _arguments: &'a Value,
        _caller: &'a Caller,
    ) -> BoxFuture<'a, Value> {
        Box::pin(std::future::ready(Value::Null))
    }
    /// How long a call may take, where that is more than what others may.
    fn patience(&self) -> Option<Duration> {
        None
    }
    /// A conversation was stopped, or started over: what its calls left running ends now.
    fn over(&self, _session: &SessionKey) {}
    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>>;
}

/// What the session tools need from the house; supplied by the gateway.
pub trait SessionsPort: Send + Sync + std::fmt::Debug {
    /// Facts that the gateway itself assigned: ids, times, counters, model. No free text.
    fn status<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<Value, ToolError>>;
    /// Sessions of this agent, newest first. Titles are free text.
    fn list<'a>(
        &'a self,
        agent: &'a AgentId,
        limit: usize,
        search: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Value, ToolError>>;
    /// Rows of text with their labels joined. `key` is a full session key.
    fn history<'a>(
        &'a self,
        agent: &'a AgentId,
        key: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>>;
    /// Passages of the caller's own agent that hold some of the words, the best fit first, with their
    /// labels joined.
    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        words: &'a [String],
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>>;
}
