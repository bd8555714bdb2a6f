//! `POST /messages` and `GET /live`: talking to a conversation, and watching one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use instar_agent::Submitted;
use instar_protocol::api::{Attachment, MessageAccepted, SendMessage};
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::{EntryBody, Inbound, NoticeKind, OnRestart, Overrides, Part, Place};
use instar_protocol::model::ModelRef;
use instar_protocol::principal::{Principal, Via};
use instar_protocol::session::SessionKey;
use instar_protocol::{EntryId, InboundId, RunId};
use serde::Deserialize;
use tokio::sync::{broadcast, oneshot};

use super::branches::entry_of;
use super::input::{Asked, Strict, WantsStream};
use super::media::{Allowance, Draft, store_drafts};
use super::queries::{find_session, is_short};
use super::sse::{self, Source};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;
use crate::reserved;

/// The longest text of one message.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The longest key that a sender gives a message.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 200;
/// The most attachments of one message.
const ATTACHMENTS_MAX: usize = 16;

/// Stores a message and says so; the answer comes later. As an event stream the acknowledgement is
/// followed by what happens, up to the answer. The message is answered even if the sender leaves.
pub(super) async fn send(
    State(app): State<AppState>,
    caller: Caller,
    WantsStream(stream): WantsStream,
    Strict(message): Strict<SendMessage>,
) -> Result<Response, ApiProblem> {
    let inbound = inbound(&app, &caller, Keys::of(&caller), message).await?;
    submit(&app, inbound, stream).await
}

/// Stores a message and answers as the caller wants it.
pub(super) async fn submit(
    app: &AppState,
    inbound: Inbound,
    stream: bool,
) -> Result<Response, ApiProblem> {
    let submitted = app.sessions.submit(inbound).await?;
    let accepted = MessageAccepted {
        inbound: submitted.inbound.clone(),
        session: submitted.session.clone(),
        duplicate: submitted.is_duplicate,
    };
    if stream {
        return Ok(sse::response(Answer::new(accepted, submitted)));
    }
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

/// Which of the reserved session keys a caller may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keys {
    /// None of them.
    Plain,
    /// Those of editors, `acp:`. The command line proved the secret of the run file: `instar acp`
    /// opens them for the editor that started it.
    Editor,
}

impl Keys {
    pub(crate) fn of(caller: &Caller) -> Self {
        match caller.principal {
            Principal::Owner { via: Via::Local } => Self::Editor,
            _ => Self::Plain,
        }
    }
}

/// A message as it may be stored, from what a caller sent.
pub(crate) async fn inbound(
    app: &AppState,
    caller: &Caller,
    keys: Keys,
    message: SendMessage,
) -> Result<Inbound, ApiProblem> {
    // An id, or the end of a key, stands for a conversation that there is, as everywhere else.
    let named = match message.session.as_deref() {
        Some(name) if is_short(name) => {
            let row = find_session(&app.store, name).await?;
            Some(row.key.to_string())
        }
        name => name.map(str::to_owned),
    };
    let session_key = session_key(app, keys, named.as_deref())?;
    if message.text.len() > TEXT_BYTES_MAX {
        return Err(ApiProblem::invalid(format!(
            "text: at most {TEXT_BYTES_MAX} bytes are accepted"
        )));
    }
    let along = match &message.attachments_of {
        Some(entry) => files_of(app, &session_key, entry).await?,
        None => Vec::new(),
    };
    if message.text.trim().is_empty() && message.attachments.is_empty() && along.is_empty() {
        return Err(ApiProblem::invalid(
            "text: a message needs words or an attachment".to_owned(),
        ));
    }
    let sent = Sent {
        session_key,
        idempotency_key: message.idempotency_key,
        model: message.model,
        place: message.parent.map(|parent| Place::Under { parent }),
    };
    let mut inbound = plain(app, caller, sent)?;
    inbound.parts = parts(app, message.text, message.attachments).await?;
    inbound.parts.extend(along);
    if inbound.parts.len() > ATTACHMENTS_MAX + 1 {
        return Err(too_many());
    }
    Ok(inbound)
}

/// The attachments of a message that was sent before, in the same conversation.
async fn files_of(
    app: &AppState,
    session: &SessionKey,
    entry: &EntryId,
) -> Result<Vec<Part>, ApiProblem> {
    let (_, entry) = entry_of(app, session.as_str(), entry.as_str()).await?;
    let EntryBody::User { parts, .. } = entry.body else {
        return Err(ApiProblem::invalid(
            "attachmentsOf: only messages have attachments".to_owned(),
        ));
    };
    let is_file = |part: &Part| !matches!(part, Part::Text { .. });
    Ok(parts.into_iter().filter(is_file).collect())
}

fn too_many() -> ApiProblem {
    ApiProblem::invalid(format!(
        "attachments: at most {ATTACHMENTS_MAX} are accepted"
    ))
}

/// What a message has beside its words.
pub(super) struct Sent {
    pub(super) session_key: SessionKey,
    pub(super) idempotency_key: Option<String>,
    pub(super) model: Option<String>,
    pub(super) place: Option<Place>,
}

/// A message without words.
pub(super) fn plain(app: &AppState, caller: &Caller, sent: Sent) -> Result<Inbound, ApiProblem> {
    let key_fits = sent.idempotency_key.as_ref().is_none_or(|key| {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_graphic())
    });
    if !key_fits {
        return Err(ApiProblem::invalid(format!(
            "idempotencyKey: 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters"
        )));
    }
    let model = sent
        .model
        .as_deref()
        .map(|name| configured(app, name))
        .transpose()?;
    let at = app.clock.now();
    Ok(Inbound {
        id: InboundId::new(at, app.random()),
        session_key: sent.session_key,
        principal: caller.principal.clone(),
        received_at: at,
        idempotency_key: sent.idempotency_key.map(|key| format!("api:{key}")),
        surface: surface(caller).to_owned(),
        parts: Vec::new(),
        on_restart: OnRestart::Resume,
        overrides: Overrides {
            model,
            place: sent.place,
            ..Overrides::default()
        },
    })
}

/// The conversation that a caller may talk to.
pub(super) fn session_key(
    app: &AppState,
    keys: Keys,
    named: Option<&str>,
) -> Result<SessionKey, ApiProblem> {
    let text = match named {
        None | Some("main") => return Ok(SessionKey::main(&app.default_agent())),
        Some(text) => text,
    };
    if let Some(kind) = reserved::kind(text)
        && !(kind == "acp" && keys == Keys::Editor)
    {
        let refusal = reserved::refusal(kind);
        return Err(ApiProblem::invalid(format!("session: {refusal}")));
    }
    SessionKey::parse(text).map_err(|error| ApiProblem::invalid(format!("session: {error}")))
}

/// Both read the answer from the store: for them stored is delivered.
fn surface(caller: &Caller) -> &'static str {
    if caller.ambient { "web" } else { "cli" }
}

fn configured(app: &AppState, name: &str) -> Result<ModelRef, ApiProblem> {
    app.models
        .list()
        .into_iter()
        .find(|model| model.configured && model.id == name)
        .and_then(|model| ModelRef::parse(&model.id))
        .ok_or_else(|| {
            ApiProblem::invalid("model: it is not configured".to_owned())
                .next("`instar models list` shows those that are")
        })
}

async fn parts(
    app: &AppState,
    text: String,
    attachments: Vec<Attachment>,
) -> Result<Vec<Part>, ApiProblem> {
    if attachments.len() > ATTACHMENTS_MAX {
        return Err(too_many());
    }
    let mut allowance = Allowance::default();
    let mut drafts = Vec::with_capacity(attachments.len() + 1);
    if !text.trim().is_empty() {
        drafts.push(Draft::Text(text));
    }
    for Attachment { name, mime, data } in attachments {
        drafts.push(if mime.trim().to_ascii_lowercase().starts_with("image/") {
            allowance.image(&data)?
        } else {
            allowance.file(&name, &mime, &data)?
        });
    }
    Ok(store_drafts(&app.store, drafts).await?)
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveQuery {
    session: String,
}

/// What happens in a conversation, from now on.
pub(super) async fn live(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<LiveQuery>,
) -> Result<Response, ApiProblem> {
    let key = SessionKey::parse(&query.session)
        .map_err(|error| ApiProblem::invalid(format!("session: {error}")))?;
    let live = app.sessions.watch(&key).await?;
    Ok(sse::response(Watch {
        greeted: false,
        closing: app.closing.clone(),
        live,
    }))
}

struct Watch {
    greeted: bool,
    closing: tokio_util::sync::CancellationToken,
    live: broadcast::Receiver<Arc<LiveEvent>>,
}

impl Watch {
    async fn advance(&mut self) -> Option<Bytes> {
        if !self.greeted {
            // The headers and this go out at once: the watcher knows that it listens.
            self.greeted = true;
            return Some(Bytes::from_static(b": watching\n\n"));
        }
        let event = tokio::select! {
            event = self.live.recv() => event,
            () = self.closing.cancelled() => return None,
        };
        match event {
            Ok(event) => Some(sse::event(Some(kind(&event)), None, &*event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(sse::event(
                Some("lagged"),
                None,
                &serde_json::json!({"missed": missed}),
            )),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Source for Watch {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}

/// The acknowledgement of one message and everything up to its answer.
struct Answer {
    accepted: Option<MessageAccepted>,
    inbound: InboundId,
    run: Option<RunId>,
    /// Let go once events were missed: the answer then comes whole.
    live: Option<broadcast::Receiver<Arc<LiveEvent>>>,
    outcome: oneshot::Receiver<Arc<Outcome>>,
    ended: Option<Arc<Outcome>>,
    over: bool,
}

impl Answer {
    fn new(accepted: MessageAccepted, submitted: Submitted) -> Self {
        Self {
            accepted: Some(accepted),
            run: submitted.duplicate.clone(),
            inbound: submitted.inbound,
            live: (!submitted.is_duplicate).then_some(submitted.live),
            outcome: submitted.outcome,
            ended: None,
            over: false,
        }
    }

    async fn advance(&mut self) -> Option<Bytes> {
        if let Some(accepted) = self.accepted.take() {
            return Some(sse::event(Some("message_accepted"), None, &accepted));
        }
        while !self.over {
            if let Some(outcome) = self.ended.clone() {
                match self.live.as_mut().map(broadcast::Receiver::try_recv) {
                    Some(Ok(event)) if self.concerns(&event) => return Some(live_piece(&event)),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Some(self.last(&outcome)),
                }
            }
            tokio::select! {
                biased;
                event = heard(&mut self.live) => match event {
                    Some(event) if self.concerns(&event) => return Some(live_piece(&event)),
                    Some(_) => {}
                    None => self.live = None,
                },
                outcome = &mut self.outcome => match outcome {
                    Ok(outcome) => self.ended = Some(outcome),
                    Err(_) => self.over = true,
                },
            }
        }
        None
    }

    /// The end, in the form in which watchers see it.
    fn last(&mut self, outcome: &Arc<Outcome>) -> Bytes {
        self.over = true;
        let run = self.run.clone().unwrap_or_else(|| RunId::from_stored(""));
        live_piece(&LiveEvent::Done {
            run,
            outcome: Outcome::clone(outcome),
        })
    }

    /// Events of other runs in the conversation are for those who watch it.
    fn concerns(&mut self, event: &LiveEvent) -> bool {
        match event {
            LiveEvent::Accepted { inbound } => *inbound == self.inbound,
            LiveEvent::Started { run, inbound } => {
                let ours = inbound.contains(&self.inbound);
                if ours {
                    self.run = Some(run.clone());
                }
                ours
            }
            LiveEvent::Text { run, .. }
            | LiveEvent::Reasoning { run, .. }
            | LiveEvent::ToolCall { run, .. }
            | LiveEvent::ToolResult { run, .. } => self.run.as_ref() == Some(run),
            LiveEvent::Stored { .. } => self.run.is_some(),
            // Told by watching: where the answer stands says it, too.
            LiveEvent::Moved { .. } => false,
            LiveEvent::Notice { kind, .. } => *kind != NoticeKind::Command && self.run.is_some(),
            // Told from the outcome, once, after everything else.
            LiveEvent::Done { .. } => false,
        }
    }
}

impl Source for Answer {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}

async fn heard(live: &mut Option<broadcast::Receiver<Arc<LiveEvent>>>) -> Option<Arc<LiveEvent>> {
    match live {
        Some(live) => live.recv().await.ok(),
        None => std::future::pending().await,
    }
}

fn live_piece(event: &LiveEvent) -> Bytes {
    sse::event(Some(kind(event)), None, event)
}

/// The event's name on the stream: its `type`.
fn kind(event: &LiveEvent) -> &'static str {
    match event {
        LiveEvent::Accepted { .. } => "accepted",
        LiveEvent::Started { .. } => "started",
        LiveEvent::Text { .. } => "text",
        LiveEvent::Reasoning { .. } => "reasoning",
        LiveEvent::ToolCall { .. } => "tool_call",
        LiveEvent::ToolResult { .. } => "tool_result",
        LiveEvent::Moved { .. } => "moved",
        LiveEvent::Stored { .. } => "stored",
        LiveEvent::Notice { .. } => "notice",
        LiveEvent::Done { .. } => "done",
    }
}
