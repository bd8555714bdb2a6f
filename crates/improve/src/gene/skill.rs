//! Faults that began with another text of a skill, and the earlier text that went without them.

use instar_protocol::fault::Fault;
use instar_protocol::lab::Case;
use instar_protocol::reads::{Reads, SkillText, TEXTS_MAX, TextReads};
use instar_release::Skills;

use super::Unfit;

/// Turns with the fault that read the text in service, below which nothing can be told of it.
const FAILED_MIN: u64 = 5;
/// Of the turns that read that text, one of so many at least met the fault.
const ONE_OF: u64 = 4;
/// Turns that read an earlier text, below which it is not known to have gone well.
const FINE_MIN: u64 = 20;
/// How many times as often the fault showed with the text in service, at least.
const TIMES_MIN: u64 = 8;
/// Of ten turns with the fault so many at least had read the skill: others are another cause's.
const PART_OF_TEN: u64 = 8;
/// Characters of a digest that people are shown.
const DIGEST_CHARS: usize = 12;

/// Turns of an agent with the skills that they read: those in which a fault showed after it, and all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pages {
    pub failed: Reads,
    pub all: Reads,
}

/// A skill that goes back to an earlier text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    pub from: SkillText,
    pub to: SkillText,
    /// Turns that met the fault, and all that read: the text in service, and the earlier one.
    pub seen: [(u64, u64); 2],
}

impl Pages {
    #[must_use]
    pub fn of(case: &Case, fault: &Fault) -> Self {
        let mut failed = fault.reads.iter();
        let failed = failed.find(|(agent, _)| agent.as_str() == case.agent);
        Self {
            failed: failed.map(|(_, reads)| reads.clone()).unwrap_or_default(),
            all: case.reads.clone(),
        }
    }

    /// True if the fault shows in turns that read one text of a skill.
    pub(super) fn is_bound(&self) -> bool {
        // With so many texts that some may have been forgotten, no one of them is to blame.
        let is_whole = self.failed.texts.len() < TEXTS_MAX;
        is_whole && self.failed.texts.iter().any(|one| self.is_most(one))
    }

    fn is_most(&self, one: &TextReads) -> bool {
        let of_skill = self.failed.texts.iter();
        let of_skill = of_skill.filter(|other| other.text.name == one.text.name);
        let read: u64 = of_skill.map(|other| other.turns).sum();
        one.turns >= FAILED_MIN && read * 10 >= self.failed.turns * PART_OF_TEN
    }

    /// The skill whose text in service the fault came with, and the latest earlier text without it.
    pub(super) fn earlier(&self, skills: &Skills) -> Result<Restored, Unfit> {
        let in_service = |one: &&TextReads| {
            let there = skills.get(&one.text.name);
            there.is_some_and(|skill| skill.digest() == one.text.digest)
        };
        let blamed = self.failed.texts.iter().filter(in_service);
        let blamed = blamed.filter(|one| self.is_most(one) && self.is_often(one));
        let back: Vec<Restored> = blamed.filter_map(|one| self.back(one)).collect();
        match back.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Unfit::NoEarlierText),
            _ => Err(Unfit::ManySkills),
        }
    }

    fn is_often(&self, one: &TextReads) -> bool {
        let all = self.all.of(&one.text);
        one.turns <= all && one.turns * ONE_OF >= all
    }

    fn back(&self, blamed: &TextReads) -> Option<Restored> {
        let (bad, all) = (blamed.turns, self.all.of(&blamed.text));
        let went_well = |one: &&TextReads| {
            let failed = self.failed.of(&one.text);
            one.text.name == blamed.text.name
                && one.text != blamed.text
                && one.turns >= FINE_MIN
                && failed * all * TIMES_MIN <= bad * one.turns
        };
        let fine = self.all.texts.iter().filter(went_well);
        let to = fine.max_by_key(|one| one.last_seen)?;
        Some(Restored {
            from: blamed.text.clone(),
            to: to.text.clone(),
            seen: [(bad, all), (self.failed.of(&to.text), to.turns)],
        })
    }
}

/// What it does and why, in words.
pub(super) fn words(restored: &Restored) -> String {
    let short = |text: &SkillText| text.digest.chars().take(DIGEST_CHARS).collect::<String>();
    let [(bad, all), (bad_before, all_before)] = restored.seen;
    format!(
        "give the skill {} its earlier text {} again: {bad_before} of {all_before} turns that read it failed so, and \
         {bad} of {all} that read the text in service, {}",
        restored.to.name,
        short(&restored.to),
        short(&restored.from)
    )
}
