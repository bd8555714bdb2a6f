//! Which of many proven fixes are adopted without a person: e-BH over the slots of a month.
//!
//! Each fix by itself is called proven wrongly with a chance of at most the level; of twenty useless ones
//! one is. What is adopted by itself therefore needs more evidence, by how many others were tried.

use super::LEVEL;
use instar_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// Fixes that may be adopted by themselves in one month are among so many, those given up included.
pub const SLOTS: usize = 10;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Month {
    /// `2026-03`.
    name: String,
    slots: Vec<Slot>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Slot {
    trial: String,
    /// The latest; frozen once it is adopted.
    evidence: f64,
    adopted: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "all {SLOTS} slots of {0} are taken: the fix can be proven, and a person can adopt it; by itself it \
     cannot be adopted before the next month"
)]
pub struct Full(String);

impl Month {
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            slots: Vec::new(),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn taken(&self) -> usize {
        self.slots.len()
    }

    /// Gives a trial a slot, for the whole month. One that has one keeps it.
    pub fn enter(&mut self, trial: &str) -> Result<(), Full> {
        if self.slots.iter().any(|slot| slot.trial == trial) {
            return Ok(());
        }
        if self.slots.len() >= SLOTS {
            return Err(Full(self.name.clone()));
        }
        self.slots.push(Slot {
            trial: trial.to_owned(),
            evidence: 1.0,
            adopted: false,
        });
        Ok(())
    }

    /// Notes the evidence of a trial, unless it was frozen.
    pub fn note(&mut self, trial: &str, evidence: f64) {
        let slot = self.slots.iter_mut().find(|slot| slot.trial == trial);
        if let Some(slot) = slot.filter(|slot| !slot.adopted) {
            slot.evidence = evidence;
        }
    }

    /// What a fix needs to be adopted as one of so many.
    #[must_use]
    pub fn needed(among: usize) -> f64 {
        let (slots, among) = (small(SLOTS), small(among.max(1)));
        slots / (LEVEL * among)
    }

    /// Adopts those that have come far enough, and freezes their evidence. Their names.
    pub fn adopt(&mut self) -> Vec<String> {
        let before = self.slots.iter().filter(|slot| slot.adopted).count();
        let mut open: Vec<f64> = self.open().collect();
        open.sort_by(|a, b| b.total_cmp(a));
        let fits = |count: &usize| open[*count - 1] >= Self::needed(before + *count);
        let Some(count) = (1..=open.len()).rev().find(fits) else {
            return Vec::new();
        };
        let needed = Self::needed(before + count);
        let mut names = Vec::new();
        for slot in &mut self.slots {
            if !slot.adopted && slot.evidence >= needed {
                slot.adopted = true;
                names.push(slot.trial.clone());
            }
        }
        names
    }

    fn open(&self) -> impl Iterator<Item = f64> {
        let open = self.slots.iter().filter(|slot| !slot.adopted);
        open.map(|slot| slot.evidence)
    }
}

fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// `2026-03`, by the calendar of UTC.
pub(super) fn month_of(at: Timestamp) -> String {
    // Howard Hinnant's days to civil, from the epoch's day.
    let days = at.millis() / 86_400_000 + 719_468;
    let era = days / 146_097;
    let day_of_era = days - era * 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}")
}
