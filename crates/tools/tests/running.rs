//! The dispatch function: what it checks, bounds, joins and survives.

use crate::fixture::{Act, Stub, built_in, caller, permit, run, with};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Origin, Readers};
use instar_tools::{OUTPUT_CHARS_MAX, RegisterError, Toolbox};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn an_output_carries_every_label_it_touched() {
    let output = run(&with(Stub::new("t", Act::Say("hello"))), "t", json!({})).await;
    assert_eq!((output.text.as_str(), output.is_error), ("hello", false));
    for origin in [
        Origin::Contact("c1".to_owned()),
        Origin::System,
        Origin::Owner,
    ] {
        assert!(output.label.origins.contains(&origin), "{origin:?}");
    }
    assert_eq!(output.label.readers, Readers::Private);
}

#[tokio::test]
async fn a_long_output_is_cut_visibly() {
    let output = run(&with(Stub::new("t", Act::SayMuch)), "t", json!({})).await;
    assert!(output.text.chars().count() <= OUTPUT_CHARS_MAX);
    assert!(output.text.contains("characters left out") && output.text.ends_with("ab"));
}

#[tokio::test]
async fn a_failure_is_told_in_the_tools_words() {
    let output = run(&with(Stub::new("t", Act::Fail)), "t", json!({})).await;
    assert_eq!(
        (output.text.as_str(), output.is_error),
        ("no such thing; look elsewhere", true)
    );
    assert!(output.label.join(&Label::owner()) == output.label);
}

#[tokio::test]
async fn a_panic_is_an_output() {
    let toolbox = with(Stub::new("t", Act::Panic));
    let output = run(&toolbox, "t", json!({})).await;
    assert!(
        output.is_error && output.text.contains("failed inside"),
        "{}",
        output.text
    );
    assert!(!output.text.contains("own fault"));
    assert!(run(&toolbox, "t", json!({})).await.is_error);
}

#[tokio::test]
async fn a_tool_that_never_ends_is_stopped() {
    let toolbox = with(Stub::new("t", Act::Hang)).with_timeout(std::time::Duration::ZERO);
    let output = run(&toolbox, "t", json!({})).await;
    assert!(
        output.is_error && output.text.contains("was stopped"),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn arguments_are_checked_before_the_tool_runs() {
    let (toolbox, sessions) = built_in();
    for (name, arguments, why) in [
        ("session_status", json!({"approved": true}), "must be empty"),
        ("sessions_list", json!({"limit": 0}), "at least 1"),
        ("sessions_list", json!({"limit": "5"}), "a whole number"),
        (
            "sessions_list",
            json!({"permit": {}, "limit": 5}),
            "no field \"permit\"",
        ),
        ("sessions_history", json!({}), "session is missing"),
        (
            "sessions_history",
            json!({"session": "main", "owner": true}),
            "no field \"owner\"",
        ),
    ] {
        let output = run(&toolbox, name, arguments).await;
        assert!(
            output.is_error && output.text.contains(why),
            "{name}: {}",
            output.text
        );
    }
    assert!(sessions.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_permit_does_not_outlive_what_it_was_given_for() {
    let given = permit(&with(Stub::new("t", Act::Say("x"))), "t", json!({}));
    let gone = Toolbox::default().run(given, &caller()).await;
    assert!(
        gone.is_error && gone.text.contains("not available"),
        "{}",
        gone.text
    );

    let given = permit(&with(Stub::new("t", Act::Say("x"))), "t", json!({}));
    let schema = json!({"type": "object"});
    let other = with(Stub::with("t", Act::Say("x"), Effect::Execute, schema));
    let changed = other.run(given, &caller()).await;
    assert!(
        changed.is_error && changed.text.contains("not what it was"),
        "{}",
        changed.text
    );
}

#[test]
fn a_tool_that_cannot_be_checked_or_told_apart_is_refused() {
    let (mut toolbox, _sessions) = built_in();
    let twice = toolbox.register(Arc::new(Stub::new("sessions_list", Act::Panic)));
    assert_eq!(
        twice,
        Err(RegisterError::Duplicate("sessions_list".to_owned()))
    );
    let schema = json!({"type": "object", "properties": {"a": {"anyOf": []}}});
    let unchecked = toolbox.register(Arc::new(Stub::with("x", Act::Panic, Effect::Read, schema)));
    assert!(matches!(unchecked, Err(RegisterError::Schema { .. })));
    assert_eq!(toolbox.specs().count(), 3);
}
