//! A server's tool as one of ours.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Server};
use instar_protocol::tool::ToolSpec;
use instar_protocol::{Label, Readers};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{Client, Described, pictures};
use crate::picture::Picture;
use crate::plain::Running;
use crate::profiles::MCP_PREFIX;
use crate::tool::{Caller, Output, Tool, ToolError};

const NAME_CHARS_MAX: usize = 60;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const SCHEMA_DEPTH_MAX: usize = 8;
const SCHEMA_FIELDS_MAX: usize = 60;

/// The name that a server's tool has here; `None` if it can have none.
#[must_use]
pub fn tool_name(server: &str, tool: &str) -> Option<String> {
    let is_word = |text: &str| {
        (1..=NAME_CHARS_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    // Two underscores part the names: a server's may not have them, so that no server can pass for
    // another.
    (is_word(server) && !server.contains("__") && is_word(tool))
        .then(|| format!("{MCP_PREFIX}{server}__{tool}"))
}

/// The tool, if its name can be one.
#[must_use]
pub fn adapt(
    from: Server<'_>,
    client: &Arc<Client>,
    described: Described,
) -> Option<Arc<dyn Tool>> {
    let server = from.name;
    let name = tool_name(server, &described.name)?;
    let words = described
        .description
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let description: String = words
        .chars()
        .filter(|c| !c.is_control())
        .take(DESCRIPTION_CHARS_MAX)
        .collect();
    Some(Arc::new(Adapter {
        spec: ToolSpec {
            name,
            description: format!("A tool of the server {server}, in its words: {description}"),
            parameters: simplified(&described.schema, 0),
        },
        server: server.to_owned(),
        is_closed: from.is_closed,
        tool: described.name,
        client: Arc::clone(client),
    }))
}

#[derive(Debug)]
struct Adapter {
    spec: ToolSpec,
    server: String,
    /// The owner says that it is a closed workspace.
    is_closed: bool,
    tool: String,
    client: Arc<Client>,
}

impl Tool for Adapter {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// By its name and its arguments alone: what the table of families does not know has the highest
    /// risk, and nothing that the server says of itself is read.
    fn annotation(&self) -> Annotation {
        let spec = ToolSpec {
            name: self.tool.clone(),
            description: String::new(),
            parameters: self.spec.parameters.clone(),
        };
        let server = Server {
            name: &self.server,
            is_closed: self.is_closed,
        };
        let inferred = instar_policy::infer(server, &spec);
        Annotation {
            output: inferred.output.join(&Label::stranger(Readers::Private)),
            ..inferred
        }
    }

    fn run<'a>(&'a self, arguments: &'a Value, _caller: &'a Caller) -> Running<'a> {
        async move {
            let result = self
                .client
                .call(&self.tool, arguments)
                .await
                .map_err(|error| ToolError::Failed(format!("{}: {error}", self.server)))?;
            // What is to be read in a picture the server has written, as everything in its result.
            let mut output = Output::words(String::new(), Label::stranger(Readers::Private));
            let name = format!("{}/{}", self.server, self.tool);
            output.text = words(&result, &name, &mut output.pictures);
            output.is_error = result["isError"] == true;
            output.value = structured(&result).cloned();
            Ok(output)
        }
        .boxed()
    }
}

/// The structured result. It has to be an object: what is none comes as the one field `result` from the
/// protocol's own libraries.
fn structured(result: &Value) -> Option<&Value> {
    let value = result.get("structuredContent")?;
    match value.as_object() {
        Some(fields) if fields.len() == 1 => fields.get("result").or(Some(value)),
        Some(_) => Some(value),
        None => None,
    }
}

fn words(result: &Value, name: &str, pictures: &mut Vec<Picture>) -> String {
    let blocks = result["content"].as_array();
    let shown: Vec<String> = blocks
        .into_iter()
        .flatten()
        .map(|block| match block["type"].as_str() {
            Some("text") => block["text"].as_str().unwrap_or_default().to_owned(),
            Some("image") => pictures::take(&block["data"], name, pictures),
            Some("resource") => match block["resource"]["text"].as_str() {
                Some(text) => text.to_owned(),
                None if pictures::is_meant(&block["resource"]) => {
                    pictures::take(&block["resource"]["blob"], name, pictures)
                }
                None => "[a resource]".to_owned(),
            },
            Some("resource_link") => format!("[{}]", block["uri"].as_str().unwrap_or("a link")),
            Some(kind) => format!("[{kind} that is no text]"),
            None => String::new(),
        })
        .collect();
    match (shown.is_empty(), result.get("structuredContent")) {
        (true, Some(value)) => value.to_string(),
        (true, None) => "[no result]".to_owned(),
        (false, _) => shown.join("\n"),
    }
}

/// The part of a server's schema that calls are checked against here. What this cannot say becomes a
/// text for the server to check: it does so in any case.
fn simplified(schema: &Value, depth: usize) -> Value {
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        // `["string", "null"]` and the like.
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("string"),
        _ if depth == 0 || schema.get("properties").is_some() => "object",
        _ => "string",
    };
    let mut simple = Map::new();
    if let Some(text) = schema["description"].as_str() {
        let text: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
        let _old = simple.insert("description".to_owned(), json!(text));
    }
    let kind = match kind {
        "object" if depth < SCHEMA_DEPTH_MAX => {
            let fields = properties(schema, depth);
            let required = schema["required"].as_array();
            let known = |name: &&Value| name.as_str().is_some_and(|name| fields.contains_key(name));
            let required: Vec<Value> = required
                .into_iter()
                .flatten()
                .filter(known)
                .cloned()
                .collect();
            let _old = simple.insert("properties".to_owned(), Value::Object(fields));
            let _old = simple.insert("required".to_owned(), Value::Array(required));
            let _old = simple.insert("additionalProperties".to_owned(), json!(false));
            "object"
        }
        "array" if depth < SCHEMA_DEPTH_MAX => {
            let _old = simple.insert("items".to_owned(), simplified(&schema["items"], depth + 1));
            "array"
        }
        "integer" | "number" | "boolean" => kind,
        _ => {
            let texts = schema["enum"]
                .as_array()
                .filter(|list| list.iter().all(Value::is_string));
            if let Some(list) = texts {
                let _old = simple.insert("enum".to_owned(), json!(list));
            }
            "string"
        }
    };
    let _old = simple.insert("type".to_owned(), json!(kind));
    Value::Object(simple)
}

fn properties(schema: &Value, depth: usize) -> Map<String, Value> {
    let fields = schema["properties"].as_object();
    fields
        .into_iter()
        .flatten()
        .take(SCHEMA_FIELDS_MAX)
        .map(|(name, schema)| (name.clone(), simplified(schema, depth + 1)))
        .collect()
}
