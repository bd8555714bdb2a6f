//! A store whose files are taken away while it is open takes nothing that nobody would find again.

use std::fs;

use instar_store::{EventFilter, Op, OpenError, Options, Store, StoreError};

use crate::given::event;

#[tokio::test]
async fn a_file_that_is_not_where_it_was_takes_no_writes() {
    for name in ["instar.sqlite", "instar.sqlite-wal"] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let store = Store::open(&state, Options::default()).unwrap();
        let write = |number| store.commit(vec![Op::AppendEvent(event(number))]);
        write(1).await.unwrap();
        let (file, away) = (state.join(name), folder.path().join("away"));

        fs::rename(&file, &away).unwrap();
        assert!(store.health().unwrap().message.contains("moved"), "{name}");
        assert!(matches!(write(2).await, Err(StoreError::Gone)), "{name}");
        // Another file in its place is not the one that was opened.
        fs::copy(&away, &file).unwrap();
        assert!(matches!(write(2).await, Err(StoreError::Gone)), "{name}");

        fs::rename(&away, &file).unwrap();
        write(3).await.unwrap();
        assert_eq!(store.health(), None, "{name}");
        let all = EventFilter {
            limit: 10,
            ..EventFilter::default()
        };
        let all = store.events(all).await.unwrap();
        assert_eq!(all.len(), 2, "{name}");
        assert!(store.damage().await.unwrap().is_empty(), "{name}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_that_is_copied_over_an_open_file_is_not_mixed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let (file, log) = (state.join("instar.sqlite"), state.join("instar.sqlite-wal"));
    let backup = folder.path().join("backup");
    let store = Store::open(&state, Options::default()).unwrap();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    store.close().await.unwrap();
    fs::copy(&file, &backup).unwrap();

    let store = Store::open(&state, Options::default()).unwrap();
    // Enough for copies of the log into the file, which are our own doing.
    let many: Vec<_> = (2..3_000)
        .map(|number| Op::AppendEvent(event(number)))
        .collect();
    for some in many.chunks(100) {
        store.commit(some.to_vec()).await.unwrap();
        assert_eq!(store.health(), None);
    }
    fs::copy(&backup, &file).unwrap();
    assert!(store.health().unwrap().message.contains("overwritten"));
    let late = store.commit(vec![Op::AppendEvent(event(4_000))]).await;
    assert!(matches!(late, Err(StoreError::Overwritten)), "{late:?}");
    drop(store.close().await);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&backup).unwrap());
    assert!(log.exists(), "what was stored since is not thrown away");

    let refused = Store::open(&state, Options::default()).unwrap_err();
    assert!(
        matches!(refused, OpenError::Overwritten { .. }),
        "{refused}"
    );
    fs::remove_file(&log).unwrap();
    drop(fs::remove_file(state.join("instar.sqlite-shm")));
    let store = Store::open(&state, Options::default()).unwrap();
    let all = EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    assert_eq!(store.events(all).await.unwrap().len(), 1);
    assert!(store.damage().await.unwrap().is_empty());
    store.close().await.unwrap();
}
