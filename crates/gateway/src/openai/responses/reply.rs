//! A turn as a response object and as the event stream that builds one.

use bytes::Bytes;
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::model::{StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::{Value, json};

use super::request::Echo;
use crate::api::sse;
use crate::openai::chat::reply::failure;
use crate::openai::fields::arguments_text;
use crate::openai::problem::Problem;
use crate::openai::spoken::{Spoken, reasoning};

/// Builds one response, event by event.
#[derive(Debug)]
pub(crate) struct Builder {
    /// The part of the response id after its prefix; item ids are made of it too.
    stem: String,
    created: u64,
    echo: Echo,
    sequence: u64,
    /// Finished items, in order.
    output: Vec<Value>,
    open: Option<Open>,
    spoken: Spoken,
    thoughts: Spoken,
    events: Vec<u8>,
}

/// The item that is being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Open {
    Reasoning,
    Message,
}

impl Builder {
    pub(crate) fn new(stem: String, created: u64, echo: Echo) -> Self {
        Self {
            stem,
            created,
            echo,
            sequence: 0,
            output: Vec::new(),
            open: None,
            spoken: Spoken::default(),
            thoughts: Spoken::default(),
            events: Vec::new(),
        }
    }

    /// The opening events.
    pub(crate) fn begin(&mut self) -> Bytes {
        for kind in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", &Ending::default());
            self.emit(kind, json!({"response": response}));
        }
        self.take()
    }

    /// The events for something that happened in the turn, if it is for the caller.
    pub(crate) fn live(&mut self, event: &LiveEvent) -> Option<Bytes> {
        match event {
            LiveEvent::Text { delta, .. } => self.say(delta),
            LiveEvent::Reasoning { delta, .. } => self.think(delta),
            LiveEvent::ToolResult { .. } => {
                self.spoken.pause();
                self.thoughts.pause();
            }
            LiveEvent::ToolCall { .. }
            | LiveEvent::Accepted { .. }
            | LiveEvent::Started { .. }
            | LiveEvent::Moved { .. }
            | LiveEvent::Stored { .. }
            | LiveEvent::Notice { .. }
            | LiveEvent::Done { .. } => {}
        }
        let events = self.take();
        (!events.is_empty()).then_some(events)
    }

    /// The closing events, the last of which carries the whole response.
    pub(crate) fn finish(&mut self, outcome: &Outcome) -> Bytes {
        let (kind, response) = self.conclude(outcome);
        self.emit(kind, json!({"response": response}));
        self.end()
    }

    /// The closing events of a stream that broke.
    pub(crate) fn fail(&mut self, problem: &Problem) -> Bytes {
        self.close();
        let response = self.response("failed", &Ending::failed(problem));
        self.emit("response.failed", json!({"response": response}));
        self.end()
    }

    /// The response of a finished turn without its events.
    pub(crate) fn whole(mut self, outcome: &Outcome) -> Result<Value, Problem> {
        match failure(outcome) {
            Some(problem) => Err(problem),
            None => Ok(self.stored(outcome)),
        }
    }

    /// The response of a finished turn, failed or not, as it is looked up later.
    pub(crate) fn stored(&mut self, outcome: &Outcome) -> Value {
        self.think(&reasoning(outcome));
        self.conclude(outcome).1
    }

    /// The response of a turn that is not finished.
    pub(crate) fn unfinished(&self, status: &str) -> Value {
        self.response(status, &Ending::default())
    }

    fn conclude(&mut self, outcome: &Outcome) -> (&'static str, Value) {
        if let Some(problem) = failure(outcome) {
            self.close();
            let response = self.response("failed", &Ending::failed(&problem));
            return ("response.failed", response);
        }
        let rest = self.spoken.rest(outcome);
        self.continue_message(&rest);
        if self.output.is_empty() && self.open.is_none() && outcome.client_calls.is_empty() {
            // An answer of no words is still an answer: one empty message.
            self.open_message();
        }
        self.close();
        for call in &outcome.client_calls {
            self.call(call);
        }
        let incomplete = match outcome.stop {
            StopReason::Length => Some("max_output_tokens"),
            StopReason::Refusal => Some("content_filter"),
            StopReason::Aborted => Some("stopped"),
            StopReason::Stop | StopReason::ToolUse => None,
        };
        let ending = Ending {
            usage: Some(outcome.usage),
            incomplete,
            error: None,
        };
        match incomplete {
            None => ("response.completed", self.response("completed", &ending)),
            Some(_) => ("response.incomplete", self.response("incomplete", &ending)),
        }
    }

    fn say(&mut self, delta: &str) {
        if !delta.is_empty() {
            let piece = self.spoken.add(delta);
            self.write_message(&piece);
        }
    }

    fn continue_message(&mut self, rest: &str) {
        if !rest.is_empty() {
            self.write_message(rest);
        }
    }

    fn write_message(&mut self, piece: &str) {
        if self.open != Some(Open::Message) {
            self.close();
            self.open_message();
        }
        let (id, index) = (self.item_id("msg"), self.output.len());
        self.emit(
            "response.output_text.delta",
            json!({"item_id": id, "output_index": index, "content_index": 0, "delta": piece, "logprobs": []}),
        );
    }

    /// Reasoning is told before the answer only: one item, so that items never interleave.
    fn think(&mut self, delta: &str) {
        if delta.is_empty() || !self.spoken.is_empty() {
            return;
        }
        let piece = self.thoughts.add(delta);
        let (id, index) = (self.item_id("rs"), self.output.len());
        if self.open.is_none() {
            self.open = Some(Open::Reasoning);
            let item = json!({"id": id, "type": "reasoning", "summary": []});
            self.emit(
                "response.output_item.added",
                json!({"output_index": index, "item": item}),
            );
            self.emit(
                "response.reasoning_summary_part.added",
                json!({"item_id": id, "output_index": index, "summary_index": 0, "part": summary("")}),
            );
        }
        self.emit(
            "response.reasoning_summary_text.delta",
            json!({"item_id": id, "output_index": index, "summary_index": 0, "delta": piece}),
        );
    }

    fn open_message(&mut self) {
        self.open = Some(Open::Message);
        let (id, index) = (self.item_id("msg"), self.output.len());
        let item = message(&id, "in_progress", None);
        self.emit(
            "response.output_item.added",
            json!({"output_index": index, "item": item}),
        );
        self.emit(
            "response.content_part.added",
            json!({"item_id": id, "output_index": index, "content_index": 0, "part": output_text("")}),
        );
    }

    fn close(&mut self) {
        let index = self.output.len();
        let item = match self.open.take() {
            None => return,
            Some(Open::Message) => {
                let (id, text) = (self.item_id("msg"), self.spoken.text().to_owned());
                self.emit(
                    "response.output_text.done",
                    json!({"item_id": id, "output_index": index, "content_index": 0, "text": text, "logprobs": []}),
                );
                self.emit(
                    "response.content_part.done",
                    json!({"item_id": id, "output_index": index, "content_index": 0, "part": output_text(&text)}),
                );
                message(&id, "completed", Some(&text))
            }
            Some(Open::Reasoning) => {
                let (id, text) = (self.item_id("rs"), self.thoughts.text().to_owned());
                self.emit(
                    "response.reasoning_summary_text.done",
                    json!({"item_id": id, "output_index": index, "summary_index": 0, "text": text}),
                );
                self.emit(
                    "response.reasoning_summary_part.done",
                    json!({"item_id": id, "output_index": index, "summary_index": 0, "part": summary(&text)}),
                );
                json!({"id": id, "type": "reasoning", "summary": [summary(&text)]})
            }
        };
        self.emit(
            "response.output_item.done",
            json!({"output_index": index, "item": item}),
        );
        self.output.push(item);
    }

    fn call(&mut self, call: &ToolCall) {
        let (id, index) = (self.item_id("fc"), self.output.len());
        let arguments = arguments_text(call);
        let item = |status: &str, arguments: &str| {
            json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "call_id": call.id,
                "name": call.name,
                "arguments": arguments,
            })
        };
        let (added, finished) = (item("in_progress", ""), item("completed", &arguments));
        self.emit(
            "response.output_item.added",
            json!({"output_index": index, "item": added}),
        );
        self.emit(
            "response.function_call_arguments.delta",
            json!({"item_id": id, "output_index": index, "delta": arguments}),
        );
        self.emit(
            "response.function_call_arguments.done",
            json!({"item_id": id, "output_index": index, "name": call.name, "arguments": arguments}),
        );
        self.emit(
            "response.output_item.done",
            json!({"output_index": index, "item": finished}),
        );
        self.output.push(finished);
    }

    /// Item ids are the response's own stem and the item's place, so that a later look-up repeats them.
    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.stem, self.output.len())
    }

    fn emit(&mut self, kind: &str, mut fields: Value) {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.events
            .extend_from_slice(&sse::event(Some(kind), None, &fields));
    }

    fn end(&mut self) -> Bytes {
        self.events.extend_from_slice(b"data: [DONE]\n\n");
        self.take()
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.events))
    }

    fn response(&self, status: &str, ending: &Ending) -> Value {
        let echo = &self.echo;
        let tools: Vec<Value> = echo
            .tools
            .iter()
            .map(|tool| {
                json!({
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": false,
                })
            })
            .collect();
        json!({
            "id": response_id(&self.stem),
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": ending.error,
            "incomplete_details": ending.incomplete.map(|reason| json!({"reason": reason})),
            "instructions": echo.instructions,
            "max_output_tokens": echo.max_output_tokens,
            "metadata": echo.metadata.clone().unwrap_or_else(|| json!({})),
            "model": echo.model,
            "output": self.output,
            "parallel_tool_calls": true,
            "previous_response_id": echo.previous,
            "reasoning": {"effort": null, "summary": null},
            "store": true,
            "temperature": echo.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": echo.tool_choice.clone().unwrap_or_else(|| json!("auto")),
            "tools": tools,
            "top_p": echo.top_p,
            "truncation": "disabled",
            "usage": ending.usage.map(usage),
            "user": echo.user,
        })
    }
}

/// How a response ended.
#[derive(Debug, Default)]
struct Ending {
    usage: Option<Usage>,
    incomplete: Option<&'static str>,
    error: Option<Value>,
}

impl Ending {
    fn failed(problem: &Problem) -> Self {
        // The API knows few codes here; ours tells more in the message.
        let code = match problem.status.as_u16() {
            429 => "rate_limit_exceeded",
            400 => "invalid_prompt",
            _ => "server_error",
        };
        Self {
            error: Some(json!({"code": code, "message": problem.message})),
            ..Self::default()
        }
    }
}

/// A response's id is its inbound message's id under another prefix, so that no map is needed.
pub(crate) fn response_id(stem: &str) -> String {
    format!("resp_{stem}")
}

fn message(id: &str, status: &str, text: Option<&str>) -> Value {
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": text.map(output_text).into_iter().collect::<Vec<_>>(),
    })
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn usage(tokens: Usage) -> Value {
    json!({
        "input_tokens": tokens.input_tokens,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read_tokens,
            "cache_write_tokens": tokens.cache_write_tokens,
        },
        "output_tokens": tokens.output_tokens,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens},
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::spoken::tests::said;
    use instar_protocol::RunId;

    fn builder() -> Builder {
        Builder::new("s".to_owned(), 1, Echo::default())
    }

    fn events(bytes: &Bytes) -> Vec<Value> {
        std::str::from_utf8(bytes)
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("data: {"))
            .map(|rest| serde_json::from_str(&format!("{{{rest}")).unwrap())
            .collect()
    }

    fn text(delta: &str) -> LiveEvent {
        LiveEvent::Text {
            run: RunId::from_stored("run_1"),
            delta: delta.to_owned(),
        }
    }

    #[test]
    fn events_come_in_the_documented_order_and_are_numbered() {
        let mut outcome = said(&["hello"]);
        outcome.client_calls = vec![ToolCall {
            id: "call_1".to_owned(),
            name: "add".to_owned(),
            arguments: json!({"a": 1}),
        }];
        let mut builder = builder();
        let mut all = events(&builder.begin());
        all.extend(events(
            &builder
                .live(&LiveEvent::Reasoning {
                    run: RunId::from_stored("r"),
                    delta: "hm".to_owned(),
                })
                .unwrap(),
        ));
        all.extend(events(&builder.live(&text("hel")).unwrap()));
        all.extend(events(&builder.live(&text("lo")).unwrap()));
        let last = builder.finish(&outcome);
        assert!(last.ends_with(b"data: [DONE]\n\n"));
        all.extend(events(&last));
        let kinds: Vec<&str> = all
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
                "response.reasoning_summary_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        for (number, event) in all.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
        let streamed = &all.last().unwrap()["response"];
        let whole = super::tests::builder().whole(&outcome).unwrap();
        assert_eq!(streamed, &whole);
        assert_eq!(whole["output"][1]["content"][0]["text"], "hello");
        assert_eq!(whole["output"][2]["call_id"], "call_1");
    }

    #[test]
    fn a_cut_answer_is_incomplete_and_a_failed_one_failed() {
        let mut outcome = said(&["hel"]);
        outcome.stop = StopReason::Length;
        let cut = builder().whole(&outcome).unwrap();
        assert_eq!(cut["status"], "incomplete");
        assert_eq!(cut["incomplete_details"]["reason"], "max_output_tokens");

        let mut builder = builder();
        let _piece = builder.begin();
        let _piece = builder.live(&text("hel"));
        let all = events(&builder.fail(&Problem::lost("gone")));
        let last = all.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["error"]["code"], "server_error");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "hel");
    }
}
