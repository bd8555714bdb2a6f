//! The part of a conversation that the model sees, kept ready between turns.
//!
//! Entries of the transcript go in one after the other and become messages of the request; nothing
//! that is already in changes until the history is shortened. So the request of a turn begins with
//! the request of the turn before, vendors' prompt caches hit, and no turn rebuilds the history.

use instar_protocol::message::{Entry, EntryBody, Part, plain_text};
use instar_protocol::model::{ModelMessage, Usage};
use instar_protocol::{EntryId, Label, Principal, Timestamp};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::errands;
use crate::fence;
use crate::tokens;

mod pictures;

pub(crate) use pictures::Attachment;

/// The newest user turns that stay word for word however long they are.
const RECENT_TURNS_MIN: usize = 3;

/// Messages for the model, with what is known of each.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    messages: Vec<ModelMessage>,
    marks: Vec<Mark>,
    label: Label,
    /// The sum over the marks.
    tokens: u64,
    /// Vendor's count divided by ours, in hundredths, from the last call that told it.
    scale: u64,
    /// Calls of the newest assistant message that have no result yet.
    open: Vec<(String, String)>,
    zone: Arc<TimeZone>,
    /// Pictures that came with messages of people, in view or not; the newest last.
    attachments: Vec<Attachment>,
}

/// What is known of a message beside its text.
#[derive(Debug, Clone)]
struct Mark {
    entry: EntryId,
    tokens: u32,
    begins_turn: bool,
    label: Label,
    /// What the owner typed, where it is a message of his.
    words: Option<Box<str>>,
    /// What another conversation sent, where it is a message of such, and the summary of what was cut
    /// away.
    errand: Option<Box<str>>,
    /// A message with files or pictures.
    has_files: bool,
    /// A result of rows.
    has_rows: bool,
    /// The size of the pictures that a result shows.
    picture_bytes: u64,
}

/// Something in the window that evidence is taken from.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// The owner's words, and where they stand.
    Words {
        text: &'a str,
        entry: &'a EntryId,
        has_files: bool,
    },
    /// What another conversation sent, or a summary tells of.
    Errand { text: &'a str, label: &'a Label },
    /// A result of a tool.
    Result {
        tool: &'a str,
        arguments: &'a Value,
        text: &'a str,
        /// The text is the rows that the tool's own machine gave.
        has_rows: bool,
        label: &'a Label,
    },
}

impl Window {
    pub(crate) fn new(zone: Arc<TimeZone>) -> Self {
        Self {
            messages: Vec::new(),
            marks: Vec::new(),
            label: Label::default(),
            tokens: 0,
            scale: 100,
            open: Vec::new(),
            zone,
            attachments: Vec::new(),
        }
    }

    /// Dates that are pushed from here on are told in this zone.
    pub(crate) fn set_zone(&mut self, zone: &Arc<TimeZone>) {
        if !Arc::ptr_eq(&self.zone, zone) {
            self.zone = Arc::clone(zone);
        }
    }

    pub(crate) fn messages(&self) -> &[ModelMessage] {
        &self.messages
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The join of the labels of everything in it.
    pub(crate) fn label(&self) -> &Label {
        &self.label
    }

    /// True if the call waits for a result.
    pub(crate) fn is_open(&self, call_id: &str) -> bool {
        self.open.iter().any(|(id, _)| id == call_id)
    }

    /// Hands the messages out for a request; [`Window::give_back`] must follow.
    pub(crate) fn lend(&mut self) -> Vec<ModelMessage> {
        std::mem::take(&mut self.messages)
    }

    pub(crate) fn give_back(&mut self, messages: Vec<ModelMessage>) {
        self.messages = messages;
    }

    /// Tokens of the history, by our estimate corrected by the vendor's last count.
    pub(crate) fn tokens(&self) -> u64 {
        self.corrected(self.tokens)
    }

    pub(crate) fn corrected(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(self.scale) / 100
    }

    /// Learns from the vendor's count of the request that was just made. `extra` is our estimate of
    /// what was in it beside the history.
    pub(crate) fn calibrate(&mut self, usage: Usage, extra: u64) {
        // What came from the vendor's cache, or went into it, is part of the input.
        let counted = usage.input_tokens;
        let estimated = self.tokens + extra;
        // Tiny requests say little about the text in them; local models often count nothing.
        if counted >= 200 && estimated >= 200 {
            self.scale = (counted * 100 / estimated).clamp(50, 200);
        }
    }

    /// Takes in the next entry of the branch.
    pub(crate) fn push(&mut self, entry: &Entry) {
        match &entry.body {
            EntryBody::User {
                parts,
                principal,
                surface,
                ..
            } => {
                // An API client's words reach the model as it sent them.
                let is_dated = surface != "openai";
                let said = principal.is_owner().then(|| plain_text(parts));
                let errand = errands::is_writer(principal).then(|| plain_text(parts));
                let has_files = parts.iter().any(|part| !matches!(part, Part::Text { .. }));
                self.note_attachments(parts, entry);
                let parts = self.user_parts(parts, principal, entry, is_dated);
                if !parts.is_empty() {
                    self.close_calls(entry);
                    self.add(ModelMessage::User { parts }, entry, true);
                    if let Some(mark) = self.marks.last_mut() {
                        mark.words = said.map(String::into_boxed_str);
                        mark.errand = errand.map(String::into_boxed_str);
                        mark.has_files = has_files;
                    }
                }
            }
            EntryBody::Assistant {
                text,
                tool_calls,
                reasoning,
                ..
            } => {
                if text.is_empty() && tool_calls.is_empty() {
                    return;
                }
                self.close_calls(entry);
                self.open = tool_calls
                    .iter()
                    .map(|call| (call.id.clone(), call.name.clone()))
                    .collect();
                let message = ModelMessage::Assistant {
                    text: text.clone(),
                    tool_calls: tool_calls.clone(),
                    reasoning: reasoning.clone(),
                };
                self.add(message, entry, false);
            }
            EntryBody::ToolResult {
                call_id,
                tool,
                text,
                is_error,
                has_rows,
                pictures,
                ..
            } => {
                // A result without its call is refused by most vendors.
                let Some(place) = self.open.iter().position(|(id, _)| id == call_id) else {
                    return;
                };
                self.open.remove(place);
                let text = if entry.label.is_tainted() {
                    fence::fenced(&format!("result of {tool}"), text, entry.run.as_ref())
                } else {
                    text.clone()
                };
                let message = ModelMessage::Tool {
                    call_id: call_id.clone(),
                    name: tool.clone(),
                    text,
                    is_error: *is_error,
                    attached: pictures::attached(pictures),
                };
                self.add(message, entry, false);
                if let Some(mark) = self.marks.last_mut() {
                    mark.has_rows = *has_rows;
                }
                self.shows(pictures);
            }
            EntryBody::Compaction {
                summary,
                first_kept,
                ..
            } => self.shorten(summary, first_kept.as_ref(), entry),
            EntryBody::Reset { .. } => {
                self.clear();
                self.attachments.clear();
            }
            EntryBody::ModelChange { .. } | EntryBody::Notice { .. } => {}
        }
    }

    /// Replaces everything before `first_kept` by the summary.
    fn shorten(&mut self, summary: &str, first_kept: Option<&EntryId>, entry: &Entry) {
        // Results of calls that were cut off stand before the message that closed them, under its id:
        // the last of its marks is the message's own.
        let kept = first_kept
            .and_then(|first| self.marks.iter().rposition(|mark| &mark.entry == first))
            .unwrap_or(self.marks.len());
        let text = fence::fenced(
            "summary of the conversation so far",
            summary,
            entry.run.as_ref(),
        );
        let tail = self.messages.split_off(kept);
        let marks = self.marks.split_off(kept);
        let open = std::mem::take(&mut self.open);
        self.clear();
        let parts = vec![Part::text(text)];
        self.add(ModelMessage::User { parts }, entry, false);
        if let Some(mark) = self.marks.last_mut() {
            // What it tells was read somewhere, and is no more free to go out than it was there.
            mark.errand = Some(summary.into());
        }
        for (message, mark) in tail.into_iter().zip(marks) {
            self.tokens += u64::from(mark.tokens);
            self.label = self.label.join(&mark.label);
            self.messages.push(message);
            self.marks.push(mark);
        }
        // A call that stays waits for its result still: no vendor takes one without the other.
        let stays = |call_id: &str| {
            self.messages.iter().any(|message| match message {
                ModelMessage::Assistant { tool_calls, .. } => {
                    tool_calls.iter().any(|call| call.id == call_id)
                }
                ModelMessage::User { .. } | ModelMessage::Tool { .. } => false,
            })
        };
        let open = open.into_iter().filter(|(call_id, _)| stays(call_id));
        self.open = open.collect();
    }

    fn clear(&mut self) {
        let zone = Arc::clone(&self.zone);
        let scale = self.scale;
        let attachments = std::mem::take(&mut self.attachments);
        *self = Self::new(zone);
        self.scale = scale;
        self.attachments = attachments;
    }

    /// Vendors want a result for each call; a call that was cut off gets one that says so.
    fn close_calls(&mut self, entry: &Entry) {
        for message in self.cut_off() {
            self.add(message, entry, false);
        }
        self.open.clear();
    }

    /// Results for the calls that have none, for a request that says something after them.
    pub(crate) fn cut_off(&self) -> Vec<ModelMessage> {
        let results = self.open.iter().map(|(call_id, name)| ModelMessage::Tool {
            call_id: call_id.clone(),
            name: name.clone(),
            text: "there is no result: the call was not run or was cut off".to_owned(),
            is_error: true,
            attached: Vec::new(),
        });
        results.collect()
    }

    fn add(&mut self, message: ModelMessage, entry: &Entry, begins_turn: bool) {
        let tokens = tokens::of_message(&message);
        self.tokens += u64::from(tokens);
        if self.marks.is_empty() {
            self.label = entry.label.clone();
        } else if self.label != entry.label {
            self.label = self.label.join(&entry.label);
        }
        self.messages.push(message);
        self.marks.push(Mark {
            entry: entry.id.clone(),
            tokens,
            begins_turn,
            label: entry.label.clone(),
            words: None,
            errand: None,
            has_files: false,
            has_rows: false,
            picture_bytes: 0,
        });
    }

    /// Who said what, as far as it stands here; oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen<'_>> {
        let mut calls: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut seen = Vec::new();
        for (message, mark) in self.messages.iter().zip(&self.marks) {
            if let Some(text) = mark.words.as_deref() {
                seen.push(Seen::Words {
                    text,
                    entry: &mark.entry,
                    has_files: mark.has_files,
                });
            }
            if let Some(text) = mark.errand.as_deref() {
                let label = &mark.label;
                seen.push(Seen::Errand { text, label });
            }
            match message {
                ModelMessage::User { .. } => {}
                ModelMessage::Assistant { tool_calls, .. } => calls.extend(
                    tool_calls
                        .iter()
                        .map(|call| (call.id.as_str(), &call.arguments)),
                ),
                ModelMessage::Tool {
                    call_id,
                    name,
                    text,
                    is_error,
                    ..
                } => seen.extend(calls.get(call_id.as_str()).filter(|_| !is_error).map(
                    |arguments| Seen::Result {
                        tool: name,
                        arguments,
                        text: fence::inside(text),
                        has_rows: mark.has_rows,
                        label: &mark.label,
                    },
                )),
            }
        }
        seen
    }

    /// The parts as the model gets them: the time before the first text, files and other people's
    /// words fenced.
    fn user_parts(
        &self,
        parts: &[Part],
        principal: &Principal,
        entry: &Entry,
        is_dated: bool,
    ) -> Vec<Part> {
        let mut out = Vec::with_capacity(parts.len());
        for (place, part) in parts.iter().enumerate() {
            out.push(match part {
                // The first says whose answer it is; a task is what is to be done.
                Part::Text { text }
                    if place > 0 && errands::is_writer(principal) && entry.label.is_tainted() =>
                {
                    Part::text(fence::fenced("what it says", text, entry.run.as_ref()))
                }
                Part::Text { text } if foreign(principal) => {
                    let what = format!("message of {}", author(principal));
                    Part::text(fence::fenced(&what, text, entry.run.as_ref()))
                }
                Part::File { name, text, .. } => {
                    let what = format!("attached file {name}");
                    Part::text(fence::fenced(&what, text, entry.run.as_ref()))
                }
                Part::Text { .. } | Part::Image { .. } => part.clone(),
            });
        }
        if !is_dated {
            return out;
        }
        let stamp = stamp(entry.at, &self.zone);
        match out.first_mut() {
            Some(Part::Text { text }) => text.insert_str(0, &stamp),
            Some(_) => out.insert(0, Part::text(stamp.trim_end())),
            None => {}
        }
        out
    }

    /// Where to cut so that about `keep` tokens stay, and at least the newest turns. `None` if
    /// nothing would go.
    pub(crate) fn cut(&self, keep: u64) -> Option<Cut> {
        let (mut kept, mut turns, mut cut) = (0, 0, None);
        for (place, mark) in self.marks.iter().enumerate().rev() {
            kept += u64::from(mark.tokens);
            if !mark.begins_turn {
                continue;
            }
            if turns >= RECENT_TURNS_MIN && self.corrected(kept) > keep {
                break;
            }
            turns += 1;
            cut = Some(Cut {
                first_kept: mark.entry.clone(),
                place,
                kept_tokens: self.corrected(kept),
            });
        }
        cut.filter(|cut| cut.place > 0)
    }

    /// Where to cut when even the newest turns are too long: before the newest one.
    pub(crate) fn cut_hard(&self) -> Option<Cut> {
        let place = self.marks.iter().rposition(|mark| mark.begins_turn)?;
        let kept = self.marks[place..]
            .iter()
            .map(|mark| u64::from(mark.tokens));
        (place > 0).then(|| Cut {
            first_kept: self.marks[place].entry.clone(),
            place,
            kept_tokens: self.corrected(kept.sum()),
        })
    }
}

/// A place to cut the history at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) first_kept: EntryId,
    /// Messages before it.
    pub(crate) place: usize,
    pub(crate) kept_tokens: u64,
}

fn foreign(principal: &Principal) -> bool {
    match principal {
        Principal::Owner { .. } | Principal::Automation { .. } => false,
        Principal::Contact { .. } | Principal::Stranger { .. } => true,
    }
}

fn author(principal: &Principal) -> String {
    match principal {
        Principal::Owner { .. } => "the owner".to_owned(),
        Principal::Automation { source } => format!("the automation {source}"),
        Principal::Contact { id } => format!("the contact {id}"),
        Principal::Stranger { id } => format!("the unknown person {id}"),
    }
}

/// `[Sat 2026-11-21 02:15 UTC] `: with the message rather than in the system text, so that the
/// stable part of the prompt stays stable.
fn stamp(at: Timestamp, zone: &TimeZone) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => {
            let local = time.to_zoned(zone.clone());
            format!("[{}] ", local.strftime("%a %Y-%m-%d %H:%M %Z"))
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, body: EntryBody) -> Entry {
        Entry {
            id: EntryId::from_stored(format!("ent_{n}")),
            session: instar_protocol::SessionId::from_stored("ses_1"),
            parent: None,
            at: Timestamp::from_millis(n),
            run: None,
            label: Label::owner(),
            body,
        }
    }

    fn user(n: u64, surface: &str) -> Entry {
        let principal = Principal::Owner {
            via: instar_protocol::principal::Via::Token,
        };
        entry(
            n,
            EntryBody::User {
                parts: vec![Part::text("hello")],
                principal,
                inbound: None,
                surface: surface.to_owned(),
            },
        )
    }

    #[test]
    fn an_api_client_s_words_are_not_dated_and_everybody_else_s_are() {
        let mut window = Window::new(Arc::new(TimeZone::UTC));
        window.push(&user(1, "openai"));
        window.push(&user(2, "web"));
        let said = |message: &ModelMessage| match message {
            ModelMessage::User { parts } => instar_protocol::message::plain_text(parts),
            ModelMessage::Assistant { .. } | ModelMessage::Tool { .. } => String::new(),
        };
        let said: Vec<String> = window.messages().iter().map(said).collect();
        assert_eq!(said, ["hello", "[Thu 1970-01-01 00:00 UTC] hello"]);
    }

    #[test]
    fn a_call_that_outlives_a_summary_still_gets_an_answer() {
        let mut window = Window::new(Arc::new(TimeZone::UTC));
        window.push(&user(1, "web"));
        window.push(&user(2, "web"));
        let asks = EntryBody::Assistant {
            text: String::new(),
            tool_calls: vec![instar_protocol::tool::ToolCall {
                id: "a".to_owned(),
                name: "look".to_owned(),
                arguments: serde_json::json!({}),
            }],
            reasoning: None,
            model: instar_protocol::model::ModelRef::parse("test/one").unwrap(),
            usage: Usage::default(),
            cost_micros: 0,
            stop: instar_protocol::model::StopReason::ToolUse,
        };
        window.push(&entry(3, asks));
        let summary = EntryBody::Compaction {
            summary: "so far".to_owned(),
            first_kept: Some(EntryId::from_stored("ent_2")),
            tokens_before: 9,
        };
        window.push(&entry(4, summary));
        window.push(&user(5, "web"));
        let kinds: Vec<&str> = window
            .messages()
            .iter()
            .map(|message| match message {
                ModelMessage::User { .. } => "user",
                ModelMessage::Assistant { .. } => "assistant",
                ModelMessage::Tool { .. } => "tool",
            })
            .collect();
        assert_eq!(kinds, ["user", "user", "assistant", "tool", "user"]);
    }

    #[test]
    fn a_summary_takes_the_results_of_calls_that_were_cut_off_with_their_calls() {
        let mut window = Window::new(Arc::new(TimeZone::UTC));
        window.push(&user(1, "web"));
        let asks = EntryBody::Assistant {
            text: String::new(),
            tool_calls: vec![instar_protocol::tool::ToolCall {
                id: "a".to_owned(),
                name: "look".to_owned(),
                arguments: serde_json::json!({}),
            }],
            reasoning: None,
            model: instar_protocol::model::ModelRef::parse("test/one").unwrap(),
            usage: Usage::default(),
            cost_micros: 0,
            stop: instar_protocol::model::StopReason::ToolUse,
        };
        window.push(&entry(2, asks));
        window.push(&user(3, "web"));
        let summary = EntryBody::Compaction {
            summary: "so far".to_owned(),
            first_kept: Some(EntryId::from_stored("ent_3")),
            tokens_before: 9,
        };
        window.push(&entry(4, summary));
        let all_said = window
            .messages()
            .iter()
            .all(|message| matches!(message, ModelMessage::User { .. }));
        assert!(all_said && window.messages().len() == 2, "{window:?}");
    }

    #[test]
    fn cached_tokens_are_counted_once() {
        let mut window = Window::new(Arc::new(TimeZone::UTC));
        window.tokens = 1_000;
        let usage = Usage {
            input_tokens: 1_000,
            cache_read_tokens: 900,
            cache_write_tokens: 100,
            ..Usage::default()
        };
        window.calibrate(usage, 0);
        assert_eq!(window.tokens(), 1_000);
    }
}
