//! What only this gateway has: releases of the agents' behaviour, and the event log.

use std::time::Duration;

use instar_protocol::EventId;
use instar_protocol::event::Event;
use instar_store::EventFilter;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::RollBack;
use crate::api::candidates::{self, NewCandidate};
use crate::api::gates as asked;
use crate::api::queries;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::gates;
use crate::skills::ShownRelease;

/// How long `event.tail` may wait for something to happen.
const WAIT_MS_MAX: u64 = 25_000;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest name of a kind of events.
const KIND_BYTES_MAX: usize = 64;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "release.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(releases(call)),
    },
    Method {
        name: "release.show",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(release(call)),
    },
    Method {
        name: "release.diff",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(diff(call)),
    },
    Method {
        name: "release.log",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(log(call)),
    },
    Method {
        name: "candidate.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(candidate_list(call)),
    },
    Method {
        name: "candidate.show",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(candidate(call)),
    },
    Method {
        name: "candidate.new",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(candidate_new(call)),
    },
    Method {
        name: "candidate.withdraw",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(candidate_withdraw(call)),
    },
    Method {
        name: "candidate.gates",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(candidate_gates(call)),
    },
    Method {
        name: "candidate.check",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(candidate_check(call)),
    },
    Method {
        name: "candidate.approve",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(candidate_approve(call)),
    },
    Method {
        name: "candidate.rebase",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(candidate_rebase(call)),
    },
    Method {
        name: "release.rollback",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(roll_back(call)),
    },
    Method {
        name: "event.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(events(call)),
    },
    Method {
        name: "event.tail",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(tail(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
}

async fn releases(call: Call) -> Result<Value, Refusal> {
    let page: Page = call.params()?;
    let rows = queries::releases(&call.app.releases, page.limit).await?;
    Ok(json!({ "releases": rows }))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Named {
    /// An id, the unique beginning of one, an alias, or an alias some moves back (`stable~1`).
    name: String,
}

async fn release(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let release = queries::release(&call.app.releases, &named.name).await?;
    Ok(json!({ "release": ShownRelease::of(release) }))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Two {
    from: String,
    to: String,
}

async fn diff(call: Call) -> Result<Value, Refusal> {
    let two: Two = call.params()?;
    let changes = queries::release_diff(&call.app.releases, &two.from, &two.to).await?;
    Ok(json!({ "changes": changes }))
}

async fn log(call: Call) -> Result<Value, Refusal> {
    let page: Page = call.params()?;
    let moves = queries::release_log(&call.app.releases, None, page.limit).await?;
    Ok(json!({ "moves": moves }))
}

async fn candidate_list(call: Call) -> Result<Value, Refusal> {
    let page: Page = call.params()?;
    let list = candidates::list(&call.app.releases, page.limit).await?;
    Ok(json!({ "candidates": list }))
}

async fn candidate(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let one = candidates::one(&call.app.releases, &named.name).await?;
    Ok(json!({ "candidate": one }))
}

async fn candidate_new(call: Call) -> Result<Value, Refusal> {
    let asked: NewCandidate = call.params()?;
    let made = candidates::new(&call.app.releases, asked, call.app.clock.now()).await?;
    Ok(json!({ "candidate": made }))
}

async fn candidate_withdraw(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let now = call.app.clock.now();
    let gone = candidates::withdraw(&call.app.releases, &named.name, now).await?;
    Ok(json!({ "candidate": gone }))
}

async fn candidate_gates(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let table = gates::table(&call.app, &named.name).await?;
    Ok(json!({ "gates": table }))
}

async fn candidate_check(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let table = gates::check(&call.app, &named.name).await?;
    Ok(json!({ "gates": table }))
}

async fn candidate_approve(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let table = asked::approved(&call.app, &named.name).await?;
    Ok(json!({ "gates": table }))
}

async fn candidate_rebase(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let made = asked::rebased(&call.app, &named.name).await?;
    Ok(json!({ "candidate": made }))
}

async fn roll_back(call: Call) -> Result<Value, Refusal> {
    let asked: RollBack = call.params()?;
    let went = asked::went_back(&call.app, asked).await?;
    Ok(json!({ "from": went.from, "to": went.to }))
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct EventParams {
    after: Option<String>,
    kind: Option<String>,
    session: Option<String>,
    limit: Option<usize>,
    /// For `event.tail` alone.
    wait_ms: Option<u64>,
}

impl EventParams {
    async fn filter(self, app: &App) -> Result<EventFilter, Refusal> {
        if self
            .kind
            .as_ref()
            .is_some_and(|kind| kind.len() > KIND_BYTES_MAX)
        {
            return Err(Refusal::invalid(format!(
                "kind: at most {KIND_BYTES_MAX} bytes"
            )));
        }
        let after = match self.after {
            None => None,
            Some(id) => Some(event_id(&id)?),
        };
        let session = match self.session {
            Some(name) => Some(queries::find_session(&app.store, &name).await?.id),
            None => None,
        };
        Ok(EventFilter {
            after,
            kind: self.kind,
            session,
            since: None,
            limit: queries::page("limit", self.limit, queries::PAGE, queries::PAGE_MAX)?,
        })
    }
}

fn event_id(text: &str) -> Result<EventId, Refusal> {
    let fine = text.len() <= 64
        && text.starts_with("evt_")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fine {
        return Err(Refusal::invalid("after: this is not the id of an event"));
    }
    Ok(EventId::from_stored(text))
}

/// Newest first; behind `after`, oldest first.
async fn events(call: Call) -> Result<Value, Refusal> {
    let params: EventParams = call.params()?;
    if params.wait_ms.is_some() {
        return Err(Refusal::invalid("waitMs belongs to event.tail"));
    }
    let filter = params.filter(&call.app).await?;
    let events = call.app.store.events(filter).await?;
    Ok(json!({ "events": events }))
}

/// Events behind `after`, waiting for some if there are none yet. Without `after`: where to go on
/// from. The reply's `cursor` is the next call's `after`.
async fn tail(call: Call) -> Result<Value, Refusal> {
    let params: EventParams = call.params()?;
    let app = &call.app;
    let wait = Duration::from_millis(params.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let filter = params.filter(app).await?;
    if filter.after.is_none() {
        let newest = EventFilter {
            limit: 1,
            ..EventFilter::default()
        };
        let newest = app.store.events(newest).await?;
        let cursor = newest.first().map(|event| event.id.clone());
        return Ok(json!({ "events": [], "cursor": cursor }));
    }
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let events: Vec<Event> = app.store.events(filter.clone()).await?;
        let over = tokio::time::Instant::now() >= deadline || app.closing.is_cancelled();
        if !events.is_empty() || over {
            let last = events.last().map(|event| event.id.clone());
            let cursor = last.or(filter.after);
            return Ok(json!({ "events": events, "cursor": cursor }));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
