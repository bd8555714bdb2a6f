//! Questions to the owner: asked once, answered once, in time, and never used twice.

use instar_agent::{AnswerError, Asking, Said};
use instar_protocol::approval::{OfferedRule, Question, QuestionState};
use instar_protocol::principal::{Principal, Via};
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Clock as _, Label, QuestionId, ReleaseId, RunId, SessionId};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Home, home, main_key};

fn question(home: &Home, number: u64) -> Question {
    let at = home.clock.now();
    Question {
        id: QuestionId::from_stored(format!("ask_{number}")),
        digest: format!("{number:064}"),
        session: SessionId::from_stored("ses_1"),
        key: main_key(),
        run: RunId::from_stored("run_1"),
        agent: AgentId::main(),
        principal: Principal::Owner { via: Via::Token },
        release: ReleaseId::from_hex("1".repeat(64)),
        call: ToolCall {
            id: "a".to_owned(),
            name: "send".to_owned(),
            arguments: serde_json::json!({ "to": "b" }),
        },
        effect: Effect::Send,
        context: Label::owner(),
        arguments: Vec::new(),
        touches: Vec::new(),
        why: Vec::new(),
        always: None,
        facts: serde_json::Value::Null,
        asked_at: at,
        expires_at: instar_protocol::Timestamp::from_millis(at.millis() + 60_000),
        state: QuestionState::Open,
        answer: None,
    }
}

async fn asked(home: &Home, question: &Question) -> Asking {
    let asking = home.sessions.asking().clone();
    home.store.commit(asking.ask(question)).await.unwrap();
    asking.told(question.clone());
    asking
}

fn said(approved: bool) -> Said {
    Said {
        approved,
        by: "web".to_owned(),
        always: false,
        pinned: false,
    }
}

#[tokio::test]
async fn the_first_answer_counts_and_every_other_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let question = question(&home, 1);
    let asking = asked(&home, &question).await;
    let open = asking.open().await.unwrap();
    assert_eq!(open, std::slice::from_ref(&question));

    let answered = asking.answer(&question.id, said(true)).await.unwrap();
    assert_eq!(answered.state, QuestionState::Approved);
    for again in [true, false] {
        let refused = asking.answer(&question.id, said(again)).await.unwrap_err();
        assert!(matches!(refused, AnswerError::Settled { .. }), "{refused}");
    }
    let used = asking.use_up(answered.clone()).await.unwrap();
    assert_eq!(used.state, QuestionState::Used);
    assert!(
        asking.use_up(answered).await.is_err(),
        "an answer is for one call"
    );
    let unknown = QuestionId::from_stored("ask_9");
    let refused = asking.answer(&unknown, said(true)).await.unwrap_err();
    assert!(matches!(refused, AnswerError::Unknown(_)));
    let report = home.store.verify_receipts(None).await.unwrap();
    assert_eq!((report.receipts, report.problems.len()), (3, 0));
}

#[tokio::test]
async fn no_answer_means_no_also_after_the_clock_jumped() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let (late, unused, looked) = (question(&home, 1), question(&home, 2), question(&home, 3));
    for question in [&late, &unused, &looked] {
        asked(&home, question).await;
    }
    let asking = home.sessions.asking().clone();
    asking.answer(&unused.id, said(true)).await.unwrap();
    assert_eq!(asking.expire().await.unwrap(), 0);
    home.clock.advance(Duration::from_secs(3_600));
    assert!(
        asking.open().await.unwrap().is_empty(),
        "what ran out is not offered"
    );
    let refused = asking.answer(&late.id, said(true)).await.unwrap_err();
    assert!(matches!(refused, AnswerError::TooLate(_)), "{refused}");
    assert_eq!(asking.expire().await.unwrap(), 2);
    assert_eq!(asking.expire().await.unwrap(), 0);
    for question in [&late, &unused, &looked] {
        let stored = home.store.question(&question.id).await.unwrap().unwrap();
        assert_eq!(stored.state, QuestionState::Expired, "{}", question.id);
    }
}

#[tokio::test]
async fn always_keeps_the_rule_that_was_shown_and_only_where_it_was_offered() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let plain = question(&home, 1);
    let offered = Question {
        always: Some(OfferedRule {
            words: "send to b".to_owned(),
            rule: serde_json::json!({ "tool": "send" }),
        }),
        ..question(&home, 2)
    };
    asked(&home, &plain).await;
    let asking = asked(&home, &offered).await;
    let always = |pinned| Said {
        always: true,
        pinned,
        ..said(true)
    };
    let refused = asking.answer(&plain.id, always(false)).await.unwrap_err();
    assert!(matches!(refused, AnswerError::NotOffered(_)));
    let open = asking.open().await.unwrap();
    assert_eq!(open.len(), 2, "a refused answer answers nothing");

    let answered = asking.answer(&offered.id, always(false)).await.unwrap();
    let rules = asking.rules_in_force().await.unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(answered.answer.unwrap().rule, Some(rules[0].id.clone()));
    assert!(rules[0].expires_at.is_some());
    assert!(asking.revoke(&rules[0].id, "cli").await.unwrap());
    assert!(!asking.revoke(&rules[0].id, "cli").await.unwrap());
    assert!(asking.rules_in_force().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_waits_hears_the_answer_or_goes_on_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let question = question(&home, 1);
    let asking = asked(&home, &question).await;
    let cancel = CancellationToken::new();
    let waiting = {
        let (asking, id, cancel) = (asking.clone(), question.id.clone(), cancel.clone());
        let until = Instant::now() + Duration::from_secs(60);
        tokio::spawn(async move { asking.wait(&id, until, &cancel).await })
    };
    tokio::task::yield_now().await;
    asking.answer(&question.id, said(false)).await.unwrap();
    let heard = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!(heard.state, QuestionState::Denied);

    let second = self::question(&home, 2);
    asked(&home, &second).await;
    let nobody = asking.wait(&second.id, Instant::now(), &cancel).await;
    assert_eq!(nobody.unwrap().unwrap().state, QuestionState::Open);
    cancel.cancel();
    let until = Instant::now() + Duration::from_secs(60);
    let cut = asking.wait(&second.id, until, &cancel).await;
    assert_eq!(cut.unwrap().unwrap().state, QuestionState::Open);
}
