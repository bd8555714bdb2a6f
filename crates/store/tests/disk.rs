//! A full disk and a read-only one: a clear error, no damage, and work goes on when space is back.
//!
//! These need a small file system of their own; where mounting one is not permitted they say
//! `SKIPPED` and why.

use std::path::{Path, PathBuf};
use std::process::Command;

use instar_store::{EventFilter, Op, OpenError, Options, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::given::{event, store};

/// A memory file system of a few megabytes, gone with this value.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "instar-test"])
            .arg(folder.path())
            .output();
        match done {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skipped(&error.to_string()),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn remount(&self, mode: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(self.folder.path())
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the writer's thread may still be closing its file.
        drop(
            Command::new("umount")
                .arg("-l")
                .arg(self.folder.path())
                .status(),
        );
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skipped<T>(reason: &str) -> Option<T> {
    eprintln!(
        "SKIPPED: no small file system can be mounted: {}",
        reason.trim()
    );
    None
}

#[tokio::test]
async fn a_full_disk_is_named_and_work_goes_on_when_space_returns() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let store = Store::open(&disk.state(), Options::default()).unwrap();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    let ballast = disk.folder.path().join("ballast");
    fill(&ballast);

    let mut number = 1;
    let refused = loop {
        number += 1;
        match store.commit(vec![Op::AppendEvent(event(number))]).await {
            Ok(()) => assert!(number < 5_000, "the disk never filled"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    assert!(store.health().unwrap().message.contains("full"));
    let object = store.put_object(vec![7; 100_000]).await;
    assert!(matches!(object, Err(StoreError::Full)), "{object:?}");
    // Still full, still answering, and reading works.
    let again = store.commit(vec![Op::AppendEvent(event(number))]).await;
    assert!(matches!(again, Err(StoreError::Full)), "{again:?}");
    let all = EventFilter {
        limit: 10_000,
        ..EventFilter::default()
    };
    let stored = u64::try_from(store.events(all.clone()).await.unwrap().len()).unwrap();
    assert_eq!(stored, number - 1);

    std::fs::remove_file(&ballast).unwrap();
    store
        .commit(vec![Op::AppendEvent(event(number))])
        .await
        .unwrap();
    assert_eq!(store.health(), None);
    store.put_object(vec![7; 100_000]).await.unwrap();
    store.close().await.unwrap();

    let sql = Connection::open(disk.state().join("instar.sqlite")).unwrap();
    let sound: String = sql
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    let store = Store::open(&disk.state(), Options::default()).unwrap();
    assert_eq!(
        store.events(all).await.unwrap().len(),
        usize::try_from(number).unwrap()
    );
    store.close().await.unwrap();
}

/// Takes all the space there is.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let store = Store::open(&disk.state(), Options::default()).unwrap();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    let hash = store.put_object(b"kept".to_vec()).await.unwrap();
    store.close().await.unwrap();
    disk.remount("ro");
    let refused = Store::open(&disk.state(), Options::default()).unwrap_err();
    assert!(
        matches!(refused, OpenError::NotWritable { .. }),
        "{refused:?}"
    );
    // Objects need no open file, so the refusal of the running store can be seen here.
    let object = store.put_object(b"new".to_vec()).await;
    assert!(matches!(object, Err(StoreError::ReadOnly)), "{object:?}");
    assert_eq!(store.object(&hash).await.unwrap(), b"kept");
    disk.remount("rw");
    let store = Store::open(&disk.state(), Options::default()).unwrap();
    store.commit(vec![Op::AppendEvent(event(2))]).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_refused_statement_does_not_poison_the_writer() {
    let (_folder, store) = store();
    store.commit(vec![Op::AppendEvent(event(1))]).await.unwrap();
    let sql = Connection::open(store.path().join("instar.sqlite")).unwrap();
    sql.execute_batch(
        "CREATE TRIGGER no_more BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'x'); END",
    )
    .unwrap();
    let refused = store.commit(vec![Op::AppendEvent(event(2))]).await;
    assert!(
        matches!(refused, Err(StoreError::Sql { .. })),
        "{refused:?}"
    );
    sql.execute_batch("DROP TRIGGER no_more").unwrap();
    store.commit(vec![Op::AppendEvent(event(2))]).await.unwrap();
}
