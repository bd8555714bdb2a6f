//! What follows a promotion, what waits for the owner, the alarm of both arms, and metrics that are judged early.

use instar_protocol::event::EventKind;
use instar_release::evidence::{Arm, Pair};
use instar_release::gate::Step as Far;
use instar_release::rollout::{
    Caps, Fast, Hold, Metric, Part, Plan, PlanError, Reason, Rollout, Settled, Shadow, Stage,
    WatchPlan,
};
use instar_store::CandidateState;
use std::collections::{BTreeMap, BTreeSet};

use crate::traffic::{Dice, House, MINUTE, Rates, plan as house_plan};

const TASK: &str = "task";
const QUICK: &str = "latency";

fn plan(units: u64) -> Plan {
    let metric = |weight| Metric {
        weight,
        margin: 0.1,
        required: true,
    };
    Plan {
        watch: Some(WatchPlan {
            units,
            held_out: 0.2,
        }),
        metrics: BTreeMap::from([(TASK.to_owned(), metric(1.0))]),
        ..Plan::over(&[0.5], 20, Caps::default())
    }
}

/// So many of a hundred episodes are bad, on the new arm and on the old one.
struct World {
    next: u64,
    new: u64,
    old: u64,
}

impl World {
    fn unit(&mut self, share: f64) -> Settled {
        self.next += 1;
        let mixed = self
            .next
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let coin = f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        let arm = if coin < share { Arm::New } else { Arm::Old };
        let percent = if arm == Arm::New { self.new } else { self.old };
        let bad = f64::from(u8::from((mixed & 0xffff) % 100 < percent));
        Settled {
            unit: format!("episode-{}", self.next),
            arm,
            share,
            bad: BTreeMap::from([(TASK.to_owned(), Some(bad))]),
            is_heard: true,
        }
    }

    fn run(&mut self, rollout: &mut Rollout, most: u64, until: impl Fn(&Rollout) -> bool) -> u64 {
        for units in 1..=most {
            let settled = self.unit(rollout.share());
            let _moved = rollout.settle(&settled);
            if until(rollout) {
                return units;
            }
        }
        most
    }
}

fn promoted(units: u64) -> (Rollout, World) {
    let mut rollout = Rollout::begin(plan(units)).unwrap();
    let mut world = World {
        next: 0,
        new: 3,
        old: 3,
    };
    let _units = world.run(&mut rollout, 5_000, |now| !now.is_open());
    assert_eq!(rollout.stage(), &Stage::Promoted);
    (rollout, world)
}

#[test]
fn a_sound_release_is_watched_to_the_end_and_stays() {
    let (mut rollout, mut world) = promoted(500);
    assert!(!rollout.is_open() && rollout.is_live() && rollout.is_watching());
    assert!((rollout.share() - 0.8).abs() < 1e-9, "{}", rollout.share());
    let units = world.run(&mut rollout, 2_000, |now| !now.is_live());
    assert_eq!(units, 500);
    assert_eq!(rollout.stage(), &Stage::Promoted);
    assert!((rollout.share() - 1.0).abs() < 1e-9);
    assert_eq!(rollout.settle(&world.unit(0.5)), None);
}

#[test]
fn one_that_becomes_worse_after_its_promotion_is_taken_back_by_the_same_test() {
    let (mut rollout, mut world) = promoted(2_000);
    world.new = 40;
    let units = world.run(&mut rollout, 2_000, |now| !now.is_live());
    assert_eq!(rollout.stage(), &Stage::RolledBack { why: Reason::Later });
    assert!(units < 600, "{units}");
    // The owner's own word is not watched.
    let mut owners = Rollout::begin(plan(500)).unwrap();
    assert_eq!(owners.promote(), Some(&Stage::Promoted));
    assert!(!owners.is_live());
}

#[test]
fn few_sound_releases_are_taken_back_by_the_watch() {
    let mut taken = 0;
    for number in 0..200 {
        let (mut rollout, mut world) = promoted(100);
        world.next = 10_000 * (number + 1);
        (world.new, world.old) = (10, 10);
        let _units = world.run(&mut rollout, 100, |now| !now.is_live());
        taken += u32::from(*rollout.stage() != Stage::Promoted);
    }
    assert!(taken <= 10, "{taken} of 200");
}

#[test]
fn both_arms_together_raise_an_alarm_that_holds_and_takes_nothing_back() {
    let objective = Some(0.05);
    let mut rollout = Rollout::begin(Plan {
        objective,
        ..plan(100)
    })
    .unwrap();
    let mut world = World {
        next: 0,
        new: 30,
        old: 30,
    };
    let units = world.run(&mut rollout, 1_900, Rollout::is_alarmed);
    assert!(units < 100, "{units}");
    assert_eq!(rollout.hold(), Some(Hold::Alarm));
    let _units = world.run(&mut rollout, 1_000, |now| !now.is_open());
    assert_eq!(rollout.stage(), &Stage::Canary { step: 0 }, "it holds");
    assert!(rollout.view().alarm.is_some_and(|alarm| alarm.is_on));
    let mut calm = Rollout::begin(Plan {
        objective,
        ..plan(100)
    })
    .unwrap();
    (world.new, world.old) = (4, 4);
    let _units = world.run(&mut calm, 2_000, |now| !now.is_open());
    assert_eq!(calm.stage(), &Stage::Promoted);
}

#[test]
fn one_that_may_go_no_further_waits_for_its_owner() {
    let shadow = Some(Shadow::of(3));
    let mut rollout = Rollout::begin(Plan {
        shadow,
        may: Far::Shadow,
        ..plan(100)
    })
    .unwrap();
    let pair = Pair {
        turns: 1,
        new_failed: 0,
        old_failed: 0,
    };
    for number in 0..5 {
        assert_eq!(rollout.settle_pair(&number.to_string(), pair, pair), None);
    }
    assert_eq!(rollout.awaits(), Some(Far::Canary));
    assert_eq!(
        rollout.let_go(Far::Canary),
        Some(&Stage::Canary { step: 0 })
    );
    let mut world = World {
        next: 0,
        new: 3,
        old: 3,
    };
    let _units = world.run(&mut rollout, 1_900, |now| now.awaits().is_some());
    assert_eq!(rollout.awaits(), Some(Far::Stable));
    assert!(rollout.is_open());
    assert_eq!(rollout.let_go(Far::Stable), Some(&Stage::Promoted));
    assert!(rollout.is_watching());
}

#[test]
fn an_owner_who_begins_a_shadow_anew_keeps_what_it_said_and_what_it_spent() {
    let shadow = Some(Shadow::of(9));
    let mut rollout = Rollout::begin(Plan { shadow, ..plan(9) }).unwrap();
    let pair = |new_failed| Pair {
        turns: 1,
        new_failed,
        old_failed: 0,
    };
    assert_eq!(rollout.settle_pair("one", pair(1), pair(0)), None);
    let said = rollout.evidence_paired();
    let again = rollout.replanned(Plan { shadow, ..plan(9) }).unwrap();
    assert!((again.evidence_paired() - said).abs() < 1e-12);
    let without = rollout.replanned(plan(9)).unwrap();
    assert_eq!(without.stage(), &Stage::Canary { step: 0 });
    // What was bet on the pairs stays bet: the steps go on with what became of it.
    let stake = Shadow::of(9).stake;
    let capital = 1.0 - stake + stake * said;
    assert!((without.view().worse_at - 20.0 / capital).abs() < 1e-9);
    assert_eq!(without.plan().level.to_bits(), 0.05_f64.to_bits());
}

#[test]
fn a_shadow_under_another_margin_is_left_as_if_it_had_begun_with_that_one() {
    let of = |margin| {
        let mut plan = Plan {
            shadow: Some(Shadow::of(400)),
            ..plan(9)
        };
        for metric in plan.metrics.values_mut() {
            metric.margin = margin;
        }
        plan
    };
    let alike = Pair {
        turns: 1,
        new_failed: 0,
        old_failed: 0,
    };
    // Pairs that agree, until the candidate leaves the shadow as sound.
    let left_after = |mut rollout: Rollout| {
        (1..=400)
            .find(|number| {
                let moved = rollout.settle_pair(&format!("later{number}"), alike, alike);
                moved.is_some()
            })
            .unwrap()
    };
    let (narrow, wide) = (of(0.02), of(0.4));
    let (few, many) = (
        left_after(Rollout::begin(wide.clone()).unwrap()),
        left_after(Rollout::begin(narrow.clone()).unwrap()),
    );
    assert!(few * 4 < many, "{few} and {many}");
    let mut begun = Rollout::begin(narrow).unwrap();
    assert_eq!(left_after(begun.replanned(wide.clone()).unwrap()), few);
    // What was counted towards one margin says nothing of another, and is not lost for its own.
    assert_eq!(begun.settle_pair("first", alike, alike), None);
    assert_eq!(left_after(begun.replanned(wide).unwrap()), few);
    let same = begun.plan().clone();
    assert_eq!(left_after(begun.replanned(same).unwrap()), many - 1);
}

fn two_groups() -> Plan {
    let metric = |required| Metric {
        weight: 0.5,
        margin: 0.1,
        required,
    };
    let mut plan = Plan {
        metrics: BTreeMap::from([
            (TASK.to_owned(), metric(true)),
            (QUICK.to_owned(), metric(false)),
        ]),
        fast: Some(Fast {
            metrics: BTreeSet::from([QUICK.to_owned()]),
            maturity_millis: 1_000,
        }),
        ..plan(100)
    };
    plan.episode.maturity_millis = 60_000;
    plan
}

#[test]
fn metrics_of_two_maturities_are_settled_apart_and_share_the_level() {
    let mut rollout = Rollout::begin(two_groups()).unwrap();
    assert!((rollout.plan().level_of_group() - 0.025).abs() < 1e-12);
    assert_eq!(rollout.due("a", 500), None);
    assert_eq!(rollout.due("a", 1_000), Some(Part::Fast));
    let settled = |unit: &str, arm, name: &str, bad| Settled {
        unit: unit.to_owned(),
        arm,
        share: 0.5,
        bad: BTreeMap::from([(name.to_owned(), Some(bad))]),
        is_heard: true,
    };
    let _moved = rollout.settle(&settled("a", Arm::New, QUICK, 1.0));
    let once = rollout.clone();
    let _moved = rollout.settle(&settled("a", Arm::New, QUICK, 1.0));
    assert_eq!(rollout, once, "each part is counted once");
    assert_eq!((rollout.settled(), rollout.due("a", 2_000)), (0, None));
    assert_eq!(rollout.due("a", 60_000), Some(Part::Rest));
    let _moved = rollout.settle(&settled("a", Arm::New, TASK, 0.0));
    assert_eq!(rollout.settled(), 1);
    // What is slow on the candidate alone takes it back before any of these episodes has settled.
    let mut number = 0;
    while rollout.is_open() && number < 400 {
        number += 1;
        let arm = if number % 2 == 0 { Arm::New } else { Arm::Old };
        let bad = f64::from(u8::from(arm == Arm::New && number % 3 == 0));
        let _moved = rollout.settle(&settled(&format!("b{number}"), arm, QUICK, bad));
    }
    assert_eq!(rollout.stage(), &Stage::RolledBack { why: Reason::Worse });
    assert_eq!(rollout.settled(), 1);
    assert!(rollout.evidence_worse() >= 1.0 / 0.025);
    let mut all = two_groups();
    all.fast.as_mut().unwrap().metrics.insert(TASK.to_owned());
    assert_eq!(all.check(), Err(PlanError::Fast));
    let mut half = two_groups();
    half.watch = Some(WatchPlan {
        units: 1,
        held_out: 0.5,
    });
    assert_eq!(half.check(), Err(PlanError::Watch));
}

/// Episodes of one turn each, until the watch is over.
async fn watched(house: &mut House, rates: Rates, units: u32) {
    let mut dice = Dice(11);
    for number in 0..units {
        house.now += MINUTE;
        let session = format!("ses_later_{number}");
        let _arm = house.turn(&session, Some(rates), &mut dice).await;
        if number % 10 == 9 {
            house.now += 41 * MINUTE;
            let _stages = house.settle().await;
            if house.releases.shown_live().is_none() {
                return;
            }
        }
    }
}

async fn promoted_house(units: u64) -> (House, String) {
    let mut house = House::new().await;
    let candidate = house.candidate("I am two.").await;
    let watch = WatchPlan {
        units,
        held_out: 0.2,
    };
    let plan = Plan {
        watch: Some(watch),
        ..house_plan(0.5)
    };
    let begun = house.start(&candidate, plan).await.unwrap();
    let even = Rates {
        stable: 0.02,
        canary: 0.02,
    };
    assert_eq!(house.traffic(even, 2_000).await, Some(Stage::Promoted));
    house.newer = Some(begun.release);
    (house, candidate)
}

fn words(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Rollout { stage, .. } => Some(stage),
        _ => None,
    }
}

#[tokio::test]
async fn a_promoted_release_that_becomes_worse_gives_way_to_the_one_before_over_a_restart_too() {
    let (mut house, candidate) = promoted_house(2_000).await;
    let after = house.stable();
    let shown = house.releases.shown_live().unwrap();
    assert!(shown.ended_at.is_some() && house.releases.rollout().is_none());
    let even = Rates {
        stable: 0.02,
        canary: 0.02,
    };
    watched(&mut house, even, 40).await;
    assert_eq!(house.stable(), after);
    let before_restart = house.releases.shown_live().unwrap();
    let newer = house.newer.clone();
    let mut house = house.again().await;
    house.newer = newer;
    let again = house.releases.shown_live().unwrap();
    assert_eq!(again.view.watch, before_restart.view.watch);
    assert_eq!(again.ended_at, shown.ended_at);
    let worse = Rates {
        stable: 0.02,
        canary: 0.5,
    };
    watched(&mut house, worse, 1_500).await;
    assert_eq!(
        house.stable(),
        shown.stable,
        "the one before is stable again"
    );
    assert_eq!(house.state_of(&candidate).await, CandidateState::RolledBack);
    let events = house.events().await;
    let told: Vec<&str> = events
        .iter()
        .filter_map(|event| words(&event.kind))
        .collect();
    assert_eq!(told, ["canary", "promoted", "rolled_back"]);
    let verified = house.releases.signer().unwrap();
    let found = house
        .releases
        .verify(verified, None, true, &[])
        .await
        .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}

#[tokio::test]
async fn the_watch_ends_by_itself_or_with_the_next_candidate() {
    let (mut house, _candidate) = promoted_house(30).await;
    let after = house.stable();
    let even = Rates {
        stable: 0.02,
        canary: 0.02,
    };
    watched(&mut house, even, 100).await;
    assert!(house.releases.shown_live().is_none());
    assert_eq!(house.stable(), after);
    let events = house.events().await;
    let told: Vec<&str> = events
        .iter()
        .filter_map(|event| words(&event.kind))
        .collect();
    assert_eq!(told, ["canary", "promoted", "watched"]);

    let (house, _candidate) = promoted_house(2_000).await;
    assert!(house.releases.shown_live().is_some());
    let next = house.candidate("I am three.").await;
    let begun = house.start(&next, house_plan(0.5)).await.unwrap();
    let shown = house.releases.shown_live().unwrap();
    assert_eq!(shown.id, begun.id);
    let rows = house.store.rollouts(5).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.is_open).count(), 1);
}
