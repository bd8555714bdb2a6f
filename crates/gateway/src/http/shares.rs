//! Connections of one peer: a part of all places, so that none can take them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::door::Peer;

/// One peer may have this part of all places, if it is not fewer than [`LEAST`].
const PART: usize = 8;
const LEAST: usize = 16;

/// Open connections by peer. It holds no more peers than there are connections.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    max: usize,
    open: Arc<Mutex<HashMap<Peer, usize>>>,
}

/// One connection of a peer, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    peer: Peer,
    open: Arc<Mutex<HashMap<Peer, usize>>>,
}

impl Shares {
    /// For so many places.
    pub(crate) fn of(places: usize) -> Self {
        Self {
            max: (places / PART).max(LEAST),
            open: Arc::default(),
        }
    }

    /// Counts a connection; `None` if the peer has its share already.
    pub(crate) fn take(&self, peer: Peer) -> Option<Share> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Share {
            peer,
            open: Arc::clone(&self.open),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                let _none = open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::of([10, 0, 0, last].into())
    }

    #[test]
    fn b9_a_peer_has_an_eighth_and_others_have_theirs() {
        let shares = Shares::of(512);
        let mut held: Vec<Share> = (0..64).map_while(|_| shares.take(peer(1))).collect();
        assert_eq!(held.len(), 64);
        assert!(shares.take(peer(1)).is_none());
        let other = shares.take(peer(2));
        assert!(other.is_some());
        drop(held.pop());
        held.extend(shares.take(peer(1)));
        assert_eq!(held.len(), 64);
        drop((held, other));
        assert!(shares.open.lock().unwrap().is_empty());
    }

    #[test]
    fn b9_few_places_are_not_split_into_tiny_shares() {
        let shares = Shares::of(20);
        let held: Vec<Share> = (0..20).map_while(|_| shares.take(peer(1))).collect();
        assert_eq!(held.len(), LEAST);
    }
}
