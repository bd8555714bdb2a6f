//! Bodies: read whole, within bounds, after the caller is known.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::ApiProblem;

/// KiB of bodies that are held at once, all requests together.
pub(crate) const HELD_KIB: usize = 128 * 1024;
/// Bodies of routes that need no caller.
pub(super) const OPEN_BYTES_MAX: usize = 4 * 1024;

/// Reads a body of at most `max` bytes that arrives within `deadline`. The permit stands for its
/// memory.
pub(super) async fn read<'a>(
    body: Body,
    headers: &HeaderMap,
    max: usize,
    deadline: Duration,
    held: &'a Semaphore,
) -> Result<(Bytes, SemaphorePermit<'a>), ApiProblem> {
    let announced = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()),
        None => headers
            .contains_key(header::TRANSFER_ENCODING)
            .then_some(max)
            .or(Some(0)),
    };
    let size = announced
        .filter(|size| *size <= max)
        .ok_or_else(|| too_large(max))?;
    let kib = u32::try_from(size.div_ceil(1024).min(HELD_KIB)).unwrap_or(u32::MAX);
    let reading = async {
        let permit = held
            .acquire_many(kib)
            .await
            .map_err(|_| ApiProblem::internal())?;
        let whole = Limited::new(body, max).collect().await;
        let whole = whole.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                too_large(max)
            } else {
                ApiProblem::invalid("the body ended early or cannot be read")
            }
        })?;
        Ok((whole.to_bytes(), permit))
    };
    tokio::time::timeout(deadline, reading)
        .await
        .unwrap_or_else(|_| {
            Err(ApiProblem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body did not arrive in time",
            ))
        })
}

fn too_large(max: usize) -> ApiProblem {
    ApiProblem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the body is larger than {max} bytes"),
    )
    .next("send less, or raise gateway.limits.bodyBytes")
}

/// True if a form or an image of another page could not have sent this: a content type, or a header,
/// that needs the browser's permission first.
pub(super) fn is_deliberate(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let json = kind
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    json || headers.contains_key("x-instar-request")
}

/// True for methods that change nothing.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
