//! `GET /status` and `GET /doctor`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use instar_config::SecretStore;
use instar_protocol::api::{Finding, Status};
use instar_protocol::event::ErrorClass;
use instar_protocol::live::UserError;
use instar_protocol::model::ModelRef;

use super::doctor::{self, Exposure};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;
use crate::rotation::WAITING;
use crate::skills;

/// Uncertain replies that are counted.
const UNCERTAIN_MAX: usize = 1_000;
/// How long the doctor waits for the model.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn status(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Status>, ApiProblem> {
    Ok(Json(now(&app).await?))
}

/// How the gateway is at this moment.
pub(crate) async fn now(app: &AppState) -> Result<Status, ApiProblem> {
    let now = app.clock.now();
    let uptime = now.since(app.started_at).as_millis();
    let current = app.config.current();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        version_age_days: crate::age::days(now),
        pid: std::process::id(),
        url: app.url().to_owned(),
        started_at: app.started_at,
        uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
        start_ms: app.start_ms.load(Ordering::Relaxed),
        state_dir: app.state_dir.root().display().to_string(),
        config_file: app.state_dir.config_file().display().to_string(),
        agent: app.default_agent().to_string(),
        model: app.default_model(),
        release: app.releases.stable().map(|release| release.id.clone()),
        sessions: app.store.session_count().await?,
        running_turns: u64::try_from(app.sessions.running()).unwrap_or(u64::MAX),
        auth_mode: current.value.gateway.auth.mode.as_str().to_owned(),
        fingerprint: app.fingerprint(),
        store: app.store_health(),
        config: app.config_health(),
        waiting_for_restart: app.conditions.waiting(),
        models: app.models_health(),
        budget: app.budget_health(),
        uncertain: u64::try_from(app.store.uncertain(UNCERTAIN_MAX).await?.len())
            .unwrap_or(u64::MAX),
        memory_bytes: crate::process::resident_bytes(),
    })
}

pub(super) async fn doctor(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<Finding>>, ApiProblem> {
    Ok(Json(doctor_findings(&app).await?))
}

/// All checks, the ones that take long side by side.
pub(crate) async fn doctor_findings(app: &AppState) -> Result<Vec<Finding>, ApiProblem> {
    let on_disk = {
        let app = app.clone();
        tokio::task::spawn_blocking(move || disk_checks(&app))
    };
    let (on_disk, store, uncertain, clock, model) = tokio::join!(
        on_disk,
        doctor::store(&app.store),
        doctor::uncertain(&app.store),
        doctor::clock(&app.store, app.clock.now()),
        model(app),
    );
    let mut found = vec![doctor::config(
        &app.config_health(),
        app.state_dir.config_file(),
    )];
    found.extend(on_disk.map_err(|error| {
        tracing::error!(%error, "a check of the doctor failed");
        ApiProblem::internal()
    })?);
    found.extend(store);
    found.push(uncertain);
    found.push(clock);
    found.extend(doctor::workspace(app.releases.stable().as_deref()));
    if let Some(exposure) = exposure(app) {
        found.push(doctor::exposure(&exposure));
    }
    found.push(model);
    Ok(found)
}

fn disk_checks(app: &AppState) -> Vec<Finding> {
    let root = app.state_dir.root();
    let env = app.env;
    let secrets = SecretStore::open(&app.state_dir, &env).and_then(|store| store.names());
    let waits = secrets
        .as_ref()
        .is_ok_and(|names| names.iter().any(|name| name == WAITING));
    let secrets = match &secrets {
        Ok(names) => Ok(names.len()),
        Err(error) => Err(error.to_string()),
    };
    let mut found = vec![
        doctor::modes(root),
        doctor::space(root),
        doctor::secrets(secrets.as_ref().copied().map_err(String::as_str)),
    ];
    found.extend(waits.then(doctor::token_waits));
    let config = app.config.current();
    found.extend(config.value.browser.finding());
    let tools = app.toolbox.annotations().into_keys().collect();
    found.push(skills::finding(&config.value, &app.state_dir, &tools));
    let improve = &config.value.improve;
    found.extend(improve.rollout.finding(improve.embedder.is_some()));
    found
}

/// Asks the model that answers plain messages for one word.
async fn model(app: &AppState) -> Finding {
    let name = app.default_model();
    let configured = app
        .models
        .list()
        .iter()
        .any(|model| model.id == name && model.configured);
    let Some(model) = ModelRef::parse(&name) else {
        return doctor::model(&name, false, None);
    };
    let probed = match tokio::time::timeout(PROBE_TIMEOUT, app.models.probe(&model)).await {
        Ok(probe) if probe.ok => Ok(probe.millis),
        Ok(probe) => Err((probe.class, probe.message)),
        Err(_) => Err((
            Some(ErrorClass::Timeout),
            format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
        )),
    };
    let probed = probed.map_err(|(class, message)| UserError {
        class: class.unwrap_or(ErrorClass::Internal),
        message,
        next_step: "try `instar models probe`, or choose another with `instar models set`"
            .to_owned(),
    });
    // A model that was named in the configuration need not be in the catalogue to answer.
    let found = doctor::model(&name, configured || probed.is_ok(), Some(probed));
    doctor::held_by_budget(found, &name, app.models.escapes_budget(&model))
}

fn exposure(app: &AppState) -> Option<Exposure> {
    let url = url::Url::parse(app.url()).ok()?;
    let address = url.socket_addrs(|| None).ok()?.into_iter().next()?;
    Some(Exposure {
        address,
        tls: app.tls.is_some(),
        auth_mode: app
            .config
            .current()
            .value
            .gateway
            .auth
            .mode
            .as_str()
            .to_owned(),
    })
}
