//! What the agent of a behaviour would say, whether that behaviour serves anybody or not: its own prompts, tools, limits and
//! models, and one answer. Nothing is sent, stored or done but the entry in the books; a call of a tool is told and not made.

use instar_models::{Call, Mend};
use instar_protocol::model::{
    ModelMessage, ModelRef, ModelReply, ModelRequest, Sampling, ToolChoice,
};
use instar_protocol::{AgentId, Label, Principal, SessionId, SessionKey};
use instar_release::{AgentBehaviour, Behaviour};
use instar_store::Spend;
use std::time::Duration;
use tokio::time::Instant;

use crate::house::House;
use crate::prompt::{self, Of};
use crate::sessions::Sessions;
use crate::skills;

/// The conversation that the prompt names: it is nobody's.
const CONVERSATION: &str = "rehearsal";

/// What is to be answered, and by whom.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    pub behaviour: Behaviour,
    pub agent: AgentId,
    pub principal: Principal,
    pub messages: Vec<ModelMessage>,
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    #[error("there is no agent {0} in it")]
    Agent(AgentId),
    #[error("{0}")]
    Model(String),
}

impl Sessions {
    /// Asks once. A turn of its own waits for its place among the others.
    pub async fn rehearse(&self, asked: Rehearsal) -> Result<ModelReply, RehearseError> {
        let house = &self.inner.house;
        let Some(behaviour) = asked.behaviour.agents.get(asked.agent.as_str()) else {
            return Err(RehearseError::Agent(asked.agent));
        };
        // Closed when the process ends: the call below is cut then.
        let _place = house.turns.acquire().await.ok();
        let at = house.now();
        let session = SessionId::new(at, house.random());
        let chain = chain(behaviour);
        let request = request(house, behaviour, &asked);
        let limit = u64::from(behaviour.limits.timeout_seconds.max(1));
        let call = Call {
            request: &request,
            chain: &chain,
            agent: &asked.agent,
            session: &session,
            turn_spent_micros: 0,
            deadline: Instant::now() + Duration::from_secs(limit),
            cancel: &house.cut,
            mend: Mend::default(),
        };
        let (attempts, said) = match Box::pin(house.parts.models.call(call, &mut |_| {})).await {
            Ok(reply) => (reply.attempts.clone(), Ok(reply)),
            Err(error) => {
                let why = RehearseError::Model(error.operator);
                (error.attempts, Err(why))
            }
        };
        let ops = Spend::of(&house.today(), &asked.agent, &session, &attempts);
        if let Err(error) = house.parts.store.commit(ops).await {
            tracing::warn!(%error, "what a rehearsal has cost could not be counted");
        }
        said
    }
}

fn request(house: &House, behaviour: &AgentBehaviour, asked: &Rehearsal) -> ModelRequest {
    let settings = house.settings();
    let named = settings.config.agent(&asked.agent);
    let name = named.map_or_else(|| asked.agent.to_string(), |agent| agent.name);
    let key = SessionKey::under(&asked.agent, &[CONVERSATION])
        .unwrap_or_else(|_| SessionKey::main(&asked.agent));
    let authority = &asked.behaviour.authority;
    let visible = skills::visible(authority, &asked.principal, &asked.agent, behaviour);
    let of = Of {
        behaviour,
        name: &name,
        key: &key,
    };
    let specs = house.parts.tools.specs().into_iter();
    ModelRequest {
        system: prompt::sections(of, &visible, None),
        messages: asked.messages.clone(),
        tools: specs.filter(|spec| visible.contains(&spec.name)).collect(),
        tool_choice: ToolChoice::Auto,
        sampling: Sampling {
            max_output_tokens: Some(behaviour.limits.output_tokens_max).filter(|max| *max > 0),
            ..Sampling::default()
        },
        label: Label::owner(),
    }
}

fn chain(behaviour: &AgentBehaviour) -> Vec<ModelRef> {
    let mut chain: Vec<ModelRef> = Vec::new();
    let names = std::iter::once(&behaviour.route.primary).chain(&behaviour.route.fallbacks);
    for model in names.filter_map(|name| ModelRef::parse(name)) {
        if !chain.contains(&model) {
            chain.push(model);
        }
    }
    chain
}
