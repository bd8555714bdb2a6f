//! Genes against faults of models: those that fail, and those that go about it in the wrong way.

use crate::genes::{planted, planted_of, planted_with, says};
use crate::support::{Fault, Reply};
use instar_protocol::fault::SignalKind;
use instar_protocol::live::OutcomeStatus;
use instar_protocol::model::{ModelMessage, ModelRequest};
use instar_release::mitigation::Act;
use serde_json::json;

#[tokio::test]
async fn a_model_that_breaks_off_is_asked_once_more() {
    let planted = planted_of(600, &[]).await;
    planted.home.script.then(Reply::Cut);
    assert_eq!(planted.asks().await.status, OutcomeStatus::Failed);
    let again = planted.mend("ask-model-again").await;
    assert!(again.fault == "planted" && again.gene.starts_with("ask-model-again@"));
    planted.home.script.then(Reply::Cut).says("at last");
    let mended = planted.asks().await;
    assert_eq!(
        (mended.status, mended.text.as_str()),
        (OutcomeStatus::Ok, "at last")
    );
}

#[tokio::test]
async fn a_model_that_keeps_failing_is_not_the_first_that_is_asked() {
    let planted = planted().await;
    let retried = async || {
        let signs = planted.signs().await;
        signs
            .iter()
            .filter(|sign| sign.kind == SignalKind::Retries)
            .count()
    };
    planted.home.script.then(Reply::Cut).says("the second");
    let before = planted.asks().await;
    assert_eq!(before.text, "the second");
    assert_eq!((planted.home.script.calls(), retried().await), (2, 1));
    planted.mend("ask-other-model-first").await;
    planted.home.script.says("at once");
    let after = planted.asks().await;
    assert_eq!(after.model.as_ref().unwrap().as_str(), "test/two");
    assert_eq!((planted.home.script.calls(), retried().await), (3, 1));
}

#[tokio::test]
async fn a_silent_model_is_given_up_while_there_is_time_for_another() {
    let hasty = planted_with(1).await;
    hasty.home.script.then(Reply::Silent);
    // The second model answers, late: the first has used up the time of the turn.
    assert_eq!(hasty.asks().await.status, OutcomeStatus::Ok);
    let mut patience = hasty.written("give-up-silent-model").await;
    let Act::ModelPatience { seconds } = &mut patience.act else {
        panic!("{patience:?}");
    };
    // Thirty seconds are one here.
    assert_eq!(std::mem::replace(seconds, 1), 30);
    let planted = planted().await;
    planted.serve(patience, "give-up-silent-model").await;
    planted.home.script.then(Reply::Silent).says("the second");
    let answer = planted.asks().await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (OutcomeStatus::Ok, "the second")
    );
}

/// A model that goes about it in the wrong way until its prompt tells it better.
async fn of_habit(gene: &str, reads: fn(&ModelRequest) -> Reply) {
    let planted = planted().await;
    if gene == "say-other-tool" {
        planted.home.search.lock().unwrap().always = Some(Fault::Fails);
    }
    let before = planted.reads(reads).await;
    assert!(!before.contains("found"), "{gene}: {before}");
    planted.mend(gene).await;
    let after = planted.reads(reads).await;
    assert!(after.contains("found"), "{gene}: {after}");
}

#[tokio::test]
async fn habits_of_a_model_that_reads_its_prompt_are_mended_by_four_genes() {
    of_habit("say-what-is-needed", |request| {
        let is_told = says(request, "A call of search always needs query.");
        Reply::named(
            "search",
            if is_told {
                json!({"query": "x"})
            } else {
                json!({"limit": 3})
            },
        )
    })
    .await;
    of_habit("say-shape", |request| {
        let is_told = says(request, "In calls of search, part is a plain number");
        let part = if is_told { json!(2) } else { json!("two") };
        Reply::named("search", json!({"query": "x", "part": part}))
    })
    .await;
    of_habit("say-at-most", |request| {
        let is_told = says(request, "Ask search for at most 50 in part");
        Reply::named(
            "search",
            json!({"query": "x", "part": if is_told { 50 } else { 500 }}),
        )
    })
    .await;
    of_habit("say-other-tool", |request| {
        let is_told = says(request, "Use other_search rather than search");
        Reply::named(
            if is_told { "other_search" } else { "search" },
            json!({"query": "x"}),
        )
    })
    .await;
}

#[tokio::test]
async fn a_model_that_makes_the_same_failing_call_again_and_again_is_told_not_to() {
    let planted = planted().await;
    planted.home.search.lock().unwrap().always = Some(Fault::Fails);
    let turn = async || {
        let before = planted.searched();
        for _ in 0..6 {
            // Other words each time, or the guard against circles would end the turn.
            planted.home.script.then(Reply::Reads(|request| {
                let has_failed = matches!(request.messages.last(), Some(ModelMessage::Tool { .. }));
                if has_failed && says(request, "do not call it again with the same arguments") {
                    return Reply::Text("it could not be found".to_owned());
                }
                Reply::named(
                    "search",
                    json!({"query": format!("y{}", request.messages.len())}),
                )
            }));
        }
        planted.home.script.says("stuck");
        planted.home.say("search").await;
        planted.home.script.replies.lock().unwrap().clear();
        planted.searched() - before
    };
    assert_eq!(turn().await, 6);
    planted.mend("say-not-twice").await;
    assert_eq!(turn().await, 1);
}
