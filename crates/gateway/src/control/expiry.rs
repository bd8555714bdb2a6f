//! Sockets that a browser opened end with the session that let it in.
//!
//! Signing out ends them at once. A session that runs out, or that the store let go to make room for
//! others, ends without anybody saying so: here is who looks.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

use crate::app::AppState;

/// How often is looked: what a session opened ends within a second of it. Real time passes here, and
/// the wall clock decides, so that a machine that slept loses nothing.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ends what sessions opened that are over, until the gateway stops.
pub(crate) async fn watch(app: AppState) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = app.control.count();
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            present = count.wait_for(|count| *count > 0) => if present.is_err() { return },
        }
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = looks.tick() => look(&app).await,
        }
    }
}

async fn look(app: &AppState) {
    let links = app.control.all();
    let now = app.clock.now();
    if links.iter().any(|link| link.who.is_over(now)) {
        app.control.close_over(now);
    }
    let sessions: BTreeSet<&str> = links
        .iter()
        .filter_map(|link| link.who.session.as_deref())
        .collect();
    for session in sessions {
        match app.auth.is_signed_in(session).await {
            Ok(true) => {}
            Ok(false) => app.control.close_session(session),
            // As long as nobody can tell, nobody new gets in either.
            Err(problem) => tracing::warn!(?problem, "a browser session could not be looked up"),
        }
    }
}
