//! One connection that got through the handshake, as the rest of the gateway sees it.
//!
//! Nobody who has something to tell ever waits for a connection: what does not fit into its bounded
//! buffer ends it instead.

use instar_protocol::{Principal, SessionKey, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::frame::{self, Event, Refusal};
use super::scope::{Scope, Scopes};

/// Bytes that wait to be written to one client before it counts as gone.
pub(crate) const BUFFERED_MAX: usize = 16 * 1024 * 1024;
/// Frames that wait.
const FRAMES_MAX: usize = 4_096;
/// Conversations that one connection follows by name.
const FOLLOWED_MAX: usize = 256;

/// Who a connection is. Computed once, in the handshake, from what was proved there.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) conn: String,
    pub(crate) principal: Principal,
    pub(crate) role: &'static str,
    pub(crate) scopes: Scopes,
    /// The device whose key signed the handshake.
    pub(crate) device: Option<String>,
    /// True if the gateway's token or password was shown: it ends with that.
    pub(crate) by_secret: bool,
    /// The digest of the browser's cookie, if that let it in: it ends with the session.
    pub(crate) session: Option<String>,
    /// The end of the statement that let it in, if one did.
    pub(crate) until: Option<Timestamp>,
    /// What the client says of itself. Nothing is decided by it.
    pub(crate) client: Client,
    pub(crate) caps: Vec<String>,
    pub(crate) address: IpAddr,
}

impl Operator {
    /// True once the statement that let it in is not good any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|end| end <= now)
    }
}

/// What a client says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) mode: String,
    pub(crate) version: String,
    pub(crate) platform: String,
    pub(crate) display_name: Option<String>,
    pub(crate) device_family: Option<String>,
    pub(crate) instance_id: Option<String>,
}

impl Operator {
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.may(scope)
    }

    pub(crate) fn has_cap(&self, name: &str) -> bool {
        self.caps.iter().any(|cap| cap == name)
    }
}

/// Something to be written.
#[derive(Debug)]
pub(super) enum Outgoing {
    Frame(String),
    Event(Event),
}

impl Outgoing {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Frame(text) => text.len(),
            Self::Event(event) => event.len(),
        }
    }
}

/// Why a connection is ended from this side: a close code of the protocol and a word.
pub(crate) type Why = (u16, &'static str);

/// What a connection wants to hear of conversations.
#[derive(Debug, Default)]
struct Follows {
    keys: HashSet<SessionKey>,
    all: bool,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) who: Arc<Operator>,
    pub(crate) since: Timestamp,
    frames: mpsc::Sender<Outgoing>,
    waiting: Arc<AtomicUsize>,
    follows: Mutex<Follows>,
    cut: CancellationToken,
    why: OnceLock<Why>,
}

/// The end of a link that its writer holds.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) frames: mpsc::Receiver<Outgoing>,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Link {
    pub(super) fn new(who: Arc<Operator>, since: Timestamp) -> (Arc<Self>, Outbox) {
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let link = Self {
            who,
            since,
            frames: sender,
            waiting: Arc::clone(&waiting),
            follows: Mutex::default(),
            cut: CancellationToken::new(),
            why: OnceLock::new(),
        };
        (Arc::new(link), Outbox { frames, waiting })
    }

    pub(crate) fn reply(&self, id: &str, result: &Result<Value, Refusal>) {
        self.push(Outgoing::Frame(frame::response(id, result)));
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.push(Outgoing::Event(event.clone()));
    }

    fn push(&self, outgoing: Outgoing) {
        let bytes = outgoing.len();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > BUFFERED_MAX || self.frames.try_send(outgoing).is_err() {
            self.close((1008, "slow consumer"));
        }
    }

    /// Ends the connection. The first reason counts.
    pub(crate) fn close(&self, why: Why) {
        let _first = self.why.set(why);
        self.cut.cancel();
    }

    /// Waits until the connection is ended from this side.
    pub(super) async fn cut(&self) -> Why {
        self.cut.cancelled().await;
        self.why.get().copied().unwrap_or((1000, ""))
    }

    /// From now on the connection hears of this conversation, as far as its scopes go.
    pub(crate) fn follow(&self, key: &SessionKey) {
        let mut follows = self.follows();
        if follows.keys.len() < FOLLOWED_MAX {
            follows.keys.insert(key.clone());
        }
    }

    pub(crate) fn unfollow(&self, key: &SessionKey) {
        self.follows().keys.remove(key);
    }

    /// From now on it hears when any conversation changed; not what is said there.
    pub(crate) fn follow_changes(&self) {
        self.follows().all = true;
    }

    /// True if it may hear, and wants to hear, what is said in a conversation.
    pub(crate) fn hears(&self, key: &SessionKey) -> bool {
        self.who.may(Scope::Read) && self.follows().keys.contains(key)
    }

    /// True if it may hear, and wants to hear, that a conversation changed.
    pub(crate) fn hears_changes(&self, key: &SessionKey) -> bool {
        let follows = self.follows();
        self.who.may(Scope::Read) && (follows.all || follows.keys.contains(key))
    }

    fn follows(&self) -> std::sync::MutexGuard<'_, Follows> {
        self.follows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the list of those present shows it.
    pub(crate) fn presence(&self) -> Value {
        let Operator { client, .. } = &*self.who;
        let mut entry = json!({
            "ts": self.since.millis(),
            "onlineSince": self.since.millis(),
            "mode": client.mode,
            "version": client.version,
            "platform": client.platform,
            "ip": self.who.address.to_string(),
            "roles": [self.who.role],
            "scopes": self.who.scopes.names(),
            "reason": "connect",
        });
        let told = [
            ("host", &client.display_name),
            ("deviceFamily", &client.device_family),
            ("instanceId", &client.instance_id),
            ("deviceId", &self.who.device),
        ];
        for (name, value) in told {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                entry[name] = value.as_str().into();
            }
        }
        entry
    }
}
