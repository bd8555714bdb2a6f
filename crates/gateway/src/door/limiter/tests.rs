use super::*;

/// Ten million; a tenth of it where nothing is optimised.
const PEERS: u32 = if cfg!(debug_assertions) {
    1_000_000
} else {
    10_000_000
};
/// A lock-out that outlasts the window, and one that does not.
const LONG: RateLimitConfig = rules(3, 60_000, 300_000);
const SHORT: RateLimitConfig = rules(3, 60_000, 10_000);
const START: Timestamp = Timestamp::from_millis(1_000_000);

const fn rules(max_attempts: u32, window_ms: u32, lockout_ms: u32) -> RateLimitConfig {
    RateLimitConfig {
        max_attempts,
        window_ms,
        lockout_ms,
    }
}

fn peer(n: u32) -> Peer {
    Peer::of(std::net::IpAddr::from(n.to_be_bytes()))
}

fn at(millis: u32) -> Timestamp {
    START.plus(Duration::from_millis(millis.into()))
}

impl Limiter {
    fn len(&self) -> usize {
        self.counts.lock().unwrap().counts.len()
    }

    fn fails(&self, n: u32, times: u32, now: Timestamp, rules: RateLimitConfig) {
        for _ in 0..times {
            self.failed(peer(n), Class::Bearer, now, rules);
        }
    }

    /// How long a peer has to wait, in milliseconds.
    fn waits(&self, n: u32, now: Timestamp) -> Option<u128> {
        let locked = self.check(peer(n), Class::Bearer, now).err();
        locked.map(|locked| locked.retry_after.as_millis())
    }
}

/// A full table, each peer of which failed once; they are numbered from 1.
fn full(now: Timestamp, rules: RateLimitConfig) -> Limiter {
    let limiter = Limiter::default();
    for n in 1.. {
        if limiter.len() == PEERS_MAX {
            break;
        }
        limiter.fails(n, 1, now, rules);
    }
    // Nobody together is not what these tests are about.
    let mut table = limiter.counts.lock().unwrap();
    let everybody = table.counts.get_mut(&(Who::Everybody, Class::Bearer));
    *everybody.unwrap() = Count {
        failures: 0,
        since: now,
        locked_until: None,
    };
    drop(table);
    limiter
}

#[test]
fn the_secret_after_the_limit_is_not_compared() {
    let (limiter, rules) = (Limiter::default(), RateLimitConfig::default());
    let now = Timestamp::from_millis(1_000_000);
    for _ in 0..rules.max_attempts {
        assert_eq!(
            limiter.verify(peer(1), Class::Bearer, now, rules, || None::<()>),
            Ok(None)
        );
    }
    let mut compared = false;
    let answer = limiter.verify(peer(1), Class::Bearer, now, rules, || {
        compared = true;
        Some(())
    });
    assert!(answer.is_err() && !compared);
    // Another kind of secret and another peer are not concerned.
    assert!(
        limiter
            .verify(peer(1), Class::Cookie, now, rules, || Some(()))
            .is_ok()
    );
    assert!(
        limiter
            .verify(peer(2), Class::Bearer, now, rules, || Some(()))
            .is_ok()
    );
    let later = now.plus(Duration::from_millis(rules.lockout_ms.into()));
    assert_eq!(
        limiter.verify(peer(1), Class::Bearer, later, rules, || Some(())),
        Ok(Some(()))
    );
}

#[test]
fn failures_count_within_their_window_alone() {
    let limiter = Limiter::default();
    limiter.fails(1, 2, START, LONG);
    limiter.fails(1, 2, at(60_000), LONG);
    assert_eq!(limiter.waits(1, at(60_000)), None, "a window has passed");
    limiter.fails(1, 1, at(119_999), LONG);
    assert_eq!(limiter.waits(1, at(119_999)), Some(300_000));
}

#[test]
fn who_was_locked_out_has_every_attempt_again() {
    let limiter = Limiter::default();
    limiter.fails(1, 3, START, SHORT);
    assert_eq!(limiter.waits(1, at(9_999)), Some(1));
    assert_eq!(limiter.waits(1, at(10_000)), None);
    limiter.fails(1, 2, at(10_000), SHORT);
    assert_eq!(limiter.waits(1, at(10_000)), None);
    limiter.fails(1, 1, at(10_000), SHORT);
    assert_eq!(limiter.waits(1, at(10_000)), Some(10_000));
}

#[test]
fn one_that_fails_while_it_is_locked_out_stays_so() {
    let limiter = Limiter::default();
    // Who waited in line for a slow hash fails after others have locked it.
    limiter.fails(1, 4, START, LONG);
    assert_eq!(limiter.waits(1, START), Some(300_000));
}

#[test]
fn many_addresses_are_not_many_guesses_and_lock_everybody_for_one_window() {
    let limiter = Limiter::default();
    for n in 0..3 * TOGETHER {
        assert_eq!(limiter.waits(1_000, START), None, "after {n}");
        limiter.fails(n, 1, START, LONG);
    }
    assert_eq!(limiter.waits(1_000, START), Some(60_000));
    assert_eq!(limiter.waits(1_000, at(60_000)), None);
}

#[test]
fn who_is_in_a_full_table_keeps_its_own_count() {
    let limiter = full(START, LONG);
    limiter.fails(1, 2, START, LONG);
    assert_eq!(limiter.len(), PEERS_MAX);
    assert_eq!(limiter.waits(1, START), Some(300_000));
    assert_eq!(limiter.waits(2, START), None);
    assert_eq!(limiter.waits(1_000_000, START), None);
    // Whoever finds it full shares one count, and it is no count of those who are in it.
    for n in [1_000_000, 1_000_001, 1_000_002] {
        limiter.fails(n, 1, START, LONG);
    }
    assert_eq!(limiter.waits(1_000_003, START), Some(300_000));
    assert_eq!(limiter.waits(2, START), None);
    assert_eq!(limiter.len(), PEERS_MAX + 1);
}

#[test]
fn a_full_table_makes_room_and_forgets_nobody_who_is_locked_out() {
    let limiter = full(START, LONG);
    limiter.fails(1, 2, START, LONG);
    // Nothing is over before a window has passed.
    limiter.fails(1_000_000, 1, at(59_999), LONG);
    assert_eq!(limiter.len(), PEERS_MAX + 1);
    limiter.fails(1_000_001, 3, at(60_999), LONG);
    // Who is locked out, those who share a count, the new one, everybody.
    assert_eq!(limiter.len(), 4);
    assert_eq!(limiter.waits(1, at(60_999)), Some(239_001));
    assert_eq!(limiter.waits(1_000_001, at(60_999)), Some(300_000));
    assert_eq!(limiter.waits(1_000_002, at(60_999)), None);
}

#[test]
fn who_finds_room_again_is_not_held_by_those_who_did_not() {
    let limiter = full(START, LONG);
    limiter.fails(1_000_000, 3, START, LONG);
    assert_eq!(limiter.waits(1_000_001, START), Some(300_000));
    limiter.fails(1_000_001, 1, at(60_000), LONG);
    assert_eq!(limiter.waits(1_000_002, at(60_000)), None);
    // A table that is filled to the last place has none for one more.
    for n in 1.. {
        if limiter.len() == PEERS_MAX {
            break;
        }
        let (peer, rules) = (peer(n), rules(1_000, 60_000, 300_000));
        limiter.failed(peer, Class::Bearer, at(60_000), rules);
    }
    assert_eq!(limiter.waits(2_000_000, at(60_000)), Some(240_000));
}

#[test]
fn a_lock_out_that_is_over_takes_no_place() {
    let once = rules(1, 1_000, 10_000);
    let limiter = full(START, once);
    limiter.fails(1_000_000, 1, at(10_000), once);
    // The new one and everybody.
    assert_eq!(limiter.len(), 2);
}

#[test]
fn a_full_table_is_walked_once_a_second_at_most() {
    let brief = rules(3, 1_500, 300_000);
    let limiter = full(START, brief);
    limiter.fails(1_000_000, 1, at(1_000), brief);
    assert_eq!(limiter.len(), PEERS_MAX + 1, "walked, and nothing was over");
    limiter.fails(1_000_000, 1, at(1_999), brief);
    assert_eq!(limiter.len(), PEERS_MAX + 1, "not walked again so soon");
    limiter.fails(1_000_001, 1, at(2_000), brief);
    // Those who share a count, the new one, everybody.
    assert_eq!(limiter.len(), 3);
    // One that has room is not walked at all.
    limiter.fails(1_000_002, 1, at(60_000), brief);
    assert_eq!(limiter.len(), 4);
}

#[test]
fn millions_of_peers_take_no_more_room_than_the_table() {
    let (limiter, rules) = (Limiter::default(), RateLimitConfig::default());
    let now = Timestamp::from_millis(1);
    for n in 0..PEERS {
        limiter.failed(peer(n), Class::Bearer, now, rules);
    }
    assert!(limiter.len() <= PEERS_MAX + 10);
    // Unknown peers now share one lock-out.
    assert!(
        limiter
            .check(peer(4_000_000_000), Class::Bearer, now)
            .is_err()
    );
}
