//! One server: introduced once, asked for its tools, called.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Mutex;

use super::{McpError, Wire};

/// The version of the protocol that is asked for.
const PROTOCOL: &str = "2025-06-18";
/// Tools of one server; what is beyond is left out.
const TOOLS_MAX: usize = 200;
const PAGES_MAX: usize = 20;
const REFUSAL_CHARS_MAX: usize = 300;

/// A server that is spoken to.
#[derive(Debug)]
pub struct Client {
    wire: Arc<dyn Wire>,
    last_id: AtomicU64,
    introduced: Mutex<bool>,
    /// The server said that its list changed.
    changed: AtomicBool,
}

/// A tool as its server describes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Described {
    pub name: String,
    pub description: String,
    pub schema: Value,
}

impl Client {
    #[must_use]
    pub fn new(wire: Arc<dyn Wire>) -> Self {
        Self {
            wire,
            last_id: AtomicU64::new(0),
            introduced: Mutex::new(false),
            changed: AtomicBool::new(false),
        }
    }

    /// True once after the server said that its list of tools changed.
    #[must_use]
    pub fn take_changed(&self) -> bool {
        for message in self.wire.heard() {
            self.note(&message);
        }
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// The tools that the server has.
    pub async fn tools(&self) -> Result<Vec<Described>, McpError> {
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        for _page in 0..PAGES_MAX {
            let params = match &cursor {
                Some(cursor) => json!({ "cursor": cursor }),
                None => json!({}),
            };
            let result = self.ask("tools/list", &params).await?;
            let rows = result.get("tools").and_then(Value::as_array);
            let rows = rows.ok_or(McpError::Malformed("there is no list of tools in it"))?;
            tools.extend(rows.iter().filter_map(described));
            cursor = result
                .get("nextCursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() || tools.len() >= TOOLS_MAX {
                break;
            }
        }
        tools.truncate(TOOLS_MAX);
        Ok(tools)
    }

    /// Calls a tool; the result as the server gave it. A call is never made twice.
    pub async fn call(&self, tool: &str, arguments: &Value) -> Result<Value, McpError> {
        let params = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", &params).await
    }

    async fn ask(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        self.introduce().await?;
        match self.request(method, params).await {
            // It was turned away at the door: nothing ran, and it may be asked again.
            Err(McpError::Forgotten) => {
                self.wire.forget();
                *self.introduced.lock().await = false;
                self.introduce().await?;
                self.request(method, params).await
            }
            other => other,
        }
    }

    async fn introduce(&self) -> Result<(), McpError> {
        let mut introduced = self.introduced.lock().await;
        if *introduced {
            return Ok(());
        }
        let params = json!({
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": { "name": "instar", "version": env!("CARGO_PKG_VERSION") },
        });
        let _about = self.request("initialize", &params).await?;
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let _nothing = self.wire.exchange(&told).await?;
        *introduced = true;
        Ok(())
    }

    fn note(&self, message: &Value) {
        if message["method"] == "notifications/tools/list_changed" {
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    async fn request(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut answer = None;
        for message in self.wire.exchange(&message).await? {
            self.note(&message);
            if message["id"] == id && message.get("method").is_none() {
                answer = Some(message);
            }
        }
        let mut answer = answer.ok_or(McpError::Malformed("there is no answer in it"))?;
        if let Some(error) = answer.get("error") {
            let said = error["message"].as_str().unwrap_or("it gave no reason");
            return Err(McpError::Refused(
                said.chars().take(REFUSAL_CHARS_MAX).collect(),
            ));
        }
        Ok(answer["result"].take())
    }
}

fn described(row: &Value) -> Option<Described> {
    Some(Described {
        name: row.get("name")?.as_str()?.to_owned(),
        description: row["description"].as_str().unwrap_or_default().to_owned(),
        schema: row
            .get("inputSchema")
            .cloned()
            .unwrap_or_else(|| json!({ "type": "object" })),
    })
}
