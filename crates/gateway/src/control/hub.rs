//! The connections that are open, and what is told to all of them.

use instar_protocol::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

use super::frame::Event;
use super::link::{Link, Why};
use super::pairing::Pairing;
use super::runs::Runs;
use super::scope::Scope;
use crate::http::Shares;

/// Connections that have not proved who they are.
pub(super) const UNPROVEN_MAX: usize = 64;
/// Connections that have.
const LINKS_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Hub {
    links: Mutex<Vec<Arc<Link>>>,
    /// How many links there are; who works for them alone waits on it.
    count: watch::Sender<usize>,
    presence: AtomicU64,
    health: AtomicU64,
    /// How often connections were ended by [`Hub::close`].
    endings: AtomicU64,
    pub(super) unproven: Arc<Semaphore>,
    /// What of those places one peer may have.
    pub(super) unproven_shares: Shares,
    pub(crate) pairing: Pairing,
    pub(crate) runs: Runs,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            links: Mutex::default(),
            count: watch::Sender::new(0),
            presence: AtomicU64::new(1),
            health: AtomicU64::new(1),
            endings: AtomicU64::new(0),
            unproven: Arc::new(Semaphore::new(UNPROVEN_MAX)),
            unproven_shares: Shares::of(UNPROVEN_MAX),
            pairing: Pairing::default(),
            runs: Runs::default(),
        }
    }
}

impl Hub {
    /// Takes a connection in; false if there are too many.
    pub(super) fn join(&self, link: &Arc<Link>) -> bool {
        let mut links = self.links();
        if links.len() >= LINKS_MAX {
            return false;
        }
        links.push(Arc::clone(link));
        self.count.send_replace(links.len());
        drop(links);
        self.presence.fetch_add(1, Ordering::Relaxed);
        true
    }

    pub(super) fn leave(&self, link: &Arc<Link>) {
        let mut links = self.links();
        links.retain(|one| !Arc::ptr_eq(one, link));
        self.count.send_replace(links.len());
        drop(links);
        self.presence.fetch_add(1, Ordering::Relaxed);
        self.tell_presence();
    }

    /// The number of connections, and a way to wait for another.
    pub(super) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.links().clone()
    }

    /// Tells an event to every connection that `to` picks.
    pub(crate) fn tell(&self, event: &Event, to: impl Fn(&Link) -> bool) {
        for link in self.links().iter().filter(|link| to(link)) {
            link.tell(event);
        }
    }

    /// True if `to` picks a connection: whoever makes events asks first.
    pub(crate) fn any(&self, to: impl Fn(&Link) -> bool) -> bool {
        self.links().iter().any(|link| to(link))
    }

    /// Tells an event to all that hold a scope.
    pub(crate) fn tell_holders(&self, scope: Scope, name: &str, payload: &Value) {
        self.tell(&Event::new(name, payload), |link| link.who.may(scope));
    }

    /// Ends connections; their callers' requests end with them. What they were let in by is gone
    /// from the store by then.
    pub(crate) fn close(&self, why: Why, which: impl Fn(&Link) -> bool) {
        self.endings.fetch_add(1, Ordering::SeqCst);
        for link in self.links().iter().filter(|link| which(link)) {
            link.close(why);
        }
    }

    /// Changes whenever an authority ends. A handshake that was judged before may have been judged
    /// by what is gone: it reads this first, and again once it has joined.
    pub(super) fn endings(&self) -> u64 {
        self.endings.load(Ordering::SeqCst)
    }

    /// Ends what a browser opened before it signed out.
    pub(crate) fn close_session(&self, session: &str) {
        self.close((1008, "signed out"), |link| {
            link.who.session.as_deref() == Some(session)
        });
    }

    /// Ends what a statement let in that is not good any more.
    pub(crate) fn close_over(&self, now: Timestamp) {
        self.close((1008, "signed out"), |link| link.who.is_over(now));
    }

    /// Ends what a device opened.
    pub(crate) fn close_device(&self, device: &str) {
        self.close((1008, "device removed"), |link| {
            link.who.device.as_deref() == Some(device)
        });
    }

    /// Ends what was opened with the gateway's token or password, after it was changed.
    pub(crate) fn close_holders(&self) {
        self.close((1008, "credential changed"), |link| link.who.by_secret);
    }

    pub(crate) fn presence(&self) -> Vec<Value> {
        self.links().iter().map(|link| link.presence()).collect()
    }

    pub(crate) fn versions(&self) -> Value {
        json!({
            "presence": self.presence.load(Ordering::Relaxed),
            "health": self.health.load(Ordering::Relaxed),
        })
    }

    pub(super) fn tell_presence(&self) {
        let payload = json!({ "presence": self.presence() });
        let event = Event::with("presence", &payload, Some(self.versions()));
        self.tell(&event, |_| true);
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
