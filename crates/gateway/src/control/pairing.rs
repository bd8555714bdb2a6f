//! Devices that wait for the owner's word.
//!
//! A request carries no authority: it is a note of what a device that proved its key asks for. It
//! lives for five minutes, in memory only, and there are few of them.

use instar_protocol::Timestamp;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::scope::Scopes;

/// How long a request waits.
pub(crate) const WAITS: Duration = Duration::from_secs(300);
/// Requests that wait at once. A new one takes the place of the oldest.
const WAITING_MAX: usize = 32;

/// A device that asks to be approved.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Asked {
    pub(crate) request: String,
    pub(crate) device: String,
    pub(crate) public_key: String,
    pub(crate) role: String,
    pub(crate) scopes: Scopes,
    /// What the client says of itself: display name, platform and so on.
    pub(crate) about: Value,
    pub(crate) address: String,
    /// True if the device is known and asks for something else than it has.
    pub(crate) again: bool,
    pub(crate) at: Timestamp,
}

impl Asked {
    /// In the protocol's form.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = json!({
            "requestId": self.request,
            "deviceId": self.device,
            "publicKey": self.public_key,
            "role": self.role,
            "roles": [self.role],
            "scopes": self.scopes.names(),
            "remoteIp": self.address,
            "isRepair": self.again,
            "ts": self.at.millis(),
        });
        for name in [
            "displayName",
            "platform",
            "deviceFamily",
            "clientId",
            "clientMode",
        ] {
            if let Some(text) = self.about[name].as_str().filter(|text| !text.is_empty()) {
                shown[name] = text.into();
            }
        }
        shown
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pairing(Mutex<Vec<Asked>>);

impl Pairing {
    /// Notes a request; a device that asks again in the same way keeps the request it has. Returns
    /// the request that waits now, and whether it is new.
    pub(crate) fn ask(&self, asked: Asked) -> (Asked, bool) {
        let mut waiting = self.waiting(asked.at);
        let same = |one: &&Asked| {
            one.device == asked.device && one.role == asked.role && one.scopes == asked.scopes
        };
        if let Some(found) = waiting.iter().find(same) {
            return (found.clone(), false);
        }
        waiting.retain(|one| one.device != asked.device);
        if waiting.len() >= WAITING_MAX {
            waiting.remove(0);
        }
        waiting.push(asked.clone());
        (asked, true)
    }

    /// The requests that wait, the oldest first.
    pub(crate) fn list(&self, now: Timestamp) -> Vec<Asked> {
        self.waiting(now).clone()
    }

    pub(crate) fn find(&self, request: &str, now: Timestamp) -> Option<Asked> {
        let waiting = self.waiting(now);
        waiting.iter().find(|one| one.request == request).cloned()
    }

    /// Takes a request out: it is answered once.
    pub(crate) fn take(&self, request: &str, now: Timestamp) -> Option<Asked> {
        let mut waiting = self.waiting(now);
        let at = waiting.iter().position(|one| one.request == request)?;
        Some(waiting.remove(at))
    }

    fn waiting(&self, now: Timestamp) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| now.since(one.at) < WAITS);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::scope::Scope;

    fn asked(n: usize, at: u64) -> Asked {
        Asked {
            request: format!("r{n}"),
            device: format!("d{n}"),
            public_key: "k".to_owned(),
            role: "operator".to_owned(),
            scopes: Scopes::TOKEN_HOLDER,
            about: json!({}),
            address: "127.0.0.1".to_owned(),
            again: false,
            at: Timestamp::from_millis(at),
        }
    }

    #[test]
    fn a_request_is_answered_once_and_not_after_five_minutes() {
        let pairing = Pairing::default();
        let (first, new) = pairing.ask(asked(1, 0));
        assert!(new);
        let mut again = asked(1, 5);
        again.request = "other".to_owned();
        assert_eq!(pairing.ask(again), (first, false), "the same request");
        let now = Timestamp::from_millis(10);
        assert!(pairing.take("r1", now).is_some());
        assert!(pairing.take("r1", now).is_none(), "once");
        pairing.ask(asked(2, 0));
        let late = Timestamp::from_millis(300_000);
        assert!(pairing.find("r2", late).is_none() && pairing.list(late).is_empty());
    }

    #[test]
    fn what_a_device_asks_for_last_counts_and_the_list_is_bounded() {
        let pairing = Pairing::default();
        let now = Timestamp::from_millis(1);
        pairing.ask(asked(1, 0));
        let mut wider = asked(1, 1);
        (wider.request, wider.scopes) = ("wider".to_owned(), Scopes::of(&[Scope::Admin]));
        assert!(pairing.ask(wider).1);
        assert!(pairing.find("r1", now).is_none(), "one request per device");
        for n in 2..100 {
            pairing.ask(asked(n, 1));
        }
        assert_eq!(pairing.list(now).len(), WAITING_MAX);
    }
}
