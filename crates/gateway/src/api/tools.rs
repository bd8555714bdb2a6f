//! `/tools`: the tools that there are, and which of them an agent is offered.

use axum::Json;
use axum::extract::State;
use instar_policy::offered;
use instar_protocol::api::{ShownTool, ToolReport};
use instar_protocol::principal::Via;
use instar_protocol::{AgentId, Principal, SessionKey};
use instar_tools::group_of;
use serde::Deserialize;

use super::input::Asked;
use super::policy::in_force;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ToolQuery {
    agent: Option<AgentId>,
    session: Option<SessionKey>,
}

/// By the very check that a call meets first.
pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<ToolQuery>,
) -> Result<Json<ToolReport>, ApiProblem> {
    let of_session = query.session.as_ref().and_then(SessionKey::agent);
    let agent = query.agent.or(of_session);
    let agent = agent.unwrap_or_else(|| app.default_agent());
    let agents = app.config.current().value.agent_config();
    if !agents.has_agent(&agent) {
        return Err(ApiProblem::not_found(format!("there is no agent {agent}"))
            .next("`instar agents list` shows those that there are"));
    }
    let authority = in_force(&app);
    let owner = Principal::Owner { via: Via::Local };
    let tools = app.toolbox.annotations().into_iter();
    let tools = tools.map(|(name, annotation)| {
        let kept = offered(&authority, &owner, &agent, &name).err();
        ShownTool {
            group: group_of(&name).to_owned(),
            effect: annotation.effect.name().to_owned(),
            offered: kept.is_none(),
            why: kept.as_ref().map(|kept| kept.reason.clone()),
            rule: kept.map(|kept| kept.rule),
            name,
        }
    });
    Ok(Json(ToolReport {
        agent: agent.to_string(),
        tools: tools.collect(),
    }))
}
