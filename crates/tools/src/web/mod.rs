//! The web tools: reading a page, searching, calling an interface.
//!
//! Everything goes through a port that the gateway fills with the one way out; what may be reached is
//! judged there, address by address. A tool never takes a credential from the model and never gives
//! one to it.

mod engines;
mod fetch;
mod readable;
mod request;
mod search;

use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use url::Url;

use crate::tool::{Caller, Tool, ToolError};

pub use engines::{Engine, KeyPlace};
pub use readable::readable;

/// The way out, under the rights of the caller's principal.
pub trait WebPort: Send + Sync + fmt::Debug {
    fn send<'a>(
        &'a self,
        caller: &'a Caller,
        request: WebRequest,
    ) -> BoxFuture<'a, Result<WebAnswer, ToolError>>;

    /// What the owner configured; read anew for each call.
    fn settings(&self) -> WebSettings;
}

/// The owner's choices for the web tools.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WebSettings {
    /// `None`: no search engine is set up.
    pub engine: Option<Engine>,
    /// Of an engine of the owner's own.
    pub base_url: Option<String>,
    pub results: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebRequest {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub bytes_max: usize,
    /// The call of a search engine that the owner configured, with its key there; never for an
    /// address that a model chose.
    pub engine: Option<KeyPlace>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebAnswer {
    pub status: u16,
    /// Where the answer came from, after redirects.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// True if there was more.
    pub cut: bool,
}

impl WebAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The media type alone, in lower case.
    pub(crate) fn media_type(&self) -> String {
        let given = self.header("content-type").unwrap_or_default();
        let plain = given.split(';').next().unwrap_or_default();
        plain.trim().to_ascii_lowercase()
    }
}

/// The web tools over one way out.
#[must_use]
pub fn tools(web: &Arc<dyn WebPort>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(fetch::tool(Arc::clone(web))),
        Arc::new(search::tool(Arc::clone(web))),
        Arc::new(request::get(Arc::clone(web))),
        Arc::new(request::send(Arc::clone(web))),
        Arc::new(request::delete(Arc::clone(web))),
    ]
}

/// Where a page may be asked for. What is behind the name is judged when it is connected to.
pub fn web_address(text: &str) -> Result<Url, ToolError> {
    let wrong = |why: &str| ToolError::Arguments(format!("that is no address to go to: {why}"));
    let url =
        Url::parse(text.trim()).map_err(|_| wrong("write it whole, like https://example.org/"))?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err(wrong("it has a user name or password in it")),
        _ => Err(wrong("only http and https lead out of here")),
    }
}
