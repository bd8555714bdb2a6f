//! The lab's cycle: what it finds, what it remembers, and that neither grows for ever.

use instar_improve::lab::{Lab, Said};
use instar_protocol::event::{Event, EventKind, TurnOutcome};
use instar_protocol::fault::SignalKind;
use instar_protocol::lab::{Closing, Found, ToLab};
use instar_protocol::model::Usage;
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EventId, RunId, Timestamp};
use std::collections::BTreeSet;

fn failed(number: u64, text: &str) -> Event {
    let at = Timestamp::from_millis(number);
    Event::of_house(
        EventId::from_stored(format!("evt_{number:020}")),
        at,
        EventKind::ToolCall {
            tool: "fetch".to_owned(),
            decision: ToolDecision::Allowed {
                rule: "r".to_owned(),
            },
            millis: 1,
            is_error: true,
            argument_names: vec!["url".to_owned()],
            skill: None,
            content: Some(text.to_owned()),
        },
    )
}

fn found(lab: &mut Lab, events: Vec<Event>) -> Vec<Found> {
    match lab.hear(ToLab::Events(events)) {
        Some(Said::Found(found)) => found,
        other => panic!("{other:?}"),
    }
}

fn closed(lab: &mut Lab) -> Closing {
    match lab.hear(ToLab::Close) {
        Some(Said::Closing(closing)) => closing,
        other => panic!("{other:?}"),
    }
}

/// One of these in a run of its own, or in the one that is named.
fn in_run(number: u64, run: &str, kind: EventKind) -> Event {
    Event {
        run: Some(RunId::from_stored(run.to_owned())),
        kind,
        ..failed(number, "")
    }
}

fn turn(number: u64, cost_micros: u64) -> Event {
    let kind = EventKind::Turn {
        outcome: TurnOutcome::Replied,
        millis: 1,
        model_calls: 1,
        tool_calls: 0,
        usage: Usage::default(),
        cost_micros,
    };
    in_run(number, &format!("run_{number}"), kind)
}

fn call(number: u64, run: &str) -> Event {
    let mut event = in_run(number, run, failed(number, "").kind);
    if let EventKind::ToolCall { is_error, .. } = &mut event.kind {
        *is_error = false;
    }
    event
}

/// No cycle of a house with one owner sees twenty turns.
#[test]
fn what_turns_cost_and_what_a_run_did_is_remembered_from_cycle_to_cycle() {
    let mut memory = None;
    let mut signs = Vec::new();
    for cycle in 0..5_u64 {
        let mut lab = Lab::default();
        if let Some(memory) = memory.take() {
            assert!(lab.hear(ToLab::Remember(memory)).is_none());
        }
        let mut events: Vec<Event> = (0..5).map(|n| turn(100 * cycle + n, 20_000)).collect();
        // One call in each cycle, of one run that does not end.
        events.push(call(100 * cycle + 50, "run_long"));
        if cycle == 4 {
            events.push(turn(100 * cycle + 60, 900_000));
        }
        for found in found(&mut lab, events) {
            signs.push((cycle, found.kind));
        }
        memory = Some(closed(&mut lab).memory);
    }
    assert_eq!(
        signs,
        [(4, SignalKind::RepeatedCall), (4, SignalKind::CostSpike)]
    );
    // However many runs are under way, little is remembered of them.
    let mut lab = Lab::default();
    let many = (0..400).flat_map(|run| (0..80).map(move |n| (run, n)));
    for (run, number) in many {
        let mut event = call(10_000 * run + number, &format!("run_{run}"));
        if let EventKind::ToolCall { argument_names, .. } = &mut event.kind {
            *argument_names = vec![format!("{number}{}", "x".repeat(190))];
        }
        let _found = lab.take(&event);
    }
    let size = closed(&mut lab).memory.to_string().len();
    assert!(size < 700_000, "{size}");
}

#[test]
fn a_fault_keeps_the_name_it_was_born_with_over_cycles() {
    let mut lab = Lab::default();
    let one = found(
        &mut lab,
        vec![failed(1, "connection refused by 10.0.0.1:80")],
    );
    assert_eq!(one[0].kind, SignalKind::Network);
    assert_eq!(one[0].born, "connection refused by <*>");
    let memory = closed(&mut lab).memory;

    let mut next = Lab::default();
    assert!(next.hear(ToLab::Remember(memory)).is_none());
    let two = found(
        &mut next,
        vec![failed(2, "connection refused by 10.9.9.9:443")],
    );
    assert_eq!(two[0].born, one[0].born);
}

#[test]
fn templates_that_turn_out_to_be_one_are_told_at_the_end() {
    let mut lab = Lab::default();
    let names = ["anna", "berta", "carl", "dora", "emil"];
    let events = names.iter().zip(1..);
    let told = found(
        &mut lab,
        events
            .map(|(name, number)| failed(number, &format!("mailbox of {name} refused it")))
            .collect(),
    );
    let born: BTreeSet<&str> = told.iter().map(|found| found.born.as_str()).collect();
    assert_eq!(born.len(), 4, "the fifth shows that they are one: {born:?}");
    assert_eq!(told[4].template, "mailbox of <*> refused it");
    let joined = closed(&mut lab).joined;
    assert_eq!(joined.len(), 3, "{joined:?}");
    assert!(joined.iter().all(|(_, kept)| *kept == told[4].born));
}

#[test]
fn what_cannot_be_remembered_is_learnt_anew() {
    let mut lab = Lab::default();
    assert!(
        lab.hear(ToLab::Remember(serde_json::json!({"groups": 7})))
            .is_none()
    );
    assert_eq!(found(&mut lab, vec![failed(1, "HTTP 500")]).len(), 1);
}

/// Two years of cycles, each with faults that come every time and some that never come again.
#[test]
fn twenty_four_months_of_events_leave_a_memory_of_bounded_size() {
    let word = |mut number: u64| -> String {
        (0..6)
            .map(|_| {
                let letter = b'a' + u8::try_from(number % 26).unwrap();
                number /= 26;
                char::from(letter)
            })
            .collect()
    };
    let mut memory = serde_json::Value::Null;
    let (mut sizes, mut number) = (Vec::new(), 0);
    for _month in 0..24 {
        for _cycle in 0..4 {
            let mut lab = Lab::default();
            lab.hear(ToLab::Remember(memory));
            let mut events = Vec::new();
            for of_many in 0..400_u64 {
                number += 1;
                events.push(failed(
                    number,
                    &format!("job {number} of {of_many} was lost"),
                ));
                let marks = "!".repeat(usize::try_from(number % 60).unwrap());
                let text = format!(
                    "{} [{marks} {}",
                    word(number * 7_919),
                    word(number * 104_729)
                );
                events.push(failed(number, &text));
            }
            assert_eq!(found(&mut lab, events).len(), 800);
            memory = closed(&mut lab).memory;
        }
        sizes.push(serde_json::to_vec(&memory).unwrap().len());
    }
    let (half, end) = (sizes[11], sizes[23]);
    assert!(end < 2 << 20 && end * 10 < half * 11, "{sizes:?}");
}
