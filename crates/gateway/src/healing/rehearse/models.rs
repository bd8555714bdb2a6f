//! What was recorded of models that failed: each call of a model is in the event log with every try that was
//! made, and so is what came of the calls after it.

use instar_protocol::EventId;
use instar_protocol::event::{ErrorClass, Event, EventKind};
use instar_protocol::fault::Example;
use instar_store::{EventFilter, Store};
use std::collections::BTreeMap;

use super::stage::{Take, Tried};
use crate::api::queries::QueryError;
use crate::healing::FIRST;

/// What came later than this after a failure says nothing of a model that is asked again at once.
const TAPE_MS_MAX: u64 = 10 * 60_000;
const TAPE_MAX: usize = 8;
const EVENTS_MAX: usize = 500;

/// The failed calls of models among the examples of a fault, as turns that can be played.
pub(super) async fn failures(store: &Store, examples: &[Example]) -> Result<Vec<Take>, QueryError> {
    let mut takes = Vec::new();
    for example in examples {
        let filter = EventFilter {
            after: Some(EventId::from_stored(FIRST.to_owned())),
            kind: Some("model_call".to_owned()),
            since: Some(example.at),
            limit: EVENTS_MAX,
            ..EventFilter::default()
        };
        let events = store.events(filter).await?;
        let begins = events.iter().position(|event| event.id == example.event);
        let Some(events) = begins.and_then(|at| events.get(at..)) else {
            continue;
        };
        let models = tapes(events);
        let has_failed =
            |tape: &Vec<Tried>| tape.first().is_some_and(|tried| *tried != Tried::Answered);
        if models.values().any(has_failed) {
            takes.push(Take {
                models,
                ..Take::default()
            });
        }
    }
    Ok(takes)
}

/// How each model did in a call, and in the calls soon after it.
fn tapes(events: &[Event]) -> BTreeMap<String, Vec<Tried>> {
    let mut tapes: BTreeMap<String, Vec<Tried>> = BTreeMap::new();
    let Some(first) = events.first().map(|event| event.at.millis()) else {
        return tapes;
    };
    let is_soon = |event: &&Event| event.at.millis().saturating_sub(first) <= TAPE_MS_MAX;
    for event in events.iter().take_while(is_soon) {
        for (model, tried) in tried(event) {
            let tape = tapes.entry(model).or_default();
            if tape.len() < TAPE_MAX {
                tape.push(tried);
            }
        }
    }
    tapes
}

/// What came of each model that was asked in a call. Tries that the house makes anyway are one with their last.
fn tried(event: &Event) -> Vec<(String, Tried)> {
    let EventKind::ModelCall {
        attempts, error, ..
    } = &event.kind
    else {
        return Vec::new();
    };
    let mut all: Vec<(String, Tried)> = Vec::new();
    for (number, attempt) in attempts.iter().enumerate() {
        // The time of the turn went by with the last that was asked.
        let is_last = number + 1 == attempts.len();
        let tried = match &attempt.failure {
            None => Tried::Answered,
            Some(_) if is_last && *error == Some(ErrorClass::Timeout) => Tried::Silent,
            Some(_) => Tried::Failed,
        };
        let model = attempt.model.to_string();
        match all.last_mut().filter(|latest| latest.0 == model) {
            Some(latest) => latest.1 = tried,
            None => all.push((model, tried)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::Timestamp;
    use instar_protocol::model::{Attempt, ModelRef, Usage};

    fn attempt(model: &str, failure: Option<&str>) -> Attempt {
        Attempt {
            model: ModelRef::parse(model).unwrap(),
            millis: 5,
            failure: failure.map(str::to_owned),
            usage: Usage::default(),
            cost_micros: 0,
            estimated: false,
        }
    }

    fn call(at: u64, attempts: Vec<Attempt>, error: Option<ErrorClass>) -> Event {
        let kind = EventKind::ModelCall {
            model: ModelRef::parse("a/one").unwrap(),
            stop: None,
            millis: 9,
            usage: Usage::default(),
            cost_micros: 0,
            attempts,
            error,
        };
        Event::of_house(
            EventId::from_stored(format!("evt_{at:09}")),
            Timestamp::from_millis(at),
            kind,
        )
    }

    #[test]
    fn each_model_has_what_came_of_it_in_the_call_and_soon_after() {
        let down = || attempt("a/one", Some("server: 500"));
        let events = [
            call(1, vec![down(), down(), attempt("b/two", None)], None),
            call(
                2,
                vec![attempt("a/one", Some("timeout: nothing came"))],
                Some(ErrorClass::Timeout),
            ),
            call(3, vec![down(), attempt("a/one", None)], None),
            call(4 + TAPE_MS_MAX, vec![down()], Some(ErrorClass::Server)),
        ];
        let tapes = tapes(&events);
        assert_eq!(
            tapes["a/one"],
            [Tried::Failed, Tried::Silent, Tried::Answered]
        );
        assert_eq!(tapes["b/two"], [Tried::Answered]);
    }
}
