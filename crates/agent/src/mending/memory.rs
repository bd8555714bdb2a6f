//! What mitigations remember from turn to turn: the coins, breakers, the pace of calls, episodes. Made when
//! the first is needed, bounded, and gone with the process but for what the coins said.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::{RunId, SessionId, Timestamp};
use instar_release::evidence::{Arm, Coin, KEY_BYTES};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A stretch of a conversation ends after such a pause, and after so many turns.
const EPISODE_GAP_MS: u64 = 30 * 60_000;
const EPISODE_TURNS_MAX: u32 = 20;
const EPISODES_MAX: usize = 1_024;
const KEPT_MAX: usize = 256;
/// Units whose coin is remembered, the latest.
const THROWN_MAX: usize = 4_096;
const MINUTE_MS: u64 = 60_000;

/// Who derives verdicts supplies the shares that are in force now.
pub trait TrialsPort: Send + Sync + std::fmt::Debug {
    /// The share of a fix now, in thousandths: 0 once it was taken back. None where nothing is known of it.
    fn share_permille(&self, experiment: &str) -> Option<u16>;
}

/// What the coins said before the process began: a unit that a restart cuts in two is one.
#[derive(Default)]
pub struct Thrown {
    /// What the coins are made from; without one they are of this process alone.
    pub key: Option<[u8; KEY_BYTES]>,
    /// The turns of the units that may be under way, the earliest first.
    pub turns: Vec<ThrownTurn>,
}

impl std::fmt::Debug for Thrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thrown")
            .field("turns", &self.turns.len())
            .finish_non_exhaustive()
    }
}

/// What the coin said of a unit in one turn.
#[derive(Clone, Debug)]
pub struct ThrownTurn {
    at: Timestamp,
    run: Option<RunId>,
    experiment: String,
    unit: String,
    arm: Arm,
    share_permille: u16,
}

impl ThrownTurn {
    /// As the event log tells it; none where the event tells something else.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let EventKind::Exposure {
            experiment,
            unit,
            with_fix,
            share_permille,
            ..
        } = &event.kind
        else {
            return None;
        };
        Some(Self {
            at: event.at,
            run: event.run.clone(),
            experiment: experiment.clone(),
            unit: unit.clone(),
            arm: if *with_fix { Arm::New } else { Arm::Old },
            share_permille: *share_permille,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Mends {
    /// What all coins are made from.
    key: OnceLock<[u8; KEY_BYTES]>,
    port: OnceLock<Arc<dyn TrialsPort>>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    breakers: BTreeMap<String, Breaker>,
    calls: BTreeMap<String, VecDeque<u64>>,
    episodes: BTreeMap<SessionId, Episode>,
    /// What the coin said of units that last longer than a turn, and the share then.
    thrown: BTreeMap<(String, String), (Arm, u16)>,
    /// The same, the earliest first.
    order: VecDeque<(String, String)>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u8,
    open_until: Option<Timestamp>,
}

#[derive(Debug)]
struct Episode {
    begun: Timestamp,
    last: Timestamp,
    turns: u32,
    /// The turn that was counted last.
    run: Option<RunId>,
}

impl Episode {
    fn name(&self, session: &SessionId) -> String {
        format!("{session}-{}", self.begun.millis())
    }
}

/// What a breaker or a pace says of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Go,
    /// Not before so many milliseconds.
    Wait(u64),
}

impl Mends {
    pub(crate) fn connect(&self, port: Arc<dyn TrialsPort>, thrown: Thrown) {
        // Who comes second changes nothing: there is one gateway.
        if self.port.set(port).is_err() {
            return;
        }
        if let Some(key) = thrown.key {
            let _has_begun = self.key.set(key).is_err();
        }
        let mut memory = self.memory();
        for turn in thrown.turns {
            memory.take_up(turn);
        }
    }

    /// The arm of a unit that lasts longer than a turn, and its share when it was thrown. It stays as it is
    /// as long as the unit lasts, whatever share there is by then.
    pub(crate) fn arm(&self, experiment: &str, unit: &str, share_permille: u16) -> (Arm, u16) {
        let coin = self.coin(experiment);
        let name = (experiment.to_owned(), unit.to_owned());
        let fresh = || {
            (
                coin.throw(unit, f64::from(share_permille) / 1_000.0),
                share_permille,
            )
        };
        self.memory().pin(name, fresh)
    }

    pub(crate) fn share(&self, experiment: &str) -> Option<u16> {
        self.port.get()?.share_permille(experiment)
    }

    pub(crate) fn coin(&self, experiment: &str) -> Coin {
        Coin::of(self.key.get_or_init(key), experiment)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a tool that failed so often may be called.
    pub(crate) fn breaker(&self, name: &str, now: Timestamp) -> Verdict {
        let memory = self.memory();
        let until = memory.breakers.get(name).and_then(|one| one.open_until);
        match until {
            Some(until) if now < until => Verdict::Wait(until.millis() - now.millis()),
            // One call is let through: if it fails, the breaker opens again at once.
            _ => Verdict::Go,
        }
    }

    /// Takes in how a call behind a breaker ended.
    pub(crate) fn report(
        &self,
        name: &str,
        failed: bool,
        failures: u8,
        open_ms: u64,
        now: Timestamp,
    ) {
        let mut memory = self.memory();
        if !failed {
            memory.breakers.remove(name);
            return;
        }
        make_room(&mut memory.breakers);
        let breaker = memory.breakers.entry(name.to_owned()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= failures {
            breaker.open_until = Some(Timestamp::from_millis(now.millis() + open_ms));
        }
    }

    /// Takes a place in the row of calls of the last minute, or says how long none is free.
    pub(crate) fn pace(&self, name: &str, per_minute: u16, now: Timestamp) -> Verdict {
        let mut memory = self.memory();
        make_room(&mut memory.calls);
        let calls = memory.calls.entry(name.to_owned()).or_default();
        let now = now.millis();
        while calls.front().is_some_and(|first| first + MINUTE_MS <= now) {
            calls.pop_front();
        }
        match calls.front() {
            Some(first) if calls.len() >= usize::from(per_minute) => {
                Verdict::Wait(first + MINUTE_MS - now)
            }
            _ => {
                calls.push_back(now);
                Verdict::Go
            }
        }
    }

    /// The stretch of the conversation that a turn now belongs to.
    pub(crate) fn episode(&self, session: &SessionId, run: &RunId, now: Timestamp) -> String {
        let mut memory = self.memory();
        memory.make_room_for(session);
        let fresh = || Episode {
            begun: now,
            last: now,
            turns: 0,
            run: None,
        };
        let episode = memory.episodes.entry(session.clone()).or_insert_with(fresh);
        // However many mitigations look at it, it is one turn.
        if episode.run.as_ref() == Some(run) {
            return episode.name(session);
        }
        let is_over = now.millis().saturating_sub(episode.last.millis()) > EPISODE_GAP_MS
            || episode.turns >= EPISODE_TURNS_MAX;
        if is_over {
            *episode = fresh();
        }
        episode.last = now;
        episode.turns += 1;
        episode.run = Some(run.clone());
        episode.name(session)
    }
}

impl Memory {
    /// What the coin said first is what it said.
    fn pin(&mut self, name: (String, String), throw: impl FnOnce() -> (Arm, u16)) -> (Arm, u16) {
        if let Some(known) = self.thrown.get(&name) {
            return *known;
        }
        if self.order.len() >= THROWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.thrown.remove(&oldest);
        }
        let thrown = throw();
        self.order.push_back(name.clone());
        self.thrown.insert(name, thrown);
        thrown
    }

    /// A turn of before.
    fn take_up(&mut self, turn: ThrownTurn) {
        let ThrownTurn { at, unit, run, .. } = turn;
        if let Some((session, begun)) = episode_of(&unit) {
            self.make_room_for(&session);
            let fresh = || Episode {
                begun,
                last: begun,
                turns: 0,
                run: None,
            };
            let episode = self.episodes.entry(session).or_insert_with(fresh);
            if episode.begun < begun {
                *episode = fresh();
            }
            if episode.begun == begun {
                episode.last = at;
                episode.turns += u32::from(episode.run != run);
                episode.run = run;
            }
        }
        let name = (turn.experiment, unit);
        self.pin(name, || (turn.arm, turn.share_permille));
    }

    fn make_room_for(&mut self, session: &SessionId) {
        if self.episodes.len() >= EPISODES_MAX && !self.episodes.contains_key(session) {
            let oldest = self.episodes.iter().min_by_key(|(_, one)| one.last);
            if let Some(oldest) = oldest.map(|(session, _)| session.clone()) {
                self.episodes.remove(&oldest);
            }
        }
    }
}

/// The conversation of an episode's name, and when it began.
fn episode_of(unit: &str) -> Option<(SessionId, Timestamp)> {
    let (session, begun) = unit.rsplit_once('-')?;
    let is_session = session.starts_with("ses_");
    let begun = Timestamp::from_millis(begun.parse().ok()?);
    is_session.then(|| (SessionId::from_stored(session), begun))
}

fn make_room<T>(kept: &mut BTreeMap<String, T>) {
    // Only what the behaviour names comes in here; behaviours come and go.
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
}

/// Without chance there is no trial: everybody could foretell an arm.
fn key() -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    if let Err(error) = getrandom::fill(&mut key) {
        tracing::error!(%error, "the system has no random numbers: the coins of trials can be foretold");
    }
    key
}
