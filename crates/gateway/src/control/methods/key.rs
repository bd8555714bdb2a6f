//! Which conversation a client means.

use instar_protocol::{AgentId, SessionKey};
use instar_store::SessionRow;

use crate::app::App;
use crate::control::method::Refusal;

/// The longest key that is read.
const KEY_BYTES_MAX: usize = 512;

/// A key as clients write it: whole, `main`, or the part behind the agent.
pub(crate) fn parse(app: &App, key: &str, agent: Option<&str>) -> Result<SessionKey, Refusal> {
    let agent = agent.map(|id| self::agent(app, id)).transpose()?;
    let text = key.trim();
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(Refusal::invalid("a session key has 1 to 512 characters"));
    }
    let below = |tail: &str| {
        let agent = agent.clone().unwrap_or_else(|| app.default_agent());
        SessionKey::under(&agent, &[tail])
    };
    let parsed = match text {
        "main" => below("main"),
        "global" => SessionKey::parse(text),
        _ if ["agent:", "cron:", "hook:"]
            .iter()
            .any(|kind| text.starts_with(kind)) =>
        {
            SessionKey::parse(text)
        }
        tail => below(tail),
    };
    let parsed = parsed.map_err(|error| Refusal::invalid(format!("session key: {error}")))?;
    match (&agent, parsed.agent()) {
        (Some(asked), Some(named)) if *asked != named => Err(Refusal::invalid(format!(
            "the session key names agent {named}, agentId names {asked}"
        ))),
        _ => Ok(parsed),
    }
}

/// An agent that there is.
pub(crate) fn agent(app: &App, id: &str) -> Result<AgentId, Refusal> {
    AgentId::parse(id)
        .ok()
        .filter(|agent| app.agents().contains(agent))
        .ok_or_else(|| {
            let id: String = id.chars().take(80).collect();
            Refusal::invalid(format!(
                "unknown agent id \"{id}\": agents.list shows those that there are"
            ))
        })
}

/// The agent that a client names, or else the one that gets what is addressed to none.
pub(crate) fn agent_or_default(app: &App, id: Option<&str>) -> Result<AgentId, Refusal> {
    id.map_or_else(|| Ok(app.default_agent()), |id| agent(app, id))
}

/// The stored conversation under a key, if anything was said in it.
pub(crate) async fn find(app: &App, key: &SessionKey) -> Result<Option<SessionRow>, Refusal> {
    Ok(app.store.session_by_key(key).await?)
}

/// The stored conversation under a key; none is a refusal.
pub(crate) async fn existing(app: &App, key: &SessionKey) -> Result<SessionRow, Refusal> {
    find(app, key).await?.ok_or_else(|| missing(key))
}

pub(crate) fn missing(key: &SessionKey) -> Refusal {
    Refusal::invalid(format!("session not found: {key}"))
}

/// A name that nothing has yet, for a run or for the end of a key.
pub(crate) fn fresh(app: &App) -> String {
    hex::encode(app.random())
}
