//! Budgets: how much goes into repair, into second tries, and into what was never tried.

use serde::{Deserialize, Serialize};

/// Cycles after which a house is no longer new.
const EARLY_CYCLES: u64 = 5;
/// Choices in a row of which none came to anything: there is little left to find.
const SATURATED: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A fault that nothing is done about, by a gene that is known for such faults.
    Repair,
    /// A fault that something is done about already.
    Optimize,
    /// A gene that was never tried on such a fault.
    Innovate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    #[default]
    Balanced,
    Innovate,
    Harden,
    RepairOnly,
    EarlyStabilize,
    SteadyState,
    /// Early-stabilize in the first cycles, steady-state where nothing is left to find, else balanced.
    Auto,
}

/// What was spent on which intent. The shares of the strategy are met to within one choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    pub repair: u64,
    pub optimize: u64,
    pub innovate: u64,
    pub cycles: u64,
    /// Choices since the last one that helped.
    pub in_vain: u32,
    /// The shares in force when it was counted last, in hundredths and in the order of [`Intent::ALL`].
    #[serde(default)]
    pub planned: [u64; 3],
}

impl Intent {
    pub const ALL: [Self; 3] = [Self::Repair, Self::Optimize, Self::Innovate];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Optimize => "optimize",
            Self::Innovate => "innovate",
        }
    }
}

impl Strategy {
    pub const ALL: [Self; 7] = [
        Self::Balanced,
        Self::Innovate,
        Self::Harden,
        Self::RepairOnly,
        Self::EarlyStabilize,
        Self::SteadyState,
        Self::Auto,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Innovate => "innovate",
            Self::Harden => "harden",
            Self::RepairOnly => "repair-only",
            Self::EarlyStabilize => "early-stabilize",
            Self::SteadyState => "steady-state",
            Self::Auto => "auto",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The share of an intent, in hundredths.
    #[must_use]
    pub fn share(self, intent: Intent, spent: &Spent) -> u64 {
        let (repair, optimize, innovate) = match self.in_force(spent) {
            Self::Balanced | Self::Auto => (20, 30, 50),
            Self::Innovate => (5, 15, 80),
            Self::Harden => (40, 40, 20),
            Self::RepairOnly => (80, 20, 0),
            Self::EarlyStabilize => (60, 25, 15),
            Self::SteadyState => (60, 30, 10),
        };
        match intent {
            Intent::Repair => repair,
            Intent::Optimize => optimize,
            Intent::Innovate => innovate,
        }
    }

    /// What `auto` comes to now.
    #[must_use]
    pub fn in_force(self, spent: &Spent) -> Self {
        match self {
            Self::Auto if spent.in_vain >= SATURATED => Self::SteadyState,
            Self::Auto if spent.cycles < EARLY_CYCLES => Self::EarlyStabilize,
            Self::Auto => Self::Balanced,
            fixed => fixed,
        }
    }
}

impl Spent {
    #[must_use]
    pub fn on(&self, intent: Intent) -> u64 {
        match intent {
            Intent::Repair => self.repair,
            Intent::Optimize => self.optimize,
            Intent::Innovate => self.innovate,
        }
    }

    pub fn count(&mut self, intent: Intent) {
        match intent {
            Intent::Repair => self.repair += 1,
            Intent::Optimize => self.optimize += 1,
            Intent::Innovate => self.innovate += 1,
        }
    }

    fn all(&self) -> u64 {
        self.repair + self.optimize + self.innovate
    }

    /// The intents that may be spent on, the one furthest behind its share first. One without a share is
    /// never spent on.
    #[must_use]
    pub fn in_turn(&self, strategy: Strategy) -> Vec<Intent> {
        let due = |intent: Intent| {
            let due = strategy.share(intent, self) * (self.all() + 1);
            i128::from(due) - i128::from(100 * self.on(intent))
        };
        let mut intents: Vec<Intent> = Intent::ALL
            .into_iter()
            .filter(|intent| strategy.share(*intent, self) > 0)
            .collect();
        intents.sort_by_key(|intent| std::cmp::Reverse(due(*intent)));
        intents
    }
}
