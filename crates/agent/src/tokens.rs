//! A fast estimate of how many tokens a text costs.
//!
//! It walks the characters once and charges each by its kind, in hundredths of a token. Against
//! the vendors' own counts expect it within about a quarter for prose and code in Latin script and
//! within a third for other scripts; where it errs it is meant to err high. The window corrects it
//! by what the vendor counted for the last request (see `context`).

use instar_protocol::message::Part;
use instar_protocol::model::ModelMessage;
use instar_protocol::tool::ToolSpec;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What an image is charged: vendors ask for between a few hundred and 1,600.
const IMAGE_TOKENS: u32 = 1_000;
/// What a message costs beside its text: role and separators.
const MESSAGE_TOKENS: u32 = 4;

/// Tokens of a text.
#[must_use]
pub(crate) fn of_text(text: &str) -> u32 {
    let hundredths: u64 = text.chars().map(cost).sum();
    u32::try_from(hundredths.div_ceil(100)).unwrap_or(u32::MAX)
}

/// Hundredths of a token that one character costs.
fn cost(character: char) -> u64 {
    match character {
        'a'..='z' | 'A'..='Z' => 24,
        ' ' => 8,
        '0'..='9' => 40,
        '\n' | '\t' | '\r' => 35,
        '\0'..='\x7f' => 55,
        // Latin with marks, Greek, Cyrillic, Hebrew, Arabic.
        '\u{80}'..='\u{7ff}' => 50,
        '\u{800}'..='\u{2e7f}' => 75,
        // Chinese, Japanese, Korean.
        '\u{2e80}'..='\u{ffff}' => 115,
        '\u{10000}'.. => 250,
    }
}

/// Tokens of a message as the model gets it.
#[must_use]
pub(crate) fn of_message(message: &ModelMessage) -> u32 {
    let content = match message {
        ModelMessage::User { parts } => parts.iter().map(of_part).fold(0, u32::saturating_add),
        ModelMessage::Assistant {
            text,
            tool_calls,
            reasoning,
        } => {
            let thought = reasoning
                .as_ref()
                .map_or(0, |reasoning| of_text(&reasoning.text));
            tool_calls
                .iter()
                .map(|call| {
                    of_text(&call.name) + of_text(&call.arguments.to_string()) + MESSAGE_TOKENS
                })
                .fold(of_text(text).saturating_add(thought), u32::saturating_add)
        }
        ModelMessage::Tool {
            text,
            name,
            attached,
            ..
        } => {
            let words = of_text(text).saturating_add(of_text(name));
            attached
                .iter()
                .map(of_part)
                .fold(words, u32::saturating_add)
        }
    };
    content.saturating_add(MESSAGE_TOKENS)
}

fn of_part(part: &Part) -> u32 {
    match part {
        Part::Text { text } | Part::File { text, .. } => of_text(text),
        Part::Image { .. } => IMAGE_TOKENS,
    }
}

/// What descriptions of tools cost. They are long and the same from turn to turn, so each is counted
/// once for as long as somebody holds it.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    /// By address. The weak handle keeps the address from being given to another.
    counted: Mutex<HashMap<usize, (Weak<ToolSpec>, u64)>>,
}

impl Specs {
    /// Tokens of all of them.
    pub(crate) fn of(&self, tools: &[Arc<ToolSpec>]) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.len();
        let sum = tools
            .iter()
            .map(|tool| {
                let place = Arc::as_ptr(tool).addr();
                let (_, cost) = counted
                    .entry(place)
                    .or_insert_with(|| (Arc::downgrade(tool), of_spec(tool)));
                *cost
            })
            .sum();
        if counted.len() > known {
            counted.retain(|_, (tool, _)| tool.strong_count() > 0);
        }
        sum
    }
}

fn of_spec(tool: &ToolSpec) -> u64 {
    u64::from(of_text(&tool.description)) + u64::from(of_text(&tool.parameters.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(description: &str) -> Arc<ToolSpec> {
        Arc::new(ToolSpec {
            name: "look".to_owned(),
            description: description.to_owned(),
            parameters: serde_json::json!({"type": "object"}),
        })
    }

    #[test]
    fn descriptions_are_counted_once_and_forgotten_with_their_tools() {
        let specs = Specs::default();
        let held = spec("Looks around.");
        let cost = specs.of(&[Arc::clone(&held)]);
        assert_eq!(cost, of_spec(&held));
        assert_eq!(specs.of(&[Arc::clone(&held), Arc::clone(&held)]), 2 * cost);
        for round in 0..100 {
            let passing = spec(&"Looks further. ".repeat(round));
            let both = specs.of(&[Arc::clone(&held), Arc::clone(&passing)]);
            assert_eq!(both, cost + of_spec(&passing));
        }
        let left = specs.counted.lock().unwrap().len();
        assert!(left <= 2, "{left} are remembered");
    }

    #[test]
    fn scripts_are_told_apart() {
        // Counts of a common byte-pair vocabulary for these sentences: 10, 13, 12.
        let english = of_text("The quick brown fox jumps over the lazy dog.");
        let russian = of_text("Съешь же ещё этих мягких булок");
        let chinese = of_text("我今天想去公园散步看花");
        assert!((9..=13).contains(&english), "{english}");
        assert!((12..=18).contains(&russian), "{russian}");
        assert!((11..=15).contains(&chinese), "{chinese}");
    }

    #[test]
    fn more_text_never_costs_less() {
        let text = "a1 é\n漢字🙂{}";
        let mut last = 0;
        for (end, _) in text.char_indices() {
            let now = of_text(&text[..end]);
            assert!(now >= last);
            last = now;
        }
    }
}
