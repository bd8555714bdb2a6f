//! Ends that nobody wanted: crashes, a full disk, a shutdown in the middle of a turn.

use crate::support::{
    Home, Reply, Script, call, config, home, home_at, home_with, main_key, outcome,
};
use instar_agent::SubmitError;
use instar_protocol::Timestamp;
use instar_protocol::live::OutcomeStatus;
use instar_protocol::message::{InboxState, OnRestart, OutboxState};
use instar_protocol::{OutboxId, RunId, SessionId};
use instar_store::Op;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Starts again on the same folder, as after `kill -9`: the old house is not told.
async fn again(folder: &Path, home: Home) -> Home {
    let clock = home.clock.clone();
    // The writer thread must be gone before the folder is opened again; what a real crash loses
    // beyond that is the store's own test.
    home.store.close().await.unwrap();
    drop(home);
    home_at(
        folder,
        config(json!({})),
        clock,
        Arc::new(Script::default()),
    )
    .await
}

#[tokio::test]
async fn an_accepted_message_is_answered_after_the_restart_under_the_same_session() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let stalled = home.stall("resume me", "par").await;
    let (id, session) = (stalled.inbound.clone(), stalled.session.clone());
    let mut waits = home.message("interrupt me");
    waits.on_restart = OnRestart::Interrupt;
    let waits = home.sessions.submit(waits).await.unwrap();
    let home = again(folder.path(), home).await;
    assert_eq!(home.sessions.recover().await.unwrap(), (1, 1, 0));
    let answer = home.say("last").await;
    assert_eq!(answer.text, "echo last");
    assert_eq!(home.row().await.id, session);
    let lines = home.transcript().await;
    let count = |wanted: &str| lines.iter().filter(|line| line.as_str() == wanted).count();
    assert_eq!((count("user: resume me"), count("echo resume me")), (1, 0));
    assert_eq!(count("agent: echo resume me"), 1);
    assert_eq!(count("user: interrupt me"), 1);
    assert!(lines.iter().any(|line| line.starts_with("Interrupted: ")));
    let store = &home.store;
    let state = async |id| store.inbound(id).await.unwrap().unwrap().state;
    assert_eq!(state(&id).await, InboxState::Done);
    assert_eq!(state(&waits.inbound).await, InboxState::Interrupted);
    assert_eq!(
        home.sessions.recover().await.unwrap(),
        (0, 0, 0),
        "recovery is done once"
    );
}

#[tokio::test]
async fn what_leaves_traces_is_never_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = home(folder.path()).await;
    first.say("hello").await;
    let stalled = first.stall("send it", "par").await;
    let (run, row) = (RunId::from_stored("run_cut"), first.row().await);
    let at = Timestamp::from_millis(1);
    let intent = vec![
        Op::BeginEffect {
            run: run.clone(),
            session: row.id.clone(),
            call: call("a", "send", 1),
            at,
        },
        Op::SettleInbound {
            id: stalled.inbound.clone(),
            run: Some(run),
            state: InboxState::Pending,
            at,
        },
    ];
    first.store.commit(intent).await.unwrap();
    let home = again(folder.path(), first).await;
    assert_eq!(home.sessions.recover().await.unwrap(), (0, 1, 1));
    assert_eq!(home.script.calls(), 0);
    let lines = home.transcript().await;
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("Uncertain: ") && line.ends_with("send"))
    );
    assert!(lines.last().unwrap().starts_with("Interrupted: "));
    let stored = home.store.inbound(&stalled.inbound).await.unwrap().unwrap();
    assert_eq!(stored.state, InboxState::Interrupted);
    assert!(home.store.unfinished().await.unwrap().effects.is_empty());
}

#[tokio::test]
async fn a_reply_on_its_way_is_uncertain_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = home(folder.path()).await;
    let mut ask = first.message("hi");
    ask.surface = "openai".to_owned();
    ask.on_restart = OnRestart::Interrupt;
    let answer = outcome(first.sessions.submit(ask).await.unwrap()).await;
    let outbox: OutboxId = answer.outbox.clone().unwrap();
    let home = again(folder.path(), first).await;
    assert_eq!(home.sessions.recover().await.unwrap(), (0, 0, 1));
    let uncertain = home.store.uncertain(10).await.unwrap();
    assert_eq!((uncertain.len(), &uncertain[0].id), (1, &outbox));
    assert_eq!(uncertain[0].state, OutboxState::Uncertain);
    assert_eq!(home.script.calls(), 0);
}

#[tokio::test]
async fn a_shutdown_waits_for_the_turn_and_refuses_new_messages() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.gate.forget_permits(1_000);
    home.script
        .then(Reply::Calls(vec![call("a", "look", 1)]))
        .says("done");
    let running = home.submit("go").await;
    home.has_begun(1).await;
    let sessions = home.sessions.clone();
    let closing = tokio::spawn(async move { sessions.shutdown(Duration::from_secs(20)).await });
    loop {
        match home.sessions.submit(home.message("late")).await {
            Err(SubmitError::ShuttingDown) => break,
            Ok(_) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
    home.gate.add_permits(1_000);
    assert_eq!(outcome(running).await.status, OutcomeStatus::Ok);
    closing.await.unwrap();
    assert_eq!(home.sessions.awake(), 0);
}

#[tokio::test]
async fn a_turn_that_is_cut_is_answered_by_the_next_start_or_shown() {
    for (on_restart, expected) in [
        (OnRestart::Resume, InboxState::Pending),
        (OnRestart::Interrupt, InboxState::Interrupted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let first = home(folder.path()).await;
        first.script.then(Reply::Stall("par".to_owned()));
        let mut message = first.message("cut me");
        message.on_restart = on_restart;
        let running = first.sessions.submit(message).await.unwrap();
        first.script.called.notified().await;
        first.sessions.shutdown(Duration::ZERO).await;
        assert_eq!(first.sessions.awake(), 0);
        let stored = first
            .store
            .inbound(&running.inbound)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.state, expected);
        let home = again(folder.path(), first).await;
        home.sessions.recover().await.unwrap();
        home.say("next").await;
        let answered = home
            .transcript()
            .await
            .contains(&"agent: echo cut me".to_owned());
        assert_eq!(answered, on_restart == OnRestart::Resume);
    }
}

#[tokio::test]
async fn nothing_is_lost_when_the_store_closes_under_a_turn() {
    let folder = tempfile::tempdir().unwrap();
    let first = home(folder.path()).await;
    first.gate.forget_permits(1_000);
    first.script.then(Reply::Calls(vec![call("a", "look", 1)]));
    let running = first.submit("go").await;
    let id = running.inbound.clone();
    first.has_begun(1).await;
    first.store.close().await.unwrap();
    first.gate.add_permits(1_000);
    let answer = outcome(running).await;
    let error = answer.error.as_ref().unwrap();
    assert_eq!(error.class, instar_protocol::event::ErrorClass::Storage);
    assert!(error.next_step.contains("Your message is kept"));
    drop(first);
    let home = home_with(folder.path(), config(json!({}))).await;
    assert_eq!(home.sessions.recover().await.unwrap(), (1, 0, 0));
    home.say("next").await;
    assert_eq!(
        home.store.inbound(&id).await.unwrap().unwrap().state,
        InboxState::Done
    );
}

#[tokio::test]
async fn a_deleted_session_is_left_and_the_key_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    home.say("one").await;
    let old: SessionId = home.row().await.id;
    let at = Timestamp::from_millis(2);
    home.store
        .commit(vec![Op::DeleteSession {
            id: old.clone(),
            at,
        }])
        .await
        .unwrap();
    home.sessions.refresh(&main_key()).await;
    // The order is taken before the next message: both go through the same inbox or a new one.
    while home.sessions.awake() > 0 {
        tokio::task::yield_now().await;
    }
    home.say("two").await;
    assert_ne!(home.row().await.id, old);
    assert_eq!(home.script.requests()[1].messages.len(), 1);
}

/// A memory file system of its own, gone with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "instar-test"])
            .arg(folder.path())
            .status();
        done.is_ok_and(|status| status.success())
            .then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        drop(umount.arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
async fn an_answer_that_finds_the_disk_full_is_stored_when_space_returns() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: no small file system can be mounted");
        return;
    };
    let home = home(&disk.0.path().join("state")).await;
    home.gate.forget_permits(1_000);
    let answer = "long ".repeat(600_000);
    home.script
        .then(Reply::Calls(vec![call("a", "look", 1)]))
        .says(&answer);
    let running = home.submit("go").await;
    let id = running.inbound.clone();
    let mut live = home.sessions.watch(&main_key()).await.unwrap();
    home.has_begun(1).await;
    let ballast = disk.0.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    home.gate.add_permits(1_000);
    let told = outcome(running).await;
    let error = told.error.as_ref().unwrap();
    assert!(error.message.contains("disk is full"), "{error:?}");
    let stored = home.store.inbound(&id).await.unwrap().unwrap();
    assert_eq!(stored.state, InboxState::Pending);
    std::fs::remove_file(&ballast).unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), live.recv())
            .await
            .unwrap()
            .unwrap();
        if let instar_protocol::live::LiveEvent::Done { outcome, .. } = &*event {
            assert_eq!(outcome.text, answer);
            break;
        }
    }
    let stored = home.store.inbound(&id).await.unwrap().unwrap();
    assert_eq!(stored.state, InboxState::Done);
    assert_eq!(home.script.calls(), 2, "the model is not asked again");
    assert_eq!(home.say("next").await.text, "echo next");
}
