//! Mitigations: the closed set of things that a behaviour can do about a fault.
//!
//! Each says at which place of a turn its fault can show itself ([`Act::site`]) and what is done there. It
//! is data with bounds: no shell, no code, no free text. What a person could not allow by adding one is
//! refused by [`Mitigation::check`]: a call that leaves traces is never repeated, an argument that says who
//! or where is never touched, a model that the agent's own route does not know is never asked.

mod argument;
mod check;
mod lesson;
pub mod takes;

use serde::{Deserialize, Serialize};

pub use argument::ArgumentFix;
pub use check::{MITIGATIONS_MAX, PATIENCE_SECONDS};
pub use lesson::{Lesson, Shape};

/// How the experiments over made-up exposures begin: nothing of them is proof.
pub const REHEARSAL: &str = "rehearsal/";

/// How the experiments without a coin begin: the time before a change against the time after it.
pub const WINDOW: &str = "window/";

/// Something done about a fault, with where it comes from and for whom it is on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// Lower case letters, digits, hyphens and underscores; one of a kind within its agent.
    pub id: String,
    /// The recipe that wrote it, with the beginning of its hash.
    pub gene: String,
    /// The fault that it is for.
    pub fault: String,
    pub reach: Reach,
    /// Whose units it is on for; without a trial it is on for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Toss>,
    pub act: Act,
}

/// For whom a mitigation acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Everybody,
    /// Only where somebody else than the owner speaks. A fault that was seen nowhere else is mitigated
    /// nowhere else, or outsiders could steer the owner's agent by failing on purpose.
    Outsiders,
}

/// How the units of a trial come about, and how many have the fix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toss {
    pub unit: TossUnit,
    /// The share of the fix, in thousandths.
    pub share_permille: u16,
    /// Another chapter of the same trial has a coin of its own.
    pub chapter: u32,
}

/// The smallest thing that gets a coin of its own. Only these are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TossUnit {
    /// The first time in a turn that the faulty path is entered: for what has no memory.
    Exposure,
    /// A stretch of time, whose beginning is left out: for what remembers.
    Block { minutes: u16, wash_minutes: u16 },
    /// A stretch of one conversation: for text in the prompt.
    Episode,
}

/// What is done. `on` of a tool says which calls; seconds and counts are bounded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// A call that failed is made again, after a pause that doubles. Only of tools that leave no traces.
    Retry {
        tool: String,
        /// Further calls, 1 to 3.
        again: u8,
        pause_ms: u32,
    },
    /// A call may take so long.
    Patience { tool: String, seconds: u16 },
    /// After failures in a row the tool is left alone for a while: the model is told at once.
    Breaker {
        tool: String,
        failures: u8,
        open_seconds: u16,
    },
    /// At most so many calls in a minute; those beyond wait their turn.
    Pace { tool: String, per_minute: u16 },
    /// Arguments of the wrong shape are put right before the call is judged.
    Arguments {
        tool: String,
        fixes: Vec<ArgumentFix>,
    },
    /// The model is not shown a tool that another one does better.
    Prefer { tool: String, over: String },
    /// A model of the agent's own route is asked first.
    RouteFirst { model: String },
    /// A model that failed is asked again before the next one of the route.
    ModelRetry { again: u8, pause_ms: u32 },
    /// A model that has not answered by then is given up for the next one.
    ModelPatience { seconds: u16 },
    /// A sentence in the prompt, from a closed set of templates.
    Lesson(Lesson),
}

/// Where in a turn a fault can show itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Site<'a> {
    /// A call of this tool.
    Tool(&'a str),
    /// A call of a model.
    Model,
    /// The turn as a whole.
    Turn,
}

impl Act {
    #[must_use]
    pub fn site(&self) -> Site<'_> {
        match self {
            Self::Retry { tool, .. }
            | Self::Patience { tool, .. }
            | Self::Breaker { tool, .. }
            | Self::Pace { tool, .. }
            | Self::Arguments { tool, .. } => Site::Tool(tool),
            Self::RouteFirst { .. } | Self::ModelRetry { .. } | Self::ModelPatience { .. } => {
                Site::Model
            }
            Self::Prefer { .. } | Self::Lesson(_) => Site::Turn,
        }
    }

    /// The tools whose last result in a turn says how the exposure ended. A call that was kept from being
    /// made is a failed one. Of what is done about models, only the turn's own end can say it.
    #[must_use]
    pub fn read_from(&self) -> Vec<&str> {
        match self {
            Self::Retry { tool, .. }
            | Self::Patience { tool, .. }
            | Self::Breaker { tool, .. }
            | Self::Pace { tool, .. }
            | Self::Arguments { tool, .. } => vec![tool],
            Self::Prefer { tool, over } => vec![tool, over],
            Self::Lesson(lesson) => lesson.tools(),
            Self::RouteFirst { .. } | Self::ModelRetry { .. } | Self::ModelPatience { .. } => {
                Vec::new()
            }
        }
    }

    /// The unit that a trial of it has to count.
    #[must_use]
    pub fn unit(&self) -> TossUnit {
        match self {
            Self::Breaker { .. } | Self::Pace { .. } => TossUnit::Block {
                minutes: 30,
                wash_minutes: 5,
            },
            Self::Prefer { .. } | Self::Lesson(_) => TossUnit::Episode,
            _ => TossUnit::Exposure,
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Patience { .. } => "patience",
            Self::Breaker { .. } => "breaker",
            Self::Pace { .. } => "pace",
            Self::Arguments { .. } => "arguments",
            Self::Prefer { .. } => "prefer",
            Self::RouteFirst { .. } => "route_first",
            Self::ModelRetry { .. } => "model_retry",
            Self::ModelPatience { .. } => "model_patience",
            Self::Lesson(_) => "lesson",
        }
    }
}

/// Of the coins of a trial half have the fix, in thousandths.
const SHARE_PERMILLE: u16 = 500;

impl Mitigation {
    /// One that is tried: every other unit has it. A fault of outsiders alone is mitigated with them alone.
    #[must_use]
    pub fn on_trial(id: String, gene: String, fault: &str, is_outside: bool, act: Act) -> Self {
        Self {
            id,
            gene,
            fault: fault.to_owned(),
            reach: if is_outside {
                Reach::Outsiders
            } else {
                Reach::Everybody
            },
            trial: Some(Toss {
                unit: act.unit(),
                share_permille: SHARE_PERMILLE,
                chapter: 1,
            }),
            act,
        }
    }

    /// The experiment that its coin is of.
    #[must_use]
    pub fn experiment(&self, agent: &str) -> String {
        format!("fix/{}", self.chapter(agent))
    }

    /// The one over exposures that are made up.
    #[must_use]
    pub fn rehearsal(&self, agent: &str) -> String {
        format!("{REHEARSAL}{}", self.chapter(agent))
    }

    fn chapter(&self, agent: &str) -> String {
        let chapter = self.trial.map_or(0, |toss| toss.chapter);
        format!("{agent}/{}/{chapter}", self.id)
    }
}
