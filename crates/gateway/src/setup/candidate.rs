//! A model that somebody thinks of using, before it is written anywhere.

use instar_config::KeyPath;
use instar_models::config::{Api, ModelConfig, ModelsConfig, ProviderConfig};
use instar_protocol::model::ModelRef;
use instar_protocol::{Secret, SecretOrigin, SecretRef};
use serde_json::{Value, json};
use url::Url;

use super::step::Refused;

/// The provider's name of the models in this process.
const IN_PROCESS: &str = "demo";
const PROVIDER_CHARS_MAX: usize = 64;

/// A model, and what has to be there so that it can be called.
#[derive(Clone, Debug)]
pub struct Candidate {
    model: ModelRef,
    custom: Option<Custom>,
    /// To be put into the encrypted store under the provider's name.
    key: Option<Secret>,
    /// The variable whose value is to be that key.
    key_of: Option<String>,
}

/// A server that Instar does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    base_url: String,
    api: Api,
}

impl Candidate {
    /// A model of a provider that is known or configured: `openai/gpt-5`.
    pub fn named(name: &str) -> Result<Self, Refused> {
        let model = ModelRef::parse(name.trim())
            .ok_or_else(|| Refused::about(|w| w.no_model_name, format!("{name:?}")))?;
        Ok(Self {
            model,
            custom: None,
            key: None,
            key_of: None,
        })
    }

    /// A model of a server that is neither. Without a name the provider is called after its address.
    pub fn custom(custom: Custom, model: &str, provider: Option<&str>) -> Result<Self, Refused> {
        let provider = match provider {
            Some(name) => provider_id(name)?,
            None => custom.usual_id(),
        };
        let model = model.trim();
        if model.is_empty() {
            return Err(Refused::new(|w| w.no_server_model));
        }
        let named = Self::named(&format!("{provider}/{model}"))?;
        Ok(Self {
            custom: Some(custom),
            ..named
        })
    }

    /// An empty key is none: servers on one's own machine often want none.
    #[must_use]
    pub fn with_key(mut self, key: Option<Secret>) -> Self {
        self.key = key.filter(|key| !key.expose().trim().is_empty());
        self
    }

    /// Keeps a copy of the key that is in this variable now: a service does not see the variable.
    #[must_use]
    pub fn with_key_of(mut self, variable: Option<String>) -> Self {
        self.key_of = variable;
        self
    }

    /// Reads the variable of [`Candidate::with_key_of`].
    #[must_use]
    pub(crate) fn resolved(self, env: fn(&str) -> Option<String>) -> Self {
        match self.key_of.as_deref().and_then(env) {
            Some(key) => self.with_key(Some(Secret::new(key))),
            None => self,
        }
    }

    /// `provider/model`.
    #[must_use]
    pub fn name(&self) -> String {
        self.model.to_string()
    }

    pub(crate) fn model(&self) -> &ModelRef {
        &self.model
    }

    pub(crate) fn provider(&self) -> &str {
        self.model.provider()
    }

    pub(crate) fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// Where the key will be.
    pub(crate) fn reference(&self) -> SecretRef {
        SecretRef {
            source: SecretOrigin::Store,
            id: self.provider().to_owned(),
        }
    }

    /// The configuration as it would be with this model, to try it.
    pub(crate) fn laid_over(&self, mut config: ModelsConfig) -> ModelsConfig {
        if self.custom.is_none() && self.key.is_none() {
            return config;
        }
        let entry = config
            .providers
            .entry(self.provider().to_owned())
            .or_default();
        if let Some(custom) = &self.custom {
            entry.base_url = Some(custom.base_url.clone());
            entry.api = Some(custom.api);
        }
        if self.key.is_some() {
            entry.api_key = Some(self.reference());
        }
        config
    }

    /// The edits that make it the model that answers, in an order in which each leaves a sound
    /// file. What the owner wrote besides stays.
    pub(crate) fn edits(&self, present: &ModelsConfig, chain: bool) -> Vec<(KeyPath, Value)> {
        let provider = KeyPath::default()
            .key("models")
            .key("providers")
            .key(self.provider());
        let mut edits = match present.providers.get(self.provider()) {
            None => self.new_entry(&provider),
            Some(entry) => self.changed_entry(entry, &provider),
        };
        let mut primary = KeyPath::default()
            .key("agents")
            .key("defaults")
            .key("model");
        if chain {
            // The fallbacks beside it are the owner's.
            primary = primary.key("primary");
        }
        edits.push((primary, json!(self.name())));
        edits
    }

    fn new_entry(&self, at: &KeyPath) -> Vec<(KeyPath, Value)> {
        let mut entry = serde_json::Map::new();
        if let Some(custom) = &self.custom {
            entry.insert("baseUrl".to_owned(), json!(custom.base_url));
            entry.insert("api".to_owned(), json!(custom.api));
        }
        if self.key.is_some() {
            entry.insert("apiKey".to_owned(), json!(self.reference()));
        }
        if self.custom.is_some() {
            entry.insert("models".to_owned(), json!([{ "id": self.model.model() }]));
        }
        if entry.is_empty() {
            return Vec::new();
        }
        vec![(at.clone(), Value::Object(entry))]
    }

    fn changed_entry(&self, entry: &ProviderConfig, at: &KeyPath) -> Vec<(KeyPath, Value)> {
        let mut edits = Vec::new();
        if let Some(custom) = &self.custom {
            if entry.base_url.as_ref() != Some(&custom.base_url) {
                edits.push((at.key("baseUrl"), json!(custom.base_url)));
            }
            if entry.api != Some(custom.api) {
                edits.push((at.key("api"), json!(custom.api)));
            }
        }
        if self.key.is_some() && entry.api_key.as_ref() != Some(&self.reference()) {
            edits.push((at.key("apiKey"), json!(self.reference())));
        }
        let id = self.model.model();
        let listed = |one: &ModelConfig| one.id == id;
        if self.custom.is_some() && !entry.models.iter().any(listed) {
            let end = at.key("models").index(entry.models.len());
            edits.push((end, json!({ "id": id })));
        }
        edits
    }
}

impl Custom {
    /// Checks an address as people type it.
    pub fn new(base_url: &str, api: Api) -> Result<Self, Refused> {
        let base_url = base_url.trim().trim_end_matches('/');
        let url = Url::parse(base_url).map_err(|_| Refused::new(|w| w.no_address))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Refused::new(|w| w.address_scheme));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::new(|w| w.address_user));
        }
        if url.query().is_some_and(|query| query.contains("key")) || url.fragment().is_some() {
            return Err(Refused::new(|w| w.address_query));
        }
        Ok(Self {
            base_url: base_url.to_owned(),
            api,
        })
    }

    /// The same address gets the same name, so that setting up again changes the same entry.
    #[must_use]
    pub fn usual_id(&self) -> String {
        let url = Url::parse(&self.base_url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("server");
        let port = url.as_ref().and_then(Url::port);
        let mut id = String::from("custom");
        for part in std::iter::once(host.to_owned()).chain(port.map(|port| port.to_string())) {
            let words = part.split(|c: char| !c.is_ascii_alphanumeric());
            for word in words.filter(|word| !word.is_empty()) {
                id.push('-');
                id.push_str(&word.to_ascii_lowercase());
            }
        }
        id.truncate(PROVIDER_CHARS_MAX);
        id
    }
}

fn provider_id(name: &str) -> Result<String, Refused> {
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > PROVIDER_CHARS_MAX || !name.chars().all(plain) {
        return Err(Refused::new(|w| w.provider_refused));
    }
    if name == IN_PROCESS {
        return Err(Refused::new(|w| w.provider_demo));
    }
    Ok(name.to_owned())
}

/// The wire format by the word that people use for it.
pub fn format_named(word: &str) -> Result<Api, Refused> {
    match word {
        "openai" | "openai-completions" => Ok(Api::OpenaiCompletions),
        "openai-responses" => Ok(Api::OpenaiResponses),
        "anthropic" | "anthropic-messages" => Ok(Api::AnthropicMessages),
        "ollama" => Ok(Api::Ollama),
        other => Err(Refused::about(|w| w.no_format, format!("{other:?}"))),
    }
}
