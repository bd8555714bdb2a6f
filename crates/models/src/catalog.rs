//! What the configuration and the table of vendors make together: providers ready to be called.

use crate::budget;
use crate::clearance::Clearance;
use crate::config::{
    Api, Auth, BudgetConfig, CacheConfig, Cost, InputKind, ModelConfig, ModelsConfig,
    ProviderConfig, RetryConfig,
};
use crate::endpoint::{endpoint, usual_address};
use crate::models::{ModelInfo, Parts};
use crate::price;
use crate::vendor::{self, Quirks, VENDORS, Vendor};
use http::{HeaderMap, HeaderName, HeaderValue};
use instar_egress::{Credential, Origin};
use instar_protocol::model::ModelRef;
use instar_protocol::{Secret, SecretOrigin, SecretRef};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
const CONTEXT_WINDOW: u64 = 128_000;
const MAX_TOKENS: u64 = 8192;
/// The window that is assumed for models on the owner's own machine.
const LOCAL_CONTEXT_WINDOW: u64 = 32_768;

/// A configuration in force. Never changed: a reload puts another in its place.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) providers: BTreeMap<String, Provider>,
    pub(crate) budget: BudgetConfig,
    pub(crate) retry: RetryConfig,
    pub(crate) cache: CacheConfig,
    pub(crate) stall: Duration,
}

/// A provider that can be called.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vendor: Option<&'static Vendor>,
    pub(crate) base: Url,
    pub(crate) endpoint: Url,
    pub(crate) origin: Origin,
    /// Set if the owner vouches for the origin: its address may be local.
    pub(crate) local: Option<Origin>,
    pub(crate) api: Api,
    pub(crate) headers: HeaderMap,
    pub(crate) head_timeout: Duration,
    pub(crate) clearance: Clearance,
    pub(crate) quirks: Quirks,
    auth: Auth,
    key: Key,
    models: Vec<ModelConfig>,
}

#[derive(Debug)]
enum Key {
    None,
    /// The owner named the place.
    Named(SecretRef),
    /// The vendor's environment variables, then the store.
    Usual(&'static [&'static str]),
}

/// What is known of one model, from the configuration first and the table second.
#[derive(Debug, Clone)]
pub(crate) struct ModelFacts {
    pub(crate) name: String,
    pub(crate) context_window: u64,
    /// The owner's own number.
    pub(crate) own_window: Option<u64>,
    pub(crate) max_tokens: u64,
    pub(crate) reasoning: bool,
    /// Whether it takes pictures, where that is known.
    pub(crate) pictures: Option<bool>,
    pub(crate) cost: Option<Cost>,
    local: bool,
}

impl ModelFacts {
    /// Known to cost nothing; a vendor's model without a price is not.
    pub(crate) fn is_free(&self) -> bool {
        match self.cost {
            Some(cost) => cost == Cost::default(),
            None => self.local,
        }
    }
}

impl Catalog {
    /// True if a limit is set that cannot hold this model: it may cost something, and no price is
    /// known.
    pub(crate) fn escapes_budget(&self, model: &ModelRef) -> bool {
        let facts = self.facts(model);
        budget::is_set(&self.budget) && facts.cost.is_none() && !facts.is_free()
    }

    pub(crate) fn build(config: ModelsConfig, parts: &Parts) -> Result<Self, String> {
        check(&config)?;
        let mut providers = BTreeMap::new();
        for vendor in VENDORS {
            if !config.providers.contains_key(vendor.id) {
                let provider = Provider::build(vendor.id, &ProviderConfig::default(), parts)?;
                providers.insert(vendor.id.to_owned(), provider);
            }
        }
        for (id, entry) in &config.providers {
            let provider = Provider::build(id, entry, parts)?;
            providers.insert(id.clone(), provider);
        }
        Ok(Self {
            providers,
            budget: config.budget,
            retry: config.retry,
            cache: config.cache,
            stall: Duration::from_secs(config.stall_seconds.into()),
        })
    }

    pub(crate) fn facts(&self, model: &ModelRef) -> ModelFacts {
        match self.providers.get(model.provider()) {
            Some(provider) => provider.facts(model.model()),
            None => ModelFacts {
                name: model.model().to_owned(),
                context_window: CONTEXT_WINDOW,
                own_window: None,
                max_tokens: MAX_TOKENS,
                reasoning: false,
                pictures: None,
                cost: None,
                local: false,
            },
        }
    }
}

/// What types cannot say.
fn check(config: &ModelsConfig) -> Result<(), String> {
    let budget = &config.budget;
    if !(0.0..=1.0).contains(&budget.warn_at) {
        return Err(format!(
            "models.budget.warnAt: {} is not between 0 and 1",
            budget.warn_at
        ));
    }
    let ranges = [
        (
            "models.stallSeconds",
            u64::from(config.stall_seconds),
            1,
            3600,
        ),
        (
            "models.retry.maxAttempts",
            u64::from(config.retry.max_attempts),
            1,
            10,
        ),
        ("models.retry.baseMs", config.retry.base_ms, 1, 60_000),
        ("models.retry.maxMs", config.retry.max_ms, 1, 600_000),
        (
            "models.cache.ttlSeconds",
            config.cache.ttl_seconds,
            1,
            2_592_000,
        ),
        (
            "models.cache.maxEntries",
            config.cache.max_entries as u64,
            1,
            100_000,
        ),
    ];
    for (path, value, low, high) in ranges {
        if !(low..=high).contains(&value) {
            return Err(format!("{path}: {value} is not between {low} and {high}"));
        }
    }
    Ok(())
}

impl Provider {
    fn build(id: &str, entry: &ProviderConfig, parts: &Parts) -> Result<Self, String> {
        let at = |key: &str, why: String| format!("models.providers.{id}.{key}: {why}");
        let word = !id.is_empty()
            && id.len() <= 64
            && !id.contains(['/', ' '])
            && !id.chars().any(char::is_control);
        if !word {
            return Err(format!(
                "models.providers: {id:?} is not a provider's name; use letters, digits and '-'"
            ));
        }
        let vendor = vendor::find(id);
        let own_address = entry.base_url.is_some();
        let address = match (&entry.base_url, vendor) {
            (Some(address), _) => address.clone(),
            (None, Some(vendor)) => usual_address(vendor, parts),
            (None, None) => {
                return Err(at(
                    "baseUrl",
                    "missing; Instar does not know this provider".into(),
                ));
            }
        };
        let base = Url::parse(&address).map_err(|error| at("baseUrl", error.to_string()))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(at(
                "baseUrl",
                "holds a user name or password; put the key into apiKey".into(),
            ));
        }
        let origin = Origin::of(&base)
            .ok_or_else(|| at("baseUrl", "must begin with http:// or https://".into()))?;
        let api = entry
            .api
            .or(vendor.map(|vendor| vendor.api))
            .unwrap_or(Api::OpenaiCompletions);
        let auth = entry.auth.unwrap_or_else(|| match (api, vendor) {
            (_, Some(vendor)) if vendor.api == api => vendor.auth,
            (Api::AnthropicMessages, _) => Auth::ApiKey,
            (Api::OpenaiCompletions | Api::OpenaiResponses | Api::Ollama, _) => Auth::Bearer,
        });
        let key = match (&entry.api_key, vendor) {
            _ if auth == Auth::None => Key::None,
            (Some(reference), _) => Key::Named(reference.clone()),
            // A vendor's key never goes to an address that is not the vendor's.
            (None, Some(vendor)) if !own_address || vendor.local => Key::Usual(vendor.keys),
            (None, _) => Key::None,
        };
        let trusted = own_address || vendor.is_some_and(|vendor| vendor.local);
        Ok(Self {
            id: id.to_owned(),
            name: vendor.map_or(id, |vendor| vendor.name).to_owned(),
            vendor,
            endpoint: endpoint(&base, api),
            local: trusted.then(|| origin.clone()),
            base,
            origin,
            api,
            headers: headers(&entry.headers).map_err(|why| at("headers", why))?,
            head_timeout: entry.timeout_seconds.map_or(HEAD_TIMEOUT, |seconds| {
                Duration::from_secs(u64::from(seconds.max(1)))
            }),
            clearance: entry.clearance,
            quirks: vendor.map_or(Quirks::PLAIN, |vendor| vendor.quirks.clone()),
            auth,
            key,
            models: entry.models.clone(),
        })
    }

    /// The key, or what to do about its absence. `Ok(None)` if none is needed.
    pub(crate) fn secret(&self, parts: &Parts) -> Result<Option<Secret>, String> {
        match &self.key {
            Key::None => Ok(None),
            Key::Named(reference) => parts.secrets.secret(reference).map(Some),
            Key::Usual(names) => {
                if let Some((_, key)) = from_environment(names, parts.env) {
                    return Ok(Some(Secret::new(key)));
                }
                match parts.secrets.secret(&self.stored_key()) {
                    Ok(secret) => Ok(Some(secret)),
                    Err(_) if self.needs_no_key() => Ok(None),
                    Err(_) => Err(match names.first() {
                        Some(name) => format!("no key: neither {name} nor the store has one"),
                        None => "no key in the store".into(),
                    }),
                }
            }
        }
    }

    fn stored_key(&self) -> SecretRef {
        SecretRef {
            source: SecretOrigin::Store,
            id: self.id.clone(),
        }
    }

    pub(crate) fn needs_no_key(&self) -> bool {
        matches!(self.key, Key::None) || self.vendor.is_some_and(|vendor| vendor.local)
    }

    /// Where the key comes from, for people.
    pub(crate) fn auth_word(&self, parts: &Parts) -> String {
        match &self.key {
            Key::None => "none".into(),
            Key::Named(reference) => match parts.secrets.secret(reference) {
                Ok(_) => format!("{:?}:{}", reference.source, reference.id).to_lowercase(),
                Err(_) => "missing".into(),
            },
            Key::Usual(names) => match from_environment(names, parts.env) {
                Some((name, _)) => format!("env:{name}"),
                None if parts.secrets.secret(&self.stored_key()).is_ok() => {
                    format!("store:{}", self.id)
                }
                None if self.needs_no_key() => "none".into(),
                None => "missing".into(),
            },
        }
    }

    pub(crate) fn credential(&self, secret: &Secret) -> Option<Credential> {
        let (header, prefix) = match self.auth {
            Auth::Bearer => (http::header::AUTHORIZATION, "Bearer "),
            Auth::ApiKey => (HeaderName::from_static("x-api-key"), ""),
            Auth::None => return None,
        };
        Some(Credential {
            origin: self.origin.clone(),
            header,
            prefix,
            secret: secret.clone(),
        })
    }

    pub(crate) fn facts(&self, model: &str) -> ModelFacts {
        let known = self.vendor.and_then(|vendor| price::find(vendor.id, model));
        let own = self.models.iter().find(|own| own.id == model);
        let local = self.vendor.is_some_and(|vendor| vendor.local);
        let usual = if local {
            LOCAL_CONTEXT_WINDOW
        } else {
            CONTEXT_WINDOW
        };
        let own_window = own.and_then(|own| own.context_window);
        ModelFacts {
            name: own
                .and_then(|own| own.name.clone())
                .unwrap_or_else(|| model.to_owned()),
            context_window: own_window
                .or(known.map(|known| known.context_window))
                .unwrap_or(usual),
            own_window,
            max_tokens: own
                .and_then(|own| own.max_tokens)
                .or(known.map(|known| known.max_tokens))
                .unwrap_or(MAX_TOKENS),
            reasoning: own
                .and_then(|own| own.reasoning)
                .or(known.map(|known| known.reasoning))
                .unwrap_or(false),
            pictures: own
                .filter(|own| !own.input.is_empty())
                .map(|own| own.input.contains(&InputKind::Image))
                .or(known.map(|known| known.images)),
            cost: own
                .and_then(|own| own.cost)
                .or(known.map(price::Known::cost)),
            local,
        }
    }

    /// The models that are known by name, the owner's first.
    pub(crate) fn list(&self, parts: &Parts) -> Vec<ModelInfo> {
        let auth = self.auth_word(parts);
        let own = self.models.iter().map(|own| own.id.as_str());
        let known = price::KNOWN
            .iter()
            .filter(|known| self.vendor.is_some_and(|vendor| vendor.id == known.vendor))
            .map(|known| known.model);
        let usual = self.vendor.and_then(|vendor| vendor.default_model);
        let mut ids: Vec<&str> = vec![];
        for id in own.chain(known).chain(usual) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.into_iter()
            .map(|id| {
                let facts = self.facts(id);
                ModelInfo {
                    id: format!("{}/{id}", self.id),
                    name: facts.name,
                    provider: self.id.clone(),
                    api: self.api.as_str().to_owned(),
                    base_url: instar_egress::shown(&self.base),
                    context_window: facts.context_window,
                    max_tokens: facts.max_tokens,
                    configured: auth != "missing",
                    auth: auth.clone(),
                    priced: facts.cost.is_some(),
                    cost: facts.cost,
                    reasoning: facts.reasoning,
                }
            })
            .collect()
    }

    /// What must not appear in a log: the key and the values of the owner's headers.
    pub(crate) fn secrets(&self, key: Option<&Secret>) -> Vec<Secret> {
        let headers = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok())
            .map(Secret::new);
        key.cloned().into_iter().chain(headers).collect()
    }
}

/// The first of the variables that holds something, and what it holds.
fn from_environment(
    names: &[&'static str],
    env: fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let mut held = names.iter().filter_map(|name| Some((*name, env(name)?)));
    held.find(|(_, key)| !key.is_empty())
}

fn headers(own: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in own {
        let header: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is not a header's name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of {name} has characters that no header can hold"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_hides_no_other() {
        let env: fn(&str) -> Option<String> = |name| match name {
            "FIRST" => Some(String::new()),
            "SECOND" => Some("key".to_owned()),
            _ => None,
        };
        let found = from_environment(&["NONE", "FIRST", "SECOND"], env);
        assert_eq!(found, Some(("SECOND", "key".to_owned())));
        assert_eq!(from_environment(&["FIRST"], env), None);
    }
}
