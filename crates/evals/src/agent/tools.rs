//! Tools that do nothing and say what the case says.

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::label::{Label, Origin, Origins, Readers};
use instar_protocol::tool::ToolSpec;
use instar_tools::{Caller, Output, Tool, ToolError};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{FakeTool, From};

#[derive(Debug)]
pub(super) struct Fake {
    spec: ToolSpec,
    told: FakeTool,
    calls: AtomicUsize,
}

impl Fake {
    pub(super) fn new(name: &str, told: &FakeTool) -> Self {
        let parameters = told.parameters.clone();
        Self {
            spec: ToolSpec {
                name: name.to_owned(),
                description: told.description.clone(),
                parameters: parameters.unwrap_or_else(|| json!({"type": "object"})),
            },
            told: told.clone(),
            calls: AtomicUsize::new(0),
        }
    }
}

/// The label of words of this origin.
pub(super) fn label(from: &From) -> Label {
    match from {
        From::Owner => Label::owner(),
        From::Automation(_) => Label::system(),
        From::Stranger(_) => Label::stranger(Readers::Private),
        From::Contact(id) => Label {
            origins: Origins::of(Origin::Contact(id.clone())),
            readers: Readers::Private,
        },
    }
}

impl Tool for Fake {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        let read = || Annotation::reads(label(&self.told.output));
        self.told.annotation.clone().unwrap_or_else(read)
    }

    fn run<'a>(
        &'a self,
        _arguments: &'a Value,
        _caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let in_turn = &self.told.returns_in_turn;
        let told = in_turn
            .get(call.min(in_turn.len().saturating_sub(1)))
            .unwrap_or(&self.told.returns);
        let label = label(&self.told.output);
        let mut output = match told {
            Value::Null => Output::words("done", label),
            Value::String(text) => Output::words(text.as_str(), label),
            structured => Output::structured(structured.clone(), label),
        };
        output.is_error = self.told.fails;
        Box::pin(async { Ok(output) })
    }
}
