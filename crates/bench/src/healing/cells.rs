//! One fix against one fault, over and over: how often each design gives which verdict, and when.

use instar_release::evidence::{Arm, Baseline};
use instar_release::trial::{Plan, Settled, Stage, Trial, Verdict};
use serde_json::{Value, json};

use super::figure::{Rate, quantile};
use super::world::{Fault, Fix, Weather};
use crate::report::{row, say};
use crate::rollout::Dice;

/// Exposures of a run.
const EXPOSURES: i64 = 1_000;
/// Exposures before the fix, where a window is the design. The number is fixed beforehand.
const BEFORE: i64 = 100;
/// Exposures of a block, where the fix has a memory; the first of them are its wash-out.
const BLOCK: i64 = 10;
const WASH: i64 = 2;
const LEVEL: f64 = 0.05;
/// A 90 % fix at a base rate of 0.1 is proven after so many exposures, both arms together.
const MEDIAN_MAX: u64 = 140;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Design {
    /// A coin for each exposure.
    Exposure,
    /// A coin for each block of exposures, and the block is what is counted.
    Block,
    /// No coin: before and after.
    Window,
    /// Three clean cycles, or a recurrence within five.
    Classic,
}

impl Design {
    const ALL: [Self; 4] = [Self::Exposure, Self::Block, Self::Window, Self::Classic];

    fn name(self) -> &'static str {
        match self {
            Self::Exposure => "coin per exposure",
            Self::Block => "coin per block",
            Self::Window => "window, no coin",
            Self::Classic => "classic 3/5",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Cell {
    fault: Fault,
    fix: Fix,
    design: Design,
    proven: Rate,
    supported: Rate,
    failed: Rate,
    harmful: Rate,
    /// Given up, so that another fix can be tried.
    given_up: Rate,
    /// Exposures until it was called proven or supported, sorted at the end.
    after: Vec<u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    said: Option<Said>,
    exposures: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Proven,
    Supported,
    Failed,
    Harmful,
    Nothing,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut add = |base, weather, fix| {
        let fault = Fault {
            base,
            weather,
            course: EXPOSURES,
        };
        for design in Design::ALL {
            cells.push(Cell {
                fault,
                fix,
                design,
                proven: Rate::default(),
                supported: Rate::default(),
                failed: Rate::default(),
                harmful: Rate::default(),
                given_up: Rate::default(),
                after: Vec::new(),
            });
        }
    };
    for base in [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7] {
        for fix in [Fix::Useless, Fix::Right, Fix::Partial, Fix::Harmful] {
            add(base, Weather::Steady, fix);
        }
    }
    for weather in Weather::ALL.into_iter().skip(1) {
        for base in [0.05, 0.1, 0.3] {
            add(base, weather, Fix::Useless);
        }
        add(0.1, weather, Fix::Right);
    }
    add(0.1, Weather::Steady, Fix::Gaming);
    cells
}

impl Cell {
    /// Fills the cell: all runs where there is nothing to find, a tenth of them elsewhere.
    pub(super) fn measure(&mut self, runs: u64, seed: u64) {
        let runs = if self.fix.is_null() {
            runs
        } else {
            (runs / 10).max(1)
        };
        for run in 0..runs {
            let ended = self.run(&mut Dice::new(seed, run));
            self.proven.note(ended.said == Some(Said::Proven));
            self.supported.note(ended.said == Some(Said::Supported));
            self.failed.note(ended.said == Some(Said::Failed));
            self.harmful.note(ended.said == Some(Said::Harmful));
            self.given_up.note(ended.said == Some(Said::Nothing));
            if matches!(ended.said, Some(Said::Proven | Said::Supported)) {
                self.after.push(ended.exposures);
            }
        }
        self.after.sort_unstable();
    }

    pub(super) fn name(&self) -> String {
        format!(
            "base {}, {}, fix {}",
            self.fault.base,
            self.fault.weather.name(),
            self.fix.name()
        )
    }

    fn run(&self, dice: &mut Dice) -> Ended {
        match self.design {
            Design::Exposure => self.by_exposure(dice),
            Design::Block => self.by_block(dice),
            Design::Window => self.by_window(dice),
            Design::Classic => self.classic(dice),
        }
    }

    fn by_exposure(&self, dice: &mut Dice) -> Ended {
        let Ok(mut trial) = Trial::begin(Plan::coin()) else {
            return Ended::default();
        };
        for at in 0..EXPOSURES {
            let arm = throw(dice);
            let fails = self.fails(at, arm, dice);
            if let Some(stage) = trial.settle(&settled(at, arm, fails)) {
                return ended(stage, at + 1);
            }
        }
        Ended::default()
    }

    fn by_block(&self, dice: &mut Dice) -> Ended {
        let Ok(mut trial) = Trial::begin(Plan::coin()) else {
            return Ended::default();
        };
        for block in 0..EXPOSURES / BLOCK {
            let arm = throw(dice);
            let mut failed = false;
            for at in block * BLOCK..(block + 1) * BLOCK {
                let fails = self.fails(at, arm, dice);
                failed |= fails && at - block * BLOCK >= WASH;
            }
            if let Some(stage) = trial.settle(&settled(block, arm, failed)) {
                return ended(stage, (block + 1) * BLOCK);
            }
        }
        Ended::default()
    }

    fn by_window(&self, dice: &mut Dice) -> Ended {
        let bad = (-BEFORE..0)
            .map(|at| u64::from(self.fault.fails(at, None, dice)))
            .sum();
        let before = Baseline {
            exposures: BEFORE.unsigned_abs(),
            bad,
        };
        let Ok(mut trial) = Trial::begin(Plan::window(before)) else {
            return Ended::default();
        };
        for at in 0..EXPOSURES {
            let fails = self.fails(at, Arm::New, dice);
            if let Some(stage) = trial.settle(&settled(at, Arm::New, fails)) {
                return ended(stage, at + 1);
            }
        }
        Ended::default()
    }

    fn classic(&self, dice: &mut Dice) -> Ended {
        let Ok(mut trial) = Trial::begin(Plan::coin()) else {
            return Ended::default();
        };
        for at in 0..5 {
            // What counts errors where they arise is what a fix that swallows them deceives.
            let fails = self.fix != Fix::Gaming && self.fails(at, Arm::New, dice);
            let _stage = trial.settle(&settled(at, Arm::New, fails));
            let said = match trial.classic() {
                classic if classic.proven => Said::Proven,
                classic if classic.failed => Said::Failed,
                _ => continue,
            };
            return Ended {
                said: Some(said),
                exposures: at.unsigned_abs() + 1,
            };
        }
        Ended::default()
    }

    fn fails(&self, at: i64, arm: Arm, dice: &mut Dice) -> bool {
        let fix = (arm == Arm::New).then_some(self.fix);
        self.fault.fails(at, fix, dice)
    }

    fn is_ours(&self) -> bool {
        self.design != Design::Classic
    }

    /// The bar of this cell, and whether it is met.
    pub(super) fn bar(&self) -> Option<(String, bool)> {
        if self.design == Design::Window {
            return Some(("only supported".to_owned(), self.proven.count == 0));
        }
        if !self.is_ours() {
            return None;
        }
        if self.fix.is_null() {
            let holds = self.proven.lower_99() <= LEVEL;
            return Some((format!("proven <= {LEVEL}"), holds));
        }
        let is_named = self.design == Design::Exposure
            && self.fix == Fix::Right
            && self.fault.weather == Weather::Steady
            && (self.fault.base - 0.1).abs() < 1e-9;
        is_named.then(|| {
            let quick = self.median(0.5).is_some_and(|median| median <= MEDIAN_MAX);
            (format!("median <= {MEDIAN_MAX}"), quick)
        })
    }

    /// Out of service: failed, harmful or given up.
    fn gone(&self) -> f64 {
        self.failed.value() + self.harmful.value() + self.given_up.value()
    }

    fn median(&self, part: f64) -> Option<u64> {
        quantile(&self.after, self.proven.of, part)
    }

    pub(super) fn print(&self, before: &mut String) {
        let here = self.name();
        if here != *before {
            say(&format!("{here}, {} runs", self.proven.of));
            *before = here;
        }
        let units = |part| {
            self.median(part)
                .map_or_else(|| "-".to_owned(), |at| at.to_string())
        };
        let good = match self.design {
            Design::Window => format!("supported {}", self.supported.words()),
            _ => format!("proven {}", self.proven.words()),
        };
        let figure = format!(
            "{good}, gone {:.3}, {} / {}",
            self.gone(),
            units(0.5),
            units(0.9)
        );
        let (bar, met) = self
            .bar()
            .map_or((String::new(), None), |(bar, met)| (bar, Some(met)));
        row(&format!("  {}", self.design.name()), &figure, &bar, met);
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "base": self.fault.base,
            "weather": self.fault.weather.name(),
            "fix": self.fix.name(),
            "design": self.design.name(),
            "runs": self.proven.of,
            "proven": self.proven.json(),
            "proven_lower_99": self.proven.lower_99(),
            "false_proven": self.fix.is_null().then(|| self.proven.value()),
            "supported": self.supported.json(),
            "failed": self.failed.json(),
            "harmful": self.harmful.json(),
            "given_up": self.given_up.json(),
            "median_exposures": self.median(0.5),
            "p90_exposures": self.median(0.9),
            "bar": self.bar().map(|(bar, met)| json!({ "what": bar, "met": met })),
        })
    }
}

fn throw(dice: &mut Dice) -> Arm {
    if dice.throw() < 0.5 {
        Arm::New
    } else {
        Arm::Old
    }
}

fn settled(unit: i64, arm: Arm, fails: bool) -> Settled {
    Settled {
        unit: unit.to_string(),
        arm,
        share: 0.5,
        bad: Some(f64::from(u8::from(fails))),
    }
}

fn ended(stage: &Stage, exposures: i64) -> Ended {
    let said = match stage {
        Stage::Proven => Some(Said::Proven),
        Stage::Ended { verdict } => match verdict {
            Verdict::Supported | Verdict::SupportedSynthetic => Some(Said::Supported),
            Verdict::Failed => Some(Said::Failed),
            Verdict::Harmful | Verdict::HarmedLater => Some(Said::Harmful),
            Verdict::Undecided => Some(Said::Nothing),
            Verdict::Kept | Verdict::Reopened => None,
        },
        Stage::Running | Stage::Adopted { .. } => None,
    };
    Ended {
        said,
        exposures: exposures.unsigned_abs(),
    }
}
