//! The names that clients give runs.
//!
//! A client names a run by its idempotency key and wants to read that name in every event of it.
//! The house names runs by itself: this is the bounded table between the two.

use instar_protocol::{InboundId, RunId, SessionKey};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Runs whose names are remembered; the oldest are forgotten first.
const RUNS_MAX: usize = 2_048;

/// A run with the name that its client gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) inbound: InboundId,
    pub(crate) key: SessionKey,
    /// Set once the run has begun.
    pub(crate) run: Option<RunId>,
}

#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<VecDeque<Named>>);

impl Runs {
    /// Notes the name of the run that a message will begin. To be called before it is submitted.
    pub(crate) fn name(&self, name: &str, inbound: &InboundId, key: &SessionKey) {
        let mut runs = self.lock();
        if runs.len() >= RUNS_MAX {
            runs.pop_front();
        }
        runs.push_back(Named {
            name: name.to_owned(),
            inbound: inbound.clone(),
            key: key.clone(),
            run: None,
        });
    }

    /// Notes which run answers these messages; returns the name that events of the run carry.
    pub(crate) fn began(&self, run: &RunId, inbound: &[InboundId]) -> String {
        let mut runs = self.lock();
        let mut name = None;
        for named in runs.iter_mut().rev() {
            if inbound.contains(&named.inbound) {
                named.run = Some(run.clone());
                name = Some(named.name.clone());
            }
        }
        name.unwrap_or_else(|| run.to_string())
    }

    /// The run of a name, if a client gave it.
    pub(crate) fn find(&self, name: &str) -> Option<Named> {
        let runs = self.lock();
        runs.iter().rev().find(|named| named.name == name).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Named>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::AgentId;

    #[test]
    fn events_of_a_run_carry_the_name_that_its_client_gave_it() {
        let runs = Runs::default();
        let key = SessionKey::main(&AgentId::main());
        let inbound = |n: usize| InboundId::from_stored(format!("inb_{n}"));
        let run = |n: usize| RunId::from_stored(format!("run_{n}"));
        runs.name("mine", &inbound(1), &key);
        assert_eq!(runs.began(&run(1), &[inbound(1)]), "mine");
        assert_eq!(runs.find("mine").unwrap().run, Some(run(1)));
        assert_eq!(
            runs.began(&run(2), &[inbound(2)]),
            "run_2",
            "nobody named it"
        );
        for n in 0..RUNS_MAX {
            runs.name("later", &inbound(10 + n), &key);
        }
        assert_eq!(runs.find("mine"), None, "the table is bounded");
    }
}
