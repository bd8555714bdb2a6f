//! What of an answer has been said so far, so that a stream and a whole answer say the same.
//!
//! A turn may call the model several times with tools in between. The texts of one turn are one
//! answer, with an empty line where a tool ran. A reader that fell behind, or an answer that never
//! came as deltas (a command's, say), gets the rest from the outcome.

use instar_protocol::live::Outcome;
use instar_protocol::message::{Entry, EntryBody};

/// Stands between two texts of one turn.
const GAP: &str = "\n\n";

/// The text that has been handed out.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    text: String,
    gap: bool,
}

impl Spoken {
    /// Takes a delta and gives what to hand out for it.
    pub(crate) fn add(&mut self, delta: &str) -> String {
        let gap = self.gap && !self.text.is_empty() && !delta.is_empty();
        let piece = if gap {
            format!("{GAP}{delta}")
        } else {
            delta.to_owned()
        };
        if !delta.is_empty() {
            self.gap = false;
        }
        self.text.push_str(&piece);
        piece
    }

    /// A tool ran: the next text is another paragraph.
    pub(crate) fn pause(&mut self) {
        self.gap = true;
    }

    /// What is missing from the whole answer; empty if nothing is.
    pub(crate) fn rest(&mut self, outcome: &Outcome) -> String {
        let whole = answer(outcome);
        let last = outcome.text.trim_end();
        let piece = if let Some(rest) = whole.strip_prefix(self.text.as_str()) {
            rest.to_owned()
        } else if self.text.trim_end().ends_with(last) {
            String::new()
        } else {
            // An attempt that failed half-way was replaced by another model's whole answer.
            format!("{GAP}{}", outcome.text)
        };
        self.text.push_str(&piece);
        piece
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The whole answer of a turn: every text that its model calls gave.
pub(crate) fn answer(outcome: &Outcome) -> String {
    let texts: Vec<&str> = own(&outcome.entries)
        .iter()
        .filter_map(|entry| match &entry.body {
            EntryBody::Assistant { text, .. } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    // The outcome's text is the last word: where it differs, it was changed on purpose.
    match texts.last() {
        Some(last) if *last == outcome.text => texts.join(GAP),
        _ => outcome.text.clone(),
    }
}

/// The entries that the turn made itself. Before them come those that the caller sent along.
pub(crate) fn own(entries: &[Entry]) -> &[Entry] {
    let asked = entries.iter().position(|entry| {
        matches!(
            &entry.body,
            EntryBody::User {
                inbound: Some(_),
                ..
            }
        )
    });
    match asked {
        Some(at) => &entries[at + 1..],
        None => entries,
    }
}

/// The reasoning before the first text of a turn.
pub(crate) fn reasoning(outcome: &Outcome) -> String {
    let mut found = Spoken::default();
    for entry in own(&outcome.entries) {
        if let EntryBody::Assistant {
            text, reasoning, ..
        } = &entry.body
        {
            if let Some(reasoning) = reasoning {
                let _piece = found.add(&reasoning.text);
                found.pause();
            }
            if !text.is_empty() {
                break;
            }
        }
    }
    found.text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use instar_protocol::live::OutcomeStatus;
    use instar_protocol::message::Entry;
    use instar_protocol::model::{ModelRef, Reasoning, StopReason, Usage};
    use instar_protocol::{EntryId, Label, SessionId, Timestamp};

    pub(crate) fn said(texts: &[&str]) -> Outcome {
        let entries = texts
            .iter()
            .map(|text| Entry {
                id: EntryId::new(Timestamp::from_millis(1), [0; 10]),
                parent: None,
                session: SessionId::from_stored("ses_1"),
                at: Timestamp::from_millis(1),
                run: None,
                label: Label::owner(),
                body: EntryBody::Assistant {
                    text: (*text).to_owned(),
                    tool_calls: Vec::new(),
                    reasoning: Some(Reasoning {
                        text: "hm".to_owned(),
                        signature: None,
                    }),
                    model: ModelRef::parse("demo/guide").unwrap(),
                    usage: Usage::default(),
                    cost_micros: 0,
                    stop: StopReason::Stop,
                },
            })
            .collect();
        Outcome {
            status: OutcomeStatus::Ok,
            text: texts.last().copied().unwrap_or_default().to_owned(),
            client_calls: Vec::new(),
            stop: StopReason::Stop,
            model: ModelRef::parse("demo/guide"),
            usage: Usage {
                input_tokens: 7,
                output_tokens: 3,
                ..Usage::default()
            },
            cost_micros: 0,
            error: None,
            outbox: None,
            entries,
        }
    }

    #[test]
    fn deltas_and_the_whole_answer_agree() {
        let mut spoken = Spoken::default();
        let mut heard = spoken.add("let me ");
        heard += &spoken.add("look");
        spoken.pause();
        heard += &spoken.add("it is ");
        heard += &spoken.add("4");
        let outcome = said(&["let me look", "it is 4"]);
        assert_eq!(spoken.rest(&outcome), "");
        assert_eq!(heard, answer(&outcome));
    }

    #[test]
    fn a_reader_that_fell_behind_gets_the_rest() {
        let mut spoken = Spoken::default();
        let _piece = spoken.add("let me l");
        assert_eq!(spoken.rest(&said(&["let me look", "4"])), "ook\n\n4");
        assert_eq!(Spoken::default().rest(&said(&["all"])), "all");
    }

    #[test]
    fn a_second_attempt_is_said_whole_once() {
        let mut spoken = Spoken::default();
        let _piece = spoken.add("half an ans");
        assert_eq!(spoken.rest(&said(&["the answer"])), "\n\nthe answer");
        let _piece = spoken.rest(&said(&["the answer"]));
        assert_eq!(spoken.text(), "half an ans\n\nthe answer");
    }

    #[test]
    fn reasoning_ends_where_the_answer_begins() {
        assert_eq!(reasoning(&said(&["", "x", "y"])), "hm\n\nhm");
    }
}
