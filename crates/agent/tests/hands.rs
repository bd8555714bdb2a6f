//! Calls that leave traces: asked about, made once, never made unasked for a stranger's sake.

use instar_agent::Said;
use instar_protocol::approval::{Question, QuestionState};
use instar_protocol::event::ErrorClass;
use instar_protocol::live::OutcomeStatus;
use instar_protocol::tool::ToolCall;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Home, Reply, config, home_at, home_with, rules_of};

pub(crate) fn post(id: &str, to: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "post".to_owned(),
        arguments: json!({ "to": to, "text": "hello" }),
    }
}

pub(crate) fn plan() -> String {
    json!({ "steps": [{ "tool": "post", "times": 2 }] }).to_string()
}

pub(crate) async fn house(folder: &Path, policy: Value) -> Home {
    home_with(folder, config(json!({ "policy": policy }))).await
}

/// The question that waits, once there is one.
async fn waiting(home: &Home) -> Question {
    for _ in 0..500 {
        if let Some(question) = home.sessions.asking().open().await.unwrap().pop() {
            return question;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody asks");
}

async fn answer(home: &Home, question: &Question, approved: bool) -> Question {
    let said = Said {
        approved,
        by: "web".to_owned(),
        always: false,
        pinned: false,
    };
    home.sessions
        .asking()
        .answer(&question.id, said)
        .await
        .unwrap()
}

/// The rules that decided the calls of the owner's conversation.
pub(crate) async fn decided(home: &Home) -> Vec<String> {
    rules_of(&home.entries().await)
}

pub(crate) fn sent(home: &Home) -> Vec<String> {
    let sent = home.sent.lock().unwrap();
    sent.iter()
        .map(|arguments| arguments["to"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_careful_house_asks_and_a_yes_lets_exactly_that_call_through_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({})).await;
    let call = post("a", "bob@example.com");
    home.script
        .then(Reply::Calls(vec![call.clone()]))
        .says("done");
    let submitted = home.submit("tell bob@example.com hello").await;
    let question = waiting(&home).await;
    assert_eq!(
        (question.call.clone(), question.effect.name()),
        (call, "send")
    );
    assert!(sent(&home).is_empty(), "nothing happens before the answer");
    let to = question.arguments.iter().find(|shown| shown.path == "to");
    let to = to.unwrap();
    assert_eq!(
        (to.text.as_str(), to.grade.as_str()),
        ("bob@example.com", "G3")
    );
    answer(&home, &question, true).await;
    let outcome = submitted.outcome.await.unwrap();
    assert_eq!(
        (outcome.status, outcome.text.as_str()),
        (OutcomeStatus::Ok, "done")
    );
    assert_eq!(sent(&home), ["bob@example.com"]);
    assert_eq!(decided(&home).await, ["+owner-approved"]);
    let stored = home.store.question(&question.id).await.unwrap().unwrap();
    assert_eq!(stored.state, QuestionState::Used);
    let chain = home.store.verify_receipts(None).await.unwrap();
    // Question, answer, use, intent, outcome, whom he wrote to, decision.
    assert_eq!((chain.receipts, chain.problems.len()), (7, 0));

    // The same call again is another question.
    home.script
        .then(Reply::Calls(vec![post("b", "bob@example.com")]))
        .says("done");
    let again = home.submit("and once more").await;
    let second = waiting(&home).await;
    assert_ne!(second.id, question.id);
    answer(&home, &second, false).await;
    again.outcome.await.unwrap();
    assert_eq!(sent(&home).len(), 1);
}

/// A call that nobody answered in time: the turn has ended, and the question stands.
async fn left_waiting(folder: &Path) -> (Home, Question) {
    let home = house(folder, json!({ "askWaitSeconds": 0 })).await;
    home.sessions.recover().await.unwrap();
    home.script
        .then(Reply::Calls(vec![post("a", "bob@example.com")]))
        .says("it waits for you")
        .says("now it is sent");
    let outcome = home.say("tell bob@example.com hello").await;
    assert_eq!(outcome.text, "it waits for you");
    assert_eq!(decided(&home).await, ["?posture-careful"]);
    let question = waiting(&home).await;
    (home, question)
}

/// A yes that is to be kept.
pub(crate) fn always() -> Said {
    Said {
        approved: true,
        by: "web".to_owned(),
        always: true,
        pinned: false,
    }
}

#[tokio::test]
async fn always_lets_the_same_targets_through_from_then_on_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (home, question) = left_waiting(folder.path()).await;
    assert!(question.always.is_some(), "{question:?}");
    let asking = home.sessions.asking();
    asking.answer(&question.id, always()).await.unwrap();
    until(async || sent(&home).len() == 1 && home.script.calls() == 3).await;
    home.script
        .then(Reply::Calls(vec![
            post("b", "bob@example.com"),
            post("c", "eve@example.com"),
        ]))
        .says("done");
    home.say("and again").await;
    assert_eq!(
        decided(&home).await,
        [
            "?posture-careful",
            "+owner-approved",
            "+standing-rule",
            "?posture-careful"
        ]
    );
    assert_eq!(sent(&home), ["bob@example.com", "bob@example.com"]);
    let second = waiting(&home).await;
    assert!(second.always.is_none(), "nobody named her: {second:?}");
}

#[tokio::test]
async fn two_refusals_end_the_asking() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({})).await;
    for number in 0..3 {
        home.script.then(Reply::Calls(vec![post(
            &format!("c{number}"),
            &format!("p{number}@example.com"),
        )]));
    }
    home.script.says("I give up");
    let submitted = home.submit("write to somebody").await;
    for _ in 0..2 {
        let question = waiting(&home).await;
        answer(&home, &question, false).await;
    }
    let outcome = submitted.outcome.await.unwrap();
    assert_eq!(outcome.text, "I give up");
    let rules = decided(&home).await;
    assert_eq!(
        rules,
        ["-posture-careful", "-posture-careful", "-refused-twice"]
    );
    assert!(sent(&home).is_empty());
}

#[tokio::test]
async fn a_call_that_waits_already_is_not_asked_about_again() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({ "askWaitSeconds": 0 })).await;
    home.sessions.recover().await.unwrap();
    for (id, to) in [("a", "bob"), ("b", "bob"), ("c", "ann")] {
        let call = post(id, &format!("{to}@example.com"));
        home.script.then(Reply::Calls(vec![call]));
    }
    home.script.says("they wait for you").says("one is sent");
    home.say("tell bob and ann hello").await;
    let open = home.sessions.asking().open().await.unwrap();
    assert_eq!(open.len(), 2, "{open:?}");
    // One yes is one call, however often it was asked for.
    let to_bob = |one: &&Question| one.call.arguments["to"] == "bob@example.com";
    let bob = open.iter().find(to_bob).unwrap();
    answer(&home, bob, true).await;
    until(async || home.script.calls() == 5).await;
    assert_eq!(sent(&home), ["bob@example.com"]);
}

#[tokio::test]
async fn an_answer_that_comes_late_makes_the_call_then_and_the_agent_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (home, question) = left_waiting(folder.path()).await;
    answer(&home, &question, true).await;
    until(async || sent(&home).len() == 1 && home.script.calls() == 3).await;
    until(async || decided(&home).await.len() == 2).await;
    assert_eq!(
        decided(&home).await,
        ["?posture-careful", "+owner-approved"]
    );
    let stored = home.store.question(&question.id).await.unwrap().unwrap();
    assert_eq!(stored.state, QuestionState::Used);
    // He was named when the question was put, and is known now that the message went.
    let known = home.store.contacts().await.unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(
        (known[0].kind.as_str(), known[0].text.as_str()),
        ("address", "bob@example.com")
    );
}

/// The owner's yes to a name of the model's is a yes to one message.
#[tokio::test]
async fn whom_the_owner_did_not_name_he_did_not_write_to_first() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({})).await;
    home.script
        .then(Reply::Calls(vec![post("a", "eve@example.com")]))
        .says("done");
    let submitted = home.submit("tell her hello").await;
    let question = waiting(&home).await;
    answer(&home, &question, true).await;
    submitted.outcome.await.unwrap();
    assert_eq!(sent(&home), ["eve@example.com"]);
    assert!(home.store.contacts().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_survives_a_restart_and_is_acted_on_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = house(folder.path(), json!({ "askWaitSeconds": 0 })).await;
    first
        .script
        .then(Reply::Calls(vec![post("a", "bob@example.com")]))
        .says("it waits for you");
    first.say("tell bob@example.com hello").await;
    let question = waiting(&first).await;
    // Nobody acts on answers here: as if the process died right after it took this one.
    answer(&first, &question, true).await;
    assert!(sent(&first).is_empty());
    first.sessions.shutdown(Duration::from_secs(5)).await;
    first.store.close().await.unwrap();
    for round in 0..2 {
        let home = home_at(
            folder.path(),
            first.config.clone(),
            first.clock.clone(),
            Arc::default(),
        )
        .await;
        home.sessions.recover().await.unwrap();
        if round == 0 {
            until(async || sent(&home) == ["bob@example.com"]).await;
            until(async || decided(&home).await.len() == 2).await;
        }
        home.sessions.shutdown(Duration::from_secs(5)).await;
        assert_eq!(sent(&home).len(), 1 - round, "it is made once");
        home.store.close().await.unwrap();
    }
}

async fn until(met: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if met().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}

#[tokio::test]
async fn a_stopped_turn_leaves_its_question_open_and_makes_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({})).await;
    home.script
        .then(Reply::Calls(vec![post("a", "bob@example.com")]));
    let submitted = home.submit("tell bob@example.com hello").await;
    let question = waiting(&home).await;
    assert!(home.sessions.stop(&crate::support::main_key()).await);
    let outcome = submitted.outcome.await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Aborted);
    assert_ne!(
        outcome.error.as_ref().map(|error| error.class),
        Some(ErrorClass::Internal)
    );
    assert!(sent(&home).is_empty());
    let stored = home.store.question(&question.id).await.unwrap().unwrap();
    assert_eq!(stored.state, QuestionState::Open);
}
