//! The tools of this process and the one function that runs them.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Permit};
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_protocol::{Label, SessionKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::builtin::{self, ErrandsPort};
use crate::output::{Bounds, OutputsPort, bound, is_long, keepable};
use crate::schema::{Schema, SchemaError};
use crate::tool::{Caller, Output, SessionsPort, Tool, ToolError};

/// How long a tool may run if the toolbox was not told otherwise.
pub const TOOL_TIMEOUT: Duration = Duration::from_secs(60);

/// The tools of this process, by name. Late registration is fine: policy is asked at dispatch.
#[derive(Debug)]
pub struct Toolbox {
    tools: RwLock<BTreeMap<String, Registered>>,
    timeout: Duration,
    outputs: Option<Arc<dyn OutputsPort>>,
}

#[derive(Clone, Debug)]
struct Registered {
    tool: Arc<dyn Tool>,
    spec: Arc<ToolSpec>,
    schema: Arc<Schema>,
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

impl Registered {
    fn read(tool: Arc<dyn Tool>) -> Result<Self, RegisterError> {
        match Schema::read(&tool.spec().parameters) {
            Ok(schema) => Ok(Self {
                spec: Arc::new(tool.spec().clone()),
                tool,
                schema: Arc::new(schema),
            }),
            Err(source) => Err(RegisterError::Schema {
                name: tool.spec().name.clone(),
                source,
            }),
        }
    }
}

impl Default for Toolbox {
    fn default() -> Self {
        Self {
            tools: RwLock::default(),
            timeout: TOOL_TIMEOUT,
            outputs: None,
        }
    }
}

impl Toolbox {
    /// The built-in tools over their ports.
    #[must_use]
    pub fn built_in(sessions: Arc<dyn SessionsPort>) -> Self {
        let toolbox = Self::default();
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

    /// Keeps what is too long for one piece there, with a tool to page through it.
    pub fn keep_outputs(&mut self, outputs: Arc<dyn OutputsPort>) -> Result<(), RegisterError> {
        self.register(Arc::new(builtin::output_page(Arc::clone(&outputs))))?;
        self.outputs = Some(outputs);
        Ok(())
    }

    /// Adds the tool that reads skills, where the built-in tools are not.
    pub fn read_skills(&self) -> Result<(), RegisterError> {
        self.register(builtin::skill())
    }

    /// Adds the tools that speak to other conversations of the agent's.
    pub fn run_errands(&self, errands: &Arc<dyn ErrandsPort>) -> Result<(), RegisterError> {
        self.register(Arc::new(builtin::sessions_send(Arc::clone(errands))))?;
        self.register(Arc::new(builtin::sessions_spawn(Arc::clone(errands))))
    }

    /// Adds a family of tools.
    pub fn extend(
        &self,
        tools: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Result<(), RegisterError> {
        tools.into_iter().try_for_each(|tool| self.register(tool))
    }

    /// Adds a tool. One whose arguments could not be checked in full is refused.
    pub fn register(&self, tool: Arc<dyn Tool>) -> Result<(), RegisterError> {
        let registered = Registered::read(tool)?;
        let name = registered.tool.spec().name.clone();
        match self.write().entry(name) {
            Entry::Occupied(known) => Err(RegisterError::Duplicate(known.key().clone())),
            Entry::Vacant(free) => {
                let _new = free.insert(registered);
                Ok(())
            }
        }
    }

    /// Puts a family in the place of all tools whose name begins so; what does not is left out, as
    /// is what cannot be checked. Gives the names that were left out.
    pub fn replace(&self, prefix: &str, tools: Vec<Arc<dyn Tool>>) -> Vec<String> {
        let mut left_out = Vec::new();
        let mut family = BTreeMap::new();
        for tool in tools {
            let name = tool.spec().name.clone();
            match Registered::read(tool) {
                Ok(registered) if name.starts_with(prefix) => {
                    let _twice = family.insert(name, registered);
                }
                _ => left_out.push(name),
            }
        }
        let mut tools = self.write();
        tools.retain(|name, _| !name.starts_with(prefix));
        tools.extend(family);
        left_out
    }

    /// What the model is told, by name. A tool's is the same one as long as the tool is there.
    #[must_use]
    pub fn specs(&self) -> Vec<Arc<ToolSpec>> {
        let tools = self.read();
        tools
            .values()
            .map(|known| Arc::clone(&known.spec))
            .collect()
    }

    /// What the tools say of themselves, for the authority of a behaviour.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, Annotation> {
        self.read()
            .iter()
            .map(|(name, registered)| (name.clone(), registered.tool.annotation()))
            .collect()
    }

    /// What a call would run in, as its tool says; nothing for a tool that is not here.
    pub async fn environment(&self, call: &ToolCall, caller: &Caller) -> Value {
        let known = self.read().get(&call.name).cloned();
        match known {
            Some(registered) => registered.tool.environment(&call.arguments, caller).await,
            None => Value::Null,
        }
    }

    /// Tells every tool that a conversation was stopped or started over.
    pub fn over(&self, session: &SessionKey) {
        let tools: Vec<_> = self.read().values().cloned().collect();
        for registered in tools {
            registered.tool.over(session);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Registered>> {
        self.tools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Registered>> {
        self.tools.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an authorised call: checks the arguments against the schema, bounds the output, joins
    /// labels. The only way to a tool. Consumes the permit.
    ///
    /// A failure, a panic and a missed deadline are outputs too: the model is told in a sentence.
    pub async fn run(&self, permit: Permit, caller: &Caller) -> Output {
        self.run_within(permit, caller, Bounds::default()).await
    }

    /// The same with other bounds than the tool has by itself. One permit covers all tries: a call that leaves
    /// no traces does nothing the second time that was not allowed the first time.
    pub async fn run_within(&self, permit: Permit, caller: &Caller, bounds: Bounds) -> Output {
        let caller = &Caller {
            context: permit.output().clone(),
            ..caller.clone()
        };
        let (result, label) = match self.tries(&permit, caller, bounds).await {
            Ok(output) => {
                let label = permit.output().join(&output.label);
                (Ok(output), label)
            }
            Err(err) => (Err(err), permit.output().clone()),
        };
        let (text, value, is_error, pictures) = match result {
            Ok(output) => (output.text, output.value, output.is_error, output.pictures),
            Err(err) => (err.to_string(), None, true, Vec::new()),
        };
        Output {
            text: self.bounded(text, bounds.chars(), caller, &label).await,
            value,
            label,
            is_error,
            pictures,
        }
    }

    /// What fits, with the rest kept where it can be asked for.
    async fn bounded(&self, text: String, max: usize, caller: &Caller, label: &Label) -> String {
        let Some(outputs) = &self.outputs else {
            return bound(text, max, None);
        };
        if !is_long(&text, max) {
            return text;
        }
        // What cannot be kept is cut all the same, and the note says nothing of a handle.
        let handle = outputs.keep(caller, keepable(&text), label).await.ok();
        bound(text, max, handle.as_deref())
    }

    async fn tries(
        &self,
        permit: &Permit,
        caller: &Caller,
        bounds: Bounds,
    ) -> Result<Output, ToolError> {
        let is_free = !permit.effect().leaves_traces();
        for number in 0..if is_free { bounds.again } else { 0 } {
            let came = self.attempt(permit, caller, bounds.patience).await;
            if came.as_ref().is_ok_and(|output| !output.is_error) {
                return came;
            }
            tokio::time::sleep(bounds.pause * (1 << number.min(8))).await;
        }
        self.attempt(permit, caller, bounds.patience).await
    }

    async fn attempt(
        &self,
        permit: &Permit,
        caller: &Caller,
        patience: Option<Duration>,
    ) -> Result<Output, ToolError> {
        let call = permit.call();
        let known = self.read().get(&call.name).cloned();
        let Some(registered) = known else {
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
        let own = || registered.tool.patience().unwrap_or(self.timeout);
        let patience = patience.unwrap_or_else(own);
        match tokio::time::timeout(patience, running).await {
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
                patience.as_secs()
            ))),
        }
    }
}
