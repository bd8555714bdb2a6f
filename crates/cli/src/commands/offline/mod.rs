//! Questions to the state folder itself, for when no gateway runs on it.
//!
//! The state lock is held for as long as the store is open, so a gateway that starts meanwhile is
//! told who has the folder, and two writers never meet.

mod lab;
mod releases;

use instar_config::{SecretStore, StateDir, StateError, StateLock};
use instar_gateway::api::search::{self, SearchQuery};
use instar_gateway::api::{doctor, queries, records};
use instar_gateway::config::InstarConfig;
use instar_gateway::policing;
use instar_gateway::security::{Kept, Subject, audit};
use instar_gateway::skills;
use instar_protocol::api::{
    BranchList, Finding, Health, SearchReport, SessionDetail, SessionList, Severity, UsageReport,
};
use instar_protocol::approvals::{QuestionList, ReceiptPage, RuleList};
use instar_protocol::contact::Contacts;
use instar_protocol::devices::DeviceList;
use instar_protocol::letter::LetterList;
use instar_protocol::policy::{Explained, PolicyReport, PolicyTests, PostureReport};
use instar_protocol::receipt::ChainReport;
use instar_protocol::security::SecurityReport;
use instar_protocol::time::SystemClock;
use instar_protocol::{AgentId, Clock};
use instar_release::Releases;
use instar_store::{Options, Store};
use serde_json::Value;

use crate::args::Usage;
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};

pub(crate) use lab::{case, cycles, fault, foreign, keep_gene, ledger, take_over, trials, try_fix};
pub(crate) use releases::{
    candidate, endorse, export, import, release, release_keys, roll_back, rollout, rollout_move,
    rotate, sign, statement,
};

/// The running gateway, or nothing if none answers and the folder may be opened instead.
pub(crate) async fn live(run: &Context) -> anyhow::Result<Option<Client>> {
    let Some(client) = Client::find(&run.state()?)? else {
        return Ok(None);
    };
    Ok(if client.alive().await {
        Some(client)
    } else {
        None
    })
}

/// The opened folder.
struct Folder {
    store: Store,
    _lock: StateLock,
}

impl Folder {
    fn open(state: &StateDir) -> anyhow::Result<Self> {
        if !state.root().join("instar.sqlite").exists() {
            let message = format!("{} holds no conversations yet", state.root().display());
            return Err(Failure::new(Code::NotFound, message)
                .next("start with `instar up`")
                .into());
        }
        let lock = lock(state)?;
        Ok(Self {
            store: Store::open(state.root(), Options::default())?,
            _lock: lock,
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(self.store.close().await?)
    }
}

/// The folder with its releases, as they are stored.
async fn opened(run: &Context) -> anyhow::Result<(Folder, Releases)> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    Ok((folder, releases))
}

/// Takes the folder's lock, or says who has it.
pub(crate) fn lock(state: &StateDir) -> anyhow::Result<StateLock> {
    state.lock().map_err(|error| match error {
        StateError::Locked { .. } => Failure::new(Code::Locked, error.to_string())
            .next("ask that gateway (`instar status`), or stop it first")
            .into(),
        other => other.into(),
    })
}

fn explain(error: queries::QueryError) -> anyhow::Error {
    let code = match error {
        queries::QueryError::NotFound { .. } | queries::QueryError::Nothing(_) => Code::NotFound,
        queries::QueryError::Conflict(_) => Code::Refused,
        queries::QueryError::Invalid { .. } => Code::Usage,
        other => return other.into(),
    };
    let failure = Failure::new(code, error.to_string());
    match error.next_step() {
        Some(step) => failure.next(step).into(),
        None => failure.into(),
    }
}

pub(crate) async fn sessions(
    run: &Context,
    search: Option<&str>,
    deleted: bool,
    limit: usize,
) -> anyhow::Result<SessionList> {
    let folder = Folder::open(&run.state()?)?;
    let query = queries::SessionsQuery {
        search: search.map(str::to_owned),
        deleted,
        limit: Some(limit),
        ..queries::SessionsQuery::default()
    };
    let list = queries::sessions(&folder.store, &query)
        .await
        .map_err(explain)?;
    folder.close().await?;
    Ok(list)
}

pub(crate) async fn search(run: &Context, query: &SearchQuery) -> anyhow::Result<SearchReport> {
    let folder = Folder::open(&run.state()?)?;
    let found = search::search(&folder.store, query).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn session(run: &Context, name: &str) -> anyhow::Result<SessionDetail> {
    let folder = Folder::open(&run.state()?)?;
    let detail = queries::session_detail(&folder.store, name, None)
        .await
        .map_err(explain)?;
    folder.close().await?;
    Ok(detail)
}

pub(crate) async fn usage(run: &Context, command: &Usage) -> anyhow::Result<UsageReport> {
    let folder = Folder::open(&run.state()?)?;
    let report = queries::usage(
        &folder.store,
        command.from.as_deref(),
        command.to.as_deref(),
        queries::Budgets::default(),
        SystemClock.now(),
    )
    .await
    .map_err(explain)?;
    folder.close().await?;
    Ok(report)
}

/// What can be checked without a gateway.
pub(crate) async fn doctor(run: &Context) -> anyhow::Result<Vec<Finding>> {
    let state = run.state()?;
    let mut findings = vec![Finding {
        check: "gateway".to_owned(),
        severity: Severity::Notice,
        message: "no gateway runs".to_owned(),
        next_step: Some("start one with `instar up`".to_owned()),
    }];
    if !state.root().exists() {
        return Ok(findings);
    }
    let config = instar_config::load::<InstarConfig>(state.config_file(), &environment);
    let health = match &config {
        Ok(_) => Health::sound(),
        Err(error) => Health::broken(error.to_string(), "see each with `instar config validate`"),
    };
    findings.push(doctor::config(&health, state.config_file()));
    let names = SecretStore::open(&state, &environment)
        .and_then(|secrets| secrets.names())
        .map(|names| names.len())
        .map_err(|error| error.to_string());
    findings.push(doctor::secrets(
        names.as_ref().copied().map_err(String::as_str),
    ));
    findings.push(doctor::modes(state.root()));
    findings.push(doctor::space(state.root()));
    if let Ok(config) = &config {
        findings.extend(config.value.browser.finding());
        findings.push(skills::finding(&config.value, &state, &skills::built_in()));
        let improve = &config.value.improve;
        findings.extend(improve.rollout.finding(improve.embedder.is_some()));
    }
    if state.root().join("instar.sqlite").exists() {
        let folder = Folder::open(&state)?;
        findings.extend(doctor::store(&folder.store).await);
        findings.push(doctor::uncertain(&folder.store).await);
        findings.push(doctor::clock(&folder.store, SystemClock.now()).await);
        folder.close().await?;
    }
    Ok(findings)
}

pub(crate) async fn devices(run: &Context) -> anyhow::Result<DeviceList> {
    let folder = Folder::open(&run.state()?)?;
    let known = queries::devices(&folder.store).await.map_err(explain)?;
    folder.close().await?;
    Ok(serde_json::from_value(known)?)
}

pub(crate) async fn branches(
    run: &Context,
    name: &str,
    limit: usize,
) -> anyhow::Result<BranchList> {
    let folder = Folder::open(&run.state()?)?;
    let found = queries::branches(&folder.store, name, Some(limit)).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn questions(
    run: &Context,
    state: &str,
    limit: usize,
) -> anyhow::Result<QuestionList> {
    let folder = Folder::open(&run.state()?)?;
    let query = records::QuestionsQuery {
        state: Some(state.to_owned()),
        limit: Some(limit),
    };
    let found = records::questions(&folder.store, &query, SystemClock.now()).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn letters(
    run: &Context,
    state: &str,
    limit: usize,
) -> anyhow::Result<LetterList> {
    let folder = Folder::open(&run.state()?)?;
    let query = records::LettersQuery {
        state: Some(state.to_owned()),
        limit: Some(limit),
    };
    let found = records::letters(&folder.store, &query, SystemClock.now()).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn rules(run: &Context) -> anyhow::Result<RuleList> {
    let folder = Folder::open(&run.state()?)?;
    let found = records::rules(&folder.store, SystemClock.now()).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn receipts(
    run: &Context,
    session: Option<&str>,
    before: Option<u64>,
    limit: usize,
) -> anyhow::Result<ReceiptPage> {
    let folder = Folder::open(&run.state()?)?;
    let query = records::ReceiptsQuery {
        session: session.map(str::to_owned),
        before,
        limit: Some(limit),
    };
    let found = records::receipts(&folder.store, &query).await;
    let found = found.map_err(explain)?;
    folder.close().await?;
    Ok(found)
}

pub(crate) async fn chain(run: &Context, noted: Option<&str>) -> anyhow::Result<ChainReport> {
    let folder = Folder::open(&run.state()?)?;
    let query = records::ChainQuery {
        noted: noted.map(str::to_owned),
    };
    let report = records::chain(&folder.store, &query).await;
    let report = report.map_err(explain)?;
    folder.close().await?;
    Ok(report)
}

/// The security audit of a folder that no gateway runs on.
pub(crate) async fn security(run: &Context, deep: bool) -> anyhow::Result<SecurityReport> {
    let state = run.state()?;
    let loaded = instar_config::load::<InstarConfig>(state.config_file(), &environment);
    let kept = if state.root().join("instar.sqlite").exists() {
        let folder = Folder::open(&state)?;
        let kept = Kept::read(&folder.store, SystemClock.now(), deep).await?;
        folder.close().await?;
        kept
    } else {
        Kept::default()
    };
    let subject = Subject {
        state,
        config: loaded
            .map(|loaded| loaded.value)
            .map_err(|error| error.to_string()),
        kept,
        tools: None,
        deep,
    };
    Ok(audit(&subject))
}

/// The folder with the authority that would be in force, and what is wrong with the owner's rules.
async fn authority(
    run: &Context,
) -> anyhow::Result<(Folder, InstarConfig, policing::Authority, Vec<String>)> {
    let state = run.state()?;
    let loaded = instar_config::load::<InstarConfig>(state.config_file(), &environment)?;
    let folder = Folder::open(&state)?;
    let found = policing::authority_on_disk(&folder.store, &loaded.value, &state).await;
    let (authority, problems) = found.map_err(explain)?;
    Ok((folder, loaded.value, authority, problems))
}

pub(crate) async fn policy(
    run: &Context,
    agent: Option<&str>,
    asker: &str,
) -> anyhow::Result<PolicyReport> {
    let (folder, _, authority, problems) = authority(run).await?;
    folder.close().await?;
    let agent = match agent {
        Some(agent) => AgentId::parse(agent)?,
        None => AgentId::main(),
    };
    let role = serde_json::from_value(Value::from(asker))?;
    Ok(policing::report(&authority, &agent, role, problems))
}

pub(crate) async fn explain_call(run: &Context, body: Value) -> anyhow::Result<Explained> {
    let asked: policing::ExplainCall = serde_json::from_value(body).map_err(|error| {
        Failure::new(Code::Usage, error.to_string())
            .next("the fields are in docs/policy.md, under tests of rules")
    })?;
    let (folder, _, authority, _) = authority(run).await?;
    let told = policing::explain(&folder.store, &authority, &asked, SystemClock.now()).await;
    let told = told.map_err(explain)?;
    folder.close().await?;
    Ok(told)
}

pub(crate) async fn decision(run: &Context, id: &str) -> anyhow::Result<Explained> {
    let (folder, _, authority, _) = authority(run).await?;
    let told = policing::decision(&folder.store, &authority, id).await;
    let told = told.map_err(explain)?;
    folder.close().await?;
    Ok(told)
}

pub(crate) async fn policy_test(run: &Context) -> anyhow::Result<PolicyTests> {
    let (folder, _, authority, _) = authority(run).await?;
    folder.close().await?;
    Ok(policing::test(&run.state()?, &authority))
}

pub(crate) async fn contacts(run: &Context) -> anyhow::Result<Contacts> {
    let (folder, _, authority, _) = authority(run).await?;
    let known = policing::contacts(&folder.store, &authority).await;
    let known = known.map_err(explain)?;
    folder.close().await?;
    Ok(known)
}

pub(crate) async fn posture(run: &Context, days: u32) -> anyhow::Result<PostureReport> {
    let (folder, config, authority, _) = authority(run).await?;
    let (days, writers) = (Some(days), config.writers());
    let now = SystemClock.now();
    let report = policing::posture(&folder.store, &authority, &writers, days, now).await;
    let report = report.map_err(explain)?;
    folder.close().await?;
    Ok(report)
}
