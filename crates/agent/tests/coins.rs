//! The arm of a unit that lasts longer than a turn: fixed by its first turn, whatever comes in between.

use crate::mending::{mitigate, on_trial};
use crate::support::{Home, Reply, Script, config, home, home_at};
use instar_agent::{Thrown, ThrownTurn, TrialsPort};
use instar_protocol::event::EventKind;
use instar_release::mitigation::{Act, Lesson};
use instar_store::EventFilter;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The share that is in force.
#[derive(Debug)]
struct Share(AtomicU16);

impl TrialsPort for Share {
    fn share_permille(&self, _experiment: &str) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed))
    }
}

fn lesson() -> Act {
    Act::Lesson(Lesson::NotTwiceTheSame {
        tool: "search".to_owned(),
    })
}

fn pace() -> Act {
    Act::Pace {
        tool: "search".to_owned(),
        per_minute: 500,
    }
}

/// What was noted in the turns so far, and what a start would be told of it.
async fn thrown(home: &Home) -> (Vec<(String, bool, u16)>, Thrown) {
    let filter = EventFilter {
        kind: Some("exposure".to_owned()),
        limit: 1_000,
        ..EventFilter::default()
    };
    let mut events = home.store.events(filter).await.unwrap();
    events.reverse();
    let told = events.iter().filter_map(|event| match &event.kind {
        EventKind::Exposure {
            unit,
            with_fix,
            share_permille,
            ..
        } => Some((unit.clone(), *with_fix, *share_permille)),
        _ => None,
    });
    let turns = events.iter().filter_map(ThrownTurn::of).collect();
    let key = Some([9; 32]);
    (told.collect(), Thrown { key, turns })
}

async fn turn(home: &Home) {
    home.script
        .then(Reply::named("search", json!({"query": "x"})))
        .says("done");
    home.say("search").await;
}

async fn again(folder: &Path, home: Home, share: &Arc<Share>, act: Act) -> Home {
    let (clock, (_, past)) = (home.clock.clone(), thrown(&home).await);
    clock.advance(Duration::from_secs(60));
    home.store.close().await.unwrap();
    drop(home);
    let script = Arc::new(Script::default());
    let home = home_at(folder, config(json!({})), clock, script).await;
    home.sessions.judge_trials(share.clone(), past);
    mitigate(&home, vec![on_trial("fix", act, 500)]).await;
    home
}

#[tokio::test]
async fn a_unit_has_the_arm_of_its_first_turn_whatever_the_share_is_later_and_over_a_restart() {
    for act in [lesson(), pace()] {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path()).await;
        // The first five minutes of a block are left out; the next twenty are not.
        let into_block = instar_protocol::Clock::now(&home.clock).millis() / 60_000 % 30;
        home.clock
            .advance(Duration::from_secs(60 * ((30 + 6 - into_block) % 30)));
        let share = Arc::new(Share(AtomicU16::new(500)));
        home.sessions.judge_trials(share.clone(), Thrown::default());
        mitigate(&home, vec![on_trial("fix", act.clone(), 500)]).await;
        turn(&home).await;
        let first = thrown(&home).await.0[0].clone();
        assert_eq!(first.2, 500);
        // A share by which the unit would most likely be on the other arm.
        let other = if first.1 { 1 } else { 999 };
        share.0.store(other, Ordering::Relaxed);
        turn(&home).await;
        let home = again(folder.path(), home, &share, act.clone()).await;
        turn(&home).await;
        let (told, _) = thrown(&home).await;
        assert_eq!(told, vec![first.clone(); 3], "{act:?}");

        // The next unit has the share of now.
        home.clock.advance(Duration::from_secs(37 * 60));
        turn(&home).await;
        let (told, _) = thrown(&home).await;
        assert_ne!(told[3].0, first.0, "{act:?}");
        assert_eq!(told[3].2, other, "{act:?}");

        // Taken back, it acts for nobody, whatever the coin said before.
        share.0.store(0, Ordering::Relaxed);
        turn(&home).await;
        assert_eq!(thrown(&home).await.0.len(), 4, "{act:?}");
    }
}

#[tokio::test]
async fn an_episode_that_a_restart_cuts_in_two_is_over_after_its_twenty_turns() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path()).await;
    let share = Arc::new(Share(AtomicU16::new(500)));
    home.sessions.judge_trials(share.clone(), Thrown::default());
    // Two of them look at each turn, and it is one turn all the same.
    let both = vec![
        on_trial("fix", lesson(), 500),
        on_trial("other", lesson(), 500),
    ];
    mitigate(&home, both).await;
    for _ in 0..12 {
        turn(&home).await;
        home.clock.advance(Duration::from_secs(60));
    }
    let home = again(folder.path(), home, &share, lesson()).await;
    for _ in 0..9 {
        turn(&home).await;
        home.clock.advance(Duration::from_secs(60));
    }
    let (told, _) = thrown(&home).await;
    let first = &told[0].0;
    let of_first = told.iter().filter(|(unit, ..)| unit == first).count();
    assert_eq!((told.len(), of_first), (24 + 9, 24 + 8));
    assert_ne!(&told[32].0, first);
}
