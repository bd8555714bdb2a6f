//! A tool that is a function over a port: most of them.

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::tool::ToolSpec;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

use crate::tool::{Caller, Output, Tool, ToolError};

pub(crate) type Running<'a> = BoxFuture<'a, Result<Output, ToolError>>;
type Run<P> = for<'a> fn(&'a P, &'a Value, &'a Caller) -> Running<'a>;

/// A spec, an annotation and a function over what the house supplies.
pub(crate) struct Plain<P: ?Sized> {
    pub(crate) spec: ToolSpec,
    pub(crate) annotation: Annotation,
    pub(crate) port: Arc<P>,
    pub(crate) run: Run<P>,
}

impl<P: ?Sized> fmt::Debug for Plain<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plain").field(&self.spec.name).finish()
    }
}

impl<P: ?Sized + Send + Sync + 'static> Tool for Plain<P> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        self.annotation.clone()
    }

    fn run<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> Running<'a> {
        (self.run)(&self.port, arguments, caller)
    }
}

/// A spec with these properties and no others.
pub(crate) fn spec(
    name: &str,
    description: &str,
    properties: &Value,
    required: &[&str],
) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }),
    }
}

/// The text under `key`. The schema has checked that it is one, or absent.
pub(crate) fn text<'a>(arguments: &'a Value, key: &str) -> Option<&'a str> {
    arguments.get(key).and_then(Value::as_str)
}

/// The number under `key`, or `default`. The schema has checked its range.
pub(crate) fn number(arguments: &Value, key: &str, default: usize) -> usize {
    arguments
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}

pub(crate) fn flag(arguments: &Value, key: &str) -> bool {
    arguments.get(key).and_then(Value::as_bool).unwrap_or(false)
}
