//! What the client wants done, done over the gateway's HTTP API.

use std::time::Duration;

use http::Method;
use instar_config::StateDir;
use instar_protocol::api::{
    BranchList, Done, MessageAccepted, Retry, SendMessage, SessionList, Switch,
};
use instar_protocol::approvals::{OwnersWord, QuestionList, ShownQuestion};
use instar_protocol::live::LiveEvent;
use instar_protocol::time::SystemClock;
use instar_protocol::{Clock, EntryId};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::again;
use super::state::{Effect, Message, Neighbour};
use crate::client::Client;
use crate::commands::events::escape;
use crate::failure::{Code, Failure};
use crate::out::chain;
use crate::question;

/// The first pause before the gateway is tried again, and the longest.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a question is asked before its failure is told.
const ATTEMPTS: usize = 4;
/// Conversations that the list shows.
const LISTED: usize = 100;

pub(crate) struct Net {
    state: StateDir,
    out: Sender<Message>,
    follower: Option<JoinHandle<()>>,
    /// Readings are done one after the other: the last that was wanted is the last that arrives.
    loads: Sender<String>,
}

impl Net {
    pub(crate) fn new(state: StateDir, out: Sender<Message>) -> Self {
        let (loads, wanted) = channel(64);
        drop(tokio::spawn(load_all(state.clone(), wanted, out.clone())));
        drop(tokio::spawn(questions(state.clone(), out.clone())));
        Self {
            state,
            out,
            follower: None,
            loads,
        }
    }

    /// Begins what is to be done; what comes of it arrives as a message.
    pub(crate) fn perform(&mut self, effect: Effect) {
        let (state, out) = (self.state.clone(), self.out.clone());
        match effect {
            Effect::Quit => {}
            Effect::Follow(key) => {
                if let Some(before) = self.follower.take() {
                    before.abort();
                }
                self.follower = Some(tokio::spawn(follow(state, key, out)));
            }
            Effect::Load(key) => {
                let loads = self.loads.clone();
                drop(tokio::spawn(async move {
                    // Fails only while the client ends.
                    drop(loads.send(key).await);
                }));
            }
            effect => drop(tokio::spawn(async move {
                for message in answer(&state, effect).await {
                    drop(out.send(message).await);
                }
            })),
        }
    }
}

async fn answer(state: &StateDir, effect: Effect) -> Vec<Message> {
    let failed = |error: &anyhow::Error| vec![Message::Failed(words(error))];
    match effect {
        Effect::Send { key, text, number } => vec![send(state, number, plain(key, text)).await],
        Effect::SendAgain {
            key,
            text,
            number,
            instead_of,
        } => {
            let body = SendMessage {
                attachments_of: instead_of.has_files.then_some(instead_of.entry),
                parent: Some(instead_of.parent),
                ..plain(key, text)
            };
            vec![send(state, number, body).await]
        }
        Effect::Retry { key, entry } => match retry(state, &key, entry).await {
            Ok(_) => Vec::new(),
            Err(error) => failed(&error),
        },
        Effect::Switch { key, to } => match switch(state, &key, to).await {
            Ok(told) => vec![Message::Told(told)],
            Err(error) => failed(&error),
        },
        Effect::Stop(key) => match stop(state, &key).await {
            Ok(_) => Vec::new(),
            Err(error) => failed(&error),
        },
        Effect::Ask => patiently(|| ask(state))
            .await
            .unwrap_or_else(|error| failed(&error)),
        Effect::Sessions(filter) => match sessions(state, &filter).await {
            Ok(list) => vec![Message::Sessions {
                filter,
                sessions: list.sessions,
                now: SystemClock.now(),
            }],
            Err(error) => failed(&error),
        },
        Effect::Questions => match open_questions(state).await {
            Ok(list) => vec![Message::Questions {
                open: list.questions,
                now: SystemClock.now(),
            }],
            Err(error) => failed(&error),
        },
        Effect::Answer { question, word } => match answered(state, &question, word).await {
            Ok(told) => vec![Message::Answered(told)],
            Err(error) => failed(&error),
        },
        Effect::Models => match models(state).await {
            Ok(message) => vec![message],
            Err(error) => failed(&error),
        },
        Effect::Follow(_) | Effect::Load(_) | Effect::Quit => Vec::new(),
    }
}

/// Asks again a few times: a gateway that has just started may not be ready yet.
async fn patiently<T, F>(ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    for _ in 0..ATTEMPTS {
        if let Ok(answer) = ask().await {
            return Ok(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    ask().await
}

/// A message for the end of a conversation.
fn plain(key: String, text: String) -> SendMessage {
    SendMessage {
        session: Some(key),
        text,
        idempotency_key: None,
        model: None,
        attachments: Vec::new(),
        attachments_of: None,
        parent: None,
    }
}

async fn send(state: &StateDir, number: u64, body: SendMessage) -> Message {
    let sent = async || -> anyhow::Result<MessageAccepted> {
        let client = Client::require(state)?;
        client.post("/api/v1/messages", &body).await
    };
    match sent().await {
        Ok(accepted) => Message::Accepted {
            number,
            inbound: accepted.inbound,
        },
        Err(error) => Message::NotSent {
            number,
            why: words(&error),
        },
    }
}

async fn retry(state: &StateDir, key: &str, entry: EntryId) -> anyhow::Result<MessageAccepted> {
    let path = format!("/api/v1/sessions/{}/retry", escape(key));
    let body = Retry {
        entry,
        idempotency_key: None,
        model: None,
    };
    Client::require(state)?.post(&path, &body).await
}

/// Goes over to a branch; what to tell about it.
async fn switch(state: &StateDir, key: &str, to: Neighbour) -> anyhow::Result<String> {
    let path = format!("/api/v1/sessions/{}", escape(key));
    let client = Client::require(state)?;
    let list: BranchList = client.get(&format!("{path}/branches")).await?;
    let at = match again::neighbour(&list.branches, to) {
        Ok(at) => at,
        Err(told) => return Ok(told),
    };
    let entry = list.branches[at].leaf.clone();
    let path = format!("{path}/switch");
    let _done: Done = client.post(&path, &Switch { entry }).await?;
    Ok(again::place(&list.branches, at))
}

async fn stop(state: &StateDir, key: &str) -> anyhow::Result<Done> {
    let path = format!("/api/v1/sessions/{}/stop", escape(key));
    Client::require(state)?.post(&path, &json!({})).await
}

async fn ask(state: &StateDir) -> anyhow::Result<Vec<Message>> {
    let client = Client::require(state)?;
    Ok(vec![
        Message::Status(client.get("/api/v1/status").await?),
        Message::Usage(client.get("/api/v1/usage").await?),
    ])
}

async fn sessions(state: &StateDir, filter: &str) -> anyhow::Result<SessionList> {
    let search = match filter.trim() {
        "" => String::new(),
        text => format!("&search={}", escape(text)),
    };
    let path = format!("/api/v1/sessions?limit={LISTED}{search}");
    Client::require(state)?.get(&path).await
}

async fn open_questions(state: &StateDir) -> anyhow::Result<QuestionList> {
    let client = Client::require(state)?;
    client.get("/api/v1/approvals?state=open&limit=100").await
}

async fn answered(
    state: &StateDir,
    question: &ShownQuestion,
    word: OwnersWord,
) -> anyhow::Result<String> {
    let client = Client::require(state)?;
    let settled = question::answer(&client, question, word).await?;
    Ok(question::settled(&settled, word))
}

async fn models(state: &StateDir) -> anyhow::Result<Message> {
    let rows = Client::require(state)?.get("/api/v1/models").await?;
    Ok(Message::Models(rows))
}

async fn load_all(state: StateDir, mut wanted: Receiver<String>, out: Sender<Message>) {
    while let Some(key) = wanted.recv().await {
        let message = match patiently(|| load(&state, &key)).await {
            Ok(message) => message,
            Err(error) => Message::NotLoaded { why: words(&error) },
        };
        if out.send(message).await.is_err() {
            return;
        }
    }
}

async fn load(state: &StateDir, key: &str) -> anyhow::Result<Message> {
    let path = format!("/api/v1/sessions/{}", escape(key));
    let detail = match Client::require(state)?.get(&path).await {
        Ok(detail) => Some(detail),
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Message::Loaded {
        key: key.to_owned(),
        detail,
    })
}

fn is_missing(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.code == Code::NotFound)
}

/// Hears of the questions that wait for the owner, and finds the gateway again when it goes away.
async fn questions(state: StateDir, out: Sender<Message>) {
    let mut pause = PAUSE;
    loop {
        // Why it ended is told by whoever follows the conversation.
        if let Ok(true) = hear_questions(&state, &out).await {
            pause = PAUSE;
        }
        if out.send(Message::Waiting(Vec::new())).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// True if anything was heard.
async fn hear_questions(state: &StateDir, out: &Sender<Message>) -> anyhow::Result<bool> {
    let client = Client::require(state)?;
    let mut stream = client
        .stream(Method::GET, "/api/v1/approvals", None)
        .await?;
    let mut heard = false;
    while let Some(data) = stream.next().await? {
        let Told { ids } = serde_json::from_str(&data)?;
        out.send(Message::Waiting(ids)).await?;
        heard = true;
    }
    Ok(heard)
}

#[derive(Deserialize)]
struct Told {
    ids: Vec<String>,
}

/// Follows a conversation, and finds the gateway again when it goes away.
async fn follow(state: StateDir, key: String, out: Sender<Message>) {
    let mut pause = PAUSE;
    loop {
        let why = match listen(&state, &key, &out, &mut pause).await {
            Ok(()) => "it closed the connection".to_owned(),
            Err(error) => words(&error),
        };
        let key = key.clone();
        if out.send(Message::Lost { key, why }).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn listen(
    state: &StateDir,
    key: &str,
    out: &Sender<Message>,
    pause: &mut Duration,
) -> anyhow::Result<()> {
    let client = Client::require(state)?;
    let path = format!("/api/v1/live?session={}", escape(key));
    let mut stream = client.stream(Method::GET, &path, None).await?;
    *pause = PAUSE;
    let up = || Message::Up {
        key: key.to_owned(),
    };
    out.send(up()).await?;
    while let Some(data) = stream.next().await? {
        let message = match serde_json::from_str::<LiveEvent>(&data) {
            Ok(event) => Message::Live {
                key: key.to_owned(),
                event: Box::new(event),
            },
            // Events were missed: what is stored tells all.
            Err(_) => up(),
        };
        out.send(message).await?;
    }
    Ok(())
}

/// An error with what to do about it, on one line.
fn words(error: &anyhow::Error) -> String {
    let next = error.downcast_ref::<Failure>();
    match next.and_then(|failure| failure.next_step.as_ref()) {
        Some(step) => format!("{}; {step}", chain(error)),
        None => chain(error),
    }
}
