//! A finished turn as a chat completion, whole or as stream chunks.

use bytes::Bytes;
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::model::{StopReason, Usage};
use serde_json::{Value, json};

use crate::api::sse;
use crate::openai::fields::arguments_text;
use crate::openai::problem::Problem;
use crate::openai::spoken::{Spoken, answer, reasoning};

/// What every piece of one answer repeats.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) id: String,
    /// Seconds since the epoch.
    pub(crate) created: u64,
    pub(crate) model: String,
}

/// The whole answer, or the refusal that the turn ended with.
pub(crate) fn completion(heading: &Heading, outcome: &Outcome) -> Result<Value, Problem> {
    if let Some(problem) = failure(outcome) {
        return Err(problem);
    }
    let text = answer(outcome);
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    if text.is_empty() && !outcome.client_calls.is_empty() {
        message["content"] = Value::Null;
    }
    let thoughts = reasoning(outcome);
    if !thoughts.is_empty() {
        message["reasoning_content"] = json!(thoughts);
    }
    if !outcome.client_calls.is_empty() {
        message["tool_calls"] = tool_calls(outcome, Form::Whole);
    }
    Ok(json!({
        "id": heading.id,
        "object": "chat.completion",
        "created": heading.created,
        "model": heading.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(outcome),
        }],
        "usage": usage(outcome.usage),
    }))
}

/// Makes the chunks of one streamed answer.
#[derive(Debug)]
pub(crate) struct Chunks {
    heading: Heading,
    include_usage: bool,
    spoken: Spoken,
    thoughts: Spoken,
}

impl Chunks {
    pub(crate) fn new(heading: Heading, include_usage: bool) -> Self {
        Self {
            heading,
            include_usage,
            spoken: Spoken::default(),
            thoughts: Spoken::default(),
        }
    }

    /// The first chunk: who speaks.
    pub(crate) fn begin(&self) -> Bytes {
        self.delta(&json!({"role": "assistant", "content": ""}))
    }

    /// The chunk for something that happened in the turn, if it is for the caller.
    pub(crate) fn live(&mut self, event: &LiveEvent) -> Option<Bytes> {
        match event {
            LiveEvent::Text { delta, .. } if !delta.is_empty() => {
                let piece = self.spoken.add(delta);
                Some(self.delta(&json!({"content": piece})))
            }
            // Reasoning before the answer, under the name that other servers made usual.
            LiveEvent::Reasoning { delta, .. } if !delta.is_empty() && self.spoken.is_empty() => {
                let piece = self.thoughts.add(delta);
                Some(self.delta(&json!({"reasoning_content": piece})))
            }
            LiveEvent::ToolResult { .. } => {
                self.spoken.pause();
                self.thoughts.pause();
                None
            }
            LiveEvent::Text { .. }
            | LiveEvent::Reasoning { .. }
            | LiveEvent::ToolCall { .. }
            | LiveEvent::Accepted { .. }
            | LiveEvent::Started { .. }
            | LiveEvent::Moved { .. }
            | LiveEvent::Stored { .. }
            | LiveEvent::Notice { .. }
            | LiveEvent::Done { .. } => None,
        }
    }

    /// Everything that is left to say when the turn is over, up to the end mark.
    pub(crate) fn finish(&mut self, outcome: &Outcome) -> Bytes {
        if let Some(problem) = failure(outcome) {
            return Self::fail(&problem);
        }
        let mut out = Vec::new();
        let rest = self.spoken.rest(outcome);
        if !rest.is_empty() {
            out.extend_from_slice(&self.delta(&json!({"content": rest})));
        }
        if !outcome.client_calls.is_empty() {
            let calls = tool_calls(outcome, Form::Delta);
            out.extend_from_slice(&self.delta(&json!({"tool_calls": calls})));
        }
        out.extend_from_slice(&self.chunk(&json!({}), &json!(finish_reason(outcome))));
        if self.include_usage {
            out.extend_from_slice(&self.usage(outcome.usage));
        }
        out.extend_from_slice(&done());
        Bytes::from(out)
    }

    /// The end of a stream whose turn failed.
    pub(crate) fn fail(problem: &Problem) -> Bytes {
        let mut out = sse::event(None, None, &problem.to_json()).to_vec();
        out.extend_from_slice(&done());
        Bytes::from(out)
    }

    fn delta(&self, delta: &Value) -> Bytes {
        self.chunk(delta, &Value::Null)
    }

    fn chunk(&self, delta: &Value, finish: &Value) -> Bytes {
        let mut chunk = self.empty();
        chunk["choices"] =
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        sse::event(None, None, &chunk)
    }

    fn usage(&self, tokens: Usage) -> Bytes {
        let mut chunk = self.empty();
        chunk["usage"] = usage(tokens);
        sse::event(None, None, &chunk)
    }

    fn empty(&self) -> Value {
        json!({
            "id": self.heading.id,
            "object": "chat.completion.chunk",
            "created": self.heading.created,
            "model": self.heading.model,
            "choices": [],
        })
    }
}

/// The problem that a turn ended with, if it has no answer.
pub(crate) fn failure(outcome: &Outcome) -> Option<Problem> {
    match (outcome.status, &outcome.error) {
        (OutcomeStatus::Ok, _) => None,
        (_, Some(error)) => Some(Problem::from_user_error(error)),
        (OutcomeStatus::Aborted, None) if !outcome.text.is_empty() => None,
        (OutcomeStatus::Aborted, None) => Some(Problem::stopped()),
        (OutcomeStatus::Failed, None) => Some(Problem::lost("the turn failed without a reason")),
    }
}

fn finish_reason(outcome: &Outcome) -> &'static str {
    if !outcome.client_calls.is_empty() {
        return "tool_calls";
    }
    match outcome.stop {
        StopReason::Stop | StopReason::ToolUse | StopReason::Aborted => "stop",
        StopReason::Length => "length",
        StopReason::Refusal => "content_filter",
    }
}

#[derive(Clone, Copy)]
enum Form {
    Whole,
    /// In a stream every call says its place in the list.
    Delta,
}

fn tool_calls(outcome: &Outcome, form: Form) -> Value {
    outcome
        .client_calls
        .iter()
        .enumerate()
        .map(|(index, call)| {
            let mut value = json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call)},
            });
            if matches!(form, Form::Delta) {
                value["index"] = json!(index);
            }
            value
        })
        .collect()
}

fn usage(tokens: Usage) -> Value {
    json!({
        "prompt_tokens": tokens.input_tokens,
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens},
    })
}

fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::spoken::tests::said;
    use instar_protocol::RunId;
    use instar_protocol::event::ErrorClass;
    use instar_protocol::live::UserError;
    use instar_protocol::tool::ToolCall;

    fn heading() -> Heading {
        Heading {
            id: "chatcmpl_1".to_owned(),
            created: 1,
            model: "instar".to_owned(),
        }
    }

    fn data(bytes: &Bytes) -> Vec<String> {
        std::str::from_utf8(bytes)
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(str::to_owned)
            .collect()
    }

    fn text(delta: &str) -> LiveEvent {
        LiveEvent::Text {
            run: RunId::from_stored("run_1"),
            delta: delta.to_owned(),
        }
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says() {
        let mut chunks = Chunks::new(heading(), true);
        let mut heard = String::new();
        let mut all = data(&chunks.begin());
        for delta in ["he", "llo"] {
            all.extend(data(&chunks.live(&text(delta)).unwrap()));
        }
        all.extend(data(&chunks.finish(&said(&["hello"]))));
        assert_eq!(all.pop().as_deref(), Some("[DONE]"));
        let usage: Value = serde_json::from_str(&all.pop().unwrap()).unwrap();
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"]["total_tokens"], 10);
        let last: Value = serde_json::from_str(all.last().unwrap()).unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        for line in &all {
            let chunk: Value = serde_json::from_str(line).unwrap();
            heard += chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default();
        }
        let whole = completion(&heading(), &said(&["hello"])).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], heard);
        assert_eq!(whole["usage"], usage["usage"]);
    }

    #[test]
    fn calls_to_the_callers_tools_are_handed_over() {
        let mut outcome = said(&[""]);
        outcome.client_calls = vec![ToolCall {
            id: "call_1".to_owned(),
            name: "add".to_owned(),
            arguments: json!({"a": 1}),
        }];
        let whole = completion(&heading(), &outcome).unwrap();
        assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
        assert_eq!(
            whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
            "{\"a\":1}"
        );
        let all = data(&Chunks::new(heading(), false).finish(&outcome));
        let delta: Value = serde_json::from_str(&all[0]).unwrap();
        assert_eq!(delta["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_failed_turn_ends_its_stream_with_the_error() {
        let mut outcome = said(&[]);
        outcome.status = OutcomeStatus::Failed;
        outcome.error = Some(UserError {
            class: ErrorClass::Rate,
            message: "the model is busy".to_owned(),
            next_step: "Try again in a minute.".to_owned(),
        });
        let problem = completion(&heading(), &outcome).unwrap_err();
        assert_eq!(problem.status, 429);
        assert_eq!(problem.message, "the model is busy. Try again in a minute.");
        let all = data(&Chunks::new(heading(), true).finish(&outcome));
        assert_eq!(all.len(), 2);
        assert!(all[0].starts_with("{\"error\""), "{}", all[0]);
        assert_eq!(all[1], "[DONE]");
    }
}
