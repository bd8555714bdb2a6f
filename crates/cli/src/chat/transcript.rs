//! A conversation as blocks: what was said, done and noted, in the order of the screen.

use instar_protocol::live::LiveEvent;
use instar_protocol::message::{Entry, EntryBody, NoticeKind, Part, plain_text};
use instar_protocol::model::Usage;
use instar_protocol::tool::{ToolCall, ToolDecision};

use super::text::{clean, clean_line};
use crate::out::dollars;

/// The longest piece of a tool's result that is shown unfolded.
const RESULT_CHARS_MAX: usize = 4_000;

/// One thing on the screen. Every text in it is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    User(String),
    Agent(String),
    Reasoning(String),
    Tool(Tool),
    Note {
        text: String,
        bad: bool,
    },
    /// What an answer cost.
    Cost(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    /// Absent while it is being decided or runs.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) result: String,
}

/// How a call was decided and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ran(String),
    Failed(String),
    Refused(String),
    Handed,
}

/// A stored conversation as blocks.
pub(crate) fn blocks<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for entry in entries {
        add(&entry.body, &mut blocks);
    }
    blocks
}

fn add(body: &EntryBody, blocks: &mut Vec<Block>) {
    match body {
        EntryBody::User { parts, .. } => blocks.push(Block::User(said(parts))),
        EntryBody::Assistant {
            text,
            tool_calls,
            reasoning,
            model,
            usage,
            cost_micros,
            ..
        } => {
            if let Some(reasoning) = reasoning.as_ref().filter(|one| !one.text.is_empty()) {
                blocks.push(Block::Reasoning(clean(&reasoning.text)));
            }
            if !text.is_empty() {
                blocks.push(Block::Agent(clean(text)));
            }
            blocks.extend(tool_calls.iter().map(tool));
            blocks.push(Block::Cost(cost(&model.to_string(), *usage, *cost_micros)));
        }
        EntryBody::ToolResult {
            call_id,
            tool: name,
            text,
            is_error,
            decision,
            ..
        } => settle(blocks, call_id, name, (decision, *is_error, text)),
        EntryBody::Compaction { summary, .. } => blocks.push(note(
            &format!("What was said before is kept as a summary: {summary}"),
            false,
        )),
        EntryBody::Reset { .. } => blocks.push(note("── a new conversation begins here ──", false)),
        EntryBody::ModelChange { model } => {
            let model = model.as_ref().map(ToString::to_string);
            let model = model.unwrap_or_else(|| "the default model".to_owned());
            blocks.push(note(&format!("from here on {model} answers"), false));
        }
        EntryBody::Notice { kind, text } => blocks.push(note(text, is_bad(*kind))),
    }
}

/// Adds what happens in a running turn.
pub(crate) fn happen(event: &LiveEvent, blocks: &mut Vec<Block>) {
    match event {
        LiveEvent::Text { delta, .. } => match blocks.last_mut() {
            Some(Block::Agent(text)) => text.push_str(&clean(delta)),
            _ => blocks.push(Block::Agent(clean(delta))),
        },
        LiveEvent::Reasoning { delta, .. } => match blocks.last_mut() {
            Some(Block::Reasoning(text)) => text.push_str(&clean(delta)),
            _ => blocks.push(Block::Reasoning(clean(delta))),
        },
        LiveEvent::ToolCall { call, .. } => blocks.push(tool(call)),
        LiveEvent::ToolResult {
            call_id,
            decision,
            is_error,
            text,
            ..
        } => settle(blocks, call_id, "tool", (decision, *is_error, text)),
        LiveEvent::Notice { kind, text } => blocks.push(note(text, is_bad(*kind))),
        LiveEvent::Accepted { .. }
        | LiveEvent::Started { .. }
        | LiveEvent::Moved { .. }
        | LiveEvent::Stored { .. }
        | LiveEvent::Done { .. } => {}
    }
}

/// Something that the client itself has to say.
pub(crate) fn note(text: &str, bad: bool) -> Block {
    Block::Note {
        text: clean(text),
        bad,
    }
}

fn is_bad(kind: NoticeKind) -> bool {
    kind != NoticeKind::Command
}

fn said(parts: &[Part]) -> String {
    let mut text = clean(&plain_text(parts));
    for part in parts {
        let attached = match part {
            Part::Text { .. } => continue,
            Part::Image { mime, .. } => format!("[image, {mime}]"),
            Part::File { name, .. } => format!("[file {name}]"),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&clean_line(&attached, 200));
    }
    text
}

fn tool(call: &ToolCall) -> Block {
    Block::Tool(Tool {
        id: call.id.clone(),
        name: clean_line(&call.name, 60),
        arguments: clean(&call.arguments.to_string()),
        verdict: None,
        result: String::new(),
    })
}

/// Writes a call's end into its block, or makes a block where the call is not on the screen.
fn settle(
    blocks: &mut Vec<Block>,
    id: &str,
    name: &str,
    (decision, is_error, text): (&ToolDecision, bool, &str),
) {
    let verdict = match decision {
        ToolDecision::Denied { rule, reason } => {
            Verdict::Refused(clean_line(&format!("{reason} (rule {rule})"), 300))
        }
        ToolDecision::Asked { question, .. } => Verdict::Refused(format!(
            "waits for your answer: F3, or instar approvals show {question}"
        )),
        ToolDecision::Handed => Verdict::Handed,
        ToolDecision::Allowed { rule } if is_error => Verdict::Failed(clean_line(rule, 80)),
        ToolDecision::Allowed { rule } => Verdict::Ran(clean_line(rule, 80)),
    };
    let open = blocks.iter_mut().rev().find_map(|block| match block {
        Block::Tool(tool) if tool.id == id && tool.verdict.is_none() => Some(tool),
        _ => None,
    });
    let result: String = clean(text).chars().take(RESULT_CHARS_MAX).collect();
    match open {
        Some(tool) => {
            tool.verdict = Some(verdict);
            tool.result = result;
        }
        None => blocks.push(Block::Tool(Tool {
            id: id.to_owned(),
            name: clean_line(name, 60),
            arguments: String::new(),
            verdict: Some(verdict),
            result,
        })),
    }
}

/// What an answer took, for people.
pub(crate) fn cost(model: &str, usage: Usage, micros: u64) -> String {
    let model = clean_line(model, 60);
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    let money = if micros == 0 {
        String::new()
    } else {
        format!(" · {}", dollars(micros))
    };
    format!("{model} · {input} in, {output} out{money}")
}
