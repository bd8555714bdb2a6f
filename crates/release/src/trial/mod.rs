//! A trial: does a fix work? Settled units of its own coin go in, a verdict comes out.
//!
//! The coin is thrown where the faulty path is entered, before any fix acts, and the outcome is read at
//! the end by what the coin said and not by what ran. Three processes look at every settled unit and the
//! first that reaches its bound wins: proven, failed (less than half as good as hoped), harmful. Without a
//! coin a trial can at most say `supported`: a world that heals by itself looks just like a fix that works.
//!
//! The state is a fold over settled units. Whoever keeps it stores it together with the settlement, so a
//! crash neither loses nor doubles a unit; anyone can fold the ledger again and has to get the same.
//!
//! Start at [`Trial`]; [`Keeper`] folds the event log into trials, and [`Month`] decides which of many proven fixes are adopted without a person.

mod classic;
mod coverage;
mod curve;
mod environment;
mod keeper;
mod kept;
mod month;
mod plan;
mod told;
mod unit;
mod verdict;

use crate::evidence::count;
use crate::evidence::{Arm, Baseline, Late, Process, Test, Unit, Watch, Window};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;

use coverage::Coverage;

pub use classic::Classic;
pub use coverage::Hold;
pub use curve::{Curve, Point};
pub use environment::{Environment, World};
pub use keeper::{Keeper, Moved, STATE, TRIAL, TRIALS_MAX};
pub use kept::{Changed, Kept};
pub use month::{Full, Month, SLOTS};
pub use plan::{Design, Plan, PlanError};
pub use verdict::Verdict;

/// The chance of calling a useless fix proven.
pub const LEVEL: f64 = 0.05;
/// A fix whose evidence has fallen this far will hardly be proven: its place is given to another.
pub const GIVE_UP: f64 = 0.1;
/// How long a proven fix is watched, in units, and how far apart two false alarms are on average.
pub const WATCH_UNITS: u64 = 2_000;
/// A trial that has not been decided by then is undecided.
pub const HORIZON: u64 = 4_000;
/// Units that are told apart from what comes a second time.
const SEEN_MAX: usize = 4_096;
/// What an adopted fix leaves to the old arm, so that late harm can be seen.
pub const HOLD_OUT: f64 = 0.1;
/// The share of a fix that is proven and not yet adopted.
const SHARE_PROVEN: f64 = 0.8;

/// Where a trial stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Stage {
    Running,
    /// Shown to help. It runs on, so that its evidence can grow until it may be adopted.
    Proven,
    /// In service for all but the hold-out, which is still watched.
    Adopted {
        /// Frozen when it was adopted.
        evidence: f64,
    },
    Ended {
        verdict: Verdict,
    },
}

/// What a settled unit brought.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Counted once, however often it is delivered.
    pub unit: String,
    pub arm: Arm,
    /// The share of the fix when the coin was thrown.
    pub share: f64,
    /// None where whoever measures was off: it says nothing, and is counted. A unit that did not end is
    /// another thing: [`Trial::settle_missing`].
    pub bad: Option<f64>,
}

/// Units of an arm and how many were bad.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    pub units: u64,
    pub bad: f64,
    /// Units of whose outcome nothing is known. Those that did not end are among the bad ones, too.
    pub unknown: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    plan: Plan,
    stage: Stage,
    /// The first is 1; each reopening begins another at half the level.
    chapter: u32,
    judged: Judged,
    /// Units when the verdict came that the stage rests on.
    decided_after: Option<u64>,
    /// Units that its watch had seen when it was adopted.
    #[serde(default)]
    watched_before: Option<u64>,
    treated: Tally,
    control: Tally,
    #[serde(default)]
    coverage: Coverage,
    classic: Classic,
    curve: Curve,
    /// The latest units; empty once it has ended.
    seen: VecDeque<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Judged {
    Coin(Box<ByCoin>),
    Window(Option<Window>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct ByCoin {
    proven: Process,
    failed: Process,
    harmful: Late,
    watch: Option<Watch>,
}

impl Trial {
    pub fn begin(plan: Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let judged = match &plan.design {
            Design::Coin { .. } => Judged::Coin(Box::new(ByCoin {
                proven: Process::new(Test::proven()),
                failed: Process::new(Test::failed()),
                harmful: Late::new(Test::harmful()),
                watch: None,
            })),
            Design::Window { before } => Judged::Window(Window::new(*before)),
        };
        Ok(Self {
            plan,
            stage: Stage::Running,
            chapter: 1,
            judged,
            decided_after: None,
            watched_before: None,
            treated: Tally::default(),
            control: Tally::default(),
            coverage: Coverage::default(),
            classic: Classic::default(),
            curve: Curve::default(),
            seen: VecDeque::new(),
        })
    }

    /// A later chapter of a trial that is not at hand any more.
    #[must_use]
    pub(super) fn in_chapter(self, chapter: u32) -> Self {
        Self { chapter, ..self }
    }

    /// Takes a settled unit; the new stage, if it led to one.
    pub fn settle(&mut self, settled: &Settled) -> Option<&Stage> {
        self.take(settled, settled.bad.is_none())
    }

    /// Takes a unit whose end nobody saw. What is missing is no success: it is as bad as one that failed,
    /// whichever arm it was on. Where too many are missing nothing is proven.
    pub fn settle_missing(&mut self, unit: String, arm: Arm, share: f64) -> Option<&Stage> {
        let bad = Some(1.0);
        let settled = Settled {
            unit,
            arm,
            share,
            bad,
        };
        self.take(&settled, true)
    }

    fn take(&mut self, settled: &Settled, is_missing: bool) -> Option<&Stage> {
        if matches!(self.stage, Stage::Ended { .. }) || !self.is_new(&settled.unit) {
            return None;
        }
        let arm = match (&self.judged, settled.arm) {
            (Judged::Coin(_), arm) => arm,
            (Judged::Window(_), _) => Arm::New,
        };
        let tally = match arm {
            Arm::New => &mut self.treated,
            Arm::Old => &mut self.control,
        };
        let bad = settled.bad.filter(|bad| (0.0..=1.0).contains(bad));
        let is_missing = is_missing || bad.is_none();
        tally.units += 1;
        tally.unknown += u64::from(is_missing);
        tally.bad += bad.unwrap_or_default();
        self.coverage.settle(arm, settled.share, is_missing);
        if let Some(bad) = bad {
            self.judge(arm, settled.share, bad);
        }
        let next = self.next()?;
        if self.decided_after.is_none() {
            self.decided_after = Some(self.settled());
        }
        self.stage = next;
        if matches!(self.stage, Stage::Ended { .. }) {
            // Nothing is taken any more, so that nothing has to be told apart.
            self.seen = VecDeque::new();
        }
        Some(&self.stage)
    }

    /// True if the unit was not taken before. What comes a second time comes soon.
    fn is_new(&mut self, unit: &str) -> bool {
        let unit = short(unit);
        if self.seen.contains(&unit) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(unit);
        true
    }

    fn judge(&mut self, arm: Arm, share: f64, bad: f64) {
        if arm == Arm::New {
            self.classic.note(bad > 0.0);
        }
        let unit = Unit { arm, share, bad };
        match &mut self.judged {
            Judged::Coin(by) => {
                by.proven.settle(&unit);
                by.failed.settle(&unit);
                by.harmful.settle(&unit);
                if let Some(watch) = &mut by.watch {
                    watch.settle(&unit);
                }
                self.curve
                    .note(self.treated.units + self.control.units, || {
                        (
                            by.proven.evidence(),
                            by.failed.evidence(),
                            by.harmful.evidence(),
                        )
                    });
            }
            Judged::Window(window) => {
                if let Some(window) = window {
                    window.settle(bad);
                    let units = self.treated.units;
                    self.curve.note(units, || (window.evidence(), 0.0, 0.0));
                }
            }
        }
    }

    fn next(&mut self) -> Option<Stage> {
        let (bound, units) = (self.bound(), self.settled());
        let is_held = self.hold().is_some();
        let ended = |verdict| Some(Stage::Ended { verdict });
        match (&mut self.judged, &self.stage) {
            (_, Stage::Ended { .. }) => None,
            (Judged::Coin(by), Stage::Running) => {
                let is_shown = by.proven.evidence() >= bound && !is_held;
                if is_shown && self.plan.synthetic {
                    return ended(Verdict::SupportedSynthetic);
                }
                if is_shown {
                    let apart = count(WATCH_UNITS);
                    by.watch = Some(Watch::new(Test::harmful(), apart));
                    return Some(Stage::Proven);
                }
                if by.harmful.evidence() >= bound {
                    return ended(Verdict::Harmful);
                }
                if by.failed.evidence() >= bound {
                    return ended(Verdict::Failed);
                }
                let gone = by.proven.evidence() <= GIVE_UP || units >= self.plan.horizon;
                if gone {
                    ended(Verdict::Undecided)
                } else {
                    None
                }
            }
            (Judged::Coin(by), Stage::Proven | Stage::Adopted { .. }) => {
                let watch = by.watch.as_ref()?;
                if watch.is_alarmed() {
                    return ended(Verdict::HarmedLater);
                }
                // Who was never adopted is never kept: one proof among many is not enough for that.
                let since = watch.settled().saturating_sub(self.watched_before?);
                (since >= WATCH_UNITS).then_some(Stage::Ended {
                    verdict: Verdict::Kept,
                })
            }
            (Judged::Window(window), _) => {
                let evidence = window.as_ref().map_or(0.0, Window::evidence);
                if evidence >= bound && !is_held {
                    return ended(if self.plan.synthetic {
                        Verdict::SupportedSynthetic
                    } else {
                        Verdict::Supported
                    });
                }
                let gone = evidence <= GIVE_UP || units >= self.plan.horizon;
                if gone {
                    ended(Verdict::Undecided)
                } else {
                    None
                }
            }
        }
    }

    /// Puts a proven fix into service for all but the hold-out. Only [`Month`] and a person say when.
    pub fn adopt(&mut self) -> Option<&Stage> {
        if self.stage != Stage::Proven || self.plan.synthetic {
            return None;
        }
        let evidence = self.evidence_proven();
        if let Judged::Coin(by) = &self.judged {
            self.watched_before = by.watch.as_ref().map(Watch::settled);
        }
        self.stage = Stage::Adopted { evidence };
        Some(&self.stage)
    }

    /// Another chapter, because the environment changed or somebody tries again: what was found does not
    /// hold any more, neither for nor against. It starts at nothing, and at half the level, so that all
    /// chapters together stay under twice the level.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let mut next = self.clone();
        next.chapter = self.chapter.saturating_add(1);
        next.stage = Stage::Running;
        (next.decided_after, next.watched_before) = (None, None);
        (next.treated, next.control) = <(Tally, Tally)>::default();
        next.coverage = Coverage::default();
        (next.classic, next.curve) = <(Classic, Curve)>::default();
        next.seen.clear();
        if let Ok(fresh) = Self::begin(self.plan.clone()) {
            next.judged = fresh.judged;
        }
        next
    }

    /// Why nothing may be proven of it now, whatever the evidence. What speaks against a fix is never held.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        let both = [self.treated, self.control];
        let arms = match self.judged {
            Judged::Coin(_) => &both[..],
            Judged::Window(_) => &both[..1],
        };
        self.coverage.hold(arms, self.level())
    }

    /// It ended, and nobody has the fix any more.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        matches!(
            self.stage,
            Stage::Ended {
                verdict: Verdict::Failed
                    | Verdict::Harmful
                    | Verdict::HarmedLater
                    | Verdict::Undecided
            }
        )
    }

    /// The share of new units that are given the fix now.
    #[must_use]
    pub fn share(&self) -> f64 {
        match (&self.stage, &self.plan.design) {
            (Stage::Running, Design::Coin { share }) => *share,
            (Stage::Proven, _) => SHARE_PROVEN,
            (Stage::Adopted { .. }, _) => 1.0 - HOLD_OUT,
            (Stage::Running, Design::Window { .. })
            | (
                Stage::Ended {
                    verdict: Verdict::Kept | Verdict::Supported,
                },
                _,
            ) => 1.0,
            (Stage::Ended { .. }, _) => 0.0,
        }
    }

    /// What the evidence has to be the inverse of, in this chapter.
    #[must_use]
    pub fn level(&self) -> f64 {
        let halvings = self.chapter.saturating_sub(1).min(60);
        self.plan.level / f64::from(2_u32).powi(halvings.cast_signed())
    }

    /// What the evidence has to reach.
    #[must_use]
    pub fn bound(&self) -> f64 {
        match self.judged {
            Judged::Coin(_) => 1.0 / self.level(),
            Judged::Window(_) => Window::threshold(self.level()),
        }
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The exposures before the change, where no coin is thrown.
    #[must_use]
    pub fn before(&self) -> Option<Baseline> {
        match &self.plan.design {
            Design::Coin { .. } => None,
            Design::Window { before } => Some(*before),
        }
    }

    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    #[must_use]
    pub fn chapter(&self) -> u32 {
        self.chapter
    }

    #[must_use]
    pub fn treated(&self) -> Tally {
        self.treated
    }

    #[must_use]
    pub fn control(&self) -> Tally {
        self.control
    }

    #[must_use]
    pub fn classic(&self) -> Classic {
        self.classic
    }

    #[must_use]
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// Units that were taken, each once.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.treated.units + self.control.units
    }

    /// Units when the first verdict came.
    #[must_use]
    pub fn decided_after(&self) -> Option<u64> {
        self.decided_after
    }
}

/// Enough of a digest to tell the units of one trial apart.
fn short(unit: &str) -> u64 {
    let digest = Sha256::digest(unit.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}
