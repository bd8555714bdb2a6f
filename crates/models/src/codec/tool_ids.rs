//! Ids of tool calls, adapted where a vendor restricts them.
//!
//! A conversation may hold calls that another vendor made. The new id depends on the old one
//! alone, so a call and its result stay a pair.

use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Which ids a vendor takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolIds {
    /// Letters, digits, `_` and `-`, at most so many.
    Word(usize),
    /// Letters and digits, exactly so many.
    Exactly(usize),
}

impl ToolIds {
    pub(crate) fn adapt(self, id: &str) -> Cow<'_, str> {
        let fits = match self {
            Self::Word(max) => {
                (1..=max).contains(&id.len())
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            }
            Self::Exactly(len) => id.len() == len && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        };
        if fits {
            return Cow::Borrowed(id);
        }
        let digest = hex::encode(Sha256::digest(id));
        Cow::Owned(match self {
            Self::Word(_) => format!("call_{}", &digest[..24]),
            Self::Exactly(len) => digest.chars().cycle().take(len).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_ids_stay_and_others_become_stable_ones() {
        assert_eq!(ToolIds::Word(64).adapt("toolu_01-a"), "toolu_01-a");
        assert_eq!(ToolIds::Exactly(9).adapt("abcDEF123"), "abcDEF123");
        let nine = ToolIds::Exactly(9).adapt("call_0123456789").into_owned();
        assert_eq!(nine.len(), 9);
        assert_eq!(nine, ToolIds::Exactly(9).adapt("call_0123456789"));
        assert_ne!(nine, ToolIds::Exactly(9).adapt("call_0123456788"));
        assert!(ToolIds::Word(40).adapt("a b/c").starts_with("call_"));
    }
}
