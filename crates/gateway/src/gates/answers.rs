//! What the owner asks of answers, held against those of both arms of a rollout by a confined job. The job is told no
//! more than the question and the answers, and what it says is data from a stranger.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_agent::{Answers, AnswersPort, Unsent};
use instar_protocol::api::{Finding, Severity};
use instar_protocol::judge::{ASSERTS_ROLE, Asserted, Asserting, Graded, Held, Places};
use instar_sandbox::confined::{Bounds, JobError, Starter};
use serde_json::Value;
use std::sync::Weak;

use super::{grader, places};
use crate::app::{App, AppState};

/// Questions to the model that grades, about one pair of answers.
const ASKED_MAX: usize = 20;
/// What a model that grades would say, where the doctor only looks whether it would be understood.
const GRADED: &str = r#"{"pass": true, "score": 1, "reason": "", "category": "C"}"#;

/// The owner's assertions. It ends with the gateway, and does not keep it alive.
#[derive(Debug)]
pub(crate) struct Asserts(Weak<App>);

impl Asserts {
    pub(crate) fn of(app: &AppState) -> Self {
        Self(app.weak())
    }
}

impl AnswersPort for Asserts {
    fn look(&self, answers: Answers) -> BoxFuture<'static, Vec<Held>> {
        let app = self.0.upgrade().map(AppState::from);
        async move {
            let count = answers.texts.len();
            match app {
                Some(app) => looked_at(&app, answers).await,
                None => unsaid(count, "the gateway has ended"),
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

async fn looked_at(app: &AppState, answers: Answers) -> Vec<Held> {
    let set = app.config.current().value.improve.rollout.clone();
    let count = answers.texts.len();
    if set.asserts.is_empty() || count == 0 {
        return vec![Held::sound(); count];
    }
    let grader = grader::model(app);
    let work = Asserting {
        asserts: set.asserts,
        question: answers.question.clone(),
        answers: answers.texts.clone(),
        has_grader: grader.is_some(),
    };
    let (app, handle) = (app.clone(), tokio::runtime::Handle::current());
    let job = tokio::task::spawn_blocking(move || {
        let grade = |system, user| {
            let model = grader.as_ref()?;
            let (agent, label) = (&answers.agent, answers.label.clone());
            handle.block_on(grader::ask(&app, model, agent, label, system, user))
        };
        let place = |texts: Vec<String>| {
            let model = places::model(&app).ok_or_else(|| places::NONE.to_owned())?;
            handle.block_on(places::of(&app, &model, &answers.agent, &texts))
        };
        asserted(&work, grade, place)
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
            Some(false) => tracing::info!(
                which = one.which,
                why = one.why,
                "an answer is not what its owner asks for"
            ),
            None => tracing::warn!(
                which = one.which,
                why = one.why,
                "an assertion about an answer cannot be decided"
            ),
        }
    }
    said
}

fn unsaid(count: usize, why: &str) -> Vec<Held> {
    tracing::warn!(why, "nobody could look at the answers of a shadow");
    vec![Held::undecided(why); count]
}

/// Whether each assertion can be decided of an answer at all, by the same job, with one that is made up. None where
/// the owner asks for nothing.
pub(crate) fn finding(asserts: &[Value], has_embedder: bool) -> Option<Finding> {
    if asserts.is_empty() {
        return None;
    }
    let work = Asserting {
        asserts: asserts.to_vec(),
        question: "What is it?".to_owned(),
        answers: vec!["It is what it is.".to_owned()],
        has_grader: true,
    };
    let place = |texts: Vec<String>| {
        if has_embedder {
            Ok(vec![vec![1.0]; texts.len()])
        } else {
            Err(places::NONE.to_owned())
        }
    };
    let said = match asserted(&work, |_, _| Some(GRADED.to_owned()), place) {
        Ok(said) => said.into_iter().find(|one| one.holds.is_none()),
        Err(error) => Some(Held::undecided(error.to_string())),
    };
    let severity = match &said {
        None => Severity::Fine,
        Some(_) => Severity::Warning,
    };
    Some(Finding {
        check: "asserts".to_owned(),
        severity,
        message: match &said {
            None => format!(
                "{} assertions about answers, each can be decided",
                asserts.len()
            ),
            Some(one) => format!(
                "improve.rollout.{} cannot be decided, so no shadow would come to an end: {}",
                one.which.as_deref().unwrap_or("asserts"),
                one.why
            ),
        },
        next_step: said.map(|_| "take it out, or write it as `docs/evals.md` shows".to_owned()),
    })
}

/// Runs the job; `grade` asks the model, `place` the embedder.
fn asserted(
    work: &Asserting,
    mut grade: impl FnMut(String, String) -> Option<String>,
    mut place: impl FnMut(Vec<String>) -> Result<Vec<Vec<f64>>, String>,
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
            Asserted::Place { texts } => {
                asked += 1;
                let found = if asked > ASKED_MAX {
                    Err("too much was asked".to_owned())
                } else {
                    place(texts)
                };
                job.tell(&found.map_or_else(Places::Nowhere, Places::At))?;
            }
        }
    }
}
