//! Rollouts: a candidate is served to a share of the episodes, and judged whenever one settles.
//!
//! [`machine`](Rollout) decides and does nothing else. `episode` names the units, `outcome` reads how bad an
//! episode was from its events, `control` drives the machine for the releases of a state folder, `shown` says
//! how it is.

mod after;
mod begin;
mod control;
mod episode;
mod judged;
mod live;
mod machine;
mod outcome;
mod plan;
mod rescue;
mod resume;
mod settle;
mod shown;
mod simulate;
mod stage;
mod told;
pub(crate) mod verdict;
mod view;

pub use after::{AlarmView, WatchView};
pub use control::{BY_ITSELF, Random, RolloutError, Start};
pub(crate) use live::Live;
pub use live::{CanaryEpisode, Shadowing};
pub use machine::Rollout;
pub use outcome::{COST, Corrects, LATENCY, Outcome, Past, QUESTIONS, TASK, caps, outcome, past};
pub use plan::{
    Caps, EpisodeRules, Fast, Forecast, Metric, Plan, PlanError, Shadow, Step, StepForecast, Tries,
    WatchPlan,
};
pub use shown::{ROLLOUTS_MAX, Shown};
pub use simulate::{Played, World, simulate};
pub use stage::{Hold, Part, Reason, Settled, Stage};
pub use told::recompute;
pub use view::{ArmView, MetricView, View, wilson};
