//! Many fixes at once: what is adopted by itself, and how soon late harm is taken back.

use instar_release::evidence::Arm;
use instar_release::trial::{Month, Plan, Settled, Stage, Trial, Verdict};
use serde_json::{Value, json};

use super::figure::{Mean, Rate, quantile};
use super::world::{Fault, Fix, Weather};
use crate::report::{row, say};
use crate::rollout::Dice;

/// Exposures of each fix in a campaign.
const EXPOSURES: i64 = 1_500;
const BASE: f64 = 0.1;

/// Ten slots of a month, so many of them with fixes that do nothing.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    useless: usize,
    of: usize,
    discoveries: Mean,
    any_false: Rate,
    power: Rate,
    /// The same where each fix is called proven by itself.
    alone_discoveries: Mean,
    alone_any: Rate,
}

impl Campaign {
    pub(super) fn new(useless: usize, of: usize) -> Self {
        Self {
            useless,
            of,
            discoveries: Mean::default(),
            any_false: Rate::default(),
            power: Rate::default(),
            alone_discoveries: Mean::default(),
            alone_any: Rate::default(),
        }
    }

    pub(super) fn measure(&mut self, runs: u64, seed: u64) {
        for run in 0..runs {
            self.run(&mut Dice::new(seed ^ 0x00c0_ffee, run));
        }
    }

    fn run(&mut self, dice: &mut Dice) {
        let fault = Fault {
            base: BASE,
            weather: Weather::Steady,
            course: EXPOSURES,
        };
        let mut month = Month::new("2026-01");
        let mut trials: Vec<(String, Fix, Trial)> = Vec::new();
        for number in 0..self.of {
            let fix = if number < self.useless {
                Fix::Useless
            } else {
                Fix::Right
            };
            let name = number.to_string();
            if let (Ok(trial), Ok(())) = (Trial::begin(Plan::coin()), month.enter(&name)) {
                trials.push((name, fix, trial));
            }
        }
        for at in 0..EXPOSURES {
            for (name, fix, trial) in &mut trials {
                if !matches!(trial.stage(), Stage::Running | Stage::Proven) {
                    continue;
                }
                step(trial, fault, *fix, at, dice);
                month.note(name, trial.evidence_proven());
            }
            for name in month.adopt() {
                if let Some((_, _, trial)) = trials.iter_mut().find(|(other, ..)| *other == name) {
                    let _stage = trial.adopt();
                }
            }
        }
        let count = |is: &dyn Fn(&Trial) -> bool, fix: Fix| {
            let those = trials.iter().filter(|(_, other, _)| *other == fix);
            u32::try_from(those.filter(|(_, _, trial)| is(trial)).count()).unwrap_or(u32::MAX)
        };
        let adopted = |trial: &Trial| matches!(trial.stage(), Stage::Adopted { .. });
        let proven = |trial: &Trial| {
            adopted(trial)
                || *trial.stage() == Stage::Proven
                || *trial.stage()
                    == Stage::Ended {
                        verdict: Verdict::HarmedLater,
                    }
        };
        let share = |wrong: u32, right: u32| f64::from(wrong) / f64::from((wrong + right).max(1));
        let (wrong, right) = (count(&adopted, Fix::Useless), count(&adopted, Fix::Right));
        self.discoveries.note(share(wrong, right));
        self.any_false.note(wrong > 0);
        for (_, _, trial) in trials.iter().filter(|(_, fix, _)| *fix == Fix::Right) {
            self.power.note(adopted(trial));
        }
        let (wrong, right) = (count(&proven, Fix::Useless), count(&proven, Fix::Right));
        self.alone_discoveries.note(share(wrong, right));
        self.alone_any.note(wrong > 0);
    }

    /// At most one in twenty of what is adopted by itself is useless, within what the runs can tell.
    fn holds(&self) -> bool {
        self.discoveries.value() - self.discoveries.half() <= 0.05
    }

    pub(super) fn print(&self) {
        let name = format!("{} of {} fixes useless", self.useless, self.of);
        let figure = format!(
            "{:.4} ± {:.4}, any {:.3}, power {:.3}",
            self.discoveries.value(),
            self.discoveries.half(),
            self.any_false.value(),
            self.power.value()
        );
        let met = Some(self.holds());
        row(&name, &figure, "FDR <= 0.05", met);
        let alone = format!(
            "{:.4}, any {:.3}",
            self.alone_discoveries.value(),
            self.alone_any.value()
        );
        row("  each by itself at 20", &alone, "", None);
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "useless": self.useless,
            "of": self.of,
            "false_discovery_rate": self.discoveries.json(),
            "any_false": self.any_false.json(),
            "power": self.power.json(),
            "each_by_itself": {
                "false_discovery_rate": self.alone_discoveries.json(),
                "any_false": self.alone_any.json(),
            },
        })
    }
}

/// A fix that is right until it is adopted and then does harm: how long it stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Rollback {
    runs: u64,
    after: Vec<u64>,
    failures: Mean,
}

impl Rollback {
    pub(super) fn measure(&mut self, runs: u64, seed: u64) {
        for run in 0..runs {
            self.run(&mut Dice::new(seed ^ 0x0bad, run));
        }
        self.after.sort_unstable();
    }

    fn run(&mut self, dice: &mut Dice) {
        let mut fault = Fault {
            base: BASE,
            weather: Weather::Steady,
            course: EXPOSURES,
        };
        let Ok(mut trial) = Trial::begin(Plan::coin()) else {
            return;
        };
        let mut at = 0;
        while !matches!(trial.stage(), Stage::Proven | Stage::Ended { .. }) {
            step(&mut trial, fault, Fix::Right, at, dice);
            at += 1;
        }
        if trial.adopt().is_none() {
            return;
        }
        self.runs += 1;
        fault.course = i64::MAX;
        let (mut since, mut failures) = (0_u64, 0_u32);
        while matches!(trial.stage(), Stage::Adopted { .. }) {
            let failed = step(&mut trial, fault, Fix::Late(0), at, dice);
            failures += u32::from(failed);
            (at, since) = (at + 1, since + 1);
        }
        let harmed = Stage::Ended {
            verdict: Verdict::HarmedLater,
        };
        if *trial.stage() == harmed {
            self.after.push(since);
            self.failures.note(f64::from(failures));
        }
    }

    pub(super) fn print(&self) {
        let shown = |part| {
            quantile(&self.after, self.runs, part)
                .map_or_else(|| "-".to_owned(), |at| at.to_string())
        };
        let figure = format!(
            "{} / {} exposures, {:.0} failures",
            shown(0.5),
            shown(0.9),
            self.failures.value()
        );
        say("a fix that, once adopted, triples the failures of a fault at 0.1");
        row("  taken back after", &figure, "", None);
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "runs": self.runs,
            "median_exposures": quantile(&self.after, self.runs, 0.5),
            "p90_exposures": quantile(&self.after, self.runs, 0.9),
            "failures_until_then": self.failures.json(),
        })
    }
}

/// One exposure of a fault whose fix is on trial; whether it ended badly for the user.
pub(super) fn step(trial: &mut Trial, fault: Fault, fix: Fix, at: i64, dice: &mut Dice) -> bool {
    let share = trial.share();
    let arm = if dice.throw() < share {
        Arm::New
    } else {
        Arm::Old
    };
    let failed = fault.fails(at, (arm == Arm::New).then_some(fix), dice);
    let _stage = trial.settle(&Settled {
        unit: at.to_string(),
        arm,
        share,
        bad: Some(f64::from(u8::from(failed))),
    });
    failed
}
