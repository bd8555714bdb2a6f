//! The vocabulary that model codecs, the turn and the scripted demo model share.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use crate::label::Label;
use crate::message::Part;
use crate::tool::{ToolCall, ToolSpec};

/// `provider/model`, for example `openai/gpt-5` or `demo/guide`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct ModelRef(String);

impl ModelRef {
    /// Reads `provider/model`; the model part may hold further slashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        let fine = !provider.is_empty()
            && !model.is_empty()
            && text.len() <= 200
            && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        fine.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or("", |(provider, _)| provider)
    }

    #[must_use]
    pub fn model(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, model)| model)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not provider/model")))
    }
}

/// One call to a model, before any wire format.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelRequest {
    /// System text in sections, the most stable first.
    pub system: Vec<SystemSection>,
    pub messages: Vec<ModelMessage>,
    /// Shared with whoever offers them: they are many, and the same from turn to turn.
    pub tools: Vec<Arc<ToolSpec>>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    #[serde(default)]
    pub sampling: Sampling,
    /// The join of the labels of everything in the request.
    pub label: Label,
}

/// A stretch of system text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SystemSection {
    pub text: String,
    /// True at the end of the stable prefix: codecs that know cache markers put one here.
    #[serde(default)]
    pub cache_here: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum ModelMessage {
    User {
        parts: Vec<Part>,
    },
    Assistant {
        text: String,
        tool_calls: Vec<ToolCall>,
        #[serde(default)]
        reasoning: Option<Reasoning>,
    },
    Tool {
        call_id: String,
        name: String,
        text: String,
        is_error: bool,
        /// Pictures that came with it, each behind a line that names it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attached: Vec<Part>,
    },
}

/// Reasoning text and the opaque token some vendors want back with it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reasoning {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// Sampling parameters; what is `None` is left to the vendor.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub max_output_tokens: Option<u32>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub seed: Option<i64>,
    #[serde(default)]
    pub stop: Vec<String>,
}

/// One piece of a model's streamed answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ModelEvent {
    Text {
        delta: String,
    },
    Reasoning {
        delta: String,
        #[serde(default)]
        signature: Option<String>,
    },
    /// A tool call is complete; its arguments were gathered by the codec.
    ToolCall {
        call: ToolCall,
    },
    /// The last event of a sound stream.
    Finish {
        stop: StopReason,
        usage: Usage,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    Stop,
    ToolUse,
    Length,
    Refusal,
    /// The run was stopped; what had arrived is kept.
    Aborted,
}

/// Tokens as the vendor counted them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
}

impl Usage {
    pub fn add(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// A finished answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelReply {
    /// The model that answered, after any fallback.
    pub model: ModelRef,
    pub text: String,
    pub reasoning: Option<Reasoning>,
    pub tool_calls: Vec<ToolCall>,
    pub stop: StopReason,
    /// Of this answer alone; [`Attempt::spent`] adds up the whole call.
    pub usage: Usage,
    /// Every attempt that was made, the last one being the one that answered.
    pub attempts: Vec<Attempt>,
}

/// One try at one model, with the reason if it failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub model: ModelRef,
    pub millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was used, also by an answer that broke off.
    #[serde(default, skip_serializing_if = "Usage::is_zero")]
    pub usage: Usage,
    /// What that cost in micro-dollars, from the price table; zero for local and unpriced models.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost_micros: u64,
    /// True if what it used is our estimate: the vendor had not said it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Attempt {
    /// Tokens and micro-dollars of a whole call.
    #[must_use]
    pub fn spent(attempts: &[Self]) -> (Usage, u64) {
        let mut sum = (Usage::default(), 0);
        for attempt in attempts {
            sum.0.add(attempt.usage);
            sum.1 += attempt.cost_micros;
        }
        sum
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A model that lives in this process: the scripted demo model. The answer comes as a list of
/// events, each with the pause in milliseconds before it.
pub trait LocalModel: Send + Sync + std::fmt::Debug {
    fn answer(&self, model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)>;
    /// The models it offers: id and a line about it.
    fn models(&self) -> Vec<(String, String)>;
}
