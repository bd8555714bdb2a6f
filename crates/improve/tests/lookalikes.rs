//! Each gene against its fault and against one that looks like it, from events on: through the detectors and
//! the miner that the lab has, and not from a symptom made by hand.

use instar_improve::gene::{Catalogue, Clock, Pages, Symptom};
use instar_improve::lab::{Lab, Said};
use instar_protocol::event::{ErrorClass, Event, EventKind};
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::{Found, ToLab};
use instar_protocol::model::{Attempt, ModelRef, Usage};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EventId, RunId, Timestamp};
use std::collections::BTreeMap;

use crate::genes::{behaviour, cases};

/// How often each happens.
const TIMES: usize = 3;
/// Calls of one kind in a run that are too many.
const REPEATS: usize = 12;

/// What would have been told of it: a call, or a call of a model.
fn events(symptom: &Symptom, from: usize) -> Vec<Event> {
    let times = match symptom.kind {
        SignalKind::RepeatedCall => REPEATS,
        _ => TIMES,
    };
    let one = |number: usize| {
        let at = Timestamp::from_millis(u64::try_from(from + number).unwrap());
        let id = EventId::from_stored(format!("evt_{:020}", from + number));
        let run = match symptom.kind {
            SignalKind::RepeatedCall => from,
            _ => from + number,
        };
        Event {
            run: Some(RunId::from_stored(format!("run_{run}"))),
            ..Event::of_house(id, at, kind(symptom))
        }
    };
    (0..times).map(one).collect()
}

fn kind(symptom: &Symptom) -> EventKind {
    if let Some(model) = symptom.place.strip_prefix("model:") {
        return model_call(model, symptom);
    }
    let tool = symptom.place.trim_start_matches("tool:").to_owned();
    let is_error = symptom.kind != SignalKind::RepeatedCall;
    EventKind::ToolCall {
        tool,
        decision: match symptom.kind {
            SignalKind::RefusedCall => ToolDecision::Denied {
                rule: symptom.detail.clone(),
                reason: String::new(),
            },
            _ => ToolDecision::Allowed {
                rule: "r".to_owned(),
            },
        },
        millis: 1,
        is_error,
        argument_names: vec!["query".to_owned()],
        skill: None,
        content: is_error.then(|| symptom.text.clone()),
    }
}

fn model_call(model: &str, symptom: &Symptom) -> EventKind {
    let model: ModelRef = serde_json::from_value(model.into()).unwrap();
    let class = match symptom.kind {
        SignalKind::Network => ErrorClass::Network,
        SignalKind::Timeout => ErrorClass::Timeout,
        SignalKind::ContextLength => ErrorClass::ContextLength,
        _ => ErrorClass::Server,
    };
    EventKind::ModelCall {
        model: model.clone(),
        stop: None,
        millis: 1,
        usage: Usage::default(),
        cost_micros: 0,
        attempts: vec![Attempt {
            model,
            millis: 1,
            failure: Some(symptom.text.clone()),
            usage: Usage::default(),
            cost_micros: 0,
            estimated: false,
        }],
        error: Some(class),
    }
}

/// The faults that the lab finds in these events, as they are counted.
fn faults(place: &str, events: &[Event]) -> Vec<Fault> {
    let found: Vec<Found> = match Lab::default().hear(ToLab::Events(events.to_vec())) {
        Some(Said::Found(found)) => found,
        other => panic!("{other:?}"),
    };
    let mut faults: BTreeMap<(SignalKind, String, String), Fault> = BTreeMap::new();
    for one in found {
        let event = events.iter().find(|event| event.id == one.event).unwrap();
        let key = (one.kind, one.detail.clone(), one.born.clone());
        let fresh = || Fault::new("f1".to_owned(), one.kind, place.to_owned(), event.at);
        let fault = faults.entry(key).or_insert_with(fresh);
        fault.detail.clone_from(&one.detail);
        fault.template.clone_from(&one.template);
        fault.also.extend(one.also.iter().copied());
        fault.happened(event, &one.text);
    }
    faults.into_values().collect()
}

/// Whether the gene would do something about what is found in these events.
fn is_claimed(gene: &str, symptom: &Symptom, from: usize) -> (bool, Vec<Fault>) {
    let catalogue = Catalogue::built_in().unwrap();
    let behaviour = behaviour();
    let faults = faults(&symptom.place, &events(symptom, from));
    assert!(!faults.is_empty(), "nothing is found in {symptom:?}");
    let claims = |fault: &Fault| {
        let symptom = Symptom::of(fault, "", Clock::default(), Pages::default());
        let all = catalogue.propose(&symptom, "main", &behaviour).unwrap();
        all.into_iter()
            .any(|(one, answer)| one.id == gene && answer.is_ok())
    };
    (faults.iter().any(claims), faults)
}

#[test]
fn each_gene_claims_its_fault_and_not_its_look_alike_from_events_on() {
    let mut wrong = Vec::new();
    for (number, (gene, fault, look_alike)) in cases().into_iter().enumerate() {
        let from = 1_000 * number;
        let (is_claimed_rightly, found) = is_claimed(gene, &fault, from);
        if !is_claimed_rightly {
            wrong.push(format!("{gene} does not claim {found:?}"));
        }
        let (is_claimed_wrongly, found) = is_claimed(gene, &look_alike, from + 500);
        if is_claimed_wrongly {
            wrong.push(format!("{gene} claims {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
