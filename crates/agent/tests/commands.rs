//! Commands that the owner types.

use crate::support::{config, home, home_with, inbound, main_key, outcome};
use instar_protocol::live::OutcomeStatus;
use instar_protocol::message::InboxState;
use instar_protocol::{Principal, SessionKey};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn commands_are_answered_without_a_model_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let submitted = home.submit("/help").await;
    let id = submitted.inbound.clone();
    let answer = outcome(submitted).await;
    assert!(answer.text.contains("/compact"));
    assert!(
        home.say("/statsu")
            .await
            .text
            .contains("Did you mean /status?")
    );
    assert!(home.say("/status").await.text.contains("test/one"));
    assert_eq!(home.script.calls(), 0);
    assert!(
        home.transcript()
            .await
            .iter()
            .all(|line| line.starts_with("Command: /"))
    );
    assert_eq!(
        home.store.inbound(&id).await.unwrap().unwrap().state,
        InboxState::Done
    );
}

#[tokio::test]
async fn a_new_conversation_forgets_and_keeps_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.say("one").await;
    let before = home.row().await.id;
    home.say("/new").await;
    home.say("two").await;
    assert_eq!(home.row().await.id, before);
    assert_eq!(home.script.requests()[1].messages.len(), 1);
    assert!(home.transcript().await.contains(&"reset".to_owned()));
}

#[tokio::test]
async fn the_model_of_a_conversation_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    assert!(
        home.say("/model nobody/x")
            .await
            .text
            .contains("no provider")
    );
    assert!(home.say("/model test/two").await.text.contains("test/two"));
    assert_eq!(home.row().await.model.as_deref(), Some("test/two"));
    assert_eq!(
        home.say("hi").await.model.as_ref().unwrap().as_str(),
        "test/two"
    );
    home.say("/model default").await;
    assert_eq!(home.row().await.model, None);
    assert_eq!(
        home.say("hi").await.model.as_ref().unwrap().as_str(),
        "test/one"
    );
}

#[tokio::test]
async fn what_is_put_into_a_conversation_outside_of_turns_counts_from_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let sessions = &home.sessions;
    sessions.inject(&main_key(), "I said this").await.unwrap();
    home.say("one").await;
    assert_eq!(home.script.requests()[0].messages.len(), 2);
    let other = instar_protocol::model::ModelRef::parse("test/two");
    sessions.choose_model(&main_key(), other).await.unwrap();
    let answer = home.say("two").await;
    assert_eq!(answer.model.as_ref().unwrap().as_str(), "test/two");
    sessions.start_over(&main_key(), "asked").await.unwrap();
    home.say("three").await;
    assert_eq!(home.script.requests()[2].messages.len(), 1);
    assert_eq!(home.row().await.entries, 9);

    let running = home.stall("go", "I was").await;
    let busy = sessions.start_over(&main_key(), "asked").await;
    assert!(
        matches!(busy, Err(instar_agent::RewindError::Busy)),
        "{busy:?}"
    );
    assert!(sessions.stop(&main_key()).await);
    outcome(running).await;
}

#[tokio::test]
async fn stop_works_while_a_turn_runs() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let running = home.stall("go", "I was").await;
    home.say("/stop").await;
    assert_eq!(outcome(running).await.status, OutcomeStatus::Aborted);
    assert_eq!(
        home.transcript().await.last().unwrap(),
        "Command: /stop\nNothing is running any more."
    );
}

#[tokio::test]
async fn commands_are_the_owner_s_and_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let mut message = inbound(&home.clock, &main_key(), "/new");
    message.principal = Principal::Contact { id: "c".to_owned() };
    let answer = outcome(home.sessions.submit(message).await.unwrap()).await;
    assert!(answer.text.starts_with("echo"), "{}", answer.text);
    let off = tempfile::tempdir().unwrap();
    let home = home_with(off.path(), config(json!({"commands": {"text": false}}))).await;
    assert_eq!(home.say("/new").await.text, "echo /new");
}

#[tokio::test]
async fn sessions_go_to_sleep_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let key = |n: u32| SessionKey::parse(&format!("agent:main:openai:{n}")).unwrap();
    for n in 0..300 {
        let message = inbound(&home.clock, &key(n), "hi");
        outcome(home.sessions.submit(message).await.unwrap()).await;
    }
    assert!(home.sessions.awake() <= 130, "{}", home.sessions.awake());
    let message = inbound(&home.clock, &key(0), "again");
    outcome(home.sessions.submit(message).await.unwrap()).await;
    let request = home.script.requests().pop().unwrap();
    assert_eq!(
        request.messages.len(),
        3,
        "the history came back from the store"
    );
}

#[tokio::test]
async fn compact_shortens_all_but_the_newest_turns() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    assert_eq!(
        home.say("/compact").await.text,
        "There is nothing to shorten yet."
    );
    for n in 0..5 {
        home.say(&format!("{n} {}", "word ".repeat(200))).await;
    }
    home.script.says("NO_REPLY").says("short");
    assert!(home.say("/compact").await.text.contains("shortened"));
    home.say("next").await;
    let request = home.script.requests().pop().unwrap();
    assert_eq!(request.messages.len(), 1 + 6 + 1);
}

#[tokio::test]
async fn a_command_after_a_pause_neither_starts_over_nor_keeps_the_conversation_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let rule = json!({"session": {"reset": {"mode": "idle", "idleMinutes": 10}}});
    let home = home_with(folder.path(), config(rule)).await;
    home.say("one").await;
    home.clock.advance(Duration::from_secs(3600));
    home.say("/status").await;
    assert!(!home.transcript().await.contains(&"reset".to_owned()));
    home.say("two").await;
    assert!(home.transcript().await.contains(&"reset".to_owned()));
    assert_eq!(home.script.requests()[1].messages.len(), 1);
}
