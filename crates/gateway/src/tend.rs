//! What is done every now and then: reloading, retention, and watching the disk.

use instar_protocol::event::{Arm, Event, EventKind, GatewayFact};
use instar_protocol::{EventId, Label};
use instar_store::{Op, Retention};
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
    let mut broken = false;
    let mut count = 0_u64;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        count += 1;
        reloader.tick().await;
        broken = watch_disk(&app, broken, count).await;
        if count == FIRST_CLEANUP || count.is_multiple_of(CLEANUP_TICKS) {
            clean_up(&app).await;
        }
    }
}

/// Tells when the store cannot be written, and when it can again.
async fn watch_disk(app: &AppState, was_broken: bool, count: u64) -> bool {
    let problem = app.store.health();
    match (&problem, was_broken) {
        (Some(problem), false) => {
            tracing::error!(
                ?problem,
                "the store cannot be written; messages are refused"
            );
        }
        (Some(_), true) if count.is_multiple_of(PROBE_TICKS) => {
            // The write that shows that the disk is back is the event that says so.
            let event = fact(app, GatewayFact::StorageBack);
            if app.store.commit(vec![Op::AppendEvent(event)]).await.is_ok() {
                tracing::info!("the store can be written again");
                return false;
            }
        }
        (None, true) => tracing::info!("the store can be written again"),
        (Some(_), true) | (None, false) => {}
    }
    problem.is_some()
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

fn fact(app: &AppState, what: GatewayFact) -> Event {
    let now = app.clock.now();
    Event {
        id: EventId::new(now, app.random()),
        at: now,
        session: None,
        run: None,
        release: app.releases.stable().map(|release| release.id.clone()),
        arm: Arm::Stable,
        label: Label::system(),
        kind: EventKind::Gateway { what },
    }
}
