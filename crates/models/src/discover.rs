//! Finding a model when the owner named none.

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

/// For all local servers together: a start must not wait for them.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(250);
const LIST_BYTES_MAX: usize = 1024 * 1024;
/// The servers that are asked, in the order in which they are preferred.
const LOCAL: [&str; 4] = ["ollama", "llamacpp", "lmstudio", "docker-model-runner"];

impl Models {
    /// The model to use when the owner named none: environment keys in the order of the vendor
    /// table, then local servers, then nothing.
    pub async fn discover(&self) -> Option<ModelRef> {
        let catalog = self.catalog();
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
        let asked = LOCAL
            .iter()
            .filter_map(|id| catalog.providers.get(*id))
            .map(|provider| async move {
                let model = tokio::time::timeout(LOCAL_TIMEOUT, self.first_model(provider))
                    .await
                    .ok()??;
                ModelRef::parse(&format!("{}/{model}", provider.id))
            });
        join_all(asked).await.into_iter().flatten().next()
    }

    /// The first chat model that a local server lists.
    async fn first_model(&self, provider: &Provider) -> Option<String> {
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
        list.as_array()?
            .iter()
            .filter_map(|model| model.get(name)?.as_str())
            // Embedding models do not chat.
            .find(|name| !name.to_lowercase().contains("embed"))
            .map(str::to_owned)
    }
}
