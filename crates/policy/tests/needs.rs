//! What a call needs follows from what it does, whom it reaches, and whether it names somebody.

use crate::facts::{Place, annotation, call, owner};
use instar_policy::{
    Annotation, Authority, Evidence, Explanation, Grade, Kind, Reach, Slot, SlotRole, explain,
};
use instar_protocol::tool::Effect;
use serde_json::{Value, json};

const REACHES: [Reach; 4] = [Reach::Own, Reach::Closed, Reach::Outside, Reach::Public];

/// A tool with an argument of each role.
fn tool(effect: Effect, reach: Reach) -> Annotation {
    let roles = [
        ("to", SlotRole::Who, Kind::Address),
        ("at", SlotRole::Where, Kind::Url),
        ("id", SlotRole::Which, Kind::Id),
        ("sum", SlotRole::Amount, Kind::Amount),
        ("text", SlotRole::Payload, Kind::Text),
        ("day", SlotRole::Plain, Kind::Date),
    ];
    Annotation {
        reach,
        slots: roles
            .map(|(name, role, kind)| (name.to_owned(), Slot { role, kind }))
            .into(),
        ..annotation(effect)
    }
}

fn explained(annotation: Annotation, arguments: Value) -> Explanation {
    let mut place = Place::new();
    place.evidence = Evidence::default();
    place.evidence.own(Kind::Address, "me@example.org");
    let authority = Authority::over([("tool".to_owned(), annotation)].into());
    let (call, owner) = (call("tool", arguments), owner());
    explain(&place.request(&call, &owner), &authority)
}

fn needed(effect: Effect, reach: Reach, undoable: bool, arguments: Value) -> Grade {
    let annotation = Annotation {
        undoable,
        ..tool(effect, reach)
    };
    explained(annotation, arguments).needed.unwrap()
}

#[test]
fn every_effect_needs_what_its_reach_makes_of_it() {
    use Effect::{Destroy, Execute, Fetch, Grant, Read, Send, Spend, Write};
    use Grade::{G0, G1, G2, G3};
    // Within the owner's space, in a closed one, outside, before everybody.
    for (effect, undoable, grades) in [
        (Effect::None, false, [G0, G0, G2, G2]),
        (Read, false, [G0, G0, G2, G2]),
        (Fetch, false, [G2, G2, G2, G2]),
        (Write, false, [G2, G2, G2, G2]),
        (Write, true, [G1, G1, G2, G2]),
        (Send, false, [G1, G1, G3, G3]),
        (Grant, false, [G1, G1, G3, G3]),
        (Destroy, false, [G3, G3, G3, G3]),
        (Destroy, true, [G3, G3, G3, G3]),
        (Spend, false, [G3, G3, G3, G3]),
        (Execute, false, [G3, G3, G3, G3]),
    ] {
        for (reach, grade) in REACHES.into_iter().zip(grades) {
            let found = needed(effect, reach, undoable, json!({}));
            assert_eq!(found, grade, "{effect:?} {reach:?} {undoable}");
        }
    }
}

#[test]
fn a_tool_of_the_owners_own_space_reaches_out_when_it_names_somebody_else() {
    let with = |arguments: Value| needed(Effect::Send, Reach::Own, false, arguments);
    assert_eq!(with(json!({"text": "x"})), Grade::G1);
    assert_eq!(with(json!({"to": "bob@example.org"})), Grade::G3);
    assert_eq!(
        with(json!({"to": ["me@example.org", "bob@example.org"]})),
        Grade::G3
    );
    // The owner himself is nobody else, and a place is no person.
    assert_eq!(with(json!({"to": "me@example.org"})), Grade::G1);
    assert_eq!(
        with(json!({"at": "https://example.org/x", "id": "7"})),
        Grade::G1
    );
    // In a closed space names are those of its members.
    let closed = needed(
        Effect::Send,
        Reach::Closed,
        false,
        json!({"to": "bob@example.org"}),
    );
    assert_eq!(closed, Grade::G1);
}

#[test]
fn an_effect_on_people_counts_where_people_are_named() {
    let invites = |arguments: Value| {
        let annotation = Annotation {
            people: Some(Effect::Send),
            undoable: true,
            ..tool(Effect::Write, Reach::Own)
        };
        let told = explained(annotation, arguments);
        (told.effect.unwrap(), told.needed.unwrap())
    };
    let alone = (Effect::Write, Grade::G1);
    assert_eq!(invites(json!({"text": "x"})), alone);
    assert_eq!(invites(json!({"to": "me@example.org"})), alone);
    assert_eq!(
        invites(json!({"to": "bob@example.org"})),
        (Effect::Send, Grade::G3)
    );
    // It adds and takes nothing away.
    let annotation = Annotation {
        people: Some(Effect::Read),
        ..tool(Effect::Destroy, Reach::Own)
    };
    let told = explained(annotation, json!({"to": "bob@example.org"}));
    assert_eq!(told.effect, Some(Effect::Destroy));
}

#[test]
fn values_that_say_who_where_which_and_how_much_are_graded_and_others_are_not() {
    let arguments = json!({
        "to": ["a@example.org", "b@example.org"], "at": "https://example.org/x", "id": "7", "sum": 12,
        "text": "hello", "day": "2026-01-02", "unknown": "who knows",
    });
    let told = explained(tool(Effect::Write, Reach::Own), arguments);
    let mut paths: Vec<(&str, SlotRole)> = told
        .values
        .iter()
        .map(|value| (value.path.as_str(), value.role))
        .collect();
    paths.sort_by_key(|(path, _)| *path);
    assert_eq!(
        paths,
        [
            ("at", SlotRole::Where),
            ("id", SlotRole::Which),
            ("sum", SlotRole::Amount),
            ("to[0]", SlotRole::Who),
            ("to[1]", SlotRole::Who),
        ]
    );
}
