//! Rollouts over the releases of a state folder: who is served what, what is recorded, which moves follow.

use instar_protocol::event::{Arm, Event, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::{EventId, Label, SessionId};
use instar_release::rollout::{
    Caps, EpisodeRules, Hold, Past, Plan, Reason, Rollout, RolloutError, Stage, recompute,
};
use instar_store::{CandidateState, Op, UnitRow};
use std::collections::{BTreeMap, HashSet};

use crate::traffic::{Dice, House, MINUTE, Rates, plan};

#[tokio::test]
async fn a_sound_candidate_becomes_stable_and_stays_so_after_a_restart() {
    let mut house = House::new().await;
    let before = house.stable();
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    assert_eq!(begun.view.stage, Stage::Canary { step: 0 });
    assert_eq!(house.stable(), before, "stable stays until the promotion");
    let even = Rates {
        stable: 0.02,
        canary: 0.02,
    };
    assert_eq!(house.traffic(even, 2_000).await, Some(Stage::Promoted));
    let after = house.stable();
    assert_eq!(after, begun.release);
    assert_eq!(house.state_of(&candidate).await, CandidateState::Promoted);
    let log = house.releases.log(Some("stable"), 10).await.unwrap();
    assert_eq!(log[0].to, after);
    assert_eq!(log[0].by, "the rollout");
    let house = house.again().await;
    assert_eq!(house.stable(), after);
    let sound = house
        .releases
        .verify(house.releases.signer().unwrap(), None, true, &[])
        .await;
    assert_eq!(sound.unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn where_nobody_says_a_word_a_candidate_is_held_and_the_log_says_the_same() {
    let mut house = House::new().await;
    house.speaks = false;
    let candidate = house.candidate("I am two.").await;
    let begun = house.start(&candidate, plan(0.5)).await.unwrap();
    let good = Rates {
        stable: 0.0,
        canary: 0.0,
    };
    assert_eq!(house.traffic(good, 700).await, None);
    let held = house.releases.rollout().unwrap();
    assert_eq!(held.view.hold, Some(Hold::Silence));
    assert_eq!(held.view.heard, (0, 0));
    assert!(held.view.evidence_sound >= held.view.sound_at);
    // A word about some of the next ones is enough, and whoever has the events knows of it.
    house.speaks = true;
    house.now += MINUTE * 60;
    let mut dice = Dice(3);
    for number in 0..60 {
        house.now += MINUTE;
        let session = format!("ses_heard_{number}");
        house.turn(&session, Some(good), &mut dice).await;
    }
    house.now += 41 * MINUTE;
    assert_eq!(house.settle().await.last(), Some(&Stage::Promoted));
    let events = house.events().await;
    let machine = Rollout::begin(begun.plan.clone()).unwrap();
    let again = recompute(&begun.id, machine, &events);
    assert_eq!(again.stage(), &Stage::Promoted);
}

#[tokio::test]
async fn a_bad_candidate_is_taken_back_by_itself_and_every_turn_is_stables_again() {
    let mut house = House::new().await;
    let before = house.stable();
    let candidate = house.candidate("I fail.").await;
    house.start(&candidate, plan(0.5)).await.unwrap();
    let bad = Rates {
        stable: 0.02,
        canary: 0.4,
    };
    let worse = Stage::RolledBack { why: Reason::Worse };
    assert_eq!(house.traffic(bad, 2_000).await, Some(worse.clone()));
    assert_eq!(house.stable(), before);
    assert_eq!(house.state_of(&candidate).await, CandidateState::RolledBack);
    let mut dice = Dice(1);
    for number in 0..40 {
        let arm = house.turn(&format!("ses_{number}"), None, &mut dice).await;
        assert_eq!(arm, Arm::Stable);
    }
    let shown = house.releases.rollouts(10).await.unwrap();
    assert_eq!(shown[0].view.stage, worse);
    assert!(shown[0].view.evidence_worse >= shown[0].view.worse_at);
    // The same behaviour against the same stable release is not tried again.
    let again = house.candidate("I fail.").await;
    let refused = house.start(&again, plan(0.5)).await.unwrap_err();
    assert!(matches!(
        refused,
        RolloutError::Settled(..) | RolloutError::TakenBack(..)
    ));
}

#[tokio::test]
async fn an_episode_keeps_its_arm_and_its_record_comes_before_its_first_turn() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let rollout = house.start(&candidate, plan(0.5)).await.unwrap().id;
    let mut dice = Dice(1);
    let mut arms = BTreeMap::new();
    for number in 0..40 {
        let session = format!("ses_{number}");
        arms.insert(session.clone(), house.turn(&session, None, &mut dice).await);
    }
    let canaries = arms.values().filter(|arm| **arm == Arm::Canary).count();
    assert!((8..=32).contains(&canaries), "{canaries}");
    let recorded: BTreeMap<String, Arm> = open(&house, &rollout).await;
    assert_eq!(recorded, arms);
    let mut first = BTreeMap::new();
    for event in house.events().await {
        let name = event.kind.name();
        if let Some(session) = event.session {
            first.entry(session.to_string()).or_insert(name);
        }
    }
    assert!(first.values().all(|name| *name == "episode"), "{first:?}");

    // Neither a pause nor a restart moves anybody, and new conversations go to stable meanwhile.
    house.now += 5 * MINUTE;
    house
        .releases
        .pause_rollout(true, house.now())
        .await
        .unwrap();
    let mut house = house.again().await;
    assert!(house.releases.rollout().unwrap().view.is_paused);
    for (session, arm) in &arms {
        assert_eq!(house.turn(session, None, &mut dice).await, *arm);
    }
    for number in 100..120 {
        let arm = house.turn(&format!("ses_{number}"), None, &mut dice).await;
        assert_eq!(arm, Arm::Stable);
    }
    house
        .releases
        .pause_rollout(false, house.now())
        .await
        .unwrap();
    // After a silence it is another episode, with a coin of its own.
    house.now += 31 * MINUTE;
    let mut moved = 0;
    for (session, arm) in &arms {
        moved += u32::from(house.turn(session, None, &mut dice).await != *arm);
    }
    assert!(moved > 5, "{moved}");
}

async fn open(house: &House, rollout: &str) -> BTreeMap<String, Arm> {
    let units: Vec<UnitRow> = house.store.units(rollout, false, 1_000).await.unwrap();
    units
        .into_iter()
        .map(|unit| (unit.session.to_string(), unit.arm))
        .collect()
}

#[tokio::test]
async fn what_is_served_is_what_was_recorded_for_episodes_of_one_turn_too() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let mut short = plan(0.5);
    short.episode.turns_max = 1;
    let rollout = house.start(&candidate, short).await.unwrap().id;
    let mut dice = Dice(1);
    for number in 0..40 {
        house.now += 1_000;
        let served = house.turn("ses_1", None, &mut dice).await;
        let units = house.store.units(&rollout, false, 1_000).await.unwrap();
        assert_eq!(units.len(), number + 1, "each turn is an episode");
        assert_eq!(units.last().unwrap().arm, served);
    }
}

#[tokio::test]
async fn twenty_turns_end_an_episode_and_a_bad_word_that_comes_later_still_counts() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let rollout = house.start(&candidate, plan(0.5)).await.unwrap().id;
    let mut dice = Dice(1);
    for _ in 0..21 {
        house.now += 1_000;
        house.turn("ses_1", None, &mut dice).await;
    }
    let events = house.events().await;
    let run = events
        .iter()
        .find(|event| event.kind.name() == "turn")
        .and_then(|event| event.run.clone());
    house.now += 5 * MINUTE;
    let bad_word = Event {
        session: Some(SessionId::from_stored("ses_1")),
        label: Label::owner(),
        ..Event::of_house(
            EventId::new(house.now(), house.random()),
            house.now(),
            EventKind::Feedback {
                run: run.unwrap(),
                verdict: FeedbackVerdict::Bad,
                content: None,
            },
        )
    };
    house
        .store
        .commit(vec![Op::AppendEvent(bad_word)])
        .await
        .unwrap();
    house.settle().await;
    assert_eq!(
        house.releases.rollout().unwrap().view.settled,
        0,
        "not ripe"
    );
    house.now += 6 * MINUTE;
    house.settle().await;
    let settled = house.store.units(&rollout, true, 10).await.unwrap();
    assert_eq!(settled.len(), 1, "the second episode goes on");
    let bad: BTreeMap<String, Option<f64>> =
        serde_json::from_str(settled[0].bad.as_deref().unwrap()).unwrap();
    assert_eq!(bad["task"], Some(1.0));
    assert_eq!(bad["questions"], Some(0.0));
}

#[tokio::test]
async fn whoever_has_the_events_works_out_the_same_state() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let shares = Plan::over(&[0.3, 0.5], 20, Caps::default());
    let begun = house.start(&candidate, shares.clone()).await.unwrap();
    let rates = Rates {
        stable: 0.1,
        canary: 0.15,
    };
    house.traffic(rates, 100).await;
    let house = house.again().await;
    let shown = house.releases.rollout().unwrap();
    assert_eq!(shown.view.settled, 100);
    assert_eq!(shown.view.stage, Stage::Canary { step: 1 });
    let machine = Rollout::begin(shares).unwrap();
    let again = recompute(&begun.id, machine, &house.events().await);
    assert_eq!(again.view(), shown.view);
}

#[test]
fn the_plan_says_how_long_it_takes_and_skips_what_never_decides() {
    let mut plan = Plan::over(&[0.01, 0.05, 0.5], 20, Caps::default());
    let skipped = plan.skip_idle_steps(0.05);
    assert_eq!(skipped.len(), 2);
    assert_eq!(plan.steps.len(), 1);
    plan.episode = EpisodeRules::default();
    let forecast = plan.forecast(0.05, 10.0);
    let units = forecast.steps[0].units.unwrap();
    assert!((400.0..800.0).contains(&units), "{units}");
    let lines = forecast.lines();
    assert!(lines[0].starts_with("at your 10 episodes a day a share of 50 %"));
    let busy = plan.forecast(0.05, 1e4).lines();
    assert!(busy[0].contains("needs about a day ("), "{busy:?}");
    let hours = Past {
        episodes: 30,
        bad: 1,
        days: 0.1,
    };
    assert_eq!(
        hours.per_day().to_bits(),
        0.0_f64.to_bits(),
        "two hours are no day"
    );
    let unknown = plan.forecast(hours.base(), hours.per_day()).lines();
    assert!(!unknown[0].contains("a day"), "{unknown:?}");
}

#[tokio::test]
async fn an_episode_of_the_candidate_s_is_judged_only_when_all_of_it_was_looked_at() {
    let house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let rollout = house.start(&candidate, at_once()).await.unwrap().id;
    let mut dice = Dice(1);
    for number in 0..12 {
        house.turn(&format!("ses_{number}"), None, &mut dice).await;
    }
    let none = HashSet::new();
    // Whoever looks now does not see the end of any of them.
    assert!(
        house
            .releases
            .canary_episodes()
            .iter()
            .all(|one| one.until.is_none())
    );
    house.releases.close_due(house.now()).await.unwrap();
    let waiting = house.releases.canary_episodes();
    assert!(waiting.len() > 2 && waiting.iter().all(|one| one.until.is_some()));
    house.judge(&none).await;
    let judged = |house: &House| {
        let (store, rollout) = (house.store.clone(), rollout.clone());
        async move { store.units(&rollout, true, 100).await.unwrap() }
    };
    let units = judged(&house).await;
    assert_eq!(units.len(), 12 - waiting.len());
    assert!(
        units.iter().all(|unit| unit.arm == Arm::Stable),
        "{units:?}"
    );
    // After a restart they wait as before.
    let mut house = house.again().await;
    house.now += MINUTE;
    house.judge(&none).await;
    assert_eq!(house.releases.canary_episodes().len(), waiting.len());
    let first = HashSet::from([waiting[0].unit.clone()]);
    house.judge(&first).await;
    let left = house.releases.canary_episodes();
    assert_eq!(left.len(), waiting.len() - 1);
    assert!(left.iter().all(|one| one.unit != waiting[0].unit));
    house
        .judge(&left.into_iter().map(|one| one.unit).collect())
        .await;
    assert_eq!(judged(&house).await.len(), 12);
}

/// Episodes of one turn, judged as soon as they ended.
fn at_once() -> Plan {
    let mut plan = plan(0.5);
    plan.episode.turns_max = 1;
    plan.episode.maturity_millis = 0;
    plan
}

#[tokio::test]
async fn the_last_turn_of_a_full_episode_counts_where_the_next_one_comes_at_once_too() {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let rollout = house.start(&candidate, at_once()).await.unwrap().id;
    for _ in 0..2 {
        let served = house.begin("ses_1").await;
        house.now += 500;
        house.end("ses_1", &served, TurnOutcome::Failed).await;
    }
    house.now += MINUTE;
    house.settle().await;
    let units = house.store.units(&rollout, true, 10).await.unwrap();
    assert_eq!(units.len(), 2);
    for unit in units {
        let bad = unit.bad.unwrap();
        assert!(bad.contains("\"task\":1.0"), "{bad}");
    }
}
