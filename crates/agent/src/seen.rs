//! What a run has seen, as evidence: the owner's words, what he brought, and what came of calls.

use instar_policy::words::{is_pasted, typed_part};
use instar_policy::{Annotation, Authority, Evidence};
use instar_protocol::Label;
use instar_protocol::tool::Effect;
use serde_json::Value;

use crate::planner::Asked;
use crate::window::{Seen, Window};

/// The owner's newest messages that make up the request: what he said, and what he added to it.
const REQUEST_MESSAGES: usize = 3;
/// Where a text counts as read that another conversation sent, or that a summary tells of.
const ERRANDS: (&str, &str) = ("conversations", "sessions_spawn");

/// The owner's words that stand in a window, the oldest first.
pub(crate) fn words_in(window: &Window) -> Vec<String> {
    let seen = window.seen().into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Words { text, .. } => Some(text.to_owned()),
        Seen::Errand { .. } | Seen::Result { .. } => None,
    })
    .collect()
}

/// What a window shows, as evidence, with all of these words of the owner's that he typed.
pub(crate) fn seen_so_far(
    window: &Window,
    authority: &Authority,
    words: &[String],
) -> (Evidence, Asked) {
    let mut evidence = Evidence::default();
    evidence.known(&authority.known);
    // What was named long ago is not named for this request.
    for words in words
        .iter()
        .skip(words.len().saturating_sub(REQUEST_MESSAGES))
    {
        evidence.owner_words(words);
    }
    let mut asked = Asked {
        words: words.iter().map(|words| typed_part(words)).collect(),
        ..Asked::default()
    };
    for seen in window.seen() {
        match seen {
            Seen::Words {
                text, has_files, ..
            } => {
                if has_files || is_pasted(text) {
                    evidence.brought();
                }
            }
            Seen::Errand { text, label } => {
                evidence.text(ERRANDS, text, &worst(label), &label.readers);
            }
            Seen::Result {
                tool,
                arguments,
                text,
                has_rows,
                label,
            } => {
                let annotation = authority.annotations.get(tool);
                if annotation.is_some_and(|one| one.effect > Effect::Read) {
                    *asked.done.entry(tool.to_owned()).or_default() += 1;
                }
                let value = serde_json::from_str(text).ok().filter(|_| has_rows);
                take(
                    &mut evidence,
                    (tool, annotation),
                    arguments,
                    (text, value.as_ref()),
                    label,
                );
            }
        }
    }
    (evidence, asked)
}

/// Adds a result: its rows where the tool's own machine gave some, else its text.
pub(crate) fn take(
    evidence: &mut Evidence,
    (tool, annotation): (&str, Option<&Annotation>),
    arguments: &Value,
    (text, value): (&str, Option<&Value>),
    label: &Label,
) {
    match (annotation, value) {
        (Some(annotation), Some(value)) => {
            evidence.result(tool, annotation, arguments, value, &label.readers);
        }
        (annotation, _) => {
            let connector = annotation.map_or("", |one| one.connector.as_str());
            evidence.text((connector, tool), text, &worst(label), &label.readers);
        }
    }
}

fn worst(label: &Label) -> instar_protocol::Origin {
    label
        .origins
        .iter()
        .last()
        .cloned()
        .unwrap_or(instar_protocol::Origin::System)
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_policy::{Field, FieldRole, Grade, Kind, Slot, SlotRole};
    use instar_protocol::message::{Entry, EntryBody, Part};
    use instar_protocol::model::{ModelRef, StopReason, Usage};
    use instar_protocol::principal::Via;
    use instar_protocol::tool::{ToolCall, ToolDecision};
    use instar_protocol::{EntryId, ObjectHash, Principal, Readers, SessionId, Timestamp};
    use serde_json::json;
    use std::sync::Arc;

    fn push(window: &mut Window, label: &Label, body: EntryBody) {
        window.push(&Entry {
            id: EntryId::from_stored("ent_1"),
            session: SessionId::from_stored("ses_1"),
            parent: None,
            at: Timestamp::from_millis(1),
            run: None,
            label: label.clone(),
            body,
        });
    }

    /// How an id is evidenced that stands in a stored result, and what it was read from.
    fn found_again(has_rows: bool) -> (Grade, bool) {
        let text = r#"[{"id":"17"}]"#;
        let call = ToolCall {
            id: "call".to_owned(),
            name: "list".to_owned(),
            arguments: json!({}),
        };
        let mut window = Window::new(Arc::new(jiff::tz::TimeZone::UTC));
        let asked = EntryBody::Assistant {
            text: String::new(),
            tool_calls: vec![call],
            reasoning: None,
            model: ModelRef::parse("test/one").unwrap(),
            usage: Usage::default(),
            cost_micros: 0,
            stop: StopReason::ToolUse,
        };
        let result = EntryBody::ToolResult {
            call_id: "call".to_owned(),
            tool: "list".to_owned(),
            text: text.to_owned(),
            is_error: false,
            has_rows,
            decision: ToolDecision::Allowed {
                rule: "x".to_owned(),
            },
            pictures: Vec::new(),
        };
        let label = Label::stranger(Readers::Private);
        push(&mut window, &label, asked);
        push(&mut window, &label, result);
        let annotation = Annotation {
            connector: "drive".to_owned(),
            fields: vec![Field {
                path: "[].id".to_owned(),
                kind: Kind::Id,
                role: FieldRole::System,
                author: None,
            }],
            ..Annotation::reads(label)
        };
        let authority = Authority::over([("list".to_owned(), annotation)].into());
        let (evidence, _words) = seen_so_far(&window, &authority, &[]);
        let slot = Slot {
            role: SlotRole::Which,
            kind: Kind::Id,
        };
        let grade = evidence.grade("drive", "id", slot, "17").grade;
        (grade, evidence.has_results())
    }

    #[test]
    fn rows_are_what_a_tool_gave_as_rows_and_no_text_that_looks_like_them() {
        assert_eq!(found_again(true), (Grade::G1, true));
        assert_eq!(found_again(false), (Grade::G0, true));
    }

    #[test]
    fn what_a_summary_tells_of_is_as_private_as_it_was() {
        let mut window = Window::new(Arc::new(jiff::tz::TimeZone::UTC));
        let summary = EntryBody::Compaction {
            summary: "the code is 48213".to_owned(),
            first_kept: None,
            tokens_before: 9,
        };
        push(&mut window, &Label::stranger(Readers::Private), summary);
        let (evidence, _words) = seen_so_far(&window, &Authority::default(), &[]);
        assert_eq!(evidence.foreign_pieces("text", "48213", false).len(), 1);
    }

    #[test]
    fn what_the_owner_pastes_or_attaches_is_told_from_what_he_types() {
        let brings = |parts: Vec<Part>| {
            let mut window = Window::new(Arc::new(jiff::tz::TimeZone::UTC));
            let said = EntryBody::User {
                parts,
                principal: Principal::Owner { via: Via::Token },
                surface: "cli".to_owned(),
                inbound: None,
            };
            push(&mut window, &Label::owner(), said);
            match window.seen().as_slice() {
                [
                    Seen::Words {
                        text, has_files, ..
                    },
                ] => (is_pasted(text), *has_files),
                other => panic!("{other:?}"),
            }
        };
        let attached = Part::File {
            object: ObjectHash::from_hex("00"),
            name: "lease.txt".to_owned(),
            mime: "text/plain".to_owned(),
            text: "the rent is 1,200 a month".to_owned(),
        };
        let question = Part::text("what is a usual rent here?");
        let pasted = Part::text("what of this?\n> the rent is 1,200 a month\n");
        assert_eq!(brings(vec![question.clone()]), (false, false));
        assert_eq!(brings(vec![pasted]), (true, false));
        assert_eq!(brings(vec![question, attached]), (false, true));
    }
}
