//! Questions, standing rules, the chain of receipts, and what hands leave behind.

use instar_protocol::approval::{Answer, Question, QuestionState, StandingRule};
use instar_protocol::letter::{Letter, LetterState};
use instar_protocol::receipt::ChainHead;
use instar_protocol::{Label, RuleId, UndoId};
use instar_store::{FileLabel, KeptOutput, Op, Retention, Store, StoreError, UndoRow};
use rusqlite::Connection;
use std::time::Duration;

use crate::given::{at, letter, open, question, receipt, run, session, session_id, store};

fn beside(store: &Store) -> Connection {
    Connection::open(store.path().join("instar.sqlite")).unwrap()
}

fn settled(from: &Question, state: QuestionState) -> Op {
    let answer = Some(Answer {
        approved: state == QuestionState::Approved,
        by: "web".to_owned(),
        at: at(5),
        rule: None,
    });
    let question = Box::new(Question {
        state,
        answer,
        ..from.clone()
    });
    Op::SettleQuestion {
        question,
        at: at(5),
    }
}

#[tokio::test]
async fn a_question_is_answered_once_used_once_and_survives_a_restart() {
    let (folder, store) = store();
    let asked = question(1);
    let ask = vec![
        Op::PutQuestion(Box::new(asked.clone())),
        Op::PutQuestion(Box::new(question(2))),
    ];
    store.commit(ask).await.unwrap();
    store.close().await.unwrap();
    let store = open(&folder);
    let waiting = store.questions(Some(QuestionState::Open), None, 10).await;
    assert_eq!(waiting.unwrap(), [asked.clone(), question(2)]);

    let refused = store
        .commit(vec![settled(&asked, QuestionState::Used)])
        .await;
    assert!(matches!(refused, Err(StoreError::Missing { .. })));
    for (state, goes) in [
        (QuestionState::Approved, true),
        (QuestionState::Approved, false),
        (QuestionState::Denied, false),
        (QuestionState::Used, true),
        (QuestionState::Used, false),
    ] {
        let done = store.commit(vec![settled(&asked, state)]).await;
        assert_eq!(done.is_ok(), goes, "{state:?}");
    }
    let stored = store.question(&asked.id).await.unwrap().unwrap();
    assert_eq!(stored.state, QuestionState::Used);
    let waiting = store.questions(Some(QuestionState::Open), None, 10).await;
    assert_eq!(waiting.unwrap(), [question(2)]);
}

#[tokio::test]
async fn of_two_answers_at_the_same_time_one_goes_through() {
    let (_folder, store) = store();
    let asked = question(1);
    let put = Op::PutQuestion(Box::new(asked.clone()));
    store.commit(vec![put]).await.unwrap();
    let (yes, no) = tokio::join!(
        store.commit(vec![settled(&asked, QuestionState::Approved)]),
        store.commit(vec![settled(&asked, QuestionState::Denied)]),
    );
    assert!(yes.is_ok() ^ no.is_ok(), "{yes:?} {no:?}");
}

#[tokio::test]
async fn a_rule_that_was_revoked_stays_revoked() {
    let (_folder, store) = store();
    let rule = StandingRule {
        id: RuleId::from_stored("rul_1"),
        words: "send to a".to_owned(),
        rule: serde_json::json!({"tool": "send"}),
        created_at: at(1),
        created_by: "web".to_owned(),
        expires_at: Some(at(100)),
        revoked_at: None,
    };
    assert!(rule.holds_at(at(99)) && !rule.holds_at(at(100)));
    store.commit(vec![Op::PutRule(rule.clone())]).await.unwrap();
    let revoked = StandingRule {
        revoked_at: Some(at(2)),
        ..rule
    };
    let put = Op::PutRule(revoked.clone());
    store.commit(vec![put]).await.unwrap();
    assert_eq!(store.rules().await.unwrap(), std::slice::from_ref(&revoked));
    assert!(!revoked.holds_at(at(3)));
}

/// Five receipts, the chain shut, and what a change to the file leads to.
async fn after_tampering(sql: &str) -> Vec<(u64, String)> {
    let (folder, store) = store();
    let ops = (1..=5).map(|number| Op::AppendReceipt(receipt(number)));
    store.commit(ops.collect()).await.unwrap();
    let sound = store.verify_receipts(None).await.unwrap();
    assert_eq!(
        (sound.receipts, sound.erased, sound.problems.len()),
        (5, 0, 0)
    );
    store.close().await.unwrap();
    beside(&store).execute_batch(sql).unwrap();
    let store = open(&folder);
    let report = store.verify_receipts(None).await.unwrap();
    let problems = report.problems.into_iter();
    problems
        .map(|problem| (problem.seq, problem.what))
        .collect()
}

#[tokio::test]
async fn any_change_to_the_chain_is_found_where_it_was_made() {
    for (sql, seq) in [
        ("UPDATE receipts SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE receipts SET body = body || ' ' WHERE seq = 1", 1),
        ("UPDATE receipts SET salt = '00' WHERE seq = 2", 2),
        ("UPDATE receipts SET at = at + 1 WHERE seq = 4", 4),
        ("UPDATE receipts SET kind = 'answer' WHERE seq = 4", 4),
        ("UPDATE receipts SET session = NULL WHERE seq = 5", 5),
        ("UPDATE receipts SET digest = hash WHERE seq = 2", 2),
        ("UPDATE receipts SET prev = hash WHERE seq = 2", 2),
        ("UPDATE receipts SET hash = prev WHERE seq = 5", 5),
        ("DELETE FROM receipts WHERE seq = 3", 4),
        ("DELETE FROM receipts WHERE seq = 1", 2),
        ("DELETE FROM receipts WHERE seq >= 4", 5),
        ("UPDATE receipts SET seq = 9 WHERE seq = 5", 9),
    ] {
        let problems = after_tampering(sql).await;
        assert!(
            problems.iter().any(|(at, _)| *at == seq),
            "{sql}: {problems:?}"
        );
    }
}

#[tokio::test]
async fn a_noted_end_shows_a_chain_that_was_written_anew() {
    let (_folder, store) = store();
    let append = |number| vec![Op::AppendReceipt(receipt(number))];
    store.commit(append(1)).await.unwrap();
    let noted = store.receipts_head().await.unwrap().unwrap();
    store.commit(append(2)).await.unwrap();
    let report = store.verify_receipts(Some(noted.clone())).await.unwrap();
    assert_eq!((report.problems.len(), report.receipts), (0, 2));
    let other = ChainHead {
        hash: "0".repeat(64),
        ..noted
    };
    let report = store.verify_receipts(Some(other)).await.unwrap();
    assert_eq!(report.problems.len(), 1);
}

#[tokio::test]
async fn retention_takes_from_the_front_and_the_rest_still_holds_together() {
    let (_folder, store) = store();
    let day = 24 * 60 * 60 * 1000;
    let ops = (0..6).map(|number| {
        let mut receipt = receipt(number);
        receipt.at = at(number * day);
        Op::AppendReceipt(receipt)
    });
    store.commit(ops.collect()).await.unwrap();
    let keep = Retention {
        deleted_sessions_days: 1,
        events_days: 2,
    };
    while store.maintain(at(5 * day), keep).await.unwrap() > 0 {}
    let report = store.verify_receipts(None).await.unwrap();
    assert_eq!((report.receipts, report.first), (3, Some(4)));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    while store.maintain(at(50 * day), keep).await.unwrap() > 0 {}
    let next = vec![Op::AppendReceipt(receipt(9))];
    store.commit(next).await.unwrap();
    let report = store.verify_receipts(None).await.unwrap();
    assert_eq!((report.receipts, report.first), (1, Some(7)));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[tokio::test]
async fn what_a_removed_conversation_did_is_erased_and_the_chain_stays_whole() {
    let (_folder, store) = store();
    let day = 24 * 60 * 60 * 1000;
    let mut later = receipt(1);
    later.at = at(9 * day);
    let ops = vec![
        Op::PutSession(session(1)),
        Op::AppendReceipt(later),
        Op::DeleteSession {
            id: session_id(1),
            at: at(day),
        },
    ];
    store.commit(ops).await.unwrap();
    let keep = Retention {
        deleted_sessions_days: 1,
        events_days: 5,
    };
    while store.maintain(at(9 * day), keep).await.unwrap() > 0 {}
    let report = store.verify_receipts(None).await.unwrap();
    assert_eq!((report.receipts, report.erased), (1, 1));
    assert!(report.problems.is_empty());
    let rows = store.receipts(None, None, 10).await.unwrap();
    assert_eq!(rows[0].body, None);
}

#[tokio::test]
async fn labels_of_files_undo_rows_and_kept_outputs_come_back_and_keep_their_objects() {
    let (_folder, store) = store();
    let before = store.put_object(b"before".to_vec()).await.unwrap();
    let long = store.put_object(b"a long output".to_vec()).await.unwrap();
    let label = FileLabel {
        path: "notes.md".to_owned(),
        digest: "d".repeat(64),
        label: Label::stranger(instar_protocol::Readers::Private),
        writer: run(1).to_string(),
        at: at(1),
    };
    let undo = UndoRow {
        id: UndoId::from_stored("und_1"),
        at: at(2),
        session: session_id(1),
        run: run(1),
        path: "notes.md".to_owned(),
        before: Some(before.clone()),
        after: None,
        undone_at: None,
    };
    let output = KeptOutput {
        handle: "h1".to_owned(),
        session: session_id(1),
        object: long.clone(),
        label: Label::owner(),
        at: at(3),
    };
    let own = FileLabel {
        path: "own.md".to_owned(),
        label: Label::owner(),
        ..label.clone()
    };
    let ops = vec![
        Op::PutFileLabel(label.clone()),
        Op::PutFileLabel(own.clone()),
        Op::PutUndo(undo.clone()),
        Op::PutOutput(output.clone()),
    ];
    store.commit(ops).await.unwrap();
    let found = store.file_label("notes.md", &label.digest).await.unwrap();
    assert_eq!(found.as_ref(), Some(&label));
    let other = store.file_label("notes.md", "another").await.unwrap();
    assert_eq!(other, None);
    let undone = store.undo_rows(None, 10).await.unwrap();
    assert_eq!(undone, std::slice::from_ref(&undo));
    let of = |number| session_id(number);
    let kept = store.kept_output(&of(1), "h1").await.unwrap();
    assert_eq!(kept, Some(output));
    assert_eq!(store.kept_output(&of(2), "h1").await.unwrap(), None);
    assert!(store.wrote_since(at(2)).await.unwrap());
    assert!(!store.wrote_since(at(3)).await.unwrap());

    store.sweep_objects(Duration::ZERO).await.unwrap();
    assert_eq!(store.object(&before).await.unwrap(), b"before");
    assert_eq!(store.object(&long).await.unwrap(), b"a long output");
    let day = 24 * 60 * 60 * 1000;
    let keep = Retention {
        deleted_sessions_days: 1,
        events_days: 1,
    };
    while store.maintain(at(9 * day), keep).await.unwrap() > 0 {}
    store.sweep_objects(Duration::ZERO).await.unwrap();
    assert!(store.object(&before).await.is_err());
    assert!(store.undo(&undo.id).await.unwrap().is_none());
    // Age does not wash: what a stranger wrote is a stranger's for as long as it lies there.
    let aged = store.file_label("notes.md", &label.digest).await.unwrap();
    assert_eq!(aged, Some(label));
    assert_eq!(store.file_label("own.md", &own.digest).await.unwrap(), None);
}

/// Whoever goes through the chain while receipts are written sees it as it stood at one moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_is_whole_while_receipts_are_written() {
    let (_folder, store) = store();
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 1..=400 {
                store
                    .commit(vec![Op::AppendReceipt(receipt(number))])
                    .await
                    .unwrap();
            }
        })
    };
    let mut looked = 0;
    while !writing.is_finished() {
        let report = store.verify_receipts(None).await.unwrap();
        assert_eq!(report.problems, []);
        looked += 1;
    }
    writing.await.unwrap();
    let report = store.verify_receipts(None).await.unwrap();
    assert_eq!((report.receipts, report.problems.len()), (400, 0));
    assert!(looked > 0);
}

#[tokio::test]
async fn a_program_stands_in_the_store_until_its_files_have_labels() {
    let (_folder, store) = crate::given::store();
    let (one, mut other) = (crate::given::program(1), crate::given::program(2));
    other.agent = "work".to_owned();
    let row = |path: &str, label: Label| FileLabel {
        path: path.to_owned(),
        digest: "d1".to_owned(),
        label,
        writer: "prg_1".to_owned(),
        at: at(1),
    };
    let stranger = Label::stranger(instar_protocol::Readers::Private);
    let ops = vec![
        Op::PutProgramRun(one.clone()),
        Op::PutProgramRun(other.clone()),
        Op::PutFileLabel(row("main/a.md", stranger.clone())),
        Op::PutFileLabel(row("main-two/a.md", Label::owner())),
    ];
    store.commit(ops).await.unwrap();
    let all = store.program_runs(None).await.unwrap();
    assert_eq!(all, [one.clone(), other.clone()]);
    // A root is a folder, not the beginning of a name.
    for found in [
        store.labels_of_content("main", "d1").await.unwrap(),
        store.labels_below("main").await.unwrap(),
    ] {
        assert_eq!(found, std::slice::from_ref(&stranger));
    }
    assert!(
        store
            .labels_of_content("main", "d2")
            .await
            .unwrap()
            .is_empty()
    );
    let ended = instar_store::ProgramRun {
        ended: Some(99),
        label: stranger,
        ..one
    };
    let ops = vec![
        Op::PutProgramRun(ended.clone()),
        Op::DropProgramRun { id: other.id },
    ];
    store.commit(ops).await.unwrap();
    assert_eq!(store.program_runs(None).await.unwrap(), [ended]);
}

#[tokio::test]
async fn a_letter_is_answered_once_and_found_by_state_and_by_conversation() {
    let (_folder, store) = store();
    let asked = letter(1);
    let put = [letter(1), letter(2)].map(|letter| Op::PutLetter(Box::new(letter)));
    store.commit(put.to_vec()).await.unwrap();
    let next = |state| Op::SettleLetter {
        letter: Box::new(Letter {
            state,
            ..asked.clone()
        }),
        at: at(3),
    };
    assert!(
        store
            .commit(vec![next(LetterState::Delivered)])
            .await
            .is_err()
    );
    store
        .commit(vec![next(LetterState::Answered)])
        .await
        .unwrap();
    for twice in [
        LetterState::Answered,
        LetterState::Closed,
        LetterState::Open,
    ] {
        assert!(store.commit(vec![next(twice)]).await.is_err(), "{twice:?}");
    }
    let open = store
        .letters(Some(LetterState::Open), None, 10)
        .await
        .unwrap();
    assert_eq!(open, [letter(2)]);
    let session = session_id(1);
    let since = store
        .letters(None, Some((&session, at(2))), 10)
        .await
        .unwrap();
    assert_eq!(since, [letter(2)]);
    let other = session_id(2);
    assert!(
        store
            .letters(None, Some((&other, at(0))), 10)
            .await
            .unwrap()
            .is_empty()
    );
    store
        .commit(vec![next(LetterState::Delivered)])
        .await
        .unwrap();
    let stored = store.letter(&asked.id).await.unwrap().unwrap();
    assert_eq!(stored.state, LetterState::Delivered);
}
