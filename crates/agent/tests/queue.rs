//! Messages that arrive while a turn is running.

use crate::support::{Home, Reply, call, config, home, home_with, main_key, outcome};
use instar_agent::{SubmitError, Submitted};
use instar_protocol::Principal;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::live::OutcomeStatus;
use instar_protocol::message::{EntryBody, InboxState, OnRestart};
use instar_protocol::tool::ToolDecision;
use instar_store::EventFilter;
use serde_json::{Value, json};

async fn queue_home(folder: &std::path::Path, queue: Value) -> Home {
    home_with(folder, config(json!({ "messages": { "queue": queue } }))).await
}

/// A turn that stands in the middle of a tool call.
async fn in_tool(home: &Home) -> Submitted {
    home.gate.forget_permits(1_000);
    home.script.then(Reply::Calls(vec![call("a", "look", 1)]));
    let submitted = home.submit("first").await;
    home.has_begun(1).await;
    submitted
}

#[tokio::test]
async fn steer_joins_the_running_turn_before_its_next_model_call() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let first = in_tool(&home).await;
    let second = home.submit("second").await;
    // Whatever else is asked has been taken by the owner task, too.
    assert!(home.say("/status").await.text.contains("1 more messages"));
    home.gate.add_permits(1_000);
    let (first, second) = (outcome(first).await, outcome(second).await);
    assert_eq!(
        (first.text.as_str(), second.text.as_str()),
        ("echo second", "echo second")
    );
    let lines = home.transcript().await;
    assert_eq!(lines[..2], ["user: first", "agent calls look"]);
    assert_eq!(lines[3..5], ["user: second", "agent: echo second"]);
    assert_eq!(home.script.calls(), 2);
}

#[tokio::test]
async fn steer_that_comes_too_late_is_a_followup() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let first = home.stall("first", "par").await;
    let second = home.submit("second").await;
    home.sessions.stop(&main_key()).await;
    assert_eq!(outcome(first).await.status, OutcomeStatus::Aborted);
    assert_eq!(outcome(second).await.text, "echo second");
}

#[tokio::test]
async fn followup_gives_each_message_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let home = queue_home(folder.path(), json!({"mode": "followup"})).await;
    let first = in_tool(&home).await;
    let second = home.submit("second").await;
    home.script.says("one");
    home.gate.add_permits(1_000);
    assert_eq!(outcome(first).await.text, "one");
    assert_eq!(outcome(second).await.text, "echo second");
    assert_eq!(home.script.calls(), 3);
}

#[tokio::test]
async fn a_caller_that_waits_on_its_connection_gets_a_turn_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let first = in_tool(&home).await;
    let mut caller = home.message("second");
    caller.on_restart = OnRestart::Interrupt;
    let second = home.sessions.submit(caller).await.unwrap();
    home.script.says("one");
    home.gate.add_permits(1_000);
    assert_eq!(outcome(first).await.text, "one");
    assert_eq!(outcome(second).await.text, "echo second");
}

#[tokio::test]
async fn collect_answers_all_that_waited_in_one_turn() {
    let folder = tempfile::tempdir().unwrap();
    let home = queue_home(folder.path(), json!({"mode": "collect", "debounceMs": 0})).await;
    let first = in_tool(&home).await;
    let second = home.submit("second").await;
    let third = home.submit("third").await;
    home.say("/status").await;
    home.script.says("one");
    home.gate.add_permits(1_000);
    assert_eq!(outcome(first).await.text, "one");
    assert_eq!(outcome(second).await.text, "echo third");
    assert_eq!(outcome(third).await.text, "echo third");
    assert_eq!(home.script.calls(), 3);
}

#[tokio::test]
async fn somebody_elses_words_never_join_the_owners_turn() {
    for mode in ["steer", "collect"] {
        let folder = tempfile::tempdir().unwrap();
        let home = queue_home(folder.path(), json!({"mode": mode, "debounceMs": 0})).await;
        let first = in_tool(&home).await;
        let second = home.submit("second").await;
        let mut foreign = home.message("third");
        let id = "s".to_owned();
        foreign.principal = Principal::Stranger { id };
        let third = home.sessions.submit(foreign).await.unwrap();
        home.say("/status").await;
        home.gate.add_permits(1_000);
        for submitted in [first, second, third] {
            assert_eq!(outcome(submitted).await.status, OutcomeStatus::Ok);
        }
        let (mut owners, mut strangers) = (Vec::new(), Vec::new());
        for entry in home.entries().await {
            match &entry.body {
                EntryBody::User { principal, .. } if principal.is_owner() => owners.push(entry.run),
                EntryBody::User { .. } => strangers.push(entry.run),
                _ => {}
            }
        }
        assert_eq!((owners.len(), strangers.len()), (2, 1), "{mode}");
        assert!(!owners.contains(&strangers[0]), "{mode}");
    }
}

#[tokio::test]
async fn a_call_that_was_cut_leaves_its_decision() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let first = in_tool(&home).await;
    home.sessions.stop(&main_key()).await;
    assert_eq!(outcome(first).await.status, OutcomeStatus::Aborted);
    let filter = EventFilter {
        kind: Some("tool_call".to_owned()),
        limit: 5,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    assert!(
        matches!(
            &events[..],
            [Event {
                kind: EventKind::ToolCall {
                    is_error: true,
                    decision: ToolDecision::Allowed { .. },
                    ..
                },
                ..
            }]
        ),
        "{events:?}"
    );
}

#[tokio::test]
async fn interrupt_stops_the_running_turn_and_keeps_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let home = queue_home(folder.path(), json!({"mode": "interrupt"})).await;
    let first = home.stall("first", "half a").await;
    let second = home.submit("second").await;
    assert_eq!(outcome(first).await.status, OutcomeStatus::Aborted);
    assert_eq!(outcome(second).await.text, "echo second");
    assert_eq!(
        home.transcript().await,
        [
            "user: first",
            "agent, cut: half a",
            "Aborted: The answer was stopped.",
            "user: second",
            "agent: echo second"
        ]
    );
}

#[tokio::test]
async fn beyond_the_cap_the_oldest_goes_and_the_next_turn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = queue_home(folder.path(), json!({"mode": "followup", "cap": 2})).await;
    let first = home.stall("first", "par").await;
    let second = home.submit("second words").await;
    let gone = second.inbound.clone();
    let third = home.submit("third").await;
    let fourth = home.submit("fourth").await;
    let second = outcome(second).await;
    assert_eq!(second.status, OutcomeStatus::Failed);
    let stored = home.store.inbound(&gone).await.unwrap().unwrap();
    assert_eq!(stored.state, InboxState::Dropped);
    home.sessions.stop(&main_key()).await;
    outcome(first).await;
    outcome(third).await;
    assert_eq!(outcome(fourth).await.text, "echo fourth");
    let lines = home.transcript().await;
    assert!(
        lines
            .iter()
            .any(|line| line.contains("dropped") && line.contains("second words"))
    );
}

#[tokio::test]
async fn with_drop_new_the_door_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let queue = json!({"mode": "followup", "cap": 1, "drop": "new"});
    let home = queue_home(folder.path(), queue).await;
    let first = home.stall("first", "par").await;
    let second = home.submit("second").await;
    home.say("/status").await;
    let refused = home.sessions.submit(home.message("third")).await;
    assert!(
        matches!(refused, Err(SubmitError::QueueFull)),
        "{refused:?}"
    );
    home.sessions.stop(&main_key()).await;
    outcome(first).await;
    assert_eq!(outcome(second).await.text, "echo second");
}
