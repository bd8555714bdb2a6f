//! Ways to decide: ours with the plans that are shipped, and what others do.

use instar_release::evidence::{Arm, Pair, Unit};
use instar_release::rollout::{Caps, Metric, Plan, Rollout, Settled, Shadow, Stage};
use std::collections::{BTreeMap, VecDeque};

use super::rivals::Sums;
use super::world::{Dice, Effect, World};

/// Units of a run over both arms, and pairs of one.
pub(super) const UNITS: u32 = 1_200;
/// Where the candidate has a twentieth of them.
const UNITS_OF_FEW: u32 = 4_000;
pub(super) const PAIRS: u32 = 600;
/// How often both arms share their luck.
const SHARED: f64 = 0.8;
/// By this much worse may nothing be that one metric alone promotes. Shipped plans have their own margin.
pub(super) const NARROW: f64 = 0.02;
/// The rate of the metrics beside, which no effect reaches.
const BESIDE: f64 = 0.05;
const TASK: &str = instar_release::rollout::TASK;

/// How a candidate is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// One metric alone, half of the units: what the specification's figures are of.
    Alone,
    /// The plan as it is shipped, with all of its metrics, half of the units.
    Shipped,
    /// The same after a shadow in which the candidate's harm did not show.
    After,
    /// The same with a twentieth of the units.
    Few,
    FewAfter,
    /// The shadow as it is shipped.
    Paired,
    Rival(Rival),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rival {
    ZTest,
    Threshold,
    MannWhitney,
    Msprt,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ended {
    /// Units of the candidate, or pairs.
    pub(super) rolled_back: Option<u32>,
    /// Promoted, or let out of the shadow as sound.
    pub(super) promoted: bool,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alone => "instar, one metric",
            Self::Shipped => "instar",
            Self::After => "instar, after a shadow",
            Self::Few => "instar, share 5 %",
            Self::FewAfter => "instar, share 5 %, after a shadow",
            Self::Paired => "instar, paired",
            Self::Rival(Rival::ZTest) => "z-test",
            Self::Rival(Rival::Threshold) => "threshold",
            Self::Rival(Rival::MannWhitney) => "mann-whitney",
            Self::Rival(Rival::Msprt) => "msprt",
        }
    }

    pub(super) fn is_ours(self) -> bool {
        !matches!(self, Self::Rival(_))
    }

    /// By how much worse nothing may be that is promoted; who promotes nothing has no such margin.
    pub(super) fn margin(self) -> Option<f64> {
        let metrics = self.plan().metrics;
        self.is_ours()
            .then(|| metrics.get(TASK).map(|metric| metric.margin))
            .flatten()
    }

    fn plan(self) -> Plan {
        let (share, units) = match self {
            Self::Few | Self::FewAfter => (0.05, UNITS_OF_FEW),
            _ => (0.5, UNITS),
        };
        let caps = Caps {
            cost_micros: Some(1),
            millis: Some(1),
        };
        let mut plan = Plan::over(&[share], 0, caps);
        plan.horizon = u64::from(units);
        plan.watch = None;
        if self == Self::Alone {
            let metric = Metric {
                weight: 1.0,
                margin: NARROW,
                required: true,
            };
            plan.metrics = BTreeMap::from([(TASK.to_owned(), metric)]);
        }
        if matches!(self, Self::After | Self::FewAfter | Self::Paired) {
            plan.shadow = Some(Shadow::of(u64::from(PAIRS)));
        }
        plan
    }

    pub(super) fn run(self, world: &World, seed: u64, run: u64) -> Ended {
        let mut dice = Dice::new(seed, run);
        let mut pairs = Dice::new(seed ^ 0xa5a5, run);
        let Ok(mut rollout) = Rollout::begin(self.plan()) else {
            return Ended::default();
        };
        match self {
            Self::Rival(rival) => rival.run(world, &mut dice),
            Self::Paired => shadow(&mut rollout, world, &mut pairs),
            Self::After | Self::FewAfter => {
                let unseen = World {
                    effect: Effect::None,
                    ..*world
                };
                let ended = shadow(&mut rollout, &unseen, &mut pairs);
                if ended.rolled_back.is_some() {
                    // No unit of the candidate's was ever served.
                    return Ended {
                        rolled_back: Some(0),
                        promoted: false,
                    };
                }
                serve(&mut rollout, world, &mut dice, seed, run)
            }
            Self::Alone | Self::Shipped | Self::Few => {
                serve(&mut rollout, world, &mut dice, seed, run)
            }
        }
    }
}

/// Both arms answer, until the shadow has come to something.
fn shadow(rollout: &mut Rollout, world: &World, dice: &mut Dice) -> Ended {
    for at in 0..PAIRS {
        let (new, old) = world.pair(at, PAIRS, SHARED, dice);
        let pair = Pair {
            turns: 1,
            new_failed: u32::from(new && !old),
            old_failed: u32::from(old && !new),
        };
        let neither = Pair {
            turns: 1,
            new_failed: 0,
            old_failed: 0,
        };
        match rollout.settle_pair(&format!("pair{at}"), pair, neither) {
            Some(Stage::RolledBack { .. }) => {
                return Ended {
                    rolled_back: Some(at + 1),
                    promoted: false,
                };
            }
            Some(_) => {
                return Ended {
                    rolled_back: None,
                    promoted: at + 1 < PAIRS,
                };
            }
            None => {}
        }
    }
    Ended::default()
}

/// Units with an arm, each judged at its age, by whether something bad was seen of it until then.
fn serve(rollout: &mut Rollout, world: &World, dice: &mut Dice, seed: u64, run: u64) -> Ended {
    let mut beside = Dice::new(seed ^ 0x5a5a, run);
    let units = u32::try_from(rollout.plan().horizon).unwrap_or(UNITS);
    let (mut ended, mut of_candidate) = (Ended::default(), 0);
    let mut waiting = VecDeque::new();
    let mut settled = blank(rollout);
    let mut at = 0;
    loop {
        if at < units {
            let unit = world.unit(at, units, rollout.share(), dice);
            of_candidate += u32::from(unit.arm == Arm::New);
            waiting.push_back((at, unit));
        }
        let is_due = |(since, _): &(u32, Unit)| since + world.maturity() <= at;
        while let Some((number, unit)) = waiting.pop_front_if(|one| is_due(one)) {
            fill(&mut settled, number, &unit, &mut beside);
            match rollout.settle(&settled) {
                Some(Stage::RolledBack { .. }) => {
                    ended.rolled_back = Some(of_candidate);
                    return ended;
                }
                Some(Stage::Promoted) => {
                    ended.promoted = true;
                    return ended;
                }
                Some(_) => return ended,
                None => {}
            }
        }
        at += 1;
        if at >= units && waiting.is_empty() {
            return ended;
        }
    }
}

/// A unit of which nothing is said yet.
fn blank(rollout: &Rollout) -> Settled {
    let names = rollout.plan().metrics.keys();
    Settled {
        unit: String::new(),
        arm: Arm::Old,
        share: 0.0,
        bad: names.map(|name| (name.clone(), None)).collect(),
        is_heard: true,
    }
}

fn fill(settled: &mut Settled, number: u32, unit: &Unit, beside: &mut Dice) {
    settled.unit = number.to_string();
    (settled.arm, settled.share) = (unit.arm, unit.share);
    for (name, bad) in &mut settled.bad {
        *bad = Some(if name == TASK {
            unit.bad
        } else {
            f64::from(u8::from(beside.throw() < BESIDE))
        });
    }
}

impl Rival {
    pub(super) const ALL: [Self; 4] =
        [Self::ZTest, Self::Threshold, Self::MannWhitney, Self::Msprt];

    /// Takes what it hears of a unit when it hears it, and nothing of the others.
    fn run(self, world: &World, dice: &mut Dice) -> Ended {
        let (mut sums, mut of_candidate) = (Sums::default(), 0);
        let mut heard: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
        for at in 0..UNITS {
            let unit = world.unit(at, UNITS, 0.5, dice);
            of_candidate += u32::from(unit.arm == Arm::New);
            if let Some(when) = world.heard_at(at, &unit, dice) {
                heard.entry(when).or_default().push(unit);
            }
            for unit in heard.remove(&at).unwrap_or_default() {
                sums.settle(&unit);
            }
            let is_worse = match self {
                Self::ZTest => sums.z_test(),
                Self::Threshold => sums.threshold(),
                Self::MannWhitney => sums.mann_whitney(),
                Self::Msprt => sums.msprt(),
            };
            if is_worse {
                return Ended {
                    rolled_back: Some(of_candidate),
                    promoted: false,
                };
            }
        }
        Ended::default()
    }
}
