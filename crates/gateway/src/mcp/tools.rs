//! The table of tools: names, words, schemas and honest hints, and the way from a name to its code.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read;
use super::server::Server;
use super::talk;
use crate::problem::ApiProblem;

/// Every tool, in the order in which clients show them.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool::<Nothing>(
            "status",
            "Gateway status",
            "How the gateway is: version, default model, health of its parts, number of conversations.",
            reads(),
        ),
        tool::<Nothing>(
            "models_list",
            "Models",
            "The models that can be named, and which one answers plain messages.",
            reads(),
        ),
        tool::<read::List>(
            "conversations_list",
            "Conversations",
            "Conversations, the latest first, a page at a time.",
            reads(),
        ),
        tool::<read::Get>(
            "conversation_get",
            "One conversation",
            "What is known of one conversation: title, model, tokens, cost, whether a turn is running.",
            reads(),
        ),
        tool::<read::Read>(
            "messages_read",
            "Read messages",
            "Messages of a conversation, the newest page first, each page oldest message first.",
            reads(),
        ),
        tool::<read::Wait>(
            "events_wait",
            "Wait for events",
            "Waits until something happens, at most as long as asked for. Give `next` of one answer as `after` of the next call and nothing is missed.",
            reads(),
        ),
        tool::<talk::Send>(
            "messages_send",
            "Send a message",
            "Says something to the agent and waits for its answer, or returns once the message is stored. The agent may use its tools, under the owner's policy, and spends money on models.",
            // What the agent does with the message is for it and the policy to decide.
            acts().destructive(true).idempotent(false).open_world(true),
        ),
        tool::<read::Get>(
            "conversation_stop",
            "Stop the running turn",
            "Stops the turn that is running in a conversation. What it has said so far stays.",
            acts().destructive(true).idempotent(true).open_world(false),
        ),
    ]
}

/// The result of the named tool; `None` if there is none of that name.
pub(super) async fn call(
    server: &Server,
    name: &str,
    arguments: JsonObject,
) -> Option<Result<Value, ApiProblem>> {
    Some(match name {
        "status" => match parse::<Nothing>(arguments) {
            Ok(_) => read::status(server).await,
            Err(problem) => Err(problem),
        },
        "models_list" => parse::<Nothing>(arguments).and_then(|_| read::models(server)),
        "conversations_list" => match parse(arguments) {
            Ok(wanted) => read::list(server, wanted).await,
            Err(problem) => Err(problem),
        },
        "conversation_get" => match parse(arguments) {
            Ok(wanted) => read::get(server, wanted).await,
            Err(problem) => Err(problem),
        },
        "messages_read" => match parse(arguments) {
            Ok(wanted) => read::messages(server, wanted).await,
            Err(problem) => Err(problem),
        },
        "events_wait" => match parse(arguments) {
            Ok(wanted) => read::wait(server, wanted).await,
            Err(problem) => Err(problem),
        },
        "messages_send" => match parse(arguments) {
            Ok(message) => talk::send(server, message).await,
            Err(problem) => Err(problem),
        },
        "conversation_stop" => match parse(arguments) {
            Ok(wanted) => talk::stop(server, wanted).await,
            Err(problem) => Err(problem),
        },
        _ => return None,
    })
}

/// No arguments.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A tool that changes nothing and looks at nothing but the gateway.
fn reads() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).open_world(false)
}

fn acts() -> ToolAnnotations {
    ToolAnnotations::new().read_only(false)
}

fn tool<Arguments: JsonSchema>(
    name: &'static str,
    title: &str,
    about: &'static str,
    hints: ToolAnnotations,
) -> Tool {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Arguments>();
    let mut schema = match schema.to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    // Names of our own types say nothing to a client.
    let _own_name = schema.remove("title");
    plain(&mut schema);
    Tool::new(name, about, Arc::new(schema))
        .with_title(title)
        .with_annotations(hints)
}

/// An argument that may be left out is left out, not sent as `null`: several kinds of one value are
/// more than some clients can tell their models.
fn plain(schema: &mut JsonObject) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for property in properties.values_mut() {
        if let Some(Value::Array(kinds)) = property.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [one] = kinds.as_slice() {
                property["type"] = one.clone();
            }
        }
    }
}

/// The arguments, read as strictly as the schema says.
fn parse<Arguments: DeserializeOwned>(arguments: JsonObject) -> Result<Arguments, ApiProblem> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        ApiProblem::invalid(format!("arguments: {error}"))
            .next("the tool's input schema in `tools/list` says what is taken")
    })
}

/// An answer as the protocol carries it.
pub(super) fn answer(value: &impl Serialize) -> Result<Value, ApiProblem> {
    serde_json::to_value(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        ApiProblem::internal()
    })
}
