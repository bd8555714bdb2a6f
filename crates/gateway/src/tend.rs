//! What is done every now and then: reloading, retention, and watching the disk.

use instar_protocol::Timestamp;
use instar_store::{Retention, Store};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::gates::own::Own;
use crate::reload::Reloader;
use crate::watch::Watch;

const TICK: Duration = Duration::from_secs(1);
/// Ticks before notes that could not be written are tried again.
const NOTE_TICKS: u64 = 30;
/// Ticks between two looks at the trials of fixes.
const TRIAL_TICKS: u64 = 15;
/// Ticks between two attempts to write to a store that could not be written.
const PROBE_TICKS: u64 = 5;
/// Ticks between two looks at the age of the API token.
const ROTATION_TICKS: u64 = 60;
/// Between two looks whether a burst of work is over.
const QUIET: Duration = Duration::from_secs(5);
/// The time before the first clean-up and between two.
const FIRST_CLEANUP: Duration = Duration::from_secs(60);
const CLEANUP_PAUSE: Duration = Duration::from_secs(3_600);
/// An object that was stored so long ago without a row that names it will never have one.
const OBJECT_GRACE: Duration = Duration::from_secs(24 * 3_600);
/// Between two steps of one clean-up: messages come before old rows.
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// Reloads and watches until the gateway stops.
pub(crate) async fn tend(app: AppState, mut reloader: Reloader) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut broken_since = None;
    let mut count = 0_u64;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        count += 1;
        if count % ROTATION_TICKS == 1 {
            crate::rotation::tick(&app).await;
        }
        if count.is_multiple_of(TRIAL_TICKS)
            && crate::healing::has_trials(&app).await
            && let Err(error) = crate::healing::fold(&app).await
        {
            tracing::warn!(%error, "the trials of fixes stand still");
        }
        reloader.tick().await;
        broken_since = watch_disk(&app, broken_since, count).await;
        if let Err(error) = app.sessions.asking().expire().await {
            tracing::debug!(%error, "questions that ran out could not be ended");
        }
        if let Err(error) = app.sessions.letters().expire().await {
            tracing::debug!(%error, "letters that ran out could not be ended");
        }
    }
}

/// Tells when the store cannot be written, and when it can again. Returns since when it cannot.
async fn watch_disk(app: &AppState, since: Option<Timestamp>, count: u64) -> Option<Timestamp> {
    let problem = app.store.health();
    let Some(since) = since else {
        let problem = problem?;
        tracing::error!(
            ?problem,
            "the store cannot be written; messages are refused"
        );
        return Some(problem.since);
    };
    // Somebody else's write may have shown already that the disk is back.
    if problem.is_some() && !count.is_multiple_of(PROBE_TICKS) {
        return Some(since);
    }
    match app.facts.disk_was_full(since).await {
        Ok(()) => {
            tracing::info!("the store can be written again");
            None
        }
        Err(_) => Some(since),
    }
}

/// In quiet moments, gives back the memory that a burst of work needed, until the gateway stops.
pub(crate) async fn rest(app: AppState, give_back: fn()) {
    let mut pauses = tokio::time::interval(QUIET);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = Quiet::default();
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = pauses.tick() => {}
        }
        let now = (app.store.stats().commits, app.sessions.awake());
        if quiet.is_time(now) {
            app.store.rest().await;
            if tokio::task::spawn_blocking(give_back).await.is_err() {
                tracing::warn!("the allocator could not be asked for memory");
            }
        }
    }
}

/// Tells when a burst is over: what was seen stood still for one look, and differs from what it was
/// when memory was last given back.
#[derive(Debug, Default)]
struct Quiet {
    seen: (u64, usize),
    rested: (u64, usize),
}

impl Quiet {
    /// Takes the number of commits and of sessions that are awake.
    fn is_time(&mut self, now: (u64, usize)) -> bool {
        let stood_still = std::mem::replace(&mut self.seen, now) == now;
        let is_time = stood_still && self.rested != now;
        if is_time {
            self.rested = now;
        }
        is_time
    }
}

/// Keeps the index of what was said up with the transcripts until the gateway stops.
pub(crate) async fn keep_index(app: AppState) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        loop {
            match app.store.index_step().await {
                Ok(true) => tokio::time::sleep(STEP_PAUSE).await,
                Ok(false) => break,
                // Everything is found without it, and the store says itself what is wrong.
                Err(error) => {
                    tracing::debug!(%error, "the index of what was said stands still");
                    break;
                }
            }
            if app.closing.is_cancelled() {
                return;
            }
        }
    }
}

/// Judges the episodes of a rollout as they ripen, until the gateway stops.
pub(crate) async fn keep_rollout(app: AppState) {
    let mut watch = Watch::begin(&app);
    let mut own = Own::default();
    let mut notes = Notes::default();
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Err(error) = app.releases.close_due(app.clock.now()).await {
            tracing::warn!(%error, "episodes could not be ended");
        }
        // What ends a rollout at once is looked for before anything is judged.
        let looked = watch.look(&app).await;
        let (now, random) = (app.clock.now(), || app.random());
        match app.releases.settle_due(now, &looked, &random).await {
            Ok(stages) => {
                for stage in stages {
                    tracing::info!(?stage, "the rollout moved");
                    own.moved(&app, &stage).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the rollout stands still"),
        }
        own.look(&app).await;
        notes.look(&app).await;
    }
}

/// Writes the notes of a promoted candidate into the files; what could not be written is tried again later.
#[derive(Debug, Default)]
struct Notes {
    pause: u64,
}

impl Notes {
    async fn look(&mut self, app: &AppState) {
        self.pause = self.pause.saturating_sub(1);
        if self.pause > 0 {
            return;
        }
        match app.memory.settle().await {
            Ok(0) => {}
            Ok(_) => self.pause = NOTE_TICKS,
            Err(error) => {
                tracing::warn!(%error, "notes of a promoted candidate could not be read");
                self.pause = NOTE_TICKS;
            }
        }
    }
}

/// Removes old rows now and then until the gateway stops.
pub(crate) async fn keep_clean(app: AppState) {
    let mut wait = FIRST_CLEANUP;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = CLEANUP_PAUSE;
        let config = app.config.current();
        let days = config.value.session.maintenance.prune_after_days;
        let keep = Retention {
            deleted_sessions_days: days,
            events_days: days,
        };
        clean_up(&app.store, app.clock.now(), keep, &app.closing).await;
    }
}

/// Removes all that is old, in the small steps that the store takes, and then the objects that no
/// row names any more. The time stands still meanwhile, so there is an end.
async fn clean_up(store: &Store, now: Timestamp, keep: Retention, closing: &CancellationToken) {
    let mut all = 0_u64;
    loop {
        match store.maintain(now, keep).await {
            Ok(0) => break,
            Ok(removed) => all = all.saturating_add(removed),
            Err(error) => {
                tracing::warn!(%error, "old rows could not be removed");
                break;
            }
        }
        tokio::select! {
            () = closing.cancelled() => break,
            () = tokio::time::sleep(STEP_PAUSE) => {}
        }
    }
    if all > 0 {
        tracing::info!(removed = all, "old rows were removed");
    }
    if closing.is_cancelled() {
        return;
    }
    match store.sweep_objects(OBJECT_GRACE).await {
        Ok(swept) if swept.removed > 0 => tracing::info!(
            removed = swept.removed,
            bytes = swept.removed_bytes,
            kept = swept.kept,
            "attachments that no conversation holds were removed"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "unused attachments could not be removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::EventId;
    use instar_protocol::event::{Event, EventKind, GatewayFact};
    use instar_store::{EventFilter, Op, Options};

    const DAY: u64 = 24 * 60 * 60 * 1_000;

    fn event(number: u64, at: u64) -> Op {
        Op::AppendEvent(Event::of_house(
            EventId::from_stored(format!("evt_{number:08}")),
            Timestamp::from_millis(at),
            EventKind::Gateway {
                what: GatewayFact::Stopping,
            },
        ))
    }

    fn keep() -> Retention {
        Retention {
            deleted_sessions_days: 7,
            events_days: 7,
        }
    }

    #[test]
    fn memory_is_given_back_once_after_each_burst_and_again_when_sessions_sleep() {
        let mut quiet = Quiet::default();
        let looks = [(9, 3), (12, 3), (12, 3), (12, 3), (12, 0), (12, 0), (12, 0)];
        let given: Vec<bool> = looks.map(|look| quiet.is_time(look)).to_vec();
        assert_eq!(given, [false, false, true, false, false, true, false]);
        assert!(!Quiet::default().is_time((0, 0)), "nothing has happened");
    }

    #[tokio::test]
    async fn one_clean_up_removes_more_than_one_step_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let mut ops: Vec<Op> = (1..=1_700).map(|n| event(n, n)).collect();
        ops.push(event(9_999, 9 * DAY));
        store.commit(ops).await.unwrap();
        let unused = store.put_object(b"unused".to_vec()).await.unwrap();
        let (begin, end) = unused.as_str().split_at(2);
        let file = store.path().join("objects").join(begin).join(end);
        let long_ago = std::time::SystemTime::now() - 2 * OBJECT_GRACE;
        let file = std::fs::File::open(file).unwrap();
        file.set_modified(long_ago).unwrap();
        let now = Timestamp::from_millis(10 * DAY);
        clean_up(&store, now, keep(), &CancellationToken::new()).await;
        let filter = EventFilter {
            limit: 10,
            ..EventFilter::default()
        };
        let left = store.events(filter).await.unwrap();
        let left: Vec<&str> = left.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(left, ["evt_00009999"]);
        assert!(store.object(&unused).await.is_err(), "no row names it");
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_gateway_that_ends_waits_for_one_step_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let ops: Vec<Op> = (1..=1_700).map(|n| event(n, n)).collect();
        store.commit(ops).await.unwrap();
        let closing = CancellationToken::new();
        closing.cancel();
        let now = Timestamp::from_millis(10 * DAY);
        clean_up(&store, now, keep(), &closing).await;
        assert_ne!(store.maintain(now, keep()).await.unwrap(), 0);
        store.close().await.unwrap();
    }
}
