//! Finding models when the owner named none.

use crate::attempt::outgoing;
use crate::catalog::Provider;
use crate::models::Models;
use crate::vendor::VENDORS;
use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use instar_protocol::model::ModelRef;
use serde_json::Value;
use std::time::Duration;

/// What a local server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// The provider's id.
    pub provider: String,
    /// Its name for people.
    pub name: String,
    /// The ids of its chat models, as the server orders them; at least one.
    pub models: Vec<String>,
}

/// For all local servers together: a start must not wait for them.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(250);
const LIST_BYTES_MAX: usize = 1024 * 1024;
/// The models of one server that are named.
const LISTED_MAX: usize = 64;
/// The servers that are asked, in the order in which they are preferred.
const LOCAL: [&str; 4] = ["ollama", "llamacpp", "lmstudio", "docker-model-runner"];

impl Models {
    /// The model to use when the owner named none: environment keys in the order of the vendor
    /// table, then local servers, then nothing.
    pub async fn discover(&self) -> Option<ModelRef> {
        let env = self.inner.parts.env;
        for vendor in VENDORS.iter().filter(|vendor| !vendor.local) {
            let has_key = vendor
                .keys
                .iter()
                .any(|name| env(name).is_some_and(|key| !key.is_empty()));
            if let Some(model) = vendor.default_model.filter(|_| has_key) {
                return ModelRef::parse(&format!("{}/{model}", vendor.id));
            }
        }
        let found = self.local_servers().await.into_iter().next()?;
        let model = found.models.first()?;
        ModelRef::parse(&format!("{}/{model}", found.provider))
    }

    /// The servers on this machine that answer now and have a chat model, the preferred ones first.
    pub async fn local_servers(&self) -> Vec<LocalServer> {
        let catalog = self.catalog();
        let asked = LOCAL
            .iter()
            .filter_map(|id| catalog.providers.get(*id))
            .map(|provider| async move {
                let models = tokio::time::timeout(LOCAL_TIMEOUT, self.listed(provider))
                    .await
                    .ok()??;
                (!models.is_empty()).then(|| LocalServer {
                    provider: provider.id.clone(),
                    name: provider.name.clone(),
                    models,
                })
            });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The chat models that a local server lists.
    async fn listed(&self, provider: &Provider) -> Option<Vec<String>> {
        let ollama = provider.api == crate::config::Api::Ollama;
        let mut url = provider.endpoint.clone();
        let path = if ollama {
            url.path()
                .strip_suffix("chat")
                .map(|path| format!("{path}tags"))
        } else {
            url.path()
                .strip_suffix("chat/completions")
                .map(|path| format!("{path}models"))
        };
        url.set_path(&path?);
        let mut request = outgoing(provider, None, Method::GET, url, Bytes::new());
        request.connect_timeout = LOCAL_TIMEOUT;
        request.head_timeout = LOCAL_TIMEOUT;
        let answer = self.inner.egress.send(request).await.ok()?;
        if !answer.status.is_success() {
            return None;
        }
        let body = answer.read(LIST_BYTES_MAX, LOCAL_TIMEOUT).await.ok()?;
        let list: Value = serde_json::from_slice(&body).ok()?;
        let (list, name) = if ollama {
            (list.get("models")?, "name")
        } else {
            (list.get("data")?, "id")
        };
        let models = list
            .as_array()?
            .iter()
            .filter_map(|model| model.get(name)?.as_str())
            // Embedding models do not chat.
            .filter(|name| !name.to_lowercase().contains("embed"))
            .take(LISTED_MAX)
            .map(str::to_owned);
        Some(models.collect())
    }
}
