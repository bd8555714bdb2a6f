//! What a behaviour does about faults, done: where a faulty path is entered, the coin is thrown, the
//! exposure is noted, and only then anything else happens.
//!
//! The outcome is read at the end of the turn, by what the coin said and not by what ran; how it is read is
//! in the kind of mitigation and no behaviour can change it. A behaviour without mitigations costs one look
//! at an empty list.

mod memory;
mod tools;

use instar_protocol::event::{EventKind, TurnOutcome};
use instar_protocol::model::{ModelRef, SystemSection};
use instar_protocol::{Label, SessionId};
use instar_release::evidence::Arm;
use instar_release::mitigation::{Act, Mitigation, Reach, Site, Toss, TossUnit};

use crate::driver::{Basis, Turn};
use crate::tokens;

pub(crate) use memory::Mends;
use memory::Verdict;
pub use memory::{Thrown, ThrownTurn, TrialsPort};
pub(crate) use tools::Mended;

/// What stands before the lessons of a prompt.
const LESSONS: &str = "What the house learned about its tools:";

/// The mitigations of one turn: whose path was entered, and what the coin said.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    entered: Vec<Entered>,
}

#[derive(Debug)]
struct Entered {
    id: String,
    is_on: bool,
    /// What is counted, where something is on trial and not washed out.
    counted: Option<(String, String)>,
    /// The tools whose last result is read, and what it was.
    reads: Vec<String>,
    last_failed: Option<bool>,
}

impl Mending {
    /// Notes how a call ended.
    pub(crate) fn came(&mut self, tool: &str, is_error: bool) {
        let reads = |one: &&mut Entered| one.reads.iter().any(|read| read == tool);
        for one in self.entered.iter_mut().filter(reads) {
            one.last_failed = Some(is_error);
        }
    }

    /// True if the mitigation acts in this turn.
    fn is_on(&self, id: &str) -> bool {
        self.entered.iter().any(|one| one.id == id && one.is_on)
    }
}

impl Turn {
    /// A faulty path may begin here: throws the coins that were not thrown yet in this turn, notes the
    /// exposures, and says what is to be done.
    pub(crate) fn enter(&mut self, basis: &Basis, site: Site<'_>) -> Vec<Act> {
        let all = &basis.behaviour(self).mitigations;
        if all.is_empty() {
            return Vec::new();
        }
        let is_outside = self.record.is_outside();
        let here = |one: &&Mitigation| {
            one.act.site() == site && (is_outside || one.reach == Reach::Everybody)
        };
        let mut acts = Vec::new();
        for mitigation in all.iter().filter(here) {
            if self.throw(mitigation) {
                acts.push(mitigation.act.clone());
            }
        }
        acts
    }

    /// Whether the mitigation acts in this turn. Told once, whatever is asked how often.
    fn throw(&mut self, mitigation: &Mitigation) -> bool {
        let entered = &self.found.mending.entered;
        if let Some(known) = entered.iter().find(|one| one.id == mitigation.id) {
            return known.is_on;
        }
        let (is_on, counted) = match mitigation.trial {
            None => (true, None),
            Some(toss) => self.toss(mitigation, toss),
        };
        let reads = mitigation.act.read_from();
        self.found.mending.entered.push(Entered {
            id: mitigation.id.clone(),
            is_on,
            counted,
            reads: reads.into_iter().map(str::to_owned).collect(),
            last_failed: None,
        });
        is_on
    }

    fn toss(&mut self, mitigation: &Mitigation, toss: Toss) -> (bool, Option<(String, String)>) {
        let mends = &self.house.mends;
        let experiment = mitigation.experiment(self.record.agent().as_str());
        let share = mends.share(&experiment).unwrap_or(toss.share_permille);
        if share == 0 {
            // Taken back: at once, for whoever had it.
            return (false, None);
        }
        let (unit, is_counted) = self.unit(toss.unit);
        let (arm, share_permille) = match toss.unit {
            TossUnit::Exposure => {
                let coin = mends.coin(&experiment);
                (coin.throw(&unit, f64::from(share) / 1_000.0), share)
            }
            TossUnit::Block { .. } | TossUnit::Episode => mends.arm(&experiment, &unit, share),
        };
        let is_on = arm == Arm::New;
        // Without chance, or without a control, there is nothing to learn.
        let is_open = |permille: u16| (1..=999).contains(&permille);
        if !(is_counted && is_open(share) && is_open(share_permille)) {
            return (is_on, None);
        }
        let kind = EventKind::Exposure {
            fault: mitigation.fault.clone(),
            mitigation: mitigation.id.clone(),
            experiment: experiment.clone(),
            unit: unit.clone(),
            with_fix: is_on,
            share_permille,
        };
        self.record.event(Label::system(), kind);
        (is_on, Some((experiment, unit)))
    }

    /// The unit of an exposure now, and whether it counts.
    fn unit(&self, unit: TossUnit) -> (String, bool) {
        match unit {
            TossUnit::Exposure => (self.run.to_string(), true),
            TossUnit::Block {
                minutes,
                wash_minutes,
            } => {
                let minute = self.house.now().millis() / 60_000;
                let length = u64::from(minutes.max(1));
                let begun = minute - minute % length;
                let is_washed = minute - begun < u64::from(wash_minutes);
                (format!("block-{begun}-{length}"), !is_washed)
            }
            TossUnit::Episode => {
                let session: &SessionId = self.record.session();
                let now = self.house.now();
                (self.house.mends.episode(session, &self.run, now), true)
            }
        }
    }

    /// What is done to the turn as a whole: sentences in the prompt, tools that are not shown.
    pub(crate) fn mend_turn(&mut self, basis: &mut Basis) {
        let mut lessons = Vec::new();
        for act in self.enter(basis, Site::Turn) {
            match act {
                Act::Prefer { tool, over } => {
                    let has = |name: &str| basis.tools.iter().any(|spec| spec.name == name);
                    if has(&tool) && has(&over) {
                        basis.tools.retain(|spec| spec.name != over);
                    }
                }
                Act::Lesson(lesson) => lessons.push(lesson.text()),
                _ => {}
            }
        }
        if lessons.is_empty() {
            return;
        }
        let text = format!("{LESSONS}\n- {}", lessons.join("\n- "));
        basis.extra_tokens += u64::from(tokens::of_text(&text));
        basis.system.push(SystemSection {
            text,
            cache_here: false,
        });
    }

    /// What is done to a model call: which model is asked first, and with how much patience.
    pub(crate) fn mend_model(&mut self, basis: &mut Basis) -> instar_models::Mend {
        let mut mend = instar_models::Mend::default();
        for act in self.enter(basis, Site::Model) {
            match act {
                Act::RouteFirst { model } => {
                    let primary = basis.behaviour(self).route.primary.clone();
                    ask_first(&mut basis.chain, &primary, &model);
                }
                Act::ModelRetry { again, pause_ms } => {
                    mend.again = again;
                    mend.pause_ms = pause_ms;
                }
                Act::ModelPatience { seconds } => {
                    mend.patience = Some(std::time::Duration::from_secs(u64::from(seconds)));
                }
                _ => {}
            }
        }
        mend
    }

    /// Notes how the turn ended for each exposure.
    pub(crate) fn end_exposures(&mut self, outcome: TurnOutcome) {
        let mending = std::mem::take(&mut self.found.mending);
        for one in mending.entered {
            let Some((experiment, unit)) = one.counted else {
                continue;
            };
            let bad = match outcome {
                // Who stops a turn was not helped by it.
                TurnOutcome::Failed | TurnOutcome::Aborted => Some(true),
                TurnOutcome::Interrupted => None,
                TurnOutcome::Replied | TurnOutcome::Handed => {
                    Some(one.last_failed.unwrap_or(false))
                }
            };
            let kind = EventKind::ExposureEnd {
                experiment,
                unit,
                bad,
            };
            self.record.event(Label::system(), kind);
        }
    }
}

/// A model that the owner chose for the conversation stays the first.
fn ask_first(chain: &mut [ModelRef], primary: &str, model: &str) {
    let is_own = chain.first().is_some_and(|first| first.as_str() == primary);
    let at = chain.iter().position(|one| one.as_str() == model);
    if let Some(at) = at.filter(|_| is_own) {
        chain[..=at].rotate_right(1);
    }
}
