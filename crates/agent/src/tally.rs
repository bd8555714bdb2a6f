//! What turns and model calls came to since the start, by outcome. Every series is known here.

use instar_protocol::event::{ErrorClass, EventKind, TurnOutcome};
use std::sync::atomic::{AtomicU64, Ordering};

/// Every way a turn ends, in the order of the type.
const OUTCOMES: [TurnOutcome; 5] = [
    TurnOutcome::Replied,
    TurnOutcome::Handed,
    TurnOutcome::Aborted,
    TurnOutcome::Failed,
    TurnOutcome::Interrupted,
];

/// Every class of error, in the order of the type.
const CLASSES: [ErrorClass; 16] = [
    ErrorClass::Auth,
    ErrorClass::Quota,
    ErrorClass::Rate,
    ErrorClass::ContextLength,
    ErrorClass::Refusal,
    ErrorClass::Network,
    ErrorClass::Server,
    ErrorClass::Malformed,
    ErrorClass::Timeout,
    ErrorClass::Budget,
    ErrorClass::Cancelled,
    ErrorClass::Config,
    ErrorClass::Tool,
    ErrorClass::Storage,
    ErrorClass::Loop,
    ErrorClass::Internal,
];

#[derive(Debug, Default)]
pub(crate) struct Tally {
    turns: [AtomicU64; OUTCOMES.len()],
    answered: AtomicU64,
    failed: [AtomicU64; CLASSES.len()],
}

/// How often each thing happened since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    pub turns: Vec<(TurnOutcome, u64)>,
    /// Model calls that were answered come first, as `None`; then those that failed, by class.
    pub model_calls: Vec<(Option<ErrorClass>, u64)>,
}

impl Tally {
    /// Counts what an event tells.
    pub(crate) fn count(&self, kind: &EventKind) {
        let counter = match kind {
            EventKind::Turn { outcome, .. } => self.turns.get(*outcome as usize),
            EventKind::ModelCall { error: None, .. } => Some(&self.answered),
            EventKind::ModelCall {
                error: Some(class), ..
            } => self.failed.get(*class as usize),
            _ => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let failed = CLASSES.into_iter().zip(&self.failed);
        Counts {
            turns: OUTCOMES
                .into_iter()
                .zip(self.turns.iter().map(read))
                .collect(),
            model_calls: [(None, read(&self.answered))]
                .into_iter()
                .chain(failed.map(|(class, counter)| (Some(class), read(counter))))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_follow_the_types() {
        for (index, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, class) in CLASSES.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
    }
}
