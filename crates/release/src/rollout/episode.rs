//! The coin of a rollout, and the names of the units that it is thrown for.

use instar_protocol::SessionId;
use instar_protocol::event::Arm;
use ring::hmac;

/// The secret key of one rollout's coin. Two rollouts never share one: what shares a coin is one experiment.
#[derive(Clone)]
pub struct Coin(hmac::Key);

impl std::fmt::Debug for Coin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Coin(..)")
    }
}

impl Coin {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A number from 0 up to 1 that belongs to this unit.
    #[must_use]
    pub fn of(&self, unit: &str) -> f64 {
        let tag = hmac::sign(&self.0, unit.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&tag.as_ref()[..8]);
        fraction(u64::from_be_bytes(bytes))
    }

    /// The arm of a unit while the candidate has this share of new ones.
    #[must_use]
    pub fn arm(&self, unit: &str, share: f64) -> Arm {
        if self.of(unit) < share {
            Arm::Canary
        } else {
            Arm::Stable
        }
    }
}

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

/// The upper 53 bits as a part of 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit the number exactly")]
fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
