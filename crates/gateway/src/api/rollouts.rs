//! `/rollouts`: the candidate that some episodes are served, and those before it. Everybody who may read
//! reads them; the owner alone begins and ends one.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::Timestamp;
use instar_protocol::event::{Arm, Event};
use instar_release::Releases;
use instar_release::gate::Step;
use instar_release::rollout::{
    BY_ITSELF, Forecast, Plan, Random, RolloutError, Shadow, Shown, Start, WatchPlan, caps, past,
};
use instar_store::{CandidateState, EventFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{Asked, PageQuery, Strict};
use super::queries::{PAGE, QueryError, missing_release, page};
use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::gates;
use crate::problem::ApiProblem;

/// What a rollout's plan is made from: the days before it.
const LOOK_BACK_MILLIS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Events that are looked at for it.
const EVENTS_MAX: usize = 10_000;
/// Shares of new episodes, where the owner names none.
const SHARES: [f64; 3] = [0.05, 0.2, 0.5];
/// Episodes of a step before the next one.
const UNITS_MIN: u64 = 20;
/// Steps of one rollout.
const STEPS_MAX: usize = 16;

/// A rollout as it is asked for. What is left out has a sound value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewRollout {
    pub candidate: String,
    /// Shares of new episodes, one step each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Vec<f64>>,
    /// Episodes of a step before the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_min: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maturity_seconds: Option<u64>,
    /// Judged pairs at the most before anybody is sent a word of the candidate's; 0 for no shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_pairs: Option<u64>,
    /// Episodes of the watch after a promotion; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_units: Option<u64>,
    /// The share of new episodes that stays with the release before meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
    /// How long after the end of an episode cost, latency and questions are judged, which need nobody's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_maturity_seconds: Option<u64>,
    /// Two good answers beside each other: nobody wins by itself.
    pub ab: bool,
    /// Only the plan and how long it would take.
    pub dry_run: bool,
}

/// A plan with what is known of it before the start.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    pub plan: Plan,
    pub forecast: Forecast,
    /// The forecast in words, and what was left out.
    pub lines: Vec<String>,
    /// The rollout, if one was begun.
    pub rollout: Option<Shown>,
}

pub async fn list(releases: &Releases, limit: Option<usize>) -> Result<Vec<Shown>, QueryError> {
    let most = instar_release::rollout::ROLLOUTS_MAX;
    let limit = page("limit", limit, PAGE.min(most), most)?;
    releases.rollouts(limit).await.map_err(missing_release)
}

/// One by its id, the one under way as `current`, or the newest as `latest`.
pub async fn one(releases: &Releases, name: &str) -> Result<Shown, QueryError> {
    let all = releases
        .rollouts(instar_release::rollout::ROLLOUTS_MAX)
        .await
        .map_err(missing_release)?;
    let is_meant = |shown: &Shown| match name {
        "current" => shown.ended_at.is_none(),
        "latest" => true,
        id => shown.id == id,
    };
    let missing = || match name {
        "current" | "latest" => refused(RolloutError::None),
        id => QueryError::NotFound {
            what: "rollout",
            name: id.to_owned(),
        },
    };
    all.into_iter().find(is_meant).ok_or_else(missing)
}

/// Plans a rollout, and begins it unless it was a dry run.
pub(crate) async fn begin(app: &AppState, asked: NewRollout) -> Result<Planned, ApiProblem> {
    let now = app.clock.now();
    let candidate = app.releases.candidate(&asked.candidate).await;
    let candidate = candidate.map_err(missing_release)?;
    let asked = configured(app, asked);
    let (plan, forecast, lines) = planned(app, &asked, now).await?;
    plan.check()
        .map_err(|error| refused(RolloutError::Plan(error)))?;
    if asked.dry_run {
        return Ok(Planned {
            plan,
            forecast,
            lines,
            rollout: None,
        });
    }
    // A rollout that speaks for it ends with it being stable, so that far it has to be let.
    let other = app.releases.rollout();
    let is_free = other.is_none_or(|other| other.candidate == candidate.id);
    if is_free && candidate.state == CandidateState::Open {
        gates::allowed(app, &candidate.id, Step::Stable).await?;
    }
    let start = Start {
        candidate: asked.candidate,
        plan: plan.clone(),
        by: "owner".to_owned(),
        reason: None,
    };
    let started = app
        .releases
        .start_rollout(start, now, coin()?, app.random());
    let shown = started.await.map_err(refused)?;
    Ok(Planned {
        plan: shown.plan.clone(),
        forecast,
        lines,
        rollout: Some(shown),
    })
}

/// What the configuration says, where nothing is said.
fn configured(app: &AppState, asked: NewRollout) -> NewRollout {
    let config = app.config.current();
    let set = &config.value.improve.rollout;
    NewRollout {
        shares: asked.shares.or_else(|| set.shares.clone()),
        units_min: asked.units_min.or(set.min_events),
        idle_seconds: asked.idle_seconds.or(set.idle_seconds),
        turns_max: asked.turns_max.or(set.turns),
        maturity_seconds: asked.maturity_seconds.or(set.maturity_seconds),
        fast_maturity_seconds: asked.fast_maturity_seconds.or(set.fast_maturity_seconds),
        watch_units: asked.watch_units.or(set.watch_episodes),
        held_out: asked.held_out.or(set.held_out),
        margin: asked.margin.or(set.margin),
        ..asked
    }
}

/// Begins a rollout that nobody began by hand. It goes no further than it may.
pub(crate) async fn begin_by_itself(
    app: &AppState,
    asked: NewRollout,
    may: Step,
    why: &str,
) -> Result<Shown, ApiProblem> {
    let now = app.clock.now();
    let asked = configured(app, asked);
    let (mut plan, _, _) = planned(app, &asked, now).await?;
    plan.may = may;
    let start = Start {
        candidate: asked.candidate,
        plan,
        by: BY_ITSELF.to_owned(),
        reason: Some(why.to_owned()),
    };
    let started = app
        .releases
        .start_rollout(start, now, coin()?, app.random());
    Ok(started.await.map_err(refused)?)
}

/// The plan, from what the stable release did in the last days.
async fn planned(
    app: &AppState,
    asked: &NewRollout,
    now: Timestamp,
) -> Result<(Plan, Forecast, Vec<String>), QueryError> {
    let since = Timestamp::from_millis(now.millis().saturating_sub(LOOK_BACK_MILLIS));
    let events: Vec<Event> = app
        .store
        .events(EventFilter {
            since: Some(since),
            limit: EVENTS_MAX,
            ..EventFilter::default()
        })
        .await?;
    let stable: Vec<Event> = events
        .into_iter()
        .filter(|event| event.arm == Arm::Stable)
        .collect();
    let shares = asked.shares.as_deref().unwrap_or(&SHARES);
    if shares.len() > STEPS_MAX {
        let why = format!("a rollout has {STEPS_MAX} steps at the most");
        return Err(invalid(why));
    }
    let mut plan = Plan::over(shares, asked.units_min.unwrap_or(UNITS_MIN), caps(&stable));
    plan.is_ab = asked.ab;
    plan.level = asked.level.unwrap_or(plan.level);
    plan.horizon = asked.horizon.unwrap_or(plan.horizon);
    if let Some(margin) = asked.margin {
        for metric in plan.metrics.values_mut() {
            metric.margin = margin;
        }
    }
    let rules = &mut plan.episode;
    let millis = |seconds: u64| seconds.saturating_mul(1_000);
    rules.idle_millis = asked.idle_seconds.map_or(rules.idle_millis, millis);
    rules.maturity_millis = asked.maturity_seconds.map_or(rules.maturity_millis, millis);
    rules.turns_max = asked.turns_max.unwrap_or(rules.turns_max);
    plan.shadow = asked
        .shadow_pairs
        .filter(|pairs| *pairs > 0)
        .map(Shadow::of);
    if let Some(units) = asked.watch_units {
        plan.watch = plan
            .watch
            .filter(|_| units > 0)
            .map(|watch| WatchPlan { units, ..watch });
    }
    if let (Some(watch), Some(held_out)) = (&mut plan.watch, asked.held_out) {
        watch.held_out = held_out;
    }
    if let Some(seconds) = asked.fast_maturity_seconds {
        plan.judge_early(millis(seconds));
    }
    let known = past(&stable, &plan, app.releases.corrects());
    plan.objective = known.at_most();
    let mut lines = Vec::new();
    if asked.shares.is_none() {
        for step in plan.skip_idle_steps(known.base()) {
            lines.push(format!(
                "a step of {:.0} % never decides within {} episodes and is left out",
                100.0 * step.share,
                plan.horizon
            ));
        }
    }
    let forecast = plan.forecast(known.base(), known.per_day());
    lines.extend(forecast.lines());
    Ok((plan, forecast, lines))
}

/// What the owner does to the one under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    Pause,
    Resume,
    Promote,
    Abort,
}

pub async fn act(
    releases: &Releases,
    what: Move,
    now: Timestamp,
    random: Random<'_>,
) -> Result<Shown, QueryError> {
    let done = match what {
        Move::Pause => releases.pause_rollout(true, now).await,
        Move::Resume => releases.pause_rollout(false, now).await,
        Move::Promote => releases.end_rollout(true, now, random).await,
        Move::Abort => releases.end_rollout(false, now, random).await,
    };
    done.map_err(refused)
}

fn refused(error: RolloutError) -> QueryError {
    match error {
        RolloutError::Release(error) => missing_release(error),
        error @ RolloutError::None => QueryError::Nothing(error.to_string()),
        error @ RolloutError::Plan(_) => invalid(error.to_string()),
        other => QueryError::Conflict(other.to_string()),
    }
}

fn invalid(why: String) -> QueryError {
    QueryError::Invalid {
        param: "rollout",
        why,
    }
}

/// The key of a coin. Without randomness there is no rollout: an arm that can be foretold is no coin.
fn coin() -> Result<[u8; 32], QueryError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| invalid(format!("the system gives no randomness: {error}")))?;
    Ok(key)
}

pub(super) async fn all(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<Shown>>, ApiProblem> {
    Ok(Json(list(&app.releases, query.limit).await?))
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Shown>, ApiProblem> {
    Ok(Json(one(&app.releases, &name).await?))
}

pub(super) async fn make(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<NewRollout>,
) -> Result<Json<Planned>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(begin(&app, asked).await?))
}

pub(super) async fn pause(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Shown>, ApiProblem> {
    moved(&app, &caller, Move::Pause).await
}

pub(super) async fn resume(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Shown>, ApiProblem> {
    moved(&app, &caller, Move::Resume).await
}

pub(super) async fn promote(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Shown>, ApiProblem> {
    moved(&app, &caller, Move::Promote).await
}

pub(super) async fn abort(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Shown>, ApiProblem> {
    moved(&app, &caller, Move::Abort).await
}

async fn moved(app: &App, caller: &Caller, what: Move) -> Result<Json<Shown>, ApiProblem> {
    owner(caller)?;
    let random = || app.random();
    Ok(Json(
        act(&app.releases, what, app.clock.now(), &random).await?,
    ))
}

/// Episodes that were judged, the newest first.
pub(super) async fn units(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<Unit>>, ApiProblem> {
    let shown = one(&app.releases, &name).await?;
    let limit = page("limit", query.limit, PAGE, super::queries::PAGE_MAX)?;
    let units = app
        .releases
        .settled_units(&shown.id, limit)
        .await
        .map_err(missing_release)?;
    Ok(Json(units.into_iter().map(Unit::from).collect()))
}

/// One judged episode.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unit {
    id: String,
    session: instar_protocol::SessionId,
    arm: Arm,
    share: f64,
    at: Timestamp,
    closed_at: Option<Timestamp>,
    settled_at: Option<Timestamp>,
    bad: Value,
}

impl From<instar_store::UnitRow> for Unit {
    fn from(row: instar_store::UnitRow) -> Self {
        Self {
            bad: row
                .bad
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
            id: row.id,
            session: row.session,
            arm: row.arm,
            share: row.share,
            at: row.at,
            closed_at: row.closed_at,
            settled_at: row.settled_at,
        }
    }
}

fn owner(caller: &Caller) -> Result<(), ApiProblem> {
    super::owner::alone(caller, "only the owner can begin or end a rollout")
}
