//! What watchers see while it happens: of one session, or of all. Nothing here is stored.

use instar_protocol::SessionKey;
use instar_protocol::live::LiveEvent;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events that a slow watcher may lag behind before it is told that it missed some.
pub(crate) const LIVE_EVENTS_MAX: usize = 256;
/// The same for whoever watches all sessions together.
const HOUSE_EVENTS_MAX: usize = 1_024;

/// Something that happened, and where.
#[derive(Clone, Debug)]
pub struct Seen {
    pub key: SessionKey,
    pub event: Arc<LiveEvent>,
}

/// The sending side of what happens in all sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tap(broadcast::Sender<Seen>);

impl Default for Tap {
    fn default() -> Self {
        Self(broadcast::Sender::new(HOUSE_EVENTS_MAX))
    }
}

impl Tap {
    pub(crate) fn watch(&self) -> broadcast::Receiver<Seen> {
        self.0.subscribe()
    }
}

/// The sending side of a session's live events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    own: broadcast::Sender<Arc<LiveEvent>>,
    all: Option<(SessionKey, Tap)>,
}

impl Live {
    pub(crate) fn new(key: &SessionKey, tap: &Tap) -> Self {
        Self {
            own: broadcast::Sender::new(LIVE_EVENTS_MAX),
            all: Some((key.clone(), tap.clone())),
        }
    }

    /// One that nobody can watch.
    pub(crate) fn unwatched() -> Self {
        Self {
            own: broadcast::Sender::new(1),
            all: None,
        }
    }

    /// Sends what `event` makes, if anybody watches.
    pub(crate) fn send(&self, event: impl FnOnce() -> LiveEvent) {
        let all = self.all.as_ref();
        let all = all.filter(|(_, tap)| tap.0.receiver_count() > 0);
        if !self.is_watched() && all.is_none() {
            return;
        }
        // The last watcher may have gone since: then nobody misses it.
        let event = Arc::new(event());
        if let Some((key, tap)) = all {
            let (key, event) = (key.clone(), Arc::clone(&event));
            drop(tap.0.send(Seen { key, event }));
        }
        drop(self.own.send(event));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.own.subscribe()
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.own.receiver_count() > 0
    }
}
