//! A state folder with a clock of its own, and traffic through what it serves.

use instar_protocol::event::{Arm, Event, EventKind, FeedbackVerdict, TurnOutcome};
use instar_protocol::model::Usage;
use instar_protocol::{AgentId, EventId, Label, ReleaseId, RunId, SessionId, Timestamp};
use instar_release::rollout::{Caps, Plan, RolloutError, Shown, Stage, Start};
use instar_release::{Cohort, Delta, Proposal, Releases, Served, Signer};
use instar_store::{CandidateState, EventFilter, Op, Options, Store};
use std::collections::HashSet;
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
        self.candidate_of(vec![Delta::SetPrompt {
            agent: "main".to_owned(),
            file: "IDENTITY.md".to_owned(),
            text: Some(text.to_owned()),
            cut_chars: 0,
        }])
        .await
    }

    pub(crate) async fn candidate_of(&self, deltas: Vec<Delta>) -> String {
        let proposal = Proposal {
            from: "stable".to_owned(),
            deltas,
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
        let served = self.begin(session).await;
        let is_newer = self.newer.as_ref() == Some(&served.release.id);
        let rate = rates.map_or(0.0, |rates| match served.arm {
            Arm::Stable if !is_newer => rates.stable,
            _ => rates.canary,
        });
        let outcome = if dice.roll() < rate {
            TurnOutcome::Failed
        } else {
            TurnOutcome::Replied
        };
        self.end(session, &served, outcome).await;
        served.arm
    }

    /// What serves a turn that begins.
    pub(crate) async fn begin(&self, session: &str) -> Served {
        let session = SessionId::from_stored(session);
        let at = self.now();
        let begun = self.releases.begin_turn(&session, None, at, self.random());
        begun.await.unwrap();
        let cohort = Cohort { session, at };
        self.releases.resolve(&AgentId::main(), &cohort).unwrap()
    }

    /// The end of a turn, and a good word about its answer.
    pub(crate) async fn end(&self, session: &str, served: &Served, outcome: TurnOutcome) {
        let session = SessionId::from_stored(session);
        let at = self.now();
        let run = RunId::from_stored(format!("run_{}", hex::encode(self.random())));
        let event = Event {
            session: Some(session),
            run: Some(run.clone()),
            release: Some(served.release.id.clone()),
            arm: served.arm,
            label: Label::owner(),
            ..Event::of_house(EventId::new(at, self.random()), at, turn_ended(outcome))
        };
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
    }

    /// Ends, looks at and judges whatever is due.
    pub(crate) async fn settle(&self) -> Vec<Stage> {
        self.releases.close_due(self.now()).await.unwrap();
        let episodes = self.releases.canary_episodes();
        let over = episodes.into_iter().filter(|one| one.until.is_some());
        self.judge(&over.map(|one| one.unit).collect()).await
    }

    /// Judges what is due, where this was looked at.
    pub(crate) async fn judge(&self, looked: &HashSet<String>) -> Vec<Stage> {
        self.releases
            .settle_due(self.now(), looked, &|| self.random())
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
