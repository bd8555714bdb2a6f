//! The names of the units that a rollout's coin is thrown for.

use instar_protocol::SessionId;

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
