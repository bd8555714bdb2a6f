//! A new API token every so often, where the owner wants that.
//!
//! Only the token's digest is kept, so the new text waits in the encrypted store of secrets until
//! somebody takes it, once.

use instar_config::{SecretError, SecretStore};
use instar_protocol::{Secret, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::app::{App, AppState};
use crate::config::AuthMode;
use crate::door::{fresh_token, keep_token, token_file};
use crate::problem::chain;

/// The name in the store of secrets under which a token waits.
pub const WAITING: &str = "gateway-token-waiting";

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Changes the token if it is old enough.
pub(crate) async fn tick(app: &AppState) {
    if !is_due(app) {
        return;
    }
    let app = app.clone();
    // The store of secrets is a file behind a slow lock.
    let rotated = tokio::task::spawn_blocking(move || rotate(&app)).await;
    match rotated {
        Ok(Ok(())) => tracing::warn!(
            "the API token was changed on schedule; `instar token take` shows the new one once"
        ),
        Ok(Err(why)) => tracing::error!(why, "the API token is due, and stays as it is"),
        Err(error) => tracing::error!(%error, "the API token is due, and stays as it is"),
    }
}

fn is_due(app: &App) -> bool {
    let config = app.config.current();
    let auth = &config.value.gateway.auth;
    let Some(days) = auth
        .rotate_every_days
        .filter(|_| auth.mode == AuthMode::Token)
    else {
        return false;
    };
    // One that came from outside is not ours to change.
    !app.token_override && made_at(app).is_some_and(|at| app.clock.now().since(at) >= DAY * days)
}

fn made_at(app: &App) -> Option<Timestamp> {
    let written: SystemTime = std::fs::metadata(token_file(&app.state_dir))
        .ok()?
        .modified()
        .ok()?;
    let millis = written.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(Timestamp::from_millis(u64::try_from(millis).ok()?))
}

/// First the text goes where the owner finds it, then it is put in force: cut in between, the old
/// token goes on.
fn rotate(app: &App) -> Result<(), String> {
    let store = SecretStore::open(&app.state_dir, &app.env).map_err(|error| chain(&error))?;
    let token = fresh_token().map_err(|error| chain(&error))?;
    store.set(WAITING, &token).map_err(|error| chain(&error))?;
    keep_token(&app.state_dir, &token).map_err(|error| chain(&error))
}

/// The token that waits, for this once.
pub fn take(store: &SecretStore) -> Result<Option<Secret>, SecretError> {
    if !store.names()?.iter().any(|name| name == WAITING) {
        return Ok(None);
    }
    let token = store.get(WAITING)?;
    let _there = store.remove(WAITING)?;
    Ok(Some(token))
}
