//! A process that is killed while it commits: what it acknowledged is there, and batches are whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use instar_store::{EventFilter, Op, Options, Store};
use rusqlite::Connection;

use crate::given::{entry, event, session, session_id};

const CHILD: &str = "INSTAR_STORE_CRASH_CHILD";
const ENTRIES: u64 = 3;
const LANES: u64 = 4;

/// The process that the test below kills. Without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_child() {
    let Some(state) = std::env::var_os(CHILD) else {
        return;
    };
    let store = Store::open(&PathBuf::from(state), Options::default()).unwrap();
    let known = store
        .events(EventFilter {
            limit: 10_000,
            ..EventFilter::default()
        })
        .await
        .unwrap();
    let first = known
        .iter()
        .map(|event| event.at.millis())
        .max()
        .unwrap_or(0);
    if store.session(&session_id(1)).await.unwrap().is_none() {
        store
            .commit(vec![Op::PutSession(session(1))])
            .await
            .unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let store = store.clone();
        tasks.spawn(async move {
            let mut number = first + 1 + lane;
            loop {
                let mut ops = vec![Op::AppendEvent(event(number))];
                ops.extend((0..ENTRIES).map(|n| Op::AppendEntry(entry(1, number * 10 + n, None))));
                store.commit(ops).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "ack {number}").unwrap();
                out.flush().unwrap();
                drop(out);
                number += LANES;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_batches_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut acknowledged: Vec<u64> = Vec::new();
    for lives in [1_usize, 7, 40, 83] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::crash_child",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, &state)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((_, number)) = line.split_once("ack ") else {
                continue;
            };
            acknowledged.push(number.parse().unwrap());
            seen += 1;
            if seen == lives {
                // SIGKILL, in the middle of whatever the writer does; the pipe is read out after.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= lives, "the child ended by itself");
        check(&state, &acknowledged);
    }
}

fn check(state: &std::path::Path, acknowledged: &[u64]) {
    let store = Store::open(state, Options::default()).unwrap();
    let sql = Connection::open(store.path().join("instar.sqlite")).unwrap();
    let sound: String = sql
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    let entries_of = |number: u64| -> u64 {
        sql.query_row(
            "SELECT count(*) FROM entries WHERE at BETWEEN ?1 AND ?1 + 9",
            [i64::try_from(number * 10).unwrap()],
            |row| row.get::<_, i64>(0),
        )
        .map(|count| u64::try_from(count).unwrap())
        .unwrap()
    };
    let stored: Vec<u64> = sql
        .prepare("SELECT at FROM events")
        .unwrap()
        .query_map([], |row| row.get::<_, i64>(0))
        .unwrap()
        .map(|at| u64::try_from(at.unwrap()).unwrap())
        .collect();
    for number in acknowledged {
        assert!(stored.contains(number), "acknowledged {number} is lost");
    }
    for number in &stored {
        assert_eq!(entries_of(*number), ENTRIES, "batch {number} is torn");
    }
    let all: i64 = sql
        .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
        .unwrap();
    assert_eq!(u64::try_from(all).unwrap(), ENTRIES * stored.len() as u64);
}
