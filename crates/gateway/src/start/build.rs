//! Building a gateway, one subsystem after the other.

use instar_agent::port::StoredSessions;
use instar_agent::{Errander, Eyes, Sessions, workspace};
use instar_config::{SecretStore, StateLock};
use instar_egress::Egress;
use instar_models::Models;
use instar_protocol::event::{EventKind, GatewayFact};
use instar_protocol::{Secret, SecretSource, Timestamp};
use instar_release::Releases;
use instar_store::{Store, Synchronous};
use instar_tools::files::FilesPort;
use instar_tools::image::EyesPort;
use instar_tools::owner::OwnerPort;
use instar_tools::{ErrandsPort, Toolbox};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::run::{RunFileGuard, Running};
use super::{Options, StartError};
use crate::app::{App, AppState, ConfigHandle, Current};
use crate::config::{AuthMode, Bind, InstarConfig};
use crate::control::Hub;
use crate::door::{Auth, Digest, Settings, first_token, own_address};
use crate::facts::Facts;
use crate::hands;
use crate::health::{Conditions, Phase};
use crate::http::{self, PeerLimits};
use crate::ledger::{DayLedger, zone_named};
use crate::logging::Logs;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::seams::{self, Objects};
use crate::setup::Desk;
use crate::{age, behaviour, certificate};

/// A shorter token could be guessed.
const TOKEN_CHARS_MIN: usize = 16;

pub(super) async fn build(options: Options) -> Result<Running, StartError> {
    let began = Instant::now();
    let started_at = options.clock.now();
    let lock = prepare(&options)?;
    // What jobs left that were killed with the gateway before this one.
    let _swept = instar_sandbox::confined::sweep();
    let config = ConfigHandle::new(read_config(&options)?);
    let current = config.current();
    let logs = begin_logging(&options, &current.value)?;
    let secrets = SecretStore::open(&options.state, &options.env)
        .map_err(StartError::Secrets)?
        .with_environment(options.env);
    let vault = Arc::new(secrets);
    let secrets: Arc<dyn SecretSource> = vault.clone();
    // A port that is taken ends the start here: no token was made that nobody saw, and no turn of
    // the last run was taken up. Nothing is accepted before all else is ready.
    check_age(&current.value, started_at)?;
    let bound = bind(&options, &current.value).await?;
    let tls = certificate::open(&current.value.gateway, &options.state, bound.address.ip())?;
    let egress = seams::egress(&current.value.egress, &*secrets).map_err(StartError::Egress)?;
    let door = open_door(&options, &current.value, &egress, &*secrets)?;
    let store =
        Store::open(options.state.root(), store_options(&options)?).map_err(StartError::Open)?;
    let signer = crate::signing::signer(&vault, &store).await?;
    drop(vault);
    let releases = Releases::open_signed(store.clone(), signer, started_at).await?;
    releases.hear(options.corrects);
    releases
        .take_up_rollout(started_at, crate::random::ten())
        .await?;
    let metrics = Arc::new(Metrics::default());
    let facts = Facts::new(store.clone(), releases.clone(), Arc::clone(&options.clock));
    let ledger = open_ledger(&options, &current.value, &store, &facts, &metrics).await?;
    let models = build_models(
        &options,
        &current.value,
        egress.clone(),
        &store,
        &ledger,
        &secrets,
    )?;
    let discovered = discover(&options, &current.value, &models).await;
    let mut toolbox = Toolbox::built_in(Arc::new(StoredSessions::new(
        store.clone(),
        releases.clone(),
        Arc::clone(&options.clock),
    )));
    let browsers = hands::browser::browsers(&options.state, &config, &egress);
    let parts = hands::Parts {
        store: store.clone(),
        config: config.clone(),
        state: options.state.clone(),
        clock: Arc::clone(&options.clock),
        egress: egress.clone(),
        secrets: Arc::clone(&secrets),
        browsers: browsers.clone(),
    };
    let (files, programs, memory) = hands::equip(&mut toolbox, &parts)?;
    let errander = Arc::new(Errander::default());
    let errands: Arc<dyn ErrandsPort> = errander.clone();
    toolbox.run_errands(&errands)?;
    let owner: Arc<dyn OwnerPort> = errander.clone();
    toolbox.extend(instar_tools::owner::tools(&owner))?;
    let eyes = Arc::new(Eyes::default());
    let seeing: Arc<dyn EyesPort> = eyes.clone();
    let pictures: Arc<dyn FilesPort> = Arc::new(files.clone());
    toolbox.register(instar_tools::image::tool(&pictures, &seeing))?;
    let toolbox = Arc::new(toolbox);
    // Before the workspace is read: what a program left there at the last stop gets its label.
    programs.settle_left().await;
    memory.settle().await?;
    adopt(
        &options,
        &current.value,
        &toolbox,
        &programs,
        &releases,
        discovered.as_deref(),
        started_at,
    )
    .await?;
    let sessions = Sessions::start(
        instar_agent::Parts {
            store: store.clone(),
            models: models.clone(),
            releases: releases.clone(),
            tools: Arc::clone(&toolbox),
            clock: Arc::clone(&options.clock),
        },
        current.value.agent_config(),
    );
    errander.connect(&sessions);
    let healing = Arc::new(crate::healing::Healing::open(&store).await?);
    let thrown = crate::healing::thrown(&store, started_at).await?;
    sessions.judge_trials(healing.clone(), thrown);
    eyes.connect(&sessions);
    let Door {
        settings,
        local,
        made,
    } = door;
    let auth = Auth::new(
        settings,
        Digest::of(local.expose()),
        store.clone(),
        Arc::clone(&options.clock),
    );
    let app = AppState::new(App {
        store,
        sessions,
        models,
        egress,
        releases,
        toolbox,
        files,
        programs,
        memory,
        browsers,
        ledger,
        config,
        secrets,
        token_override: options.token.is_some(),
        state_dir: options.state.clone(),
        clock: Arc::clone(&options.clock),
        facts,
        metrics,
        logs,
        auth,
        tls,
        conditions: Conditions::default(),
        control: Hub::default(),
        tasks: TaskTracker::new(),
        closing: CancellationToken::new(),
        started_at,
        start_ms: AtomicU64::new(0),
        url: OnceLock::new(),
        discovered,
        env: options.env,
        checks: Arc::new(Semaphore::new(crate::gates::CHECKS_AT_ONCE)),
        gates_asked: AtomicU64::new(0),
        bodies: Arc::new(Semaphore::new(http::HELD_KIB)),
        peers: PeerLimits::default(),
        lab: crate::lab::Lab::default(),
        healing,
        desk: Desk::default(),
    });
    let asserts = crate::gates::answers::Asserts::of(&app);
    app.sessions.judge_answers(Arc::new(asserts));
    let _task = app.tasks.spawn(hands::browser::tend(app.clone()));
    let recovered = app.sessions.recover().await?;
    log_recovery(recovered);
    let running = accept(&options, app, bound, &local, lock, made)?;
    ready(&running, began);
    Ok(running)
}

fn prepare(options: &Options) -> Result<Option<StateLock>, StartError> {
    let mut probe = [0_u8; 1];
    getrandom::fill(&mut probe).map_err(StartError::Random)?;
    options.state.prepare()?;
    Ok(if options.lock {
        Some(options.state.lock()?)
    } else {
        None
    })
}

/// Reads the configuration; what is wrong with it is reported as a whole.
fn read_config(options: &Options) -> Result<Current, StartError> {
    let file = options.state.config_file();
    let current = instar_config::load_with(file, &options.env, InstarConfig::problems)?;
    Ok(current)
}

fn begin_logging(options: &Options, config: &InstarConfig) -> Result<Logs, StartError> {
    if !options.logging {
        return Ok(Logs::nowhere());
    }
    let path = options.state.log_file();
    Logs::begin(&config.logging, &path).map_err(|source| StartError::Io {
        doing: "open the log",
        path,
        source,
    })
}

/// Flushing can be switched off, so that its price can be measured and its absence be noticed.
fn store_options(options: &Options) -> Result<instar_store::Options, StartError> {
    let synchronous = match (options.env)("INSTAR_STORE_SYNCHRONOUS").as_deref() {
        None | Some("" | "full") => Synchronous::Full,
        Some("off") => {
            tracing::warn!(
                "INSTAR_STORE_SYNCHRONOUS is off: a power cut loses what was acknowledged; for measuring only"
            );
            Synchronous::Off
        }
        Some(_) => return Err(StartError::Synchronous),
    };
    Ok(instar_store::Options {
        synchronous,
        ..instar_store::Options::default()
    })
}

/// What the door is made of, before there is a store.
struct Door {
    settings: Settings,
    /// For commands of the same user; in the run file only.
    local: Secret,
    /// The token, if it was made just now.
    made: Option<Secret>,
}

/// Gets every secret that the door needs. One that is missing stops the start: a listener that
/// cannot tell its callers apart is not opened.
fn open_door(
    options: &Options,
    config: &InstarConfig,
    egress: &Egress,
    secrets: &dyn SecretSource,
) -> Result<Door, StartError> {
    let auth = &config.gateway.auth;
    let mut made = None;
    let token = match (auth.mode, &options.token) {
        (AuthMode::Token, Some(token)) if token.expose().chars().count() < TOKEN_CHARS_MIN => {
            return Err(StartError::ShortToken);
        }
        (AuthMode::Token, Some(token)) => Some(Digest::of(token.expose())),
        (AuthMode::Token, None) => {
            let (digest, fresh) = first_token(&options.state)?;
            made = fresh;
            Some(digest)
        }
        (AuthMode::Password | AuthMode::TrustedProxy, _) => None,
    };
    let password = match (auth.mode, &auth.password) {
        (AuthMode::Password, Some(reference)) => {
            Some(secrets.secret(reference).map_err(StartError::Auth)?)
        }
        _ => None,
    };
    let local = crate::door::local_secret().map_err(StartError::Random)?;
    let proxies = &config.gateway.trusted_proxies;
    let settings = Settings::new(auth, proxies, egress, token, password.map(Ok));
    Ok(Door {
        settings,
        local,
        made,
    })
}

async fn open_ledger(
    options: &Options,
    config: &InstarConfig,
    store: &Store,
    facts: &Facts,
    metrics: &Arc<Metrics>,
) -> Result<Arc<DayLedger>, StartError> {
    let zone = zone_named(config.agents.defaults.user_timezone.as_deref());
    let (clock, facts, metrics) = (
        Arc::clone(&options.clock),
        facts.clone(),
        Arc::clone(metrics),
    );
    let ledger = DayLedger::open(store.clone(), clock, zone, facts, metrics).await?;
    Ok(Arc::new(ledger))
}

fn build_models(
    options: &Options,
    config: &InstarConfig,
    egress: Egress,
    store: &Store,
    ledger: &Arc<DayLedger>,
    secrets: &Arc<dyn SecretSource>,
) -> Result<Models, StartError> {
    let parts = instar_models::Parts {
        clock: Arc::clone(&options.clock),
        secrets: Arc::clone(secrets),
        objects: Arc::new(Objects(store.clone())),
        ledger: Arc::clone(ledger) as Arc<dyn instar_models::Ledger>,
        local: options.local_models.clone(),
        env: options.env,
    };
    Models::new(config.models.clone(), egress, parts).map_err(StartError::Models)
}

/// The model for agents that name none: what is found, or the one of last resort.
async fn discover(options: &Options, config: &InstarConfig, models: &Models) -> Option<String> {
    let agents = config.agent_config().agents();
    if agents.iter().all(|agent| agent.model.is_some()) {
        return options.fallback_model.clone();
    }
    let found = if options.discover {
        models.discover().await
    } else {
        None
    };
    found
        .map(|model| model.to_string())
        .or_else(|| options.fallback_model.clone())
}

async fn adopt(
    options: &Options,
    config: &InstarConfig,
    toolbox: &Toolbox,
    programs: &hands::Programs,
    releases: &Releases,
    discovered: Option<&str>,
    now: Timestamp,
) -> Result<(), StartError> {
    for folder in behaviour::folders(config, &options.state) {
        workspace::seed(&folder)?;
    }
    let mut behaviour = behaviour::compose(config, toolbox, &options.state, discovered)?;
    programs.leave_out_planted(&mut behaviour).await?;
    let reason = "workspace and configuration at the start";
    let (id, moved) = releases
        .adopt_files(behaviour, reason, now, crate::random::ten())
        .await?;
    if moved {
        tracing::info!(release = id.short(), "the behaviour changed");
    }
    Ok(())
}

/// The event of it is the agent's own.
fn log_recovery((resumed, interrupted, uncertain): (u64, u64, u64)) {
    if resumed + interrupted + uncertain == 0 {
        return;
    }
    tracing::warn!(
        resumed,
        interrupted,
        uncertain,
        "settled what the last stop left"
    );
}

/// A version that is too old is not opened to others; to this machine it is, so that it can be mended.
fn check_age(config: &InstarConfig, now: Timestamp) -> Result<(), StartError> {
    let gateway = &config.gateway;
    match gateway.max_version_age_days {
        Some(limit) if gateway.bind != Bind::Loopback && age::is_over(Some(limit), now) => {
            let days = age::days(now);
            Err(StartError::TooOld { days, limit })
        }
        _ => Ok(()),
    }
}

async fn address(options: &Options, config: &InstarConfig) -> Result<SocketAddr, StartError> {
    let gateway = &config.gateway;
    let ip = match gateway.bind {
        _ if options.only_here => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Bind::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Bind::Lan => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Bind::Tailnet => own_address(&gateway.auth.tailscale)
            .await
            .map_err(StartError::Tailnet)?,
        // Checked when the configuration was read.
        Bind::Custom => gateway
            .custom_bind_host
            .as_deref()
            .and_then(|host| host.parse().ok())
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    Ok(SocketAddr::new(ip, options.port.unwrap_or(gateway.port)))
}

/// A socket that listens and that nothing is accepted from yet.
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

async fn bind(options: &Options, config: &InstarConfig) -> Result<Bound, StartError> {
    let wanted = address(options, config).await?;
    let failed = |source| StartError::Listen {
        address: wanted,
        source,
    };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address })
}

fn accept(
    options: &Options,
    app: AppState,
    bound: Bound,
    local: &Secret,
    lock: Option<StateLock>,
    made: Option<Secret>,
) -> Result<Running, StartError> {
    let Bound { listener, address } = bound;
    let config = app.config.current();
    let ip = if address.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        address.ip()
    };
    let scheme = if app.tls.is_some() { "https" } else { "http" };
    let reached = format!("{scheme}://{}", SocketAddr::new(ip, address.port()));
    let public = config.value.gateway.public_origin.clone();
    let _first = app.url.set(public.unwrap_or_else(|| reached.clone()));
    let router = http::router(app.clone());
    let max = config.value.gateway.limits.connections;
    let listening = http::listen(app.clone(), router, listener, max);
    let run_file = write_run_file(&app, reached, local)?;
    let reloader = Reloader::new(app.clone());
    let _task = app.tasks.spawn(crate::tend::tend(app.clone(), reloader));
    let _task = app.tasks.spawn(crate::tend::keep_clean(app.clone()));
    let _task = app.tasks.spawn(crate::tend::keep_rollout(app.clone()));
    let _task = app.tasks.spawn(crate::lab::keep(app.clone()));
    let _task = app.tasks.spawn(crate::advert::tend(app.clone(), address));
    let _task = app.tasks.spawn(crate::control::pump(app.clone()));
    let _task = app.tasks.spawn(crate::control::approvals(app.clone()));
    let _task = app.tasks.spawn(crate::control::questions(app.clone()));
    let _task = app.tasks.spawn(crate::control::heartbeats(app.clone()));
    let _task = app.tasks.spawn(crate::tend::keep_index(app.clone()));
    let _task = app.tasks.spawn(hands::mcp::tend(app.clone()));
    let _task = app.tasks.spawn(crate::control::expiry::watch(app.clone()));
    let _task = app.tasks.spawn(crate::control::tick(app.clone()));
    let _task = app
        .tasks
        .spawn(crate::tend::rest(app.clone(), options.give_back));
    Ok(Running::new(app, listening, address, run_file, lock, made))
}

fn write_run_file(app: &AppState, url: String, local: &Secret) -> Result<RunFileGuard, StartError> {
    let path = app.state_dir.run_file();
    let fingerprint = app.fingerprint();
    RunFileGuard::write(path.clone(), url, local, fingerprint).map_err(|source| StartError::Io {
        doing: "write",
        path,
        source,
    })
}

fn ready(running: &Running, began: Instant) {
    let app = running.app();
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    app.start_ms.store(millis, Ordering::Relaxed);
    app.conditions.enter(Phase::Ready);
    tracing::info!(url = app.url(), millis, "the gateway is ready");
    app.note(EventKind::Gateway {
        what: GatewayFact::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            millis,
        },
    });
}
