//! `GET /events`: the event log, as a list or as it grows.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use instar_protocol::event::Event;
use instar_protocol::{EventId, SessionId};
use instar_store::{EventFilter, Store};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::input::{Asked, WantsStream};
use super::queries::{self, PAGE, PAGE_MAX, find_session};
use super::sse::{self, Source};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// How often a stream looks for new events.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events that one look takes.
const BATCH: usize = 100;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

/// Newest first; behind `after`, oldest first. As a stream: the newest `limit` events (none with
/// `limit=0`), then new ones. A stream that was cut goes on behind its `Last-Event-ID`.
pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    WantsStream(stream): WantsStream,
    headers: HeaderMap,
    Asked(query): Asked<EventsQuery>,
) -> Result<Response, ApiProblem> {
    let last_seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let after = query
        .after
        .or(last_seen)
        .map(|id| event_id(&id))
        .transpose()?;
    if query.kind.as_ref().is_some_and(|kind| kind.len() > 64) {
        return Err(ApiProblem::invalid("kind: at most 64 bytes".to_owned()));
    }
    let session = match query.session {
        Some(name) => Some(find_session(&app.store, &name).await?.id),
        None => None,
    };
    let limit = match query.limit {
        Some(0) if stream => 0,
        asked => queries::page("limit", asked, PAGE, PAGE_MAX)?,
    };
    let filter = EventFilter {
        after,
        kind: query.kind,
        session,
        since: None,
        limit,
    };
    if stream {
        return Ok(sse::response(Tail::new(
            app.store.clone(),
            app.closing.clone(),
            filter,
        )));
    }
    Ok(Json(app.store.events(filter).await?).into_response())
}

/// The id of an event, as a caller handed it back.
pub(crate) fn event_id(text: &str) -> Result<EventId, ApiProblem> {
    let fine = text.len() <= 64
        && text.starts_with("evt_")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fine {
        Ok(EventId::from_stored(text))
    } else {
        Err(ApiProblem::invalid(
            "after: this is not the id of an event".to_owned(),
        ))
    }
}

/// Follows the log by asking the store, so that it sees what is durable and nothing else.
struct Tail {
    store: Store,
    closing: CancellationToken,
    kind: Option<String>,
    session: Option<SessionId>,
    state: TailState,
}

enum TailState {
    /// Events from before the stream that are still to be shown.
    Opening {
        after: Option<EventId>,
        limit: usize,
    },
    /// Nothing was stored when the stream began: everything is new.
    Empty,
    Behind(EventId),
}

impl Tail {
    fn new(store: Store, closing: CancellationToken, filter: EventFilter) -> Self {
        Self {
            store,
            closing,
            kind: filter.kind,
            session: filter.session,
            state: TailState::Opening {
                after: filter.after,
                limit: filter.limit,
            },
        }
    }

    async fn advance(&mut self) -> Option<Bytes> {
        loop {
            match &self.state {
                TailState::Opening { after, limit } => {
                    let (after, limit) = (after.clone(), *limit);
                    match self.open(after, limit).await {
                        Ok(first) => return Some(first),
                        Err(()) => return None,
                    }
                }
                TailState::Empty | TailState::Behind(_) => {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                        () = self.closing.cancelled() => return None,
                    }
                    let fresh = self.look().await.ok()?;
                    if !fresh.is_empty() {
                        return Some(pieces(&fresh));
                    }
                }
            }
        }
    }

    /// Finds the place to go on from before it shows anything, so that nothing falls between.
    async fn open(&mut self, after: Option<EventId>, limit: usize) -> Result<Bytes, ()> {
        if let Some(after) = after {
            self.state = TailState::Behind(after);
            return Ok(Bytes::from_static(b": following\n\n"));
        }
        // The place is the newest event of any kind: a filtered one may be far back.
        let newest = self.ask(None, None, None, 1).await?;
        self.state = match newest.first() {
            Some(event) => TailState::Behind(event.id.clone()),
            None => TailState::Empty,
        };
        let mut shown = Vec::new();
        if limit > 0 {
            let (kind, session) = (self.kind.clone(), self.session.clone());
            shown = self.ask(None, kind, session, limit).await?;
            shown.reverse();
            if let Some(last) = shown.last()
                && newest.first().is_some_and(|newest| last.id > newest.id)
            {
                self.state = TailState::Behind(last.id.clone());
            }
        }
        let mut out = BytesMut::from(&b": following\n\n"[..]);
        out.extend_from_slice(&pieces(&shown));
        Ok(out.freeze())
    }

    async fn look(&mut self) -> Result<Vec<Event>, ()> {
        let after = match &self.state {
            TailState::Behind(id) => Some(id.clone()),
            TailState::Opening { .. } | TailState::Empty => None,
        };
        let from_start = after.is_none();
        let (kind, session) = (self.kind.clone(), self.session.clone());
        let mut fresh = self.ask(after, kind, session, BATCH).await?;
        if from_start {
            fresh.reverse();
        }
        if let Some(last) = fresh.last() {
            self.state = TailState::Behind(last.id.clone());
        }
        Ok(fresh)
    }

    async fn ask(
        &self,
        after: Option<EventId>,
        kind: Option<String>,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Event>, ()> {
        let filter = EventFilter {
            after,
            kind,
            session,
            since: None,
            limit,
        };
        self.store.events(filter).await.map_err(|error| {
            tracing::warn!(%error, "an event stream ends: the store cannot be read");
        })
    }
}

impl Source for Tail {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}

fn pieces(events: &[Event]) -> Bytes {
    let mut out = BytesMut::new();
    for event in events {
        let piece = sse::event(Some(event.kind.name()), Some(event.id.as_str()), event);
        out.extend_from_slice(&piece);
    }
    out.freeze()
}
