//! Notices a run that goes in circles.

use instar_policy::canonical;
use instar_protocol::tool::ToolCall;
use std::collections::BTreeMap;

/// Distinct calls beyond this number are no longer told apart from new ones.
const CALLS_MAX: usize = 512;

/// Counts equal calls with equal results within one turn. A pure value: it stops nothing itself.
///
/// A call that is repeated and answered differently is polling, not a loop; calls that alternate
/// without anything new are counted each, so a longer circle is found as well.
#[derive(Clone, Debug)]
pub struct LoopGuard {
    limit: u32,
    seen: BTreeMap<String, u32>,
}

/// What a finished call adds to the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repetition {
    /// Not seen before in this turn.
    New,
    /// The same call had the same result before; this is occurrence number `times`.
    Again { times: u32 },
    /// The limit is reached: end the turn.
    Loop { times: u32 },
}

impl LoopGuard {
    /// A guard that calls it a loop when a call has had the same result `limit` times.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            limit: limit.max(2),
            seen: BTreeMap::new(),
        }
    }

    /// Notes a finished (or refused) call with the text that the model got for it.
    pub fn note(&mut self, call: &ToolCall, result: &str) -> Repetition {
        let key = fingerprint(call, result);
        if self.seen.len() >= CALLS_MAX && !self.seen.contains_key(&key) {
            return Repetition::New;
        }
        let times = self.seen.entry(key).or_insert(0);
        *times = times.saturating_add(1);
        match *times {
            1 => Repetition::New,
            times if times >= self.limit => Repetition::Loop { times },
            times => Repetition::Again { times },
        }
    }
}

fn fingerprint(call: &ToolCall, result: &str) -> String {
    // Arguments without a canonical form were refused; their plain text tells them apart.
    let arguments =
        canonical::write(&call.arguments).unwrap_or_else(|_| call.arguments.to_string());
    let parts =
        [call.name.as_str(), &arguments, result].map(|part| canonical::sha256(part.as_bytes()));
    canonical::sha256(parts.concat().as_bytes())
}
