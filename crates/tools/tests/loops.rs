//! Going in circles.

use crate::fixture::call;
use instar_tools::{LoopGuard, Repetition};
use serde_json::json;

#[test]
fn the_same_call_with_the_same_result_is_a_loop() {
    let mut guard = LoopGuard::new(3);
    let same = call("look", json!({"a": 1, "b": 2}));
    let reordered = call("look", json!({"b": 2, "a": 1.0}));
    assert_eq!(guard.note(&same, "nothing"), Repetition::New);
    assert_eq!(
        guard.note(&reordered, "nothing"),
        Repetition::Again { times: 2 }
    );
    assert_eq!(guard.note(&same, "nothing"), Repetition::Loop { times: 3 });
}

#[test]
fn waiting_for_a_change_is_not() {
    let mut guard = LoopGuard::new(2);
    for n in 0..50 {
        let result = format!("{n} done");
        assert_eq!(
            guard.note(&call("look", json!({})), &result),
            Repetition::New
        );
        assert_eq!(
            guard.note(&call("look", json!({"n": n})), "same"),
            Repetition::New
        );
    }
}

#[test]
fn a_longer_circle_is_found_too() {
    let mut guard = LoopGuard::new(3);
    let mut rounds = (0..10).filter(|_| {
        ["a", "b", "c"].iter().any(|name| {
            let repetition = guard.note(&call(name, json!({})), "x");
            matches!(repetition, Repetition::Loop { .. })
        })
    });
    assert_eq!(rounds.next(), Some(2));
}

#[test]
fn its_memory_is_bounded() {
    let mut guard = LoopGuard::new(2);
    let known = call("known", json!({}));
    guard.note(&known, "x");
    for n in 0..2_000 {
        guard.note(&call("new", json!({ "n": n })), "x");
    }
    assert_eq!(
        guard.note(&call("new", json!({"n": 1_999})), "x"),
        Repetition::New
    );
    assert_eq!(guard.note(&known, "x"), Repetition::Loop { times: 2 });
}
