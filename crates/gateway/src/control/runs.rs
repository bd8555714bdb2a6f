//! Runs as clients name them.
//!
//! A client names a run by its idempotency key and wants to read that name in every event of it.
//! The house names runs by itself: this is the bounded table between the two, and where a client
//! that comes back learns how its run ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use instar_protocol::live::Outcome;
use instar_protocol::{InboundId, RunId, SessionKey, Timestamp};
use tokio::sync::watch;

/// Runs that are remembered; the oldest are forgotten first.
const RUNS_MAX: usize = 2_048;

/// A run with the name that its client gave it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) inbound: InboundId,
    pub(crate) key: SessionKey,
    pub(crate) accepted_at: Timestamp,
    /// Set once the run has begun.
    pub(crate) run: Option<RunId>,
    state: watch::Receiver<State>,
}

/// How far a run has come.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Going,
    Ended(Timestamp, Arc<Outcome>),
    /// The gateway went away from it: it is answered after the restart, or never was accepted.
    Lost,
}

/// Where the end of a run is told. Dropped without a word, the run is lost.
#[derive(Debug)]
pub(crate) struct Ending(watch::Sender<State>);

impl Ending {
    pub(crate) fn tell(self, at: Timestamp, outcome: Arc<Outcome>) {
        self.0.send_replace(State::Ended(at, outcome));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send_if_modified(|state| {
            let is_going = matches!(state, State::Going);
            if is_going {
                *state = State::Lost;
            }
            is_going
        });
    }
}

#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<VecDeque<Named>>);

impl Runs {
    /// Notes the name of the run that a message will begin. To be called before it is submitted,
    /// so that no event of the run is earlier than its name.
    pub(crate) fn name(
        &self,
        name: &str,
        inbound: &InboundId,
        key: &SessionKey,
        at: Timestamp,
    ) -> Ending {
        let (ending, state) = watch::channel(State::Going);
        let mut runs = self.lock();
        if runs.len() >= RUNS_MAX {
            runs.pop_front();
        }
        runs.push_back(Named {
            name: name.to_owned(),
            inbound: inbound.clone(),
            key: key.clone(),
            accepted_at: at,
            run: None,
            state,
        });
        Ending(ending)
    }

    /// Takes a name back whose message was not accepted.
    pub(crate) fn forget(&self, inbound: &InboundId) {
        self.lock().retain(|named| named.inbound != *inbound);
    }

    /// Notes which run answers these messages; returns the name that events of the run carry.
    pub(crate) fn began(&self, run: &RunId, inbound: &[InboundId]) -> String {
        let mut runs = self.lock();
        let mut name = None;
        for named in runs.iter_mut().rev() {
            if inbound.contains(&named.inbound) {
                named.run = Some(run.clone());
                name.get_or_insert_with(|| named.name.clone());
            }
        }
        name.unwrap_or_else(|| run.to_string())
    }

    /// What clients call a run: the name that one of them gave it, or else the house's own.
    pub(crate) fn name_of(&self, run: &RunId) -> String {
        let runs = self.lock();
        let named = runs
            .iter()
            .rev()
            .find(|named| named.run.as_ref() == Some(run));
        named.map_or_else(|| run.to_string(), |named| named.name.clone())
    }

    /// The run of a name, if a client gave it.
    pub(crate) fn find(&self, name: &str) -> Option<Named> {
        let runs = self.lock();
        runs.iter().rev().find(|named| named.name == name).cloned()
    }

    /// The newest run of a conversation that has not ended.
    pub(crate) fn going(&self, key: &SessionKey) -> Option<Named> {
        let runs = self.lock();
        runs.iter()
            .rev()
            .find(|named| named.key == *key && named.is_going())
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Named>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named {
    pub(crate) fn is_going(&self) -> bool {
        matches!(*self.state.borrow(), State::Going)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended(..))
    }

    /// Waits for the end; `None` if the gateway goes away first.
    pub(crate) async fn ended(&mut self) -> Option<(Timestamp, Arc<Outcome>)> {
        let state = self
            .state
            .wait_for(|state| !matches!(state, State::Going))
            .await
            .ok()?;
        match &*state {
            State::Ended(at, outcome) => Some((*at, Arc::clone(outcome))),
            State::Going | State::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::AgentId;

    #[tokio::test]
    async fn events_of_a_run_carry_the_name_that_its_client_gave_it() {
        let runs = Runs::default();
        let key = SessionKey::main(&AgentId::main());
        let inbound = |n: usize| InboundId::from_stored(format!("inb_{n}"));
        let run = |n: usize| RunId::from_stored(format!("run_{n}"));
        let at = Timestamp::from_millis(1);
        let ending = runs.name("mine", &inbound(1), &key, at);
        assert_eq!(runs.began(&run(1), &[inbound(1)]), "mine");
        assert_eq!(runs.name_of(&run(1)), "mine");
        assert_eq!(runs.going(&key).unwrap().run, Some(run(1)));
        assert_eq!(
            runs.began(&run(2), &[inbound(2)]),
            "run_2",
            "nobody named it"
        );
        drop(ending);
        let mut lost = runs.find("mine").unwrap();
        assert!(lost.ended().await.is_none() && !lost.is_going());
        for n in 0..RUNS_MAX {
            let _ending = runs.name("later", &inbound(10 + n), &key, at);
        }
        assert!(runs.find("mine").is_none(), "the table is bounded");
    }
}
