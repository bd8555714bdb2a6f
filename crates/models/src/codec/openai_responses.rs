//! Reads OpenAI's responses stream.

use super::DecodeError;
use super::bounds::Bounded;
use super::openai_chat::{WireUsage, vendor_error};
use super::signature::write_items;
use crate::stream::sse::Splitter;
use instar_protocol::model::{ModelEvent, StopReason};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct Responses {
    splitter: Splitter,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    refused: bool,
    /// Reasoning items with what the vendor wants back.
    reasoning: Vec<Value>,
    /// A reasoning summary was seen, so a further part begins a new paragraph.
    summary_parts: u64,
    /// Text came in pieces, so the whole at the end is not text again.
    streamed: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Wire {
    #[serde(rename = "response.output_text.delta")]
    Text { delta: String },
    #[serde(rename = "response.refusal.delta")]
    Refusal { delta: String },
    #[serde(
        rename = "response.reasoning_summary_text.delta",
        alias = "response.reasoning_text.delta"
    )]
    Reasoning { delta: String },
    #[serde(rename = "response.reasoning_summary_part.added")]
    SummaryPart,
    #[serde(rename = "response.output_item.added")]
    ItemAdded { output_index: u64, item: Item },
    #[serde(rename = "response.function_call_arguments.delta")]
    Arguments { output_index: u64, delta: String },
    #[serde(rename = "response.output_item.done")]
    ItemDone { output_index: u64, item: Value },
    #[serde(
        rename = "response.completed",
        alias = "response.incomplete",
        alias = "response.failed"
    )]
    Ended { response: Response },
    #[serde(rename = "error")]
    Error(Value),
    /// Progress notes, tools that run at the vendor, events that do not exist yet.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    FunctionCall {
        #[serde(default)]
        call_id: String,
        #[serde(default)]
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

impl Responses {
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        let state = &mut self.state;
        self.splitter
            .push(bytes, &mut |_, data| state.event(data, bounded, out))
    }
}

impl State {
    fn event(
        &mut self,
        data: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        // Some servers that speak this format also send the older one's end mark.
        if bounded.finished || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        match serde_json::from_slice(data).map_err(|error| DecodeError::json(&error))? {
            Wire::Text { delta } => {
                self.streamed = true;
                bounded.text(delta, out)
            }
            Wire::Refusal { delta } => {
                self.streamed = true;
                self.refused = true;
                bounded.text(delta, out)
            }
            Wire::Reasoning { delta } => bounded.reasoning(delta, out),
            Wire::SummaryPart => {
                self.summary_parts += 1;
                let gap = if self.summary_parts > 1 { "\n\n" } else { "" };
                bounded.reasoning(gap.to_owned(), out)
            }
            Wire::ItemAdded { output_index, item } => match item {
                Item::FunctionCall { call_id, name } => {
                    let call = bounded.call(output_index)?;
                    call.id(&call_id)?;
                    call.name(&name)
                }
                Item::Other => Ok(()),
            },
            Wire::Arguments {
                output_index,
                delta,
            } => bounded.call(output_index)?.arguments(&delta),
            Wire::ItemDone { output_index, item } => self.item(output_index, item, bounded, out),
            Wire::Ended { response } => self.end(&response, bounded, out),
            Wire::Error(error) => Err(vendor_error(&error)),
            Wire::Other => Ok(()),
        }
    }

    /// An item is whole; it says again what came in pieces, and what did not.
    fn item(
        &mut self,
        index: u64,
        item: Value,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        let field = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or("");
        match field("type") {
            "reasoning" if item.get("encrypted_content").is_some_and(Value::is_string) => {
                bounded.count_signature(item.to_string().len())?;
                self.reasoning.push(item);
                Ok(())
            }
            "function_call" => {
                let call = bounded.call(index)?;
                call.id(field("call_id"))?;
                call.name(field("name"))?;
                if call.arguments.is_empty() {
                    call.arguments(field("arguments"))?;
                }
                Ok(())
            }
            "message" if !self.streamed => {
                let parts = item.get("content").and_then(Value::as_array);
                for part in parts.into_iter().flatten() {
                    let text = part.get("text").and_then(Value::as_str);
                    bounded.text(text.unwrap_or("").to_owned(), out)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end(
        &mut self,
        response: &Response,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if let Some(error) = response.error.as_ref().filter(|error| !error.is_null()) {
            return Err(vendor_error(error));
        }
        let stop = match response.status.as_deref() {
            Some("failed" | "cancelled") => {
                return Err(DecodeError::Vendor {
                    kind: "server_error".into(),
                    message: "the response failed without a reason".into(),
                });
            }
            Some("incomplete") => match response
                .incomplete_details
                .as_ref()
                .and_then(|why| why.reason.as_deref())
            {
                Some("content_filter") => StopReason::Refusal,
                _ => StopReason::Length,
            },
            _ if self.refused => StopReason::Refusal,
            _ => StopReason::Stop,
        };
        if let Some(signature) = write_items(&self.reasoning) {
            out.push(ModelEvent::Reasoning {
                delta: String::new(),
                signature: Some(signature),
            });
        }
        let usage = response.usage.as_ref().map(WireUsage::usage);
        bounded.finish(stop, usage.unwrap_or_default(), out)
    }
}
