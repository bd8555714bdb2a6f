//! Trials of a house, folded from its event log.
//!
//! An exposure opens a unit, its end is noted, and the unit is settled at its maturity: an exposure at the
//! end of its turn, a block when it is over, an episode when nobody spoke for a while. The state and the
//! place in the event log up to which it went are stored together, so that a crash neither loses nor
//! doubles a unit, and anyone can fold the log again.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::{EventId, Timestamp};
use instar_store::{HealingRow, Op};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::month::month_of;
use super::unit::is_mature;
use super::{Environment, Kept, Month, Plan, Stage, Trial, Verdict, World};
use crate::error::ReleaseError;
use crate::evidence::Baseline;
use crate::mitigation::{REHEARSAL, WINDOW};

/// The kinds of rows that a keeper has.
pub const TRIAL: &str = "trial";
pub const STATE: &str = "trials";
/// Trials that were put away: nothing of them is folded any more.
const PAST: &str = "trial_past";
const CURSOR: &str = "cursor";
const MONTH: &str = "month";
/// What changed where the fault itself did.
const FAULT: &str = "fault";

/// Trials that are folded at a time; another is refused.
pub const TRIALS_MAX: usize = 500;
/// Of those that have ended and that nobody has any more so many are at hand, the latest.
const ENDED_MAX: usize = 50;
/// Refused experiments that are named.
const REFUSED_MAX: usize = 20;

/// A trial that came to another stage.
#[derive(Clone, PartialEq, Debug)]
pub struct Moved {
    pub experiment: String,
    pub stage: Stage,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Keeper {
    trials: BTreeMap<String, Kept>,
    month: Option<Month>,
    cursor: Option<EventId>,
    touched: BTreeSet<String>,
    past: Vec<Kept>,
    refused: BTreeSet<String>,
}

impl Keeper {
    /// Takes up what was stored. A row that cannot be read ends it: to begin anew would forget verdicts.
    pub fn open(trials: Vec<HealingRow>, state: Vec<HealingRow>) -> Result<Self, ReleaseError> {
        let mut keeper = Self::default();
        for row in trials {
            let kept: Kept = read(&row)?;
            keeper.trials.insert(row.id, kept);
        }
        for row in state {
            match row.id.as_str() {
                CURSOR => keeper.cursor = Some(read(&row)?),
                MONTH => keeper.month = Some(read(&row)?),
                _ => {}
            }
        }
        Ok(keeper)
    }

    /// The event after which the fold goes on.
    #[must_use]
    pub fn cursor(&self) -> Option<&EventId> {
        self.cursor.as_ref()
    }

    pub fn trials(&self) -> impl Iterator<Item = &Kept> {
        self.trials.values()
    }

    /// The share of a fix now, in thousandths.
    #[must_use]
    pub fn share_permille(&self, experiment: &str) -> Option<u16> {
        let trial = &self.trials.get(experiment)?.trial;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is from 0 to 1"
        )]
        let permille = (trial.share() * 1_000.0).round() as u16;
        Some(permille)
    }

    /// Takes the next event of the log.
    pub fn take(&mut self, event: &Event) -> Vec<Moved> {
        self.cursor = Some(event.id.clone());
        match &event.kind {
            EventKind::Exposure {
                fault,
                mitigation,
                experiment,
                unit,
                with_fix,
                share_permille,
            } => {
                self.enter(event.at, experiment, fault, mitigation);
                if let Some(kept) = self.trials.get_mut(experiment) {
                    kept.expose(event.at, unit, *with_fix, *share_permille);
                    self.touched.insert(experiment.clone());
                }
                Vec::new()
            }
            EventKind::Window {
                fault,
                mitigation,
                gene,
                experiment,
                exposures,
                bad,
            } => {
                let (exposures, bad) = (*exposures, *bad);
                let plan = Plan::window(Baseline { exposures, bad });
                if experiment.starts_with(WINDOW) && self.has_room(experiment) {
                    self.begin(event.at, experiment, fault, mitigation, plan);
                    if let Some(kept) = self.trials.get_mut(experiment) {
                        kept.gene.clone_from(gene);
                    }
                }
                Vec::new()
            }
            EventKind::ExposureEnd {
                experiment,
                unit,
                bad,
            } => {
                let Some(kept) = self.trials.get_mut(experiment) else {
                    return Vec::new();
                };
                kept.end(event.at, unit, *bad);
                self.touched.insert(experiment.clone());
                self.settle(event.at)
            }
            _ => Vec::new(),
        }
    }

    fn enter(&mut self, at: Timestamp, experiment: &str, fault: &str, mitigation: &str) {
        // What has no coin begins with what was before it, and not with an exposure.
        if !experiment.starts_with(WINDOW) && self.has_room(experiment) {
            self.begin(at, experiment, fault, mitigation, plan(experiment));
        }
    }

    /// True for an experiment that is not there yet and can be taken up.
    fn has_room(&mut self, experiment: &str) -> bool {
        if self.trials.contains_key(experiment) {
            return false;
        }
        let has_room = self.trials.len() < TRIALS_MAX;
        if !has_room && self.refused.len() < REFUSED_MAX {
            self.refused.insert(experiment.to_owned());
        }
        has_room
    }

    fn begin(
        &mut self,
        at: Timestamp,
        experiment: &str,
        fault: &str,
        mitigation: &str,
        plan: Plan,
    ) {
        let before = self.chapter_before(experiment);
        let trial = match before.filter(|before| before.before().is_none()) {
            Some(before) => before.reopened(),
            None => match Trial::begin(plan) {
                // However many went before it, it has the level of its own number.
                Ok(trial) => trial.in_chapter(chapter_of(experiment)),
                Err(_) => return,
            },
        };
        let name = month_of(at);
        if self.month.as_ref().is_none_or(|month| month.name() != name) {
            // Who has not come to an end takes a slot of the new month, too.
            self.month = Some(Month::new(&name));
        }
        let kept = Kept {
            experiment: experiment.to_owned(),
            fault: fault.to_owned(),
            mitigation: mitigation.to_owned(),
            gene: String::new(),
            begun: at,
            trial,
            changes: Vec::new(),
            moved_at: None,
            is_served: true,
            is_stale: false,
            environment: Environment::default(),
            open: BTreeMap::new(),
        };
        self.trials.insert(experiment.to_owned(), kept);
        self.touched.insert(experiment.to_owned());
    }

    /// Nobody has the change of an experiment any more.
    pub fn leave(&mut self, experiment: &str) {
        if let Some(kept) = self.trials.get_mut(experiment) {
            kept.is_served = false;
            self.touched.insert(experiment.to_owned());
        }
    }

    /// The trial that this one is another chapter of.
    fn chapter_before(&self, experiment: &str) -> Option<&Trial> {
        let (name, chapter) = experiment.rsplit_once('/')?;
        let before = chapter.parse::<u32>().ok()?.checked_sub(1)?;
        let kept = self.trials.get(&format!("{name}/{before}"))?;
        Some(&kept.trial)
    }

    /// Looks at what there is now. A trial that has come to an end, for or against, is opened again where
    /// something that it rests on has changed since: what was found is of a world that is gone. One whose
    /// fix left the release runs for nobody: it is opened when its fix comes back.
    pub fn look_around(&mut self, world: &World<'_>, now: Timestamp) -> Vec<Moved> {
        let mut moved = Vec::new();
        for (experiment, kept) in &mut self.trials {
            let Some(agent) = agent_of(experiment) else {
                continue;
            };
            let before = (kept.is_served, kept.is_stale, kept.environment.clone());
            let served = world.served(agent, experiment, &kept.mitigation);
            kept.is_served = served.is_some();
            if kept.look(world, agent, served, now) {
                moved.push(Moved {
                    experiment: experiment.clone(),
                    stage: Stage::Ended {
                        verdict: Verdict::Reopened,
                    },
                });
            }
            if before != (kept.is_served, kept.is_stale, kept.environment.clone()) {
                self.touched.insert(experiment.clone());
            }
        }
        moved
    }

    /// The fault of a trial comes more often again, although something that was found to help is in service:
    /// what was found is opened again, as it is where the environment changed.
    pub fn rose(&mut self, experiment: &str, now: Timestamp) -> Option<Moved> {
        let kept = self.trials.get_mut(experiment)?;
        kept.trusted_since()?;
        kept.outdate(vec![FAULT.to_owned()], now);
        if kept.is_served {
            kept.reopen();
        }
        self.touched.insert(experiment.to_owned());
        Some(Moved {
            experiment: experiment.to_owned(),
            stage: Stage::Ended {
                verdict: Verdict::Reopened,
            },
        })
    }

    /// Experiments that were not taken up since the last time, because there are too many.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        self.refused.iter().map(String::as_str)
    }

    /// Puts away what has ended and what nobody has any more, but for the latest. What was found in it is
    /// remembered elsewhere.
    fn put_away(&mut self) {
        let is_over =
            |kept: &&Kept| !kept.is_served && matches!(kept.trial.stage(), Stage::Ended { .. });
        let mut over: Vec<(Timestamp, String)> = self
            .trials
            .values()
            .filter(is_over)
            .map(|kept| (kept.begun, kept.experiment.clone()))
            .collect();
        over.sort_unstable();
        let most = over.len().saturating_sub(ENDED_MAX);
        for (_, experiment) in over.into_iter().take(most) {
            self.touched.remove(&experiment);
            self.past.extend(self.trials.remove(&experiment));
        }
    }

    /// Experiments whose fix nobody has any more: they came to nothing.
    pub fn spent(&self) -> impl Iterator<Item = &str> {
        let spent = self.trials.values().filter(|kept| kept.trial.is_in_vain());
        spent.map(|kept| kept.experiment.as_str())
    }

    /// Settles the units that are mature, and adopts what has come far enough.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Moved> {
        let mut moved = Vec::new();
        for (experiment, kept) in &mut self.trials {
            let mature: Vec<String> = kept
                .open
                .iter()
                .filter(|(unit, open)| is_mature(unit, open, now))
                .map(|(unit, _)| unit.clone())
                .collect();
            for unit in mature {
                let Some(open) = kept.open.remove(&unit) else {
                    continue;
                };
                self.touched.insert(experiment.clone());
                if let Some(stage) = open.settle(unit, &mut kept.trial) {
                    kept.moved_at = Some(now);
                    moved.push(Moved {
                        experiment: experiment.clone(),
                        stage: stage.clone(),
                    });
                }
            }
        }
        moved.extend(self.adopt(now));
        moved
    }

    fn adopt(&mut self, now: Timestamp) -> Vec<Moved> {
        let Some(month) = &mut self.month else {
            return Vec::new();
        };
        for (experiment, kept) in &self.trials {
            let is_on = matches!(kept.trial.stage(), Stage::Running | Stage::Proven)
                && kept.trial.before().is_none()
                && !kept.trial.plan().synthetic;
            let slot = slot(experiment, &kept.trial);
            let is_shown = *kept.trial.stage() == Stage::Proven && kept.trial.hold().is_none();
            if is_on && month.enter(&slot).is_ok() && is_shown {
                // What is not proven at its own level yet is none of those that are adopted.
                month.note(&slot, kept.trial.evidence_proven());
            }
        }
        let mut moved = Vec::new();
        for name in month.adopt() {
            let experiment = name.split('#').next().unwrap_or(&name).to_owned();
            let Some(kept) = self.trials.get_mut(&experiment) else {
                continue;
            };
            if let Some(stage) = kept.trial.adopt() {
                kept.moved_at = Some(now);
                moved.push(Moved {
                    stage: stage.clone(),
                    experiment: experiment.clone(),
                });
                self.touched.insert(experiment);
            }
        }
        moved
    }

    /// What has to be stored since the last time, in one batch.
    pub fn ops(&mut self, now: Timestamp) -> Result<Vec<Op>, ReleaseError> {
        self.put_away();
        let mut ops = Vec::new();
        for kept in std::mem::take(&mut self.past) {
            ops.push(Op::PutHealing(row(PAST, &kept.experiment, now, &kept)?));
            ops.push(Op::RemoveHealing {
                kind: TRIAL.to_owned(),
                id: kept.experiment,
            });
        }
        for experiment in std::mem::take(&mut self.touched) {
            if let Some(kept) = self.trials.get(&experiment) {
                ops.push(Op::PutHealing(row(TRIAL, &experiment, now, kept)?));
            }
        }
        if let Some(month) = self.month.as_ref().filter(|_| !ops.is_empty()) {
            ops.push(Op::PutHealing(row(STATE, MONTH, now, month)?));
        }
        if let Some(cursor) = &self.cursor {
            ops.push(Op::PutHealing(row(STATE, CURSOR, now, cursor)?));
        }
        Ok(ops)
    }
}

fn plan(experiment: &str) -> Plan {
    if experiment.starts_with(REHEARSAL) {
        Plan::rehearsal()
    } else {
        Plan::coin()
    }
}

/// The agent of `fix/AGENT/ID/CHAPTER`.
fn agent_of(experiment: &str) -> Option<&str> {
    experiment.strip_prefix("fix/")?.split('/').next()
}

/// The chapter of `fix/AGENT/ID/CHAPTER`.
fn chapter_of(experiment: &str) -> u32 {
    let chapter = experiment.rsplit('/').next();
    chapter.and_then(|one| one.parse().ok()).unwrap_or(1).max(1)
}

/// Each chapter has a slot of its own.
fn slot(experiment: &str, trial: &Trial) -> String {
    match trial.chapter() {
        1 => experiment.to_owned(),
        chapter => format!("{experiment}#{chapter}"),
    }
}

fn row(
    kind: &str,
    id: &str,
    at: Timestamp,
    body: &impl Serialize,
) -> Result<HealingRow, ReleaseError> {
    let body =
        serde_json::to_string(body).map_err(|error| ReleaseError::Canonical(error.to_string()))?;
    Ok(HealingRow {
        kind: kind.to_owned(),
        id: id.to_owned(),
        at,
        body,
    })
}

fn read<'a, T: Deserialize<'a>>(row: &'a HealingRow) -> Result<T, ReleaseError> {
    serde_json::from_str(&row.body).map_err(|source| ReleaseError::Decode {
        id: row.id.clone(),
        source,
    })
}
