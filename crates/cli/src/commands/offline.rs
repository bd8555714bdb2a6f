//! Questions to the state folder itself, for when no gateway runs on it.
//!
//! The state lock is held for as long as the store is open, so a gateway that starts meanwhile is
//! told who has the folder, and two writers never meet.

use instar_config::{SecretStore, StateDir, StateError, StateLock};
use instar_gateway::api::candidates::{self, NewCandidate};
use instar_gateway::api::search::{self, SearchQuery};
use instar_gateway::api::{RollBack, RolledBack, doctor, queries, records};
use instar_gateway::api::{healing, rollouts};
use instar_gateway::config::InstarConfig;
use instar_gateway::healing::GeneAsked;
use instar_gateway::security::{Kept, Subject, audit};
use instar_gateway::signing::{self, Endorse, Endorsed, Import, Imported, VerifyQuery};
use instar_gateway::{lab, policing};
use instar_protocol::api::{
    BranchList, Finding, Health, SearchReport, SessionDetail, SessionList, Severity, UsageReport,
};
use instar_protocol::approvals::{QuestionList, ReceiptPage, RuleList};
use instar_protocol::devices::DeviceList;
use instar_protocol::lab::{Case, Foreign, Takeover};
use instar_protocol::letter::LetterList;
use instar_protocol::policy::{Explained, PolicyReport, PolicyTests, PostureReport};
use instar_protocol::receipt::ChainReport;
use instar_protocol::security::SecurityReport;
use instar_protocol::time::SystemClock;
use instar_protocol::{AgentId, Clock};
use instar_release::{Bundle, KeyShown, Releases, Spoken};
use instar_store::{Options, Store};
use serde_json::Value;
use std::sync::atomic::{AtomicU8, Ordering};

use super::fault;
use crate::args::{Candidate, Release, Usage};
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};

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

/// The register of faults.
pub(crate) async fn fault(run: &Context, asked: fault::Asked) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let store = &folder.store;
    let answer = match asked {
        fault::Asked::All => lab::list(store).await.map(serde_json::to_value),
        fault::Asked::One(name) => lab::one(store, &name).await.map(serde_json::to_value),
        fault::Asked::Edits => lab::edits(store, queries::PAGE)
            .await
            .map(serde_json::to_value),
        fault::Asked::Edit(edit) => {
            let now = SystemClock.now();
            lab::edit(store, edit, now).await.map(serde_json::to_value)
        }
        fault::Asked::Merges => lab::merges(store).await.map(serde_json::to_value),
        fault::Asked::Word(word) => {
            let now = SystemClock.now();
            let said = lab::merge_word(store, word, now).await;
            said.map(serde_json::to_value)
        }
    };
    let answer = answer.map_err(explain)??;
    folder.close().await?;
    Ok(answer)
}

/// Cycles of the lab, the newest first.
pub(crate) async fn cycles(run: &Context, limit: usize) -> anyhow::Result<Vec<lab::Cycle>> {
    let folder = Folder::open(&run.state()?)?;
    let cycles = lab::log(&folder.store, limit).await?;
    folder.close().await?;
    Ok(cycles)
}

/// All that the files of the exchange are written from.
pub(crate) async fn ledger(run: &Context) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let ledger = lab::ledger(&folder.store, &releases).await;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(ledger.map_err(explain)?)?)
}

/// What is kept of folders of other engines.
pub(crate) async fn foreign(run: &Context) -> anyhow::Result<Vec<Foreign>> {
    let folder = Folder::open(&run.state()?)?;
    let kept = lab::foreign(&folder.store).await;
    folder.close().await?;
    kept.map_err(explain)
}

/// Keeps more of it, or with nothing drops all; how many that were.
pub(crate) async fn take_over(run: &Context, asked: Option<Takeover>) -> anyhow::Result<usize> {
    let folder = Folder::open(&run.state()?)?;
    let count = match asked {
        Some(asked) => lab::take_over(&folder.store, asked, run.now()).await,
        None => lab::forget(&folder.store).await,
    };
    folder.close().await?;
    count.map_err(explain)
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
        queries::QueryError::NotFound { .. } => Code::NotFound,
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

pub(crate) async fn release(run: &Context, command: &Release) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let answer = match command {
        Release::List => {
            serde_json::to_value(queries::releases(&releases, None).await.map_err(explain)?)?
        }
        Release::Log => serde_json::to_value(
            queries::release_log(&releases, None)
                .await
                .map_err(explain)?,
        )?,
        Release::Show { release } => serde_json::to_value(
            queries::release(&releases, release)
                .await
                .map_err(explain)?,
        )?,
        Release::Verify { all, noted } => {
            let query = VerifyQuery {
                noted: noted.clone(),
                all: *all,
            };
            let secrets = SecretStore::open(&run.state()?, &environment)?;
            let signer = signing::signer(&secrets, &folder.store).await?;
            let found =
                signing::verify(&releases, &signer, &signing::owners(&run.state()?)?, &query).await;
            serde_json::to_value(found.map_err(explain)?)?
        }
        Release::Provenance { release } => {
            let secrets = SecretStore::open(&run.state()?, &environment)?;
            let signer = signing::signer(&secrets, &folder.store).await?;
            let owners = signing::owners(&run.state()?)?;
            let found = signing::lineage(&releases, release, &signer, &owners).await;
            serde_json::to_value(found.map_err(explain)?)?
        }
        Release::Keys(_) => {
            let secrets = SecretStore::open(&run.state()?, &environment)?;
            let signer = signing::signer(&secrets, &folder.store).await?;
            serde_json::to_value(signer.shown_keys())?
        }
        Release::Sign
        | Release::Rollback { .. }
        | Release::Export { .. }
        | Release::Import { .. }
        | Release::Statement { .. }
        | Release::Endorse { .. } => {
            anyhow::bail!("{command:?} has a road of its own; this is a defect in Instar")
        }
        Release::Diff { from, to } => serde_json::to_value(
            queries::release_diff(&releases, from, to)
                .await
                .map_err(explain)?,
        )?,
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

pub(crate) async fn export(run: &Context, name: &str) -> anyhow::Result<Bundle> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let bundle = signing::export(&releases, name).await.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(bundle)
}

pub(crate) async fn import(run: &Context, asked: Import) -> anyhow::Result<Imported> {
    let (folder, releases) = signed(run).await?;
    let taken = signing::import(&releases, asked, run.now()).await;
    let taken = taken.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(taken)
}

/// The folder with its releases, opened as a gateway would.
async fn signed(run: &Context) -> anyhow::Result<(Folder, Releases)> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let signer = signing::signer(&secrets, &folder.store).await?;
    let releases = Releases::open_signed(folder.store.clone(), signer, run.now()).await?;
    Ok((folder, releases))
}

pub(crate) async fn statement(run: &Context, name: &str) -> anyhow::Result<Spoken> {
    let (folder, releases) = signed(run).await?;
    let spoken = signing::statement(&releases, name).await.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(spoken)
}

pub(crate) async fn endorse(
    run: &Context,
    name: &str,
    asked: &Endorse,
) -> anyhow::Result<Endorsed> {
    let (folder, releases) = signed(run).await?;
    let owners = signing::owners(&run.state()?)?;
    let made = signing::endorse(&releases, name, asked, &owners, run.now()).await;
    let endorsed = made.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(endorsed)
}

/// Signs what is stable again; the folder's lock is held meanwhile.
pub(crate) async fn sign(run: &Context) -> anyhow::Result<String> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let signer = signing::signer(&secrets, &folder.store).await?;
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let id = Releases::sign_again(&folder.store, &signer, run.now(), random).await?;
    folder.close().await?;
    Ok(id.to_string())
}

/// Hands over to a new signing key; the folder's lock is held meanwhile.
pub(crate) async fn rotate(run: &Context) -> anyhow::Result<Vec<KeyShown>> {
    let state = run.state()?;
    let folder = Folder::open(&state)?;
    let secrets = SecretStore::open(&state, &environment)?;
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let keys = signing::rotate(&secrets, &folder.store, run.now(), random).await?;
    folder.close().await?;
    Ok(keys)
}

/// Goes back with no gateway running; the next start serves it.
pub(crate) async fn roll_back(run: &Context, asked: &RollBack) -> anyhow::Result<RolledBack> {
    let (folder, releases) = signed(run).await?;
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let reason = match asked.reason.as_str() {
        "" => "the owner went back",
        reason => reason,
    };
    let to = asked.to.as_deref();
    let went = releases
        .roll_back(to, "owner", reason, run.now(), random)
        .await?;
    drop(releases);
    folder.close().await?;
    Ok(RolledBack {
        from: went.from,
        to: went.to,
    })
}

pub(crate) async fn candidate(
    run: &Context,
    command: &Candidate,
    asked: Option<NewCandidate>,
) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let now = run.now();
    let answer = match (command, asked) {
        (Candidate::List, _) => {
            serde_json::to_value(candidates::list(&releases, None).await.map_err(explain)?)?
        }
        (_, Some(asked)) => serde_json::to_value(
            candidates::new(&releases, asked, now)
                .await
                .map_err(explain)?,
        )?,
        (Candidate::Withdraw { candidate }, _) => {
            let gone = candidates::withdraw(&releases, candidate, now).await;
            serde_json::to_value(gone.map_err(explain)?)?
        }
        (Candidate::Show { candidate } | Candidate::Diff { candidate }, _) => serde_json::to_value(
            candidates::one(&releases, candidate)
                .await
                .map_err(explain)?,
        )?,
        (Candidate::New { .. }, None) => anyhow::bail!("the deltas were not read"),
        (Candidate::Check { .. } | Candidate::Approve { .. } | Candidate::Rebase { .. }, None) => {
            let message = "gates are asked by a running gateway";
            return Err(Failure::new(Code::NoGateway, message)
                .next("start one with `instar up`")
                .into());
        }
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

/// One rollout, or all of them.
pub(crate) async fn rollout(run: &Context, name: Option<&str>) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let answer = match name {
        Some(name) => serde_json::to_value(rollouts::one(&releases, name).await.map_err(explain)?)?,
        None => serde_json::to_value(rollouts::list(&releases, None).await.map_err(explain)?)?,
    };
    drop(releases);
    folder.close().await?;
    Ok(answer)
}

/// Moves the rollout that is under way, as a gateway would.
pub(crate) async fn rollout_move(run: &Context, what: rollouts::Move) -> anyhow::Result<Value> {
    let (folder, releases) = signed(run).await?;
    let mut seed = [0; 10];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let drawn = AtomicU8::new(seed[0]);
    let random = || {
        let mut bytes = seed;
        bytes[0] = drawn.fetch_add(1, Ordering::Relaxed);
        bytes
    };
    releases.take_up_rollout(run.now(), random()).await?;
    let moved = rollouts::act(&releases, what, run.now(), &random).await;
    let moved = moved.map_err(explain)?;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(moved)?)
}

/// The trials of fixes, as they stand in the folder.
pub(crate) async fn trials(run: &Context) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let trials = healing::list(&folder.store).await.map_err(explain)?;
    folder.close().await?;
    Ok(serde_json::to_value(trials)?)
}

/// What choices of fixes are made from.
pub(crate) async fn case(run: &Context, agent: &str) -> anyhow::Result<Case> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let case = healing::told(&folder.store, &releases, agent).await;
    drop(releases);
    folder.close().await?;
    case.map_err(explain)
}

pub(crate) async fn keep_gene(run: &Context, asked: GeneAsked) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let kept = healing::kept(&folder.store, asked, run.now()).await;
    folder.close().await?;
    Ok(serde_json::to_value(kept.map_err(explain)?)?)
}

pub(crate) async fn new_candidate(run: &Context, asked: NewCandidate) -> anyhow::Result<Value> {
    let folder = Folder::open(&run.state()?)?;
    let releases = Releases::open(folder.store.clone()).await?;
    let made = candidates::new(&releases, asked, run.now()).await;
    drop(releases);
    folder.close().await?;
    Ok(serde_json::to_value(made.map_err(explain)?)?)
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
    findings.extend(
        config
            .ok()
            .and_then(|config| config.value.browser.finding()),
    );
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

pub(crate) async fn posture(run: &Context, days: u32) -> anyhow::Result<PostureReport> {
    let (folder, config, authority, _) = authority(run).await?;
    let (days, writers) = (Some(days), config.writers());
    let now = SystemClock.now();
    let report = policing::posture(&folder.store, &authority, &writers, days, now).await;
    let report = report.map_err(explain)?;
    folder.close().await?;
    Ok(report)
}
