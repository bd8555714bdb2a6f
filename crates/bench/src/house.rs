//! A real gateway with the scripted model, for benches that look at what comes of its turns.

use anyhow::Context as _;
use bytes::Bytes;
use instar_protocol::event::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::gateway::{Bench, free_port};
use crate::load::Connection;
use crate::process::{self, Running};

pub(crate) struct House {
    pub(crate) state: PathBuf,
    connection: Connection,
    address: String,
    gateway: Running,
    _bench: Bench,
}

impl House {
    /// A gateway that has just started, its model with this script.
    pub(crate) async fn open(script: &Value) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder for the bench")?;
        let bench = Bench::with(&script.to_string(), 1, folder)?;
        let state = bench.state("house", 100_000)?;
        let port = free_port()?;
        let (gateway, _start) = process::gateway(&state, port).await?;
        let address = format!("127.0.0.1:{port}");
        Ok(Self {
            connection: Connection::open(&address).await?,
            state,
            address,
            gateway,
            _bench: bench,
        })
    }

    /// A conversation of one turn. One that fails answers with an error, which may be what is measured.
    pub(crate) async fn ask(&mut self, user: &str, text: &str) -> anyhow::Result<()> {
        let body = json!({
            "model": "instar", "user": user,
            "messages": [{"role": "user", "content": text}],
        });
        let body = Bytes::from(body.to_string());
        let ended = self.connection.post("/v1/chat/completions", &body).await;
        if ended.is_err() {
            self.connection = Connection::open(&self.address).await?;
        }
        Ok(())
    }

    /// Makes a candidate of a change, asks its gates, and says yes. Its id.
    pub(crate) async fn approved(&mut self, delta: &Value) -> anyhow::Result<String> {
        let asked = json!({"deltas": delta});
        let made = self.post("/api/v1/candidates", &asked).await?;
        let id = made["id"].as_str().context("a candidate has an id")?;
        for gates in ["check", "approve"] {
            let path = format!("/api/v1/candidates/{id}/{gates}");
            self.post(&path, &json!({})).await?;
        }
        Ok(id.to_owned())
    }

    /// The log after an event, the oldest first.
    pub(crate) async fn events(&mut self, after: Option<&str>) -> anyhow::Result<Vec<Event>> {
        let mut all: Vec<Event> = Vec::new();
        let mut last = after.unwrap_or("evt_0").to_owned();
        loop {
            let path = format!("/api/v1/events?limit=500&after={last}");
            let page: Vec<Event> = self.get(&path).await?;
            let Some(end) = page.last() else {
                return Ok(all);
            };
            end.id.as_str().clone_into(&mut last);
            all.extend(page);
        }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = Bytes::from(body.to_string());
        let answer = self.connection.answer(path, &body).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        let (answer, _millis) = self.connection.get(path).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(crate) fn resident_mb(&self) -> anyhow::Result<f64> {
        self.gateway.resident_mb()
    }

    /// Ends the gateway, does something to its state, and starts it again.
    pub(crate) async fn between(
        mut self,
        work: impl AsyncFnOnce(&std::path::Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        self.gateway.stop()?;
        work(&self.state).await?;
        let port = free_port()?;
        (self.gateway, _) = process::gateway(&self.state, port).await?;
        self.address = format!("127.0.0.1:{port}");
        self.connection = Connection::open(&self.address).await?;
        Ok(self)
    }

    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.gateway.stop()
    }
}
