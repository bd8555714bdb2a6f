//! Look-ups that a decision rests on, each made to fail: nothing happens then that was not asked about.

use instar_agent::Said;
use instar_protocol::approval::QuestionState;
use instar_protocol::event::ErrorClass;
use serde_json::json;
use std::path::Path;

use crate::hands::{always, decided, house, post, sent};
use crate::support::{Home, Reply};

const BOB: &str = "bob@example.com";

/// Puts a table of the store out of everybody's reach, or back.
fn hide(folder: &Path, table: &str, is_hidden: bool) {
    let file = folder.join("instar.sqlite");
    let connection = rusqlite::Connection::open(file).unwrap();
    let (from, to) = match is_hidden {
        true => (table.to_owned(), format!("hidden_{table}")),
        false => (format!("hidden_{table}"), table.to_owned()),
    };
    connection
        .execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))
        .unwrap();
}

/// A house in which the owner has said that letters to Bob may always go: one went.
async fn trusting(folder: &Path) -> Home {
    let home = house(folder, json!({ "askWaitSeconds": 30 })).await;
    home.script
        .then(Reply::Calls(vec![post("a", BOB)]))
        .says("done");
    let submitted = home.submit("tell bob@example.com hello").await;
    let mut waits = None;
    for _ in 0..500 {
        waits = home.sessions.asking().open().await.unwrap().pop();
        if waits.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let question = waits.expect("nobody asks");
    let asking = home.sessions.asking();
    asking.answer(&question.id, always()).await.unwrap();
    submitted.outcome.await.unwrap();
    assert_eq!(sent(&home), [BOB]);
    home
}

/// The same call again, in a turn of its own, to its end.
async fn again(home: &Home) {
    home.script
        .then(Reply::Calls(vec![post("b", BOB)]))
        .says("done");
    // A message that cannot be stored is refused, and that is an end as well.
    if let Ok(submitted) = home.sessions.submit(home.message("and again")).await {
        let _outcome = submitted.outcome.await;
    }
}

#[tokio::test]
async fn b5_what_flows_by_a_look_up_does_not_when_the_look_up_fails() {
    // With everything in its place the call flows by the standing rule.
    let folder = tempfile::tempdir().unwrap();
    let home = trusting(folder.path()).await;
    again(&home).await;
    assert_eq!(sent(&home), [BOB, BOB]);
    assert_eq!(decided(&home).await.last().unwrap(), "+standing-rule");

    for table in [
        "standing_rules",
        "effects",
        "receipts",
        "entries",
        "sessions",
        "inbox",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let home = trusting(folder.path()).await;
        hide(folder.path(), table, true);
        let turn = async {
            match table {
                // It asks, as it would without the rule.
                "standing_rules" => {
                    let asked = async {
                        while home.sessions.asking().open().await.unwrap().is_empty() {
                            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        }
                    };
                    tokio::join!(again(&home), async {
                        asked.await;
                        let waits = home.sessions.asking().open().await.unwrap().remove(0);
                        assert_eq!(waits.state, QuestionState::Open);
                        let no = Said {
                            approved: false,
                            by: "web".to_owned(),
                            always: false,
                            pinned: false,
                        };
                        home.sessions.asking().answer(&waits.id, no).await.unwrap();
                    });
                }
                _ => again(&home).await,
            }
        };
        let limit = std::time::Duration::from_secs(60);
        let ended = tokio::time::timeout(limit, turn).await;
        assert!(ended.is_ok(), "{table}: the turn does not end");
        assert_eq!(sent(&home), [BOB], "{table}");
        hide(folder.path(), table, false);
    }
}

#[tokio::test]
async fn b5_a_question_that_cannot_be_kept_is_no_yes() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({})).await;
    home.say("hello").await;
    hide(folder.path(), "questions", true);
    home.script
        .then(Reply::Calls(vec![post("a", BOB)]))
        .says("done");
    let outcome = home.say("tell bob@example.com hello").await;
    assert!(sent(&home).is_empty());
    let error = outcome.error.as_ref().unwrap();
    assert_eq!(error.class, ErrorClass::Storage);
    hide(folder.path(), "questions", false);
    assert!(home.sessions.asking().open().await.unwrap().is_empty());
}

#[tokio::test]
async fn b5_an_answer_that_cannot_be_looked_up_makes_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({ "askWaitSeconds": 0 })).await;
    home.script
        .then(Reply::Calls(vec![post("a", BOB)]))
        .says("it waits");
    home.say("tell bob@example.com hello").await;
    let question = home.sessions.asking().open().await.unwrap().remove(0);
    hide(folder.path(), "questions", true);
    let answered = home.sessions.asking().answer(&question.id, always()).await;
    assert!(answered.is_err(), "{answered:?}");
    hide(folder.path(), "questions", false);
    let stored = home.store.question(&question.id).await.unwrap().unwrap();
    assert_eq!(stored.state, QuestionState::Open);
    assert!(home.sessions.asking().rules().await.unwrap().is_empty());
    assert!(sent(&home).is_empty());
}
