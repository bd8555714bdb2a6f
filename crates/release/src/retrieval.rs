//! How an agent finds again what was said: how much it is shown, and what counts for how much. Numbers
//! within bounds, and nothing else: the one thing that may be learned without a person.

use serde::{Deserialize, Serialize};

/// Bounds and weights of a search through an agent's conversations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retrieval {
    /// Passages that are shown.
    pub results: u32,
    /// Characters of each.
    pub chars: u32,
    /// The age in days at which newness counts for half.
    pub half_life_days: u32,
    pub weights: Weights,
}

/// What a passage is ranked by, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// The share of the words that stand in it.
    pub words: u32,
    /// How new it is.
    pub newness: u32,
    /// That the owner wrote it.
    pub owner: u32,
    /// That it stands in the conversation that asks.
    pub here: u32,
}

impl Default for Retrieval {
    fn default() -> Self {
        Self {
            results: 6,
            chars: 400,
            half_life_days: 30,
            weights: Weights::default(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            words: 1_000,
            newness: 300,
            owner: 100,
            here: 0,
        }
    }
}

/// What is known of a passage when it is ranked.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Passage {
    /// Of the words that were looked for, those that stand in it.
    pub words: u32,
    pub asked: u32,
    pub age_days: f64,
    pub is_owners: bool,
    pub is_here: bool,
}

impl Retrieval {
    /// How far up a passage comes.
    #[must_use]
    pub fn rank(&self, passage: &Passage) -> f64 {
        let weights = self.weights;
        let words = f64::from(passage.words) / f64::from(passage.asked.max(1));
        let half_lives = passage.age_days.max(0.0) / f64::from(self.half_life_days.max(1));
        let flag = |is: bool| f64::from(u8::from(is));
        f64::from(weights.words) * words
            + f64::from(weights.newness) * (-half_lives).exp2()
            + f64::from(weights.owner) * flag(passage.is_owners)
            + f64::from(weights.here) * flag(passage.is_here)
    }

    /// Why it cannot be served.
    pub(crate) fn problem(&self) -> Option<String> {
        let Weights {
            words,
            newness,
            owner,
            here,
        } = self.weights;
        let bounds = [
            ("results", self.results, 1, 20),
            ("chars", self.chars, 100, 2_000),
            ("half_life_days", self.half_life_days, 1, 3_650),
            ("weights.words", words, 1, 1_000),
            ("weights.newness", newness, 0, 1_000),
            ("weights.owner", owner, 0, 1_000),
            ("weights.here", here, 0, 1_000),
        ];
        bounds.into_iter().find_map(|(name, value, low, high)| {
            let is_within = (low..=high).contains(&value);
            (!is_within).then(|| format!("{name} is {low} to {high}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_words_and_newer_ones_come_first() {
        let ranking = Retrieval::default();
        let both = Passage {
            words: 2,
            asked: 2,
            age_days: 400.0,
            ..Passage::default()
        };
        let one = Passage {
            words: 1,
            age_days: 0.0,
            ..both
        };
        assert!(ranking.rank(&both) > ranking.rank(&one));
        let newer = Passage {
            age_days: 1.0,
            ..both
        };
        assert!(ranking.rank(&newer) > ranking.rank(&both));
        let owners = Passage {
            is_owners: true,
            ..both
        };
        assert!(ranking.rank(&owners) > ranking.rank(&both));
        let half = Passage {
            age_days: 30.0,
            ..Passage::default()
        };
        assert!((ranking.rank(&half) - 150.0).abs() < 1e-9);
        let by_newness = Retrieval {
            weights: Weights {
                words: 1,
                newness: 1_000,
                ..Weights::default()
            },
            ..ranking
        };
        assert!(by_newness.rank(&one) > by_newness.rank(&both));
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused() {
        let sound = Retrieval::default();
        assert_eq!(sound.problem(), None);
        for wrong in [
            Retrieval {
                results: 0,
                ..sound
            },
            Retrieval {
                results: 21,
                ..sound
            },
            Retrieval { chars: 99, ..sound },
            Retrieval {
                half_life_days: 0,
                ..sound
            },
            Retrieval {
                weights: Weights {
                    words: 0,
                    ..sound.weights
                },
                ..sound
            },
            Retrieval {
                weights: Weights {
                    here: 1_001,
                    ..sound.weights
                },
                ..sound
            },
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
