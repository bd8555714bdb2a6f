//! Playing a script: choosing the rule and turning its answer into events.

use instar_protocol::model::{LocalModel, ModelEvent, ModelRequest, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ask::{Ask, Writing, is_han};
use crate::fill::{fill, fill_value};
use crate::script::{Answer, CallStep, Finish, Pace, Rule, Script, ScriptError, Split, Step, When};

/// A script with its counters. Share it; do not clone it.
#[derive(Debug)]
pub struct Player {
    script: Script,
    calls: AtomicU64,
    used: Vec<AtomicU64>,
}

/// What is to be answered to one request.
#[derive(Clone, PartialEq, Debug)]
pub struct Played<'a> {
    /// The number of the call, from 1.
    pub call: u64,
    pub answer: &'a Answer,
    /// Events with the pause in milliseconds before each; the last is the finish.
    pub events: Vec<(u64, ModelEvent)>,
}

impl Player {
    /// Checks the script and gets it ready.
    pub fn new(mut script: Script) -> Result<Self, ScriptError> {
        script.check()?;
        for rule in &mut script.rules {
            rule.when.fold_case();
        }
        Ok(Self {
            used: script.rules.iter().map(|_| AtomicU64::new(0)).collect(),
            calls: AtomicU64::new(0),
            script,
        })
    }

    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Answers one request, and counts it.
    #[must_use]
    pub fn play(&self, ask: &Ask) -> Played<'_> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = self.choose(ask, call);
        Played {
            call,
            answer,
            events: events(answer, self.script.pace, ask, call),
        }
    }

    fn choose(&self, ask: &Ask, call: u64) -> &Answer {
        let text = ask.text.to_lowercase();
        let luck = luck(self.script.seed, call);
        self.script
            .rules
            .iter()
            .zip(&self.used)
            .find(|(rule, used)| rule.when.fits(ask, &text, call, luck) && take(rule, used))
            .map_or(&self.script.otherwise, |(rule, _)| &rule.answer)
    }
}

impl LocalModel for Player {
    fn answer(&self, model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let played = self.play(&Ask::of(model, request));
        let mut events = played.events;
        let unfinished = played
            .answer
            .fault
            .as_ref()
            .is_some_and(|fault| fault.status.is_some() || fault.finish == Finish::Missing);
        if unfinished {
            events.pop();
        }
        events
    }

    fn models(&self) -> Vec<(String, String)> {
        self.script
            .models
            .iter()
            .map(|row| (row.id.clone(), row.about.clone()))
            .collect()
    }
}

fn take(rule: &Rule, used: &AtomicU64) -> bool {
    let Some(times) = rule.times else {
        return true;
    };
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
        (n < times).then_some(n + 1)
    })
    .is_ok()
}

impl When {
    fn fold_case(&mut self) {
        for text in self.says.iter_mut().chain(&mut self.contains) {
            *text = text.to_lowercase();
        }
        for text in [&mut self.equals, &mut self.system_contains]
            .into_iter()
            .flatten()
        {
            *text = text.to_lowercase();
        }
    }

    /// True if every condition holds. `text` is the last user text in lower case.
    fn fits(&self, ask: &Ask, text: &str, call: u64, luck: f64) -> bool {
        let result = ask.results.last();
        (self.says.is_empty() || self.says.iter().any(|words| holds_words(text, words)))
            && (self.contains.is_empty() || self.contains.iter().any(|part| text.contains(part)))
            && self
                .equals
                .as_ref()
                .is_none_or(|whole| text.trim() == whole)
            && self.writing.is_none_or(|w| Writing::of(text) == Some(w))
            && self
                .system_contains
                .as_ref()
                .is_none_or(|part| ask.system.to_lowercase().contains(part))
            && self.model.as_ref().is_none_or(|model| *model == ask.model)
            && self.call.is_none_or(|n| n == call)
            && self.calls.is_none_or(|calls| calls.hold(call))
            && self.chance.is_none_or(|chance| luck < chance)
            && self
                .offers
                .as_ref()
                .is_none_or(|tool| ask.tools.contains(tool))
            && self.has_tools.is_none_or(|has| has != ask.tools.is_empty())
            && self
                .result_of
                .as_ref()
                .is_none_or(|tool| result.is_some_and(|given| given.tool == *tool))
            && self
                .result_failed
                .is_none_or(|failed| result.is_some_and(|given| given.failed == failed))
            && self
                .result_contains
                .as_ref()
                .is_none_or(|part| result.is_some_and(|given| given.text.contains(part)))
            && (!self.no_result || result.is_none())
            && self.has_image.is_none_or(|has| has == (ask.images > 0))
    }
}

/// The number from 0 to 1 of a call: `SplitMix64`, so that neighbours have nothing in common.
fn luck(seed: u64, call: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// True if `text` holds `words` with no letter or digit right before or after it. Han has no spaces
/// between words, so there every place is a border.
fn holds_words(text: &str, words: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_han(c));
    let han_edge = |c: Option<char>| c.is_some_and(is_han);
    !words.is_empty()
        && text.match_indices(words).any(|(start, _)| {
            let before = text[..start].chars().next_back();
            let after = text[start + words.len()..].chars().next();
            (!inside(before) || han_edge(words.chars().next()))
                && (!inside(after) || han_edge(words.chars().next_back()))
        })
}

/// Tokens as a rough vendor would count them: four characters each, rounded up.
#[must_use]
pub fn estimate_tokens(chars: usize) -> u64 {
    u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX)
}

/// What has been gathered of an answer.
#[derive(Default)]
struct Building {
    events: Vec<(u64, ModelEvent)>,
    pause: u64,
    chars: usize,
    reasoning_chars: usize,
    calls: usize,
}

impl Building {
    fn push(&mut self, event: ModelEvent) {
        self.events.push((std::mem::take(&mut self.pause), event));
    }

    fn pieces(&mut self, text: &str, pace: Pace, event: fn(String) -> ModelEvent) -> usize {
        for piece in split(text, pace.split) {
            self.pause += pace.pause_ms;
            self.push(event(piece.to_owned()));
        }
        text.chars().count()
    }
}

fn events(answer: &Answer, pace: Pace, ask: &Ask, call: u64) -> Vec<(u64, ModelEvent)> {
    let pace = answer.pace.unwrap_or(pace);
    let mut building = Building::default();
    for step in &answer.say {
        match step {
            Step::Text(text) => {
                building.chars += building.pieces(&fill(text, ask, call), pace, text_event);
            }
            Step::Repeat { text, count } => {
                let text = fill(text, ask, call).repeat(*count);
                building.chars += building.pieces(&text, pace, text_event);
            }
            Step::Reasoning(text) => {
                let text = fill(text, ask, call);
                building.reasoning_chars +=
                    building.pieces(&text, pace, |delta| ModelEvent::Reasoning {
                        delta,
                        signature: None,
                    });
            }
            Step::Signature(signature) => building.push(ModelEvent::Reasoning {
                delta: String::new(),
                signature: Some(signature.clone()),
            }),
            Step::Pause(ms) => building.pause += ms,
            Step::Call(step) => {
                let made = tool_call(step, ask, call, building.calls);
                building.calls += 1;
                building.chars += made.arguments.to_string().chars().count();
                building.push(ModelEvent::ToolCall { call: made });
            }
        }
    }
    let finish = ModelEvent::Finish {
        stop: answer.stop.unwrap_or(match building.calls {
            0 => StopReason::Stop,
            _ => StopReason::ToolUse,
        }),
        usage: answer
            .usage
            .map_or_else(|| estimate(ask, &building), Usage::from),
    };
    building.push(finish);
    building.events
}

fn text_event(delta: String) -> ModelEvent {
    ModelEvent::Text { delta }
}

fn tool_call(step: &CallStep, ask: &Ask, call: u64, index: usize) -> ToolCall {
    let arguments = match &step.raw_arguments {
        Some(raw) => {
            let raw = fill(raw, ask, call);
            serde_json::from_str(&raw).unwrap_or_else(|_| Value::String(raw.into_owned()))
        }
        None if step.arguments.is_null() => Value::Object(serde_json::Map::new()),
        None => fill_value(&step.arguments, ask, call),
    };
    ToolCall {
        id: format!("call_{call}_{index}"),
        name: step.name.clone(),
        arguments,
    }
}

fn estimate(ask: &Ask, building: &Building) -> Usage {
    let reasoning_tokens = estimate_tokens(building.reasoning_chars);
    Usage {
        input_tokens: estimate_tokens(ask.chars),
        output_tokens: estimate_tokens(building.chars) + reasoning_tokens,
        reasoning_tokens,
        ..Usage::default()
    }
}

/// Cuts a text into pieces that join to the same text again.
fn split(text: &str, split: Split) -> Vec<&str> {
    match split {
        Split::Whole if text.is_empty() => Vec::new(),
        Split::Whole => vec![text],
        Split::Words => cut_where(text, |piece, last, next| {
            (last.is_whitespace() && !next.is_whitespace())
                || (is_han(last) && piece.chars().count() >= 2)
        }),
        Split::Chars(size) => cut_where(text, |piece, _, _| piece.chars().count() >= size),
    }
}

/// Cuts wherever `cut(piece so far, its last character, the next character)` says so.
fn cut_where(text: &str, cut: impl Fn(&str, char, char) -> bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (index, next) in text.char_indices() {
        if last.is_some_and(|last| cut(&text[start..index], last, next)) {
            pieces.push(&text[start..index]);
            start = index;
        }
        last = Some(next);
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_found_whole() {
        assert!(holds_words("oh hi there", "hi"));
        assert!(holds_words("hi!", "hi"));
        assert!(!holds_words("this", "hi"));
        assert!(holds_words("你好世界", "你好"));
        assert!(!holds_words("приветы", "привет"));
    }

    #[test]
    fn words_are_cut_after_their_spaces() {
        assert_eq!(split("a bc  d", Split::Words), ["a ", "bc  ", "d"]);
        assert_eq!(split("你好世界", Split::Words), ["你好", "世界"]);
    }

    proptest! {
        #[test]
        fn pieces_join_to_the_text(text in "\\PC{0,200}", size in 1_usize..9) {
            for how in [Split::Whole, Split::Words, Split::Chars(size)] {
                let pieces = split(&text, how);
                prop_assert_eq!(pieces.concat(), text.clone());
                prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            }
        }
    }
}
