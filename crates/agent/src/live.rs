//! What watchers of a session see while it happens. Nothing here is stored.

use instar_protocol::live::LiveEvent;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events that a slow watcher may lag behind before it is told that it missed some.
pub(crate) const LIVE_EVENTS_MAX: usize = 256;

/// The sending side of a session's live events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Live(broadcast::Sender<Arc<LiveEvent>>);

impl Live {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(LIVE_EVENTS_MAX))
    }

    /// One that nobody can watch.
    pub(crate) fn unwatched() -> Self {
        Self(broadcast::Sender::new(1))
    }

    /// Sends what `event` makes, if anybody watches.
    pub(crate) fn send(&self, event: impl FnOnce() -> LiveEvent) {
        if self.0.receiver_count() > 0 {
            // The last watcher may have gone since: then nobody misses it.
            drop(self.0.send(Arc::new(event())));
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.0.subscribe()
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }
}
