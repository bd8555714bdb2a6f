//! The coin that puts a unit on an arm: secret, and the same however often it is thrown for that unit.

use ring::hmac;

use super::bet::Arm;

pub const KEY_BYTES: usize = 32;

/// The coin of one experiment. Two experiments that share one are one experiment: what the other fix
/// did would count for this one.
#[derive(Clone)]
pub struct Coin(hmac::Key);

impl Coin {
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The coin of the experiment of this name, under a key that many have in common.
    #[must_use]
    pub fn of(house: &[u8; KEY_BYTES], experiment: &str) -> Self {
        let house = hmac::Key::new(hmac::HMAC_SHA256, house);
        let tag = hmac::sign(&house, experiment.as_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref()))
    }

    /// A number from 0 up to 1 that nobody without the key can foretell.
    #[must_use]
    pub fn number(&self, unit: &str) -> f64 {
        let tag = hmac::sign(&self.0, unit.as_bytes());
        let mut high = [0; 4];
        high.copy_from_slice(&tag.as_ref()[..4]);
        f64::from(u32::from_be_bytes(high)) / (f64::from(u32::MAX) + 1.0)
    }

    /// The arm of the unit, where the new arm has this share.
    #[must_use]
    pub fn throw(&self, unit: &str, share: f64) -> Arm {
        if self.number(unit) < share {
            Arm::New
        } else {
            Arm::Old
        }
    }
}

impl std::fmt::Debug for Coin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Coin")
    }
}
