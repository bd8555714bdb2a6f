//! What is done every now and then: reloading, retention, and watching the disk.

use instar_protocol::Timestamp;
use instar_store::Retention;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

use crate::app::AppState;
use crate::reload::Reloader;

const TICK: Duration = Duration::from_secs(1);
/// Ticks between two attempts to write to a store that could not be written.
const PROBE_TICKS: u64 = 5;
/// Ticks before the first clean-up and between two.
const FIRST_CLEANUP: u64 = 60;
const CLEANUP_TICKS: u64 = 3_600;

/// Runs until the gateway stops.
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
        reloader.tick().await;
        broken_since = watch_disk(&app, broken_since, count).await;
        if count == FIRST_CLEANUP || count.is_multiple_of(CLEANUP_TICKS) {
            clean_up(&app).await;
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

async fn clean_up(app: &AppState) {
    let days = app
        .config
        .current()
        .value
        .session
        .maintenance
        .prune_after_days;
    let keep = Retention {
        deleted_sessions_days: days,
        events_days: days,
    };
    match app.store.maintain(app.clock.now(), keep).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "old rows were removed"),
        Err(error) => tracing::warn!(%error, "old rows could not be removed"),
    }
}
