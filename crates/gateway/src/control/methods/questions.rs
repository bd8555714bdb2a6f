//! Questions of agents to their owner in words, for clients that hold the questions scope. Nothing
//! that is said here allows a call: those are asked about as approvals.

use instar_agent::LetterError;
use instar_protocol::LetterId;
use instar_protocol::letter::{Letter, LetterKind, Said, ShownLetter};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{letter, replied};
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::question::{ONE, shown, standing};

/// The longest that a client waits in one call.
const WAIT_MAX: u64 = 60_000;

macro_rules! question_methods {
    ($($name:literal => $run:ident),* $(,)?) => {
        pub(super) const METHODS: &[Method] = &[$(Method {
            name: $name,
            need: Need::Scope(Scope::Questions),
            advertised: true,
            run: |call| Box::pin($run(call)),
        }),*];
    };
}

question_methods! {
    "question.list" => list,
    "question.get" => get,
    "question.resolve" => resolve,
    "question.waitAnswer" => wait_answer,
}

impl From<LetterError> for Refusal {
    fn from(error: LetterError) -> Self {
        match error {
            LetterError::Unknown(_) => Self::invalid(format!("unknown question: {error}")),
            LetterError::Store(error) => error.into(),
            error => Self::invalid(error.to_string()),
        }
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct One {
    id: String,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let mut open = call.app.sessions.letters().open().await?;
    open.retain(|letter| letter.kind == LetterKind::Question);
    let rows: Vec<Value> = open.iter().rev().map(shown).collect();
    Ok(json!({ "questions": rows }))
}

/// A question; a message asks nothing.
async fn asked(call: &Call, id: &str) -> Result<Letter, Refusal> {
    let id = LetterId::from_stored(id);
    let found = letter(&call.app, &id).await?;
    if found.kind != LetterKind::Question {
        return Err(LetterError::Unknown(id).into());
    }
    Ok(found)
}

async fn get(call: Call) -> Result<Value, Refusal> {
    let One { id } = call.params()?;
    Ok(json!({ "question": shown(&asked(&call, &id).await?) }))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Resolve {
    id: String,
    #[serde(default)]
    answers: Option<Answers>,
    #[serde(default)]
    cancel: bool,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Answers {
    answers: BTreeMap<String, Vec<String>>,
}

impl Answers {
    /// The one thing that it says. The words of an option, as it was shown, pick that option.
    fn said(&self, question: &Letter) -> Option<Said> {
        let mut all = self.answers.iter();
        let ((id, words), None) = (all.next()?, all.next()) else {
            return None;
        };
        let [words] = words.as_slice() else {
            return None;
        };
        if id != ONE {
            return None;
        }
        let offered = ShownLetter::of(question).options;
        if let Some(at) = offered.iter().position(|option| option == words) {
            return Some(Said::Picked(at));
        }
        let words = words.trim();
        (!words.is_empty()).then(|| Said::Typed(words.to_owned()))
    }
}

async fn resolve(call: Call) -> Result<Value, Refusal> {
    let given: Resolve = call.read(&["resolvedBy", "resolutionId"])?;
    let question = asked(&call, &given.id).await?;
    let said = match (given.cancel, &given.answers) {
        (true, None) => None,
        (false, Some(answers)) => {
            let said = answers.said(&question);
            Some(said.ok_or_else(|| {
                Refusal::invalid(format!("answers.answers has one text, for {ONE:?}"))
            })?)
        }
        _ => return Err(Refusal::invalid("give answers, or cancel")),
    };
    let by = match &call.who.device {
        Some(device) => format!("device:{device}"),
        None => "browser".to_owned(),
    };
    let settled = replied(&call.app, &question.id, said, &by).await?;
    Ok(standing(&settled))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wait {
    id: String,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

async fn wait_answer(call: Call) -> Result<Value, Refusal> {
    let given: Wait = call.params()?;
    let mut changes = call.app.sessions.letters().watch();
    let end = Duration::from_millis(given.timeout_ms.unwrap_or(WAIT_MAX).min(WAIT_MAX));
    let end = tokio::time::Instant::now() + end;
    loop {
        let found = asked(&call, &given.id).await?;
        let waits = found.waits_at(call.app.clock.now());
        if !waits || tokio::time::Instant::now() >= end {
            return Ok(standing(&found));
        }
        tokio::select! {
            _ = changes.recv() => {}
            () = tokio::time::sleep_until(end) => {}
            () = call.app.closing.cancelled() => {
                return Ok(standing(&found));
            }
        }
    }
}
