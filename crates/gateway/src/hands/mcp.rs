//! Servers that speak the Model Context Protocol: connected, listed, listed again when they change, and
//! met again after they were gone.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use instar_egress::{Credential, Fetch, Origin, Rights};
use instar_tools::mcp::{Client, McpError, Wire, adapt};
use instar_tools::{MCP_PREFIX, McpServerConfig, Tool};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

use super::mcp_stdio::StdioWire;
use crate::app::AppState;
use crate::reload;

/// How often it is looked whether something is to do.
const TICK: Duration = Duration::from_secs(1);
/// A server that says nothing is asked for its list again after this.
const LIST_AGAIN: Duration = Duration::from_secs(300);
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LAST: Duration = Duration::from_secs(300);
const ANSWER_BYTES_MAX: usize = 8 << 20;
const MESSAGES_MAX: usize = 1_000;
const SESSION_HEADER: &str = "mcp-session-id";
const SESSION_BYTES_MAX: usize = 1_024;

/// Keeps the tools of the configured servers in the toolbox, until the gateway stops.
pub(crate) async fn tend(app: AppState) {
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    loop {
        if follow(&app, &mut servers).await {
            let config = app.config.current();
            let reason = "the tools of a server";
            if let Err(why) = reload::adopt(&app, &config.value, reason).await {
                tracing::error!(why, "the tools of a server cannot be served");
            }
        }
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// A server as it is configured and as it was met.
struct Server {
    config: McpServerConfig,
    client: Arc<Client>,
    /// When it is asked for its list.
    due: Instant,
    retry: Duration,
}

/// Brings the toolbox in line with configuration and servers; true if it changed.
async fn follow(app: &AppState, servers: &mut BTreeMap<String, Server>) -> bool {
    let config = app.config.current();
    let wanted = &config.value.mcp.servers;
    let is_wanted =
        |name: &str, config: &McpServerConfig| config.enabled && wanted.get(name) == Some(config);
    let gone: Vec<String> = servers
        .iter()
        .filter(|(name, server)| !is_wanted(name, &server.config))
        .map(|(name, _)| name.clone())
        .collect();
    let mut changed = false;
    for name in gone {
        let _server = servers.remove(&name);
        changed |= put(app, &name, Vec::new());
    }
    for (name, config) in wanted.iter().filter(|(_, config)| config.enabled) {
        if !servers.contains_key(name)
            && let Some(server) = Server::new(app, name, config)
        {
            let _none = servers.insert(name.clone(), server);
        }
    }
    for (name, server) in servers {
        let is_due = server.client.take_changed() || server.due <= Instant::now();
        if is_due && !app.closing.is_cancelled() {
            changed |= list(app, name, server).await;
        }
    }
    changed
}

async fn list(app: &AppState, name: &str, server: &mut Server) -> bool {
    match server.client.tools().await {
        Ok(described) => {
            let count = described.len();
            let from = instar_policy::Server {
                name,
                is_closed: server.config.closed,
            };
            let adapted = described
                .into_iter()
                .filter_map(|tool| adapt(from, &server.client, tool));
            let changed = put(app, name, adapted.collect());
            server.listed(changed);
            if changed {
                tracing::info!(
                    server = name,
                    tools = count,
                    "a server's tools were taken up"
                );
            }
            changed
        }
        Err(error) => {
            let after = server.retry_after();
            server.due = Instant::now() + after;
            // Its tools stay listed: a call of one says what is wrong.
            tracing::warn!(server = name, %error, "a server cannot be asked for its tools");
            false
        }
    }
}

/// Puts the tools of a server in the place of those that it had; true if that changed anything.
fn put(app: &AppState, server: &str, tools: Vec<Arc<dyn Tool>>) -> bool {
    let prefix = format!("{MCP_PREFIX}{server}__");
    let family = || {
        let specs = app.toolbox.specs().into_iter();
        specs
            .filter(|spec| spec.name.starts_with(&prefix))
            .collect::<Vec<_>>()
    };
    let before = family();
    let left_out = app.toolbox.replace(&prefix, tools);
    if !left_out.is_empty() {
        tracing::warn!(
            server,
            ?left_out,
            "tools whose arguments cannot be checked were left out"
        );
    }
    family() != before
}

impl Server {
    fn new(app: &AppState, name: &str, config: &McpServerConfig) -> Option<Self> {
        let wire: Arc<dyn Wire> = match &config.url {
            None => Arc::new(StdioWire::new(app, name, config)),
            // Checked when the configuration was read.
            Some(url) => Arc::new(HttpWire {
                app: app.clone(),
                config: config.clone(),
                url: Url::parse(url).ok()?,
                session: Mutex::default(),
            }),
        };
        Some(Self {
            config: config.clone(),
            client: Arc::new(Client::new(wire)),
            due: Instant::now(),
            retry: RETRY_FIRST,
        })
    }
}

impl Server {
    /// When to ask again after a list. Who says with every list that it changed is asked ever less
    /// often.
    fn listed(&mut self, changed: bool) {
        if changed {
            self.retry = RETRY_FIRST;
        }
        let after = if self.client.take_changed() {
            self.retry_after()
        } else {
            LIST_AGAIN
        };
        self.due = Instant::now() + after;
    }

    fn retry_after(&mut self) -> Duration {
        let after = self.retry;
        self.retry = (self.retry * 2).min(RETRY_LAST);
        after
    }
}

/// Streamable HTTP: one request for one message, answered with JSON or with events up to the answer.
struct HttpWire {
    app: AppState,
    config: McpServerConfig,
    url: Url,
    /// What the server calls our session.
    session: Mutex<Option<HeaderValue>>,
}

impl fmt::Debug for HttpWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = instar_egress::shown(&self.url);
        f.debug_tuple("HttpWire").field(&url).finish()
    }
}

impl HttpWire {
    fn request(&self, message: &Value) -> Result<Fetch, McpError> {
        let unreachable = |why: &str| McpError::Unreachable(why.to_owned());
        let origin = Origin::of(&self.url).ok_or_else(|| unreachable("its address has no host"))?;
        let mut fetch = Fetch::get(self.url.clone(), Rights::nothing());
        fetch.method = Method::POST;
        fetch.body = message.to_string().into();
        fetch.bytes_max = ANSWER_BYTES_MAX;
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        let _old = fetch.headers.insert(ACCEPT, accepted);
        let json = HeaderValue::from_static("application/json");
        let _old = fetch.headers.insert(CONTENT_TYPE, json);
        if let Some(session) = self.session().clone() {
            let _old = fetch.headers.insert(SESSION_HEADER, session);
        }
        if let Some(reference) = &self.config.token {
            let secret = self.app.secrets.secret(reference);
            let secret = secret.map_err(|why| unreachable(&why))?;
            fetch.credential = Some(Credential {
                origin: origin.clone(),
                header: AUTHORIZATION,
                prefix: "Bearer ",
                secret,
            });
        }
        // The owner named this server and no other: a redirect away from it has no rights.
        fetch.configured = Some(origin);
        Ok(fetch)
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, message: &Value) -> Result<Vec<Value>, McpError> {
        let had_session = self.session().is_some();
        let fetched = self.app.egress.fetch(self.request(message)?).await;
        let fetched = fetched.map_err(|error| McpError::Unreachable(error.to_string()))?;
        match fetched.status {
            StatusCode::NOT_FOUND if had_session => return Err(McpError::Forgotten),
            status if !status.is_success() => return Err(McpError::Status(status.as_u16())),
            _ => {}
        }
        if fetched.cut {
            return Err(McpError::Malformed("it is too long"));
        }
        let given = fetched.headers.get(SESSION_HEADER);
        if let Some(session) = given.filter(|session| session.len() <= SESSION_BYTES_MAX) {
            *self.session() = Some(session.clone());
        }
        let kind = fetched
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let body =
            std::str::from_utf8(&fetched.body).map_err(|_| McpError::Malformed("it is no text"))?;
        messages(kind.unwrap_or_default(), body)
    }
}

impl Wire for HttpWire {
    fn exchange<'a>(&'a self, message: &'a Value) -> BoxFuture<'a, Result<Vec<Value>, McpError>> {
        self.send(message).boxed()
    }

    fn forget(&self) {
        *self.session() = None;
    }
}

/// The messages of an answer, whichever way they came.
fn messages(kind: &str, body: &str) -> Result<Vec<Value>, McpError> {
    if body.trim().is_empty() {
        return Ok(Vec::new());
    }
    let read = |text: &str| {
        serde_json::from_str::<Value>(text).map_err(|_| McpError::Malformed("it is no JSON"))
    };
    if !kind.starts_with("text/event-stream") {
        return Ok(match read(body)? {
            Value::Array(batch) => batch,
            one => vec![one],
        });
    }
    let mut messages = Vec::new();
    let mut data = String::new();
    for line in body.lines().chain([""]) {
        if let Some(more) = line.strip_prefix("data:") {
            data.push_str(more.strip_prefix(' ').unwrap_or(more));
            data.push('\n');
        } else if line.is_empty() && !data.trim().is_empty() && messages.len() < MESSAGES_MAX {
            messages.push(read(&data)?);
            data.clear();
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_as_json_or_as_events() {
        let events =
            "event: message\nid: 1\ndata: {\"a\":1}\n\n: comment\n\ndata: {\"b\":\ndata: 2}";
        let read = messages("text/event-stream; charset=utf-8", events).unwrap();
        assert_eq!(
            read,
            [serde_json::json!({"a": 1}), serde_json::json!({"b": 2})]
        );
        assert_eq!(messages("application/json", "[1,2]").unwrap().len(), 2);
        assert_eq!(messages("application/json", " ").unwrap().len(), 0);
        assert!(messages("text/html", "<p>").is_err());
    }
}
