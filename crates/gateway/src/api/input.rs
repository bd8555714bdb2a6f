//! Reading bodies and query strings: strictly, bounded, with the wrong field named.
//!
//! A body is JSON and says so; an unknown field is refused, so that nothing a caller writes beside
//! the documented fields can ever be taken for a fact.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::ApiProblem;

/// How many rows of a list are wanted.
#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    pub(super) limit: Option<usize>,
}

/// A JSON body, read strictly.
#[derive(Debug)]
pub(crate) struct Strict<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Strict<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !json {
            return Err(ApiProblem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body has to be JSON",
            )
            .next("send it with `Content-Type: application/json`"));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                ApiProblem::new(rejection.status(), "invalid_request", rejection.body_text())
            })?;
        read(&bytes).map(Self)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let place = if path == "." {
            String::new()
        } else {
            format!("{path}: ")
        };
        ApiProblem::invalid(format!("{place}{inner}"))
    })?;
    reader
        .end()
        .map_err(|_| ApiProblem::invalid("there is more after the end of the JSON body"))?;
    Ok(value)
}

/// A query string, read strictly.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Asked<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|rejection| ApiProblem::invalid(rejection.body_text()))
    }
}

/// True if the caller wants an event stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantsStream(pub(crate) bool);

impl<S: Send + Sync> FromRequestParts<S> for WantsStream {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let wants = parts
            .headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| {
                accept
                    .split(',')
                    .filter_map(|kind| kind.split(';').next())
                    .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
            });
        Ok(Self(wants))
    }
}
