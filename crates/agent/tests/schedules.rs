//! Schedules: run in time, once, anew each time, and with no more rights than a run that nobody asked for.

use instar_agent::RunError;
use instar_protocol::heartbeat::BeatEnd;
use instar_protocol::schedule::{ScheduleRun, ScheduleShown};
use instar_protocol::{AgentId, Clock as _};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Home, Reply, Script, config, home_at, home_with, last_text};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn with(schedules: &Value, cron: &Value) -> instar_agent::Config {
    let defaults = json!({ "schedules": schedules, "userTimezone": "UTC" });
    let policy = json!({ "posture": "balanced", "askWaitSeconds": 0 });
    config(json!({ "agents": { "defaults": defaults }, "policy": policy, "cron": cron }))
}

async fn house(folder: &Path, schedules: Value) -> Home {
    let home = home_with(folder, with(&schedules, &json!({}))).await;
    home.sessions.recover().await.unwrap();
    shown(&home, |one| one.since.is_some()).await;
    home
}

/// Looks again and again until something is there.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first schedule, once it is as it should be.
async fn shown(home: &Home, is: impl Fn(&ScheduleShown) -> bool) -> ScheduleShown {
    until("a schedule", async || {
        let all = home.sessions.schedules().schedules;
        all.into_iter().next().filter(|one| is(one))
    })
    .await
}

/// All runs, the oldest first, once so many of them are over.
async fn over(home: &Home, count: usize) -> Vec<ScheduleRun> {
    until("a run", async || {
        let mut runs = home.sessions.schedule_runs().await.unwrap();
        runs.reverse();
        let ended = runs.iter().filter(|run| run.end.is_some()).count();
        (ended >= count).then_some(runs)
    })
    .await
}

fn reason(run: &ScheduleRun) -> &str {
    match &run.end {
        Some(BeatEnd::Skipped { reason } | BeatEnd::Failed { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Ends the process in the middle of whatever it does, and starts another over the same state.
async fn killed_and_again(
    home: Home,
    folder: &Path,
    config: instar_agent::Config,
    off: Duration,
) -> Home {
    home.store.close().await.unwrap();
    let clock = home.clock.clone();
    drop(home);
    clock.advance(off);
    let home = home_at(folder, config, clock, Arc::new(Script::default())).await;
    home.sessions.recover().await.unwrap();
    home
}

#[tokio::test]
async fn a_schedule_runs_in_time_anew_each_time_and_what_it_says_lies_in_the_inbox() {
    let folder = tempfile::tempdir().unwrap();
    let schedules = json!({ "pills": { "cron": "0 8 * * *", "prompt": "Remind of the pills." } });
    let home = house(folder.path(), schedules).await;
    let first = shown(&home, |one| one.next.len() == 3).await;
    assert_eq!(first.when, "cron 0 8 * * *");
    let start = home.clock.now();
    assert_eq!(first.next[0].since(start), 8 * HOUR);
    home.script
        .says("Take them.")
        .says("Take them.")
        .says("NO_REPLY");
    for day in 1..=3 {
        home.clock
            .advance(if day == 1 { 8 * HOUR } else { 24 * HOUR });
        over(&home, day).await;
    }
    let runs = over(&home, 3).await;
    assert_eq!(runs.len(), 3);
    // A reminder is left every time, though it says the same.
    assert!(
        matches!(runs[0].end, Some(BeatEnd::Told { .. })),
        "{runs:#?}"
    );
    assert!(
        matches!(runs[1].end, Some(BeatEnd::Told { .. })),
        "{runs:#?}"
    );
    assert_eq!(runs[2].end, Some(BeatEnd::Quiet));
    assert_eq!((runs[0].due, runs[0].by_hand), (first.next[0], false));
    let open = home.sessions.letters().open().await.unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!(open[0].key.as_str(), "agent:main:cron:pills");
    for request in &home.script.requests() {
        let system: Vec<&str> = request
            .system
            .iter()
            .map(|part| part.text.as_str())
            .collect();
        let system = system.join("\n");
        assert!(
            system.contains("at a time that was said beforehand"),
            "{system}"
        );
        assert!(system.ends_with("Remind of the pills."), "{system}");
        // Nothing of the run before is seen.
        assert_eq!(request.messages.len(), 1, "{request:#?}");
        assert!(last_text(request).contains("It is time for pills."));
    }
    home.say("hello").await;
    let last = home.script.requests().pop().unwrap();
    let system = last.system.iter().map(|part| part.text.as_str());
    assert!(!system.collect::<String>().contains("Remind of the pills."));
}

#[tokio::test]
async fn a_run_has_no_plan_so_that_its_effects_ask() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(
        folder.path(),
        json!({ "post": { "every": "1h", "prompt": "Post." } }),
    )
    .await;
    let boo = json!({ "to": "bob@example.com", "text": "boo" });
    home.script.then(Reply::named("post", boo)).says("NO_REPLY");
    home.clock.advance(HOUR);
    assert_eq!(over(&home, 1).await[0].end, Some(BeatEnd::Quiet));
    assert!(home.sent.lock().unwrap().is_empty(), "it was sent unasked");
    let open = home.sessions.asking().open().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].call.name, "post");
}

#[tokio::test]
async fn what_is_due_while_it_is_under_way_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = house(
        folder.path(),
        json!({ "slow": { "every": "1h", "prompt": "Look." } }),
    )
    .await;
    let main = AgentId::main();
    home.script.then(Reply::Silent);
    let by_hand = home.sessions.run_schedule(&main, "slow").unwrap();
    until("the call", async || {
        (home.script.calls() == 1).then_some(())
    })
    .await;
    let again = home.sessions.run_schedule(&main, "slow").unwrap_err();
    assert!(matches!(again, RunError::UnderWay(_)), "{again}");
    let unknown = home.sessions.run_schedule(&main, "none").unwrap_err();
    assert!(matches!(unknown, RunError::Unknown(..)), "{unknown}");
    home.clock.advance(HOUR);
    let runs = over(&home, 1).await;
    assert_eq!(reason(&runs[1]), "the one before is still under way");
    // What is under way is what is told of it, until it is over.
    let last = shown(&home, |one| one.last.is_some()).await.last.unwrap();
    assert_eq!((&last.id, last.end.is_none()), (&by_hand.id, true));
    let key = instar_protocol::SessionKey::under(&main, &["cron", "slow"]).unwrap();
    assert!(home.sessions.stop(&key).await);
    let runs = over(&home, 2).await;
    assert_eq!(reason(&runs[0]), "it was stopped");
    assert_eq!(home.script.calls(), 1);
}

#[tokio::test]
async fn a_run_that_a_crash_cut_short_is_told_of_and_not_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let schedules = json!({ "daily": { "cron": "0 8 * * *", "prompt": "Look." } });
    let home = house(folder.path(), schedules.clone()).await;
    home.script.then(Reply::Silent);
    home.clock.advance(8 * HOUR);
    until("the call", async || {
        (home.script.calls() == 1).then_some(())
    })
    .await;
    let config = || with(&schedules, &json!({}));
    let home = killed_and_again(home, folder.path(), config(), HOUR).await;
    let runs = over(&home, 1).await;
    assert_eq!(reason(&runs[0]), "the gateway stopped before it was over");
    let last = shown(&home, |one| {
        one.last.as_ref().is_some_and(|run| run.end.is_some())
    })
    .await;
    assert_eq!(last.last.unwrap().id, runs[0].id);
    // A day passes in which it is off: the time of that day is made up for, once.
    home.script.says("NO_REPLY");
    let home = killed_and_again(home, folder.path(), config(), 24 * HOUR).await;
    let runs = over(&home, 2).await;
    assert_eq!(runs.len(), 2);
    assert!(
        runs[1]
            .end
            .as_ref()
            .is_some_and(|end| !matches!(end, BeatEnd::Failed { .. }))
    );
    assert_eq!(home.script.calls(), 1);
    let skips = with(&schedules, &json!({ "skipMissedJobs": true }));
    let home = killed_and_again(home, folder.path(), skips, 24 * HOUR).await;
    let runs = over(&home, 3).await;
    assert_eq!(reason(&runs[2]), "it was due while the gateway did not run");
    assert_eq!(home.script.calls(), 0);
    // Nothing comes while they are switched off.
    let off = with(&schedules, &json!({ "enabled": false }));
    let home = killed_and_again(home, folder.path(), off, 24 * HOUR).await;
    assert!(!home.sessions.schedules().enabled);
    home.sessions
        .run_schedule(&AgentId::main(), "daily")
        .unwrap();
    assert_eq!(over(&home, 4).await.len(), 4, "but by hand");
}
