//! A trial with what it is about, and the units of it that are under way.

use instar_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::unit::Open;
use super::{Environment, Stage, Trial, Verdict, World};
use crate::mitigation::Mitigation;

const OPEN_MAX: usize = 5_000;
/// Changes of the environment that are told of a trial, the latest.
const CHANGES_MAX: usize = 8;

/// A trial with what it is about.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Kept {
    pub experiment: String,
    pub fault: String,
    pub mitigation: String,
    /// The recipe, where the release does not tell it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gene: String,
    pub begun: Timestamp,
    pub trial: Trial,
    /// What changed around it so that it was opened again, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
    /// When it came to its latest stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved_at: Option<Timestamp>,
    /// Its fix is in the release in service, or in the one that is let out.
    #[serde(default)]
    pub(super) is_served: bool,
    /// What it found is of a world that is gone; it begins anew when its fix is served.
    #[serde(default)]
    pub(super) is_stale: bool,
    /// What it rests on; nothing as long as nobody looked.
    #[serde(default)]
    pub(super) environment: Environment,
    pub(super) open: BTreeMap<String, Open>,
}

/// A change of the environment that opened a trial again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Changed {
    pub at: Timestamp,
    /// `program`, `models`, `tool:NAME`; `fault` where the fault came more often again.
    pub what: Vec<String>,
}

impl Kept {
    /// Takes up what there is now; true if what was found does not hold any more.
    pub(super) fn look(
        &mut self,
        world: &World<'_>,
        agent: &str,
        served: Option<&Mitigation>,
        now: Timestamp,
    ) -> bool {
        if self.environment.is_empty() {
            if let Some(mitigation) = served {
                self.environment = Environment::of(world, agent, mitigation);
            }
            return false;
        }
        let what = self.environment.renew(world, agent);
        // A coin is fair whatever the world does: who is still on the way goes on.
        let is_over = *self.trial.stage() != Stage::Running;
        let has_changed = is_over && !what.is_empty();
        if has_changed {
            self.outdate(what, now);
        }
        if self.is_stale && self.is_served {
            self.reopen();
        }
        has_changed
    }

    /// What was found is of a world that is gone.
    pub(super) fn outdate(&mut self, what: Vec<String>, now: Timestamp) {
        self.is_stale = true;
        self.changes.push(Changed { at: now, what });
        let old = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..old);
    }

    /// Since when its change is in service for good; none while it is tried or gone.
    #[must_use]
    pub fn trusted_since(&self) -> Option<Timestamp> {
        let is_trusted = matches!(
            self.trial.stage(),
            Stage::Adopted { .. }
                | Stage::Ended {
                    verdict: Verdict::Kept | Verdict::Supported
                }
        );
        self.moved_at.filter(|_| is_trusted && !self.is_stale)
    }

    /// Begins another chapter. What was open belongs to none.
    pub(super) fn reopen(&mut self) {
        self.trial = self.trial.reopened();
        self.moved_at = None;
        self.is_stale = false;
        self.open.clear();
    }

    /// Its fix is in the release in service, or in the one that is let out.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.is_served
    }

    pub(super) fn expose(
        &mut self,
        at: Timestamp,
        unit: &str,
        with_fix: bool,
        share_permille: u16,
    ) {
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(unit) {
            return;
        }
        let fresh = || Open {
            with_fix,
            share_permille,
            first: at,
            last: at,
            bad: None,
            turns: 0,
            ended: 0,
            known: 0,
        };
        let open = self.open.entry(unit.to_owned()).or_insert_with(fresh);
        open.turns += 1;
        open.last = at;
    }

    pub(super) fn end(&mut self, at: Timestamp, unit: &str, bad: Option<bool>) {
        if let Some(open) = self.open.get_mut(unit) {
            open.last = at;
            open.end(bad);
        }
    }

    /// Units that wait for their maturity.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.len()
    }
}
