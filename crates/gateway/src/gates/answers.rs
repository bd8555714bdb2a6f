//! What the owner asks of answers, held against those of both arms of a rollout by a confined job. The job is told no
//! more than the question and the answers, and what it says is data from a stranger.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_agent::{Answers, AnswersPort, Unsent};
use instar_protocol::judge::{ASSERTS_ROLE, Asserted, Asserting, Graded, Held};
use instar_protocol::message::Part;
use instar_protocol::model::{
    ModelMessage, ModelRef, ModelRequest, Sampling, SystemSection, ToolChoice,
};
use instar_sandbox::confined::{Bounds, JobError, Starter};
use std::sync::Weak;

use crate::app::{App, AppState};
use crate::healing::model;

/// Questions to the model that grades, about one pair of answers.
const ASKED_MAX: usize = 20;
const GRADE_TOKENS_MAX: u32 = 1_000;

/// The owner's assertions. It ends with the gateway, and does not keep it alive.
#[derive(Debug)]
pub(crate) struct Asserts(Weak<App>);

impl Asserts {
    pub(crate) fn of(app: &AppState) -> Self {
        Self(app.weak())
    }
}

impl AnswersPort for Asserts {
    fn look(&self, answers: Answers) -> BoxFuture<'static, Vec<Option<bool>>> {
        let app = self.0.upgrade().map(AppState::from);
        async move {
            let count = answers.texts.len();
            match app {
                Some(app) => looked_at(&app, answers).await,
                None => vec![None; count],
            }
        }
        .boxed()
    }

    fn watch(&self, answer: Unsent) -> BoxFuture<'static, ()> {
        let app = self.0.upgrade();
        async move {
            if let Some(app) = app {
                crate::watch::unsent(&app, &answer).await;
            }
        }
        .boxed()
    }
}

async fn looked_at(app: &AppState, answers: Answers) -> Vec<Option<bool>> {
    let set = app.config.current().value.improve.rollout.clone();
    let count = answers.texts.len();
    if set.asserts.is_empty() || count == 0 {
        return vec![Some(true); count];
    }
    let grader = set.grader.as_deref().and_then(ModelRef::parse);
    let work = Asserting {
        asserts: set.asserts,
        question: answers.question.clone(),
        answers: answers.texts.clone(),
        has_grader: grader.is_some(),
    };
    let (app, handle) = (app.clone(), tokio::runtime::Handle::current());
    let job = tokio::task::spawn_blocking(move || {
        asserted(&work, |system, user| {
            let grader = grader.as_ref()?;
            handle.block_on(graded(&app, grader, &answers, system, user))
        })
    });
    let said = match job.await {
        Ok(Ok(said)) if said.len() == count => said,
        Ok(Ok(_)) => return unsaid(count, "it says something else than it was asked"),
        Ok(Err(error)) => return unsaid(count, &error.to_string()),
        Err(error) => return unsaid(count, &error.to_string()),
    };
    for one in &said {
        match one.holds {
            Some(true) => {}
            Some(false) => {
                tracing::info!(why = one.why, "an answer is not what its owner asks for")
            }
            None => tracing::warn!(
                why = one.why,
                "an assertion about an answer cannot be decided"
            ),
        }
    }
    said.into_iter().map(|one| one.holds).collect()
}

fn unsaid(count: usize, why: &str) -> Vec<Option<bool>> {
    tracing::warn!(why, "nobody could look at the answers of a shadow");
    vec![None; count]
}

/// Runs the job; `grade` asks the model.
fn asserted(
    work: &Asserting,
    mut grade: impl FnMut(String, String) -> Option<String>,
) -> Result<Vec<Held>, JobError> {
    let bounds = Bounds {
        cpu_seconds: 20,
        memory_bytes: 256 << 20,
        ..Bounds::default()
    };
    let mut job = Starter::default().start(ASSERTS_ROLE, bounds)?;
    job.tell(work)?;
    let mut asked = 0;
    loop {
        match job.hear()? {
            Asserted::Done { answers } => return Ok(answers),
            Asserted::Ask { system, user } => {
                asked += 1;
                let text = if asked > ASKED_MAX {
                    None
                } else {
                    grade(system, user)
                };
                job.tell(&Graded { text })?;
            }
        }
    }
}

/// The metered call; it is paid for as the conversation's agent.
async fn graded(
    app: &AppState,
    grader: &ModelRef,
    answers: &Answers,
    system: String,
    user: String,
) -> Option<String> {
    let request = ModelRequest {
        system: vec![SystemSection {
            text: system,
            cache_here: false,
        }],
        messages: vec![ModelMessage::User {
            parts: vec![Part::text(user)],
        }],
        tools: Vec::new(),
        tool_choice: ToolChoice::None,
        sampling: Sampling {
            max_output_tokens: Some(GRADE_TOKENS_MAX),
            ..Sampling::default()
        },
        label: answers.label.clone(),
    };
    let said = model::call(app, grader, answers.agent.as_str(), request).await;
    said.unwrap_or_else(|error| {
        tracing::warn!(%error, "the model that grades could not be asked");
        None
    })
}
