//! What mitigations remember from turn to turn: the coins, breakers, the pace of calls, episodes. Made when
//! the first is needed, bounded, and gone with the process.

use instar_protocol::{SessionId, Timestamp};
use instar_release::evidence::{Coin, KEY_BYTES};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A stretch of a conversation ends after such a pause, and after so many turns.
const EPISODE_GAP_MS: u64 = 30 * 60_000;
const EPISODE_TURNS_MAX: u32 = 20;
const EPISODES_MAX: usize = 1_024;
const KEPT_MAX: usize = 256;
const MINUTE_MS: u64 = 60_000;

/// Who derives verdicts supplies the shares that are in force now.
pub trait TrialsPort: Send + Sync + std::fmt::Debug {
    /// The share of a fix now, in thousandths: 0 once it was taken back. None where nothing is known of it.
    fn share_permille(&self, experiment: &str) -> Option<u16>;
}

#[derive(Debug, Default)]
pub(crate) struct Mends {
    /// What all coins are made from. The arm of a unit is in its event, so the key need not outlive the
    /// process.
    key: OnceLock<[u8; KEY_BYTES]>,
    port: OnceLock<Arc<dyn TrialsPort>>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    breakers: BTreeMap<String, Breaker>,
    calls: BTreeMap<String, VecDeque<u64>>,
    episodes: BTreeMap<SessionId, Episode>,
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
}

/// What a breaker or a pace says of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Go,
    /// Not before so many milliseconds.
    Wait(u64),
}

impl Mends {
    pub(crate) fn connect(&self, port: Arc<dyn TrialsPort>) {
        // Who comes second changes nothing: there is one gateway.
        let _is_second = self.port.set(port).is_err();
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
    pub(crate) fn episode(&self, session: &SessionId, now: Timestamp) -> String {
        let mut memory = self.memory();
        if memory.episodes.len() >= EPISODES_MAX && !memory.episodes.contains_key(session) {
            let oldest = memory.episodes.iter().min_by_key(|(_, one)| one.last);
            if let Some(oldest) = oldest.map(|(session, _)| session.clone()) {
                memory.episodes.remove(&oldest);
            }
        }
        let fresh = || Episode {
            begun: now,
            last: now,
            turns: 0,
        };
        let episode = memory.episodes.entry(session.clone()).or_insert_with(fresh);
        let is_over = now.millis().saturating_sub(episode.last.millis()) > EPISODE_GAP_MS
            || episode.turns >= EPISODE_TURNS_MAX;
        if is_over {
            *episode = fresh();
        }
        episode.last = now;
        episode.turns += 1;
        format!("{session}-{}", episode.begun.millis())
    }
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
