//! The [`Tool`] trait, the built-in tools and the one dispatch function that runs a permit.

use futures_util::future::BoxFuture;
use instar_policy::{Annotation, Permit};
use instar_protocol::tool::ToolSpec;
use instar_protocol::{AgentId, Label, Principal, RunId, SessionId};
use serde_json::Value;
use std::sync::Arc;

/// The most characters of a tool's output that go to the model in one piece.
pub const OUTPUT_CHARS_MAX: usize = 16_000;

/// Who is calling, for the tool's own use. Says nothing about what is allowed.
#[derive(Clone, Debug)]
pub struct Caller {
    pub agent: AgentId,
    pub session: SessionId,
    pub run: RunId,
    pub principal: Principal,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub text: String,
    pub label: Label,
    pub is_error: bool,
}

/// A tool's failure, worded for the model: short, actionable, no secrets.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("bad arguments: {0}")]
    Arguments(String),
    #[error("{0}")]
    Failed(String),
}

/// Something the agent can do. Built-ins and adapters implement it; only [`Toolbox::run`] calls `run`.
pub trait Tool: Send + Sync + std::fmt::Debug {
    fn spec(&self) -> &ToolSpec;
    fn annotation(&self) -> Annotation;
    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>>;
}

/// What the session tools need from the house; supplied by the gateway.
pub trait SessionsPort: Send + Sync + std::fmt::Debug {
    fn status<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<Value, ToolError>>;
    fn list<'a>(
        &'a self,
        agent: &'a AgentId,
        limit: usize,
        search: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Value, ToolError>>;
    /// Rows of text with their labels joined.
    fn history<'a>(
        &'a self,
        agent: &'a AgentId,
        key: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>>;
}

/// The tools of this process, by name. Late registration is fine: policy is asked at dispatch.
#[derive(Debug, Default)]
pub struct Toolbox {
    tools: std::collections::BTreeMap<String, Arc<dyn Tool>>,
}

#[expect(clippy::todo, reason = "interface first")]
impl Toolbox {
    /// The built-in tools over their ports.
    #[must_use]
    pub fn built_in(_sessions: Arc<dyn SessionsPort>) -> Self {
        todo!()
    }
    pub fn register(&mut self, _tool: Arc<dyn Tool>) {
        todo!()
    }
    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.values().map(|tool| tool.spec())
    }
    pub fn annotations(&self) -> std::collections::BTreeMap<String, Annotation> {
        todo!()
    }
    /// Runs an authorised call: checks the arguments against the schema, bounds the output, joins labels.
    /// The only way to a tool. Consumes the permit.
    pub async fn run(&self, _permit: Permit, _caller: &Caller) -> Output {
        todo!()
    }
}
