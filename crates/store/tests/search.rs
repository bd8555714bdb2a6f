//! Looking for words.

use instar_protocol::Timestamp;
use instar_protocol::message::{Entry, EntryBody, Part};
use instar_protocol::principal::{Principal, Via};
use instar_store::{Op, Retention, SessionPatch, Store, TextFound, TextSearch};

use crate::given::{at, entry, entry_id, key, session, session_id, store};

fn user(number: u64, session: u64, parent: Option<u64>, text: &str) -> Entry {
    let mut said = entry(session, number, parent);
    said.body = EntryBody::User {
        parts: vec![Part::text(text)],
        principal: Principal::Owner { via: Via::Token },
        inbound: None,
        surface: "web".to_owned(),
    };
    said
}

async fn ask(store: &Store, text: &str) -> Vec<(String, bool)> {
    let wanted = TextSearch {
        text: text.to_owned(),
        limit: 50,
        ..TextSearch::default()
    };
    let found = store.search(wanted).await.unwrap();
    assert!(!found.is_cut, "{text}");
    found
        .entries
        .iter()
        .map(|found| (found.entry.id.to_string(), found.is_current))
        .collect()
}

/// Whatever is asked, the index makes no difference to what is found.
#[tokio::test]
async fn the_index_finds_what_a_look_at_every_entry_finds() {
    let (_folder, store) = store();
    let texts = [
        "Grün wie Gras",
        "say \"hello\" AND goodbye NOT*",
        "一二三四五",
        "ab",
        "ÀÉÎ çà",
        "a\u{0}bcd",
        "",
        "x^y -z (w) col:on",
        "good morning",
        "GOOD evening",
    ];
    store
        .commit(vec![Op::PutSession(session(1))])
        .await
        .unwrap();
    let questions = [
        "grün",
        "\"hello\"",
        "AND",
        "not*",
        "二三",
        "一二三",
        "二三四",
        "ab",
        "àé",
        "çà",
        "bcd",
        "y -z",
        "(w)",
        "col:on",
        "good",
        "Good E",
        "nothing at all",
        "d mo",
        "o",
        "\u{0}bc",
    ];
    let mut before: Vec<Vec<(String, bool)>> = Vec::new();
    for (number, text) in (1..).zip(texts) {
        let parent = (number > 1).then(|| number - 1);
        let patch = SessionPatch {
            leaf: Some(Some(entry_id(number))),
            ..SessionPatch::default()
        };
        let id = session_id(1);
        let ops = vec![
            Op::AppendEntry(user(number, 1, parent, text)),
            Op::PatchSession { id, patch },
        ];
        store.commit(ops).await.unwrap();
    }
    for question in questions {
        before.push(ask(&store, question).await);
    }
    assert_eq!(before[4], [(entry_id(3).to_string(), true)]);
    assert_eq!(before[14].len(), 3, "whatever the case");
    while store.index_step().await.unwrap() {}
    for (question, before) in questions.iter().zip(&before) {
        assert_eq!(ask(&store, question).await, *before, "{question:?}");
    }
    // What is said after the index was made is found as well.
    let late = user(11, 1, Some(10), "good night");
    store.commit(vec![Op::AppendEntry(late)]).await.unwrap();
    assert_eq!(ask(&store, "good").await.len(), 4);
}

#[tokio::test]
async fn what_was_left_behind_is_found_and_told_apart() {
    let (_folder, store) = store();
    let mut ops = vec![Op::PutSession(session(1))];
    ops.push(Op::AppendEntry(user(1, 1, None, "needle one")));
    ops.push(Op::AppendEntry(user(2, 1, Some(1), "needle two")));
    ops.push(Op::AppendEntry(user(3, 1, Some(1), "needle three")));
    let patch = SessionPatch {
        leaf: Some(Some(entry_id(3))),
        ..SessionPatch::default()
    };
    let id = session_id(1);
    ops.push(Op::PatchSession { id, patch });
    store.commit(ops).await.unwrap();
    for _ in 0..2 {
        let found = ask(&store, "needle").await;
        let wanted = [(3, true), (2, false), (1, true)];
        let wanted = wanted.map(|(number, current)| (entry_id(number).to_string(), current));
        assert_eq!(found, wanted);
        while store.index_step().await.unwrap() {}
    }
}

/// Numbers of removed entries are given out again.
#[tokio::test]
async fn what_comes_in_the_place_of_removed_entries_is_found() {
    let (_folder, store) = store();
    let gone = Op::DeleteSession {
        id: session_id(1),
        at: at(1),
    };
    let old = user(1, 1, None, "needle of old");
    let ops = vec![Op::PutSession(session(1)), Op::AppendEntry(old), gone];
    store.commit(ops).await.unwrap();
    while store.index_step().await.unwrap() {}
    let keep = Retention {
        deleted_sessions_days: 0,
        events_days: 100,
    };
    let later = Timestamp::from_millis(at(1).millis() + 1_000);
    while store.maintain(later, keep).await.unwrap() > 0 {}
    let new = user(2, 2, None, "another needle");
    let ops = vec![Op::PutSession(session(2)), Op::AppendEntry(new)];
    store.commit(ops).await.unwrap();
    while store.index_step().await.unwrap() {}
    let found: Vec<String> = ask(&store, "needle")
        .await
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(found, [entry_id(2).to_string()]);
    assert!(ask(&store, "of old").await.is_empty());
    assert!(store.damage().await.unwrap().is_empty());
}

#[tokio::test]
async fn words_are_found_in_what_was_said_and_nowhere_else() {
    let (_folder, store) = store();
    let mut ops = vec![Op::PutSession(session(1)), Op::PutSession(session(2))];
    for (number, text) in [(1, "Grün wie Gras"), (2, "nothing"), (3, "GRÜN again")] {
        let said = user(number, 1 + number % 2, None, text);
        ops.push(Op::AppendEntry(said));
    }
    store.commit(ops).await.unwrap();
    let search = |keys, limit| TextSearch {
        text: "grün".to_owned(),
        keys,
        limit,
        ..TextSearch::default()
    };
    let ids = |found: TextFound| -> Vec<String> {
        found
            .entries
            .iter()
            .map(|found| found.entry.id.to_string())
            .collect()
    };
    let all = store.search(search(Vec::new(), 10)).await.unwrap();
    assert!(!all.is_cut);
    assert_eq!(ids(all), [entry_id(3).to_string(), entry_id(1).to_string()]);
    let one = store.search(search(Vec::new(), 1)).await.unwrap();
    assert!(one.is_cut);
    let elsewhere = store.search(search(vec![key("chat1")], 10)).await.unwrap();
    assert!(elsewhere.entries.is_empty());
    let gone = Op::DeleteSession {
        id: session_id(2),
        at: at(9),
    };
    store.commit(vec![gone]).await.unwrap();
    assert!(
        store
            .search(search(Vec::new(), 10))
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}
