//! The gene against a fault of certain hours, all the way.

use crate::genes::random;
use crate::support::{Fault, Home, Reply, config, home_with};
use instar_improve::gene::{Catalogue, Clock, Pages, Symptom};
use instar_protocol::beats::Beats;
use instar_protocol::fault::SignalKind;
use instar_protocol::{Clock as _, Timestamp};
use instar_store::EventFilter;
use serde_json::json;
use std::time::Duration;

/// A tool that fails in certain hours: the gene takes the heartbeat out of them, and the agent is woken only
/// when the tool is well.
#[tokio::test]
async fn a_heartbeat_leaves_the_hours_in_which_it_fails() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let folder = tempfile::tempdir().unwrap();
    let settings =
        json!({"agents": {"defaults": {"heartbeat": {"every": "1h"}, "userTimezone": "UTC"}}});
    let home = home_with(folder.path(), config(settings)).await;
    home.sessions.recover().await.unwrap();
    let mut beats = home.sessions.watch_beats();
    // The agent is counted from the first look at the clock on.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let hour_of = |home: &Home| home.clock.now().millis() / 3_600_000 % 24;
    let fails = |hour: u64| (2..5).contains(&hour);
    let mut failed = Vec::new();
    // The hours of one night, acted out; each beat calls the tool.
    for _ in 0..6 {
        home.clock.advance(HOUR);
        let hour = hour_of(&home);
        home.search.lock().unwrap().always = fails(hour).then_some(Fault::Fails);
        home.script
            .then(Reply::named("search", json!({"query": "tides"})))
            .says("HEARTBEAT_OK");
        let beat = tokio::time::timeout(Duration::from_secs(60), beats.recv());
        let _beat = beat.await.expect("no heartbeat came").unwrap();
        if errors(&home).await > failed.len() {
            failed.push(hour);
        }
    }
    assert_eq!(failed, [2, 3, 4]);

    // What the gateway would have counted of a week of such nights.
    let (mut all, mut bad) = (Beats::default(), Beats::default());
    for hour in 0..7 * 24 {
        let (of_day, at) = (hour % 24, Timestamp::from_millis(hour * 3_600_000));
        let of_hour = u8::try_from(of_day).unwrap();
        all.take(of_hour, at);
        if failed.contains(&of_day) {
            bad.take(of_hour, at);
        }
    }
    let symptom = Symptom {
        fault: "planted".to_owned(),
        kind: SignalKind::ToolError,
        also: std::collections::BTreeSet::new(),
        place: "tool:search".to_owned(),
        detail: String::new(),
        text: "the search failed".to_owned(),
        is_outside: false,
        environment: String::new(),
        clock: Clock { failed: bad, all },
        pages: Pages::default(),
        notes: Vec::new(),
    };
    let stable = home.releases.stable().unwrap();
    let catalogue = Catalogue::built_in().unwrap();
    let told = catalogue
        .propose(&symptom, "main", &stable.behaviour)
        .unwrap();
    let found = told
        .into_iter()
        .find(|(gene, _)| gene.id == "move-heartbeat");
    let delta = found.unwrap().1.unwrap().delta().unwrap();
    let behaviour = instar_release::build(&stable.behaviour, &[delta]).unwrap();
    let moved = behaviour.agents["main"].heartbeat.clone().unwrap();
    let hours = moved.hours.unwrap();
    assert_eq!((hours.from, hours.until), (5 * 60, 2 * 60));
    let now = home.clock.now();
    home.releases
        .adopt(behaviour, "gene", "moved", now, random())
        .await
        .unwrap();

    // The next night: it is woken in none of the hours in which the tool fails, and in the first one after.
    while hour_of(&home) != 1 {
        home.clock.advance(HOUR);
    }
    let looked_at = Duration::from_millis(1_500);
    tokio::time::sleep(looked_at).await;
    let calls = home.script.calls();
    home.search.lock().unwrap().always = Some(Fault::Fails);
    for _ in 0..3 {
        home.clock.advance(HOUR);
        tokio::time::sleep(looked_at).await;
    }
    assert_eq!(
        home.script.calls(),
        calls,
        "it was woken while the tool failed"
    );
    home.search.lock().unwrap().always = None;
    home.script
        .then(Reply::named("search", json!({"query": "tides"})))
        .says("HEARTBEAT_OK");
    home.clock.advance(HOUR);
    let beat = tokio::time::timeout(Duration::from_secs(60), beats.recv());
    let _beat = beat.await.expect("no heartbeat came").unwrap();
    assert_eq!((hour_of(&home), errors(&home).await), (5, 3));
}

/// Calls that failed so far.
async fn errors(home: &Home) -> usize {
    let filter = EventFilter {
        kind: Some("tool_call".to_owned()),
        limit: 1_000,
        ..EventFilter::default()
    };
    let events = home.store.events(filter).await.unwrap();
    let is_error = |event: &&instar_protocol::event::Event| {
        matches!(
            event.kind,
            instar_protocol::event::EventKind::ToolCall { is_error: true, .. }
        )
    };
    events.iter().filter(is_error).count()
}
