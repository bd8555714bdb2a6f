//! A store whose files are taken away while it is open takes nothing that nobody would find again.

use std::fs;

use instar_store::{EventFilter, Op, Options, Store, StoreError};

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
