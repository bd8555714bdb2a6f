//! Response bodies that know whether they were handed over.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use instar_agent::Sessions;
use instar_protocol::live::{LiveEvent, Outcome};
use serde_json::Value;
use std::convert::Infallible;

use super::problem::Problem;
use super::run::{Delivery, Running, Step};
use crate::api::sse::Source;

/// Turns what happens in a run into the pieces of one stream format.
pub(crate) trait Encoder: Send + 'static {
    fn begin(&mut self) -> Bytes;
    fn live(&mut self, event: &LiveEvent) -> Option<Bytes>;
    fn finish(&mut self, outcome: &Outcome) -> Bytes;
    fn fail(&mut self, problem: &Problem) -> Bytes;
}

/// A streamed answer.
pub(crate) struct Streaming<E> {
    sessions: Sessions,
    encoder: E,
    state: State,
}

enum State {
    Begin(Box<Running>),
    Running(Box<Running>),
    /// The last piece was made; asking for more means that it was taken.
    Last(Option<Delivery>),
    Over,
}

impl<E: Encoder> Streaming<E> {
    pub(crate) fn new(sessions: Sessions, encoder: E, running: Running) -> Self {
        Self {
            sessions,
            encoder,
            state: State::Begin(Box::new(running)),
        }
    }

    async fn advance(&mut self) -> Option<Bytes> {
        if let State::Begin(_) = &self.state
            && let State::Begin(running) = std::mem::replace(&mut self.state, State::Over)
        {
            self.state = State::Running(running);
            return Some(self.encoder.begin());
        }
        while let State::Running(running) = &mut self.state {
            match running.step().await {
                Step::Live(event) => {
                    if let Some(piece) = self.encoder.live(&event) {
                        return Some(piece);
                    }
                }
                Step::Done(outcome) => {
                    let piece = self.encoder.finish(&outcome);
                    self.state = State::Last(Some(Delivery::new(&self.sessions, &outcome)));
                    return Some(piece);
                }
                Step::Lost => {
                    let problem = Problem::lost("the gateway is shutting down; try again");
                    self.state = State::Last(None);
                    return Some(self.encoder.fail(&problem));
                }
            }
        }
        if let State::Last(Some(delivery)) = &mut self.state {
            delivery.arrived();
        }
        self.state = State::Over;
        None
    }
}

impl<E: Encoder> Source for Streaming<E> {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}

/// A JSON answer whose hand-over is noted.
pub(crate) fn json(sessions: &Sessions, outcome: &Outcome, value: &Value) -> Response {
    let mut response = Response::new(Body::from_stream(Whole {
        bytes: Some(Bytes::from(value.to_string())),
        delivery: Delivery::new(sessions, outcome),
    }));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

struct Whole {
    bytes: Option<Bytes>,
    delivery: Delivery,
}

impl Stream for Whole {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None => {
                // The end is asked for when the one piece is on its way.
                self.delivery.arrived();
                Poll::Ready(None)
            }
        }
    }
}
