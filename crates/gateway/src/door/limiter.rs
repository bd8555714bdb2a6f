//! Counts wrong secrets and locks out who tries too many.

use instar_protocol::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::network::Peer;
use crate::config::RateLimitConfig;

/// Peers that are remembered; beyond that, unknown peers share one entry.
const PEERS_MAX: usize = 4_096;
/// All peers together may fail this many times as often as one.
const TOGETHER: u32 = 20;
/// The least time between two walks over a full table.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// What kind of secret was tried. Each kind has counts of its own, so that guessing one does not
/// lock out who holds another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    Bearer,
    /// The secret of the run file: guessing tokens does not lock out the owner's own commands.
    Local,
    Password,
    /// Cookies that nobody was given. One that is good is not asked for the counts.
    Cookie,
    Code,
    Proxy,
    /// Statements of Cloudflare Access.
    Access,
    /// Tokens of approved devices.
    Device,
}

/// Too many failures: nothing is compared until the time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Locked {
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    since: Timestamp,
    locked_until: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Who {
    Peer(Peer),
    /// Every peer that found the table full.
    Others,
    /// All peers, so that many addresses do not mean many guesses.
    Everybody,
}

/// The counts. Bounded whatever is thrown at it.
#[derive(Debug, Default)]
pub struct Limiter {
    counts: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<(Who, Class), Count>,
    /// When old entries were last looked for: a full table must not cost a walk on every attempt.
    swept: Timestamp,
}

impl Limiter {
    /// Runs `compare` unless the peer is locked out, and counts its failure.
    ///
    /// This is the only way that a secret is verified.
    pub fn verify<T>(
        &self,
        peer: Peer,
        class: Class,
        now: Timestamp,
        rules: RateLimitConfig,
        compare: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Locked> {
        self.check(peer, class, now)?;
        let outcome = compare();
        if outcome.is_none() {
            self.failed(peer, class, now, rules);
        }
        Ok(outcome)
    }

    /// Refuses if the peer, or everybody, has failed too often.
    pub fn check(&self, peer: Peer, class: Class, now: Timestamp) -> Result<(), Locked> {
        let table = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &table.counts;
        let own = Who::Peer(peer);
        let own = if counts.contains_key(&(own, class)) || counts.len() < PEERS_MAX {
            own
        } else {
            Who::Others
        };
        for who in [own, Who::Everybody] {
            let until = counts
                .get(&(who, class))
                .and_then(|count| count.locked_until);
            if let Some(until) = until.filter(|until| *until > now) {
                return Err(Locked {
                    retry_after: until.since(now),
                });
            }
        }
        Ok(())
    }

    /// Counts a failure.
    pub fn failed(&self, peer: Peer, class: Class, now: Timestamp, rules: RateLimitConfig) {
        let mut table = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { counts, swept } = &mut *table;
        let window = Duration::from_millis(rules.window_ms.into());
        let own = (Who::Peer(peer), class);
        let full = counts.len() >= PEERS_MAX && !counts.contains_key(&own);
        if full && now.since(*swept) >= SWEEP_PAUSE {
            *swept = now;
            counts.retain(|_, count| {
                count.locked_until.is_some_and(|until| until > now)
                    || now.since(count.since) < window
            });
        }
        let full = full && counts.len() >= PEERS_MAX;
        let own = if full { (Who::Others, class) } else { own };
        let everybody = (Who::Everybody, class);
        for (key, max) in [
            (own, rules.max_attempts),
            (everybody, rules.max_attempts.saturating_mul(TOGETHER)),
        ] {
            let count = counts.entry(key).or_insert(Count {
                failures: 0,
                since: now,
                locked_until: None,
            });
            let over = count.locked_until.is_some_and(|until| until <= now);
            if over || now.since(count.since) >= window {
                *count = Count {
                    failures: 0,
                    since: now,
                    locked_until: None,
                };
            }
            count.failures = count.failures.saturating_add(1);
            if count.failures >= max {
                // Everybody is locked for one window only: a flood must not shut the owner out longer.
                let lockout = if key == everybody {
                    window
                } else {
                    Duration::from_millis(rules.lockout_ms.into())
                };
                count.locked_until = Some(now.plus(lockout));
            }
        }
    }
}

#[cfg(test)]
mod tests;
