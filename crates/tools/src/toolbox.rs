//! The tools of this process and the one function that runs them.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Permit};
use instar_protocol::Label;
use instar_protocol::tool::{ToolCall, ToolSpec};
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crate::builtin;
use crate::output::{OUTPUT_CHARS_MAX, bound};
use crate::schema::{Schema, SchemaError};
use crate::tool::{Caller, Output, SessionsPort, Tool, ToolError};

/// How long a tool may run if the toolbox was not told otherwise.
pub const TOOL_TIMEOUT: Duration = Duration::from_secs(60);

/// The tools of this process, by name. Late registration is fine: policy is asked at dispatch.
#[derive(Debug)]
pub struct Toolbox {
    tools: BTreeMap<String, Registered>,
    timeout: Duration,
}

#[derive(Debug)]
struct Registered {
    tool: Arc<dyn Tool>,
    schema: Schema,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegisterError {
    #[error("there is a tool {0} already")]
    Duplicate(String),
    #[error("the tool {name} has arguments that cannot be checked")]
    Schema {
        name: String,
        #[source]
        source: SchemaError,
    },
}

impl Default for Toolbox {
    fn default() -> Self {
        Self {
            tools: BTreeMap::new(),
            timeout: TOOL_TIMEOUT,
        }
    }
}

impl Toolbox {
    /// The built-in tools over their ports.
    #[must_use]
    pub fn built_in(sessions: Arc<dyn SessionsPort>) -> Self {
        let mut toolbox = Self::default();
        for tool in builtin::all(sessions) {
            #[expect(
                clippy::expect_used,
                reason = "the specs are constants of this crate, and a test registers them"
            )]
            toolbox
                .register(tool)
                .expect("built-in tools have distinct names and schemas that can be checked");
        }
        toolbox
    }

    /// The same tools with another deadline for each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Adds a tool. One whose arguments could not be checked in full is refused.
    pub fn register(&mut self, tool: Arc<dyn Tool>) -> Result<(), RegisterError> {
        let name = tool.spec().name.clone();
        if self.tools.contains_key(&name) {
            return Err(RegisterError::Duplicate(name));
        }
        let schema = match Schema::read(&tool.spec().parameters) {
            Ok(schema) => schema,
            Err(source) => return Err(RegisterError::Schema { name, source }),
        };
        self.tools.insert(name, Registered { tool, schema });
        Ok(())
    }

    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.values().map(|registered| registered.tool.spec())
    }

    /// What the tools say of themselves, for the authority of a behaviour.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, Annotation> {
        self.tools
            .iter()
            .map(|(name, registered)| (name.clone(), registered.tool.annotation()))
            .collect()
    }

    /// What a call would run in, as its tool says; nothing for a tool that is not here.
    pub async fn environment(&self, call: &ToolCall, caller: &Caller) -> Value {
        match self.tools.get(&call.name) {
            Some(registered) => registered.tool.environment(&call.arguments, caller).await,
            None => Value::Null,
        }
    }

    /// Runs an authorised call: checks the arguments against the schema, bounds the output, joins
    /// labels. The only way to a tool. Consumes the permit.
    ///
    /// A failure, a panic and a missed deadline are outputs too: the model is told in a sentence.
    pub async fn run(&self, permit: Permit, caller: &Caller) -> Output {
        let (result, label) = match self.attempt(&permit, caller).await {
            Ok(output) => {
                let label = permit.output().join(&output.label);
                (Ok(output), label)
            }
            Err(err) => (Err(err), permit.output().clone()),
        };
        match result {
            Ok(output) => Output {
                value: output.value,
                ..finished(output.text, label, output.is_error)
            },
            Err(err) => finished(err.to_string(), label, true),
        }
    }

    async fn attempt(&self, permit: &Permit, caller: &Caller) -> Result<Output, ToolError> {
        let call = permit.call();
        let Some(registered) = self.tools.get(&call.name) else {
            return Err(ToolError::Failed(format!(
                "{} is not available at the moment; go on without it",
                call.name
            )));
        };
        // The permit was given for what the tool was when its release was made.
        if registered.tool.annotation().effect != permit.effect() {
            return Err(ToolError::Failed(format!(
                "{} is not what it was when it was allowed; go on without it",
                call.name
            )));
        }
        registered
            .schema
            .check(&call.arguments)
            .map_err(ToolError::Arguments)?;
        if self.environment(call, caller).await != *permit.environment() {
            return Err(ToolError::Failed(format!(
                "what {} would run in has changed since it was allowed; call it again",
                call.name
            )));
        }
        let running = AssertUnwindSafe(registered.tool.run(&call.arguments, caller)).catch_unwind();
        match tokio::time::timeout(self.timeout, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => {
                tracing::error!(tool = call.name, run = %caller.run, "tool panicked");
                Err(ToolError::Failed(format!(
                    "{} failed inside; do not call it again the same way",
                    call.name
                )))
            }
            Err(_elapsed) => Err(ToolError::Failed(format!(
                "{} took longer than {} s and was stopped; ask for less",
                call.name,
                self.timeout.as_secs()
            ))),
        }
    }
}

fn finished(text: String, label: Label, is_error: bool) -> Output {
    Output {
        text: bound(text, OUTPUT_CHARS_MAX),
        label,
        is_error,
        value: None,
    }
}
