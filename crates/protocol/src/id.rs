//! Ids as newtypes, so that a run id cannot be passed for a session id.
//!
//! A generated id is a short prefix, then 26 characters of Crockford base 32 over 128 bits: 48 bits
//! of milliseconds and 80 random bits. Ids of one kind therefore sort by time.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(at: Timestamp, random: [u8; 10]) -> String {
    let mut bits: u128 = u128::from(at.millis() & 0xffff_ffff_ffff) << 80;
    for (index, byte) in random.iter().enumerate() {
        bits |= u128::from(*byte) << (72 - 8 * index);
    }
    (0..26)
        .rev()
        .map(|place| {
            let index = usize::try_from((bits >> (5 * place)) & 31).unwrap_or(0);
            char::from(ALPHABET[index])
        })
        .collect()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Makes a new id from the time and ten random bytes.
            #[must_use]
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(format!(concat!($prefix, "_{}"), encode(at, random)))
            }

            /// Takes an id as it was stored or received; the text is not checked.
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// One stored conversation. A session key points at the session that is current for it.
    SessionId = "ses";
    /// One entry of a transcript tree.
    EntryId = "ent";
    /// One inbound message, as accepted at the door.
    InboundId = "inb";
    /// One reply on its way out.
    OutboxId = "out";
    /// One agent turn from message to reply.
    RunId = "run";
    /// One run of a schedule.
    ScheduleRunId = "srn";
    /// One event of the event log.
    EventId = "evt";
    /// One question to the owner about a call.
    QuestionId = "ask";
    /// One letter of an agent to its owner.
    LetterId = "let";
    /// One standing rule that the owner made of an answer.
    RuleId = "rul";
    /// One change of a file that can be undone.
    UndoId = "und";
}

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the lower-case hex SHA-256 of the content.
            pub fn from_hex(hex: impl Into<String>) -> Self {
                Self(hex.into())
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve characters, for people.
            #[must_use]
            pub fn short(&self) -> &str {
                self.0.get(..12).unwrap_or(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

hashes! {
    /// The content hash of an object in the object store.
    ObjectHash;
    /// The content hash of a release: the hash of its behaviour in canonical form.
    ReleaseId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_keep_all_bits() {
        let early = RunId::new(Timestamp::from_millis(1), [0xff; 10]);
        let late = RunId::new(Timestamp::from_millis(2), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().len(), 4 + 26);
        let mut other = [0; 10];
        other[9] = 1;
        assert_ne!(late, RunId::new(Timestamp::from_millis(2), other));
    }
}
