//! The lab's cycles: the gateway starts the lab as a job behind walls, tells it redacted events, and counts
//! what it says was found in them.
//!
//! The job is believed nothing but names: each sign has to be one of an event that it was told, and what
//! is counted is read from the gateway's own copy of that event. A cycle is written down in one commit
//! with the place in the event log up to which it went, so nothing is counted twice or left out.

mod alike;
mod beats;
mod count;
mod divide;
mod exchange;
mod explain;
mod reach;
mod readings;
mod reads;
mod register;
mod story;
#[cfg(test)]
mod told;
mod trend;

pub use alike::{Likeness, MergeWord, merge_word, merges};
pub use exchange::{Ledger, foreign, forget, ledger, take_over};
pub(crate) use exchange::{heard, proposed};
pub use explain::{attempt, explain};
pub(crate) use readings::Readings;
pub use register::{Arms, DayRow, EditView, FaultView, edit, edits, list, one};
pub use story::{Story, before, story};
pub(crate) use trend::has_risen;
pub use trend::{Course, Trend};

use instar_protocol::event::Event;
use instar_protocol::lab::{Case, Chosen, Closing, Found, PAGE, ROLE, ToLab};
use instar_protocol::{EventId, Timestamp};
use instar_sandbox::confined::{Bounds, Confined, JobError, Starter};
use instar_store::{EventFilter, Op, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

use crate::app::AppState;
use crate::healing;
use beats::Clockwork;
use count::Count;
use reach::Reach;

/// Pages of events that one cycle reads; the next goes on from there.
const PAGES_MAX: usize = 40;
/// The load of the last minute above which a cycle waits.
const LOAD_MAX: f64 = 2.0;
/// Bytes that the lab may ask to be told again.
const MEMORY_BYTES_MAX: usize = 3 << 20;
/// The name under which its memory is kept, and the place in the event log.
const MEMORY: &str = "faults";
const CURSOR: &str = "faults.cursor";
/// The time before the first cycle, between two, and between two where more was left.
const FIRST: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(1_800);
const PAUSE_MORE: Duration = Duration::from_secs(30);
/// Before every event that there is.
const EARLIEST: &str = "evt_00000000000000000000000000";

const BOUNDS: Bounds = Bounds {
    cpu_seconds: 60,
    memory_bytes: 256 << 20,
    wall_seconds: 300,
    message_bytes: 4 << 20,
    told_bytes: 64 << 20,
};

/// Cycles run one at a time.
#[derive(Debug, Default)]
pub struct Lab {
    running: Mutex<()>,
}

/// How a cycle went. Kept with the time of its beginning.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cycle {
    pub at: Timestamp,
    pub outcome: Outcome,
    /// Why not, where it failed or waited.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    pub events: u64,
    pub signs: u64,
    /// Signs that it named and that no event bears out.
    pub refused: u64,
    pub faults_new: u64,
    pub faults_touched: u64,
    pub merged: u64,
    pub millis: u64,
    /// Fixes that were proposed.
    #[serde(default)]
    pub proposed: u64,
    /// Those of recipes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub picked: Vec<Picked>,
    /// There are more events than one cycle reads.
    pub more: bool,
}

/// A recipe that was proposed about a fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Picked {
    pub fault: String,
    pub gene: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// The machine is busy.
    BackedOff,
    Failed,
}

#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("a cycle of the lab is under way")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Cycle {
    fn new(at: Timestamp) -> Self {
        Self {
            at,
            outcome: Outcome::Done,
            why: String::new(),
            events: 0,
            signs: 0,
            refused: 0,
            faults_new: 0,
            faults_touched: 0,
            merged: 0,
            millis: 0,
            proposed: 0,
            picked: Vec::new(),
            more: false,
        }
    }
}

/// Runs one cycle. `at_any_load` does not wait for a quiet machine.
pub async fn cycle(app: &AppState, at_any_load: bool) -> Result<Cycle, LabError> {
    let Ok(_one) = app.lab.running.try_lock() else {
        return Err(LabError::Busy);
    };
    let begun = Instant::now();
    // What was moved since is told apart from what was before.
    if let Err(error) = healing::fold(app).await {
        tracing::warn!(%error, "the trials of fixes stand still");
    }
    let mut cycle = Cycle::new(app.clock.now());
    let most = load_max((app.env)("EVOLVE_LOAD_MAX").as_deref());
    if let Some(load) = load().filter(|load| !at_any_load && *load > most) {
        cycle.outcome = Outcome::BackedOff;
        cycle.why = format!("the load of the last minute is {load:.2}, more than {most:.2}");
        return Ok(cycle);
    }
    let ops = match work(app, &mut cycle).await? {
        Ok(ops) => ops,
        Err(error) => {
            cycle.outcome = Outcome::Failed;
            cycle.why = error.to_string();
            tracing::warn!(%error, "a cycle of the lab failed");
            Vec::new()
        }
    };
    // What was counted stands before anything is chosen from it.
    app.store.commit(ops).await?;
    if cycle.outcome == Outcome::Done {
        if let Err(error) = healing::look_at_faults(app).await {
            tracing::warn!(%error, "faults that came back could not be looked at");
        }
        choose(app, &mut cycle).await;
        if let Err(why) = alike::look(app).await {
            tracing::warn!(
                why,
                "the embedder could not be asked which faults are alike"
            );
        }
    }
    cycle.millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    write_down(app, &cycle).await?;
    Ok(cycle)
}

/// Looks for faults in quiet hours until the gateway stops: now and then, if something happened since, and
/// only while the machine has nothing better to do.
pub(crate) async fn keep(app: AppState) {
    let mut wait = FIRST;
    let mut seen = 0;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = PAUSE;
        // Read each time: it is switched without a restart.
        let is_wanted = app.config.current().value.improve.enabled;
        let commits = app.store.stats().commits;
        if !is_due(is_wanted, commits == seen, app.sessions.awake()) {
            continue;
        }
        match Box::pin(cycle(&app, false)).await {
            Ok(done) if done.more => wait = PAUSE_MORE,
            Ok(_) | Err(LabError::Busy) => {}
            Err(LabError::Store(error)) => {
                tracing::debug!(%error, "the lab's cycle could not be kept")
            }
        }
        seen = app.store.stats().commits;
    }
}

/// Whether a cycle begins by itself now.
fn is_due(is_wanted: bool, nothing_happened: bool, awake: usize) -> bool {
    is_wanted && !nothing_happened && awake == 0
}

/// Lets the lab choose what is tried next, for each agent by itself. A cycle that found faults is done,
/// whatever becomes of this.
async fn choose(app: &AppState, cycle: &mut Cycle) {
    match healing::of_cycle(app).await {
        Ok((mut room, cases)) => {
            for mut case in cases {
                case.most = case.most.min(room);
                let before = cycle.proposed;
                choose_for(app, case, cycle).await;
                // What is proposed for one agent is room less for the others.
                let made = usize::try_from(cycle.proposed - before).unwrap_or(usize::MAX);
                room = room.saturating_sub(made);
                if room == 0 {
                    break;
                }
            }
        }
        Err(error) => tracing::warn!(%error, "nothing can be chosen"),
    }
}

async fn choose_for(app: &AppState, mut case: Case, cycle: &mut Cycle) {
    let before = cycle.proposed;
    // What was spent on the agents before counts on.
    match healing::spent(&app.store).await {
        Ok(spent) => case.spent = spent,
        Err(error) => tracing::warn!(%error, "what was spent cannot be read"),
    }
    let told = ToLab::Choose(Box::new(case.clone()));
    let chosen: Result<Chosen, JobError> = blocking(move || {
        let mut job = job(ROLE)?;
        job.tell(&told)?;
        job.hear()
    })
    .await;
    let made = match chosen {
        Ok(chosen) => healing::propose(app, &case, chosen.proposed, &chosen.spent).await,
        Err(error) => {
            tracing::warn!(%error, "the lab chose nothing");
            return;
        }
    };
    match made {
        Ok(picked) => {
            cycle.proposed += picked.len() as u64;
            cycle.picked.extend(picked);
        }
        Err(error) => tracing::warn!(%error, "what the lab chose could not be kept"),
    }
    if case.most <= usize::try_from(cycle.proposed - before).unwrap_or(usize::MAX) {
        return;
    }
    match healing::model::ask(app, &case).await {
        Ok(made) => cycle.proposed += made,
        Err(error) => tracing::warn!(%error, "what a model proposes could not be kept"),
    }
}

/// Cycles that were, the newest first.
pub async fn log(store: &Store, limit: usize) -> Result<Vec<Cycle>, StoreError> {
    let rows = store.lab_runs(limit).await?;
    let cycles = rows
        .iter()
        .filter_map(|row| serde_json::from_str(&row.body).ok());
    Ok(cycles.collect())
}

async fn write_down(app: &AppState, cycle: &Cycle) -> Result<(), StoreError> {
    let body = serde_json::to_string(cycle).unwrap_or_default();
    let run = Op::PutLabRun { body, at: cycle.at };
    app.store.commit(vec![run]).await
}

/// Tells the job the events since the last cycle. What comes of it is not written yet.
async fn work(app: &AppState, cycle: &mut Cycle) -> Result<Result<Vec<Op>, JobError>, StoreError> {
    let memory = app.store.lab_memory(MEMORY).await?;
    let cursor = app.store.lab_memory(CURSOR).await?;
    let mut cursor = EventId::from_stored(cursor.unwrap_or_else(|| EARLIEST.to_owned()));
    let shifts = healing::shifts(&app.store).await;
    let beats = Clockwork::new(app.ledger.zone(), shifts.unwrap_or_default());
    let mut count = Count::begin(
        app.store.faults().await?,
        app.store.occasions().await?,
        beats,
        Reach::resume(&app.store).await?,
    );
    count.readings = Readings::resume(&app.store).await?;
    let mut job = match blocking(move || begin(memory.as_deref())).await {
        Ok(job) => job,
        Err(error) => return Ok(Err(error)),
    };
    for page in 0.. {
        let events = next_events(app, &cursor).await?;
        let Some(last) = events.last() else {
            break;
        };
        if page >= PAGES_MAX {
            cycle.more = true;
            break;
        }
        cursor = last.id.clone();
        cycle.events += events.len() as u64;
        let told = blocking(move || tell(job, events)).await;
        let (back, events, found) = match told {
            Ok(told) => told,
            Err(error) => return Ok(Err(error)),
        };
        job = back;
        for session in count.beats.unknown(&events) {
            if let Some(row) = app.store.session(&session).await? {
                count.beats.meet(session, row.agent, &row.key);
            }
        }
        count.reach.meet(&app.store, &events, &found).await?;
        count.page(&events, found, cycle);
    }
    let closing = blocking(move || close(job)).await;
    Ok(closing.map(|closing| {
        count.join(&closing.joined, cycle);
        let now = app.clock.now();
        let mut ops = count.beats.ops(|| EventId::new(now, app.random()), now);
        ops.extend(count.end(cycle));
        ops.extend(kept(&closing, &cursor));
        ops
    }))
}

async fn next_events(app: &AppState, after: &EventId) -> Result<Vec<Event>, StoreError> {
    let filter = EventFilter {
        after: Some(after.clone()),
        limit: PAGE,
        ..EventFilter::default()
    };
    app.store.events(filter).await
}

/// A job with the lab's walls and bounds.
pub fn job(role: &str) -> Result<Confined, JobError> {
    Starter::default().start(role, BOUNDS)
}

fn begin(memory: Option<&str>) -> Result<Confined, JobError> {
    let mut job = job(ROLE)?;
    let memory = memory.and_then(|memory| serde_json::from_str(memory).ok());
    if let Some(memory) = memory {
        job.tell(&ToLab::Remember(memory))?;
    }
    Ok(job)
}

type Told = (Confined, Vec<Event>, Vec<Found>);

fn tell(mut job: Confined, events: Vec<Event>) -> Result<Told, JobError> {
    let words = ToLab::Events(events);
    job.tell(&words)?;
    let found = job.hear()?;
    let ToLab::Events(events) = words else {
        return Ok((job, Vec::new(), found));
    };
    Ok((job, events, found))
}

fn close(mut job: Confined) -> Result<Closing, JobError> {
    job.tell(&ToLab::Close)?;
    job.hear()
}

/// What the next cycle begins with. A memory that is too long is not kept: it begins anew.
fn kept(closing: &Closing, cursor: &EventId) -> Vec<Op> {
    let memory = closing.memory.to_string();
    let keep = |name: &str, body: String| Op::PutLabMemory {
        name: name.to_owned(),
        body,
    };
    let mut ops = vec![keep(CURSOR, cursor.as_str().to_owned())];
    if memory.len() <= MEMORY_BYTES_MAX {
        ops.push(keep(MEMORY, memory));
    }
    ops
}

/// The job's line is read by waiting on it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JobError> + Send + 'static,
) -> Result<T, JobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(JobError::Ended(error.to_string())))
}

/// The load of the last minute, where the machine tells.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The load above which a cycle waits, as the owner set it where that is a load.
fn load_max(told: Option<&str>) -> f64 {
    let told = told.and_then(|text| text.trim().parse::<f64>().ok());
    told.filter(|most| most.is_finite() && *most > 0.0)
        .unwrap_or(LOAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_begins_by_itself_only_where_it_is_wanted_and_the_house_is_quiet() {
        assert!(is_due(true, false, 0));
        assert!(!is_due(false, false, 0), "switched off");
        assert!(!is_due(true, true, 0), "nothing happened");
        assert!(!is_due(true, false, 1), "somebody is being answered");
    }

    #[test]
    fn a_cycle_waits_above_a_load_of_two_or_of_what_the_owner_says() {
        let is = |told: Option<&str>, most: f64| (load_max(told) - most).abs() < 1e-9;
        assert!(is(None, 2.0));
        assert!(is(Some("0.5"), 0.5) && is(Some(" 7 "), 7.0));
        for no_load in ["", "0", "-1", "inf", "NaN", "much"] {
            assert!(is(Some(no_load), 2.0), "{no_load}");
        }
    }
}
