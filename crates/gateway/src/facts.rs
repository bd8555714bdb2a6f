//! Facts about the gateway itself, written down as events.

use instar_protocol::event::{Event, EventKind, GatewayFact};
use instar_protocol::{Clock, EventId, Timestamp};
use instar_release::Releases;
use instar_store::{Op, Store, StoreError};
use std::sync::Arc;

/// Writes facts into the event log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Facts {
    store: Store,
    releases: Releases,
    clock: Arc<dyn Clock>,
}

impl Facts {
    pub(crate) fn new(store: Store, releases: Releases, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            releases,
            clock,
        }
    }

    /// Writes a fact down with the next commit. A store that cannot take it is already in the log.
    pub fn note(&self, kind: EventKind) {
        let op = self.event(self.clock.now(), kind);
        if let Err(error) = self.store.enqueue(vec![op]) {
            tracing::warn!(%error, "an event could not be recorded");
        }
    }

    /// Writes down that the store could not be written since then, and can be now. While it cannot,
    /// nothing can be written down, so both facts go in one batch: it is the write that shows that
    /// the disk is back.
    pub(crate) async fn disk_was_full(&self, since: Timestamp) -> Result<(), StoreError> {
        let fact = |at, what| self.event(at, EventKind::Gateway { what });
        let ops = vec![
            fact(since, GatewayFact::StorageFull),
            fact(self.clock.now(), GatewayFact::StorageBack),
        ];
        self.store.commit(ops).await
    }

    fn event(&self, at: Timestamp, kind: EventKind) -> Op {
        Op::AppendEvent(Event {
            release: self.releases.stable().map(|release| release.id.clone()),
            ..Event::of_house(EventId::new(at, crate::random::ten()), at, kind)
        })
    }
}
