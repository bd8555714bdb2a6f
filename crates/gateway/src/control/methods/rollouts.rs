//! Rollouts over the socket: what the API has, under the names of methods.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::rollouts::{self, Move, NewRollout};
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "rollout.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "rollout.show",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(show(call)),
    },
    Method {
        name: "rollout.start",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(start(call)),
    },
    Method {
        name: "rollout.pause",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(act(call, Move::Pause)),
    },
    Method {
        name: "rollout.resume",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(act(call, Move::Resume)),
    },
    Method {
        name: "rollout.promote",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(act(call, Move::Promote)),
    },
    Method {
        name: "rollout.abort",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(act(call, Move::Abort)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let page: Page = call.params()?;
    let rows = rollouts::list(&call.app.releases, page.limit).await?;
    Ok(json!({ "rollouts": rows }))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Named {
    /// An id, `current` or `latest`.
    name: String,
}

async fn show(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let one = rollouts::one(&call.app.releases, &named.name).await?;
    Ok(json!({ "rollout": one }))
}

async fn start(call: Call) -> Result<Value, Refusal> {
    let asked: NewRollout = call.params()?;
    let planned = rollouts::begin(&call.app, asked);
    Ok(serde_json::to_value(planned.await?).unwrap_or_default())
}

async fn act(call: Call, what: Move) -> Result<Value, Refusal> {
    let app = &call.app;
    let random = || app.random();
    let moved = rollouts::act(&app.releases, what, app.clock.now(), &random);
    Ok(json!({ "rollout": moved.await? }))
}
