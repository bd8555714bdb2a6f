//! What the gateway does about candidates by itself, as far as `improve.autonomy` lets it: gates are asked of what
//! the lab proposed, one whose gates have all passed goes into its shadow, the others wait for their owner.

use instar_agent::LetterError;
use instar_protocol::letter::{Letter, Sender};
use instar_protocol::{Label, LetterId, RunId, SessionId, SessionKey};
use instar_release::gate::{Gate, Outcome, Step, Table};
use instar_release::rollout::{BY_ITSELF, Reason, Shown, Stage};
use instar_release::{Candidate, short};
use instar_store::{CandidateRow, CandidateState};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use crate::api::rollouts::{self, NewRollout};
use crate::app::AppState;
use crate::healing::HealingError;
use crate::healing::together::{self, is_of_lab};
use crate::problem::ApiProblem;

/// What the lab proposed is left to a person for so long, who may be at it.
const LEFT_ALONE_MILLIS: u64 = 30_000;
/// Judged pairs of a shadow that nobody planned, at the most: what it takes to see 5 % become 10 % nearly always. A
/// sound candidate has shown that after a third of them.
const PAIRS: u64 = 600;
/// Episodes of the watch over what was promoted, before the next one begins by itself.
const WATCHED_MIN: u64 = 200;
/// Attempts to put fixes together that are remembered.
const TRIED_MAX: usize = 100;
/// Ticks between two looks.
const TICKS: u64 = 15;

/// What was looked at and left, so that it is looked at again only when something changed.
#[derive(Debug, Default)]
pub(crate) struct Own {
    ticks: u64,
    left: BTreeSet<String>,
    seen: Option<(u64, String, String)>,
    told: BTreeSet<String>,
    /// Fixes that were put into one candidate, by the ids of theirs.
    put_together: BTreeSet<String>,
}

impl Own {
    /// One tick. The cheap looks come first: mostly there is nothing.
    pub(crate) async fn look(&mut self, app: &AppState) {
        self.ticks += 1;
        if let Some(shown) = app.releases.shown_live() {
            self.tell(app, &shown).await;
        }
        if !self.ticks.is_multiple_of(TICKS) || !may_begin(app) {
            return;
        }
        if let Err(error) = self.next(app).await {
            tracing::debug!(?error, "no candidate could be begun");
        }
    }

    /// The oldest candidate that may go out by itself.
    async fn next(&mut self, app: &AppState) -> Result<(), ApiProblem> {
        let rows = app.store.candidates().await?;
        let open = |row: &&CandidateRow| row.state == CandidateState::Open;
        let open: Vec<&CandidateRow> = rows.iter().rev().filter(open).collect();
        if open.is_empty() {
            return Ok(());
        }
        let stable = app.releases.stable().map(|stable| stable.id.to_string());
        let asked = app.gates_asked.load(Ordering::Relaxed);
        let seen = (
            asked,
            stable.unwrap_or_default(),
            app.config.current().hash.clone(),
        );
        if self.seen.as_ref() != Some(&seen) {
            self.left.clear();
            self.seen = Some(seen);
        }
        let waiting = self.waiting(app, &open).await;
        if self.begin_together(app, &waiting).await {
            return Ok(());
        }
        for candidate in waiting {
            let id = candidate.id.as_str();
            self.left.insert(id.to_owned());
            let mut table = super::table(app, id).await?;
            if is_of_lab(&candidate) && table.rows.iter().all(|row| row.at.is_none()) {
                table = super::check(app, id).await?;
                if table.decision.may == Step::Nothing && waits_for_a_yes(&table) {
                    self.ask(app, &table).await;
                }
            }
            if begin(app, &table).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The open candidates that were not looked at yet, without what a person may be at.
    async fn waiting(&self, app: &AppState, open: &[&CandidateRow]) -> Vec<Candidate> {
        let now = app.clock.now();
        let mut waiting = Vec::new();
        for row in open {
            let id = row.id.as_str();
            if self.left.contains(id) {
                continue;
            }
            let candidate = match app.releases.candidate(id).await {
                Ok(candidate) => candidate,
                Err(error) => {
                    tracing::debug!(%error, "a candidate cannot be read");
                    continue;
                }
            };
            let is_new = now.millis().saturating_sub(row.at.millis()) < LEFT_ALONE_MILLIS;
            if !(is_of_lab(&candidate) && is_new) {
                waiting.push(candidate);
            }
        }
        waiting
    }

    /// Begins a rollout of all fixes that fit together. Where that cannot go on, each is left to go alone.
    async fn begin_together(&mut self, app: &AppState, waiting: &[Candidate]) -> bool {
        match self.try_together(app, waiting).await {
            Ok(has_begun) => has_begun,
            Err(error) => {
                tracing::warn!(%error, "fixes could not be put together");
                false
            }
        }
    }

    async fn try_together(
        &mut self,
        app: &AppState,
        waiting: &[Candidate],
    ) -> Result<bool, HealingError> {
        let parts = together::fitting(app, waiting).await?;
        let name: String = parts.iter().map(|one| one.id.as_str()).collect();
        // What did not go on together once does not the next time.
        if parts.len() < 2 || self.put_together.contains(&name) {
            return Ok(false);
        }
        if self.put_together.len() >= TRIED_MAX {
            self.put_together.clear();
        }
        self.put_together.insert(name);
        let made = together::put_together(app, &parts).await?;
        // Where every gate passes that begins it.
        let checked = super::check(app, &made.candidate.id).await;
        if let Err(error) = checked {
            tracing::warn!(?error, "fixes that were put together could not be checked");
        }
        let live = app.releases.shown_live();
        if live.is_some_and(|shown| shown.candidate == made.candidate.id) {
            made.began(app).await?;
            return Ok(true);
        }
        made.failed(app).await?;
        Ok(false)
    }

    /// Leaves a line for the owner: once about each thing, also over restarts.
    async fn tell(&mut self, app: &AppState, shown: &Shown) {
        let short = short(&shown.candidate);
        if let Some(step) = shown.view.awaits {
            let text = format!(
                "Candidate {short} passed {} and waits for your yes to go further: `instar candidate approve {short}`, or \
                 `instar rollout abort`.",
                if step == Step::Stable {
                    "its rollout"
                } else {
                    "its shadow"
                }
            );
            self.leave(app, &format!("{}-{}", shown.id, step.name()), text)
                .await;
        }
        if let Some(alarm) = shown.view.alarm.filter(|alarm| alarm.is_on) {
            let text = format!(
                "The rollout of candidate {short} holds: {}. Nothing was taken back, as the stable release does it, too: \
                 `instar rollout status`.",
                alarm.words()
            );
            self.leave(app, &format!("{}-alarm", shown.id), text).await;
        }
    }

    /// The owner is told where something that he was served as stable was taken from him.
    pub(crate) async fn moved(&mut self, app: &AppState, stage: &Stage) {
        if *stage != (Stage::RolledBack { why: Reason::Later }) {
            return;
        }
        let Ok(Some(shown)) = app
            .releases
            .rollouts(1)
            .await
            .map(|all| all.into_iter().next())
        else {
            return;
        };
        let short = short(&shown.candidate);
        let text = format!(
            "Candidate {short} had become stable and was taken back: {}. `instar rollout status` shows the numbers.",
            Reason::Later.words()
        );
        self.leave(app, &format!("{}-later", shown.id), text).await;
    }

    async fn ask(&mut self, app: &AppState, table: &Table) {
        let short = short(&table.candidate);
        let text = format!(
            "Candidate {short} (class {:?}) passed its gates and waits for you: `instar candidate show {short}`, \
             `instar candidate approve {short}`, `instar rollout start {short}`.",
            table.class
        );
        self.leave(app, &format!("can_{short}"), text).await;
    }

    async fn leave(&mut self, app: &AppState, what: &str, text: String) {
        if self.told.contains(what) {
            return;
        }
        match left(app, what, text).await {
            // Said as soon as he has read something.
            Err(LetterError::Full) => return,
            Err(error) => tracing::warn!(%error, "the owner could not be told"),
            Ok(()) => {}
        }
        self.told.insert(what.to_owned());
    }
}

/// Whether nothing is under way, and what was promoted last was watched for a while.
fn may_begin(app: &AppState) -> bool {
    match app.releases.shown_live() {
        None => true,
        Some(shown) => shown.view.watch.is_some_and(|watch| {
            shown.ended_at.is_some() && watch.settled >= WATCHED_MIN.min(watch.units)
        }),
    }
}

/// Nothing but the owner's word is missing.
fn waits_for_a_yes(table: &Table) -> bool {
    let passed = |gate: &Gate| {
        let row = table.row(*gate);
        row.is_some_and(|row| row.finding.outcome == Outcome::Pass)
    };
    Gate::ALL
        .iter()
        .filter(|gate| **gate != Gate::Human)
        .all(passed)
}

/// Begins the rollout of a candidate as far as it may go by itself. True if it was begun.
pub(crate) async fn begin(app: &AppState, table: &Table) -> bool {
    let may = super::autonomy(app).of(table.class);
    let is_owners = table
        .row(Gate::Human)
        .is_some_and(|row| row.finding.outcome == Outcome::Pass);
    if is_owners || may < Step::Shadow || table.decision.may < Step::Shadow || !may_begin(app) {
        return false;
    }
    match begun(app, table, may).await {
        Ok(began) => began,
        Err(error) => {
            tracing::warn!(?error, candidate = table.candidate, "it could not be begun");
            false
        }
    }
}

async fn begun(app: &AppState, table: &Table, may: Step) -> Result<bool, ApiProblem> {
    let known = app.releases.was_rolled_out(&table.candidate).await;
    if known.map_err(crate::api::queries::missing_release)? {
        return Ok(false);
    }
    let pairs = app.config.current().value.improve.rollout.shadow_pairs;
    let asked = NewRollout {
        candidate: table.candidate.clone(),
        shadow_pairs: Some(pairs.unwrap_or(PAIRS).max(1)),
        ..NewRollout::default()
    };
    let why = format!(
        "every gate passed, and class {:?} goes as far as {} by itself",
        table.class,
        may.name()
    );
    let shown = rollouts::begin_by_itself(app, asked, may, &why).await?;
    tracing::info!(candidate = table.candidate, rollout = shown.id, %why, by = BY_ITSELF, "a rollout began");
    Ok(true)
}

/// The owner's word, where a rollout waits for it.
pub(crate) async fn let_go(app: &AppState, table: &Table) {
    app.gates_asked.fetch_add(1, Ordering::Relaxed);
    let (now, random) = (app.clock.now(), || app.random());
    let may = table.decision.may;
    let gone = app
        .releases
        .let_rollout_go(&table.candidate, may, now, &random);
    if let Err(error) = gone.await {
        tracing::error!(%error, "the rollout could not go on");
    }
}

async fn left(app: &AppState, what: &str, text: String) -> Result<(), LetterError> {
    let id = LetterId::from_stored(format!("let_{what}"));
    if app.store.letter(&id).await?.is_some() {
        return Ok(());
    }
    let agent = app.default_agent();
    let key = SessionKey::main(&agent);
    let session = app.store.session_by_key(&key).await?;
    let sender = Sender {
        session: session.map_or_else(|| SessionId::from_stored("ses_none"), |row| row.id),
        key,
        run: RunId::from_stored("run_gateway"),
        agent,
    };
    let letter = Letter::message(id, sender, Label::system(), text, app.clock.now());
    app.sessions.letters().leave(letter).await?;
    Ok(())
}
