//! The script format.
//!
//! A script is one JSON object. Every field may be left out; unknown fields are refused.
//!
//! ```json
//! {
//!   "models": [{"id": "small", "about": "a scripted model"}],
//!   "key": "sk-test",
//!   "pace": {"split": "words", "pause_ms": 10},
//!   "rules": [
//!     {"when": {"says": ["weather"], "offers": "get_weather", "no_result": true},
//!      "answer": {"say": [{"reasoning": "I should look."},
//!                         {"call": {"name": "get_weather", "arguments": {"city": "{{text}}"}}}]}},
//!     {"when": {"result_of": "get_weather"},
//!      "answer": {"say": [{"text": "It is "}, {"pause": 50}, {"text": "{{result}}."}]}},
//!     {"when": {"contains": ["busy"]}, "times": 2,
//!      "answer": {"fault": {"status": 429, "headers": {"retry-after": "1"}}}}
//!   ],
//!   "otherwise": {"say": [{"text": "You said: {{text}}"}]}
//! }
//! ```
//!
//! Rules are tried in order; the first whose conditions all hold (and that has been used fewer than
//! `times` times) answers, else `otherwise` does. Strings of an answer, tool arguments included, may
//! hold `{{text}}` (the last user text), `{{model}}`, `{{call}}` (the number of this call, from 1),
//! `{{result}}` (the latest tool result), `{{result_list}}` (the same as a Markdown list),
//! `{{tools}}` (the names of the offered tools) and `{{images}}` (how many came with the request).
//!
//! With `chance` a rule holds for a part of the calls, drawn from the script's `seed`: equal seeds draw alike.
//!
//! A [`Fault`] is played by HTTP servers only: in this process there is no wire to break.

use instar_protocol::model::{StopReason, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::fill;

/// The most bytes of a script file.
pub const SCRIPT_BYTES_MAX: usize = 4 << 20;
/// The most rules in a script.
pub const RULES_MAX: usize = 1_000;
/// The most steps in an answer.
pub const STEPS_MAX: usize = 1_000;
/// The most bytes that one text of an answer may grow to by `repeat`.
pub const TEXT_BYTES_MAX: usize = 8 << 20;
/// The longest pause, delay or stall in milliseconds.
pub const PAUSE_MS_MAX: u64 = 600_000;

/// Ordered rules and what to say when none fits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The models offered. If there are any, servers refuse other model names.
    pub models: Vec<ModelRow>,
    /// The key that servers ask for; none means that everybody may call.
    pub key: Option<String>,
    /// How text is cut into pieces where an answer says nothing else.
    pub pace: Pace,
    pub rules: Vec<Rule>,
    pub otherwise: Answer,
    /// What chance is drawn from. Equal seeds draw alike.
    pub seed: u64,
}

/// A model that a script offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRow {
    pub id: String,
    #[serde(default)]
    pub about: String,
}

/// How a text becomes a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    pub split: Split,
    /// The pause before each piece.
    pub pause_ms: u64,
}

/// Where a text is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Each text step is one piece.
    #[default]
    Whole,
    Words,
    /// Pieces of so many characters.
    Chars(usize),
}

/// Conditions and the answer for requests that meet all of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    pub when: When,
    /// After so many uses the rule is passed over.
    pub times: Option<u64>,
    pub answer: Answer,
}

/// Conditions on a request; all that are given must hold. Texts are compared without regard to case.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The last user text holds one of these as whole words.
    pub says: Vec<String>,
    /// The last user text holds one of these anywhere.
    pub contains: Vec<String>,
    /// The last user text, trimmed, is this.
    pub equals: Option<String>,
    /// The writing that most letters of the last user text belong to.
    pub writing: Option<crate::Writing>,
    pub system_contains: Option<String>,
    pub model: Option<String>,
    /// This is the n-th call to the player, counted from 1.
    pub call: Option<u64>,
    /// The number of this call is one of these.
    pub calls: Option<Calls>,
    /// The request offers this tool.
    pub offers: Option<String>,
    /// The request offers tools, or none.
    pub has_tools: Option<bool>,
    /// The latest tool result after the last user text came from this tool.
    pub result_of: Option<String>,
    /// That result is an error. Only some wire formats carry this.
    pub result_failed: Option<bool>,
    pub result_contains: Option<String>,
    /// Nothing came back from tools since the last user text.
    pub no_result: bool,
    pub has_image: Option<bool>,
    /// Each call has a number from 0 to 1 that follows from the script's `seed` and the number of the call;
    /// it is below this one. Of two rules with 0.2 and then 0.5 the second has what lies between.
    pub chance: Option<f64>,
}

/// Numbers of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    pub from: u64,
    /// The first after them.
    pub until: Option<u64>,
    /// The numbers begin anew after so many.
    pub every: Option<u64>,
}

impl Calls {
    pub(crate) fn hold(self, call: u64) -> bool {
        let number = self
            .every
            .map_or(call, |every| call.checked_rem(every).unwrap_or(call));
        number >= self.from && self.until.is_none_or(|until| number < until)
    }
}

/// What is answered.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    pub say: Vec<Step>,
    pub pace: Option<Pace>,
    /// The vendor's count; estimated from the texts when absent. `input_tokens` counts everything
    /// that was sent, cached or not.
    pub usage: Option<UsageRow>,
    /// `tool_use` if the answer calls tools and `stop` if not, when absent.
    pub stop: Option<StopReason>,
    pub fault: Option<Box<Fault>>,
}

/// One step of an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    Text(String),
    Reasoning(String),
    /// The opaque token of the reasoning before it.
    Signature(String),
    /// Milliseconds of silence before the next step.
    Pause(u64),
    Call(CallStep),
    /// The same text many times over.
    Repeat {
        text: String,
        count: usize,
    },
}

/// A tool call to ask for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallStep {
    pub name: String,
    pub arguments: Value,
    /// Sent instead of `arguments`, JSON or not.
    pub raw_arguments: Option<String>,
}

/// Tokens to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageRow {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        Self {
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cache_read_tokens: row.cache_read_tokens,
            cache_write_tokens: row.cache_write_tokens,
            reasoning_tokens: row.reasoning_tokens,
        }
    }
}

/// What goes wrong on the wire. "After n" counts frames: server-sent events or lines.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Answer with this status and no stream.
    pub status: Option<u16>,
    /// The message inside the vendor's own error shape.
    pub message: Option<String>,
    /// The vendor's error code or type, for example `insufficient_quota`.
    pub code: Option<String>,
    /// The whole body, instead of the vendor's error shape.
    pub body: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub content_type: Option<String>,
    /// Silence before the head of the answer.
    pub delay_ms: u64,
    pub stall: Option<Stall>,
    /// Drop the connection after so many frames.
    pub cut_after_frames: Option<usize>,
    /// Drop the connection after so many bytes of the body, in the middle of a frame if it falls so.
    pub cut_after_bytes: Option<usize>,
    /// Put bytes that are not UTF-8 and no frame of the format after so many frames.
    pub garbage_after_frames: Option<usize>,
    /// Put one line of so many bytes after the first frame.
    pub long_line_bytes: Option<usize>,
    /// Report an error inside the stream after so many frames, and end.
    pub error_after_frames: Option<usize>,
    /// Repeat the middle of the stream until the client leaves (or a high bound is met).
    pub endless: bool,
    pub finish: Finish,
}

/// Silence in the middle of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    pub after_frames: usize,
    pub ms: u64,
}

/// How a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    #[default]
    Once,
    /// The frame that says why it stopped comes twice.
    Twice,
    /// The connection closes in good order without it.
    Missing,
}

/// Why a script was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("the script has {0} bytes, more than {SCRIPT_BYTES_MAX}")]
    TooBig(usize),
    #[error("reading the script")]
    Json(#[source] serde_json::Error),
    #[error("{place}: {problem}")]
    Content { place: String, problem: String },
}

impl Script {
    /// Reads and checks a script.
    pub fn parse(json: &str) -> Result<Self, ScriptError> {
        if json.len() > SCRIPT_BYTES_MAX {
            return Err(ScriptError::TooBig(json.len()));
        }
        let script: Self = serde_json::from_str(json).map_err(ScriptError::Json)?;
        script.check()?;
        Ok(script)
    }

    /// A script that always says the same.
    #[must_use]
    pub fn saying(text: impl Into<String>) -> Self {
        Self {
            otherwise: Answer::text(text),
            ..Self::default()
        }
    }

    /// Adds a rule at the end.
    #[must_use]
    pub fn rule(mut self, when: When, answer: Answer) -> Self {
        self.rules.push(Rule {
            when,
            times: None,
            answer,
        });
        self
    }

    /// Adds a rule that holds for the first `times` requests it fits.
    #[must_use]
    pub fn rule_times(mut self, times: u64, when: When, answer: Answer) -> Self {
        self.rules.push(Rule {
            when,
            times: Some(times),
            answer,
        });
        self
    }

    /// Checks every bound and placeholder. [`crate::Player::new`] does it too.
    pub fn check(&self) -> Result<(), ScriptError> {
        if self.rules.len() > RULES_MAX {
            return problem("rules", format!("more than {RULES_MAX}"));
        }
        check_pace("pace", self.pace)?;
        for (index, rule) in self.rules.iter().enumerate() {
            if rule
                .when
                .chance
                .is_some_and(|chance| !(0.0..=1.0).contains(&chance))
            {
                return problem(&format!("rules[{index}].when"), "a chance is from 0 to 1");
            }
            rule.answer.check(&format!("rules[{index}].answer"))?;
        }
        self.otherwise.check("otherwise")
    }
}

impl Answer {
    /// An answer of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of([Step::Text(text.into())])
    }

    #[must_use]
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            say: steps.into_iter().collect(),
            ..Self::default()
        }
    }

    /// An answer that asks for one tool.
    #[must_use]
    pub fn call(name: impl Into<String>, arguments: Value) -> Self {
        Self::of([Step::Call(CallStep {
            name: name.into(),
            arguments,
            raw_arguments: None,
        })])
    }

    /// An answer that goes wrong.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self::text("This answer goes wrong on its way, before or after these words.").with(fault)
    }

    /// The same answer, going wrong.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    fn check(&self, place: &str) -> Result<(), ScriptError> {
        if self.say.len() > STEPS_MAX {
            return problem(place, format!("more than {STEPS_MAX} steps"));
        }
        if self.stop == Some(StopReason::Aborted) {
            return problem(place, "a model cannot stop with 'aborted'");
        }
        if let Some(pace) = self.pace {
            check_pace(place, pace)?;
        }
        for (index, step) in self.say.iter().enumerate() {
            step.check(&format!("{place}.say[{index}]"))?;
        }
        self.fault.as_ref().map_or(Ok(()), |f| f.check(place))
    }
}

impl Step {
    fn check(&self, place: &str) -> Result<(), ScriptError> {
        match self {
            Self::Text(text) | Self::Reasoning(text) => check_text(place, text),
            Self::Signature(_) => Ok(()),
            Self::Pause(ms) => check_pause(place, *ms),
            Self::Repeat { text, count } => {
                if text.len().saturating_mul(*count) > TEXT_BYTES_MAX {
                    return problem(place, format!("grows beyond {TEXT_BYTES_MAX} bytes"));
                }
                check_text(place, text)
            }
            Self::Call(call) if call.name.is_empty() => problem(place, "the call names no tool"),
            Self::Call(call) => match &call.raw_arguments {
                Some(raw) => check_text(place, raw),
                None if call.arguments.is_object() || call.arguments.is_null() => {
                    check_text(place, &call.arguments.to_string())
                }
                None => problem(place, "arguments must be an object; use raw_arguments"),
            },
        }
    }
}

impl Fault {
    fn check(&self, place: &str) -> Result<(), ScriptError> {
        check_pause(place, self.delay_ms)?;
        check_pause(place, self.stall.map_or(0, |stall| stall.ms))?;
        if self.status.is_some_and(|s| !(400..=599).contains(&s)) {
            return problem(place, "a fault's status is between 400 and 599");
        }
        if self.long_line_bytes.is_some_and(|n| n > TEXT_BYTES_MAX * 4) {
            return problem(place, "the long line is too long");
        }
        Ok(())
    }
}

fn check_pace(place: &str, pace: Pace) -> Result<(), ScriptError> {
    if pace.split == Split::Chars(0) {
        return problem(place, "pieces of no characters");
    }
    check_pause(place, pace.pause_ms)
}

fn check_pause(place: &str, ms: u64) -> Result<(), ScriptError> {
    if ms > PAUSE_MS_MAX {
        return problem(
            place,
            format!("a pause of {ms} ms is longer than {PAUSE_MS_MAX}"),
        );
    }
    Ok(())
}

fn check_text(place: &str, text: &str) -> Result<(), ScriptError> {
    match fill::unknown_placeholder(text) {
        Some(name) => problem(place, format!("there is no placeholder {{{{{name}}}}}")),
        None => Ok(()),
    }
}

fn problem<T>(place: &str, problem: impl Into<String>) -> Result<T, ScriptError> {
    Err(ScriptError::Content {
        place: place.to_owned(),
        problem: problem.into(),
    })
}
