//! What the owner agrees to before the first unit, and how long it will take.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::outcome::{COST, LATENCY, QUESTIONS, TASK};
use crate::evidence::{Belief, count, divergence, units_to_decide};
use crate::gate::Step as Far;

/// What the owner agreed to before the first unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Both arms answer first, and only stable's answer is sent.
    #[serde(default)]
    pub shadow: Option<Shadow>,
    /// Shares of new units that the candidate is given, one after the other.
    pub steps: Vec<Step>,
    /// By name. The weights sum to 1; the primary one has nine tenths, or all of it if it is alone.
    pub metrics: BTreeMap<String, Metric>,
    /// The chance of taking back a candidate that is no worse, and of promoting one that is worse by a
    /// margin.
    pub level: f64,
    /// Units after which the rollout stops being undecided for ever: it holds, and says so.
    pub horizon: u64,
    #[serde(default)]
    pub episode: EpisodeRules,
    #[serde(default)]
    pub caps: Caps,
    /// Two good answers beside each other: the evidence is shown, and nobody wins by itself. What never
    /// happens under a sound release still ends it.
    #[serde(default)]
    pub is_ab: bool,
    /// How far it goes before its owner has said yes.
    #[serde(default = "all_the_way")]
    pub may: Far,
    /// What follows a promotion.
    #[serde(default)]
    pub watch: Option<WatchPlan>,
    /// The rate of bad episodes that was usual before, at the most: both arms together are held against it.
    #[serde(default)]
    pub objective: Option<f64>,
    /// Metrics that are judged before the others.
    #[serde(default)]
    pub fast: Option<Fast>,
    /// Episodes of each arm that somebody has to be heard of before a promotion: silence is no success.
    pub heard_min: u64,
    /// What else was tried of late.
    #[serde(default)]
    pub tries: Tries,
}

/// Candidates that were served to somebody before this one, in a month. Who tries often enough finds one that
/// luck promotes, so that each has less of the level than the one before, and more again for what was promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    pub before: u32,
    pub promoted: u32,
}

fn all_the_way() -> Far {
    Far::Stable
}

/// A share of the episodes stays with the release before, for so many episodes after a promotion.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchPlan {
    pub units: u64,
    pub held_out: f64,
}

/// The metrics that need nobody's word. Groups of different maturity see each other's coins early, so that they
/// share the level instead of an average.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fast {
    pub metrics: BTreeSet<String>,
    /// How long after the end of an episode they are judged.
    pub maturity_millis: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub share: f64,
    /// Settled units of this step before the next one. They hold back no rollback.
    pub units_min: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Metric {
    pub weight: f64,
    /// How much worse a candidate that is promoted may be.
    pub margin: f64,
    /// Promotion needs this one.
    pub required: bool,
}

/// The stage before anybody is sent a word of the candidate's.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shadow {
    /// Judged pairs after which the first step begins, if the shadow has come to nothing before.
    pub pairs_max: u64,
    /// The part of the stake that is bet here. It comes before the steps, so that they go on with the rest
    /// and with what became of it.
    pub stake: f64,
}

impl Shadow {
    /// The shadow as it is without anybody's wish.
    #[must_use]
    pub fn of(pairs_max: u64) -> Self {
        Self {
            pairs_max,
            stake: STAKE,
        }
    }

    /// What is left of a stake of 1 where the pairs say so much.
    pub(super) fn capital(self, evidence: f64) -> f64 {
        1.0 - self.stake + self.stake * evidence
    }

    /// The evidence of the pairs at which the candidate is taken back.
    pub(super) fn bound(self, level: f64) -> f64 {
        (1.0 / level - (1.0 - self.stake)) / self.stake
    }
}

/// What an episode is, and when it is judged. Fixed before the first one, the same on both arms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpisodeRules {
    /// Silence that ends it.
    pub idle_millis: u64,
    /// Turns that end it.
    pub turns_max: u32,
    /// How long after its end it is judged; good and bad news alike.
    pub maturity_millis: u64,
}

impl Default for EpisodeRules {
    fn default() -> Self {
        Self {
            idle_millis: 30 * 60 * 1_000,
            turns_max: 20,
            maturity_millis: 10 * 60 * 1_000,
        }
    }
}

/// What counts as dear and as slow, from what the stable release did before the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Caps {
    /// Millionths of a dollar per turn.
    pub cost_micros: Option<u64>,
    pub millis: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the rollout has no step")]
    NoStep,
    #[error(
        "step {0}: a share is more than 0 and at most 1, and none is smaller than the one before"
    )]
    Share(usize),
    #[error("the rollout has no metric that promotion needs")]
    NothingRequired,
    #[error(
        "metric {0}: weight and margin are more than 0 and less than 1, and the weights sum to 1"
    )]
    Metric(String),
    #[error("the level is a chance of being wrong: more than 0 and less than a half")]
    Level,
    #[error("the shadow's part of the stake is more than 0 and less than 1")]
    Shadow,
    #[error(
        "a watch has at least one episode, and holds out more than none and less than half of them"
    )]
    Watch,
    #[error(
        "metrics that are judged before the others are some of them and not all, and are judged earlier"
    )]
    Fast,
    #[error("an episode has at least one turn, and a horizon at least one unit")]
    Nothing,
}

impl Plan {
    /// The plan over the given shares: task success decides, what can be measured beside it has its say.
    #[must_use]
    pub fn over(shares: &[f64], units_min: u64, caps: Caps) -> Self {
        let metric = |weight, required| Metric {
            weight,
            margin: MARGIN,
            required,
        };
        let beside: Vec<&str> = [
            caps.cost_micros.map(|_| COST),
            caps.millis.map(|_| LATENCY),
            Some(QUESTIONS),
        ]
        .into_iter()
        .flatten()
        .collect();
        let each = (1.0 - PRIMARY) / beside.iter().map(|_| 1.0).sum::<f64>();
        let beside = beside
            .into_iter()
            .map(|name| (name.to_owned(), metric(each, false)));
        let primary = (TASK.to_owned(), metric(PRIMARY, true));
        Self {
            shadow: None,
            steps: shares
                .iter()
                .map(|share| Step {
                    share: *share,
                    units_min,
                })
                .collect(),
            metrics: beside.chain([primary]).collect(),
            level: LEVEL,
            horizon: HORIZON,
            episode: EpisodeRules::default(),
            caps,
            is_ab: false,
            may: Far::Stable,
            watch: Some(WatchPlan {
                units: WATCH_UNITS,
                held_out: HELD_OUT,
            }),
            objective: None,
            fast: None,
            heard_min: HEARD_MIN,
            tries: Tries::default(),
        }
    }

    /// Judges what needs nobody's word so long after the end of an episode, and the rest at its maturity.
    pub fn judge_early(&mut self, maturity_millis: u64) {
        let beside = self.metrics.keys().filter(|name| *name != TASK);
        self.fast = Some(Fast {
            metrics: beside.cloned().collect(),
            maturity_millis,
        });
    }

    pub fn check(&self) -> Result<(), PlanError> {
        let mut before = 0.0;
        for (at, step) in self.steps.iter().enumerate() {
            if !(step.share > 0.0 && step.share <= 1.0 && step.share >= before) {
                return Err(PlanError::Share(at));
            }
            before = step.share;
        }
        if self.steps.is_empty() {
            return Err(PlanError::NoStep);
        }
        if !(self.level > 0.0 && self.level < 0.5) {
            return Err(PlanError::Level);
        }
        if self
            .shadow
            .is_some_and(|shadow| !(shadow.stake > 0.0 && shadow.stake < 1.0))
        {
            return Err(PlanError::Shadow);
        }
        if self.episode.turns_max == 0 || self.horizon == 0 {
            return Err(PlanError::Nothing);
        }
        if self.watch.is_some_and(|watch| {
            watch.units == 0 || !(watch.held_out > 0.0 && watch.held_out < 0.5)
        }) {
            return Err(PlanError::Watch);
        }
        if let Some(fast) = &self.fast {
            let is_one = |name: &String| fast.metrics.contains(name);
            let some = self.metrics.keys().filter(|name| is_one(name)).count();
            let sound = some > 0
                && some == fast.metrics.len()
                && some < self.metrics.len()
                && fast.maturity_millis <= self.episode.maturity_millis;
            if !sound {
                return Err(PlanError::Fast);
            }
        }
        let sum: f64 = self.metrics.values().map(|metric| metric.weight).sum();
        for (name, metric) in &self.metrics {
            let sound = metric.weight > 0.0 && metric.margin > 0.0 && metric.margin < 1.0;
            if !sound || (sum - 1.0).abs() > 1e-9 {
                return Err(PlanError::Metric(name.clone()));
            }
        }
        if self.metrics.values().any(|metric| metric.required) {
            Ok(())
        } else {
            Err(PlanError::NothingRequired)
        }
    }

    /// The level of a rollback by one group of metrics: two groups have half of it each.
    #[must_use]
    pub fn level_of_group(&self) -> f64 {
        let groups = if self.fast.is_some() { 2.0 } else { 1.0 };
        self.level / groups
    }

    /// The level of a promotion.
    #[must_use]
    pub fn level_of_promotion(&self) -> f64 {
        let number = f64::from(self.tries.before) + 1.0;
        let gained = 1.0 + f64::from(self.tries.promoted);
        self.level * gained / (number * (number + 1.0))
    }

    /// Whether a metric is judged before the others.
    #[must_use]
    pub fn is_fast(&self, metric: &str) -> bool {
        self.fast
            .as_ref()
            .is_some_and(|fast| fast.metrics.contains(metric))
    }

    /// By how much worse a candidate is that leaves the shadow before its time: the least margin of a metric
    /// that promotion needs.
    pub(super) fn margin(&self) -> f64 {
        let required = self.metrics.values().filter(|metric| metric.required);
        required
            .map(|metric| metric.margin)
            .fold(MARGIN_MAX, f64::min)
    }

    /// What the metric that promotion needs has to say by itself, so that the average of its group is at the
    /// bound although the others say nothing. After a shadow in which half of what was bet is gone.
    fn bound_of_primary(&self) -> f64 {
        let (mut own, mut group) = (0.0, 0.0);
        for (name, metric) in &self.metrics {
            group += if self.is_fast(name) {
                0.0
            } else {
                metric.weight
            };
            own += if metric.required { metric.weight } else { 0.0 };
        }
        let capital = self.shadow.map_or(1.0, |shadow| shadow.capital(0.5));
        group.max(own) / own / (self.level_of_group() * capital)
    }

    /// Leaves out the steps that could not see a doubling of the given rate within the horizon, as a step
    /// that decides nothing only takes time. The last one stays. What was left out is returned.
    pub fn skip_idle_steps(&mut self, base: f64) -> Vec<Step> {
        let last = self.steps.len().saturating_sub(1);
        let horizon = count(self.horizon);
        let bound = self.bound_of_primary();
        let can = |step: &Step| {
            units_to_decide(Belief::new(2.0 * base, base), step.share, 1.0 / bound)
                .is_some_and(|units| units <= horizon)
        };
        let (kept, skipped): (Vec<_>, Vec<_>) = self
            .steps
            .drain(..)
            .enumerate()
            .partition(|(at, step)| *at == last || can(step));
        self.steps = kept.into_iter().map(|(_, step)| step).collect();
        skipped.into_iter().map(|(_, step)| step).collect()
    }

    /// How long each stage needs to see a doubling of this rate.
    #[must_use]
    pub fn forecast(&self, base: f64, units_per_day: f64) -> Forecast {
        let doubled = Belief::new(2.0 * base, base);
        let bound = self.bound_of_primary();
        let days = |units: f64| (units_per_day > 0.0).then(|| units / units_per_day);
        let steps = self.steps.iter().map(|step| {
            let units = units_to_decide(doubled, step.share, 1.0 / bound);
            StepForecast {
                share: step.share,
                units,
                days: units.and_then(days),
                decides: units.is_some_and(|units| units <= count(self.horizon)),
            }
        });
        let pairs = |shared: f64| {
            let shadow = self.shadow?;
            let growth = growth_of_pairs(doubled, shared);
            let bound = shadow.bound(self.level) / FAILED;
            (growth > 1e-12).then(|| bound.ln() / growth)
        };
        Forecast {
            base,
            units_per_day,
            pairs: pairs(SHARED),
            pairs_apart: pairs(0.0),
            steps: steps.collect(),
        }
    }
}

/// How long it will take, about half of the time, to see the rate of bad episodes double.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// The rate of bad episodes at present.
    pub base: f64,
    pub units_per_day: f64,
    /// Judged pairs that the shadow needs, where both arms mostly fail at the same things.
    pub pairs: Option<f64>,
    /// The same where what one fails at says nothing of the other.
    pub pairs_apart: Option<f64>,
    pub steps: Vec<StepForecast>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepForecast {
    pub share: f64,
    pub units: Option<f64>,
    pub days: Option<f64>,
    /// Within the horizon.
    pub decides: bool,
}

impl Forecast {
    /// A line for people for each stage.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let base = 100.0 * self.base;
        let per_day = self.units_per_day;
        let shadow = self.pairs.zip(self.pairs_apart).map(|(pairs, apart)| {
            format!(
                "the shadow needs about {pairs:.0} judged pairs if both arms mostly fail at the same things, {apart:.0} if not"
            )
        });
        let steps = self.steps.iter().map(|step| {
            let share = 100.0 * step.share;
            match (step.units, step.days) {
                (Some(units), Some(days)) if step.decides => format!(
                    "at your {per_day:.0} episodes a day a share of {share:.0} % needs about {} \
                     ({units:.0} episodes) to see a doubling from {base:.1} %",
                    in_days(days)
                ),
                (Some(units), _) if step.decides => format!(
                    "a share of {share:.0} % needs about {units:.0} episodes to see a doubling from {base:.1} %"
                ),
                _ => format!(
                    "a share of {share:.0} % does not see a doubling from {base:.1} % within the horizon"
                ),
            }
        });
        shadow.into_iter().chain(steps).collect()
    }
}

fn in_days(days: f64) -> String {
    match days.round() {
        ..=1.0 => "a day".to_owned(),
        more => format!("{more:.0} days"),
    }
}

/// How much worse a promoted candidate may be, unless the owner says otherwise.
const MARGIN: f64 = 0.05;
const MARGIN_MAX: f64 = 0.99;
/// What the metric has of the average that promotion needs. With a half it would find its own harm a fifth later.
const PRIMARY: f64 = 0.9;
/// What failures have of the evidence of pairs; the rest is for who asked for effects.
pub(super) const FAILED: f64 = 0.94;
/// What the shadow bets of the stake. Of a sound candidate's about half is left when it ends.
const STAKE: f64 = 0.9;
/// How often both arms of a pair share their luck, for a forecast.
pub(super) const SHARED: f64 = 0.8;
const LEVEL: f64 = 0.05;
const HEARD_MIN: u64 = 10;
const HORIZON: u64 = 2_000;
/// Episodes of the watch after a promotion, and the share of them that stays with the release before.
const WATCH_UNITS: u64 = 2_000;
const HELD_OUT: f64 = 0.1;

/// By how much the logarithm of the evidence grows with each pair, where both arms share their luck so often.
fn growth_of_pairs(rates: Belief, shared: f64) -> f64 {
    let apart = |this: f64, other: f64| (1.0 - shared) * this * (1.0 - other);
    let worse = shared * (rates.new - rates.old).max(0.0) + apart(rates.new, rates.old);
    let differ = worse + apart(rates.old, rates.new);
    let tilt = if differ > 0.0 { worse / differ } else { 0.5 };
    differ * divergence(tilt, 0.5)
}
