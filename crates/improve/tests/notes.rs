//! Corrected answers that rest on a note, what is proposed about it, and what only looks so.

use instar_improve::heal::{Told, choose, explain};
use instar_protocol::Timestamp;
use instar_protocol::amend::{NoteRef, NoteUse};
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::Case;
use instar_release::Class;
use serde_json::json;

use crate::genes::behaviour;

const GENE: &str = "amend-note";

fn used(name: &str, turns: u64, corrected: u64) -> NoteUse {
    NoteUse {
        note: NoteRef {
            path: "memory/2026-11-21.md".to_owned(),
            digest: name.repeat(64),
        },
        turns,
        corrected,
    }
}

fn case(kind: SignalKind, notes: Vec<NoteUse>) -> Case {
    let at = Timestamp::from_millis(1);
    let mut faults = Vec::new();
    for (id, detail) in [("flt_1", "said"), ("flt_2", "marked")] {
        let mut fault = Fault::new(id.to_owned(), kind, "turn".to_owned(), at);
        fault.detail = detail.to_owned();
        fault.failures = 5;
        faults.push(fault);
    }
    Case {
        agent: "main".to_owned(),
        behaviour: serde_json::to_value(behaviour()).unwrap(),
        faults,
        notes,
        strategy: "balanced".to_owned(),
        seed: 5,
        most: 3,
        ..Case::default()
    }
}

fn told(case: &Case) -> Told {
    let all = explain(case, "flt_1").unwrap();
    all.into_iter().find(|one| one.gene == GENE).unwrap()
}

#[test]
fn a_note_that_most_corrected_answers_rest_on_is_proposed_once_to_a_person() {
    let case = case(
        SignalKind::Correction,
        vec![used("a", 9, 1), used("b", 3, 2)],
    );
    let one = told(&case);
    assert_eq!(one.class, Some(Class::C));
    assert!(
        one.would
            .unwrap()
            .contains("take note bbbbbbbbbbbb of memory/")
    );
    let chosen = choose(&case).unwrap().proposed;
    assert_eq!(
        chosen.len(),
        1,
        "one note, whatever faults it is in: {chosen:?}"
    );
    assert_eq!(
        chosen[0].delta,
        json!({ "take_note": used("b", 3, 2).note })
    );
    assert!(chosen[0].because[0].contains("2 of 3 answers"));
    let mut banned = case.clone();
    banned.banned = vec![GENE.to_owned()];
    assert!(told(&banned).why_not.unwrap().contains("banned"));
    assert!(choose(&banned).unwrap().proposed.is_empty());
}

#[test]
fn what_only_looks_like_a_wrong_note_is_left_alone() {
    use SignalKind::{Correction, CostSpike};
    for (why, kind, notes) in [
        ("no note was read", Correction, vec![]),
        (
            "read by many, of which few were corrected",
            Correction,
            vec![used("a", 20, 3)],
        ),
        (
            "as many good answers as bad ones",
            Correction,
            vec![used("a", 4, 2)],
        ),
        ("a single correction", Correction, vec![used("a", 1, 1)]),
        (
            "two that were always read together",
            Correction,
            vec![used("a", 2, 2), used("b", 2, 2)],
        ),
        ("no correction", CostSpike, vec![used("a", 2, 2)]),
    ] {
        let case = case(kind, notes);
        assert_eq!(told(&case).would, None, "{why}");
        assert_eq!(choose(&case).unwrap().proposed, [], "{why}");
    }
}
