//! The editor's sessions, and what is asked of the gateway for each.
//!
//! The gateway is looked up for every question: one that was restarted is found again, and one that
//! is gone is an error that says how to start it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    LoadSessionResponse, NewSessionResponse, PromptRequest, PromptResponse, ResumeSessionResponse,
    SessionConfigOption, SessionConfigOptionCategory, SessionConfigSelectOption, SessionId,
    SessionNotification, SetSessionConfigOptionRequest, SetSessionConfigOptionResponse, StopReason,
};
use agent_client_protocol::{Client as Editor, Error};
use http::Method;
use instar_config::StateDir;
use instar_protocol::api::{Done, SessionDetail, Status};
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::model;
use instar_protocol::session::SessionKey;
use serde::Deserialize;

use super::prompt;
use super::update::{self, Told};
use crate::client::Client;
use crate::commands::events::escape;
use crate::commands::mcp::words;
use crate::failure::{Code, Failure};

/// Sessions that are open at once.
const OPEN_MAX: usize = 256;
/// Entries of a conversation that loading it shows.
const REPLAYED_MAX: usize = 2_000;
/// The one thing that can be chosen for a session.
const MODEL: &str = "model";
/// The agent's own model.
const OWN: &str = "default";

#[derive(Debug)]
pub(super) struct Desk {
    state: StateDir,
    agent: Option<String>,
    open: Mutex<HashMap<SessionId, Open>>,
}

/// What is remembered of an open session.
#[derive(Clone, Debug, Default)]
struct Open {
    /// The model that was chosen instead of the agent's own.
    model: Option<String>,
    /// Set by a cancellation, until the next prompt.
    cancelled: bool,
}

/// What is read of a model; the gateway's row has more.
#[derive(Deserialize, Debug)]
struct Model {
    id: String,
    name: String,
    configured: bool,
}

impl Desk {
    pub(super) fn new(state: StateDir, agent: Option<String>) -> Self {
        Self {
            state,
            agent,
            open: Mutex::default(),
        }
    }

    pub(super) async fn open(&self) -> Result<NewSessionResponse, Error> {
        let gateway = self.gateway()?;
        let agent = match &self.agent {
            Some(agent) => agent.clone(),
            None => {
                let status: Status = gateway.get("/api/v1/status").await.map_err(failed)?;
                status.agent
            }
        };
        let key = format!("agent:{agent}:acp:{}", uuid()?);
        let _checked = SessionKey::parse(&key).map_err(|error| invalid(error.to_string()))?;
        let options = options(&gateway, None).await?;
        let id = SessionId::new(key);
        self.remember(&id)?;
        Ok(NewSessionResponse::new(id).config_options(options))
    }

    /// Shows everything that was said before, oldest first.
    pub(super) async fn load(
        &self,
        id: SessionId,
        editor: &ConnectionTo<Editor>,
    ) -> Result<LoadSessionResponse, Error> {
        let (gateway, detail) = self.find(&id).await?;
        let options = options(&gateway, None).await?;
        for entry in &detail.entries {
            for update in update::replay(entry) {
                editor.send_notification(SessionNotification::new(id.clone(), update))?;
            }
        }
        self.remember(&id)?;
        Ok(LoadSessionResponse::new().config_options(options))
    }

    /// Goes on with a session that the editor still shows.
    pub(super) async fn resume(&self, id: SessionId) -> Result<ResumeSessionResponse, Error> {
        let (gateway, _) = self.find(&id).await?;
        let options = options(&gateway, None).await?;
        self.remember(&id)?;
        Ok(ResumeSessionResponse::new().config_options(options))
    }

    /// Stops what is running; the conversation stays and can be loaded again.
    pub(super) async fn close(&self, id: &SessionId) -> Result<(), Error> {
        let _was = self.opened(id)?;
        self.stop(id).await?;
        let _closed = self.sessions().remove(id);
        Ok(())
    }

    /// Chooses the model that answers in a session from now on.
    pub(super) async fn choose(
        &self,
        asked: SetSessionConfigOptionRequest,
    ) -> Result<SetSessionConfigOptionResponse, Error> {
        let _was = self.opened(&asked.session_id)?;
        if asked.config_id.to_string() != MODEL {
            return Err(invalid(format!("there is no option {}", asked.config_id)));
        }
        let Some(value) = asked.value.as_value_id() else {
            return Err(invalid("the model is chosen by its id".to_owned()));
        };
        let value = value.to_string();
        let model = (value != OWN).then_some(value);
        let gateway = self.gateway()?;
        if let Some(model) = &model
            && !models(&gateway).await?.iter().any(|one| one.id == *model)
        {
            return Err(invalid(format!(
                "{model} is not configured; `instar models list` shows those that are"
            )));
        }
        let options = options(&gateway, model.as_deref()).await?;
        if let Some(open) = self.sessions().get_mut(&asked.session_id) {
            open.model = model;
        }
        Ok(SetSessionConfigOptionResponse::new(options))
    }

    /// Sends a message and tells the editor what happens, up to the answer.
    pub(super) async fn prompt(
        &self,
        asked: PromptRequest,
        editor: &ConnectionTo<Editor>,
    ) -> Result<PromptResponse, Error> {
        let id = asked.session_id;
        let model = self.opened(&id)?.model;
        if let Some(open) = self.sessions().get_mut(&id) {
            open.cancelled = false;
        }
        let message = prompt::message(id.to_string(), asked.prompt, model).map_err(invalid)?;
        match self.talk(&id, &message, editor).await {
            Ok(reason) => Ok(PromptResponse::new(reason)),
            // Whatever broke on the way, the editor asked for an end and this is one.
            Err(_) if self.is_cancelled(&id) => Ok(PromptResponse::new(StopReason::Cancelled)),
            Err(error) => Err(error),
        }
    }

    async fn talk(
        &self,
        id: &SessionId,
        message: &instar_protocol::api::SendMessage,
        editor: &ConnectionTo<Editor>,
    ) -> Result<StopReason, Error> {
        let body = serde_json::to_vec(message).map_err(|error| failed(error.into()))?;
        let gateway = self.gateway()?;
        let path = "/api/v1/messages";
        let mut stream = gateway
            .stream(Method::POST, path, Some(body))
            .await
            .map_err(failed)?;
        let mut told = Told::default();
        while let Some(data) = stream.next().await.map_err(failed)? {
            // The acknowledgement and what later gateways may tell.
            let Ok(event) = serde_json::from_str::<LiveEvent>(&data) else {
                continue;
            };
            for update in told.updates(&event) {
                editor.send_notification(SessionNotification::new(id.clone(), update))?;
            }
            if let LiveEvent::Done { outcome, .. } = event {
                return reason(&outcome);
            }
        }
        let cut = Failure::new(Code::NoGateway, "the gateway went away before the answer");
        Err(failed(
            cut.next("start it with `instar up`; the message is stored and is answered then: load the session to read it")
                .into(),
        ))
    }

    pub(super) async fn cancel(&self, id: &SessionId) -> Result<(), Error> {
        let _was = self.opened(id)?;
        if let Some(open) = self.sessions().get_mut(id) {
            open.cancelled = true;
        }
        self.stop(id).await
    }

    async fn stop(&self, id: &SessionId) -> Result<(), Error> {
        let path = format!("/api/v1/sessions/{}/stop", escape(&id.to_string()));
        let done: Result<Done, _> = self
            .gateway()?
            .post(&path, &serde_json::Value::Object(serde_json::Map::new()))
            .await;
        done.map(|_| ()).map_err(failed)
    }

    /// A conversation that an editor began, from the gateway.
    async fn find(&self, id: &SessionId) -> Result<(Client, SessionDetail), Error> {
        let key = id.to_string();
        let of_an_editor = SessionKey::parse(&key).is_ok_and(|key| {
            let mut parts = key.as_str().split(':');
            parts.nth(2) == Some("acp") && parts.count() == 1
        });
        if !of_an_editor {
            return Err(unknown(id));
        }
        let gateway = self.gateway()?;
        let path = format!("/api/v1/sessions/{}?limit={REPLAYED_MAX}", escape(&key));
        match gateway.get(&path).await {
            Ok(detail) => Ok((gateway, detail)),
            Err(error) => Err(match error.downcast_ref::<Failure>() {
                Some(failure) if failure.code == Code::NotFound => unknown(id),
                _ => failed(error),
            }),
        }
    }

    fn gateway(&self) -> Result<Client, Error> {
        Client::require(&self.state).map_err(failed)
    }

    fn remember(&self, id: &SessionId) -> Result<(), Error> {
        let mut open = self.sessions();
        if open.len() >= OPEN_MAX && !open.contains_key(id) {
            return Err(invalid(format!(
                "{OPEN_MAX} sessions are open; close one with session/close"
            )));
        }
        let _was = open.insert(id.clone(), Open::default());
        Ok(())
    }

    fn opened(&self, id: &SessionId) -> Result<Open, Error> {
        let open = self.sessions().get(id).cloned();
        open.ok_or_else(|| unknown(id))
    }

    fn is_cancelled(&self, id: &SessionId) -> bool {
        self.sessions().get(id).is_some_and(|open| open.cancelled)
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the turn ended, in the protocol's words.
fn reason(outcome: &Outcome) -> Result<StopReason, Error> {
    if let Some(error) = &outcome.error {
        let failure = Failure::new(Code::Failed, &error.message).next(&error.next_step);
        return Err(failed(failure.into()));
    }
    Ok(match (outcome.status, outcome.stop) {
        (OutcomeStatus::Aborted, _) | (_, model::StopReason::Aborted) => StopReason::Cancelled,
        (_, model::StopReason::Length) => StopReason::MaxTokens,
        (_, model::StopReason::Refusal) => StopReason::Refusal,
        (_, model::StopReason::Stop | model::StopReason::ToolUse) => StopReason::EndTurn,
    })
}

async fn models(gateway: &Client) -> Result<Vec<Model>, Error> {
    let mut models: Vec<Model> = gateway.get("/api/v1/models").await.map_err(failed)?;
    models.retain(|model| model.configured);
    Ok(models)
}

/// What can be chosen for a session, with what is chosen.
async fn options(
    gateway: &Client,
    chosen: Option<&str>,
) -> Result<Vec<SessionConfigOption>, Error> {
    let own = SessionConfigSelectOption::new(OWN, "The agent's own");
    let named = models(gateway).await?.into_iter().map(|model| {
        let name = if model.name.is_empty() {
            model.id.clone()
        } else {
            model.name
        };
        SessionConfigSelectOption::new(model.id, name)
    });
    let all: Vec<_> = std::iter::once(own).chain(named).collect();
    let option = SessionConfigOption::select(MODEL, "Model", chosen.unwrap_or(OWN).to_owned(), all)
        .category(SessionConfigOptionCategory::Model);
    Ok(vec![option])
}

/// A random id in the usual form (version 4).
fn uuid() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| failed(anyhow::anyhow!("{error}")))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// The code is the protocol's for what is not there.
fn unknown(id: &SessionId) -> Error {
    let why = format!("there is no session {id}; begin one with session/new");
    Error::new(-32002, why)
}

fn invalid(why: String) -> Error {
    let mut error = Error::invalid_params();
    error.message = why;
    error
}

/// The message goes where editors show it; what to do stands in it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is given to `map_err`, which hands errors over"
)]
fn failed(error: anyhow::Error) -> Error {
    let mut shown = Error::internal_error();
    shown.message = words(&error);
    shown
}
