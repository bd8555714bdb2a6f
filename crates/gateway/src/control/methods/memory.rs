//! `memory.search`: notes of an agent, by their words.

use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::api::memory::{MemoryQuery, found};
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[Method {
    name: "memory.search",
    need: Need::Scope(Scope::Read),
    advertised: true,
    run: |call| Box::pin(search(call)),
}];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Params {
    query: String,
    agent_id: Option<String>,
    max_results: Option<usize>,
}

async fn search(call: Call) -> Result<Value, Refusal> {
    let params: Params = call.params()?;
    let agent = key::agent_or_default(&call.app, params.agent_id.as_deref())?;
    let query = MemoryQuery {
        query: params.query,
        agent: Some(agent),
        limit: params.max_results,
    };
    Ok(json!(found(&call.app, query).await?))
}
