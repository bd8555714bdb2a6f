//! A circuit breaker for each model: after failures in a row it is left alone for a while.

use instar_protocol::Timestamp;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::ModelRef;
use std::collections::BTreeMap;
use std::time::Duration;

const FAILURES_TO_OPEN: u32 = 5;
const OPEN_FIRST: Duration = Duration::from_secs(15);
const OPEN_LONGEST: Duration = Duration::from_secs(240);
const MODELS_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
    },
    /// One call is let through; the others wait for its end.
    HalfOpen {
        since: Timestamp,
    },
}

#[derive(Debug)]
struct Breaker {
    state: State,
    open_for: Duration,
    used: Timestamp,
}

/// The breakers of all models. Bounded: the longest unused goes first.
#[derive(Debug, Default)]
pub(crate) struct Breakers(BTreeMap<ModelRef, Breaker>);

impl Breakers {
    /// Whether the model may be asked now; otherwise how long it is still left alone.
    pub(crate) fn admit(&mut self, model: &ModelRef, now: Timestamp) -> Result<(), Duration> {
        let Some(breaker) = self.0.get_mut(model) else {
            return Ok(());
        };
        breaker.used = now;
        match breaker.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now < until => Err(until.since(now)),
            // A trial that never reported back does not block for ever.
            State::HalfOpen { since } if now.since(since) < OPEN_LONGEST => Err(OPEN_FIRST),
            State::Open { .. } | State::HalfOpen { .. } => {
                breaker.state = State::HalfOpen { since: now };
                Ok(())
            }
        }
    }

    /// Reports how an admitted call ended: `None` for an answer.
    pub(crate) fn report(&mut self, model: &ModelRef, failure: Option<ErrorClass>, now: Timestamp) {
        let Some(class) = failure else {
            self.0.remove(model);
            return;
        };
        if !speaks_of_health(class) {
            // The vendor answered, or we stopped: an open trial is over without a verdict.
            if let Some(breaker) = self.0.get_mut(model)
                && matches!(breaker.state, State::HalfOpen { .. })
            {
                breaker.state = State::Open { until: now };
            }
            return;
        }
        self.make_room(model);
        let breaker = self.0.entry(model.clone()).or_insert(Breaker {
            state: State::Closed { failures: 0 },
            open_for: OPEN_FIRST,
            used: now,
        });
        breaker.used = now;
        breaker.state = match breaker.state {
            State::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => State::Open {
                until: now.plus(breaker.open_for),
            },
            State::HalfOpen { .. } => {
                breaker.open_for = (breaker.open_for * 2).min(OPEN_LONGEST);
                State::Open {
                    until: now.plus(breaker.open_for),
                }
            }
            // A call that began before it opened.
            open @ State::Open { .. } => open,
        };
    }

    fn make_room(&mut self, model: &ModelRef) {
        if self.0.len() < MODELS_MAX || self.0.contains_key(model) {
            return;
        }
        let oldest = self
            .0
            .iter()
            .min_by_key(|(_, breaker)| breaker.used)
            .map(|(model, _)| model.clone());
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

/// Failures that say something about the vendor's health, not about the request or the account.
fn speaks_of_health(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Server
            | ErrorClass::Network
            | ErrorClass::Timeout
            | ErrorClass::Malformed
            | ErrorClass::Rate
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn opens_after_failures_tries_once_and_closes_on_success() {
        let model = ModelRef::parse("a/b").unwrap();
        let mut breakers = Breakers::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert!(breakers.admit(&model, at(0)).is_ok());
            breakers.report(&model, Some(ErrorClass::Server), at(0));
        }
        assert_eq!(breakers.admit(&model, at(5)), Err(Duration::from_secs(10)));
        assert!(breakers.admit(&model, at(15)).is_ok());
        assert!(
            breakers.admit(&model, at(15)).is_err(),
            "one trial at a time"
        );
        breakers.report(&model, Some(ErrorClass::Network), at(16));
        assert!(breakers.admit(&model, at(45)).is_err(), "the pause doubled");
        assert!(breakers.admit(&model, at(46)).is_ok());
        breakers.report(&model, None, at(47));
        assert!(breakers.admit(&model, at(47)).is_ok());
        assert!(breakers.admit(&model, at(47)).is_ok());
    }

    #[test]
    fn an_auth_error_or_a_stop_opens_nothing_and_frees_the_trial() {
        let model = ModelRef::parse("a/b").unwrap();
        let mut breakers = Breakers::default();
        for _ in 0..50 {
            breakers.report(&model, Some(ErrorClass::Auth), at(0));
        }
        assert!(breakers.admit(&model, at(0)).is_ok());
        for _ in 0..FAILURES_TO_OPEN {
            breakers.report(&model, Some(ErrorClass::Server), at(0));
        }
        assert!(breakers.admit(&model, at(15)).is_ok());
        breakers.report(&model, Some(ErrorClass::Cancelled), at(15));
        assert!(breakers.admit(&model, at(15)).is_ok());
    }

    #[test]
    fn the_map_is_bounded() {
        let mut breakers = Breakers::default();
        for index in 0..1000 {
            let model = ModelRef::parse(&format!("a/{index}")).unwrap();
            breakers.report(&model, Some(ErrorClass::Server), at(index));
        }
        assert_eq!(breakers.0.len(), MODELS_MAX);
    }
}
