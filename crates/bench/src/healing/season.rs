//! Faults one after the other in a house that learns: how many failures its user sees in all, against a
//! house that does nothing, one that believes the first recipe, one with the popular rule, and one that
//! knows.

use instar_improve::choose::{Chance, Chooser, Intent, Outcome, Spent, Strategy, Trialable};
use instar_improve::gene::{Change, Clock, Family, Pages, Proposal, Symptom};
use instar_protocol::fault::SignalKind;
use instar_release::mitigation::{Act, Mitigation, Reach};
use instar_release::trial::{Month, Plan, Stage, Trial, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::campaign::step;
use super::figure::{Mean, Rate};
use super::world::{Fault, Fix, Weather};
use crate::report::{row, say};
use crate::rollout::Dice;

/// Faults that a house meets, one after the other.
const FAULTS: usize = 24;
const FAMILIES: [Family; 4] = [
    Family::Transient,
    Family::Slow,
    Family::Limited,
    Family::Shape,
];
/// Recipes that fit every fault; the last asks for more rights than it may have by itself.
const GENES: usize = 6;
const ASKS_FOR_MORE: usize = GENES - 1;
/// The chance that any of the controls is called different though none is, and how many there are.
const CONTROL_LEVEL: f64 = 0.05;
const CONTROLS: f64 = 5.0;
/// What was chosen is believed to help with such a chance, in fifths.
const BINS: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum House {
    Instar,
    Never,
    Always,
    Classic,
    Oracle,
}

impl House {
    const ALL: [Self; 5] = [
        Self::Instar,
        Self::Never,
        Self::Always,
        Self::Classic,
        Self::Oracle,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Instar => "instar",
            Self::Never => "never a fix",
            Self::Always => "the first fix, always",
            Self::Classic => "classic 3/5",
            Self::Oracle => "oracle",
        }
    }
}

/// One base rate; with or without a right recipe among those that fit.
#[derive(Clone, Debug)]
pub(super) struct Season {
    base: f64,
    has_right: bool,
    /// Failures of a fault, by house.
    failures: [Mean; House::ALL.len()],
    /// By how many fewer failures than with nothing, as a part of these.
    improvement: Mean,
    /// The same as a number of failures of a house: its mean is 0 where nothing helps.
    spared: Mean,
    /// What was believed when it was chosen, and whether it helped.
    bins: [(Mean, Rate); BINS],
    brier: Mean,
    asked_for_more: u64,
    choices: u64,
}

impl Season {
    pub(super) fn new(base: f64, has_right: bool) -> Self {
        Self {
            base,
            has_right,
            failures: [Mean::default(); House::ALL.len()],
            improvement: Mean::default(),
            spared: Mean::default(),
            bins: [(Mean::default(), Rate::default()); BINS],
            brier: Mean::default(),
            asked_for_more: 0,
            choices: 0,
        }
    }

    pub(super) fn measure(&mut self, runs: u64, seed: u64) {
        for run in 0..runs {
            self.run(seed ^ 0x5ea5, run);
        }
    }

    fn run(&mut self, seed: u64, run: u64) {
        let mut sums = [0.0; House::ALL.len()];
        let mut chooser = Chooser::default();
        for number in 0..FAULTS {
            let family = number % FAMILIES.len();
            let luck = run * 1_000 + number as u64;
            for (house, sum) in House::ALL.into_iter().zip(&mut sums) {
                let mut dice = Dice::new(seed, luck);
                let failures = self.fault(house, family, &mut chooser, &mut dice, luck);
                self.failures[house as usize].note(failures);
                *sum += failures;
            }
        }
        let [ours, never, ..] = sums;
        self.improvement.note(1.0 - ours / f64::max(never, 1.0));
        self.spared.note(never - ours);
    }

    /// The failures of one fault over 100 / base exposures.
    fn fault(
        &mut self,
        house: House,
        family: usize,
        chooser: &mut Chooser,
        dice: &mut Dice,
        luck: u64,
    ) -> f64 {
        #[expect(clippy::cast_possible_truncation, reason = "at most a few thousand")]
        let exposures = (100.0 / self.base).round() as i64;
        let fault = Fault {
            base: self.base,
            weather: Weather::Steady,
            course: exposures,
        };
        let first = usize::try_from(luck).unwrap_or_default() % ASKS_FOR_MORE;
        match house {
            House::Never => plain(fault, None, exposures, dice),
            House::Always => plain(fault, Some(self.effect(first, family)), exposures, dice),
            House::Oracle => {
                let right = self.has_right.then_some(Fix::Right);
                plain(fault, right, exposures, dice)
            }
            House::Classic => self.classic(fault, family, first, exposures, dice),
            House::Instar => self.ours(fault, family, chooser, exposures, dice, luck),
        }
    }

    /// What a recipe really does about a family. The houses never see it.
    fn effect(&self, gene: usize, family: usize) -> Fix {
        if !self.has_right {
            return Fix::Useless;
        }
        match (gene + ASKS_FOR_MORE - family) % ASKS_FOR_MORE {
            0 => Fix::Right,
            1 => Fix::Harmful,
            _ => Fix::Useless,
        }
    }

    /// Three clean ones and the fix stays for good; a failure within five and the next one is tried.
    fn classic(
        &self,
        fault: Fault,
        family: usize,
        first: usize,
        exposures: i64,
        dice: &mut Dice,
    ) -> f64 {
        let (mut gene, mut tried, mut clean, mut stays) = (first, 1, 0, false);
        let mut failures = 0.0;
        for at in 0..exposures {
            let fix = (tried <= ASKS_FOR_MORE).then(|| self.effect(gene, family));
            let failed = fault.fails(at, fix, dice);
            failures += f64::from(u8::from(failed));
            if stays || fix.is_none() {
                continue;
            }
            if failed {
                (gene, tried, clean) = ((gene + 1) % ASKS_FOR_MORE, tried + 1, 0);
            } else {
                clean += 1;
                stays = clean >= 3;
            }
        }
        failures
    }

    fn ours(
        &mut self,
        fault: Fault,
        family: usize,
        chooser: &mut Chooser,
        exposures: i64,
        dice: &mut Dice,
        luck: u64,
    ) -> f64 {
        let mut chance = Chance::new(luck.wrapping_mul(0x9e37_79b9));
        let mut spent = Spent::default();
        let mut open: Vec<Trialable> = (0..GENES).map(|gene| option(gene, family)).collect();
        let mut running: Option<(usize, Trial)> = None;
        let mut failures = 0.0;
        for at in 0..exposures {
            if running.is_none() {
                running = self.begin(chooser, &mut open, &mut spent, &mut chance, family);
            }
            let Some((gene, trial)) = &mut running else {
                failures += f64::from(u8::from(fault.fails(at, None, dice)));
                continue;
            };
            let fix = self.effect(*gene, family);
            failures += f64::from(u8::from(step(trial, fault, fix, at, dice)));
            if *trial.stage() == Stage::Proven && trial.evidence_proven() >= Month::needed(1) {
                let _stage = trial.adopt();
                let symptom = option(*gene, family).symptom;
                chooser.learn(&name(*gene), FAMILIES[family], &symptom, Outcome::Helped);
            }
            if let Stage::Ended { verdict } = trial.stage()
                && *verdict != Verdict::Kept
            {
                let outcome = match verdict {
                    Verdict::Harmful | Verdict::HarmedLater | Verdict::Failed => Outcome::Hurt,
                    _ => Outcome::Unclear,
                };
                let symptom = option(*gene, family).symptom;
                chooser.learn(&name(*gene), FAMILIES[family], &symptom, outcome);
                running = None;
            }
        }
        failures
    }

    fn begin(
        &mut self,
        chooser: &Chooser,
        open: &mut Vec<Trialable>,
        spent: &mut Spent,
        chance: &mut Chance,
        family: usize,
    ) -> Option<(usize, Trial)> {
        let choice = chooser.choose(open, Strategy::Balanced, spent, chance)?;
        let at = open
            .iter()
            .position(|one| one.proposal.gene == choice.gene)?;
        let option = open.remove(at);
        let gene: usize = choice.gene.parse().ok()?;
        self.choices += 1;
        self.asked_for_more += u64::from(gene == ASKS_FOR_MORE);
        let believed = chooser.belief(&option).0.mean();
        let helps = self.effect(gene, family) == Fix::Right;
        let truth = f64::from(u8::from(helps));
        self.brier.note((believed - truth).powi(2));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fifth of one"
        )]
        let bin = ((believed * 5.0) as usize).min(BINS - 1);
        self.bins[bin].0.note(believed);
        self.bins[bin].1.note(helps);
        Some((gene, Trial::begin(Plan::coin()).ok()?))
    }

    fn ratio(&self, house: House, to: House) -> f64 {
        self.failures[house as usize].value() / self.failures[to as usize].value().max(1e-9)
    }

    /// With a right recipe: at most half of the failures. Without one ours sees as many as a house that
    /// does nothing, which is exactly so in the world that is simulated; the test of it is two-sided over
    /// all houses, and the controls together have the level.
    fn met(&self) -> (String, bool) {
        if self.has_right {
            let ratio = self.ratio(House::Instar, House::Never);
            return ("<= 0.5 of never".to_owned(), ratio <= 0.5);
        }
        let tail = CONTROL_LEVEL / 2.0 / CONTROLS;
        ("no difference".to_owned(), !self.spared.differs(tail))
    }

    pub(super) fn print(&self) {
        let kind = if self.has_right {
            "one recipe is right"
        } else {
            "negative control: every recipe is useless"
        };
        say(&format!("base {}, {kind}: failures of a fault", self.base));
        for house in House::ALL {
            let failures = &self.failures[house as usize];
            let figure = format!(
                "{:.1} ± {:.1}, {:.2} of never",
                failures.value(),
                failures.half(),
                self.ratio(house, House::Never)
            );
            let (bar, met) = match house {
                House::Instar => {
                    let (bar, met) = self.met();
                    (bar, Some(met))
                }
                _ => (String::new(), None),
            };
            row(&format!("  {}", house.name()), &figure, &bar, met);
        }
        let regret = self.failures[0].value() - self.failures[4].value();
        let told = format!(
            "{regret:.1}, {:.2} of the oracle's",
            self.ratio(House::Instar, House::Oracle)
        );
        row("  regret against the oracle", &told, "", None);
        let improvement = format!(
            "{:.4} ± {:.4}",
            self.improvement.value(),
            self.improvement.half()
        );
        row("  fewer failures than never", &improvement, "", None);
        let asked = format!("{} of {} choices", self.asked_for_more, self.choices);
        let met = Some(self.asked_for_more == 0);
        row("  asked for more rights, tried", &asked, "none", met);
        if self.has_right {
            let brier = format!("Brier {:.3}", self.brier.value());
            row("  what was believed of the chosen", &brier, "", None);
            for (believed, helped) in self.bins.iter().filter(|(_, helped)| helped.of > 0) {
                let figure = format!("{:.2} helped, of {}", helped.value(), helped.of);
                row(
                    &format!("    believed {:.2}", believed.value()),
                    &figure,
                    "",
                    None,
                );
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let houses = House::ALL.into_iter().map(|house| {
            let failures = &self.failures[house as usize];
            let of_never = self.ratio(house, House::Never);
            (
                house.name().to_owned(),
                json!({ "failures": failures.json(), "of_never": of_never }),
            )
        });
        let bins = self.bins.iter().filter(|(_, helped)| helped.of > 0);
        let bins: Vec<Value> = bins
            .map(|(believed, helped)| json!({ "believed": believed.value(), "helped": helped.json() }))
            .collect();
        let (bar, met) = self.met();
        json!({
            "base": self.base,
            "has_right": self.has_right,
            "houses": houses.collect::<serde_json::Map<_, _>>(),
            "regret": self.failures[0].value() - self.failures[4].value(),
            "of_oracle": self.ratio(House::Instar, House::Oracle),
            "improvement": self.improvement.json(),
            "spared": self.spared.json(),
            "asked_for_more": self.asked_for_more,
            "calibration": { "brier": self.brier.value(), "bins": bins },
            "bar": { "what": bar, "met": met && self.asked_for_more == 0 },
        })
    }
}

fn plain(fault: Fault, fix: Option<Fix>, exposures: i64, dice: &mut Dice) -> f64 {
    (0..exposures)
        .map(|at| f64::from(u8::from(fault.fails(at, fix, dice))))
        .sum()
}

fn name(gene: usize) -> String {
    gene.to_string()
}

/// A recipe that fits; what it really does is not in here.
fn option(gene: usize, family: usize) -> Trialable {
    let kinds = [
        SignalKind::Network,
        SignalKind::Timeout,
        SignalKind::RateLimit,
        SignalKind::ArgumentShape,
    ];
    let texts = [
        "connection reset",
        "took too long",
        "too many requests",
        "must be text",
    ];
    let symptom = Symptom {
        fault: format!("flt_{family}"),
        kind: kinds[family],
        also: BTreeSet::new(),
        place: "tool:search".to_owned(),
        detail: String::new(),
        text: texts[family].to_owned(),
        is_outside: false,
        environment: String::new(),
        clock: Clock::default(),
        pages: Pages::default(),
        notes: Vec::new(),
    };
    let act = Act::Retry {
        tool: "search".to_owned(),
        again: 1,
        pause_ms: 1,
    };
    let mitigation = Mitigation {
        id: format!("gene-{gene}"),
        gene: name(gene),
        fault: symptom.fault.clone(),
        reach: Reach::Everybody,
        trial: None,
        act,
    };
    Trialable {
        symptom,
        proposal: Proposal {
            gene: name(gene),
            agent: "main".to_owned(),
            id: mitigation.id.clone(),
            change: Change::Mitigation(Box::new(mitigation)),
        },
        family: FAMILIES[family],
        purpose: Intent::Repair,
        failures: 10,
        is_mitigated: false,
        needs_person: gene == ASKS_FOR_MORE,
    }
}
