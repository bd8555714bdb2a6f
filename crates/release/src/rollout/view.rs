//! A rollout as people look at it: nothing is decided here.

use instar_protocol::event::Arm as Served;
use serde::{Deserialize, Serialize};

use super::after::{Alarm, AlarmView, WatchView, Watching};
use super::machine::Rollout;
use super::stage::{Hold, Stage};
use crate::evidence::{Arm, count};
use crate::gate::Step as Far;

impl Rollout {
    /// The stage for people.
    #[must_use]
    pub fn words(&self) -> String {
        match self.stage() {
            Stage::Shadow if self.awaits().is_some() => {
                "shadow, which found nothing: it waits for your yes".to_owned()
            }
            Stage::Shadow => "shadow".to_owned(),
            Stage::Canary { step } => {
                let steps = &self.plan().steps;
                let share = 100.0 * steps.get(*step).map_or(0.0, |step| step.share);
                let paused = if self.is_paused() { ", paused" } else { "" };
                let waits = self
                    .awaits()
                    .map_or("", |_| ", sound: it waits for your yes");
                let (at, of) = (step + 1, steps.len());
                let leads = self
                    .leader()
                    .map_or(String::new(), |who| format!(", {who}"));
                format!("step {at} of {of}, {share:.0} % of new episodes{paused}{waits}{leads}")
            }
            Stage::Promoted => "promoted".to_owned(),
            Stage::RolledBack { why } => format!("taken back: {}", why.words()),
            Stage::Undecided if self.plan().is_ab => {
                let who = self.leader().unwrap_or("neither arm is clearly better");
                format!("over, and nothing follows from it by itself: {who}")
            }
            Stage::Undecided => "undecided: neither worse nor sound within the horizon".to_owned(),
            Stage::Superseded => "superseded: another release became stable".to_owned(),
        }
    }

    fn leader(&self) -> Option<&'static str> {
        self.leads().map(|arm| match arm {
            Arm::New => "the candidate is clearly better",
            Arm::Old => "the stable release is clearly better",
        })
    }

    /// What people look at.
    #[must_use]
    pub fn view(&self) -> View {
        let metrics = self.judged.iter().map(|(name, judged)| {
            let metric = self.plan.metrics.get(name);
            MetricView {
                name: name.clone(),
                weight: metric.map_or(0.0, |metric| metric.weight),
                margin: metric.map_or(0.0, |metric| metric.margin),
                required: metric.is_some_and(|metric| metric.required),
                evidence_worse: judged.worse.evidence(),
                evidence_sound: judged.within.evidence(),
                canary: ArmView::new(judged.units.new, judged.covered.new, judged.bad.new),
                stable: ArmView::new(judged.units.old, judged.covered.old, judged.bad.old),
            }
        });
        View {
            stage: self.stage.clone(),
            is_paused: self.is_paused,
            share: self.share(),
            settled: self.settled,
            in_step: self.in_step,
            evidence_worse: self.evidence_worse(),
            worse_at: self.worse_at(),
            evidence_sound: self.evidence_sound(),
            sound_at: 1.0 / self.plan.level_of_promotion(),
            pairs: self.paired.settled(),
            evidence_paired: self.evidence_paired(),
            paired_at: self.plan.shadow.map(|shadow| shadow.bound(self.plan.level)),
            hold: self.hold(),
            heard: (self.heard.new, self.heard.old),
            awaits: self.awaits(),
            leads: self.leads().map(|arm| match arm {
                Arm::New => Served::Canary,
                Arm::Old => Served::Stable,
            }),
            watch: self.watching.as_ref().map(Watching::view),
            alarm: self.alarm.as_ref().map(Alarm::view),
            metrics: metrics.collect(),
        }
    }
}

/// A rollout as people look at it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct View {
    pub stage: Stage,
    pub is_paused: bool,
    pub share: f64,
    pub settled: u64,
    pub in_step: u64,
    /// That the candidate is worse; it is taken back at `worse_at`.
    pub evidence_worse: f64,
    pub worse_at: f64,
    /// That it is not worse by the margin; it is promoted at `sound_at`.
    pub evidence_sound: f64,
    pub sound_at: f64,
    /// Episodes that both arms answered and that could be judged.
    pub pairs: u64,
    pub evidence_paired: f64,
    /// Taken back there, in the shadow.
    pub paired_at: Option<f64>,
    pub hold: Option<Hold>,
    /// Episodes of the candidate, and of the stable release, that somebody was heard of.
    pub heard: (u64, u64),
    /// How far it would go now if its owner let it.
    pub awaits: Option<Far>,
    /// The arm that is clearly better, where two answers stand beside each other.
    #[serde(default)]
    pub leads: Option<Served>,
    /// What follows its promotion.
    pub watch: Option<WatchView>,
    pub alarm: Option<AlarmView>,
    pub metrics: Vec<MetricView>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetricView {
    pub name: String,
    pub weight: f64,
    pub margin: f64,
    pub required: bool,
    pub evidence_worse: f64,
    pub evidence_sound: f64,
    pub canary: ArmView,
    pub stable: ArmView,
}

/// What one arm brought. The interval is a picture for people: nothing is decided by it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ArmView {
    pub units: u64,
    /// Units with data.
    pub covered: u64,
    pub bad: f64,
    pub rate: Option<f64>,
    /// Wilson's, at 95 %.
    pub interval: Option<(f64, f64)>,
}

impl ArmView {
    fn new(units: u64, covered: u64, bad: f64) -> Self {
        let interval = (covered > 0).then(|| wilson(bad, covered));
        Self {
            units,
            covered,
            bad,
            rate: (covered > 0).then(|| bad / count(covered)),
            interval,
        }
    }
}

/// Where a rate may lie, with a confidence of 95 %.
#[must_use]
pub fn wilson(bad: f64, units: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_985;
    let n = count(units);
    let rate = bad / n;
    let scale = 1.0 / (1.0 + Z * Z / n);
    let middle = scale * (rate + Z * Z / (2.0 * n));
    let half = scale * Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}
