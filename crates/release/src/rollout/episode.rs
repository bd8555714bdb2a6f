//! The units that a rollout's coin is thrown for: their names, and whose they are.

use instar_protocol::{SessionId, SessionKey};
use instar_store::Store;

use crate::error::ReleaseError;

/// How far a conversation that works for another is followed back.
const DEPTH_MAX: usize = 8;

/// The name of an episode: the same conversation's next one in the same rollout always has the same name,
/// so that its arm is known before it is recorded.
#[must_use]
pub(crate) fn unit_name(rollout: &str, session: &SessionId, ordinal: u32) -> String {
    format!("{rollout}/{session}/{ordinal}")
}

/// The number of an episode in its conversation.
pub(crate) fn ordinal(unit: &str) -> u32 {
    let number = unit.rsplit('/').next();
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The conversation at the beginning of a chain of those that work for others.
pub(super) async fn root_of(
    store: &Store,
    parent: &SessionKey,
) -> Result<Option<SessionId>, ReleaseError> {
    let mut key = parent.clone();
    let mut root = None;
    for _ in 0..DEPTH_MAX {
        let Some(row) = store.session_by_key(&key).await? else {
            break;
        };
        root = Some(row.id);
        match row.parent {
            Some(parent) => key = parent,
            None => break,
        }
    }
    Ok(root)
}
