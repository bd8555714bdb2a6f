//! `http_get`, `http_send` and `http_delete`: calls of an interface, one tool for each effect, so that
//! what a call can do follows from the tool that was asked for and not from an argument.

use futures_util::FutureExt as _;
use instar_policy::{Kind, SlotRole};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};
use std::sync::Arc;

use super::fetch::from_the_web;
use super::{WebAnswer, WebPort, WebRequest};
use crate::plain::{Plain, spec, text};
use crate::tool::{Caller, Output, ToolError};

const ANSWER_BYTES_MAX: usize = 2 << 20;
const HEADERS_MAX: usize = 20;
/// Headers that say who is calling: those are the owner's to give, never the model's.
const OF_THE_OWNER: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "host",
];

fn properties(more: &Value) -> Value {
    let mut all = json!({
        "url": { "type": "string", "minLength": 1, "maxLength": 2_000 },
        "headers": { "type": "array", "maxItems": HEADERS_MAX,
            "description": "Each a NAME: VALUE. No credentials.",
            "items": { "type": "string", "minLength": 3, "maxLength": 2_000 } },
    });
    if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    all
}

pub(super) fn get(web: Arc<dyn WebPort>) -> Plain<dyn WebPort> {
    Plain {
        spec: spec(
            "http_get",
            "Calls an HTTP interface with GET and shows status, headers and body as they come.",
            &properties(&json!({})),
            &["url"],
        ),
        annotation: from_the_web(Effect::Fetch, &[]),
        port: web,
        run: |web, arguments, caller| call(web, "GET", arguments, caller).boxed(),
    }
}

pub(super) fn send(web: Arc<dyn WebPort>) -> Plain<dyn WebPort> {
    Plain {
        spec: spec(
            "http_send",
            "Calls an HTTP interface with POST, PUT or PATCH.",
            &properties(&json!({
                "method": { "type": "string", "enum": ["POST", "PUT", "PATCH"],
                    "description": "POST if left out." },
                "body": { "type": "string", "maxLength": 50_000 },
                "contentType": { "type": "string", "maxLength": 100,
                    "description": "application/json if left out." },
            })),
            &["url"],
        ),
        annotation: from_the_web(
            Effect::Send,
            &[
                ("method", SlotRole::Plain, Kind::Enum),
                ("body", SlotRole::Payload, Kind::Text),
            ],
        ),
        port: web,
        run: |web, arguments, caller| {
            let method = match text(arguments, "method") {
                Some("PUT") => "PUT",
                Some("PATCH") => "PATCH",
                _ => "POST",
            };
            call(web, method, arguments, caller).boxed()
        },
    }
}

pub(super) fn delete(web: Arc<dyn WebPort>) -> Plain<dyn WebPort> {
    Plain {
        spec: spec(
            "http_delete",
            "Calls an HTTP interface with DELETE.",
            &properties(&json!({})),
            &["url"],
        ),
        annotation: from_the_web(Effect::Destroy, &[]),
        port: web,
        run: |web, arguments, caller| call(web, "DELETE", arguments, caller).boxed(),
    }
}

async fn call(
    web: &dyn WebPort,
    method: &'static str,
    arguments: &Value,
    caller: &Caller,
) -> Result<Output, ToolError> {
    let mut headers = headers(arguments)?;
    let body = text(arguments, "body").unwrap_or_default();
    if !body.is_empty() {
        let kind = text(arguments, "contentType").unwrap_or("application/json");
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    let request = WebRequest {
        method,
        url: text(arguments, "url").unwrap_or_default().to_owned(),
        headers,
        body: body.as_bytes().to_vec(),
        bytes_max: ANSWER_BYTES_MAX,
        engine: None,
    };
    let answer = web.send(caller, request).await?;
    let mut output = Output::words(shown(&answer), Label::stranger(Readers::Public));
    output.is_error = answer.status >= 400;
    Ok(output)
}

fn headers(arguments: &Value) -> Result<Vec<(String, String)>, ToolError> {
    let given = arguments.get("headers").and_then(Value::as_array);
    given
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|line| {
            let wrong = |why: &str| ToolError::Arguments(format!("the header {line:?} {why}"));
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("has no colon"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let is_name = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !is_name || value.chars().any(char::is_control) {
                return Err(wrong("is none"));
            }
            if OF_THE_OWNER.contains(&name.as_str()) {
                return Err(wrong("is not for tools to set"));
            }
            Ok((name, value.to_owned()))
        })
        .collect()
}

fn shown(answer: &WebAnswer) -> String {
    let mut told = format!("{} {}\n", answer.status, answer.url);
    for (name, value) in &answer.headers {
        // What a server gives to be sent back is a credential.
        if name != "set-cookie" {
            told.push_str(&format!("{name}: {value}\n"));
        }
    }
    told.push('\n');
    match std::str::from_utf8(&answer.body) {
        Ok(text) => told.push_str(text),
        Err(_) => told.push_str(&format!("[{} bytes that are no text]", answer.body.len())),
    }
    if answer.cut {
        told.push_str("\n[the answer was longer than what is fetched]");
    }
    told
}
