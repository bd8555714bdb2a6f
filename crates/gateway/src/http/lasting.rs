//! Streams end with what let them in.
//!
//! A request is judged once, when it comes; a stream of events goes on for hours after. It is looked
//! at again for as long as it lasts, and cut when its credential is gone.

use axum::body::{Body, BodyDataStream};
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt as _;
use std::time::Duration;

use crate::app::AppState;
use crate::door::Proof;

/// How often is looked: a stream ends within a second of its credential.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The response, cut short when the caller's proof ends, if it is a stream.
pub(super) fn bind(app: &AppState, proof: Proof, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let streams = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !streams {
        return response;
    }
    let app = app.clone();
    response.map(|body| cut(body.into_data_stream(), app, proof))
}

fn cut(pieces: BodyDataStream, app: AppState, proof: Proof) -> Body {
    let ended = async move {
        while app.auth.stands(&proof).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tracing::info!("a stream was ended with the credential that opened it");
    };
    Body::from_stream(pieces.take_until(ended))
}
