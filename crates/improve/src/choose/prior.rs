//! What is believed of genes: Beta distributions that borrow from what is around them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::Key;
use crate::gene::Family;

/// How many cases what is known more generally is worth: for a gene, for a family, and here. The further
/// away a case is, the more of them it takes.
const BORROWED: [f64; 3] = [8.0, 6.0, 4.0];
/// Of a gene of which nothing is known: one in three helps.
const ROOT: f64 = 1.0 / 3.0;
const KEYS_MAX: usize = 4_096;
/// What a case of another house counts for, and the most that all of them count for about one gene. Nobody
/// here saw their units: it may turn a first try, and a few trials of this house outweigh it.
const HEARD_WEIGHT: f64 = 0.2;
const HEARD_MAX: f64 = 2.0;

/// How a trial ended, as far as a prior cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Proven, or kept after it was.
    Helped,
    /// Better than before, without a coin.
    SeemedToHelp,
    /// Given up or undecided.
    Unclear,
    /// Failed or did harm.
    Hurt,
}

impl Outcome {
    /// By the name of a verdict or a stage; none where it is no end, for or against: a trial that runs, or
    /// one that was opened again because the world changed.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "proven" | "adopted" | "kept" => Some(Self::Helped),
            "supported" | "supported_synthetic" => Some(Self::SeemedToHelp),
            "failed" | "harmful" | "harmed_later" => Some(Self::Hurt),
            "undecided" => Some(Self::Unclear),
            _ => None,
        }
    }

    /// What it counts for, and against.
    pub(super) fn weights(self) -> (f64, f64) {
        match self {
            Self::Helped => (1.0, 0.0),
            Self::SeemedToHelp => (0.3, 0.0),
            Self::Unclear => (0.0, 0.6),
            Self::Hurt => (0.0, 1.0),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Sums {
    with: f64,
    against: f64,
}

/// Outcomes by gene, by gene and family, and by all three.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Prior {
    genes: BTreeMap<String, Sums>,
    #[serde(with = "pairs")]
    families: BTreeMap<(String, Family), Sums>,
    #[serde(with = "pairs")]
    keys: BTreeMap<Key, Sums>,
}

/// A Beta distribution.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Posterior {
    pub with: f64,
    pub against: f64,
}

impl Prior {
    pub fn learn(&mut self, key: &Key, outcome: Outcome) {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(key) {
            // What is known more generally stays.
            self.keys.pop_first();
        }
        let (with, against) = outcome.weights();
        let family = (key.gene.clone(), key.family);
        for sums in [
            self.genes.entry(key.gene.clone()).or_default(),
            self.families.entry(family).or_default(),
            self.keys.entry(key.clone()).or_default(),
        ] {
            sums.with += with;
            sums.against += against;
        }
    }

    /// Takes in what another house says of a gene, as a part of what is known of it anywhere.
    pub fn hear(&mut self, gene: &str, helped: u32, hurt: u32) {
        let (with, against) = (f64::from(helped), f64::from(hurt));
        let all = with + against;
        if all > 0.0 {
            let weight = (all * HEARD_WEIGHT).min(HEARD_MAX) / all;
            let sums = self.genes.entry(gene.to_owned()).or_default();
            sums.with += with * weight;
            sums.against += against * weight;
        }
    }

    /// What is believed here: the own cases, with what is known more generally as if it were a few more.
    #[must_use]
    pub fn posterior(&self, key: &Key) -> Posterior {
        let gene = self.genes.get(&key.gene).copied().unwrap_or_default();
        let family = (key.gene.clone(), key.family);
        let family = self.families.get(&family).copied().unwrap_or_default();
        let own = self.keys.get(key).copied().unwrap_or_default();
        // Each case counts once, at the level where it is nearest.
        let mut posterior = Posterior::around(ROOT, BORROWED[0], gene.without(family));
        for (borrowed, sums) in [(BORROWED[1], family.without(own)), (BORROWED[2], own)] {
            posterior = Posterior::around(posterior.mean(), borrowed, sums);
        }
        posterior
    }

    /// True if the gene was tried on such faults, wherever.
    #[must_use]
    pub fn tried(&self, key: &Key) -> bool {
        self.families.contains_key(&(key.gene.clone(), key.family))
    }
}

impl Sums {
    fn without(self, other: Self) -> Self {
        Self {
            with: (self.with - other.with).max(0.0),
            against: (self.against - other.against).max(0.0),
        }
    }
}

impl Posterior {
    fn around(mean: f64, borrowed: f64, sums: Sums) -> Self {
        Self {
            with: mean * borrowed + sums.with,
            against: (1.0 - mean) * borrowed + sums.against,
        }
    }

    #[must_use]
    pub(super) fn with(self, with: f64, against: f64) -> Self {
        Self {
            with: self.with + with,
            against: self.against + against,
        }
    }

    #[must_use]
    pub fn mean(&self) -> f64 {
        self.with / (self.with + self.against)
    }

    /// A draw from it.
    #[must_use]
    pub fn draw(&self, chance: &mut Chance) -> f64 {
        let (with, against) = (chance.gamma(self.with), chance.gamma(self.against));
        if with + against > 0.0 {
            with / (with + against)
        } else {
            self.mean()
        }
    }
}

/// Chance from a seed, so that a choice can be shown again.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Above 0 and below 1.
    pub fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        (f64::from(high) + 0.5) / (f64::from(u32::MAX) + 1.0)
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.number().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.number()).cos()
    }

    /// By Marsaglia and Tsang; below 1 by the next one above.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let above = self.gamma(shape + 1.0);
            return above * self.number().powf(1.0 / shape.max(1e-6));
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let normal = self.normal();
            let cube = (1.0 + c * normal).powi(3);
            if cube <= 0.0 {
                continue;
            }
            let log = 0.5 * normal * normal + d - d * cube + d * cube.ln();
            if self.number().ln() < log {
                return d * cube;
            }
        }
    }
}

/// Maps whose keys are more than a word, as lists of pairs.
mod pairs {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map.iter())
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}
