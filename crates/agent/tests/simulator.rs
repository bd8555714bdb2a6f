//! A seeded simulator: random messages to a few sessions in every queue mode, slow and failing
//! models, stops, shutdowns and crashes. After each life the store is opened anew and the
//! invariants are checked. `INSTAR_TEST_SEED=n` plays one game again.

use crate::support::{Home, Reply, Script, call, config, home_at, inbound};
use instar_protocol::message::{Entry, InboxState, OnRestart};
use instar_protocol::{EntryId, InboundId, SessionKey};
use instar_testkit::{ManualClock, Seeded};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LIVES: u64 = 4;
const ACTS: u64 = 40;
const MODES: [&str; 4] = ["steer", "followup", "collect", "interrupt"];

/// What was promised to senders, over all lives.
#[derive(Default)]
struct Promises {
    accepted: BTreeMap<InboundId, OnRestart>,
    /// The message that owns an idempotency key.
    keys: BTreeMap<(SessionKey, String), InboundId>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_no_accepted_message_is_lost_or_run_twice() {
    for game in 0..6 {
        let mut chance = Seeded::new(7_001 + game);
        let folder = tempfile::tempdir().unwrap();
        let mut promises = Promises::default();
        let clock = ManualClock::default();
        for _ in 0..LIVES {
            let script = Arc::new(Script::default());
            let mode = MODES[usize::try_from(chance.below(4)).unwrap()];
            let home = start(folder.path(), mode, clock.clone(), script).await;
            home.sessions.recover().await.unwrap();
            for _ in 0..ACTS {
                act(&mut chance, &home, &mut promises).await;
            }
            end(&mut chance, home).await;
            clock.advance(Duration::from_secs(60));
        }
        let home = start(
            folder.path(),
            "followup",
            clock,
            Arc::new(Script::default()),
        )
        .await;
        home.sessions.recover().await.unwrap();
        settle(&home, &promises).await;
        check(&home, &promises).await;
    }
}

async fn start(folder: &Path, mode: &str, clock: ManualClock, script: Arc<Script>) -> Home {
    let queue = json!({"mode": mode, "cap": 4, "debounceMs": 0});
    let settings = json!({
        "messages": {"queue": queue},
        "agents": {"defaults": {"timeoutSeconds": 5}},
    });
    home_at(folder, config(settings), clock, script).await
}

fn key(n: u64) -> SessionKey {
    SessionKey::parse(&format!("agent:main:explicit:{n}")).unwrap()
}

async fn act(chance: &mut Seeded, home: &Home, promises: &mut Promises) {
    let key = key(chance.below(3));
    match chance.below(10) {
        0 => drop(home.sessions.stop(&key).await),
        1 => {
            home.script.then(Reply::Stall("slow".to_owned()));
        }
        2 => {
            home.script.then(Reply::Broken);
        }
        3 => {
            home.script
                .then(Reply::Calls(vec![call("a", "look", 1), call("b", "no", 2)]));
        }
        4 => tokio::task::yield_now().await,
        _ => send(chance, home, promises, key).await,
    }
}

async fn send(chance: &mut Seeded, home: &Home, promises: &mut Promises, key: SessionKey) {
    let texts = [
        "hello",
        "/status",
        "/new",
        "/stop",
        "what now",
        "```\nx\n```",
    ];
    let text = chance.pick(&texts).copied().unwrap_or("hello");
    let mut message = inbound(&home.clock, &key, text);
    if chance.chance(30) {
        message.on_restart = OnRestart::Interrupt;
        message.surface = "openai".to_owned();
    }
    if chance.chance(30) {
        message.idempotency_key = Some(format!("k{}", chance.below(8)));
    }
    let (id, on_restart) = (message.id.clone(), message.on_restart);
    let idempotency = message.idempotency_key.clone();
    let Ok(submitted) = home.sessions.submit(message).await else {
        return;
    };
    if submitted.is_duplicate {
        let owner = &promises.keys[&(key, idempotency.unwrap())];
        assert_eq!(
            &submitted.inbound, owner,
            "a key belongs to its first message"
        );
        return;
    }
    promises.accepted.insert(id.clone(), on_restart);
    if let Some(idempotency) = idempotency {
        let before = promises.keys.insert((key, idempotency), id);
        assert_eq!(before, None, "a key is accepted once");
    }
    if chance.chance(40) {
        // Somebody who waits, but not for a model that stalls.
        drop(tokio::time::timeout(Duration::from_millis(5), submitted.outcome).await);
    }
}

/// Ends a life: in good order, or as if the power went.
async fn end(chance: &mut Seeded, home: Home) {
    match chance.below(3) {
        0 => {
            home.sessions.shutdown(Duration::ZERO).await;
            home.store.close().await.unwrap();
        }
        1 => {
            // The store goes first, under running turns.
            home.store.close().await.unwrap();
            home.sessions.shutdown(Duration::ZERO).await;
        }
        _ => {
            home.store.close().await.unwrap();
            drop(home);
        }
    }
}

/// Waits until nothing is pending.
async fn settle(home: &Home, promises: &Promises) {
    for _ in 0..2_000 {
        let left = home.store.unfinished().await.unwrap();
        if left.inbox.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = home.store.unfinished().await.unwrap();
    panic!(
        "{} of {} messages stay pending",
        left.inbox.len(),
        promises.accepted.len()
    );
}

async fn check(home: &Home, promises: &Promises) {
    let mut answered: BTreeMap<InboundId, u32> = BTreeMap::new();
    for n in 0..3 {
        let Some(row) = home.store.session_by_key(&key(n)).await.unwrap() else {
            continue;
        };
        let entries = home.store.entries(&row.id, None, 10_000).await.unwrap();
        check_chain(&entries, row.leaf.as_ref());
        for entry in &entries {
            if let instar_protocol::message::EntryBody::User {
                inbound: Some(id), ..
            } = &entry.body
            {
                *answered.entry(id.clone()).or_default() += 1;
            }
        }
        let runs: BTreeSet<_> = entries
            .iter()
            .filter_map(|entry| entry.run.clone())
            .collect();
        for run in runs {
            let outbox = home.store.outbox_of_run(&run).await.unwrap();
            assert!(outbox.len() <= 1, "{run} has {} replies", outbox.len());
        }
    }
    for (id, times) in &answered {
        assert_eq!(*times, 1, "{id} is in the transcript {times} times");
        assert!(
            promises.accepted.contains_key(id),
            "{id} was never accepted"
        );
    }
    for (id, on_restart) in &promises.accepted {
        let stored = home
            .store
            .inbound(id)
            .await
            .unwrap()
            .expect("an accepted message is stored");
        assert_ne!(stored.state, InboxState::Pending, "{id}");
        if stored.state == InboxState::Interrupted {
            assert_eq!(
                *on_restart,
                OnRestart::Interrupt,
                "{id} should have been answered"
            );
        }
    }
}

/// One root, and every entry hangs under the one stored before it.
fn check_chain(entries: &[Entry], leaf: Option<&EntryId>) {
    let mut last: Option<&EntryId> = None;
    for entry in entries {
        assert_eq!(entry.parent.as_ref(), last, "{} breaks the chain", entry.id);
        last = Some(&entry.id);
    }
    assert_eq!(leaf, last);
}
