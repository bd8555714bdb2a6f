//! Bodies: read whole, within bounds, after the caller is known.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::ApiProblem;

/// KiB of bodies that are held at once, all requests together.
pub(crate) const HELD_KIB: usize = 128 * 1024;
/// Bodies of routes that need no caller.
pub(super) const OPEN_BYTES_MAX: usize = 4 * 1024;

/// Bytes together with the room that they take up.
struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `max` bytes that arrives within `deadline`. Its room is free again as
/// soon as the bytes are let go of, which is when they were parsed: an answer may take minutes.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    max: usize,
    deadline: Duration,
    room: &Arc<Semaphore>,
) -> Result<Bytes, ApiProblem> {
    let announced = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()),
        // One that comes in chunks takes room as it grows.
        None => Some(0),
    };
    let size = announced
        .filter(|size| *size <= max)
        .ok_or_else(|| too_large(max))?;
    tokio::time::timeout(deadline, collect(body, size, max, room))
        .await
        .unwrap_or_else(|_| {
            Err(ApiProblem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body did not arrive in time",
            ))
        })
}

async fn collect(
    body: Body,
    announced: usize,
    max: usize,
    room: &Arc<Semaphore>,
) -> Result<Bytes, ApiProblem> {
    let mut held = take(room, kib(announced)).await?;
    let mut bytes = Vec::with_capacity(announced);
    let mut body = Limited::new(body, max);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                too_large(max)
            } else {
                ApiProblem::invalid("the body ended early or cannot be read")
            }
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let wanted = kib(bytes.len() + data.len());
        let has = u32::try_from(held.num_permits()).unwrap_or(u32::MAX);
        if wanted > has {
            held.merge(take(room, wanted - has).await?);
        }
        bytes.extend_from_slice(&data);
    }
    if bytes.is_empty() {
        return Ok(Bytes::new());
    }
    bytes.shrink_to_fit();
    Ok(Bytes::from_owner(Held { bytes, _room: held }))
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024).min(HELD_KIB)).unwrap_or(u32::MAX)
}

async fn take(room: &Arc<Semaphore>, kib: u32) -> Result<OwnedSemaphorePermit, ApiProblem> {
    let taken = Arc::clone(room).acquire_many_owned(kib).await;
    taken.map_err(|_| ApiProblem::internal())
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::FromRequest as _;
    use futures_util::{FutureExt as _, stream};

    const MAX: usize = 32 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    /// A body that comes in pieces, without its length.
    fn chunked(pieces: Vec<Vec<u8>>) -> (Body, HeaderMap) {
        let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
        let mut headers = HeaderMap::new();
        headers.insert(header::TRANSFER_ENCODING, "chunked".parse().unwrap());
        (Body::from_stream(stream::iter(pieces)), headers)
    }

    #[tokio::test]
    async fn b9_a_chunked_body_takes_the_room_that_it_has() {
        let room = Arc::new(Semaphore::new(100));
        let (body, headers) = chunked(vec![vec![b'x'; 1500]; 7]);
        let bytes = read(body, &headers, MAX, SECOND, &room).await.unwrap();
        assert_eq!(bytes.len(), 10_500);
        assert_eq!(room.available_permits(), 100 - 11);
        drop(bytes);
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn b9_a_body_s_room_is_free_when_it_was_parsed() {
        let room = Arc::new(Semaphore::new(100));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 2048.into());
        let body = Body::from(vec![b' '; 2048]);
        let bytes = read(body, &headers, MAX, SECOND, &room).await.unwrap();
        // As a handler gets it.
        let request = axum::extract::Request::new(Body::from(bytes));
        assert_eq!(room.available_permits(), 98);
        let bytes = Bytes::from_request(request, &()).await.unwrap();
        assert_eq!(room.available_permits(), 98);
        drop(bytes);
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn b9_without_room_a_body_waits_and_gives_up_in_time() {
        let room = Arc::new(Semaphore::new(2));
        let first = Arc::clone(&room).acquire_owned().await.unwrap();
        let (body, headers) = chunked(vec![vec![b'x'; 1500]]);
        let mut reading = Box::pin(read(body, &headers, MAX, SECOND, &room));
        assert!((&mut reading).now_or_never().is_none());
        drop(first);
        assert_eq!(reading.await.unwrap().len(), 1500);
        let _first = Arc::clone(&room).acquire_owned().await.unwrap();
        let (body, headers) = chunked(vec![vec![b'x'; 1500]]);
        tokio::time::pause();
        let late = read(body, &headers, MAX, SECOND, &room).await;
        assert_eq!(late.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(room.available_permits(), 1);
    }

    #[tokio::test]
    async fn b9_a_chunked_body_ends_at_the_limit() {
        let room = Arc::new(Semaphore::new(100));
        let (body, headers) = chunked(vec![vec![b'x'; 1500]; 3]);
        let over = read(body, &headers, 4096, SECOND, &room).await;
        assert_eq!(over.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(room.available_permits(), 100);
    }
}
