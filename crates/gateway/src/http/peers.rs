//! How often one peer may ask without proving who it is.

use instar_protocol::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::door::Peer;

/// Peers that are counted apart; beyond that, unknown peers share one count.
const PEERS_MAX: usize = 4_096;
const WINDOW: Duration = Duration::from_secs(60);
/// The least time between two walks over a full table.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    requests: u32,
}

/// Counts per peer within a minute. Bounded whatever is thrown at it.
#[derive(Debug, Default)]
pub(crate) struct PeerLimits {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<Option<Peer>, Count>,
    /// When old entries were last looked for: a full table must not cost a walk on every request.
    swept: Timestamp,
}

impl PeerLimits {
    /// Counts a request; the time to wait if it is one too many.
    pub(crate) fn take(&self, peer: Peer, now: Timestamp, per_minute: u32) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { counts, swept } = &mut *table;
        let mut who = Some(peer);
        if !counts.contains_key(&who) && counts.len() >= PEERS_MAX {
            if now.since(*swept) >= SWEEP_PAUSE {
                *swept = now;
                counts.retain(|_, count| now.since(count.since) < WINDOW);
            }
            if counts.len() >= PEERS_MAX {
                who = None;
            }
        }
        let count = counts.entry(who).or_insert(Count {
            since: now,
            requests: 0,
        });
        if now.since(count.since) >= WINDOW {
            *count = Count {
                since: now,
                requests: 0,
            };
        }
        count.requests = count.requests.saturating_add(1);
        if count.requests > per_minute {
            return Err(WINDOW.saturating_sub(now.since(count.since)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten million; a tenth of it where nothing is optimised.
    const PEERS: u32 = if cfg!(debug_assertions) {
        1_000_000
    } else {
        10_000_000
    };

    #[test]
    fn millions_of_peers_take_no_more_room_than_the_table() {
        let limits = PeerLimits::default();
        let now = Timestamp::from_millis(1);
        for n in 0..PEERS {
            let _limited = limits.take(Peer::of(n.to_be_bytes().into()), now, 10);
        }
        assert!(limits.table.lock().unwrap().counts.len() <= PEERS_MAX + 1);
    }

    #[test]
    fn a_peer_waits_out_its_minute() {
        let limits = PeerLimits::default();
        let (one, two) = (
            Peer::of([10, 0, 0, 1].into()),
            Peer::of([10, 0, 0, 2].into()),
        );
        let now = Timestamp::from_millis(1_000);
        assert!((0..3).all(|_| limits.take(one, now, 3).is_ok()));
        assert_eq!(limits.take(one, now, 3), Err(WINDOW));
        assert!(limits.take(two, now, 3).is_ok());
        assert!(limits.take(one, now.plus(WINDOW), 3).is_ok());
    }
}
