//! A client of the control plane: just enough of the protocol to be measured with.

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::load::TOKEN;

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    next: u64,
}

impl Client {
    /// Connects with the gateway's token and no device.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{address}/");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let mut client = Self { socket, next: 0 };
        let _challenge = client.frame().await?;
        let connect = json!({
            "minProtocol": 4, "maxProtocol": 4,
            "client": { "id": "test", "version": "0", "platform": "linux", "mode": "test" },
            "auth": { "token": TOKEN },
        });
        let _hello = client.call("connect", connect).await?;
        Ok(client)
    }

    /// Asks, and reads past events to the answer.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.next += 1;
        let id = self.next.to_string();
        let request = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.socket
            .send(Message::Text(request.to_string().into()))
            .await?;
        loop {
            let frame = self.frame().await?;
            if frame["type"] != "res" || frame["id"] != id.as_str() {
                continue;
            }
            if frame["ok"] != true {
                bail!("{method}: {}", frame["error"]);
            }
            return Ok(frame["payload"].clone());
        }
    }

    /// Reads up to the last event of a run; returns how many events of runs came.
    pub(crate) async fn run_ends(&mut self) -> anyhow::Result<u64> {
        let mut seen = 0;
        loop {
            let frame = self.frame().await?;
            if frame["event"] == "chat" || frame["event"] == "agent" {
                seen += 1;
            }
            if frame["event"] == "chat" && frame["payload"]["state"] == "final" {
                return Ok(seen);
            }
        }
    }

    async fn frame(&mut self) -> anyhow::Result<Value> {
        loop {
            let message = self.socket.next().await.context("the gateway hung up")??;
            if let Message::Text(text) = message {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    }
}
