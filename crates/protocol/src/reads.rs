//! Skills that turns read: which text it was, and in how many turns of an agent.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::id::ReleaseId;
use crate::session::AgentId;
use crate::time::Timestamp;

/// Texts of skills that are told apart for one agent; of more, those go that were not read for longest.
pub const TEXTS_MAX: usize = 64;

/// The text of a skill as one release has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SkillText {
    pub name: String,
    /// The SHA-256 of its files, as the release shows it.
    pub digest: String,
}

/// Turns of one agent, and those of them that read a skill. A turn is one, however often it read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reads {
    pub turns: u64,
    pub texts: Vec<TextReads>,
}

/// Turns that read one text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextReads {
    #[serde(flatten)]
    pub text: SkillText,
    pub turns: u64,
    pub last_seen: Timestamp,
    /// The latest release that served it.
    pub release: ReleaseId,
}

impl Reads {
    /// Counts a turn with what it read.
    pub fn take<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a SkillText>,
        release: &ReleaseId,
        at: Timestamp,
    ) {
        self.turns += 1;
        for text in texts {
            self.count(text, 1, release, at);
        }
    }

    #[must_use]
    pub fn of(&self, text: &SkillText) -> u64 {
        let found = self.texts.iter().find(|one| one.text == *text);
        found.map_or(0, |one| one.turns)
    }

    /// The sum of two.
    pub fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        for one in &other.texts {
            self.count(&one.text, one.turns, &one.release, one.last_seen);
        }
    }

    fn count(&mut self, text: &SkillText, turns: u64, release: &ReleaseId, at: Timestamp) {
        if let Some(there) = self.texts.iter_mut().find(|one| one.text == *text) {
            there.turns += turns;
            if at >= there.last_seen {
                there.last_seen = at;
                there.release = release.clone();
            }
            return;
        }
        if self.texts.len() >= TEXTS_MAX {
            let oldest = self.texts.iter().enumerate();
            let oldest = oldest.min_by_key(|(_, one)| one.last_seen);
            if let Some((oldest, _)) = oldest {
                self.texts.remove(oldest);
            }
        }
        self.texts.push(TextReads {
            text: text.clone(),
            turns,
            last_seen: at,
            release: release.clone(),
        });
    }
}

/// What was read by the turns of an agent; none where there are too many agents already.
pub fn of_agent<'a>(
    all: &'a mut BTreeMap<AgentId, Reads>,
    agent: &AgentId,
) -> Option<&'a mut Reads> {
    let has_room = all.len() < crate::beats::AGENTS_MAX || all.contains_key(agent);
    has_room.then(|| all.entry(agent.clone()).or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_texts_the_one_goes_that_was_not_read_for_longest() {
        let text = |number: usize| SkillText {
            name: "tides".to_owned(),
            digest: number.to_string(),
        };
        let release = |number: usize| ReleaseId::from_hex(number.to_string());
        let at = |number: usize| Timestamp::from_millis(number as u64);
        let mut reads = Reads::default();
        for number in 0..TEXTS_MAX {
            reads.take([&text(number)], &release(number), at(number));
        }
        reads.take([&text(0), &text(TEXTS_MAX)], &release(99), at(TEXTS_MAX));
        assert_eq!((reads.turns, reads.texts.len()), (65, TEXTS_MAX));
        assert_eq!(
            [0, 1, 2, TEXTS_MAX].map(|one| reads.of(&text(one))),
            [2, 0, 1, 1]
        );
        assert_eq!(reads.texts[0].release, release(99));
        let mut sum = reads.clone();
        sum.add(&reads);
        assert_eq!((sum.turns, sum.of(&text(0))), (130, 4));
    }
}
