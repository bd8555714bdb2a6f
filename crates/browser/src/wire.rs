//! The debugging protocol over a pipe: JSON messages with a NUL behind each, commands with numbers
//! and their answers, and events in between.
//!
//! It is small enough to be written here: the published crates for it speak over a TCP port or start
//! the browser themselves, and neither fits walls.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest message that is taken: a screenshot of a long page has some megabytes.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the browser has ended")]
    Gone,
    #[error("the page does not answer")]
    Slow,
    #[error("the browser refused: {0}")]
    Refused(String),
}

/// What is written to the process, by the thread that holds it.
pub(crate) enum Order {
    Write(Vec<u8>),
    End,
}

/// Something that happened in the browser.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) session: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: BTreeMap<u64, oneshot::Sender<Result<Value, WireError>>>,
    is_closed: bool,
}

#[derive(Debug)]
pub(crate) struct Wire {
    orders: SyncSender<Order>,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
}

impl Wire {
    pub(crate) fn new(orders: SyncSender<Order>) -> Self {
        Self {
            orders,
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Value, WireError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.is_closed {
                return Err(WireError::Gone);
            }
            let _none = waiting.calls.insert(id, answer);
        }
        if let Err(error) = self.write(id, session, method, params) {
            let _gone = self.waiting().calls.remove(&id);
            return Err(error);
        }
        let heard = tokio::time::timeout(within, answered).await;
        let _gone = self.waiting().calls.remove(&id);
        match heard {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(WireError::Gone),
            Err(_) => Err(WireError::Slow),
        }
    }

    /// Sends a command whose answer nobody waits for.
    pub(crate) fn tell(&self, session: Option<&str>, method: &str, params: Value) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.write(id, session, method, params) {
            tracing::debug!(%error, method, "a command did not reach the browser");
        }
    }

    fn write(
        &self,
        id: u64,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<(), WireError> {
        let mut message = json!({ "id": id, "method": method });
        message["params"] = params;
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // A queue that is full is a browser that reads no more.
        self.orders
            .try_send(Order::Write(bytes))
            .map_err(|_| WireError::Gone)
    }

    /// Takes a message: an answer is handed to who waits for it, an event comes back.
    pub(crate) fn take(&self, message: &[u8]) -> Option<Event> {
        let mut message: Value = serde_json::from_slice(message).ok()?;
        let Some(id) = message.get("id").and_then(Value::as_u64) else {
            let text = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
            return Some(Event {
                session: text("sessionId").unwrap_or_default(),
                method: text("method")?,
                params: message.get_mut("params").map(Value::take)?,
            });
        };
        let answer = match message.get("error") {
            Some(error) => {
                let why = error.get("message").and_then(Value::as_str);
                Err(WireError::Refused(
                    why.unwrap_or("no reason was given")
                        .chars()
                        .take(300)
                        .collect(),
                ))
            }
            None => Ok(message
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default()),
        };
        if let Some(call) = self.waiting().calls.remove(&id) {
            // Who asked may have stopped waiting.
            let _heard = call.send(answer);
        }
        None
    }

    /// The browser has ended: nobody waits any more.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closed = true;
        waiting.calls.clear();
    }

    pub(crate) fn end(&self) {
        let _sent = self.orders.try_send(Order::End);
    }
}

/// Puts pieces of output together to messages.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    rest: Vec<u8>,
}

/// A message without end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Frames {
    /// Every message that ends in this piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut whole = Vec::new();
        for (at, part) in piece.split(|byte| *byte == 0).enumerate() {
            if at > 0 {
                whole.push(std::mem::take(&mut self.rest));
            }
            self.rest.extend_from_slice(part);
            if self.rest.len() > MESSAGE_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_together_whatever_pieces_they_come_in() {
        let mut frames = Frames::default();
        assert_eq!(frames.feed(b"{\"a\":"), Ok(vec![]));
        assert_eq!(
            frames.feed(b"1}\0{}\0{\"b"),
            Ok(vec![b"{\"a\":1}".to_vec(), b"{}".to_vec()])
        );
        assert_eq!(frames.feed(b"\":2}\0"), Ok(vec![b"{\"b\":2}".to_vec()]));
        let mut endless = Frames::default();
        let piece = vec![b'x'; MESSAGE_BYTES_MAX / 2 + 1];
        assert!(endless.feed(&piece).is_ok());
        assert_eq!(endless.feed(&piece), Err(TooLong));
    }

    #[tokio::test]
    async fn answers_find_their_calls_and_an_end_ends_the_waiting() {
        let (orders, sent) = std::sync::mpsc::sync_channel(4);
        let wire = std::sync::Arc::new(Wire::new(orders));
        let within = Duration::from_secs(20);
        let asking = {
            let wire = std::sync::Arc::clone(&wire);
            tokio::spawn(async move { wire.call(Some("s"), "A.b", json!({}), within).await })
        };
        let sent = tokio::task::spawn_blocking(move || sent.recv());
        let Ok(Ok(Order::Write(bytes))) = sent.await else {
            return assert_eq!("an order", "nothing");
        };
        let message: Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(message["sessionId"], "s");
        let answer = json!({ "id": message["id"], "result": { "x": 1 } }).to_string();
        assert!(wire.take(answer.as_bytes()).is_none());
        assert_eq!(asking.await.unwrap().unwrap(), json!({ "x": 1 }));
        let event = wire.take(br#"{"method":"P.q","params":{},"sessionId":"s"}"#);
        assert_eq!(event.unwrap().method, "P.q");
        wire.close();
        let gone = wire.call(None, "A.b", json!({}), within).await;
        assert!(matches!(gone, Err(WireError::Gone)));
    }
}
