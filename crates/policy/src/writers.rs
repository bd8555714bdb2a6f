//! Who can put words before the agent, and the posture that takes more trust than they have.

use crate::authority::Posture;

/// Somebody besides the one owner who can write to the agent. Every way in says of itself whom it
/// lets in: doors with the names on their lists, a channel with the people and groups that it takes
/// messages from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Writer {
    /// The key of the configuration that lets them in.
    pub by: String,
    /// Who that is, in words.
    pub who: String,
}

/// Why a posture is refused where these people can write to the agent; `None` where it is not.
///
/// The open posture lets through what only text asks for. So whoever can write can act.
#[must_use]
pub fn refused(posture: Posture, writers: &[Writer]) -> Option<String> {
    if posture != Posture::Open || writers.is_empty() {
        return None;
    }
    let told: Vec<String> = writers
        .iter()
        .map(|writer| format!("{} ({})", writer.who, writer.by))
        .collect();
    Some(format!(
        "the open posture is refused where somebody besides you can write to the agent: {}; take them off, or \
         choose balanced",
        told.join(", ")
    ))
}
