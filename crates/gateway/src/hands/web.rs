//! The way out for tools: under the rights of the run's principal, with the key of the search engine
//! that the owner configured and no other credential.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use instar_egress::{Credential, Egress, Fetch, Fetched, Origin};
use instar_protocol::SecretSource;
use instar_tools::web::{Engine, KeyPlace, WebAnswer, WebPort, WebRequest, WebSettings};
use instar_tools::{Caller, SearchConfig, ToolError};
use std::sync::Arc;

use crate::app::ConfigHandle;
use crate::problem::chain;

#[derive(Debug)]
pub(super) struct Web {
    pub(super) egress: Egress,
    pub(super) config: ConfigHandle,
    pub(super) secrets: Arc<dyn SecretSource>,
}

impl Web {
    fn fetch(&self, caller: &Caller, request: WebRequest) -> Result<Fetch, ToolError> {
        let config = self.config.current();
        let web = &config.value.tools.web;
        let mut fetch = Fetch::get(
            instar_tools::web_address(&request.url)?,
            self.egress.rights(&caller.principal),
        );
        fetch.method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| ToolError::Arguments("that is no method".to_owned()))?;
        fetch.headers = headers(request.headers)?;
        fetch.body = request.body.into();
        fetch.bytes_max = request.bytes_max;
        match request.engine {
            None => fetch.user_agent.clone_from(&web.fetch.user_agent),
            Some(place) => self.introduce(&mut fetch, place, &web.search)?,
        }
        Ok(fetch)
    }

    /// Adds what the owner's search engine needs to know us by.
    fn introduce(
        &self,
        fetch: &mut Fetch,
        place: KeyPlace,
        search: &SearchConfig,
    ) -> Result<(), ToolError> {
        // An engine of the owner's own may be on this machine.
        if search.base_url.is_some() {
            fetch.configured = Origin::of(&fetch.url);
        }
        let Some(reference) = &search.api_key else {
            return Ok(());
        };
        let secret = self.secrets.secret(reference).map_err(|why| {
            tracing::warn!(why, "the search engine's key cannot be had");
            ToolError::Failed("the search engine's key cannot be had; tell the owner".to_owned())
        })?;
        match place {
            KeyPlace::Nowhere => {}
            KeyPlace::Query(name) => {
                let mut query = fetch.url.query_pairs_mut();
                let _pair = query.append_pair(name, secret.expose());
            }
            KeyPlace::Header { name, prefix } => {
                fetch.credential = Origin::of(&fetch.url).map(|origin| Credential {
                    origin,
                    header: HeaderName::from_static(name),
                    prefix,
                    secret,
                });
            }
        }
        Ok(())
    }

    async fn answer(&self, caller: &Caller, request: WebRequest) -> Result<WebAnswer, ToolError> {
        let has_key = request.engine.is_some();
        let fetch = self.fetch(caller, request)?;
        let fetched = self.egress.fetch(fetch).await.map_err(|error| {
            tracing::info!(error = chain(&error), run = %caller.run, "a tool's fetch failed");
            ToolError::Failed(error.to_string())
        })?;
        Ok(plain(fetched, has_key))
    }
}

impl WebPort for Web {
    fn send<'a>(
        &'a self,
        caller: &'a Caller,
        request: WebRequest,
    ) -> BoxFuture<'a, Result<WebAnswer, ToolError>> {
        self.answer(caller, request).boxed()
    }

    fn settings(&self) -> WebSettings {
        let config = self.config.current();
        let search = &config.value.tools.web.search;
        WebSettings {
            engine: search
                .provider
                .and_then(|engine| Engine::named(engine.name())),
            base_url: search.base_url.clone(),
            results: search.max_results.map(usize::from),
        }
    }
}

fn headers(given: Vec<(String, String)>) -> Result<HeaderMap, ToolError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let pair = HeaderName::try_from(name.as_str())
            .ok()
            .zip(HeaderValue::try_from(value.as_str()).ok());
        let Some((name, value)) = pair else {
            return Err(ToolError::Arguments(format!("{name:?} is no header")));
        };
        let _more = headers.append(name, value);
    }
    Ok(headers)
}

fn plain(fetched: Fetched, has_key: bool) -> WebAnswer {
    let mut url = fetched.url;
    if has_key {
        url.set_query(None);
    }
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = fetched
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
        .collect();
    WebAnswer {
        status: fetched.status.as_u16(),
        url: url.to_string(),
        headers,
        body: fetched.body.to_vec(),
        cut: fetched.cut,
    }
}
