//! Who answers: the behaviour of a release or a candidate, and the running gateway.

use instar_evals::{
    AgentProviders, Answer, Call, EXEC, Grader, Provider, ProviderSpec, Providers, Scripts, Tokens,
    Trouble, default_behaviour, exec,
};
use instar_protocol::api::{Grade, GradeGiven, Place, Placed, Rehearse, Rehearsed, Turn};
use instar_release::{Behaviour, Delta, build};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Handle;

use crate::args::{Candidate, ReleaseView};
use crate::client::Client;
use crate::commands::events::escape;
use crate::commands::offline;
use crate::context::Context;
use crate::failure::{Code, Failure};

/// The provider that asks the running gateway.
const GATEWAY: &str = "gateway";

/// A release by one of its names, or what a candidate would be.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) behaviour: Behaviour,
}

/// Finds a behaviour. Where nothing was ever released, `stable` is that of a fresh installation.
pub(super) async fn find(name: &str, run: &Context) -> anyhow::Result<Found> {
    let fresh = !run.state()?.root().join("instar.sqlite").exists();
    if fresh && name == instar_release::STABLE {
        let behaviour = default_behaviour().map_err(|trouble| super::refused(&trouble))?;
        run.out
            .note("nothing was released here yet: the behaviour is that of a fresh installation");
        return Ok(Found {
            id: behaviour.id()?.to_string(),
            behaviour,
        });
    }
    match release(name, run).await {
        Ok(found) => Ok(found),
        Err(error) if is_missing(&error) => candidate(name, run).await,
        Err(error) => Err(error),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Failure>()
        .is_some_and(|failure| failure.code == Code::NotFound)
}

async fn release(name: &str, run: &Context) -> anyhow::Result<Found> {
    let value: Value = match offline::live(run).await? {
        Some(client) => {
            client
                .get(&format!("/api/v1/releases/{}", escape(name)))
                .await?
        }
        None => {
            let release = name.to_owned();
            offline::release(run, &ReleaseView::Show { release }).await?
        }
    };
    let behaviour: Behaviour = serde_json::from_value(value["behaviour"].clone())?;
    Ok(Found {
        id: behaviour.id()?.to_string(),
        behaviour,
    })
}

/// A candidate is its parent and its deltas; the release that comes of them has to be the one it names.
async fn candidate(name: &str, run: &Context) -> anyhow::Result<Found> {
    let value: Value = match offline::live(run).await? {
        Some(client) => {
            client
                .get(&format!("/api/v1/candidates/{}", escape(name)))
                .await?
        }
        None => {
            let candidate = name.to_owned();
            offline::candidate(run, &Candidate::Show { candidate }, None).await?
        }
    };
    let parent = value["parent"].as_str().unwrap_or_default();
    let parent = release(parent, run).await?;
    let deltas: Vec<Delta> = serde_json::from_value(value["deltas"].clone())?;
    let behaviour = build(&parent.behaviour, &deltas)?;
    let id = behaviour.id()?.to_string();
    if value["release"] != id.as_str() {
        let message = format!("candidate {name} does not come to the release that it names");
        return Err(Failure::new(Code::Refused, message).into());
    }
    Ok(Found { id, behaviour })
}

/// The running gateway, as worker threads call it.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    client: Arc<Client>,
    runtime: Handle,
}

impl Gateway {
    /// The gateway if one runs. Must be called inside the runtime, used outside of it.
    pub(super) async fn find(run: &Context) -> anyhow::Result<Option<Self>> {
        let client = offline::live(run).await?;
        Ok(client.map(|client| Self {
            client: Arc::new(client),
            runtime: Handle::current(),
        }))
    }

    /// One metered turn of the agent, as any client of the API would have it.
    fn complete(&self, model: &str, messages: &Value) -> Result<Answer, Trouble> {
        let body = json!({"model": model, "messages": messages});
        let asked = self.client.post::<Value>("/v1/chat/completions", &body);
        let answer = self
            .runtime
            .block_on(asked)
            .map_err(|error| Trouble::Wrong(format!("the gateway: {error}")))?;
        let choice = &answer["choices"][0];
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap_or_default();
        Ok(Answer {
            output: choice["message"]["content"].clone(),
            tokens: Tokens {
                prompt: tokens("prompt_tokens"),
                completion: tokens("completion_tokens"),
            },
            finish: choice["finish_reason"].as_str().map(str::to_owned),
            ..Answer::default()
        })
    }
}

impl Gateway {
    /// One metered call of the agent's own model, with its own prompts and tools, of which nothing is made.
    fn rehearse(&self, asked: &Rehearse) -> Result<Answer, Trouble> {
        let answer = self.client.post::<Rehearsed>("/api/v1/rehearse", asked);
        let said = self
            .runtime
            .block_on(answer)
            .map_err(|error| Trouble::Wrong(format!("the gateway: {error}")))?;
        if !said.calls.is_empty() {
            let what = format!(
                "an answer that needs the tool {}: nothing is done for a behaviour that is only tried",
                said.calls.join(", ")
            );
            return Err(Trouble::Unsupported(what));
        }
        let finish = serde_json::to_value(said.stop).ok();
        Ok(Answer {
            output: Value::String(said.text),
            tokens: Tokens {
                prompt: said.input_tokens,
                completion: said.output_tokens,
            },
            cost: Some(dollars(said.cost_micros)),
            finish: finish.and_then(|finish| finish.as_str().map(str::to_owned)),
            ..Answer::default()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "what one answer costs")]
fn dollars(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The model that is asked where nothing else is said: the main agent.
const AGENT: &str = "instar";

impl Grader for Gateway {
    fn ask(&self, system: &str, user: &str) -> Result<String, Trouble> {
        let asked = Grade {
            system: system.to_owned(),
            user: user.to_owned(),
        };
        let given = self.client.post::<GradeGiven>("/api/v1/grade", &asked);
        match self.runtime.block_on(given) {
            Ok(given) => Ok(given.text),
            Err(error) => Err(Trouble::Wrong(format!("the model that grades: {error}"))),
        }
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f64>>, Trouble> {
        let asked = Place {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        };
        let placed = self.client.post::<Placed>("/api/v1/place", &asked);
        match self.runtime.block_on(placed) {
            Ok(placed) => Ok(placed.places),
            // Nobody said which model is to compare: nothing is wrong with the case.
            Err(error) if is_missing(&error) => {
                let what = "similarity where no embedder is named (`improve.embedder`)";
                Err(Trouble::Unsupported(what.to_owned()))
            }
            Err(error) => Err(Trouble::Wrong(format!("the embedder: {error}"))),
        }
    }
}

#[derive(Debug)]
struct Asked {
    gateway: Gateway,
    model: String,
}

/// The turns that a prompt is.
fn turns(prompt: &str) -> Value {
    let spoken = serde_json::from_str::<Value>(prompt).ok();
    let is_chat = |value: &Value| {
        let turns = value.as_array();
        turns.is_some_and(|turns| {
            !turns.is_empty() && turns.iter().all(|turn| turn["role"].is_string())
        })
    };
    spoken
        .filter(is_chat)
        .unwrap_or_else(|| json!([{"role": "user", "content": prompt}]))
}

impl Provider for Asked {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        self.gateway.complete(&self.model, &turns(call.prompt))
    }

    fn keeps(&self) -> bool {
        true
    }
}

/// What the agent of a release or a candidate would answer. Its answers are not kept: a turn that is served is answered
/// otherwise, and has the same key.
#[derive(Debug)]
struct Rehearsing {
    gateway: Gateway,
    of: String,
}

impl Provider for Rehearsing {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let turns = turns(call.prompt);
        let messages = turns.as_array().into_iter().flatten().map(turn);
        self.gateway.rehearse(&Rehearse {
            of: self.of.clone(),
            messages: messages.collect::<Result<_, Trouble>>()?,
        })
    }
}

fn turn(turn: &Value) -> Result<Turn, Trouble> {
    let is_answer = match turn["role"].as_str() {
        Some("user") => false,
        Some("assistant") => true,
        other => {
            let what = format!(
                "a turn of the role {:?} before a candidate",
                other.unwrap_or("")
            );
            return Err(Trouble::Unsupported(what));
        }
    };
    let Some(content) = turn["content"].as_str() else {
        let what = "a turn with anything but text before a candidate";
        return Err(Trouble::Unsupported(what.to_owned()));
    };
    Ok(Turn {
        is_answer,
        content: content.to_owned(),
    })
}

/// The providers of one arm.
#[derive(Debug)]
pub(super) struct Arms {
    pub(super) agent: AgentProviders,
    pub(super) gateway: Option<Gateway>,
    pub(super) scripts: Option<Arc<dyn Scripts>>,
    /// Whose answer is rehearsed, where two are compared: what serves nobody has no turns, and equals are compared with equals.
    pub(super) rehearses: Option<String>,
}

impl Providers for Arms {
    fn provider(&self, spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        if spec.id.starts_with(EXEC) {
            return exec(spec, self.scripts.clone());
        }
        if spec.id != GATEWAY {
            return self.agent.provider(spec);
        }
        match (&self.gateway, &self.rehearses) {
            (Some(_), Some(_)) if spec.config["model"].is_string() => Err(Trouble::Unsupported(
                "a model of the suite's where two behaviours are compared: each asks its own"
                    .to_owned(),
            )),
            (Some(gateway), Some(of)) => Ok(Box::new(Rehearsing {
                gateway: gateway.clone(),
                of: of.clone(),
            })),
            (Some(gateway), None) => Ok(Box::new(Asked {
                gateway: gateway.clone(),
                model: spec.config["model"].as_str().unwrap_or(AGENT).to_owned(),
            })),
            (None, _) => Err(Trouble::Unsupported(
                "the provider \"gateway\" where no gateway runs; start it with `instar up`"
                    .to_owned(),
            )),
        }
    }
}
