//! Stored entries as the transcript shows them.

use instar_protocol::Principal;
use instar_protocol::RunId;
use instar_protocol::errand::ErrandKind;
use instar_protocol::event::FeedbackVerdict;
use instar_protocol::message::{Entry, EntryBody, NoticeKind, Part, Picture};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::tool::ToolDecision;
use maud::{Markup, html};
use std::collections::BTreeMap;

use super::frame::{dollars, moment, number};
use super::markdown;
use super::rooms::encoded;
use super::ways::Ways;
use super::words::Words;

/// Tool output and arguments are shown up to this many characters; the transcript has them whole.
const TOOL_CHARS_SHOWN: usize = 4_000;

/// What entries are shown with.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) words: &'static Words,
    /// The conversation's key.
    pub(super) key: &'a str,
    /// What the owner said of answers, by their run.
    pub(super) verdicts: &'a BTreeMap<RunId, FeedbackVerdict>,
    /// Other versions, and what can be done for another one.
    pub(super) ways: Ways<'a>,
}

impl Shown<'_> {
    /// Entries as fragments, oldest first.
    #[must_use]
    pub(super) fn entries(&self, entries: &[Entry]) -> Markup {
        html! { @for entry in entries { (self.one(entry)) } }
    }

    fn one(&self, entry: &Entry) -> Markup {
        let words = self.words;
        let id = entry.id.as_str();
        let ways = self.ways.of(words, self.key, entry);
        match &entry.body {
            EntryBody::User {
                parts, principal, ..
            } => html! {
                article class={ "entry user" @if self.ways.is_edited(entry) { " editing" } } id=(id) data-entry=(id) {
                    div class="who" { (author(words, principal)) }
                    @for (at, part) in parts.iter().enumerate() { (self.part(id, at, part)) }
                    (ways)
                    @if self.ways.is_edited(entry) { (self.ways.editor(words, self.key, entry)) }
                }
            },
            EntryBody::Assistant {
                text,
                tool_calls,
                model,
                stop,
                usage,
                cost_micros,
                ..
            } => html! {
                article class="entry assistant" id=(id) data-entry=(id) {
                    @if !text.is_empty() {
                        div class="who" { (words.agent_says) }
                        div class="text" { (markdown::render(text)) }
                    }
                    @if tool_calls.is_empty() {
                        div class="foot" {
                            (about(words, entry, model, *usage, *cost_micros, *stop))
                            @if let Some(run) = &entry.run { (self.judge(run)) }
                            @if !text.is_empty() { span data-copy="" {} }
                            (ways)
                        }
                    } @else { (ways) }
                }
            },
            EntryBody::ToolResult {
                tool,
                text,
                is_error,
                decision,
                pictures,
                ..
            } => {
                let seen = self.pictures(id, pictures);
                tool_result(words, id, tool, &seen, (text, *is_error), decision)
            }
            EntryBody::Compaction { summary, .. } => html! {
                details class="entry tool" id=(id) data-entry=(id) {
                    summary { (words.summarised) }
                    (markdown::render(summary))
                    (ways)
                }
            },
            EntryBody::Reset { reason } => {
                html! { div class="entry notice" id=(id) data-entry=(id) { (reason) (ways) } }
            }
            EntryBody::ModelChange { model } => html! {
                div class="entry notice" id=(id) data-entry=(id) {
                    @match model {
                        Some(model) => { (words.now_answers) " " code { (model.as_str()) } },
                        None => (words.usual_answers),
                    }
                    (ways)
                }
            },
            EntryBody::Notice { kind, text } => {
                let class = match kind {
                    NoticeKind::Error => "entry notice error",
                    NoticeKind::Command
                    | NoticeKind::Interrupted
                    | NoticeKind::Uncertain
                    | NoticeKind::Question
                    | NoticeKind::Aborted => "entry notice",
                };
                html! { div class=(class) id=(id) data-entry=(id) { (markdown::render(text)) (ways) } }
            }
        }
    }

    /// A piece of a person's message. Attachments are fetched through the entry that holds them.
    fn part(&self, entry: &str, at: usize, part: &Part) -> Markup {
        let words = self.words;
        let address = || {
            format!(
                "/chat/attached?session={}&entry={entry}&part={at}",
                encoded(self.key)
            )
        };
        match part {
            Part::Text { text } => markdown::render(text),
            Part::Image { mime, .. } => html! {
                a class="attached" href=(address()) {
                    img src=(address()) alt={ (words.an_image) " (" (mime) ")" } loading="lazy";
                }
            },
            Part::File { name, .. } => html! {
                p class="attached" { a href=(address()) download=(name) { (words.the_file) " " (name) } }
            },
        }
    }

    /// What a tool had to show.
    fn pictures(&self, entry: &str, pictures: &[Picture]) -> Markup {
        let words = self.words;
        html! {
            @for (at, picture) in pictures.iter().enumerate() {
                @let address = format!(
                    "/chat/attached?session={}&entry={entry}&part={at}",
                    encoded(self.key)
                );
                a class="attached" href=(address) {
                    img src=(address) alt={ (words.an_image) " (" (picture.name) ")" } loading="lazy";
                }
            }
        }
    }

    /// The owner's word about an answer.
    fn judge(&self, run: &RunId) -> Markup {
        let said = self.verdicts.get(run);
        let button = |verdict: FeedbackVerdict, name: &str, sign: &str, label: &str| {
            html! {
                button type="button" class="judge" data-verdict=(name) data-run=(run)
                    aria-pressed=(said == Some(&verdict)) aria-label=(label) title=(label) { (sign) }
            }
        };
        html! {
            span class="judges" {
                (button(FeedbackVerdict::Good, "good", self.words.good, self.words.good_answer))
                (button(FeedbackVerdict::Bad, "bad", self.words.bad, self.words.bad_answer))
            }
        }
    }
}

/// Which model answered, when, for how much, and why it ended where it did.
fn about(
    words: &Words,
    entry: &Entry,
    model: &ModelRef,
    usage: Usage,
    cost_micros: u64,
    stop: StopReason,
) -> Markup {
    html! {
        p class="meta" {
            (model.as_str()) " · " (moment(entry.at))
            @if usage.input_tokens + usage.output_tokens > 0 {
                " · " span title={ (words.tokens_in) " / " (words.tokens_out) } {
                    (number(usage.input_tokens)) " / " (number(usage.output_tokens))
                }
            }
            @if cost_micros > 0 { " · " (dollars(cost_micros)) }
            @match stop {
                StopReason::Aborted => { " · " (words.stopped) },
                StopReason::Length => { " · " (words.cut_at_length) },
                StopReason::Refusal => { " · " (words.refused_by_model) },
                StopReason::Stop | StopReason::ToolUse => {},
            }
        }
    }
}

fn tool_result(
    words: &Words,
    id: &str,
    tool: &str,
    seen: &Markup,
    (text, is_error): (&str, bool),
    decision: &ToolDecision,
) -> Markup {
    match decision {
        ToolDecision::Denied { rule, reason } => html! {
            details class="entry tool denied" id=(id) data-entry=(id) open {
                summary { (words.refused_call) " " (tool) }
                p { (reason) }
                p class="meta" { (words.rule) " " (rule) }
            }
        },
        ToolDecision::Allowed { rule } => html! {
            details class="entry tool" id=(id) data-entry=(id) {
                summary { @if is_error { (words.failed_call) } @else { (words.used_call) } " " (tool) }
                pre { code { (shown(words, text)) } }
                (seen)
                p class="meta" { (words.allowed_by) " " (rule) }
            }
        },
        ToolDecision::Asked { question, rule } => html! {
            details class="entry tool asked" data-entry=(id) open {
                summary { (words.asked_call) " " (tool) }
                p class="meta" { (question) " · " (words.rule) " " (rule) }
            }
        },
        ToolDecision::Handed => html! {
            details class="entry tool" id=(id) data-entry=(id) {
                summary { (words.handed_call) " " (tool) }
                pre { code { (shown(words, text)) } }
            }
        },
    }
}

/// A bounded piece of tool output; what is left out is said.
fn shown(words: &Words, text: &str) -> String {
    match text.char_indices().nth(TOOL_CHARS_SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!(
            "{}\n… {} {}",
            &text[..at],
            text.len() - at,
            words.more_bytes
        ),
    }
}

/// Who a message is from, as the page calls him.
fn author(words: &Words, principal: &Principal) -> &'static str {
    let Principal::Automation { source } = principal else {
        return words.you;
    };
    match source {
        source if source == ErrandKind::Task.source() => words.said_task,
        source if source == ErrandKind::Report.source() => words.said_report,
        source if source == ErrandKind::Word.source() => words.said_elsewhere,
        source if source == ErrandKind::Answer.source() => words.said_answer,
        _ => words.said_gateway,
    }
}
