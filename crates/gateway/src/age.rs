//! How old this version is. A restart is not an update: an old program that the world can reach is
//! told as such, and past the owner's limit the world does not reach it.

use instar_protocol::Timestamp;
use std::time::Duration;

/// When this version was released. It changes with the version.
const RELEASED: Timestamp = Timestamp::from_millis(1_795_219_200_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Whole days since the release of this version.
#[must_use]
pub fn days(now: Timestamp) -> u64 {
    now.since(RELEASED).as_secs() / DAY.as_secs()
}

/// True if a version of this age may not be reached from elsewhere.
#[must_use]
pub fn is_over(limit_days: Option<u32>, now: Timestamp) -> bool {
    limit_days.is_some_and(|limit| days(now) > u64::from(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_over_on_the_day_after_its_last() {
        let at = |days: u32| RELEASED.plus(DAY * days);
        assert_eq!((days(RELEASED), days(at(3))), (0, 3));
        // A clock that is behind makes nothing old.
        assert_eq!(days(Timestamp::from_millis(0)), 0);
        assert!(!is_over(Some(30), at(30)) && is_over(Some(30), at(31)));
        assert!(!is_over(None, at(10_000)));
    }
}
