//! The `models` part of the configuration.

use crate::clearance::Clearance;
use instar_protocol::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// The models that can be called, and what bounds the calls. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelsConfig {
    /// Model providers by name. A provider that Instar knows needs no entry if its key is in the
    /// environment or in the secret store; an entry changes what is named in it.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// What calls may cost.
    pub budget: BudgetConfig,
    /// How calls are repeated after rate limits, server errors and broken connections.
    pub retry: RetryConfig,
    /// The cache of answers to identical deterministic calls.
    pub cache: CacheConfig,
    /// A stream that brings no byte for this many seconds is ended.
    #[schemars(range(min = 1, max = 3600))]
    pub stall_seconds: u32,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            providers: BTreeMap::new(),
            budget: BudgetConfig::default(),
            retry: RetryConfig::default(),
            cache: CacheConfig::default(),
            stall_seconds: 60,
        }
    }
}

/// One model provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderConfig {
    /// The address of the API, for example `http://127.0.0.1:8000/v1`. Needed for providers that
    /// Instar does not know.
    pub base_url: Option<String>,
    /// Where the key is kept. Never the key itself.
    pub api_key: Option<SecretRef>,
    /// How the key is sent. Left out, as the API expects it.
    pub auth: Option<Auth>,
    /// The wire format. Left out, the provider's own, or `openai-completions`.
    pub api: Option<Api>,
    /// Further headers. They are sent to this provider's address alone and treated as secrets.
    pub headers: BTreeMap<String, String>,
    /// Seconds until the answer must begin.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u32>,
    /// What may be sent to this provider, by whose eyes it is for. A model that is not cleared for what a
    /// conversation holds is passed over.
    pub clearance: Clearance,
    /// Models of this provider: new ones, or other numbers for known ones.
    pub models: Vec<ModelConfig>,
}

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// OpenAI's chat completions, which most vendors and servers speak.
    OpenaiCompletions,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Ollama's own chat.
    Ollama,
}

impl Api {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiCompletions => "openai-completions",
            Self::OpenaiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Ollama => "ollama",
        }
    }
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    ApiKey,
    /// No key is sent.
    None,
}

/// One model of a provider. Left-out numbers come from the built-in table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// The id that the provider knows the model by.
    pub id: String,
    /// The name shown to people.
    pub name: Option<String>,
    /// Tokens that request and answer may have together.
    #[schemars(range(min = 256, max = 100_000_000))]
    pub context_window: Option<u64>,
    /// Tokens that one answer may have.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_tokens: Option<u64>,
    /// What the model can be given.
    pub input: Vec<InputKind>,
    /// Whether the model reasons before it answers.
    pub reasoning: Option<bool>,
    /// Prices; they replace the built-in ones.
    pub cost: Option<Cost>,
}

/// What a model can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// Text.
    Text,
    /// Images.
    Image,
}

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Cost {
    /// For tokens of the request.
    pub input: Dollars,
    /// For tokens of the answer, reasoning included.
    pub output: Dollars,
    /// For tokens of the request that came from the provider's cache.
    pub cache_read: Dollars,
    /// For tokens of the request that were written to the provider's cache.
    pub cache_write: Dollars,
}

/// An amount of dollars, kept as whole micro-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(u64);

impl Dollars {
    /// More than this is a slip of the keyboard.
    const MICROS_MAX: u64 = 1_000_000_000_000_000;

    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Reads dollars; `None` if negative, not a number or beyond a billion.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        if !(0.0..=1e15).contains(&micros) {
            return None;
        }
        // A whole number within u64, as was just checked; formatting avoids a lossy cast.
        let micros: u64 = format!("{micros:.0}").parse().ok()?;
        (micros <= Self::MICROS_MAX).then_some(Self(micros))
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        let number: f64 = text.parse().map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{dollars} is not an amount of dollars between 0 and a billion"
            ))
        })
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 1_000_000_000,
            "description": "US dollars, to a millionth.",
        })
    }
}

/// What calls may cost. A limit that is left out does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetConfig {
    /// Dollars that one turn may cost.
    pub per_turn_usd: Option<Dollars>,
    /// Dollars that one day may cost, all agents together.
    pub per_day_usd: Option<Dollars>,
    /// Dollars that one month may cost, all agents together.
    pub per_month_usd: Option<Dollars>,
    /// The share of a limit at which a warning is given, once a day.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warn_at: f64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            per_turn_usd: None,
            per_day_usd: None,
            per_month_usd: None,
            warn_at: 0.8,
        }
    }
}

/// How calls are repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryConfig {
    /// How often one model is asked, the first time included.
    #[schemars(range(min = 1, max = 10))]
    pub max_attempts: u32,
    /// The first pause is random and at most this long; it doubles with every attempt.
    #[schemars(range(min = 1, max = 60_000))]
    pub base_ms: u64,
    /// No pause is longer. A provider that asks for a longer one is not asked again.
    #[schemars(range(min = 1, max = 600_000))]
    pub max_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_ms: 500,
            max_ms: 20_000,
        }
    }
}

/// The cache of answers to identical calls with temperature 0 and without tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CacheConfig {
    /// Whether answers are kept.
    pub enabled: bool,
    /// How many answers are kept; the least recently used goes first.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_entries: usize,
    /// How long an answer is kept.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub ttl_seconds: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_entries: 256,
            ttl_seconds: 3600,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_to_a_millionth() {
        for (text, micros) in [
            ("0.1", 100_000),
            ("3", 3_000_000),
            ("0.000001", 1),
            ("0.075", 75_000),
        ] {
            let dollars: Dollars = serde_json::from_str(text).unwrap();
            assert_eq!(dollars.micros(), micros, "{text}");
            let back: Dollars =
                serde_json::from_value(serde_json::to_value(dollars).unwrap()).unwrap();
            assert_eq!(back, dollars);
        }
        for text in ["-1", "1e12", "\"1\""] {
            assert!(serde_json::from_str::<Dollars>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_at_every_level() {
        for text in [
            r#"{"provider":{}}"#,
            r#"{"providers":{"x":{"baseURL":"http://x"}}}"#,
            r#"{"budget":{"perDay":1}}"#,
            r#"{"providers":{"x":{"apiKey":"sk-plain"}}}"#,
        ] {
            assert!(
                serde_json::from_str::<ModelsConfig>(text).is_err(),
                "{text}"
            );
        }
    }

    /// Every key of the schema, at every depth, with its description.
    fn keys(schema: &serde_json::Value, out: &mut Vec<(String, bool)>) {
        if let Some(properties) = schema.get("properties").and_then(|all| all.as_object()) {
            for (name, property) in properties {
                out.push((name.clone(), property.get("description").is_some()));
            }
        }
        for (_, inner) in schema.as_object().into_iter().flatten() {
            keys(inner, out);
        }
    }

    #[test]
    fn every_key_is_described() {
        let schema = serde_json::to_value(schemars::schema_for!(ModelsConfig)).unwrap();
        let mut all = vec![];
        keys(&schema, &mut all);
        assert!(all.len() > 30, "{all:?}");
        let silent: Vec<_> = all.iter().filter(|key| !key.1).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}
