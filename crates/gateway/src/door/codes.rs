//! Sign-in codes: single use, sixty seconds, no authority beyond one browser session.

use instar_protocol::{Secret, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::digest::Digest;

/// How long a code is good.
pub const CODE_SECONDS: u64 = 60;
/// Codes that are open at once; a new one pushes out the oldest.
const CODES_MAX: usize = 16;

/// The codes that are open.
#[derive(Debug, Default)]
pub struct Codes {
    open: Mutex<Vec<(Digest, Timestamp)>>,
}

impl Codes {
    /// Makes a code; returns it with the time at which it ends.
    pub fn make(&self, now: Timestamp) -> Result<(Secret, Timestamp), getrandom::Error> {
        let code = random_text::<16>()?;
        let ends = now.plus(Duration::from_secs(CODE_SECONDS));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CODES_MAX {
            open.remove(0);
        }
        open.push((Digest::of(code.expose()), ends));
        Ok((code, ends))
    }

    /// Spends a code; true once for a code that is open.
    pub fn spend(&self, code: &str, now: Timestamp) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, ends)| *ends > now);
        let found = open.iter().position(|(digest, _)| digest.matches(code));
        found.map(|at| open.remove(at)).is_some()
    }
}

/// Random bytes in a device's token.
const DEVICE_BYTES: usize = 32;

/// A fresh token for a device.
pub(crate) fn device_token() -> Result<Secret, getrandom::Error> {
    random_text::<DEVICE_BYTES>()
}

/// What the secret of a run file begins with, so that it is known for one before it is compared.
const LOCAL: &str = "local_";
const LOCAL_BYTES: usize = 32;

/// The secret of a run file.
pub(crate) fn local_secret() -> Result<Secret, getrandom::Error> {
    let random = random_text::<LOCAL_BYTES>()?;
    Ok(Secret::new(format!("{LOCAL}{}", random.expose())))
}

/// True if the text has the form of a run file's secret.
pub(super) fn is_local(text: &str) -> bool {
    text.strip_prefix(LOCAL)
        .is_some_and(is_random::<LOCAL_BYTES>)
}

/// True if the text may have come from [`random_text`].
pub(super) fn is_random<const BYTES: usize>(text: &str) -> bool {
    text.len() == 2 * BYTES
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Random bytes as hex text.
pub(crate) fn random_text<const BYTES: usize>() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once_and_for_sixty_seconds() {
        let codes = Codes::default();
        let now = Timestamp::from_millis(1_000);
        let (code, ends) = codes.make(now).unwrap();
        assert!(!codes.spend("guess", now));
        assert!(codes.spend(code.expose(), now));
        assert!(!codes.spend(code.expose(), now));
        let (code, _) = codes.make(now).unwrap();
        assert!(!codes.spend(code.expose(), ends));
        let (code, ends) = codes.make(now).unwrap();
        let before = Timestamp::from_millis(ends.millis() - 1);
        assert!(codes.spend(code.expose(), before));
    }

    #[test]
    fn the_latest_sixteen_codes_are_open() {
        let codes = Codes::default();
        let now = Timestamp::from_millis(1_000);
        let made: Vec<Secret> = (0..=CODES_MAX)
            .map(|_| codes.make(now).unwrap().0)
            .collect();
        let open: Vec<bool> = made
            .iter()
            .map(|code| codes.spend(code.expose(), now))
            .collect();
        assert!(!open[0], "the oldest made room");
        assert!(open[1..].iter().all(|open| *open), "{open:?}");
    }

    #[test]
    fn the_run_file_s_secret_is_known_by_its_form() {
        let local = local_secret().unwrap();
        assert!(is_local(local.expose()));
        assert!(!is_local(random_text::<32>().unwrap().expose()));
        let other = format!("local_{}", "g".repeat(64));
        for text in [
            "",
            "local_",
            "local_abc",
            &other,
            &local.expose().to_uppercase(),
        ] {
            assert!(!is_local(text), "{text}");
        }
    }

    #[test]
    fn parallel_use_lets_one_through() {
        let codes = Codes::default();
        let now = Timestamp::from_millis(1);
        let (code, _) = codes.make(now).unwrap();
        let passed: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| usize::from(codes.spend(code.expose(), now))))
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(passed, 1);
    }
}
