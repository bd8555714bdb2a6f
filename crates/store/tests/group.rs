//! Group commit: shared flushes, batches that fail alone, lazy batches, closing.

use instar_store::{EventFilter, Op, Options, Store, StoreError};
use rusqlite::Connection;

use crate::given::{at, entry, event, inbound, open, session, session_id, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_batches_share_a_flush_and_fail_alone() {
    let (_folder, store) = store();
    store
        .commit(vec![Op::PutSession(session(1))])
        .await
        .unwrap();
    // While somebody else holds the file the writer waits, and everything gathers behind it.
    let file = store.path().join("instar.sqlite");
    let other = Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = store.stats();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            // Each eighth batch names a session that is not stored.
            let owner = if number % 8 == 7 { 99 } else { 1 };
            let ops = vec![
                Op::AppendEvent(event(number)),
                Op::AppendEntry(entry(owner, number, None)),
            ];
            (number, store.commit(ops).await)
        });
    }
    while store.stats().waiting < 64 {
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    while let Some(done) = tasks.join_next().await {
        let (number, result) = done.unwrap();
        match result {
            Ok(()) => assert_ne!(number % 8, 7),
            Err(StoreError::Missing { .. }) => assert_eq!(number % 8, 7),
            Err(other) => panic!("{number}: {other}"),
        }
    }
    let after = store.stats();
    assert_eq!(after.batches - before.batches, 64);
    let timed: u64 = after.flushes.iter().sum();
    assert!(
        timed >= after.commits,
        "every commit is in a class: {after:?}"
    );
    assert!(after.commits - before.commits <= 3, "{after:?}");
    assert_eq!(
        store
            .entries(&session_id(1), None, 100)
            .await
            .unwrap()
            .len(),
        56
    );
    let all = EventFilter {
        limit: 100,
        ..EventFilter::default()
    };
    assert_eq!(
        store.events(all).await.unwrap().len(),
        56,
        "failed batches left nothing"
    );
}

#[tokio::test]
async fn lazy_batches_ride_on_the_next_commit() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the test: nothing but company or closing commits them.
    let options = Options {
        lazy_ms: 3_600_000,
        ..Options::default()
    };
    let store = Store::open(&folder.path().join("state"), options).unwrap();
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    store.enqueue(vec![Op::AppendEvent(event(1))]).unwrap();
    store.enqueue(vec![Op::AppendEvent(event(2))]).unwrap();
    assert!(store.events(all.clone()).await.unwrap().is_empty());
    store.commit(vec![Op::AppendEvent(event(3))]).await.unwrap();
    assert_eq!(store.events(all.clone()).await.unwrap().len(), 3);
    assert_eq!(store.stats().commits, 1);
    store.enqueue(vec![Op::AppendEvent(event(4))]).unwrap();
    store.close().await.unwrap();
    let store = open(&folder);
    assert_eq!(store.events(all).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_lone_lazy_batch_is_committed_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        lazy_ms: 1,
        ..Options::default()
    };
    let store = Store::open(&folder.path().join("state"), options).unwrap();
    store.enqueue(vec![Op::AppendEvent(event(1))]).unwrap();
    while store.stats().commits == 0 {
        tokio::task::yield_now().await;
    }
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert_eq!(store.events(all).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_batch_alone_in_its_group_leaves_nothing() {
    let (_folder, store) = store();
    store.accept(&inbound(1, None), event(1)).await.unwrap();
    // The same id again, without an idempotency key: refused, and its event with it.
    let refused = store.accept(&inbound(1, None), event(2)).await;
    assert!(
        matches!(refused, Err(StoreError::Sql { .. })),
        "{refused:?}"
    );
    store.commit(vec![Op::AppendEvent(event(3))]).await.unwrap();
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    let found = store.events(all).await.unwrap();
    assert_eq!(
        found.iter().map(|e| e.at).collect::<Vec<_>>(),
        [at(3), at(1)]
    );
}

#[tokio::test]
async fn dropping_the_future_of_a_commit_does_not_undo_it() {
    let (folder, store) = store();
    {
        let commit = store.commit(vec![Op::AppendEvent(event(1))]);
        let mut commit = std::pin::pin!(commit);
        // Polled once: handed over, not awaited.
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(commit.as_mut().poll(context).is_pending())
        });
        let _handed_over = polled.await;
    }
    store.close().await.unwrap();
    let store = open(&folder);
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert_eq!(store.events(all).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_closed_store_refuses_and_leaves_one_file() {
    let (_folder, store) = store();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    store.session_count().await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let late = vec![Op::AppendEvent(event(2))];
    assert!(matches!(
        store.commit(late.clone()).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.enqueue(late), Err(StoreError::Closed)));
    assert!(matches!(
        store.session_count().await,
        Err(StoreError::Closed)
    ));
    assert!(
        !store.path().join("instar.sqlite-wal").exists(),
        "the log was copied and removed"
    );
}

#[tokio::test]
async fn the_log_stays_bounded_under_load() {
    let (_folder, store) = store();
    store
        .commit(vec![Op::PutSession(session(1))])
        .await
        .unwrap();
    let mut number = 0;
    for _ in 0..60 {
        let ops = (0..200)
            .map(|_| {
                number += 1;
                Op::AppendEntry(entry(1, number, None))
            })
            .collect();
        store.commit(ops).await.unwrap();
    }
    while store.stats().checkpoints == 0 {
        tokio::task::yield_now().await;
    }
    let log = std::fs::metadata(store.path().join("instar.sqlite-wal"))
        .unwrap()
        .len();
    assert!(log < 64 * 1024 * 1024, "{log}");
}
