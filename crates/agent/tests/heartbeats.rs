//! Heartbeats: in time, anew each time, with no more rights than a run that nobody asked for.

use instar_agent::WakeError;
use instar_protocol::heartbeat::{Beat, BeatEnd};
use instar_protocol::letter::LetterKind;
use instar_protocol::model::ModelRequest;
use instar_protocol::{AgentId, SessionKey};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

use crate::support::{Home, Reply, config, home_with, last_text};

const PATIENCE: Duration = Duration::from_secs(60);

async fn house(folder: &Path, heartbeat: Value) -> Home {
    let defaults = json!({ "heartbeat": heartbeat });
    let policy = json!({ "posture": "balanced", "askWaitSeconds": 0 });
    let config = config(json!({ "agents": { "defaults": defaults }, "policy": policy }));
    let home = home_with(folder, config).await;
    home.sessions.recover().await.unwrap();
    home
}

async fn next(beats: &mut Receiver<Arc<Beat>>) -> BeatEnd {
    let beat = tokio::time::timeout(PATIENCE, beats.recv()).await;
    beat.expect("no heartbeat came").unwrap().end.clone()
}

/// Lets the clock be looked at before it goes on, and a minute of beats pass.
async fn pass(home: &Home, minutes: u64) {
    home.clock.advance(Duration::from_secs(60 * minutes));
}

/// The agent is counted from the first look at the clock on.
async fn settle(home: &Home) {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(home.script.calls(), 0, "a start woke the agent");
}

fn system(request: &ModelRequest) -> String {
    let texts: Vec<&str> = request
        .system
        .iter()
        .map(|part| part.text.as_str())
        .collect();
    texts.join("\n")
}

#[tokio::test]
async fn a_beat_comes_in_time_and_what_is_worth_telling_is_left_in_the_inbox_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(
        folder.path(),
        json!({ "every": "30m", "prompt": "Mind the disk." }),
    )
    .await;
    let mut beats = home.sessions.watch_beats();
    settle(&home).await;
    home.script
        .says("The disk is full.")
        .says("The disk is full.")
        .says("NO_REPLY")
        .says("HEARTBEAT_OK");
    pass(&home, 30).await;
    let BeatEnd::Told { letter, text } = next(&mut beats).await else {
        panic!("it told nothing");
    };
    assert_eq!(text, "The disk is full.");
    pass(&home, 30).await;
    assert_eq!(next(&mut beats).await, BeatEnd::Repeated);
    for _ in 0..2 {
        pass(&home, 30).await;
        assert_eq!(next(&mut beats).await, BeatEnd::Quiet);
    }
    let open = home.sessions.letters().open().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0].id, open[0].kind), (&letter, LetterKind::Message));
    assert_eq!(open[0].key.as_str(), "agent:main:heartbeat");
    let requests = home.script.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert!(system(request).contains("The clock woke you"));
        assert!(system(request).ends_with("Mind the disk."));
        // Nothing of the beat before is seen.
        assert_eq!(request.messages.len(), 1, "{request:#?}");
    }
    // A message of the owner's is no heartbeat.
    home.say("hello").await;
    let last = home.script.requests().pop().unwrap();
    assert!(!system(&last).contains("Mind the disk."));
}

#[tokio::test]
async fn a_beat_has_no_plan_so_that_its_effects_ask() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(folder.path(), json!({ "every": "1h" })).await;
    let mut beats = home.sessions.watch_beats();
    settle(&home).await;
    let boo = json!({ "to": "bob@example.com", "text": "boo" });
    home.script.then(Reply::named("post", boo)).says("NO_REPLY");
    pass(&home, 60).await;
    assert_eq!(next(&mut beats).await, BeatEnd::Quiet);
    assert!(home.sent.lock().unwrap().is_empty(), "it was sent unasked");
    let open = home.sessions.asking().open().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].call.name, "post");
}

#[tokio::test]
async fn outside_its_hours_and_while_it_is_off_nobody_is_woken_but_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    // The clock of the tests starts at midnight.
    let hours = json!({ "start": "06:00", "end": "07:00" });
    let home = house(
        folder.path(),
        json!({ "every": "1h", "activeHours": hours }),
    )
    .await;
    let main = AgentId::main();
    let mut beats = home.sessions.watch_beats();
    settle(&home).await;
    for _ in 0..2 {
        pass(&home, 60).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    assert_eq!(home.script.calls(), 0, "it was woken at night");
    home.script.says("HEARTBEAT_OK").says("HEARTBEAT_OK");
    home.sessions
        .wake_agent(&main, "the door rang", false)
        .unwrap();
    assert_eq!(home.script.calls(), 0);
    home.sessions.wake_agent(&main, "", true).unwrap();
    assert_eq!(next(&mut beats).await, BeatEnd::Quiet);
    let first = home.script.requests().pop().unwrap();
    assert!(last_text(&first).contains("You were woken with: the door rang"));
    home.sessions.set_beating(false);
    pass(&home, 4 * 60).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(home.script.calls(), 1, "it was off");
    home.sessions.set_beating(true);
    let stranger = AgentId::parse("nobody").unwrap();
    let unknown = home.sessions.wake_agent(&stranger, "x", true).unwrap_err();
    assert!(matches!(unknown, WakeError::UnknownAgent(_)), "{unknown}");
    let long = "x".repeat(4_001);
    let long = home.sessions.wake_agent(&main, &long, true).unwrap_err();
    assert!(matches!(long, WakeError::Long), "{long}");
    let key = SessionKey::under(&main, &["heartbeat"]).unwrap();
    let row = home.store.session_by_key(&key).await.unwrap().unwrap();
    assert!(row.deleted_at.is_none());
}
