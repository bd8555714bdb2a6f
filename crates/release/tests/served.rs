//! Rollouts over the releases of a state folder: who is served what, what is recorded, which moves follow.

use instar_protocol::event::{Arm, Event, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::model::Usage;
use instar_protocol::{AgentId, EventId, Label, ReleaseId, RunId, SessionId, Timestamp};
use instar_release::rollout::{
    Caps, EpisodeRules, Hold, Plan, Reason, Rollout, RolloutError, Shown, Stage, Start, recompute,
};
use instar_release::{Cohort, Delta, Proposal, Releases, Signer};
use instar_store::{CandidateState, EventFilter, Op, Options, Store, UnitRow};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

use crate::fixture::behaviour;

const BEGIN: u64 = 1_795_286_385_000;
pub(crate) const MINUTE: u64 = 60 * 1_000;

/// A state folder with a clock of its own.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) releases: Releases,
    pub(crate) now: u64,
    drawn: AtomicU32,
    /// What was promoted: its turns go as those of the candidate did.
    pub(crate) newer: Option<ReleaseId>,
    /// Whether anybody says a word about an answer.
    pub(crate) speaks: bool,
}

/// How the turns of an episode go.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) stable: f64,
    pub(crate) canary: f64,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let house = Self::over(folder, BEGIN).await;
        let at = house.now();
        let made = house
            .releases
            .adopt(behaviour("I am one."), "owner", "first", at, house.random())
            .await;
        made.unwrap();
        house
    }

    pub(crate) async fn over(folder: TempDir, now: u64) -> Self {
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let signer = Signer::of_seed(&[1; 32]).unwrap();
        let at = Timestamp::from_millis(now);
        let releases = Releases::open_signed(store.clone(), signer, at)
            .await
            .unwrap();
        let house = Self {
            folder,
            store,
            releases,
            now,
            drawn: AtomicU32::new(u32::try_from(now % 1_000_003).unwrap() << 8),
            newer: None,
            speaks: true,
        };
        let taken = house.releases.take_up_rollout(at, house.random()).await;
        taken.unwrap();
        house
    }

    pub(crate) async fn again(self) -> Self {
        self.store.close().await.unwrap();
        let now = self.now + 1;
        drop((self.releases, self.store));
        Self::over(self.folder, now).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn random(&self) -> [u8; 10] {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&drawn.to_be_bytes());
        bytes
    }

    pub(crate) async fn candidate(&self, text: &str) -> String {
        let proposal = Proposal {
            from: "stable".to_owned(),
            deltas: vec![Delta::SetPrompt {
                agent: "main".to_owned(),
                file: "IDENTITY.md".to_owned(),
                text: Some(text.to_owned()),
                cut_chars: 0,
            }],
            proposer: "owner".to_owned(),
            reason: "a try".to_owned(),
            evidence: Label::owner(),
            sources: Vec::new(),
        };
        self.releases
            .propose(proposal, self.now())
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn start(&self, candidate: &str, plan: Plan) -> Result<Shown, RolloutError> {
        let start = Start {
            candidate: candidate.to_owned(),
            plan,
            by: "owner".to_owned(),
            reason: None,
        };
        let random = self.random();
        let mut coin = [9; 32];
        coin[..10].copy_from_slice(&random);
        self.releases
            .start_rollout(start, self.now(), coin, random)
            .await
    }

    /// One turn of a conversation; what served it.
    pub(crate) async fn turn(&self, session: &str, rates: Option<Rates>, dice: &mut Dice) -> Arm {
        let session = SessionId::from_stored(session);
        let at = self.now();
        self.releases
            .begin_turn(&session, None, at, self.random())
            .await
            .unwrap();
        let served = self
            .releases
            .resolve(
                &AgentId::main(),
                &Cohort {
                    session: session.clone(),
                    at,
                },
            )
            .unwrap();
        let is_newer = self.newer.as_ref() == Some(&served.release.id);
        let rate = rates.map_or(0.0, |rates| match served.arm {
            Arm::Stable if !is_newer => rates.stable,
            _ => rates.canary,
        });
        let run = RunId::from_stored(format!("run_{}", hex::encode(self.random())));
        let outcome = if dice.roll() < rate {
            TurnOutcome::Failed
        } else {
            TurnOutcome::Replied
        };
        let event = Event {
            session: Some(session),
            run: Some(run.clone()),
            release: Some(served.release.id.clone()),
            arm: served.arm,
            label: Label::owner(),
            ..Event::of_house(EventId::new(at, self.random()), at, turn_ended(outcome))
        };
        // A good word about each answer.
        let word = Event {
            id: EventId::new(at, self.random()),
            run: None,
            kind: EventKind::Feedback {
                run,
                verdict: FeedbackVerdict::Good,
                content: None,
            },
            ..event.clone()
        };
        let said = self.speaks.then_some(Op::AppendEvent(word));
        let ops = std::iter::once(Op::AppendEvent(event)).chain(said);
        self.store.commit(ops.collect()).await.unwrap();
        served.arm
    }

    pub(crate) async fn settle(&self) -> Vec<Stage> {
        self.releases
            .settle_due(self.now(), &|| self.random())
            .await
            .unwrap()
    }

    /// Episodes of one turn each, until the rollout ends or so many were counted.
    pub(crate) async fn traffic(&mut self, rates: Rates, units: u32) -> Option<Stage> {
        let mut dice = Dice(7);
        for number in 0..units {
            self.now += MINUTE;
            self.turn(&format!("ses_{number}"), Some(rates), &mut dice)
                .await;
            if number % 10 == 9 {
                self.now += 41 * MINUTE;
                let stages = self.settle().await;
                if self.releases.rollout().is_none() {
                    return stages.last().cloned();
                }
            }
        }
        None
    }

    pub(crate) fn stable(&self) -> ReleaseId {
        self.releases.stable().unwrap().id.clone()
    }

    pub(crate) async fn state_of(&self, candidate: &str) -> CandidateState {
        self.releases.candidate(candidate).await.unwrap().state
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let filter = EventFilter {
            limit: 10_000,
            ..EventFilter::default()
        };
        let mut events = self.store.events(filter).await.unwrap();
        events.reverse();
        events
    }
}

fn turn_ended(outcome: TurnOutcome) -> EventKind {
    EventKind::Turn {
        outcome,
        millis: 10,
        model_calls: 1,
        tool_calls: 0,
        usage: Usage::default(),
        cost_micros: 0,
    }
}

/// Numbers that come out the same each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn roll(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

pub(crate) fn plan(share: f64) -> Plan {
    Plan {
        watch: None,
        ..Plan::over(&[share], 5, Caps::default())
    }
}

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
}
