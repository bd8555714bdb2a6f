//! The gates of a candidate, as the gateway asks them: plain code and a solver in [`instar_release::gate`],
//! what has to be measured in a confined job. The gateway alone decides and signs.

pub(crate) mod answers;
pub(crate) mod grader;
mod judge;
pub(crate) mod own;
pub(crate) mod places;

pub use judge::job as judge_job;

use instar_protocol::judge::ASSERTS_MAX;
use instar_protocol::model::ModelRef;
use instar_release::gate::{self, Asked, Autonomy, CheckError, Finding, Said, Step, Table};
use instar_release::sign::PublicKey;
use instar_sandbox::native::Native;
use instar_sandbox::solver::Solver;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::problem::{ApiProblem, chain};

/// The `improve` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ImproveConfig {
    /// Whether the gateway looks for faults by itself in quiet hours. `instar lab run` works in any case.
    pub enabled: bool,
    /// How far a candidate may go without you, by its risk class, when every gate has passed: `nothing`,
    /// `shadow`, `canary` or `stable`. Class D has no key: it always needs your own signature.
    pub autonomy: Autonomy,
    /// For how many days what a gate said of a candidate holds, 1 to 365. After that the candidate has to be checked
    /// again, and your yes said again, before it is served to anybody.
    #[schemars(range(min = 1, max = 365))]
    pub gate_days: u32,
    /// The folder in which the Python package `cvc5` lies: a second solver that has to agree with the system's
    /// before rules count as proved.
    pub solver_package: Option<PathBuf>,
    /// A model, `PROVIDER/MODEL`, that is shown each new fault once, in redacted words, and may propose lessons, fixes
    /// of arguments and prompt texts as candidates. When absent no model is asked.
    pub proposer: Option<String>,
    /// What rollouts begin with, unless more is said: yours, and those that the gateway begins by itself.
    pub rollout: RolloutConfig,
    /// A model for embeddings, as `PROVIDER/MODEL` of `models.providers` (`ollama/nomic-embed-text`, or any server that
    /// speaks `/embeddings`). It is told the templates of faults, redacted, and proposes which of them are one; a
    /// person decides. Where a suite or an assertion asks for `similar`, it is told the answer and what it is held against.
    /// Nothing is asked while it is unset.
    pub embedder: Option<String>,
}

impl Default for ImproveConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            autonomy: Autonomy::default(),
            gate_days: gate::DAYS,
            solver_package: None,
            proposer: None,
            embedder: None,
            rollout: RolloutConfig::default(),
        }
    }
}

/// The `improve.rollout` section. What is left out has a sound value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutConfig {
    /// Shares of new episodes, one step each; those that can decide if nothing is said.
    pub shares: Option<Vec<f64>>,
    /// Judged episodes of a step before the next one.
    pub min_events: Option<u64>,
    /// Judged pairs before a candidate that the gateway put into its shadow by itself goes further.
    pub shadow_pairs: Option<u64>,
    /// Silence that ends an episode, in seconds.
    pub idle_seconds: Option<u64>,
    /// Turns that end an episode.
    pub turns: Option<u32>,
    /// How long after its end an episode is judged, in seconds.
    pub maturity_seconds: Option<u64>,
    /// The same for cost, latency and questions, which need nobody's word.
    pub fast_maturity_seconds: Option<u64>,
    /// How much worse a promoted candidate may be.
    pub margin: Option<f64>,
    /// Episodes of the watch after a promotion; 0 for none.
    pub watch_episodes: Option<u64>,
    /// The share of new episodes that stays with the release before meanwhile.
    pub held_out: Option<f64>,
    /// What has to hold of every answer while a candidate is in its shadow, as assertions of a suite have it
    /// (`{"type": "not-contains", "value": "as an AI"}`), at most 50. An answer that fails one is a failed task of its
    /// release; a pair of answers of which one could not be judged is not counted. What the house asks of answers holds
    /// in any case.
    pub asserts: Vec<serde_json::Value>,
    /// A model, `PROVIDER/MODEL`, that answers those of the assertions that want a grader (`llm-rubric`), here and in suites.
    /// It is told what is asked and the answer, has no tool and no memory, and is paid for as other calls are. When absent,
    /// the model that the stable release asks first for the default agent.
    pub grader: Option<String>,
}

impl RolloutConfig {
    /// Whether what the owner asks of answers can be decided at all; none where he asks for nothing.
    #[must_use]
    pub fn finding(&self, has_embedder: bool) -> Option<instar_protocol::api::Finding> {
        answers::finding(&self.asserts, has_embedder)
    }

    /// What the types alone cannot refuse: path and message.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        const ASSERTS: &str = "improve.rollout.asserts";
        let mut problems = Vec::new();
        if self.asserts.len() > ASSERTS_MAX {
            let why = format!("there are more than {ASSERTS_MAX} assertions");
            problems.push((ASSERTS.to_owned(), why));
        }
        for (number, assertion) in self.asserts.iter().enumerate() {
            let kind = assertion["type"].as_str().unwrap_or_default();
            if kind.trim().is_empty() {
                let why = "an assertion is written like {\"type\": \"not-contains\", \"value\": \"as an AI\"}";
                problems.push((format!("{ASSERTS}[{number}]"), why.to_owned()));
            }
        }
        if let Some(name) = &self.grader
            && ModelRef::parse(name).is_none()
        {
            let why = "write it like openai/gpt-5".to_owned();
            problems.push(("improve.rollout.grader".to_owned(), why));
        }
        problems
    }
}

/// How many candidates are checked at a time: a check may hold a processor for minutes.
pub(crate) const CHECKS_AT_ONCE: usize = 1;
/// How long a check waits for another one to end.
const TURN_WAIT: Duration = Duration::from_secs(60);

/// Asks all gates of a candidate. It goes on when whoever asked has left.
pub(crate) async fn check(app: &AppState, name: &str) -> Result<Table, ApiProblem> {
    let turn = app.checks.clone().acquire_owned();
    let Ok(Ok(turn)) = tokio::time::timeout(TURN_WAIT, turn).await else {
        let busy = ApiProblem::conflict("another candidate is being checked");
        return Err(busy.next("ask again when it is done: `instar candidate show` tells"));
    };
    let (app, name) = (app.clone(), name.to_owned());
    let tasks = app.tasks.clone();
    let work = tasks.spawn(async move {
        let done = checked(&app, &name).await;
        drop(turn);
        done
    });
    work.await.map_err(|error| {
        tracing::error!(error = %chain(&error), "a check of a candidate failed");
        ApiProblem::internal()
    })?
}

async fn checked(app: &AppState, name: &str) -> Result<Table, ApiProblem> {
    let package = app.config.current().value.improve.solver_package.clone();
    let prover = prover(package, app.closing.clone());
    let checking = app
        .releases
        .check_candidate(name, prover, &owners(app), asked(app))
        .await;
    let checking = checking.map_err(problem)?;
    for (gate, sitting) in judge::sittings(app.state_dir.root()) {
        let finding = match sitting {
            Ok(sitting) => {
                let (after, before) = (checking.after.clone(), checking.before.clone());
                let closing = app.closing.clone();
                let judged = tokio::task::spawn_blocking(move || {
                    judge::judged(&sitting, &after, &before, &closing)
                });
                judged.await.unwrap_or_else(|error| {
                    Finding::no_data(format!("the judge gave no answer: {error}"))
                })
            }
            Err(why) => Finding::no_data(format!("the suites cannot be read: {why}")),
        };
        let signed = app.releases.attest(&checking, gate, finding, asked(app));
        signed.await.map_err(problem)?;
    }
    app.gates_asked.fetch_add(1, Ordering::Relaxed);
    let table = table(app, &checking.candidate.id).await?;
    own::begin(app, &table).await;
    Ok(table)
}

/// What the gates said of a candidate so far, and what may come of it.
pub(crate) async fn table(app: &AppState, name: &str) -> Result<Table, ApiProblem> {
    let candidate = app.releases.candidate(name).await?;
    let owners = owners(app);
    let table = app
        .releases
        .gates(&candidate, autonomy(app), &owners, app.clock.now());
    table.await.map_err(problem)
}

/// Refuses what its gates and its owner have not let go so far.
pub(crate) async fn allowed(app: &AppState, name: &str, step: Step) -> Result<(), ApiProblem> {
    let owners = owners(app);
    let may = app
        .releases
        .may_go(name, step, autonomy(app), &owners, app.clock.now())
        .await;
    may.map(drop).map_err(problem)
}

pub(crate) fn autonomy(app: &AppState) -> Autonomy {
    app.config.current().value.improve.autonomy
}

/// A gate is asked now, and its word holds for as long as the owner says.
pub(crate) fn asked(app: &AppState) -> Asked {
    Asked {
        at: app.clock.now(),
        days: app.config.current().value.improve.gate_days,
    }
}

/// A file of keys that cannot be read vouches for nobody.
pub(crate) fn owners(app: &AppState) -> Vec<PublicKey> {
    crate::signing::owners(&app.state_dir).unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "the owner's keys are not read");
        Vec::new()
    })
}

/// Every solver of this machine, each behind walls, one after the other.
fn prover(
    package: Option<PathBuf>,
    closing: CancellationToken,
) -> impl Fn(&str) -> Vec<Said> + Send + Sync + 'static {
    let native = Native::of_this_binary();
    move |script: &str| {
        let solvers = Solver::found(package.as_deref());
        let ask = |solver: &Solver| Said {
            solver: solver.name().to_owned(),
            answer: solver
                .ask(&native, script, &|| closing.is_cancelled())
                .map_err(|error| chain(&error)),
        };
        solvers.iter().map(ask).collect()
    }
}

pub(crate) fn problem(error: CheckError) -> ApiProblem {
    let text = error.to_string();
    match error {
        CheckError::Release(error) => error.into(),
        CheckError::Settled(..)
        | CheckError::Current(_)
        | CheckError::Conflict { .. }
        | CheckError::NotYet { .. } => ApiProblem::conflict(text),
        CheckError::NeedsSignature(_) | CheckError::OwnWord(_) => ApiProblem::forbidden(text),
        CheckError::NoKey => ApiProblem::unavailable(text),
    }
}
