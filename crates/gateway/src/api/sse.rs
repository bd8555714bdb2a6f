//! Server-sent events as a response body.
//!
//! The body is pulled: the next piece is made when the connection has room for it, so a slow
//! reader costs one piece of memory and never holds up whoever produces the events. A comment goes
//! out every fifteen seconds of silence, so that proxies keep the connection and a dead peer shows.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use serde::Serialize;

/// Silence after which a comment is sent.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Gives the pieces of one event stream. Dropped when the client has gone.
pub trait Source: Send + 'static {
    /// The next piece; `None` ends the stream. Must be cancel-safe: a keep-alive may interrupt it.
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>>;
}

/// A response that streams the source's pieces.
pub fn response(source: impl Source) -> Response {
    let pieces = stream::unfold(source, |mut source| async move {
        let piece = match tokio::time::timeout(KEEP_ALIVE, source.next()).await {
            Ok(piece) => piece?,
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
        };
        Some((Ok::<_, Infallible>(piece), source))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Tells a buffering reverse proxy to pass pieces on as they come.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event with JSON data.
pub fn event(name: Option<&str>, id: Option<&str>, data: &impl Serialize) -> Bytes {
    match serde_json::to_string(data) {
        Ok(json) => text_event(name, id, &json),
        Err(error) => {
            tracing::error!(%error, "an event could not be written as JSON");
            Bytes::new()
        }
    }
}

/// One event with plain text, which may have several lines.
pub fn text_event(name: Option<&str>, id: Option<&str>, text: &str) -> Bytes {
    let mut out = String::with_capacity(text.len() + 32);
    if let Some(name) = name {
        let _infallible = writeln!(out, "event: {name}");
    }
    if let Some(id) = id {
        let _infallible = writeln!(out, "id: {id}");
    }
    // A carriage return ends a line too: unescaped it would let text pose as a field.
    for line in text.split(['\n', '\r']) {
        let _infallible = writeln!(out, "data: {line}");
    }
    out.push('\n');
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_pose_as_a_field() {
        let bytes = text_event(Some("log"), Some("7"), "one\r\nevent: fake\rtwo");
        assert_eq!(
            bytes,
            "event: log\nid: 7\ndata: one\ndata: \ndata: event: fake\ndata: two\n\n"
        );
    }

    struct Slow(u32);

    impl Source for Slow {
        fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
            Box::pin(async {
                if self.0 == 0 {
                    return None;
                }
                tokio::time::sleep(Duration::from_secs(20)).await;
                self.0 -= 1;
                Some(Bytes::from_static(b"data: x\n\n"))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments() {
        use futures_util::StreamExt as _;
        let mut body = response(Slow(1)).into_body().into_data_stream();
        let first = body.next().await.unwrap().unwrap();
        assert_eq!(first, ": keep-alive\n\n");
    }
}
